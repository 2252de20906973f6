/**
 * Sends requests through `@anthropic-ai/sdk`.
 *
 * @since 0.1.0
 */
import type { Anthropic } from "@anthropic-ai/sdk/client"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import { ProviderNotConfigured } from "../../../errors/Reason.ts"
import type * as ErrorClassifier from "../ErrorClassifier.ts"
import type { Fetch } from "../Transport.ts"
import * as ApiKey from "./ApiKey.ts"
import * as ErrorBody from "./ErrorBody.ts"
import * as Failure from "./Failure.ts"
import * as HttpCall from "./HttpCall.ts"
import { loadOnce } from "./LoadOnce.ts"
import type * as ProtocolReader from "./ProtocolReader.ts"

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
   * The address before `/v1/messages`.
   *
   * @default "https://api.anthropic.com"
   */
  readonly baseUrl?: string | undefined
  /** Sent as bearer token. An effect is run for each call; without one, no authorization is sent. */
  readonly apiKey?: Effect.Effect<Redacted.Redacted<string>, ProviderError> | Redacted.Redacted<string> | undefined
  /** Further headers of each request; they win over the adapter's. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly fetch: Fetch
  /**
   * For submissions of batches, whose loss would be uncertain.
   *
   * @default fetch
   */
  readonly fetchFresh?: Fetch | undefined
  /**
   * Whether the server runs message batches.
   *
   * @default false
   */
  readonly background?: boolean | undefined
  /**
   * How long the results of a batch are kept.
   *
   * @default "29 days"
   */
  readonly retention?: Duration.Duration | undefined
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
  /** The path under the base URL, or a whole URL. */
  readonly path: string
  readonly body?: unknown
  /** The `accept` header, if it is not JSON that is wanted. */
  readonly accept?: string | undefined
}

/**
 * Sends a request and reads its answer to the end.
 *
 * @category models
 * @since 0.1.0
 */
export type Send = (
  call: Call
) => Effect.Effect<HttpCall.Answer, ProviderError>

/**
 * Sends requests to one server.
 *
 * @category services
 * @since 0.1.0
 */
export interface Client {
  /** Loads what the first request needs, and reads the key. */
  readonly ready: Effect.Effect<void, ProviderError>
  readonly send: Send
  /** Sends a request whose answer is read as it comes; an answer of another status than 2xx is a failure. */
  readonly sendStream: (call: Call) => Effect.Effect<ProtocolReader.Opened, ProviderError, Scope.Scope>
}

/**
 * Creates the client of a server. The SDK is loaded by the first request.
 *
 * **Details**
 *
 * Submissions go through `fetchFresh`, all else through `fetch`. Answers are
 * read here, as the SDK's methods refuse a large `max_tokens`, warn on the
 * console and trust the answer's type.
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
        message: "The package @anthropic-ai/sdk cannot be loaded; install it",
        provider: options.name
      })
    ))
  const apiKey = ApiKey.make(options.apiKey)
  const prepare = Effect.fnUntraced(function*({ accept, body, method, operation, path }: Call) {
    const clients = yield* load
    const key = yield* (ApiKey.isAnnounced(operation) ? apiKey.readForAnnounced : apiKey.read)
    const clock = yield* Clock.Clock
    const contextNow = (): ErrorClassifier.Context => ({
      provider: options.name,
      operation,
      now: clock.currentTimeMillisUnsafe(),
      request: { method, url: `${options.baseUrl ?? defaultBaseUrl}${path}` },
      keys: key === undefined ? [] : [key]
    })
    const client = operation === "submit" ? clients.fresh : clients.shared
    const request = (signal: AbortSignal): Promise<Response> =>
      client[method](path, {
        signal,
        ...(body === undefined ? undefined : { body }),
        headers: {
          authorization: key === undefined ? null : `Bearer ${Redacted.value(key)}`,
          ...(accept === undefined ? undefined : { accept }),
          ...options.headers
        }
      }).asResponse()
    return { contextNow, request }
  })
  return {
    ready: Effect.andThen(load, apiKey.readAhead),
    send: (call) => Effect.flatMap(prepare(call), HttpCall.read),
    sendStream: (call) => Effect.flatMap(prepare(call), HttpCall.open)
  }
}

const defaultBaseUrl = "https://api.anthropic.com"

interface Clients {
  readonly shared: Anthropic
  readonly fresh: Anthropic
}

// Node's longest timer: the SDK wants a timeout, and the deadline is the caller's.
const longestTimeout = 2 ** 31 - 1

const importClients = async (options: Options): Promise<Clients> => {
  const { Anthropic } = await import("@anthropic-ai/sdk/client")
  class Client extends Anthropic {
    protected override makeStatusError(...[status, body, message, headers]: Parameters<Anthropic["makeStatusError"]>) {
      return ErrorBody.remember(super.makeStatusError(status, body, message, headers), body)
    }
  }
  const client = (fetch: Fetch) =>
    new Client({
      // A placeholder that no request carries: without one, the SDK looks for credentials on this machine.
      apiKey: "unused",
      baseURL: options.baseUrl ?? defaultBaseUrl,
      webhookKey: null,
      maxRetries: 0,
      timeout: longestTimeout,
      logLevel: "off",
      openTelemetry: false,
      fetch: withOwnHeadersOnly(options, fetch)
    })
  return { shared: client(options.fetch), fresh: client(options.fetchFresh ?? options.fetch) }
}

// The SDK adds what ANTHROPIC_CUSTOM_HEADERS holds, often a gateway's secret, whatever server this is.
const withOwnHeadersOnly = ({ headers: further = {} }: Options, fetch: Fetch): Fetch => {
  const allowed = new Set(Object.keys(further).map((name) => name.toLowerCase()))
  return (input, init) => {
    const headers = new Headers(init?.headers)
    for (const name of [...headers.keys()]) {
      if (!sdkHeader.test(name) && !allowed.has(name)) headers.delete(name)
    }
    return fetch(input, { ...init, headers })
  }
}

const sdkHeader = /^(?:accept|user-agent|content-type|authorization|anthropic-version|x-stainless-.+)$/
