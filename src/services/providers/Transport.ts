/**
 * The `fetch` that every provider's SDK client gets.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { Readable } from "node:stream"
import type { Agent, Dispatcher } from "undici"
import { Exchange, NotSent } from "./internal/Exchange.ts"

/**
 * Options for `make` and `layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Most connections to one origin at a time, counted separately for `fetch`
   * and `fetchFresh`; further requests wait for a free one. A positive integer.
   * A held-open call or stream takes one connection for as long as it runs.
   *
   * @default 1000
   */
  readonly connections?: number | undefined
  /**
   * How long an idle connection is kept, unless the server says otherwise
   * (`keep-alive: timeout=…`). Longer than the longest default delay between
   * two polls, so that polling does not pay for a handshake each time.
   *
   * @default "20 seconds"
   */
  readonly keepAliveTimeout?: Duration.Input | undefined
  /**
   * Longest time to wait for a connection, TLS included.
   *
   * @default "10 seconds"
   */
  readonly connectTimeout?: Duration.Input | undefined
  /**
   * A dispatcher of undici 8 to use for all requests instead, such as its
   * `ProxyAgent`. It is not closed here; the other options do not apply to it.
   * A `fetchFresh` through it closes its connection afterwards, but may start on
   * one that was idle.
   */
  readonly dispatcher?: Dispatcher | undefined
}

/**
 * What a request may say beyond the standard.
 *
 * @category models
 * @since 0.1.0
 */
export interface Init extends RequestInit {
  /** Milliseconds to wait for the response's headers; `0` (the default) waits until `signal` aborts. */
  readonly headersTimeout?: number | undefined
  /** Milliseconds between two pieces of the body; `0` (the default) waits until `signal` aborts. */
  readonly bodyTimeout?: number | undefined
}

/**
 * A `fetch` for the SDK clients: `new OpenAI({ fetch })`, `new Anthropic({ fetch })`.
 *
 * **Details**
 *
 * HTTP/1.1. Follows no redirect, asks for no compression, keeps no cookies.
 * Bodies are strings, bytes, `URLSearchParams`, streams and async iterables;
 * their `content-type` is the caller's to set.
 * The response has the members of the standard `Response`, and `gzip`,
 * `deflate`, `br` and `zstd` are decoded.
 *
 * **Errors**
 *
 * The promise rejects like the standard one, so that the SDKs understand it:
 * with `signal.reason` after an abort, else with `TypeError("fetch failed")`
 * whose `cause.code` says what happened. A body that stops early rejects with
 * `TypeError("terminated")`, after the part that came; its `cause` is the
 * socket's error.
 *
 * @see {@link isNotSent} for failures before the request was written
 *
 * @category models
 * @since 0.1.0
 */
export type Fetch = (input: string | URL | Request, init?: Init) => Promise<Response>

/**
 * Service that makes HTTP requests for the SDK clients.
 *
 * @category services
 * @since 0.1.0
 */
export class Transport extends Context.Service<Transport, {
  /** Reuses idle connections. */
  readonly fetch: Fetch
  /**
   * Never starts on an idle connection, and closes its own: for requests whose
   * loss would be uncertain, as a stale connection's reset looks like it.
   */
  readonly fetchFresh: Fetch
}>()("holdfast/services/providers/Transport") {}

/**
 * Creates a `Transport` with its own connections.
 *
 * **Details**
 *
 * There is no limit for headers or body: the caller's `signal` is the limit.
 * When the scope closes, idle connections close, requests in flight get one
 * second to end, and then fail. `undici` is loaded by the first request.
 *
 * **Gotchas**
 *
 * Dies with a `RangeError` for `connections` that are no positive integer, or a
 * timeout that is not positive and finite.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: (options?: Options) => Effect.Effect<Transport["Service"], never, Scope.Scope> = Effect.fnUntraced(
  function*(options: Options = {}) {
    const settings = validate(options)
    const pools = yield* Effect.acquireRelease(Effect.sync(() => makePools(settings)), closePools)
    return Transport.of({
      fetch: makeFetch(pools, "shared"),
      fetchFresh: makeFetch(pools, "fresh")
    })
  }
)

/**
 * Provides `Transport`, built by `make`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<Transport> => Layer.effect(Transport, make(options))

/**
 * Returns whether an error of a `Fetch`, also wrapped in an SDK's error, says
 * that nothing of the request was written to a connection.
 *
 * **Details**
 *
 * `true` for DNS failures, refused and timed out connections and failed TLS
 * handshakes, whatever their code: a reset inside a handshake is an `ECONNRESET`
 * like any other. `false` for an abort, also before the connection was made.
 *
 * @category guards
 * @since 0.1.0
 */
export const isNotSent = (error: unknown): boolean => {
  let current = error
  // The bound only guards against an error that is its own cause.
  for (let depth = 0; depth < 10 && current instanceof Error; depth++) {
    if (current instanceof NotSent) return true
    current = current.cause
  }
  return false
}

// How long requests in flight may go on after the scope has closed.
const closeGrace = Duration.seconds(1)

interface Settings {
  readonly connections: number
  readonly keepAliveTimeout: number
  readonly connectTimeout: number
  readonly dispatcher: Dispatcher | undefined
}

const validate = (options: Options): Settings => {
  const connections = options.connections ?? 1000
  if (!Number.isSafeInteger(connections) || connections < 1) {
    throw new RangeError(`Transport.make: connections must be a positive integer, got ${connections}`)
  }
  return {
    connections,
    keepAliveTimeout: positiveMillis("keepAliveTimeout", options.keepAliveTimeout ?? "20 seconds"),
    connectTimeout: positiveMillis("connectTimeout", options.connectTimeout ?? "10 seconds"),
    dispatcher: options.dispatcher
  }
}

const positiveMillis = (field: string, input: Duration.Input): number => {
  const millis = Duration.toMillis(Duration.fromInputUnsafe(input))
  if (!(millis > 0 && millis < Infinity)) {
    throw new RangeError(`Transport.make: ${field} must be positive and finite, got ${millis} ms`)
  }
  return millis
}

type Kind = "shared" | "fresh"

type Dispatchers = Readonly<Record<Kind, Dispatcher>>

interface Pools {
  /** Each kind's dispatcher; a promise the first time, while undici loads. */
  readonly open: () => Dispatchers | Promise<Dispatchers>
  readonly begin: () => void
  readonly end: () => void
  /** Refuses further requests, and resolves when none is in flight any more. */
  readonly drain: () => Promise<void>
  readonly destroy: () => Promise<unknown>
}

const makePools = (settings: Settings): Pools => {
  const { dispatcher } = settings
  let dispatchers: Dispatchers | undefined = dispatcher && { shared: dispatcher, fresh: dispatcher }
  let agents: ReadonlyArray<Agent> = []
  let loading: Promise<Dispatchers> | undefined
  let inFlight = 0
  let onIdle: (() => void) | undefined
  let isClosed = false

  const load = async (): Promise<Dispatchers> => {
    const { Agent, buildConnector } = await import("undici")
    if (isClosed) throw closed()
    const options = {
      connections: settings.connections,
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
      // One connector for both, which share its TLS sessions.
      connect: buildConnector({ timeout: settings.connectTimeout, allowH2: false })
    }
    const shared = new Agent({ ...options, keepAliveTimeout: settings.keepAliveTimeout })
    const fresh = new Agent({ ...options, pipelining: 0 })
    agents = [shared, fresh]
    return dispatchers = { shared, fresh }
  }

  return {
    open: () => {
      if (isClosed) throw closed()
      return dispatchers ?? (loading ??= load())
    },
    begin: () => {
      inFlight++
    },
    end: () => {
      inFlight--
      if (inFlight === 0) onIdle?.()
    },
    // Not undici's `close`: after it, `destroy` does not reach the requests that are still running.
    drain: () => {
      isClosed = true
      return new Promise((resolve) => {
        if (inFlight === 0) resolve()
        else onIdle = resolve
      })
    },
    destroy: () => Promise.all(agents.map((agent) => agent.destroy()))
  }
}

const closed = (): TypeError =>
  new TypeError("fetch failed", {
    cause: new NotSent(Object.assign(new Error("The transport is closed"), { code: "UND_ERR_CLOSED" }))
  })

// Sockets live in real time, whatever clock the fibers see: under a test's clock the grace would never end.
const closePools = (pools: Pools): Effect.Effect<void> =>
  Effect.promise(pools.drain).pipe(
    Effect.interruptible,
    Effect.timeoutOption(closeGrace),
    Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()),
    Effect.andThen(Effect.promise(pools.destroy)),
    Effect.asVoid
  )

const makeFetch = (pools: Pools, kind: Kind): Fetch => async (input, init = {}) => {
  const request = input instanceof Request ? input : undefined
  const signal = init.signal ?? request?.signal
  signal?.throwIfAborted()
  const url = new URL(request?.url ?? input.toString())
  if (url.username !== "" || url.password !== "") throw new TypeError("The URL of a request may not hold credentials")
  const given = init.headers ?? request?.headers
  const headers = given instanceof Headers ? given : new Headers(given)
  const body = toBody(init.body ?? request?.body)
  const method = init.method ?? request?.method ?? "GET"
  const opened = pools.open()
  const dispatchers = opened instanceof Promise ? await opened : opened
  signal?.throwIfAborted()
  return new Promise((resolve, reject) => {
    pools.begin()
    const exchange = new Exchange({ url: url.href, method, signal, resolve, reject, onOver: pools.end })
    const options = {
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers,
      body,
      headersTimeout: init.headersTimeout ?? 0,
      bodyTimeout: init.bodyTimeout ?? 0,
      ...(kind === "fresh" ? { reset: true } : undefined)
    }
    try {
      dispatchers[kind].dispatch(options, exchange)
    } catch (error) {
      exchange.onResponseError(undefined, error)
    }
  })
}

const toBody = (body: RequestInit["body"]): string | Uint8Array | Readable | null => {
  if (body === undefined || body === null) return null
  if (typeof body === "string" || body instanceof Uint8Array) return body
  if (body instanceof URLSearchParams) return body.toString()
  if (body instanceof ArrayBuffer) return new Uint8Array(body)
  if (ArrayBuffer.isView(body)) return new Uint8Array(body.buffer, body.byteOffset, body.byteLength)
  if (typeof body === "object" && Symbol.asyncIterator in body) return Readable.from(body)
  throw new TypeError("The body of a request must be a string, bytes, URLSearchParams, a stream or an async iterable")
}
