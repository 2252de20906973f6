/**
 * Reads what a message of a chat completion says, or a delta of one.
 */
import { type Fields, fieldsOf, itemsOf, textOf } from "./JsonBody.ts"

/** What a message or a delta says; empty where it says nothing. */
export interface Said {
  /** Its `content`, without what the model thinks. */
  readonly text: string
  /** The words of its audio. */
  readonly transcript: string
  readonly reasoning: string
  readonly refusal: string
}

/**
 * Returns what a message or a delta says.
 *
 * `content` is a text or a list of parts: Mistral's reasoning models mix parts that think with parts of the answer.
 */
export const saidBy = (message: Fields): Said => {
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
