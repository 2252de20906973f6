/**
 * Gemini's Interactions API, without streams.
 *
 * @since 0.1.0
 */
import * as Answer from "./Answer.ts"
import { firstAt, isObject, type JsonObject, numberAt, objectAt, parse, stringAt } from "./Json.ts"
import * as Progress from "./Progress.ts"
import * as ProviderErrors from "./ProviderErrors.ts"
import * as Reply from "./Reply.ts"
import { accept, type Exchange, type InteractionJob, isExpired, jobAction, recordOf, type World } from "./World.ts"

/**
 * Answers `POST /v1beta/interactions`: in the background, or at once.
 *
 * @category combinators
 * @since 0.1.0
 */
export const create = (world: World, exchange: Exchange): Reply.Reply => {
  const { body } = exchange
  if (askedOf(body) === "") return invalid("Either 'model' or 'agent' must be set.")
  if (promptOf(body["input"]) === "") return invalid("'input' must not be empty.")
  if (body["stream"] === true) return invalid("The simulator does not stream interactions.")
  const isBackground = body["background"] === true &&
    !exchange.actions.some((action) => action._tag === "IgnoreBackground")
  if (isBackground && body["store"] === false) return invalid("store=false cannot be used with background=true.")
  const job = accept(world, exchange, makeJob(world, exchange, isBackground))
  const now = world.now()
  if (isBackground) return Reply.json(bodyAt(job, now, false))
  if (job.progress.stuck !== undefined) return { _tag: "Never" }
  const { endsAt } = job.progress
  return Reply.json(bodyAt(job, Math.max(now, endsAt), false), { dueAt: endsAt })
}

/**
 * Answers `GET /v1beta/interactions/{id}`. Its steps begin with the input.
 *
 * @category combinators
 * @since 0.1.0
 */
export const retrieve = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound
  job.record.polls++
  job.progress.polled++
  return Reply.json(bodyAt(job, world.now(), true))
}

/**
 * Answers `POST /v1beta/interactions/{id}/cancel`; only what still runs can be cancelled.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cancel = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound
  const now = world.now()
  job.record.cancels++
  return Progress.cancel(job.progress, now)
    ? Reply.json(bodyAt(job, now, true))
    : invalid("Only a background interaction that is in progress can be cancelled.")
}

/**
 * Answers `DELETE /v1beta/interactions/{id}`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const remove = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound
  job.record.deletes++
  return Reply.json({})
}

/**
 * Returns the status of an interaction at `now`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const statusAt = (job: InteractionJob, now: number): string => {
  switch (Progress.phase(job.progress, now)) {
    case "queued":
      return "queued"
    case "running":
      return "in_progress"
    case "cancelled":
      return "cancelled"
    case "ended":
      return finalStatus(job.answer)
  }
}

const finalStatus = (answer: Answer.Answer): string => {
  switch (answer.outcome) {
    case "failed":
    case "cancelled":
      return answer.outcome
    case "incomplete":
      return answer.reason === "max_output_tokens" ? "incomplete" : answer.reason
    case "toolCall":
      return "requires_action"
    case "unknown-status":
      return answer.status
    case "completed":
    case "refused":
    case "empty":
      return "completed"
  }
}

const makeJob = (world: World, exchange: Exchange, isBackground: boolean): InteractionJob => {
  const { body } = exchange
  const { settings } = world
  const now = world.now()
  const action = jobAction(exchange)
  const model = askedOf(body)
  const prompt = promptOf(body["input"])
  const id = world.random.id("v1_", 60)
  return {
    _tag: "Interaction",
    id,
    record: recordOf(exchange, id, now, isBackground ? "in_progress" : "completed"),
    progress: Progress.make(now, {
      queuedMillis: isBackground ? settings.queuedMillis : 0,
      durationMillis: isBackground ? settings.jobMillis : settings.answerMillis,
      polls: isBackground ? settings.completeAfterPolls : undefined,
      action: isBackground ? action : action && { ...action, polls: undefined }
    }),
    prompt: prompt.slice(0, 2000),
    action,
    request: body,
    model,
    callId: world.random.id("", 8),
    answer: Answer.make({
      prompt,
      length: exchange.length,
      model,
      maxTokens: numberAt(objectAt(body, "generation_config"), "max_output_tokens"),
      toolName: stringAt(firstAt(body, "tools"), "name"),
      action,
      answer: settings.answer,
      schema: objectAt(body, "response_format")["schema"]
    })
  }
}

const askedOf = (body: JsonObject): string => stringAt(body, "model") ?? stringAt(body, "agent") ?? ""

/** The text of the last turn: of a string, of contents, or of steps. */
const promptOf = (input: unknown): string => {
  if (typeof input === "string") return input
  if (isObject(input)) return promptOf([input])
  if (!Array.isArray(input)) return ""
  const steps = input.filter(isObject)
  const last = steps.findLast((step) => step["type"] === "user_input")
  if (last !== undefined) return promptOf(last["content"])
  return steps.map((content) => stringAt(content, "text") ?? `(${stringAt(content, "type") ?? ""})`).join("\n")
}

const find = (world: World, exchange: Exchange): InteractionJob | undefined => {
  const job = world.jobs.get(exchange.id)
  if (job?._tag !== "Interaction" || job.record.deletes > 0 || job.request["store"] === false) return undefined
  return isExpired(world, job) ? undefined : job
}

const notFound: Reply.Reply = Reply.error(ProviderErrors.gemini(404, "Requested entity was not found.", "not_found"))

const invalid = (message: string): Reply.Reply => Reply.error(ProviderErrors.gemini(400, message))

const bodyAt = (job: InteractionJob, now: number, withInput: boolean): Record<string, unknown> => {
  const status = statusAt(job, now)
  const { answer, progress, request } = job
  const hasEnded = status !== "queued" && status !== "in_progress"
  const system = stringAt(request, "system_instruction")
  return {
    id: job.id,
    object: "interaction",
    status,
    [stringAt(request, "model") === undefined ? "agent" : "model"]: job.model,
    created: timestamp(progress.createdAt),
    updated: timestamp(progress.endedAt ?? progress.cancelledAt ?? now),
    ...(system === undefined ? {} : { system_instruction: system }),
    ...(status === "failed" ? { errors: [answer.error] } : {}),
    steps: [
      ...(withInput ? [{ type: "user_input", content: [{ type: "text", text: job.prompt }] }] : []),
      ...(hasEnded && status !== "cancelled" ? stepsOf(job) : [])
    ],
    ...(hasEnded && answer.tokens !== null ? { usage: usageOf(answer.tokens) } : {})
  }
}

const timestamp = (millis: number): string => new Date(millis).toISOString().replace(/\.\d+Z$/, "Z")

const stepsOf = ({ answer, callId }: InteractionJob): ReadonlyArray<JsonObject> => {
  const text = answer.chunks.join("")
  return [
    { type: "thought", signature: "c2ltdWxhdGVk", summary: [{ type: "text", text: "I think about it." }] },
    ...(text === "" || answer.outcome === "empty" ? [] : [{ type: "model_output", content: [{ type: "text", text }] }]),
    ...(answer.outcome === "toolCall"
      ? [{ type: "function_call", id: callId, name: answer.tool.name, arguments: parse(answer.tool.arguments) ?? {} }]
      : [])
  ]
}

const usageOf = ({ cached, input, output, reasoning }: Answer.Tokens): JsonObject => ({
  total_input_tokens: input,
  total_cached_tokens: cached,
  total_output_tokens: output - reasoning,
  total_thought_tokens: reasoning,
  total_tool_use_tokens: 0,
  total_tokens: input + output
})
