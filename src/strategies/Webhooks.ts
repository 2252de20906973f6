/**
 * Takes the webhooks that providers send when a background job has ended.
 *
 * **Details**
 *
 * A webhook is a hint: the job is fetched, and what the provider says then is
 * what counts. So a webhook that is late, repeated or out of order does no
 * harm, and one that is lost costs time only, as jobs are polled all the same.
 *
 * OpenAI sends `response.*`, Gemini `interaction.*` (from its project's own endpoints, not from those that a request
 * names). Anthropic sends nothing for message batches.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type { StrategyError } from "../errors/StrategyError.ts"
import { WebhookRejected } from "../errors/WebhookRejected.ts"
import { Providers } from "../services/Providers.ts"
import { SessionStore } from "../services/SessionStore.ts"
import * as WebhookSignature from "../services/WebhookSignature.ts"
import * as WebhookJobs from "./internal/WebhookJobs.ts"
import * as SessionRuns from "./SessionRuns.ts"

export type { Receipt } from "./internal/WebhookJobs.ts"

/**
 * Options for `make` and `layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends WebhookSignature.VerifyOptions {
  /**
   * Longest time that a webhook waits for its job's answer to be fetched and
   * settled. After it the sender is asked to try again.
   *
   * @default "15 seconds"
   */
  readonly deadline?: Duration.Input | undefined
}

/**
 * What to answer the sender.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reply {
  readonly status: 200 | 400 | 503
  readonly body: string
}

/**
 * Service that takes webhooks.
 *
 * @category services
 * @since 0.1.0
 */
export class Webhooks extends Context.Service<Webhooks, {
  /**
   * Verifies a webhook and does what it calls for. `rawBody` is the body as it came.
   *
   * Fails with `WebhookRejected` for what cannot be trusted or read, and with a `StrategyError` when it could not be
   * handled now, so that the sender should try again.
   */
  readonly handle: (
    rawBody: string | Uint8Array,
    headers: WebhookSignature.WebhookHeaders
  ) => Effect.Effect<WebhookJobs.Receipt, WebhookRejected | StrategyError>
  /**
   * Handles a webhook and tells what to answer: 200, or 400 for what was rejected, or 503 for what should be sent
   * again. What went wrong is logged.
   */
  readonly respond: (
    rawBody: string | Uint8Array,
    headers: WebhookSignature.WebhookHeaders
  ) => Effect.Effect<Reply>
}>()("holdfast/strategies/Webhooks") {}

/**
 * Creates the service.
 *
 * **Details**
 *
 * A job is looked for among the runs of this process, then in the journals of
 * the store, and then, by the submission's id that it carries, among the submissions whose fate is not known:
 * that is how an uncertain submission is resolved.
 *
 * Once a webhook of a provider has arrived, its jobs that are waited for from
 * then on, by runs without a poll policy of their own, are polled by
 * `Schedules.webhookPollSchedule`.
 *
 * Webhook ids are remembered in this process, the last 10,000. They need not be
 * in the store: a job whose end is in its session's journal is not fetched again, in any process.
 *
 * **Gotchas**
 *
 * Where no run in this process waits for the job, its session is looked for in
 * the store: in SQL by the job's id, elsewhere by reading one journal after
 * another. Throws a `RangeError` like `WebhookSignature.verify`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  options: Options
): Effect.Effect<Webhooks["Service"], never, SessionRuns.SessionRuns | SessionStore | Providers> => {
  const verify = WebhookSignature.verify(options)
  const deadline = Duration.fromInputUnsafe(options.deadline ?? "15 seconds")
  return Effect.gen(function*() {
    const runs = yield* SessionRuns.SessionRuns
    yield* runs.watchJournals
    const jobs = WebhookJobs.make(runs, yield* SessionStore, yield* Providers, deadline)
    const handled = new Set<string>()
    const remember = (id: string): void => {
      const [oldest] = handled
      if (oldest !== undefined && handled.size >= maxHandled) handled.delete(oldest)
      handled.add(id)
    }

    // Neither a span nor a log, which spans keep, may hold a failure's message: it may quote the prompt.
    const handle: Webhooks["Service"]["handle"] = Effect.fnUntraced(function*(rawBody, headers) {
      const id = yield* verify(rawBody, headers)
      if (handled.has(id)) return { _tag: "Repeated" }
      const event = yield* decode(rawBody)
      const receipt = isEndOfJob(event) ? yield* jobs.heed(event.data.id) : ignored(event.type)
      remember(id)
      return receipt
    })

    return Webhooks.of({
      handle,
      respond: (rawBody, headers) =>
        Effect.matchEffect(handle(rawBody, headers), { onSuccess: done, onFailure: refused })
    })
  })
}

/**
 * Provides `Webhooks`, built by `make`. It stands on the same runs as `Holdfast.layer`, if both are built together.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<Webhooks, never, SessionStore | Providers> =>
  Layer.effect(Webhooks, make(options)).pipe(Layer.provide(SessionRuns.layer))

/**
 * Provides `Webhooks` with the secrets of `OPENAI_WEBHOOK_SECRET`; several are separated by spaces.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<Webhooks, Config.ConfigError, SessionStore | Providers> = Layer.unwrap(
  Effect.map(
    Config.Redacted("OPENAI_WEBHOOK_SECRET"),
    (secrets) =>
      layer({
        secrets: Redacted.value(secrets).split(/\s+/).filter((text) => text !== "").map((text) => Redacted.make(text))
      })
  )
)

const maxHandled = 10_000

/** What all events have in common; the rest differs. */
const Event = Schema.fromJsonString(Schema.Struct({ type: Schema.String, data: Schema.optional(Schema.Unknown) }))

const decodeEvent = Schema.decodeEffect(Event)

interface JobEvent {
  readonly type: string
  readonly data: { readonly id: string }
}

const decode = (rawBody: string | Uint8Array): Effect.Effect<typeof Event.Type, WebhookRejected> =>
  Effect.mapError(
    decodeEvent(typeof rawBody === "string" ? rawBody : new TextDecoder().decode(rawBody)),
    () => new WebhookRejected({ reason: "malformed", message: "The webhook is no event" })
  )

const isEndOfJob = (event: typeof Event.Type): event is JobEvent =>
  endsOfJobs.has(event.type) && typeof event.data === "object" && event.data !== null && "id" in event.data &&
  typeof event.data.id === "string" && event.data.id !== ""

const endsOfJobs: ReadonlySet<string> = new Set([
  "response.completed",
  "response.failed",
  "response.incomplete",
  "response.cancelled",
  "interaction.completed",
  "interaction.failed",
  "interaction.requires_action"
])

const ignored = (type: string): WebhookJobs.Receipt => ({ _tag: "Ignored", type: type.slice(0, 100) })

const done = (receipt: WebhookJobs.Receipt): Effect.Effect<Reply> =>
  Effect.as(Effect.logDebug("A webhook was handled", receipt), { status: 200, body: receipt._tag })

const refused = (error: WebhookRejected | StrategyError): Effect.Effect<Reply> =>
  error._tag === "WebhookRejected"
    ? Effect.as(Effect.logWarning("A webhook was rejected", error.reason, error.message), {
      status: 400,
      body: error.message
    })
    : Effect.as(Effect.logWarning("A webhook could not be handled now", wordOf(error)), {
      status: 503,
      body: "Try again later"
    })

const wordOf = (error: StrategyError): string =>
  error._tag === "Timeout" ? `Timeout: ${error.phase}` : `${error._tag}: ${error.reason._tag}`
