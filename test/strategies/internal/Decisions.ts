/**
 * Journals, plans and facts for the tests of `Decision`.
 */
import { assert, describe, it } from "@effect/vitest"
import { type Provider, ProviderError, Reason, Session, type StrategyError } from "holdfast"
import * as Decision from "../../../src/strategies/internal/Decision.ts"
import { paris } from "../Verdicts.ts"

type Verdict = ProviderError.Verdict

/** An entry of a submission to a model. */
export const submitting = (
  submissionId: string,
  change: Partial<typeof Session.Submitting.Type> = {}
): Session.Entry =>
  Session.Submitting.make({
    at: 0,
    submissionId,
    purpose: "answer",
    provider: "test",
    model: "test/a",
    strategy: "background",
    submitTimeout: 60_000,
    store: true,
    ...change
  })

export const accepted = (submissionId: string, jobId: string): Session.Entry =>
  Session.Accepted.make({ at: 0, submissionId, jobId })

export const ended = (submissionId: string, reason: Verdict["reason"]): Session.Entry =>
  Session.Ended.make({ at: 0, submissionId, reason })

export const notSubmitted = (submissionId: string, reason: Verdict["reason"]): Session.Entry =>
  Session.NotSubmitted.make({ at: 0, submissionId, reason })

export const cancelRequested = (submissionId: string, forFallback?: true): Session.Entry =>
  Session.CancelRequested.make({ at: 0, submissionId, ...(forFallback === undefined ? {} : { forFallback }) })

export const settled = (submissionId: string): Session.Entry =>
  Session.Settled.make({ at: 0, submissionId, settlement: { _tag: "Reference", jobId: `job of ${submissionId}` } })

/** The entries of a job that runs. */
export const job = (
  id: string,
  model = "test/a",
  change: Partial<typeof Session.Submitting.Type> = {}
): ReadonlyArray<Session.Entry> => [submitting(id, { model, ...change }), accepted(id, `job of ${id}`)]

/** The entries of a job that ended without an answer to the session. */
export const endedJob = (id: string, reason: Verdict["reason"], model = "test/a"): ReadonlyArray<Session.Entry> => [
  ...job(id, model),
  ended(id, reason)
]

export const prepared = Session.Prepared.make({ at: 0, fingerprint: "fingerprint" })

/** A plan for models that are asked by background jobs. */
export const planOf = (models: string, change: Partial<Decision.Plan> = {}): Decision.Plan => {
  const [first = "a", ...others] = models.split(" ")
  const candidate = (model: string): Decision.Candidate => ({ model: `test/${model}`, strategy: "background" })
  return {
    candidates: [candidate(first), ...others.map(candidate)],
    fallbackOn: ["Overloaded", "ContentFiltered", "CircuitOpen", "Queued"],
    repairs: 0,
    onUncertain: undefined,
    hasSession: true,
    ...change
  }
}

/** The facts of a run that has done nothing yet. */
export const factsOf = (change: Partial<Decision.Facts> = {}): Decision.Facts => ({
  canSubmit: true,
  own: [],
  unsent: new Set(),
  lost: new Map(),
  lookups: new Map(),
  position: 0,
  unusable: new Map(),
  failure: undefined,
  ended: undefined,
  hasStreamed: false,
  ...change
})

export const errorOf = (
  verdict: Verdict,
  evidence: ProviderError.Evidence = "Refused"
): ProviderError.ProviderError => new ProviderError.ProviderError({ verdict, evidence })

/** Models that cannot be asked, because their provider has no key. */
export const unusable = (...models: ReadonlyArray<string>): Decision.Facts["unusable"] =>
  new Map(models.map((model) => [model, errorOf(final(notConfigured), "NotSent")]))

export const retryable = (
  reason: Extract<Verdict, { readonly _tag: "Retryable" }>["reason"]
): Extract<Verdict, { readonly _tag: "Retryable" }> => ({ _tag: "Retryable", reason })

export const final = (
  reason: Extract<Verdict, { readonly _tag: "NonRetryable" }>["reason"]
): Extract<Verdict, { readonly _tag: "NonRetryable" }> => ({ _tag: "NonRetryable", reason })

/** The submission with an id, as the state of the entries has it. */
export const submissionOf = (entries: Iterable<Session.Entry>, id: string): Session.Submission => {
  const found = Session.fold(entries).submissions.find((submission) => submission.id === id)
  if (found === undefined) throw new Error(`There is no submission ${id}`)
  return found
}

/** The end of a submission that a run has received: a failure, or an answer by default. */
export const endOf = (entries: Iterable<Session.Entry>, id: string, verdict?: Verdict): Decision.Ended => ({
  submission: submissionOf(entries, id),
  outcome: verdict === undefined ? paris : { _tag: "Failed", verdict }
})

export const busy = new Reason.Overloaded({ message: "Busy", status: 529 })
export const filtered = new Reason.ContentFiltered({ message: "Filtered", content: "" })
export const refusal = new Reason.Refusal({ message: "I will not", content: "" })
export const cancelled = new Reason.JobCancelled({ message: "Cancelled" })
export const circuitOpen = new Reason.CircuitOpen({ message: "Open" })
export const expired = new Reason.JobExpired({ message: "Gone" })
export const interrupted = new Reason.StreamInterrupted({ message: "Cut", content: "Par" })
export const unanswered = new Reason.Network({ message: "No answer", code: "ECONNRESET" })
export const serverError = new Reason.ServerError({ message: "Oops", status: 500 })
export const invalidRequest = new Reason.InvalidRequest({ message: "No such parameter", status: 400 })
export const notConfigured = new Reason.ProviderNotConfigured({ message: "No key", provider: "test" })
export const jobFailed = new Reason.JobFailed({ message: "The job failed", reason: serverError })
export const failedForGood = new Reason.JobFailed({ message: "The job failed", reason: invalidRequest })
export const invalidOutput = new Reason.InvalidOutput({ message: "Not JSON", content: "{", issues: "Not JSON" })

/** What a step says, by the ids and names that tests compare. */
export const summaryOf = (step: Decision.Step): Record<string, unknown> => {
  const end = "end" in step && step.end !== undefined
    ? { end: `${step.end.submission.id} ${step.end.reason._tag}` }
    : {}
  switch (step._tag) {
    case "Finish":
      return { step: step._tag, settledBy: step.settled.submissionId, surplus: step.surplus.map(({ id }) => id) }
    case "AwaitJob":
      return { step: step._tag, job: step.job.accepted.jobId, surplus: step.surplus.map(({ id }) => id) }
    case "AwaitSubmission":
    case "RecordUnsent":
    case "LookUp":
    case "WaitToLookUp":
      return { step: step._tag, submission: step.submission.id }
    case "Submit": {
      const { candidate, passed, position } = step
      return { step: step._tag, model: candidate.model, position, passed: namesOf(passed) }
    }
    case "WaitToRetry":
      return { step: step._tag, error: step.error.verdict.reason._tag }
    case "RecordFailure":
      return { step: step._tag, error: step.error.verdict.reason._tag, ...end }
    case "NextModel":
      return { step: step._tag, passed: namesOf(step.passed), position: step.position, ...end }
    case "Repair":
      return { step: step._tag, invalid: step.invalid.message, ...end }
    case "Settle":
      return { step: step._tag, submission: step.submission.id, outcome: outcomeOf(step.outcome) }
    case "FollowOther":
      return { step: step._tag }
    case "Stop": {
      const { failure, jobId } = step
      const reason = failure instanceof ProviderError.ProviderError ? failure.verdict.reason : failure
      return { step: step._tag, reason: reason._tag, ...end, ...(jobId === undefined ? {} : { jobId }) }
    }
  }
}

const namesOf = (passed: ReadonlyArray<StrategyError.PassedOver>): ReadonlyArray<string> =>
  passed.map(({ model, reason }) => `${model} ${reason._tag}`)

const outcomeOf = (outcome: Decision.FinalOutcome): string =>
  outcome._tag === "Succeeded" ? outcome.answer.content : outcome.verdict.reason._tag

/** A case of a table. */
export interface Row {
  readonly when: string
  readonly entries: ReadonlyArray<Session.Entry>
  /** One model by default; `null` is a run without a request. */
  readonly plan?: Decision.Plan | null
  readonly facts?: Partial<Decision.Facts>
  readonly step: Record<string, unknown>
}

/** Returns the next step of a row. */
export const next = ({ entries, facts, plan = planOf("a") }: Omit<Row, "step" | "when">): Decision.Step =>
  Decision.next(
    Session.fold(entries),
    plan ?? undefined,
    factsOf({ canSubmit: plan !== null, ...facts })
  )

/** Tests a table of decisions. */
export const decides = (title: string, rows: ReadonlyArray<Row>): void => {
  describe(title, () => {
    for (const { step, when, ...row } of rows) {
      it(when, () => assert.deepStrictEqual(summaryOf(next(row)), step))
    }
  })
}

export const lost = (id: string, error?: ProviderError.ProviderError) => new Map([[id, error]])
export const found = (id: string, lookup: Provider.Lookup) => new Map([[id, lookup]])
export const failure = (
  verdict: ProviderError.Verdict,
  isFinal = false,
  evidence: ProviderError.Evidence = "Refused"
): Partial<Decision.Facts> => ({ failure: { error: errorOf(verdict, evidence), isFinal } })
/** The facts of a run that has received the end of a submission. */
export const received = (
  entries: ReadonlyArray<Session.Entry>,
  id: string,
  verdict?: ProviderError.Verdict,
  change: Partial<Decision.Facts> = {}
): Pick<Row, "entries" | "facts"> => ({ entries, facts: { ended: endOf(entries, id, verdict), ...change } })
