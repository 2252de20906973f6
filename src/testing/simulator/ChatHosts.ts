/**
 * Chat completions as hosts and gateways were seen to write them.
 *
 * @since 0.1.0
 */
import * as HostFault from "./HostFault.ts"
import { firstAt, isObject, type JsonObject, objectAt, stringAt } from "./Json.ts"

type Actions = ReadonlyArray<{ readonly _tag: string }>
type UsageAs = Extract<HostFault.HostFault, { readonly _tag: "UsageAs" }>

/**
 * Returns a completion as the host of a script writes it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const completion = (actions: Actions, body: JsonObject): JsonObject => {
  const choice = firstAt(body, "choices")
  const message = objectAt(choice, "message")
  const calls = callsOf(actions, message["tool_calls"])
  const written = { ...choice, message: { ...message, ...(calls.length > 0 ? { tool_calls: calls } : {}) } }
  return withUsage(actions, { ...body, choices: [written] }, true)
}

/**
 * Returns what the host of a script makes of each chunk of a stream, in order.
 *
 * @category constructors
 * @since 0.1.0
 */
export const chunks = (actions: Actions): (chunk: JsonObject) => ReadonlyArray<JsonObject> => {
  const cumulative = HostFault.find(actions, "Cumulative")
  const usageAs = HostFault.find(actions, "UsageAs")
  let told = ""
  let finished: JsonObject | undefined
  const withMessage = (chunk: JsonObject): JsonObject => {
    const choice = firstAt(chunk, "choices")
    if (cumulative === undefined || choice["delta"] === undefined) return chunk
    const delta = objectAt(choice, "delta")
    const piece = stringAt(delta, "content") ?? ""
    told += piece
    const content = cumulative.message === "whole" ? told : delta["content"] ?? null
    return { ...chunk, choices: [{ ...choice, message: { ...delta, role: "assistant", content } }] }
  }
  return (chunk) => {
    const choice = firstAt(chunk, "choices")
    const calls = callsOf(actions, objectAt(choice, "delta")["tool_calls"])
    const written = calls.length > 0
      ? calls.flatMap(piecesOf).map((call) => ({
        ...chunk,
        choices: [{ ...choice, delta: { role: "assistant", content: null, tool_calls: [call] } }]
      }))
      : [withMessage(chunk)]
    if (usageAs?.host !== "choice") return written.map((one) => withUsage(actions, one, false))
    // The chunk that ends the choice waits for its usage.
    if (choice["finish_reason"] !== undefined && choice["finish_reason"] !== null) {
      finished = written[0]
      return []
    }
    if (finished === undefined || !isObject(chunk["usage"])) return written
    const { usage: _, ...last } = finished
    return [{ ...last, choices: [{ ...firstAt(last, "choices"), usage: chunk["usage"] }] }]
  }
}

/**
 * Returns the cost of a script in xAI's unit.
 *
 * @category combinators
 * @since 0.1.0
 */
export const ticksOf = ({ usd = 0.001 }: UsageAs): number => Math.round(usd * 1e10)

/** The one call of an answer, as often as the script wants it; none without a script. */
const callsOf = (actions: Actions, calls: unknown): ReadonlyArray<JsonObject> => {
  const script = HostFault.find(actions, "ToolCalls")
  const call: unknown = Array.isArray(calls) ? calls[0] : undefined
  if (script === undefined || !isObject(call)) return []
  const { index: _, ...rest } = call
  return Array.from({ length: script.calls ?? 2 }, (_, number) => ({
    ...(script.index === "none"
      ? {}
      : { index: script.index === "own" ? number : script.index === "zero" ? 0 : null }),
    ...rest,
    id: `${String(rest["id"])}_${number}`
  }))
}

/** A call with half of its arguments, and the other half, which carries no id. */
const piecesOf = (call: JsonObject): ReadonlyArray<JsonObject> => {
  const { id: _id, type: _type, ...rest } = call
  const { arguments: _arguments, ...named } = objectAt(call, "function")
  const text = stringAt(objectAt(call, "function"), "arguments") ?? ""
  const half = text.length >> 1
  return [
    { ...call, function: { ...named, arguments: text.slice(0, half) } },
    { ...rest, function: { arguments: text.slice(half) } }
  ]
}

const withUsage = (actions: Actions, body: JsonObject, isPlain: boolean): JsonObject => {
  const usageAs = HostFault.find(actions, "UsageAs")
  const { usage } = body
  if (usageAs === undefined || !isObject(usage)) return body
  if (usageAs.host !== "choice") return { ...body, usage: usageOf(usageAs, usage) }
  const { usage: _, ...rest } = body
  return isPlain ? { ...rest, choices: [{ ...firstAt(body, "choices"), usage }] } : body
}

const usageOf = (usageAs: UsageAs, usage: JsonObject): JsonObject => {
  const { usd = 0.001 } = usageAs
  const { prompt_tokens_details: details, ...rest } = usage
  const cached = objectAt(usage, "prompt_tokens_details")["cached_tokens"] ?? 0
  switch (usageAs.host) {
    case "mistral":
      return { ...rest, num_cached_tokens: cached }
    case "moonshot":
      return { ...rest, cached_tokens: cached }
    case "litellm":
      return {
        ...rest,
        prompt_tokens_details: details,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: cached
      }
    case "openrouter":
      return { ...usage, cost: usd }
    case "perplexity":
      return { ...usage, search_context_size: "low", cost: { request_cost: usd, total_cost: usd } }
    case "xai":
      return { ...usage, cost_in_usd_ticks: ticksOf(usageAs) }
    case "choice":
      return usage
  }
}
