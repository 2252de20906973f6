/**
 * Gemini's Interactions API as a port for jobs.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { JobsApi, JobState } from "../Provider.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
import * as AfterCancel from "./internal/AfterCancel.ts"
import * as ApiKey from "./internal/ApiKey.ts"
import * as GeminiEvents from "./internal/GeminiEvents.ts"
import * as GeminiInput from "./internal/GeminiInput.ts"
import * as GeminiOutcome from "./internal/GeminiOutcome.ts"
import * as HttpCall from "./internal/HttpCall.ts"
import * as JobPath from "./internal/JobPath.ts"
import type { Reply } from "./internal/JsonBody.ts"
import type { Fetch } from "./Transport.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The provider's name, its prefix in a model name. */
  readonly name: string
  /**
   * The address before `/interactions`.
   *
   * @default "https://generativelanguage.googleapis.com/v1beta"
   */
  readonly baseUrl?: string | undefined
  /** Sent as `x-goog-api-key`. An effect is run for each request; without one, no key is sent. */
  readonly apiKey?: Effect.Effect<Redacted.Redacted<string>, ProviderError> | Redacted.Redacted<string> | undefined
  /** Further headers of each request; they win over the adapter's. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly fetch: Fetch
  /** For submissions, whose loss would be uncertain. */
  readonly fetchFresh: Fetch
  /**
   * How long the account's interactions are kept.
   *
   * @default {@link retention}
   */
  readonly retention?: Duration.Duration | undefined
}

/**
 * The port for one model, and what is done before a submission is announced.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ports {
  readonly jobs: JobsApi
  readonly ready: Effect.Effect<void, ProviderError>
}

/**
 * How long an interaction is certainly kept: 1 day, as on the free tier. The
 * paid tier keeps it for 55 days.
 *
 * @category models
 * @since 0.1.0
 */
export const retention: Duration.Duration = Duration.days(1)

/**
 * Creates the port, for each model.
 *
 * **Details**
 *
 * A job is an interaction with `background: true`. There is no lookup of a lost
 * submission: the API has no list. A cancel that is refused because the
 * interaction is over looks it up again; so does one whose reply has no usage
 * yet. There are no streams: a job is polled.
 *
 * Three requests of JSON over `fetch` need no SDK: Google's own retries
 * submissions four times by itself and drops the headers of an error, so that
 * its Retry-After is lost.
 *
 * **Errors**
 *
 * - Those of `ErrorClassifier`, for HTTP errors and failed connections.
 * - `InvalidResponse`, `Uncertain`, for a 2xx that is no interaction.
 * - `InvalidRequest`, `NotSent`, for `store: false`.
 *
 * **Source**
 *
 * Google, "Background execution":
 * https://ai.google.dev/gemini-api/docs/background-execution
 * Google, "Interactions API", "Data storage and retention":
 * https://ai.google.dev/gemini-api/docs/interactions-overview
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): (model: string) => Ports => {
  const { name, retention: kept = retention } = options
  const apiKey = ApiKey.make(options.apiKey)
  return (model) => {
    const retrieve = Effect.fnUntraced(function*(jobId: string) {
      const path = `/interactions/${yield* JobPath.segment(jobId, name)}`
      const { context, reply } = yield* send(options, apiKey, { operation: "retrieve", method: "GET", path, model })
      return yield* Effect.fromResult(GeminiOutcome.stateOf(reply, context))
    })
    const jobs: JobsApi = {
      check: (request) => Effect.asVoid(Effect.fromResult(GeminiInput.toPayload(request, { provider: name, model }))),
      submit: Effect.fnUntraced(function*(request) {
        const body = yield* Effect.fromResult(GeminiInput.toPayload(request, { provider: name, model }))
        const path = "/interactions"
        const { context, reply } = yield* send(options, apiKey, {
          operation: "submit",
          method: "POST",
          path,
          body,
          model
        })
        const state = yield* Effect.fromResult(GeminiOutcome.stateOf(reply, context))
        const jobId = GeminiOutcome.idOf(reply.body)
        // An end needs no id; a job that goes on cannot be found again without one.
        return jobId === "" && state._tag !== "Ended"
          ? yield* ErrorClassifier.fromBody({ ...reply, body: "" }, context)
          : { jobId, state }
      }),
      retrieve: (jobId) => retrieve(jobId),
      cancel: Effect.fnUntraced(
        function*(jobId: string): Effect.fn.Return<JobState, ProviderError> {
          const path = `/interactions/${yield* JobPath.segment(jobId, name)}/cancel`
          const { context, reply } = yield* send(options, apiKey, { operation: "cancel", method: "POST", path, model })
          return yield* Effect.fromResult(GeminiOutcome.stateOf(reply, context))
        },
        (self, jobId) => AfterCancel.withUsage(self, retrieve(jobId))
      ),
      retention: { stored: kept, unstored: kept }
    }
    return { jobs, ready: apiKey.readAhead }
  }
}

interface Call {
  readonly operation: ErrorClassifier.Context["operation"]
  readonly method: "GET" | "POST"
  readonly path: string
  readonly body?: unknown
  readonly model: string
}

// No spans here: a span keeps the message of a failure, which may quote the prompt.
const send = Effect.fnUntraced(function*(
  options: Options,
  apiKey: ApiKey.ApiKey,
  { body, method, model, operation, path }: Call
): Effect.fn.Return<{ readonly reply: Reply; readonly context: GeminiOutcome.Context }, ProviderError> {
  const key = yield* (ApiKey.isAnnounced(operation) ? apiKey.readForAnnounced : apiKey.read)
  const clock = yield* Clock.Clock
  const { baseUrl = "https://generativelanguage.googleapis.com/v1beta" } = options
  const url = `${baseUrl}${path}`
  const contextNow = (): GeminiOutcome.Context => ({
    provider: options.name,
    operation,
    model,
    now: clock.currentTimeMillisUnsafe(),
    request: { method, url },
    keys: key === undefined ? [] : [key]
  })
  const fetch = operation === "submit" ? options.fetchFresh : options.fetch
  const request = async (signal: AbortSignal): Promise<Response> => {
    const headers = new Headers({ accept: "application/json" })
    if (body !== undefined) headers.set("content-type", "application/json")
    if (key !== undefined) headers.set("x-goog-api-key", Redacted.value(key))
    for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name, value)
    return fetch(url, {
      method,
      headers,
      signal,
      ...(body === undefined ? undefined : { body: JSON.stringify(body) })
    })
  }
  const { context, events, reply: plain } = yield* HttpCall.read({ contextNow, request })
  const reply: Reply = events === undefined
    ? plain
    : { ...plain, body: GeminiEvents.interactionOf(events) ?? plain.text }
  return reply.status >= 200 && reply.status < 300
    ? { reply, context }
    : yield* ErrorClassifier.fromBody(reply, context)
})
