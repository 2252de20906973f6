/**
 * What the readers of streams share.
 *
 * @since 0.1.0
 */
import type { Outcome, StreamEvent } from "../../Provider.ts"

/**
 * Returns the text of an answer, also of one that failed after it was begun.
 *
 * @category combinators
 * @since 0.1.0
 */
export const contentOf = (outcome: Outcome): string => {
  if (outcome._tag === "Succeeded") return outcome.answer.content
  const { reason } = outcome.verdict
  return "content" in reason && typeof reason.content === "string" ? reason.content : ""
}

/**
 * Appends a piece of text, unless it is empty.
 *
 * @category combinators
 * @since 0.1.0
 */
export const pushText = (delta: string, out: Array<StreamEvent>): void => {
  if (delta !== "") out.push({ _tag: "Text", delta })
}
