/**
 * Reads the texts of a chat message, or of a delta of one.
 */
import { type Fields, fieldsOf, itemsOf, textOf } from "./JsonBody.ts"

/** The texts of a message or a delta; empty where it has none. */
export interface Texts {
  /** Its `content`, without what the model thinks. */
  readonly text: string
  /** The words of its audio. */
  readonly transcript: string
  readonly reasoning: string
  readonly refusal: string
}

/**
 * Returns the texts of a message or a delta.
 *
 * `content` is a text or a list of parts: Mistral's reasoning models mix parts that think with parts of the answer.
 */
export const textsOf = (message: Fields): Texts => {
  const { audio, content } = message
  let text = textOf(content)
  let reasoning = textOf(message.reasoning_content) || textOf(message.reasoning)
  let refusal = textOf(message.refusal)
  for (const part of itemsOf(content)) {
    if (typeof part === "string") text += part
    const { refusal: refused, text: written, thinking, type } = fieldsOf(part)
    if (type === "text" || type === "output_text") text += textOf(written)
    if (type === "refusal") refusal += textOf(refused)
    if (type === "thinking") reasoning += thoughtOf(thinking)
  }
  return { text, transcript: textOf(fieldsOf(audio).transcript), reasoning, refusal }
}

const thoughtOf = (thinking: unknown): string =>
  textOf(thinking) || itemsOf(thinking).map((thought) => textOf(fieldsOf(thought).text)).join("")
