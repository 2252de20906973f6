/**
 * Sends requests through the `openai` SDK.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { OpenAI } from "openai/client"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import { AuthenticationFailed, ProviderNotConfigured } from "../../../errors/Reason.ts"
import type * as ErrorClassifier from "../ErrorClassifier.ts"
import type { Fetch } from "../Transport.ts"
import * as ApiKey from "./ApiKey.ts"
import * as ErrorBody from "./ErrorBody.ts"
import type * as ProtocolReader from "./ProtocolReader.ts"
import * as Failure from "./Failure.ts"
import * as HttpCall from "./HttpCall.ts"
import { countOf } from "./JsonBody.ts"
import { loadOnce } from "./LoadOnce.ts"
import type { Context } from "./OpenAiOutcome.ts"
import type { Payload } from "./Payload.ts"

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
   * How long the host keeps a finished job with `store: true`; with `store: false` it is 10 minutes at most.
   *
   * @default "30 days"
   */
  readonly retention?: Duration.Duration | undefined
  /**
   * Whether the host's Responses API reports an answer that was cut at its limit as complete.
   *
   * @default false
   */
  readonly hidesLimit?: boolean | undefined
}

/**
 * One request.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly operation: ErrorClassifier.Context["operation"]
  readonly method: "get" | "post"
  readonly path: string
  readonly body?: Payload
  readonly model: string
}

/**
 * Sends requests to one host.
 *
 * @category services
 * @since 0.1.0
 */
export interface Client {
  /** Loads what the first request needs, and reads the key. */
  readonly ready: Effect.Effect<void, ProviderError>
  /** Sends a request and reads its answer to the end. */
  readonly send: (call: Call) => Effect.Effect<HttpCall.Answer<Context>, ProviderError>
  /** Sends a request whose answer is read as it comes; an answer of another status than 2xx is a failure. */
  readonly sendStream: (
    call: Call
  ) => Effect.Effect<ProtocolReader.Opened<Context>, ProviderError, Scope.Scope>
}

/**
 * Creates the client of a host. The SDK is imported by the first request.
 *
 * **Details**
 *
 * Submissions go through `fetchFresh`, all else through `fetch`. The body of a
 * 2xx is read here, as the SDK's own reading throws on what it does not expect.
 *
 * **Gotchas**
 *
 * There are no spans here: a span keeps the message of a failure, which may
 * quote the prompt.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): Client => {
  const load = loadOnce(() => importClients(options), () =>
    Failure.notSent(
      new ProviderNotConfigured({
        provider: options.name,
        message: "The package openai cannot be imported, or refuses the provider's settings"
      })
    ))
  const apiKey = ApiKey.make(options.apiKey)
  const prepare = Effect.fnUntraced(function*(call: Call) {
    const key = yield* (ApiKey.isAnnounced(call.operation) ? apiKey.readForAnnounced : apiKey.read)
    const headers = yield* authOf(options, key)
    const clients = yield* load
    const clock = yield* Clock.Clock
    const contextNow = (): Context => ({
      provider: options.name,
      operation: call.operation,
      model: call.model,
      askedTier: call.body?.["service_tier"],
      now: clock.currentTimeMillisUnsafe(),
      request: { method: call.method, url: `${options.baseUrl ?? defaultBaseUrl}${call.path}` },
      keys: key === undefined ? [] : [key],
      outputLimit: countOf(call.body?.max_output_tokens),
      hidesLimit: options.hidesLimit
    })
    const client = call.operation === "submit" ? clients.fresh : clients.shared
    const request = (signal: AbortSignal): Promise<Response> =>
      client[call.method](call.path, {
        headers,
        signal,
        ...(call.body === undefined ? undefined : { body: call.body })
      }).asResponse()
    return { contextNow, request }
  })
  return {
    ready: Effect.andThen(load, apiKey.readAhead),
    send: (call) => Effect.flatMap(prepare(call), HttpCall.read),
    sendStream: (call) => Effect.flatMap(prepare(call), HttpCall.open)
  }
}

const authOf = (
  { authHeader, name }: Options,
  key: Redacted.Redacted<string> | undefined
): Effect.Effect<Readonly<Record<string, string>>, ProviderError> => {
  if (key === undefined) return Effect.succeed({})
  // Keys out of files end in a line break.
  const value = Redacted.value(key).trim()
  if (!/^[\x21-\x7e]+$/.test(value)) {
    return Effect.fail(Failure.notSent(
      new AuthenticationFailed({
        provider: name,
        message: "The key is empty or holds characters that a header cannot carry"
      })
    ))
  }
  return Effect.succeed(authHeader === "api-key" ? { "api-key": value } : { Authorization: `Bearer ${value}` })
}

const defaultBaseUrl = "https://api.openai.com/v1"

interface Clients {
  readonly shared: OpenAI
  readonly fresh: OpenAI
}

// For a release of the SDK that makes a timer all the same: the longest one of Node; a longer one fires at once.
const longestTimeout = 2 ** 31 - 1

const importClients = async (options: Options): Promise<Clients> => {
  const { OpenAI } = await import("openai/client")
  class Client extends OpenAI {
    readonly #fetch: Fetch

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
        baseURL: options.baseUrl ?? defaultBaseUrl,
        ...(options.apiVersion === undefined ? undefined : { defaultQuery: { "api-version": options.apiVersion } }),
        maxRetries: 0,
        timeout: longestTimeout,
        logLevel: "off",
        fetch
      })
      this.#fetch = fetch
      // Set here, as the constructor would mix in those of the variable OPENAI_CUSTOM_HEADERS.
      this._options = { ...this._options, defaultHeaders }
    }

    protected override authHeaders(): Promise<undefined> {
      return Promise.resolve(undefined)
    }

    // The caller's signal is the only limit. The SDK would make a timer and two more signals for each request.
    override fetchWithTimeout(...[url, init]: Parameters<OpenAI["fetchWithTimeout"]>): Promise<Response> {
      return this.#fetch(url, { ...init, method: (init?.method ?? "GET").toUpperCase() })
    }

    // The SDK itself keeps only what a body has under `error`. Without JSON it keeps the text, but beside any object it
    // drops it.
    protected override makeStatusError(...[status, body, message, headers]: Parameters<OpenAI["makeStatusError"]>) {
      return ErrorBody.remember(super.makeStatusError(status, body, message, headers), body)
    }
  }
  return { shared: new Client(options.fetch), fresh: new Client(options.fetchFresh) }
}
