/**
 * What the providers check in a request, where it is cheap.
 *
 * @since 0.1.0
 */
import { isObject, type JsonObject, numberAt, stringAt } from "./Json.ts"
import * as ProviderErrors from "./ProviderErrors.ts"

/**
 * Returns the error for a request to an OpenAI API, or `undefined` when it is fine.
 *
 * **Details**
 *
 * Checked are: `model` and the field of the input are there; `max_output_tokens` is at least 16; `metadata` has at
 * most 16 pairs, with keys up to 64 and string values up to 512 characters.
 *
 * **Source**
 *
 * OpenAI, API reference, Create a model response: https://platform.openai.com/docs/api-reference/responses/create
 *
 * @category guards
 * @since 0.1.0
 */
export const openAi = (
  body: JsonObject,
  input: "input" | "messages",
  deployment: string
): ProviderErrors.ErrorReply | undefined => {
  if (deployment === "" && (stringAt(body, "model") ?? "") === "") return missing("model")
  const value = body[input]
  if (value === undefined || value === null || value === "") return missing(input)
  if (typeof value !== "string" && !Array.isArray(value)) {
    return invalid(`Invalid type for '${input}'.`, input, "invalid_type")
  }
  if (input === "messages" && value.length === 0) {
    return invalid("Invalid 'messages': empty array.", input, "empty_array")
  }
  const limit = numberAt(body, "max_output_tokens")
  if (limit !== undefined && limit < 16) {
    return invalid(
      `Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got ${limit} instead.`,
      "max_output_tokens",
      "integer_below_min_value"
    )
  }
  return metadata(body["metadata"])
}

/**
 * Returns the error for the parameters of an Anthropic message, or `undefined` when they are fine.
 *
 * **Details**
 *
 * Checked are: `model`, `messages` and a positive `max_tokens` are there; from version 2026-10-21 on, that
 * `temperature`, `top_p` and `top_k` are not.
 *
 * **Source**
 *
 * Anthropic, Migrating to 2026-10-21: https://platform.claude.com/docs/en/api/migration-2026-10-21
 *
 * @category guards
 * @since 0.1.0
 */
export const anthropic = (body: JsonObject, version: string): string | undefined => {
  if ((stringAt(body, "model") ?? "") === "") return "model: Field required"
  if ((numberAt(body, "max_tokens") ?? 0) < 1) return "max_tokens: Field required"
  const messages = body["messages"]
  if (!Array.isArray(messages)) return "messages: Field required"
  if (messages.length === 0) return "messages: at least one message is required"
  if (version < "2026-10-21") return undefined
  const removed = ["temperature", "top_p", "top_k"].find((name) => body[name] !== undefined)
  return removed === undefined ? undefined : `${removed}: Extra inputs are not permitted`
}

const missing = (param: string) =>
  invalid(`Missing required parameter: '${param}'.`, param, "missing_required_parameter")

const invalid = (message: string, param: string, code: string): ProviderErrors.ErrorReply =>
  ProviderErrors.openAi(400, { message, type: "invalid_request_error", param, code })

const metadata = (value: unknown): ProviderErrors.ErrorReply | undefined => {
  if (value === undefined || value === null) return undefined
  if (!isObject(value)) return invalid("Invalid type for 'metadata'.", "metadata", "invalid_type")
  const pairs = Object.entries(value)
  if (pairs.length > 16) {
    return invalid("Invalid 'metadata': too many properties.", "metadata", "object_above_max_properties")
  }
  const bad = pairs.find(([key, text]) => key.length > 64 || typeof text !== "string" || text.length > 512)
  return bad === undefined
    ? undefined
    : invalid(`Invalid 'metadata.${bad[0].slice(0, 64)}'.`, "metadata", "invalid_type")
}
