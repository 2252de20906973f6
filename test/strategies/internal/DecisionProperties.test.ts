import { describe, it } from "@effect/vitest"
import { Duration } from "effect"
import * as fc from "fast-check"
import { type Provider, type ProviderError, Session, type StrategyError } from "holdfast"
import * as Decision from "../../../src/strategies/internal/Decision.ts"
import { paris } from "../Verdicts.ts"
import {
  accepted,
  busy,
  cancelled,
  cancelRequested,
  circuitOpen,
  ended,
  errorOf,
  expired,
  factsOf,
  failedForGood,
  filtered,
  final,
  interrupted,
  invalidOutput,
  jobFailed,
  notSubmitted,
  planOf,
  prepared,
  refusal,
  retryable,
  serverError,
  settled,
  submitting,
  unanswered,
  unusable
} from "./Decisions.ts"

const ids = ["s1", "s2", "s3", "s4"]
const models = ["test/a", "test/b", "test/c", "test/x"] as const
const policies = [undefined, "fail", "resubmit"] as const
const words = ["Overloaded", "ContentFiltered", "CircuitOpen", "Queued", "InvalidOutput", "JobFailed", "Network"]

const verdicts: ReadonlyArray<ProviderError.Verdict> = [
  ...[busy, serverError, unanswered, circuitOpen, interrupted, jobFailed].map(retryable),
  ...[filtered, refusal, invalidOutput, cancelled, expired, failedForGood].map(final)
]

const verdict = fc.constantFrom(...verdicts)
const id = fc.constantFrom<string>(...ids)
const strategy = fc.constantFrom("background" as const, "background" as const, "sync" as const, "completions" as const)

/** Any entry about any submission, also one that is not in the journal. */
const entry: fc.Arbitrary<Session.Entry> = fc.oneof(
  { weight: 1, arbitrary: fc.constant(prepared) },
  {
    weight: 6,
    arbitrary: fc.tuple(id, fc.constantFrom(...models), strategy, fc.option(fc.subarray(words), { nil: undefined }))
      .map(([id, model, strategy, fallbackOn]) =>
        submitting(id, { model, strategy, ...(fallbackOn === undefined ? {} : { fallbackOn }) })
      )
  },
  {
    weight: 5,
    arbitrary: fc.tuple(id, fc.constantFrom("j1", "j2", "j3")).map(([id, job]) => accepted(id, job))
  },
  { weight: 3, arbitrary: fc.tuple(id, verdict).map(([id, { reason }]) => ended(id, reason)) },
  { weight: 2, arbitrary: fc.tuple(id, verdict).map(([id, { reason }]) => notSubmitted(id, reason)) },
  {
    weight: 2,
    arbitrary: fc.tuple(id, fc.constantFrom(undefined, true as const)).map(([id, forFallback]) =>
      cancelRequested(id, forFallback)
    )
  },
  { weight: 1, arbitrary: id.map(settled) }
)

const plan: fc.Arbitrary<Decision.Plan> = fc.record({
  models: fc.constantFrom("a", "a b", "b a", "a b c", "a b a"),
  fallbackOn: fc.subarray(words),
  repairs: fc.nat(2),
  onUncertain: fc.constantFrom(...policies),
  hasSession: fc.boolean()
}).map(({ models, ...change }) => planOf(models, change))

const lookup = fc.constantFrom<Provider.Lookup>(
  { _tag: "Found", jobId: "j9" },
  { _tag: "Absent" },
  { _tag: "Undecided", again: Duration.seconds(5) },
  { _tag: "Unknown" }
)

const failure: fc.Arbitrary<Decision.Failure> = fc.record({ error: verdict.map(errorOf), isFinal: fc.boolean() })

interface Case {
  readonly state: Session.SessionState
  readonly plan: Decision.Plan | undefined
  readonly facts: Decision.Facts
}

/** A state, a plan and the facts of a run, which need not fit together. */
const anyCase: fc.Arbitrary<Case> = fc.record({
  entries: fc.array(entry, { maxLength: 16 }),
  plan: fc.option(plan, { nil: undefined }),
  canSubmit: fc.boolean(),
  own: fc.subarray([...ids]),
  unsent: fc.subarray([...ids], { maxLength: 1 }),
  lost: fc.subarray([...ids]),
  lookups: fc.dictionary(id, lookup),
  position: fc.nat(2),
  unusable: fc.subarray([...models]),
  failure: fc.option(failure, { nil: undefined }),
  end: fc.option(
    fc.record({
      index: fc.nat(3),
      outcome: fc.oneof(
        fc.constant(paris),
        verdict.map((verdict): Provider.Outcome => ({ _tag: "Failed", verdict }))
      )
    }),
    { nil: undefined }
  ),
  hasStreamed: fc.boolean()
}).map(({ canSubmit, end, entries, lookups, lost, plan, position, unsent, unusable: without, ...facts }) => {
  const state = Session.fold(entries)
  const submission = end === undefined ? undefined : state.submissions[end.index]
  return {
    state,
    plan,
    facts: factsOf({
      ...facts,
      canSubmit: canSubmit || plan !== undefined,
      unsent: new Set(unsent),
      lost: new Map(lost.map((id) => [id, undefined])),
      lookups: new Map(Object.entries(lookups)),
      position: plan === undefined ? 0 : position % plan.candidates.length,
      unusable: unusable(...without),
      ended: end === undefined || submission === undefined ? undefined : { submission, outcome: end.outcome }
    })
  }
})

/** Whether another submission may follow one whose outcome the journal does not hold. */
const mayFollow = ({ id, sent }: Session.Submission, { facts, plan }: Case): boolean =>
  plan !== undefined && !facts.unsent.has(id) && facts.lost.has(id) &&
  (sent.strategy !== "background" || facts.lookups.get(id) !== undefined) &&
  (plan.onUncertain === "resubmit" ||
    (plan.onUncertain === undefined && (sent.strategy !== "background" || !plan.hasSession)))

const violations = (each: Case, step: Decision.Step): ReadonlyArray<string> => {
  const { facts, plan, state } = each
  const jobs = Session.jobsOf(state)
  const open = Session.openSubmissions(state)
  const found: Array<string> = []
  const rule = (isKept: boolean, text: string): void => {
    if (!isKept) found.push(`${step._tag}: ${text}`)
  }
  rule((step._tag === "Finish") === (state.settled !== undefined), "a run finishes when its session is settled")
  switch (step._tag) {
    case "Submit":
      rule(jobs.length === 0, "nothing is sent as long as a job may be running")
      rule(open.every((submission) => mayFollow(submission, each)), "an uncertain submission forbids another one")
      rule(facts.ended === undefined, "nothing is sent before the last end is dealt with")
      rule(step.position >= facts.position, "a run does not go back to a model")
      rule(step.candidate === plan?.candidates[step.position], "a candidate of the plan is asked")
      rule(arePassed(step.passed, step.position, each), "each model that is passed over is named")
      rule(!facts.hasStreamed || step.position === facts.position, "what was streamed keeps the model")
      break
    case "NextModel":
      rule(step.position > facts.position && step.position < (plan?.candidates.length ?? 0), "there is a next model")
      rule(!facts.unusable.has(plan?.candidates[step.position]?.model ?? ""), "the next model can be asked")
      rule(arePassed(step.passed, step.position, each), "each model that is passed over is named")
      rule(!facts.hasStreamed, "no other answer follows what was streamed")
      rule(plan?.fallbackOn.includes(wordOf(step.passed[0]?.reason._tag ?? "")) === true, "the plan names why")
      rule(jobs.every(({ id }) => id === facts.ended?.submission.id), "no other model is asked beside a job")
      break
    case "Settle":
      rule(step.submission === facts.ended?.submission, "a run settles with its own submission")
      rule(step.outcome._tag === facts.ended?.outcome._tag, "a run settles with the outcome that it received")
      break
    case "Repair":
      rule(
        !facts.hasStreamed && (plan?.repairs ?? 0) > 0,
        "a repair is allowed, and replaces nothing that was streamed"
      )
      rule(step.end.submission === facts.ended?.submission, "the invalid answer is the one that was received")
      break
    case "RecordFailure":
      rule(!facts.hasStreamed && facts.ended?.submission.accepted === undefined, "only a held call is an attempt")
      break
    case "AwaitJob":
      rule(step.job.id === jobs[0]?.id, "the job that was accepted first is waited for")
      rule(step.surplus.length === jobs.length - 1, "all other jobs are surplus")
      break
    case "FollowOther":
      rule(!facts.hasStreamed && jobs.length + open.length > 0, "there is something to follow")
      break
    case "AwaitSubmission":
      rule(open.includes(step.submission) && !facts.lost.has(step.submission.id), "the sender may be at work")
      break
    case "RecordUnsent":
      rule(open.includes(step.submission) && facts.unsent.has(step.submission.id), "it is known not to have been sent")
      break
    case "LookUp":
    case "WaitToLookUp":
      rule(open.includes(step.submission) && facts.lost.has(step.submission.id), "its sender is lost")
      break
    case "WaitToRetry":
      rule(facts.failure?.isFinal === false && step.error === facts.failure.error, "another attempt is allowed")
      break
    case "Stop":
      rule(step.end === undefined || step.end.submission === facts.ended?.submission, "only a received end is recorded")
      break
    case "Finish":
      rule(step.surplus.every(({ id }) => id !== state.settled?.submissionId), "the job of the answer is not surplus")
  }
  return found
}

const wordOf = (tag: string): string => tag === "JobCancelled" ? "Queued" : tag

/** Whether a step names the candidates that it passes over, in order. */
const arePassed = (
  passed: ReadonlyArray<StrategyError.PassedOver>,
  to: number,
  { facts: { position }, plan }: Case
): boolean =>
  passed.map(({ model }) => model).join() === plan?.candidates.slice(position, to).map(({ model }) => model).join()

const isStep = new Set<string>([
  "Finish",
  "AwaitJob",
  "AwaitSubmission",
  "RecordUnsent",
  "LookUp",
  "WaitToLookUp",
  "Submit",
  "WaitToRetry",
  "RecordFailure",
  "NextModel",
  "Repair",
  "Settle",
  "FollowOther",
  "Stop"
])

const seedOf = process.env["HOLDFAST_SEED"]
const settings = { numRuns: 10_000, ...(seedOf === undefined ? {} : { seed: Number(seedOf) }) }

describe("Decision", () => {
  it("returns a step that keeps the rules for any journal, plan and facts, and takes every step for some", () => {
    const taken = new Set<string>()
    fc.assert(
      fc.property(anyCase, (each) => {
        const step = Decision.next(each.state, each.plan, each.facts)
        taken.add(step._tag)
        const found = violations(each, step)
        if (found.length > 0) throw new Error(found.join("\n"))
      }),
      settings
    )
    const missing = [...isStep].filter((tag) => !taken.has(tag))
    if (missing.length > 0) throw new Error(`No case leads to ${missing.join()}`)
  })

  it("joins any job at a place of the plan that is not before the run's own", () => {
    fc.assert(
      fc.property(anyCase, plan, ({ facts, state }, plan) => {
        const from = facts.position % plan.candidates.length
        for (const job of Session.jobsOf(state)) {
          const joined = Decision.joinJob(state, plan, { ...facts, position: from }, job)
          const at = joined.plan.candidates[joined.position]
          if (joined.position < from || at?.model !== job.sent.model) throw new Error("The job is at another place")
          const asked = plan.candidates.map(({ model }) => model)
          const left = joined.plan.candidates.map(({ model }) => model)
          if (joined.plan !== plan) left.splice(joined.position, 1)
          if (left.join() !== asked.join()) throw new Error("A model of the plan is lost")
        }
      }),
      settings
    )
  })
})
