/**
 * The OpenAI Responses API.
 *
 * @since 0.1.0
 */
import * as Answer from "./Answer.ts"
import * as AsHosts from "./AsHosts.ts"
import { isObject, numberAt, objectAt, promptOf, stringAt } from "./Json.ts"
import * as Progress from "./Progress.ts"
import * as ProviderErrors from "./ProviderErrors.ts"
import * as Reply from "./Reply.ts"
import * as ResponseBody from "./ResponseBody.ts"
import * as ResponseEvents from "./ResponseEvents.ts"
import * as Validation from "./Validation.ts"
import { accept, type Exchange, isExpired, jobAction, recordOf, type ResponseJob, type World } from "./World.ts"

/**
 * Answers `POST /responses`: in the background, streamed, or at once.
 *
 * @category combinators
 * @since 0.1.0
 */
export const create = (world: World, exchange: Exchange): Reply.Reply => {
  const { body } = exchange
  const wrong = Validation.openAi(body, "input", exchange.deployment)
  if (wrong !== undefined) return Reply.error(wrong)
  const previous = stringAt(body, "previous_response_id")
  if (previous !== undefined && world.jobs.get(previous)?._tag !== "Response") {
    return Reply.error(ProviderErrors.openAi(400, {
      message: `Previous response with id '${previous}' not found.`,
      type: "invalid_request_error",
      param: "previous_response_id",
      code: "previous_response_not_found"
    }))
  }
  const job = accept(world, exchange, makeJob(world, exchange))
  const now = world.now()
  if (body["stream"] === true) {
    return { _tag: "Events", headers: {}, source: ResponseEvents.source(job, -1) }
  }
  if (job.isBackground) return Reply.json(ResponseBody.make(job, "queued", undefined))
  if (job.progress.stuck !== undefined) return { _tag: "Never" }
  const { endsAt } = job.progress
  return Reply.json(ResponseBody.make(job, ResponseBody.finalStatus(job), endsAt), { dueAt: Math.max(now, endsAt) })
}

/**
 * Answers `GET /responses/{id}`, streamed or not.
 *
 * @category combinators
 * @since 0.1.0
 */
export const retrieve = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound(exchange)
  const now = world.now()
  const isStream = exchange.call.endpoint === "responses.stream"
  if (isStream && now - job.progress.createdAt >= world.settings.streamWindowMillis) return streamClosed(exchange)
  // The stream of a cancelled job does not say so.
  const isSaid = isStream || job.answer.outcome !== "cancelled" && job.progress.cancelledAt === undefined
  if (isSaid && AsHosts.isStreamed(exchange)) {
    const after = exchange.call.startingAfter
    if (isStream) job.record.streams = [...job.record.streams, { at: now, startingAfter: after }]
    else job.record.polls++
    return { _tag: "Events", headers: {}, source: ResponseEvents.source(job, after ?? -1) }
  }
  job.record.polls++
  job.progress.polled++
  const phase = Progress.phase(job.progress, now)
  const hint = world.settings.pollHintMillis
  const isPending = phase === "queued" || phase === "running"
  return Reply.json(bodyAt(job, phase), {
    headers: isPending && hint !== undefined ? { "openai-poll-after-ms": String(hint) } : {}
  })
}

/**
 * Answers `POST /responses/{id}/cancel`: a job that has ended is returned as it is.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cancel = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound(exchange)
  job.record.cancels++
  if (!job.isBackground) {
    return Reply.error(ProviderErrors.openAi(400, {
      message: "Cannot cancel a synchronous response.",
      type: "invalid_request_error"
    }))
  }
  const now = world.now()
  Progress.cancel(job.progress, now)
  return Reply.json(bodyAt(job, Progress.phase(job.progress, now)))
}

/**
 * Answers `DELETE /responses/{id}`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const remove = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound(exchange)
  job.record.deletes++
  return Reply.json({ id: job.id, object: "response.deleted", deleted: true })
}

/**
 * Returns the status of a job at `now`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const statusAt = (job: ResponseJob, now: number): string => statusOf(job, Progress.phase(job.progress, now))

const makeJob = (world: World, exchange: Exchange): ResponseJob => {
  const { body } = exchange
  const { settings } = world
  const { input: _, ...request } = body
  const now = world.now()
  const action = jobAction(exchange)
  const isBackground = body["background"] === true &&
    !exchange.actions.some((one) => one._tag === "IgnoreBackground")
  const model = stringAt(body, "model") ?? exchange.deployment
  const tools: unknown = body["tools"]
  const tool: unknown = Array.isArray(tools)
    ? tools.find((one) => isObject(one) && one["type"] === "function")
    : undefined
  const prompt = promptOf(body["input"])
  const id = world.random.id("resp_", 50)
  return {
    _tag: "Response",
    id,
    record: recordOf(exchange, id, now, isBackground ? "queued" : "in_progress"),
    progress: Progress.make(now, {
      queuedMillis: isBackground ? settings.queuedMillis : 0,
      durationMillis: isBackground ? settings.jobMillis : settings.answerMillis,
      polls: isBackground ? settings.completeAfterPolls : undefined,
      action: isBackground ? action : action && { ...action, polls: undefined, durationMillis: action.durationMillis }
    }),
    prompt: prompt.slice(0, 2000),
    action,
    request,
    model,
    itemId: world.random.id(action?.outcome === "toolCall" ? "fc_" : "msg_", 50),
    reasoningId: world.random.id("rs_", 50),
    callId: world.random.id("call_", 24),
    answer: Answer.make({
      prompt,
      length: exchange.length,
      model,
      maxTokens: numberAt(body, "max_output_tokens"),
      toolName: isObject(tool) ? stringAt(tool, "name") : undefined,
      action,
      answer: settings.answer,
      schema: objectAt(objectAt(body, "text"), "format")["schema"]
    }),
    isBackground,
    // A host that ignores `background` keeps nothing either.
    isStored: isBackground || (body["background"] !== true && body["store"] !== false)
  }
}

const find = (world: World, exchange: Exchange): ResponseJob | undefined => {
  const job = world.jobs.get(exchange.id)
  if (job?._tag !== "Response" || job.record.deletes > 0 || !job.isStored) return undefined
  return isExpired(world, job) ? undefined : job
}

const notFound = (exchange: Exchange): Reply.Reply =>
  Reply.error(ProviderErrors.openAi(404, {
    message: `Response with id '${exchange.id}' not found.`,
    type: "invalid_request_error"
  }))

const streamClosed = (exchange: Exchange): Reply.Reply =>
  Reply.error(ProviderErrors.openAi(400, {
    message: `The stream of response '${exchange.id}' can no longer be opened.`,
    type: "invalid_request_error"
  }))

const statusOf = (job: ResponseJob, phase: Progress.Phase): string => {
  switch (phase) {
    case "queued":
      return "queued"
    case "running":
      return "in_progress"
    case "cancelled":
      return "cancelled"
    case "ended":
      return ResponseBody.finalStatus(job)
  }
}

const bodyAt = (job: ResponseJob, phase: Progress.Phase): Record<string, unknown> =>
  ResponseBody.make(job, statusOf(job, phase), job.progress.endedAt)
