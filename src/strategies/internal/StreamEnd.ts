/**
 * Decides what the end of a stream means: for a held call what its answer is, for a background job whether the end can
 * be believed before the job was polled.
 *
 * The rules are the same for every wire protocol. What was emitted to watchers cannot be taken back, so no answer of a
 * held call differs from it. A job can be asked again, so a stream alone never ends it badly.
 */
import * as Equal from "effect/Equal"
import { ContentFiltered, Incomplete, JobCancelled, type NonRetryableReason, Refusal } from "../../errors/Reason.ts"
import { Answer } from "../../services/LlmResponse.ts"
import type { Outcome } from "../../services/Provider.ts"

/** What a stream has emitted of one answer. */
export interface Emitted {
  readonly text: string
  readonly hasToolCalls: boolean
  /** The model that was asked, for an answer whose end names none. */
  readonly model: string
}

/**
 * Returns the outcome of a held call.
 *
 * | the end, compared with the emitted text | the answer |
 * | --- | --- |
 * | the same, or more | the end's; the rest is emitted |
 * | less, or another text | the emitted text |
 * | no content, although text or a call was emitted | what was emitted |
 *
 * The partial text of a failure follows the same table.
 */
export const ofHeldCall = (emitted: Emitted, outcome: Outcome): Outcome => {
  const { text } = emitted
  if (outcome._tag === "Succeeded") {
    const { answer } = outcome
    return answer.content.startsWith(text)
      ? outcome
      : { ...outcome, answer: new Answer({ ...answer, content: text }) }
  }
  const { verdict } = outcome
  if (verdict._tag === "Retryable") return outcome
  const { reason } = verdict
  if (reason._tag === "EmptyContent" && hasContent(emitted)) {
    const { ignoredBackground } = outcome
    const answer = new Answer({
      content: text,
      finishReason: emitted.hasToolCalls ? "tool-calls" : "stop",
      response: {},
      model: emitted.model,
      ...(reason.usage === undefined ? undefined : { usage: reason.usage })
    })
    return { _tag: "Succeeded", answer, ...(ignoredBackground === undefined ? undefined : { ignoredBackground }) }
  }
  return { ...outcome, verdict: { ...verdict, reason: withText(reason, text) } }
}

/** The end of a job that only its stream has reported. */
export type StreamedEnd =
  | { readonly _tag: "Certain"; readonly outcome: Outcome }
  /** The job is polled before this becomes its end. */
  | { readonly _tag: "Hint"; readonly outcome: Outcome }

/**
 * Returns whether a job has ended as its stream says.
 *
 * Only a success that agrees with the emitted text is certain. A failure, a cut answer, an empty one and a contradiction
 * are hints: gateways invent them when their own connection breaks, while the job goes on. So is an end whose last event
 * left out what the stream had emitted (`isDisputed`).
 */
export const ofJob = (emitted: Emitted, outcome: Outcome, isDisputed: boolean): StreamedEnd => {
  const merged = ofHeldCall(emitted, outcome)
  if (outcome._tag === "Failed" || isDisputed) return { _tag: "Hint", outcome: merged }
  const { content } = outcome.answer
  return content.startsWith(emitted.text) || isSameJson(content, emitted.text)
    ? { _tag: "Certain", outcome: merged }
    : { _tag: "Hint", outcome: merged }
}

/** What polls and the stream have said of a job's end before. */
export interface Known {
  /** The end that the stream reported. */
  readonly hint: Outcome | undefined
  /** Whether a poll has found the job completed without content before. */
  readonly isEmpty: boolean
}

/**
 * Returns the end of a job that a poll has found ended; `undefined` when it is to be polled once more.
 *
 * The polled end decides. A job that is completed without content is polled once more, as some servers write the output
 * later than the status; when it stays empty, an answer that its stream emitted is the end.
 */
export const ofPoll = (polled: Outcome, { hint, isEmpty }: Known): Outcome | undefined => {
  if (!isEmptyContent(polled)) return polled
  if (!isEmpty) return undefined
  return hint?._tag === "Succeeded" ? hint : polled
}

const isEmptyContent = (outcome: Outcome): boolean =>
  outcome._tag === "Failed" && outcome.verdict.reason._tag === "EmptyContent"

const hasContent = ({ hasToolCalls, text }: Emitted): boolean => hasToolCalls || text.trim() !== ""

const withText = (reason: NonRetryableReason, text: string): NonRetryableReason => {
  if (!("content" in reason) || text === "" || (reason.content ?? "").startsWith(text)) return reason
  const { message } = reason
  switch (reason._tag) {
    case "Incomplete":
      return new Incomplete({ ...reason, message, content: text })
    case "ContentFiltered":
      return new ContentFiltered({ ...reason, message, content: text })
    case "JobCancelled":
      return new JobCancelled({ ...reason, message, content: text })
    case "Refusal":
      return new Refusal({ ...reason, message, content: text })
    default:
      return reason
  }
}

const isSameJson = (one: string, other: string): boolean => {
  try {
    return Equal.equals(JSON.parse(one), JSON.parse(other))
  } catch {
    return false
  }
}
