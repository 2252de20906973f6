/**
 * The Anthropic Message Batches API.
 *
 * @since 0.1.0
 */
import { isObject, type JsonObject, objectAt, promptOf, stringAt } from "./Json.ts"
import * as Messages from "./Messages.ts"
import * as Progress from "./Progress.ts"
import * as ProviderErrors from "./ProviderErrors.ts"
import * as Reply from "./Reply.ts"
import * as Validation from "./Validation.ts"
import { accept, type BatchJob, type Exchange, jobAction, recordOf, type World } from "./World.ts"

/**
 * Answers `POST /v1/messages/batches`.
 *
 * **Details**
 *
 * As at the provider, the parameters of a message are not checked here: wrong ones give an `errored` result.
 *
 * @category combinators
 * @since 0.1.0
 */
export const create = (world: World, exchange: Exchange): Reply.Reply => {
  const requests = exchange.body["requests"]
  if (!Array.isArray(requests) || requests.length === 0) return invalid(exchange, "requests: Field required")
  const ids = requests.map((one: unknown) => isObject(one) ? stringAt(one, "custom_id") ?? "" : "")
  if (!ids.every((id) => /^[a-zA-Z0-9_-]{1,64}$/.test(id))) {
    return invalid(exchange, "requests.0.custom_id: String should match pattern '^[a-zA-Z0-9_-]{1,64}$'")
  }
  if (new Set(ids).size < ids.length) return invalid(exchange, "requests: custom_id values must be unique")
  const { settings } = world
  const now = world.now()
  const action = jobAction(exchange)
  const version = Messages.versionOf(exchange)
  const id = world.random.id("msgbatch_01", 22)
  const job = accept(world, exchange, {
    _tag: "Batch",
    id,
    record: recordOf(exchange, id, now, "in_progress"),
    progress: Progress.make(now, {
      queuedMillis: settings.queuedMillis,
      durationMillis: settings.jobMillis,
      polls: settings.completeAfterPolls,
      // Here an expired batch ends, with expired results.
      action: action?.outcome === "expired" ? { ...action, outcome: "completed" } : action
    }),
    prompt: promptsOf(requests),
    action,
    items: requests.map((one: unknown, index) =>
      itemOf(world, isObject(one) ? one : {}, ids[index] ?? "", version, exchange)
    )
  })
  return Reply.json(bodyAt(world, job, now))
}

/**
 * Answers `GET /v1/messages/batches/{id}`, with a `retry-after` while the batch runs.
 *
 * @category combinators
 * @since 0.1.0
 */
export const retrieve = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound(exchange)
  const now = world.now()
  job.record.polls++
  job.progress.polled++
  if (job.progress.polls !== undefined && job.progress.cancelledAt !== undefined) settleCancel(job, now)
  return Reply.json(bodyAt(world, job, now), {
    headers: statusAt(job, now) === "ended"
      ? {}
      : { "retry-after": String(world.settings.batchPollHintSeconds) }
  })
}

/**
 * Answers `GET /v1/messages/batches/{id}/results`: one line of JSON per request, or 404 before the batch has ended.
 *
 * @category combinators
 * @since 0.1.0
 */
export const results = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound(exchange)
  const now = world.now()
  job.record.resultReads++
  if (statusAt(job, now) !== "ended") {
    return Reply.error(ProviderErrors.anthropic(
      404,
      "not_found_error",
      `Message Batch \`${job.id}\` has no available results.`,
      exchange.requestId
    ))
  }
  return {
    _tag: "Body",
    status: 200,
    headers: {},
    contentType: "application/x-jsonl",
    body: job.items.map((item) =>
      `${JSON.stringify({ custom_id: item.customId, result: resultOf(job, item, exchange.requestId) })}\n`
    ).join(""),
    dueAt: 0
  }
}

/**
 * Answers `POST /v1/messages/batches/{id}/cancel`: the batch is `canceling`, and ends a little later.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cancel = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound(exchange)
  const now = world.now()
  job.record.cancels++
  Progress.cancel(job.progress, now)
  return Reply.json(bodyAt(world, job, now))
}

/**
 * Answers `DELETE /v1/messages/batches/{id}`; a running batch cannot be deleted.
 *
 * @category combinators
 * @since 0.1.0
 */
export const remove = (world: World, exchange: Exchange): Reply.Reply => {
  const job = find(world, exchange)
  if (job === undefined) return notFound(exchange)
  if (statusAt(job, world.now()) !== "ended") return invalid(exchange, "A batch that is in progress cannot be deleted.")
  job.record.deletes++
  return Reply.json({ id: job.id, type: "message_batch_deleted" })
}

/**
 * Answers `GET /v1/messages/batches`: newest first, in pages of `limit` (20) after `after_id` or before `before_id`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const list = (world: World, exchange: Exchange): Reply.Reply => {
  const now = world.now()
  const all = [...world.jobs.values()].filter((job) => job._tag === "Batch").filter((job) => job.record.deletes === 0)
    .reverse()
  const limit = Math.min(1000, Math.max(1, Number(exchange.query.get("limit") ?? 20) || 20))
  const positionOf = (id: string | null) => id === null ? -1 : all.findIndex((job) => job.id === id)
  const before = positionOf(exchange.query.get("before_id"))
  const start = before === -1 ? positionOf(exchange.query.get("after_id")) + 1 : Math.max(0, before - limit)
  const end = before === -1 ? start + limit : before
  const page = all.slice(start, end)
  return Reply.json({
    data: page.map((job) => bodyAt(world, job, now)),
    has_more: before === -1 ? end < all.length : start > 0,
    first_id: page[0]?.id ?? null,
    last_id: page.at(-1)?.id ?? null
  })
}

/**
 * Returns the `processing_status` of a batch at `now`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const statusAt = (job: BatchJob, now: number): string => {
  const phase = Progress.phase(job.progress, now)
  if (phase === "cancelled") {
    if (job.progress.polls === undefined && now >= cancelEnd(job)) {
      settleCancel(job, cancelEnd(job))
      return "ended"
    }
    return "canceling"
  }
  if (phase !== "ended") return "in_progress"
  return job.action?.outcome === "unknown-status" ? job.action.status ?? "suspended" : "ended"
}

/** A cancelled batch ends after the time that it would have been queued, but not later than without the cancel. */
const cancelEnd = (job: BatchJob): number => {
  const { cancelledAt, createdAt, endsAt, queuedUntil } = job.progress
  const at = (cancelledAt ?? createdAt) + (queuedUntil - createdAt)
  return job.progress.stuck === undefined ? Math.min(Math.max(endsAt, cancelledAt ?? 0), at) : at
}

const settleCancel = (job: BatchJob, at: number): void => {
  job.progress.endedAt = at
}

const promptsOf = (requests: ReadonlyArray<unknown>): string =>
  requests.slice(0, 20)
    .map((one) => isObject(one) ? promptOf(objectAt(one, "params")["messages"]) : "")
    .join("\n")
    .slice(0, 2000)

type Item = BatchJob["items"][number]

const itemOf = (world: World, request: JsonObject, customId: string, version: string, exchange: Exchange): Item => {
  const params = objectAt(request, "params")
  const wrong = Validation.anthropic(params, version)
  return {
    customId,
    messageId: world.random.id("msg_01", 22),
    model: stringAt(params, "model") ?? "",
    answer: Messages.answerOf(
      world,
      params,
      exchange.length,
      wrong === undefined
        ? jobAction(exchange)
        : { _tag: "Job", outcome: "failed", code: "invalid_request_error", message: wrong }
    )
  }
}

const resultTypeOf = (job: BatchJob, item: Item): "succeeded" | "errored" | "canceled" | "expired" => {
  if (job.progress.cancelledAt !== undefined || item.answer.outcome === "cancelled") return "canceled"
  if (job.action?.outcome === "expired") return "expired"
  return item.answer.outcome === "failed" ? "errored" : "succeeded"
}

const resultOf = (job: BatchJob, item: Item, requestId: string): Record<string, unknown> => {
  const type = resultTypeOf(job, item)
  if (type === "succeeded") {
    return { type, message: Messages.message(item.messageId, item.model, item.answer, "batch") }
  }
  if (type !== "errored") return { type }
  const { code, message } = item.answer.error
  const errorType = code === "server_error" ? "api_error" : code
  return { type, error: ProviderErrors.anthropic(500, errorType, message, requestId).body }
}

const bodyAt = (world: World, job: BatchJob, now: number): Record<string, unknown> => {
  const status = statusAt(job, now)
  const counts = { processing: 0, succeeded: 0, errored: 0, canceled: 0, expired: 0 }
  for (const item of job.items) counts[status === "ended" ? resultTypeOf(job, item) : "processing"]++
  const { cancelledAt, createdAt, endedAt } = job.progress
  return {
    id: job.id,
    type: "message_batch",
    processing_status: status,
    request_counts: counts,
    ended_at: status === "ended" && endedAt !== undefined ? timestamp(endedAt) : null,
    created_at: timestamp(createdAt),
    expires_at: timestamp(createdAt + 86_400_000),
    archived_at: null,
    cancel_initiated_at: cancelledAt === undefined ? null : timestamp(cancelledAt),
    results_url: status === "ended" ? `${world.url}/v1/messages/batches/${job.id}/results` : null
  }
}

const timestamp = (millis: number): string => new Date(millis).toISOString().replace("Z", "000+00:00")

const find = (world: World, exchange: Exchange): BatchJob | undefined => {
  const job = world.jobs.get(exchange.id)
  return job?._tag === "Batch" && job.record.deletes === 0 ? job : undefined
}

const notFound = (exchange: Exchange): Reply.Reply =>
  Reply.error(
    ProviderErrors.anthropic(404, "not_found_error", `Message Batch \`${exchange.id}\` not found.`, exchange.requestId)
  )

const invalid = (exchange: Exchange, message: string): Reply.Reply =>
  Reply.error(ProviderErrors.anthropic(400, "invalid_request_error", message, exchange.requestId))
