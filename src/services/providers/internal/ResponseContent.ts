/**
 * What the output of a response holds: the answer's text, refusals and calls.
 */
import * as Equal from "effect/Equal"
import { type Fields, fieldsOf, itemsOf, textOf } from "./JsonBody.ts"
import type { Context, Ending } from "./OpenAiOutcome.ts"
import { callsOf } from "./ResponseCalls.ts"
import { distinct } from "./ResponseItems.ts"

type Content = Omit<Ending, "stopped">

/** Returns the content of a response's body, of which each output item counts once. Commentary is not part of the text. */
export const contentOf = (body: Fields, { provider }: Context): Content => {
  const output = distinct(itemsOf(body.output))
  let text = ""
  let refusal: string | undefined
  for (const { content, phase, role, type } of output) {
    if (type !== "message" || (role ?? "assistant") !== "assistant") continue
    for (const part of typeof content === "string" ? [{ type: "output_text", text: content }] : itemsOf(content)) {
      const fields = fieldsOf(part)
      if (fields.type === "refusal") refusal = (refusal ?? "") + textOf(fields.refusal)
      if (phase !== "commentary" && (fields.type === "output_text" || fields.type === "text")) {
        text += textOf(fields.text)
      }
    }
  }
  const toolCalls = callsOf(output, { provider, tools: body.tools })
  return { text, refusal, toolCalls, hasToolCalls: toolCalls.length > 0, hasOtherContent: output.some(isImage) }
}

/** Returns whether two bodies of one response hold the same answer. */
export const isSameAnswer = (one: Fields, other: Fields, context: Context): boolean =>
  Equal.equals(contentOf(one, context), contentOf(other, context))

const isImage = ({ status, type }: Fields): boolean => type === "image_generation_call" && status !== "failed"
