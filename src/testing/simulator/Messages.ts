/**
 * The Anthropic Messages API.
 *
 * @since 0.1.0
 */
import * as Answer from "./Answer.ts"
import { firstAt, isObject, type JsonObject, numberAt, objectAt, parse, promptOf, stringAt } from "./Json.ts"
import * as Progress from "./Progress.ts"
import * as ProviderErrors from "./ProviderErrors.ts"
import * as Reply from "./Reply.ts"
import type { JobAction } from "./Script.ts"
import * as Validation from "./Validation.ts"
import { accept, type Exchange, jobAction, recordOf, type World } from "./World.ts"

/**
 * Answers `POST /v1/messages`, streamed or not.
 *
 * @category combinators
 * @since 0.1.0
 */
export const create = (world: World, exchange: Exchange): Reply.Reply => {
  const { body, requestId } = exchange
  const wrong = Validation.anthropic(body, versionOf(exchange))
  if (wrong !== undefined) {
    return Reply.error(ProviderErrors.anthropic(400, "invalid_request_error", wrong, requestId))
  }
  const now = world.now()
  const action = jobAction(exchange)
  const id = world.random.id("msg_01", 22)
  const answer = answerOf(world, body, exchange.length, action)
  const end = now + (action?.durationMillis ?? world.settings.answerMillis)
  accept(world, exchange, {
    _tag: "Plain",
    id,
    record: recordOf(exchange, id, now, answer.outcome),
    progress: Progress.make(now, { queuedMillis: 0, durationMillis: end - now, polls: undefined, action: undefined }),
    prompt: promptOf(body["messages"]).slice(0, 2000),
    action
  })
  if (action?.outcome === "stuck-queued" || action?.outcome === "stuck-in-progress") return { _tag: "Never" }
  if (answer.outcome === "failed") {
    return Reply.error(ProviderErrors.anthropic(500, "api_error", answer.error.message, requestId))
  }
  const model = stringAt(body, "model") ?? ""
  if (body["stream"] !== true) return Reply.json(message(id, model, answer, "standard"), { dueAt: end })
  return {
    _tag: "Events",
    headers: {},
    source: Reply.spread(
      events(id, model, answer),
      { start: now, end },
      (error) => frame(isObject(error.body) ? { ...error.body, type: "error" } : { type: "error" })
    )
  }
}

/**
 * Returns the API version that a request asks for, or empty.
 *
 * @category combinators
 * @since 0.1.0
 */
export const versionOf = (exchange: Exchange): string => {
  const version = exchange.headers["anthropic-version"]
  return typeof version === "string" ? version : ""
}

/**
 * Decides the answer to the parameters of a message.
 *
 * @category constructors
 * @since 0.1.0
 */
export const answerOf = (
  world: World,
  params: JsonObject,
  length: number,
  action: JobAction | undefined
): Answer.Answer =>
  Answer.make({
    prompt: promptOf(params["messages"]),
    length,
    model: stringAt(params, "model") ?? "",
    maxTokens: numberAt(params, "max_tokens"),
    toolName: stringAt(firstAt(params, "tools"), "name"),
    action,
    answer: world.settings.answer,
    schema: objectAt(objectAt(params, "output_config"), "format")["schema"]
  })

/**
 * Creates a Message object.
 *
 * @category constructors
 * @since 0.1.0
 */
export const message = (
  id: string,
  model: string,
  answer: Answer.Answer,
  tier: "standard" | "batch"
): Record<string, unknown> => ({
  model: Answer.servedModel(model),
  id,
  type: "message",
  role: "assistant",
  content: contentOf(id, answer),
  stop_reason: stopReason(answer),
  stop_sequence: null,
  stop_details: stopDetails(answer),
  usage: usageOf(answer.tokens, answer.tokens?.output ?? 0, tier)
})

const contentOf = (id: string, answer: Answer.Answer): ReadonlyArray<Record<string, unknown>> => {
  const text = answer.chunks.join("")
  if (answer.outcome === "toolCall") {
    return [{ type: "tool_use", id: toolId(id), name: answer.tool.name, input: parse(answer.tool.arguments) ?? {} }]
  }
  return answer.outcome === "empty" || text === "" ? [] : [{ type: "text", text }]
}

const toolId = (id: string): string => id.replace("msg_", "toolu_")

const stopReason = (answer: Answer.Answer): string => {
  switch (answer.outcome) {
    case "incomplete":
      return answer.reason === "max_output_tokens" ? "max_tokens" : answer.reason
    case "toolCall":
      return "tool_use"
    case "refused":
      return "refusal"
    case "unknown-status":
      return answer.status
    default:
      return "end_turn"
  }
}

const stopDetails = (answer: Answer.Answer): Record<string, unknown> | null =>
  answer.outcome === "refused" ? { type: "refusal", category: null, explanation: null } : null

/** Here the input leaves out what came from the cache. */
const usageOf = (tokens: Answer.Tokens | null, output: number, tier: string): Record<string, unknown> => ({
  input_tokens: tokens === null ? 0 : tokens.input - tokens.cached,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: tokens?.cached ?? 0,
  cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
  output_tokens: output,
  output_tokens_details: { thinking_tokens: output === 0 ? 0 : tokens?.reasoning ?? 0 },
  service_tier: tier,
  inference_geo: "global"
})

const frame = (event: { readonly type: string; readonly [key: string]: unknown }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

const events = (id: string, model: string, answer: Answer.Answer): ReadonlyArray<string> => {
  const isTool = answer.outcome === "toolCall"
  const hasBlock = isTool || answer.chunks.length > 0
  const block = isTool
    ? { type: "tool_use", id: toolId(id), name: answer.tool.name, input: {} }
    : { type: "text", text: "" }
  const deltas = isTool
    ? [{ type: "input_json_delta", partial_json: answer.tool.arguments }]
    : answer.chunks.map((text) => ({ type: "text_delta", text }))
  const started = {
    ...message(id, model, answer, "standard"),
    content: [],
    stop_reason: null,
    stop_details: null,
    usage: usageOf(answer.tokens, 1, "standard")
  }
  return [
    frame({ type: "message_start", message: started }),
    ...(hasBlock ? [frame({ type: "content_block_start", index: 0, content_block: block })] : []),
    frame({ type: "ping" }),
    ...(hasBlock ? deltas.map((delta) => frame({ type: "content_block_delta", index: 0, delta })) : []),
    ...(hasBlock ? [frame({ type: "content_block_stop", index: 0 })] : []),
    frame({
      type: "message_delta",
      delta: { stop_reason: stopReason(answer), stop_sequence: null, stop_details: stopDetails(answer) },
      usage: usageOf(answer.tokens, answer.tokens?.output ?? 0, "standard")
    }),
    frame({ type: "message_stop" })
  ]
}
