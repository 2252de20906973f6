/**
 * Whether a run may ask once more after an answer that will not do: the next
 * model, or the same one with what was wrong.
 */
import type { ProviderError, Verdict } from "../../errors/ProviderError.ts"
import { defaultFallbackReasons } from "../../services/ResponseRequest.ts"
import { jobsOf, openSubmissions, type SessionState, type Submission } from "../../services/Session.ts"
import type { Candidate, Run } from "./Run.ts"

/** Reasons for another model, unless the request names its own. */
const usualReasons: ReadonlySet<string> = new Set(defaultFallbackReasons)

/** Ends of a job that another job of the same model would not cure. */
const lastingEnds: ReadonlySet<string> = new Set([
  "ContextLengthExceeded",
  "ContentFiltered",
  "EmptyContent",
  "InvalidOutput",
  "Refusal",
  "Incomplete",
  "JobFailed"
])

/** Goes over to the next model that can be asked, if there is one and the reason allows it. */
export const passOver = (run: Run, reason: Verdict["reason"], word: string = reason._tag): boolean =>
  run.order !== undefined && isReason(run.order.request.fallbackOn, word) && moveOn(run, reason)

/**
 * Goes over from a model that could not be asked to the next one. Nothing was sent, so `fallbackOn` has no say in what
 * Holdfast itself refuses for one model, nor in a provider without a key behind the first model.
 */
export const passUnasked = (run: Run, { evidence, verdict: { reason } }: ProviderError): boolean => {
  const isForced = evidence === "NotSent" &&
    (reason._tag === "InvalidRequest" || (reason._tag === "ProviderNotConfigured" && run.candidate > 0))
  return isForced ? moveOn(run, reason) : passOver(run, reason)
}

const moveOn = (run: Run, reason: Verdict["reason"]): boolean => {
  const { asked, candidate, order, unusable } = run
  const next = nextOf(run)
  // What has been told of one answer cannot be taken back.
  if (order === undefined || asked === undefined || next === undefined || run.transcript?.hasContent === true) {
    return false
  }
  const between = order.candidates.slice(candidate + 1, next).flatMap(({ request: { model } }) => {
    const error = unusable.get(model)
    return error === undefined ? [] : [{ model, reason: error.verdict.reason }]
  })
  run.passedOver = [...run.passedOver, { model: asked.request.model, reason }, ...between]
  run.candidate = next
  run.fault = undefined
  return true
}

/** Which model would be asked after the one that is asked, if any. */
const nextOf = ({ candidate, order, unusable }: Run): number | undefined => {
  const next = order?.candidates.findIndex(({ request: { model } }, index) => index > candidate && !unusable.has(model))
  return next === -1 ? undefined : next
}

/** Whether jobs that wait in a queue for too long make the next model the better one. */
export const leavesQueues = (run: Run): boolean =>
  run.order !== undefined && nextOf(run) !== undefined && isReason(run.order.request.fallbackOn, "Queued")

/** The reasons for which the model after the one that is asked would be, if there is one. */
export const fallbackOf = (run: Run): ReadonlyArray<string> | undefined =>
  run.order === undefined || nextOf(run) === undefined
    ? undefined
    : run.order.request.fallbackOn ?? defaultFallbackReasons

/** The word of `fallbackOn` for a submission's end: a job that was cancelled in its queue was queued for too long. */
export const wordOf = (reason: Verdict["reason"], forFallback: boolean): string =>
  reason._tag === "JobCancelled" && forFallback ? "Queued" : reason._tag

/** Whether there is anything left to ask. */
export const hasMore = (run: Run): boolean =>
  run.order !== undefined && (nextOf(run) !== undefined || run.faults < (run.order.request.repair ?? 0))

/** Asks the same model again, with what does not fit, if the request allows it. */
export const sendBack = (run: Run, reason: Verdict["reason"]): boolean => {
  const { order } = run
  if (order === undefined || reason._tag !== "InvalidOutput" || run.transcript?.hasContent === true) return false
  if (run.faults >= (order.request.repair ?? 0)) return false
  run.fault = reason
  run.faults++
  return true
}

/** Whether no job of a session may be running but the one that is named: then another model may be asked. */
export const isFree = (state: SessionState, besides?: string): boolean =>
  jobsOf(state).every(({ id }) => id === besides) &&
  openSubmissions(state).every(({ sent }) => sent.strategy !== "background")

/** The last submission of a session, when it came to nothing and nothing has come after it. */
export const lastFailure = (state: SessionState): Submission | undefined => {
  const last = state.submissions.at(-1)
  return last?.closed !== undefined && last.accepted === undefined && state.settled === undefined &&
      jobsOf(state).length === 0 && openSubmissions(state).length === 0
    ? last
    : undefined
}

/** Whether somebody has asked for a stop while the run waits to ask once more. */
export const isGivenUp = (run: Run, state: SessionState): boolean => {
  const last = lastFailure(state)
  return last !== undefined && last.cancelRequested && run.mine.includes(last.id)
}

/** Passes over the models that have ended for good in this session, whoever asked them. */
export const skipSpent = (run: Run, state: SessionState): void => {
  run.faults = state.submissions.filter(({ closed }) => isEnd(closed, "InvalidOutput")).length
  while (run.asked !== undefined) {
    const spent = endOf(run, state, run.asked)
    if (
      spent === undefined || !passOver(run, spent.reason, spent.reason._tag === "JobCancelled" ? "Queued" : undefined)
    ) {
      return
    }
  }
}

/** Puts a run that finds a job to wait for where the run was that had sent it. */
export const catchUp = (run: Run, state: SessionState, { id, sent }: Submission): void => {
  if (run.mine.includes(id)) return
  const { order } = run
  if (order !== undefined) {
    skipSpent(run, state)
    const { asked, candidate } = run
    const { candidates, request } = order
    const known = candidates.findIndex(({ request: { model } }) => model === sent.model)
    if (known >= 0) run.candidate = Math.max(known, candidate)
    else {
      // A model that another call had named, between those that were asked and those that were not.
      const position = asked !== undefined && endOf(run, state, asked) === undefined ? candidate : candidate + 1
      const stranger: Candidate = { request: { ...request, model: sent.model }, strategy: sent.strategy }
      const [first = stranger, ...others] = candidates.toSpliced(position, 0, stranger)
      run.order = { request, candidates: [first, ...others] }
      run.candidate = position
    }
  }
  run.passedOver = passedOverFor(state, id)
}

/** The models that a session had asked before a submission, with what came of each. */
export const passedOverFor = (state: SessionState, id: string): Run["passedOver"] => {
  const position = state.submissions.findIndex((submission) => submission.id === id)
  const model = state.submissions[position]?.sent.model
  const reasons = new Map<string, Verdict["reason"]>()
  for (const { closed, sent } of state.submissions.slice(0, Math.max(position, 0))) {
    if (closed !== undefined && sent.model !== model) reasons.set(sent.model, closed.reason)
  }
  return Array.from(reasons, ([model, reason]) => ({ model, reason }))
}

/** How a model has ended for good in a session, if it has. */
const endOf = (run: Run, state: SessionState, { request: { model } }: Candidate): Submission["closed"] =>
  state.submissions.find(({ closed, forFallback, sent }) => {
    if (sent.model !== model || closed?._tag !== "Ended") return false
    const tag = closed.reason._tag
    if (tag === "JobCancelled") return forFallback === true
    return lastingEnds.has(tag) && (tag !== "InvalidOutput" || run.faults > (run.order?.request.repair ?? 0))
  })?.closed

const isEnd = (closed: Submission["closed"], tag: string): boolean =>
  closed?._tag === "Ended" && closed.reason._tag === tag

const isReason = (reasons: ReadonlyArray<string> | undefined, word: string): boolean =>
  reasons === undefined ? usualReasons.has(word) : reasons.includes(word)
