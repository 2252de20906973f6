/**
 * Compares what the engine decides to do next with what the specification allows, for runs of each kind.
 */
import { Duration } from "effect"
import { type Provider, ProviderError, Reason, Session } from "holdfast"
import * as Decision from "../../src/strategies/internal/Decision.ts"
import { awaited, type Incarnation, type Job, type Life, outcomeOf, type Submission } from "./Facts.ts"
import { stateOf } from "./SimulatedProvider.ts"
import type { Specification } from "./Specification.ts"
import { keys, type World } from "./World.ts"

/** A run that could be in a process: what it may do, and what it has met. */
interface Asked {
  readonly life: Life
  readonly hasRequest: boolean
  readonly policy: "fail" | "resubmit"
  readonly lookup: Provider.Lookup | undefined
  /** Whether its last attempt failed, and may be made again. */
  readonly failure: "none" | "retried" | "final"
  /** The submission whose end it has been told, and its job as it was told of it. */
  readonly ended: { readonly submission: Submission; readonly job: Job } | undefined
}

const busy = new ProviderError.ProviderError({
  verdict: { _tag: "Retryable", reason: new Reason.Overloaded({ message: "Busy" }) },
  evidence: "Refused"
})

/** Compares all runs that could be, and notes the name of each step that was decided. */
export const compareDecisions = async (world: World, seen: Map<string, number>): Promise<void> => {
  const { specification } = world
  for (const key of keys) {
    const state = Session.fold((await world.journal(key)).entries)
    const session = specification.incarnation(key)
    for (const process of world.running) {
      if (process === undefined) continue
      for (const asked of runs(specification, session, process.life)) {
        const step = nameOf(Decision.next(state, planOf(asked), factsOf(specification, session, asked)))
        const allowed = allowedSteps(specification, session, asked)
        const [tag = ""] = step.split(" ")
        seen.set(tag, (seen.get(tag) ?? 0) + 1)
        specification.rule(
          allowed.includes(step),
          `a run of ${key} (${describe(asked)}) may do next: ${allowed.join(", ")}; not ${step}`
        )
      }
    }
  }
  if (specification.violations.length > 0) {
    throw new Error(`${specification.violations.slice(0, 5).join("\n")}\n\n${specification.log.join("\n")}`)
  }
}

/** How a job may end. */
const statuses = ["completed", "failed", "broken", "incomplete", "cancelled"] as const

const runs = function*(
  { jobs }: Specification,
  session: Incarnation,
  life: Life
): Generator<Asked> {
  const ends = session.submissions.flatMap((submission) => {
    const job = jobs.get(submission.job ?? "")
    if (job === undefined) return []
    if (submission === awaited(session)) return statuses.map((status) => ({ submission, job: { ...job, status } }))
    return submission.stage === "ended" && job.status === "failed" ? [{ submission, job }] : []
  })
  const usual = {
    life,
    hasRequest: true,
    policy: "fail",
    lookup: undefined,
    failure: "none",
    ended: undefined
  } as const
  for (const policy of ["fail", "resubmit"] as const) {
    for (const lookup of [undefined, { _tag: "Unknown" }, { _tag: "Undecided", again: Duration.seconds(1) }] as const) {
      for (const failure of ["none", "retried", "final"] as const) yield { ...usual, policy, lookup, failure }
    }
  }
  yield { ...usual, hasRequest: false }
  yield { ...usual, hasRequest: false, lookup: { _tag: "Unknown" } }
  for (const ended of ends) {
    yield { ...usual, ended }
    yield { ...usual, hasRequest: false, ended }
  }
}

const planOf = ({ hasRequest, policy }: Asked): Decision.Plan | undefined =>
  hasRequest
    ? {
      candidates: [{ model: "test/simulated", strategy: "background" }],
      fallbackOn: [],
      repairs: 0,
      onUncertain: policy,
      hasSession: true
    }
    : undefined

const factsOf = (
  specification: Specification,
  { submissions }: Incarnation,
  { ended, failure, hasRequest, life, lookup }: Asked
): Decision.Facts => {
  const lost = submissions.filter((each) => each.stage === "open" && specification.isInDoubt(life, each))
  const endedState = ended === undefined ? undefined : stateOf(ended.job)
  return {
    canSubmit: hasRequest,
    own: submissions.filter((each) => each.life === life).map(({ id }) => id),
    unsent: new Set(),
    lost: new Map(lost.map(({ id }) => [id, undefined])),
    lookups: new Map(lookup === undefined ? [] : lost.map(({ id }) => [id, lookup])),
    position: 0,
    unusable: new Map(),
    failure: failure === "none" ? undefined : { error: busy, isFinal: failure === "final" },
    ended: ended === undefined || endedState?._tag !== "Ended"
      ? undefined
      : { submission: submissionOf(ended.submission), outcome: endedState.outcome },
    hasStreamed: false
  }
}

/** A submission as a run that waits for its job knows it. */
const submissionOf = ({ acceptedAt, id, job, submitTimeout }: Submission): Session.Submission => ({
  id,
  sent: Session.Submitting.make({
    at: acceptedAt,
    submissionId: id,
    purpose: "answer",
    provider: "test",
    model: "test/simulated",
    strategy: "background",
    submitTimeout,
    store: true
  }),
  renewals: 1,
  accepted: Session.Accepted.make({ at: acceptedAt, submissionId: id, jobId: job ?? "" }),
  cancelRequested: false
})

/** What the contract allows a run to do next. */
const allowedSteps = (
  specification: Specification,
  session: Incarnation,
  asked: Asked
): ReadonlyArray<string> => {
  const { ended, failure, hasRequest, life, lookup, policy } = asked
  const { settled, submissions } = session
  if (settled !== undefined) return [`Finish ${settled.submission.id}`]
  const waited = awaited(session)
  const open = submissions.filter(({ stage }) => stage === "open")
  if (ended !== undefined) {
    const { job, submission } = ended
    if (job.status !== "failed") return [`Settle ${submission.id} ${outcomeOf(job)}`]
    const isReplaced = submission.stage === "ended" && (waited !== undefined || open.length > 0)
    return [isReplaced ? "FollowOther" : "Stop JobFailed"]
  }
  if (waited !== undefined) return [`AwaitJob ${waited.job}`]
  const steps = open.flatMap((submission) => {
    if (!specification.isInDoubt(life, submission)) return [`AwaitSubmission ${submission.id}`]
    if (lookup === undefined) return [`LookUp ${submission.id}`]
    if (hasRequest && policy === "resubmit") return []
    return [lookup._tag === "Undecided" ? `WaitToLookUp ${submission.id}` : "Stop SubmissionUncertain"]
  })
  if (steps.length > 0) return steps
  const last = submissions.at(-1)
  if (last?.stage === "refused" && last.isCancelRequested && last.life === life) return ["Stop JobCancelled"]
  if (!hasRequest) return [specification.exists(session.key) ? "Stop RequestNeeded" : "Stop SessionNotFound"]
  if (failure !== "none") return [failure === "final" ? "Stop Overloaded" : "WaitToRetry"]
  const call = { policy, startedAtStep: specification.step + 1 }
  return specification.sendingRules(life, session, [call]).every(([isKept]) => isKept) ? ["Submit"] : []
}

const nameOf = (step: Decision.Step): string => {
  switch (step._tag) {
    case "Finish":
      return `Finish ${step.settled.submissionId}`
    case "AwaitJob":
      return `AwaitJob ${step.job.accepted.jobId}`
    case "AwaitSubmission":
    case "LookUp":
    case "WaitToLookUp":
      return `${step._tag} ${step.submission.id}`
    case "Settle": {
      const { outcome, submission } = step
      return `Settle ${submission.id} ${
        outcome._tag === "Succeeded" ? `answer ${outcome.answer.content}` : outcome.verdict.reason._tag
      }`
    }
    case "Stop":
      return `Stop ${
        (step.failure instanceof ProviderError.ProviderError ? step.failure.verdict.reason : step.failure)._tag
      }`
    default:
      return step._tag
  }
}

const describe = ({ ended, failure, hasRequest, life, lookup, policy }: Asked): string =>
  [
    `process ${life.process}`,
    hasRequest ? policy : "without a request",
    `lookup ${lookup?._tag ?? "none"}`,
    `failure ${failure}`,
    ...(ended === undefined ? [] : [`${ended.job.id} ${ended.job.status}`])
  ].join(", ")
