/**
 * Decides what a run does next, from the journal's state and from what only this process knows. Pure and total: the
 * rules of fallback, repair, uncertain submissions, surplus jobs and cancellation are here and nowhere else.
 */
import type * as Duration from "effect/Duration"
import { ProviderError, type Verdict } from "../../errors/ProviderError.ts"
import {
  type InvalidOutput,
  JobCancelled,
  maxMessageLength,
  type NonRetryableReason,
  RequestNeeded,
  SessionNotFound,
  SubmissionUncertain
} from "../../errors/Reason.ts"
import type { PassedOver } from "../../errors/StrategyError.ts"
import type { Lookup, Outcome } from "../../services/Provider.ts"
import type { StrategyName } from "../../services/ResponseRequest.ts"
import {
  type AcceptedSubmission,
  jobsOf,
  openSubmissions,
  type SessionState,
  type Settled,
  type Submission
} from "../../services/Session.ts"

/** A model that may answer, and the strategy by which it is asked. */
export interface Candidate {
  readonly model: string
  readonly strategy: StrategyName
}

/** What a request allows a run to do. */
export interface Plan {
  /** The models to ask, in turn. */
  readonly candidates: readonly [Candidate, ...ReadonlyArray<Candidate>]
  /** The reasons for which the next model is asked. */
  readonly fallbackOn: ReadonlyArray<string>
  /** How many invalid answers of the session are sent back for repair. */
  readonly repairs: number
  /** What to do about an uncertain submission; `undefined` leaves it to the strategy. */
  readonly onUncertain: "fail" | "resubmit" | undefined
  readonly hasSession: boolean
}

/** What only this process knows. */
export interface Facts {
  /** Whether the run has the request, and so may submit. */
  readonly canSubmit: boolean
  /** The submissions that this run sent. */
  readonly own: ReadonlyArray<string>
  /** Submissions that were announced here and certainly not sent. */
  readonly unsent: { readonly has: (id: string) => boolean }
  /** Submissions that nobody sends any more, with the failure, if it happened here. */
  readonly lost: {
    readonly has: (id: string) => boolean
    readonly get: (id: string) => ProviderError | undefined
  }
  /** What the last lookups of lost submissions found. */
  readonly lookups: { readonly get: (id: string) => Lookup | undefined }
  /** The index of the first candidate that this run has not passed over. */
  readonly position: number
  /** The models of the plan that cannot be asked at all, and why. */
  readonly unusable: ReadonlyMap<string, ProviderError>
  /** Why the last attempt failed, until it is retried. */
  readonly failure: Failure | undefined
  /** An outcome that this run has received, and that the journal does not hold yet. */
  readonly ended: Ended | undefined
  /** Whether a stream has emitted parts of an answer, which another answer would contradict. */
  readonly hasStreamed: boolean
}

/** A failed attempt. */
export interface Failure {
  readonly error: ProviderError
  /** Whether the retry schedule, the deadline or the budget forbids another attempt at this model. */
  readonly isFinal: boolean
}

/** How a submission ended. */
export interface Ended {
  readonly submission: Submission
  readonly outcome: Outcome
}

/** An outcome that no other submission of the same request could improve. */
export type FinalOutcome =
  | Extract<Outcome, { readonly _tag: "Succeeded" }>
  | {
    readonly _tag: "Failed"
    readonly verdict: Extract<Verdict, { readonly _tag: "NonRetryable" }>
    readonly ignoredBackground?: boolean | undefined
  }

/** A submission's end that is journaled before the step is taken. */
export interface EndToRecord {
  readonly submission: Submission
  readonly reason: Verdict["reason"]
}

/** What a run does next. */
export type Step =
  /** The session is settled: return what it was settled with. */
  | {
    readonly _tag: "Finish"
    readonly settled: typeof Settled.Type
    readonly surplus: ReadonlyArray<AcceptedSubmission>
  }
  /** Wait for the end of a job. */
  | { readonly _tag: "AwaitJob"; readonly job: AcceptedSubmission; readonly surplus: ReadonlyArray<AcceptedSubmission> }
  /** Wait until the sender of a submission has recorded its outcome, or its timeout has passed. */
  | { readonly _tag: "AwaitSubmission"; readonly submission: Submission }
  /** Record that an announced submission was not sent. */
  | { readonly _tag: "RecordUnsent"; readonly submission: Submission }
  /** Ask the provider for the job of a lost submission. */
  | { readonly _tag: "LookUp"; readonly submission: Submission }
  /** Look it up again later. */
  | { readonly _tag: "WaitToLookUp"; readonly submission: Submission; readonly again: Duration.Duration }
  /** Send a submission to a candidate, after those that the journal says cannot answer. */
  | {
    readonly _tag: "Submit"
    readonly candidate: Candidate
    readonly position: number
    readonly passed: ReadonlyArray<PassedOver>
  }
  | { readonly _tag: "WaitToRetry"; readonly error: ProviderError }
  /** Record a held call's end, and treat it as a failed attempt. */
  | { readonly _tag: "RecordFailure"; readonly end: EndToRecord; readonly error: ProviderError }
  /** Go over to another candidate, with the models that are passed over on the way. */
  | {
    readonly _tag: "NextModel"
    readonly passed: ReadonlyArray<PassedOver>
    readonly position: number
    readonly end?: EndToRecord
  }
  | { readonly _tag: "Repair"; readonly invalid: InvalidOutput; readonly end: EndToRecord }
  | { readonly _tag: "Settle"; readonly submission: Submission; readonly outcome: FinalOutcome }
  /** Another process has replaced the submission: go on with what the journal says now, or end with `failure`. */
  | { readonly _tag: "FollowOther"; readonly failure: Failure | undefined }
  /** End the run, with a provider's failure or with a reason of our own. */
  | {
    readonly _tag: "Stop"
    readonly failure: ProviderError | NonRetryableReason
    readonly end?: EndToRecord | undefined
    readonly jobId?: string | undefined
  }

/** Returns the next step of a run. `plan` is absent when the run has no request. */
export const next = (state: SessionState, plan: Plan | undefined, facts: Facts): Step => {
  const { settled } = state
  const [job, ...surplus] = jobsOf(state)
  if (settled !== undefined) {
    return { _tag: "Finish", settled, surplus: jobsOf(state).filter(({ id }) => id !== settled.submissionId) }
  }
  if (facts.ended !== undefined) return afterEnd(state, plan, facts, facts.ended)
  if (job !== undefined) return { _tag: "AwaitJob", job, surplus }
  const { failure } = facts
  // No other answer can follow what was streamed of this one.
  if (failure?.error.verdict.reason._tag === "StreamInterrupted") return { _tag: "Stop", failure: failure.error }
  for (const open of openSubmissions(state)) {
    const step = resolve(open, plan, facts)
    if (step !== undefined) return step
  }
  if (isStopped(state, facts)) return { _tag: "Stop", failure: stopped }
  if (plan === undefined) return { _tag: "Stop", failure: failure?.error ?? nothingToResume(state) }
  if (failure !== undefined) return afterFailure(state, plan, facts, failure)
  const { passed, position } = skipEnded(state, plan, facts)
  return { _tag: "Submit", candidate: candidateAt(plan, position), position, passed }
}

/** What to do about a submission whose outcome is not in the journal; `undefined` when another one may be sent. */
const resolve = (submission: Submission, plan: Plan | undefined, facts: Facts): Step | undefined => {
  const { id, sent } = submission
  if (facts.unsent.has(id)) return { _tag: "RecordUnsent", submission }
  if (!facts.lost.has(id)) return { _tag: "AwaitSubmission", submission }
  const lookup: Lookup | undefined = sent.strategy === "background" ? facts.lookups.get(id) : { _tag: "Unknown" }
  if (lookup === undefined) return { _tag: "LookUp", submission }
  if (uncertaintyPolicy(plan, sent.strategy) === "resubmit") return undefined
  if (lookup._tag === "Undecided") return { _tag: "WaitToLookUp", submission, again: lookup.again }
  const failure = plan === undefined ? facts.failure?.error : undefined
  return { _tag: "Stop", failure: failure ?? uncertain(submission, facts.lost.get(id)) }
}

/** Whether an uncertain submission ends the call, or is sent again and perhaps paid for twice. */
export const uncertaintyPolicy = (plan: Plan | undefined, strategy: StrategyName): "fail" | "resubmit" => {
  if (plan === undefined) return "fail"
  return plan.onUncertain ?? (strategy === "background" && plan.hasSession ? "fail" : "resubmit")
}

const afterFailure = (state: SessionState, plan: Plan, facts: Facts, { error, isFinal }: Failure): Step => {
  const { reason } = error.verdict
  const passed = isFree(state) ? passUnanswered(plan, facts, error) : undefined
  // Nobody waits for an open circuit when another model can be asked.
  if (!isFinal && !(reason._tag === "CircuitOpen" && passed !== undefined)) return { _tag: "WaitToRetry", error }
  return passed ?? { _tag: "Stop", failure: error }
}

const afterEnd = (state: SessionState, plan: Plan | undefined, facts: Facts, ended: Ended): Step => {
  const { outcome, submission } = ended
  if (outcome._tag === "Succeeded") {
    return facts.canSubmit || submission.sent.repair !== true || outcome.answer.finishReason !== "stop"
      ? { _tag: "Settle", submission, outcome }
      : { _tag: "Stop", failure: unchecked, jobId: submission.accepted?.jobId }
  }
  const { reason } = outcome.verdict
  const end: EndToRecord = { submission, reason }
  const recorded = state.submissions.find(({ id }) => id === submission.id) ?? submission
  const word = wordOf(reason, recorded.forFallback === true)
  if (plan !== undefined) {
    const invalid = repairable(state, plan, facts, reason)
    if (invalid !== undefined) return { _tag: "Repair", invalid, end }
    const passed = isFree(state, submission.id) && plan.fallbackOn.includes(word)
      ? passOver(plan, facts, reason)
      : undefined
    if (passed !== undefined) return { ...passed, end }
  }
  const jobId = submission.accepted?.jobId
  if (!facts.canSubmit && submission.sent.fallbackOn?.includes(word) === true) {
    return { _tag: "Stop", failure: anotherModelNeeded(submission, reason), end, jobId }
  }
  if (!facts.hasStreamed && isReplaced(state, submission.id)) {
    return { _tag: "FollowOther", failure: lastResort(plan, facts, outcome.verdict) }
  }
  const { verdict } = outcome
  if (verdict._tag === "NonRetryable") return { _tag: "Settle", submission, outcome: { ...outcome, verdict } }
  const error = endError(verdict)
  return submission.accepted === undefined && !facts.hasStreamed
    ? { _tag: "RecordFailure", end, error }
    : { _tag: "Stop", failure: error, end, jobId }
}

/** The failure of a run that cannot send again, since its request was dropped, when what it follows comes to nothing. */
export const lastResort = (
  plan: Plan | undefined,
  { canSubmit }: Pick<Facts, "canSubmit">,
  verdict: Verdict
): Failure | undefined => canSubmit && plan === undefined ? { error: endError(verdict), isFinal: true } : undefined

/** Where a run continues that finds a job of another run: after the models that were asked before this job. */
export const joinJob = (
  state: SessionState,
  plan: Plan,
  from: Position,
  { sent }: AcceptedSubmission
): { readonly plan: Plan; readonly position: number } => {
  const { candidates } = plan
  const { position } = skipEnded(state, plan, { ...from, hasStreamed: false })
  const known = candidates.findIndex(({ model }, index) => index >= position && model === sent.model)
  if (known >= 0) return { plan, position: known }
  // Another call of the same request asked the model, which this plan does not name, or has passed over: it stands between
  // those that were asked and those that were not.
  const at = hasEndedForGood(state, plan, candidateAt(plan, position)) ? position + 1 : position
  const other: Candidate = { model: sent.model, strategy: sent.strategy }
  const [first = other, ...others] = candidates.toSpliced(at, 0, other)
  return { plan: { ...plan, candidates: [first, ...others] }, position: at }
}

/** The models that a session had asked before a submission, and why each could not answer. */
export const passedOverBefore = (state: SessionState, id: string): ReadonlyArray<PassedOver> => {
  const index = state.submissions.findIndex((submission) => submission.id === id)
  const model = state.submissions[index]?.sent.model
  const reasons = new Map<string, Verdict["reason"]>()
  for (const { closed, sent } of state.submissions.slice(0, Math.max(index, 0))) {
    if (closed !== undefined && sent.model !== model) reasons.set(sent.model, closed.reason)
  }
  return Array.from(reasons, ([model, reason]) => ({ model, reason }))
}

/** A candidate, and the models that cannot be asked after it. */
export type Position = Pick<Facts, "position" | "unusable">

/** Whether a job that is queued for too long is left for the next model. */
export const leavesQueue = (plan: Plan | undefined, position: Position): boolean =>
  fallbackReasons(plan, position)?.includes("Queued") === true

/** The ends of a candidate for which the next one is asked; `undefined` when there is none. */
export const fallbackReasons = (plan: Plan | undefined, position: Position): ReadonlyArray<string> | undefined =>
  plan === undefined || nextPosition(plan, position) === undefined ? undefined : plan.fallbackOn

/** Whether an invalid answer of the next submission would be sent back for repair. */
export const wouldRepair = (state: SessionState, plan: Plan | undefined): boolean =>
  plan !== undefined && invalidAnswers(state) < plan.repairs

/** Whether the session waits for another job than this submission's, or for none. */
export const isSurplus = (state: SessionState, submissionId: string): boolean =>
  state.settled !== undefined ? state.settled.submissionId !== submissionId : jobsOf(state)[0]?.id !== submissionId

/** Whether a submission's end was journaled and another submission took its place. */
export const isReplaced = (state: SessionState, submissionId: string): boolean =>
  hasEnded(state, submissionId) && (jobsOf(state).length > 0 || openSubmissions(state).length > 0)

/** Whether the journal says that a submission ended without an answer to the session. */
export const hasEnded = (state: SessionState, submissionId: string): boolean =>
  state.submissions.some(({ closed, id }) => id === submissionId && closed?._tag === "Ended")

/** The last submission of a session, when it failed and nothing came after it: a run may wait to send again. */
export const lastFailure = (state: SessionState): Submission | undefined => {
  const last = state.submissions.at(-1)
  return last?.closed !== undefined && last.accepted === undefined && state.settled === undefined &&
      jobsOf(state).length === 0 && openSubmissions(state).length === 0
    ? last
    : undefined
}

/** Whether a cancel of the session was requested while this run waits to send again. */
export const isStopped = (state: SessionState, { own }: Pick<Facts, "own">): boolean => {
  const last = lastFailure(state)
  return last !== undefined && last.cancelRequested && own.includes(last.id)
}

/** Whether no other outcome of the same request is worth another submission. */
export const isFinal = (outcome: Outcome): outcome is FinalOutcome =>
  outcome._tag === "Succeeded" || outcome.verdict._tag === "NonRetryable"

const candidateAt = ({ candidates }: Plan, position: number): Candidate => candidates[position] ?? candidates[0]

/** Passes over the candidates whose jobs have ended for good in this session, whichever process asked them. */
const skipEnded = (
  state: SessionState,
  plan: Plan,
  { hasStreamed, position, unusable }: Position & Pick<Facts, "hasStreamed">
): { readonly position: number; readonly passed: ReadonlyArray<PassedOver> } => {
  const passed: Array<PassedOver> = []
  let current = position
  while (!hasStreamed) {
    const next = nextPosition(plan, { position: current, unusable })
    if (next === undefined) break
    const candidate = candidateAt(plan, current)
    const closed = endForGood(state, plan, candidate)
    if (closed === undefined) break
    // Only a job that was queued for too long counts here as cancelled.
    const word = closed.reason._tag === "JobCancelled" ? "Queued" : closed.reason._tag
    if (!plan.fallbackOn.includes(word)) break
    passed.push({ model: candidate.model, reason: closed.reason }, ...unusableBetween(plan, unusable, current, next))
    current = next
  }
  return { position: current, passed }
}

const hasEndedForGood = (state: SessionState, plan: Plan, candidate: Candidate): boolean =>
  endForGood(state, plan, candidate) !== undefined

/** The end of a candidate's job that another job of the same model would repeat. */
const endForGood = (state: SessionState, plan: Plan, { model }: Candidate): Submission["closed"] =>
  state.submissions.find(({ closed, forFallback, sent }) => {
    if (sent.model !== model || closed?._tag !== "Ended") return false
    const tag = closed.reason._tag
    if (tag === "JobCancelled") return forFallback === true
    return repeatedEnds.has(tag) && (tag !== "InvalidOutput" || invalidAnswers(state) > plan.repairs)
  })?.closed

const repeatedEnds: ReadonlySet<string> = new Set([
  "ContextLengthExceeded",
  "ContentFiltered",
  "EmptyContent",
  "InvalidOutput",
  "Refusal",
  "Incomplete",
  "JobFailed"
])

const invalidAnswers = (state: SessionState, besides?: string): number =>
  state.submissions.filter(({ closed, id }) =>
    id !== besides && closed?._tag === "Ended" && closed.reason._tag === "InvalidOutput"
  ).length

const repairable = (
  state: SessionState,
  { repairs }: Plan,
  { ended, hasStreamed }: Facts,
  reason: Verdict["reason"]
): InvalidOutput | undefined =>
  reason._tag === "InvalidOutput" && !hasStreamed && invalidAnswers(state, ended?.submission.id) < repairs
    ? reason
    : undefined

type NextModel = Extract<Step, { readonly _tag: "NextModel" }>

/**
 * Passes over a model that gave no answer, if the reason allows it. `fallbackOn` has no say in what Holdfast itself refuses
 * for one model, nor in a provider without a key behind the first model: nothing was sent.
 */
const passUnanswered = (
  plan: Plan,
  facts: Facts,
  { evidence, verdict: { reason } }: ProviderError
): NextModel | undefined => {
  const isForced = evidence === "NotSent" &&
    (reason._tag === "InvalidRequest" || (reason._tag === "ProviderNotConfigured" && facts.position > 0))
  return isForced || plan.fallbackOn.includes(reason._tag) ? passOver(plan, facts, reason) : undefined
}

/** Passes over a model, and over those behind it that cannot be asked. */
const passOver = (plan: Plan, facts: Facts, reason: Verdict["reason"]): NextModel | undefined => {
  const { hasStreamed, position, unusable } = facts
  const next = nextPosition(plan, facts)
  if (hasStreamed || next === undefined) return undefined
  const passed = [
    { model: candidateAt(plan, position).model, reason },
    ...unusableBetween(plan, unusable, position, next)
  ]
  return { _tag: "NextModel", passed, position: next }
}

/** The next candidate that can be asked. */
const nextPosition = ({ candidates }: Plan, { position, unusable }: Position): number | undefined => {
  const next = candidates.findIndex(({ model }, index) => index > position && !unusable.has(model))
  return next < 0 ? undefined : next
}

const unusableBetween = (
  { candidates }: Plan,
  unusable: Facts["unusable"],
  position: number,
  next: number
): ReadonlyArray<PassedOver> =>
  candidates.slice(position + 1, next).flatMap(({ model }) => {
    const error = unusable.get(model)
    return error === undefined ? [] : [{ model, reason: error.verdict.reason }]
  })

/** The word of `fallbackOn` for a submission's end: a job that was cancelled in its queue was queued for too long. */
const wordOf = (reason: Verdict["reason"], forFallback: boolean): string =>
  reason._tag === "JobCancelled" && forFallback ? "Queued" : reason._tag

/** Whether no job of the session but the named one may be running. */
const isFree = (state: SessionState, besides?: string): boolean =>
  jobsOf(state).every(({ id }) => id === besides) &&
  openSubmissions(state).every(({ id, sent }) => id === besides || sent.strategy !== "background")

const stopped = new JobCancelled({ message: "Nothing more was sent, because a cancel of the session was requested" })

/** Whether a session has no entry. */
export const isEmpty = (state: SessionState): boolean =>
  state.fingerprint === undefined && state.submissions.length === 0

/** The error of a run without a request that finds no job to wait for. */
export const nothingToResume = (state: SessionState): NonRetryableReason =>
  isEmpty(state)
    ? new SessionNotFound({ message: "There is no such session" })
    : new RequestNeeded({ message: "No job is known for the session; run it with its request" })

const unchecked = new RequestNeeded({
  message:
    "The answer has to be checked by the request's schema, and perhaps repaired; run the session with its request"
})

const anotherModelNeeded = ({ sent }: Submission, { _tag }: Verdict["reason"]): NonRetryableReason =>
  new RequestNeeded({
    message: `${sent.model} ended with ${_tag}, and another model is to be asked; run the session with its request`
  })

const uncertain = ({ id, sent }: Submission, error: ProviderError | undefined): NonRetryableReason => {
  const cause = error?.verdict.reason
  const message = "A submission was sent, and its outcome is not known"
  return new SubmissionUncertain({
    message: cause === undefined ? message : `${message}: ${cause.message}`.slice(0, maxMessageLength),
    submissionId: id,
    status: cause?.status,
    code: cause?.code,
    requestId: cause?.requestId,
    provider: sent.provider
  })
}

const endError = (verdict: Verdict): ProviderError => new ProviderError({ verdict, evidence: "Refused" })
