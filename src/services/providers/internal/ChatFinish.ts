/**
 * Reads how a choice of a chat completion ended.
 */
import { type Fields, fieldsOf, textOf } from "./JsonBody.ts"

/**
 * How a choice ended. `Failed` is an upstream that died while the model wrote, `Unknown` a word that is not in the
 * table, `Absent` a choice that does not say.
 */
export type Kind = "Done" | "Limited" | "Filtered" | "Refused" | "Overloaded" | "Failed" | "Unknown" | "Absent"

/** How a choice ended, and the provider's word for it. */
export interface Finish {
  readonly kind: Kind
  readonly word: string
}

/**
 * Returns how a choice ended.
 *
 * The word is `finish_reason`, the `type` of a `finish_reason` that is an object (SGLang), the `type` of
 * `finish_details` (OpenAI's models of 2023), or `finishReason` (Gemini's endpoint in its first months). OpenRouter may
 * report an upstream that died as `stop`, with the cause in `native_finish_reason`.
 */
export const of = (choice: Fields): Finish => {
  const word = textOf(choice.finish_reason) || textOf(fieldsOf(choice.finish_reason).type) ||
    textOf(fieldsOf(choice.finish_details).type) || textOf(choice.finishReason)
  const kind = kindOf(word)
  const native = textOf(choice.native_finish_reason)
  return (kind === "Done" || kind === "Absent") && kindOf(native) === "Failed"
    ? { kind: "Failed", word: native }
    : { kind, word }
}

const kindOf = (word: string): Kind => {
  if (word === "") return "Absent"
  const name = word.toLowerCase().replaceAll("-", "_")
  // Gemini's endpoint writes `content_filter: SAFETY`.
  return name.startsWith("content_filter") ? "Filtered" : kinds.get(name) ?? "Unknown"
}

const words: ReadonlyArray<readonly [Kind, string]> = [
  // KoboldCpp writes the text `null`.
  ["Absent", "null none"],
  ["Done", "stop eos eos_token stop_sequence end_turn complete tool_calls tool_call tool_use function_call"],
  ["Limited", "length max_tokens max_output_tokens model_length model_context_window_exceeded error_limit"],
  ["Filtered", "sensitive safety recitation prohibited_content blocklist spii error_toxic guardrail_intervened"],
  // Claude's word, behind gateways.
  ["Refused", "refusal"],
  ["Overloaded", "insufficient_system_resource"],
  // vLLM, SGLang and MiniMax write `abort`, Z.AI `network_error`, OpenRouter and Mistral `error`, Cohere the last two.
  [
    "Failed",
    "error abort aborted cancel cancelled canceled interrupted failed failure network_error upstream_error " +
    "provider_error server_error internal_error internal_server_error engine_error timeout user_cancel"
  ]
]

const kinds: ReadonlyMap<string, Kind> = new Map(
  words.flatMap(([kind, names]) => names.split(" ").map((name) => [name, kind] as const))
)
