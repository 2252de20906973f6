/**
 * Whether a run may ask once more after an answer that will not do: the next
 * model, or the same one with what was wrong.
 */
import type { Verdict } from "../../errors/ProviderError.ts"
import { defaultFallbackReasons } from "../../services/ResponseRequest.ts"
import type { SessionState, Submission } from "../../services/Session.ts"
import type { Run } from "./Run.ts"

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

/** Goes over to the next model, if there is one and the reason allows it. */
export const passOver = (run: Run, reason: Verdict["reason"], word: string = reason._tag): boolean => {
  const { asked, order } = run
  // What has been told of one answer cannot be taken back.
  if (order === undefined || asked === undefined || run.transcript?.hasContent === true) return false
  if (run.candidate + 1 >= order.candidates.length || !isReason(order.request.fallbackOn, word)) return false
  run.passedOver = [...run.passedOver, { model: asked.request.model, reason }]
  run.candidate++
  run.fault = undefined
  return true
}

/** Whether jobs that wait in a queue for too long make the next model the better one. */
export const leavesQueues = ({ candidate, order }: Run): boolean =>
  order !== undefined && candidate + 1 < order.candidates.length && isReason(order.request.fallbackOn, "Queued")

/** Asks the same model again, with what does not fit, if the request allows it. */
export const sendBack = (run: Run, reason: Verdict["reason"]): boolean => {
  const { order } = run
  if (order === undefined || reason._tag !== "InvalidOutput" || run.transcript?.hasContent === true) return false
  if (run.faults >= (order.request.repair ?? 0)) return false
  run.fault = reason
  run.faults++
  return true
}

/** Passes over the models that have ended for good in this session, whoever asked them. */
export const skipSpent = (run: Run, state: SessionState): void => {
  run.faults = state.submissions.filter(({ closed }) => isEnd(closed, "InvalidOutput")).length
  while (run.asked !== undefined) {
    const { model } = run.asked.request
    const spent = state.submissions.find(({ closed, sent }) =>
      sent.model === model && closed?._tag === "Ended" && lastingEnds.has(closed.reason._tag) &&
      (closed.reason._tag !== "InvalidOutput" || run.faults > (run.order?.request.repair ?? 0))
    )
    if (spent?.closed === undefined || !passOver(run, spent.closed.reason)) return
  }
}

const isEnd = (closed: Submission["closed"], tag: string): boolean =>
  closed?._tag === "Ended" && closed.reason._tag === tag

const isReason = (reasons: ReadonlyArray<string> | undefined, word: string): boolean =>
  reasons === undefined ? usualReasons.has(word) : reasons.includes(word)
