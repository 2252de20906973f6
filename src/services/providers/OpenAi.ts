/**
 * OpenAI, Azure and every OpenAI-compatible host, through the `openai` SDK.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { OpenAI } from "openai/client"
import { ProviderError } from "../../errors/ProviderError.ts"
import { AuthenticationFailed, NotFound, ProviderNotConfigured } from "../../errors/Reason.ts"
import type { CompletionsApi, JobsApi, JobState, ResponsesApi, Retention } from "../Provider.ts"
import * as ChatCompletions from "./ChatCompletions.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
import { parse, type Reply } from "./internal/OpenAiBody.ts"
import type { Payload } from "./internal/OpenAiInput.ts"
import * as OpenAiOutcome from "./internal/OpenAiOutcome.ts"
import * as OpenAiResponses from "./OpenAiResponses.ts"
import type { Fetch } from "./Transport.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The provider's prefix in a model name: `openai`, `azure`, `groq`, … */
  readonly name: string
  /**
   * The address of the API. With `apiVersion`, Azure's `{endpoint}/openai`.
   *
   * @default "https://api.openai.com/v1"
   */
  readonly baseUrl?: string | undefined
  /** A key, or an effect that gives one for each request; without it no key is sent. */
  readonly apiKey?: Effect.Effect<Redacted.Redacted<string>, ProviderError> | Redacted.Redacted<string> | undefined
  /**
   * How the key is sent: `Authorization: Bearer …`, or `api-key: …` as Azure wants it.
   *
   * @default "bearer"
   */
  readonly authHeader?: "bearer" | "api-key" | undefined
  /** Azure's older surface: adds `?api-version=`, and the deployment to the path of Chat Completions. */
  readonly apiVersion?: string | undefined
  readonly organization?: string | undefined
  readonly project?: string | undefined
  /** Headers of every request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly fetch: Fetch
  /** For submissions of background jobs, whose loss would be uncertain. */
  readonly fetchFresh: Fetch
  /** Whether the host has a Responses endpoint. */
  readonly responsesApi: boolean
  /** Whether the host runs background jobs. */
  readonly background: boolean
  /**
   * How long the host keeps a finished job.
   *
   * @default 30 days with `store: true`, 10 minutes with `store: false`
   */
  readonly retention?: Retention | undefined
}

/**
 * The ports that a host offers for one model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ports {
  readonly jobs?: JobsApi
  readonly responses?: ResponsesApi
  readonly completions: CompletionsApi
}

/**
 * Creates the ports of a host, for each model.
 *
 * **Details**
 *
 * Cheap: the SDK is imported by the first request. Its retries are off, it
 * reads no environment variable and logs nothing. Interrupting a call aborts
 * its request. There is no timeout of its own.
 *
 * A job's `cancel` that the server refuses because the job is over, or answers
 * with something else than a response, looks the job up again.
 *
 * `store` is sent always to `openai`, to `azure` and to hosts with background
 * jobs; to others only when the request names it, as stateless hosts refuse
 * `true`.
 *
 * **Errors**
 *
 * Whatever `ErrorClassifier` makes of the host's errors; `InvalidResponse` for
 * a 2xx that cannot be read; `AuthenticationFailed` for a key that no header
 * can hold; `ProviderNotConfigured` when the SDK cannot be imported.
 *
 * **Source**
 *
 * Retention: OpenAI, "Your data" (30 days), "Background mode" (10 minutes).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Effect.Effect<(model: string) => Ports> =>
  Effect.sync(() => {
    const send = makeSend(options)
    return (model) => ({
      ...(options.responsesApi && options.background ? { jobs: makeJobs(options, model, send) } : undefined),
      ...(options.responsesApi ? { responses: makeResponses(options, model, send) } : undefined),
      completions: makeCompletions(options, model, send)
    })
  })

const makeJobs = (options: Options, model: string, send: Send): JobsApi => {
  const retrieve = Effect.fnUntraced(function*(jobId: string) {
    const path = yield* pathOf(jobId, options.name)
    const { context, reply } = yield* send({ operation: "retrieve", method: "get", path, model })
    return yield* Effect.fromResult(OpenAiResponses.stateOf(reply, context))
  })
  return {
    submit: Effect.fnUntraced(function*(request, job) {
      const body = yield* Effect.fromResult(
        OpenAiResponses.toPayload(request, { provider: options.name, model, alwaysStore: true, job })
      )
      const { context, reply } = yield* send({ operation: "submit", method: "post", path: "/responses", body, model })
      const state = yield* Effect.fromResult(OpenAiResponses.stateOf(reply, context))
      const jobId = OpenAiResponses.idOf(reply.body)
      // An end needs no id; a job that goes on cannot be found again without one.
      return jobId === "" && state._tag !== "Ended"
        ? yield* Effect.fromResult(OpenAiOutcome.invalid("The job was accepted without an id", reply, context))
        : { jobId, state }
    }),
    retrieve,
    cancel: Effect.fnUntraced(
      function*(jobId: string): Effect.fn.Return<JobState, ProviderError> {
        const path = `${yield* pathOf(jobId, options.name)}/cancel`
        const { context, reply } = yield* send({ operation: "cancel", method: "post", path, model })
        return yield* Effect.fromResult(OpenAiResponses.stateOf(reply, context))
      },
      (self, jobId) => Effect.catchIf(self, isPerhapsOver, () => retrieve(jobId))
    ),
    retention: options.retention ?? defaultRetention
  }
}

const makeResponses = (options: Options, model: string, send: Send): ResponsesApi => ({
  create: Effect.fnUntraced(function*(request) {
    const { background, name } = options
    const alwaysStore = background || name === "openai" || name === "azure"
    const body = yield* Effect.fromResult(
      OpenAiResponses.toPayload(request, { provider: name, model, alwaysStore })
    )
    const { context, reply } = yield* send({ operation: "call", method: "post", path: "/responses", body, model })
    return yield* Effect.fromResult(OpenAiResponses.outcomeOf(reply, context))
  })
})

const makeCompletions = (options: Options, model: string, send: Send): CompletionsApi => {
  const path = chatPath(options, model)
  return {
    complete: Effect.fnUntraced(function*(request) {
      const body = yield* Effect.fromResult(ChatCompletions.toPayload(request, { provider: options.name, model }))
      const { context, reply } = yield* send({ operation: "call", method: "post", path, body, model })
      return yield* Effect.fromResult(ChatCompletions.outcomeOf(reply, context))
    })
  }
}

const defaultRetention: Retention = { stored: Duration.days(30), unstored: Duration.minutes(10) }

// Servers refuse to cancel a finished job with 400 or 409, or answer without a body.
const isPerhapsOver = ({ verdict: { reason } }: ProviderError): boolean =>
  reason._tag === "InvalidResponse" || reason.status === 400 || reason.status === 409

// The SDK refuses such path segments by throwing.
const pathOf = (jobId: string, provider: string): Effect.Effect<string, ProviderError> =>
  /^\.{0,2}$/.test(jobId)
    ? Effect.fail(
      new ProviderError({
        verdict: {
          _tag: "NonRetryable",
          reason: new NotFound({ provider, message: "The job's id is not a response id" })
        },
        evidence: "NotSent"
      })
    )
    : Effect.succeed(`/responses/${encodeURIComponent(jobId)}`)

const chatPath = ({ apiVersion, baseUrl = "" }: Options, model: string): string =>
  apiVersion === undefined || /\/deployments\//.test(`${baseUrl}/`)
    ? "/chat/completions"
    : `/deployments/${encodeURIComponent(model)}/chat/completions`

interface Call {
  readonly operation: ErrorClassifier.Context["operation"]
  readonly method: "get" | "post"
  readonly path: string
  readonly body?: Payload
  readonly model: string
}

type Send = (
  call: Call
) => Effect.Effect<{ readonly reply: Reply; readonly context: OpenAiOutcome.Context }, ProviderError>

// No spans here: a span keeps the message of a failure, which may quote the prompt.
const makeSend = (options: Options): Send => {
  const load = makeLoad(options)
  return Effect.fnUntraced(function*(call: Call) {
    const key = yield* keyOf(options)
    const headers = yield* authOf(options, key)
    const clients = yield* load
    const clock = yield* Clock.Clock
    const contextNow = (): OpenAiOutcome.Context => ({
      provider: options.name,
      operation: call.operation,
      model: call.model,
      now: clock.currentTimeMillisUnsafe(),
      keys: key === undefined ? [] : [key]
    })
    const client = call.operation === "submit" ? clients.fresh : clients.shared
    const reply = yield* Effect.tryPromise({
      // The SDK's own reading of a 2xx throws on bodies that it does not expect.
      try: async (signal): Promise<Reply> => {
        const request = { headers, signal, ...(call.body === undefined ? undefined : { body: call.body }) }
        const response = await client[call.method](call.path, request).asResponse()
        return { status: response.status, headers: response.headers, body: parse(await response.text()) }
      },
      catch: (error) => ErrorClassifier.classify(error, contextNow())
    })
    return { reply, context: contextNow() }
  })
}

const keyOf = ({ apiKey }: Options): Effect.Effect<Redacted.Redacted<string> | undefined, ProviderError> =>
  apiKey === undefined || Redacted.isRedacted(apiKey) ? Effect.succeed(apiKey) : apiKey

const authOf = (
  { authHeader, name }: Options,
  key: Redacted.Redacted<string> | undefined
): Effect.Effect<Readonly<Record<string, string>>, ProviderError> => {
  if (key === undefined) return Effect.succeed({})
  // Keys out of files end in a line break.
  const value = Redacted.value(key).trim()
  if (!/^[\x21-\x7e]+$/.test(value)) {
    return Effect.fail(
      new ProviderError({
        verdict: {
          _tag: "NonRetryable",
          reason: new AuthenticationFailed({
            provider: name,
            message: "The key is empty or holds characters that a header cannot carry"
          })
        },
        evidence: "NotSent"
      })
    )
  }
  return Effect.succeed(authHeader === "api-key" ? { "api-key": value } : { Authorization: `Bearer ${value}` })
}

interface Clients {
  readonly shared: OpenAI
  readonly fresh: OpenAI
}

const makeLoad = (options: Options): Effect.Effect<Clients, ProviderError> => {
  let loading: Promise<Clients> | undefined
  return Effect.tryPromise({
    try: () =>
      loading ??= importClients(options).catch((error: unknown) => {
        loading = undefined
        throw error
      }),
    catch: () =>
      new ProviderError({
        verdict: {
          _tag: "NonRetryable",
          reason: new ProviderNotConfigured({
            provider: options.name,
            message: "The package openai cannot be imported, or refuses the provider's settings"
          })
        },
        evidence: "NotSent"
      })
  })
}

// The longest timeout that a timer of Node can have; a longer one fires at once.
const longestTimeout = 2 ** 31 - 1

const importClients = async (options: Options): Promise<Clients> => {
  const { OpenAI } = await import("openai/client")
  class Client extends OpenAI {
    constructor(fetch: Fetch) {
      const defaultHeaders = {
        // Each request brings its own; this also says that going without one is meant.
        Authorization: null,
        "X-Stainless-Timeout": null,
        ...options.headers
      }
      super({
        apiKey: "sent with each request",
        adminAPIKey: null,
        webhookSecret: null,
        organization: options.organization ?? null,
        project: options.project ?? null,
        baseURL: options.baseUrl ?? "https://api.openai.com/v1",
        ...(options.apiVersion === undefined ? undefined : { defaultQuery: { "api-version": options.apiVersion } }),
        maxRetries: 0,
        timeout: longestTimeout,
        logLevel: "off",
        fetch
      })
      // Set here, as the constructor would mix in those of the variable OPENAI_CUSTOM_HEADERS.
      this._options = { ...this._options, defaultHeaders }
    }
  }
  return { shared: new Client(options.fetch), fresh: new Client(options.fetchFresh) }
}
