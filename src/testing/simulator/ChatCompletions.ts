/**
 * The OpenAI Chat Completions API.
 *
 * @since 0.1.0
 */
import * as Answer from "./Answer.ts"
import { firstAt, numberAt, objectAt, promptOf, stringAt } from "./Json.ts"
import * as Progress from "./Progress.ts"
import * as ProviderErrors from "./ProviderErrors.ts"
import * as Reply from "./Reply.ts"
import * as Validation from "./Validation.ts"
import { accept, type Exchange, jobAction, recordOf, type World } from "./World.ts"

/**
 * Answers `POST /chat/completions`, streamed or not.
 *
 * @category combinators
 * @since 0.1.0
 */
export const create = (world: World, exchange: Exchange): Reply.Reply => {
  const { body } = exchange
  const wrong = Validation.openAi(body, "messages", exchange.deployment)
  if (wrong !== undefined) return Reply.error(wrong)
  const now = world.now()
  const action = jobAction(exchange)
  const id = world.random.id("chatcmpl-", 29)
  const model = stringAt(body, "model") ?? exchange.deployment
  const prompt = promptOf(body["messages"])
  const answer = Answer.make({
    prompt,
    length: exchange.length,
    model,
    maxTokens: numberAt(body, "max_completion_tokens") ?? numberAt(body, "max_tokens"),
    toolName: stringAt(objectAt(firstAt(body, "tools"), "function"), "name"),
    action,
    answer: world.settings.answer,
    schema: objectAt(objectAt(body, "response_format"), "json_schema")["schema"]
  })
  const end = now + (action?.durationMillis ?? world.settings.answerMillis)
  accept(world, exchange, {
    _tag: "Plain",
    id,
    record: recordOf(exchange, id, now, answer.outcome),
    progress: Progress.make(now, { queuedMillis: 0, durationMillis: end - now, polls: undefined, action: undefined }),
    prompt: prompt.slice(0, 2000),
    action
  })
  if (action?.outcome === "stuck-queued" || action?.outcome === "stuck-in-progress") return { _tag: "Never" }
  if (answer.outcome === "failed") {
    return Reply.error(ProviderErrors.openAi(500, { ...answer.error, type: "server_error" }))
  }
  const facts: Facts = {
    id,
    created: Math.floor(now / 1000),
    model: Answer.servedModel(model),
    answer,
    callId: world.random.id("call_", 24)
  }
  if (body["stream"] !== true) return Reply.json(completion(facts), { dueAt: end })
  const frames = chunks(facts, objectAt(body, "stream_options")["include_usage"] === true)
  return {
    _tag: "Events",
    headers: {},
    source: Reply.spread(frames, { start: now, end }, (error) => `data: ${JSON.stringify(error.body)}\n\n`)
  }
}

interface Facts {
  readonly id: string
  readonly created: number
  readonly model: string
  readonly answer: Answer.Answer
  readonly callId: string
}

const finishReason = (answer: Answer.Answer): string => {
  switch (answer.outcome) {
    case "incomplete":
      return answer.reason === "content_filter" ? "content_filter" : "length"
    case "toolCall":
      return "tool_calls"
    case "unknown-status":
      return answer.status
    default:
      return "stop"
  }
}

const toolCall = (facts: Facts): Record<string, unknown> => ({
  id: facts.callId,
  type: "function",
  function: { name: facts.answer.tool.name, arguments: facts.answer.tool.arguments }
})

const completion = (facts: Facts): Record<string, unknown> => {
  const { answer } = facts
  const text = answer.chunks.join("")
  const isRefusal = answer.outcome === "refused"
  return {
    id: facts.id,
    object: "chat.completion",
    created: facts.created,
    model: facts.model,
    choices: [{
      index: 0,
      message: {
        role: "assistant",
        content: isRefusal || answer.outcome === "toolCall" ? null : text,
        refusal: isRefusal ? text : null,
        annotations: [],
        ...(answer.outcome === "toolCall" ? { tool_calls: [toolCall(facts)] } : {})
      },
      logprobs: null,
      finish_reason: finishReason(answer)
    }],
    ...(answer.tokens === null ? {} : { usage: usageOf(answer.tokens) }),
    service_tier: "default",
    system_fingerprint: "fp_simulated"
  }
}

const chunks = (facts: Facts, isUsageIncluded: boolean): ReadonlyArray<string> => {
  const { answer } = facts
  const frame = (choices: ReadonlyArray<unknown>, usage: unknown) =>
    `data: ${
      JSON.stringify({
        id: facts.id,
        object: "chat.completion.chunk",
        created: facts.created,
        model: facts.model,
        service_tier: "default",
        system_fingerprint: "fp_simulated",
        choices,
        ...(isUsageIncluded ? { usage } : {})
      })
    }\n\n`
  const delta = (value: unknown, finish: string | null = null) =>
    frame([{ index: 0, delta: value, logprobs: null, finish_reason: finish }], null)
  const isRefusal = answer.outcome === "refused"
  const isTool = answer.outcome === "toolCall"
  return [
    delta({
      role: "assistant",
      content: isRefusal || isTool ? null : "",
      ...(isTool ? { tool_calls: [{ index: 0, ...toolCall(facts) }] } : {}),
      refusal: isRefusal ? "" : null
    }),
    ...answer.chunks.map((text) => delta(isRefusal ? { refusal: text } : { content: text })),
    delta({}, finishReason(answer)),
    ...(isUsageIncluded && answer.tokens !== null ? [frame([], usageOf(answer.tokens))] : []),
    "data: [DONE]\n\n"
  ]
}

const usageOf = (tokens: Answer.Tokens): Record<string, unknown> => ({
  prompt_tokens: tokens.input,
  completion_tokens: tokens.output,
  total_tokens: tokens.input + tokens.output,
  prompt_tokens_details: { cached_tokens: tokens.cached, audio_tokens: 0 },
  completion_tokens_details: {
    reasoning_tokens: tokens.reasoning,
    audio_tokens: 0,
    accepted_prediction_tokens: 0,
    rejected_prediction_tokens: 0
  }
})
