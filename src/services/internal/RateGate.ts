/**
 * Lets requests to one model pass at the rates that its provider allows.
 *
 * **Details**
 *
 * Requests pass in the order in which they came. Only the first of them asks
 * the `RateLimiter`, which takes nothing until it lets it pass: a request that
 * is given up while it waits leaves nothing behind.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { RateLimiter, RateLimiterError } from "effect/persistence/RateLimiter"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { Usage } from "../../errors/Usage.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import type { ServerLimits } from "./RateHeaders.ts"
import * as TokenEstimate from "./TokenEstimate.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Names the account and the model in the store of the limiter. */
  readonly key: string
  readonly requestsPerMinute: number | undefined
  readonly tokensPerMinute: number | undefined
  /** Output tokens of a request that does not bound them. */
  readonly outputTokens: number
  readonly followServer: boolean
}

/**
 * What a request took to pass.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ticket {
  /** Unix time in milliseconds. */
  readonly at: number
  readonly requests: number
  readonly tokens: number
  /** Correlates the server's answer with the limiter's state. */
  readonly epoch: number
}

/**
 * What is known of a request when it is over.
 *
 * @category models
 * @since 0.1.0
 */
export type Report =
  | { readonly _tag: "Answered"; readonly usage: Usage | undefined }
  | { readonly _tag: "Failed"; readonly error: ProviderError }
  /** It was interrupted, or died. */
  | { readonly _tag: "Unknown"; readonly isSent: boolean }

/**
 * A request would have to wait for too long.
 *
 * @category models
 * @since 0.1.0
 */
export interface TooLate {
  /** For how long, if that is known. */
  readonly wait: Duration.Duration | undefined
}

/**
 * The gate of one model.
 *
 * @category models
 * @since 0.1.0
 */
export interface RateGate {
  /**
   * Waits, interruptibly, until the request may pass. Fails at once, and takes nothing, when it would have to wait beyond
   * `until` (Unix time in milliseconds). To be called uninterruptibly.
   */
  readonly pass: (
    request: ResponseRequest,
    until: number,
    restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<Ticket, TooLate>
  /** Takes or gives back what the request really took. */
  readonly settle: (ticket: Ticket, report: Report) => Effect.Effect<void>
  /** Remembers what a response said, for the next request. */
  readonly learn: (limits: ServerLimits) => void
}

/**
 * Creates a gate.
 *
 * **Details**
 *
 * A store that fails is logged at level Warn, and lets requests pass.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (limiter: RateLimiter, options: Options): RateGate => {
  const queue = Semaphore.makeUnsafe(1)
  const configured = { requests: options.requestsPerMinute, tokens: options.tokensPerMinute }
  let server: ServerLimits | undefined
  let isNews = false
  // Unix time in milliseconds. The limiter forgets a wait after an hour.
  let closedUntil = 0

  const limitOf = (dimension: Dimension): number | undefined => {
    const limit = Math.min(configured[dimension] ?? Infinity, server?.[dimension].limit ?? Infinity)
    return limit === Infinity ? undefined : limit
  }

  const consume = (dimension: Dimension, limit: number, tokens: number, onExceeded: "delay" | "fail") =>
    limiter.consume({
      key: `${options.key}/${dimension}`,
      algorithm: "token-bucket",
      window,
      limit,
      tokens,
      onExceeded
    })

  /** Takes or gives back without waiting. */
  const adjust = (dimension: Dimension, tokens: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      const limit = limitOf(dimension)
      return limit === undefined || tokens === 0
        ? Effect.void
        : Effect.ignore(consume(dimension, limit, tokens, "delay"), { log: "Warn" })
    })

  // What other processes took, and what the estimates missed, is known to the server alone.
  const catchUp = Effect.suspend(() => {
    if (!isNews) return Effect.void
    isNews = false
    return Effect.forEach(dimensions, (dimension) => {
      const limit = limitOf(dimension)
      const remaining = server?.[dimension].remaining
      return limit === undefined || remaining === undefined
        ? Effect.void
        : consume(dimension, limit, 0, "delay").pipe(
          Effect.flatMap((bucket) =>
            bucket.remaining > remaining
              ? consume(dimension, limit, bucket.remaining - remaining, "delay")
              : Effect.void
          ),
          Effect.ignore({ log: "Warn" })
        )
    }, { discard: true })
  })

  const pass: RateGate["pass"] = (request, until, restore) => {
    const sleep = (delay: Duration.Duration): Effect.Effect<void, TooLate> =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => now + Duration.toMillis(delay) > until ? Effect.fail({ wait: delay }) : restore(Effect.sleep(delay))
      )

    const take = Effect.fnUntraced(function*(dimension: Dimension, wanted: number) {
      while (true) {
        yield* catchUp
        const limit = limitOf(dimension)
        if (limit === undefined) return 0
        // What is more than a whole minute's limit would never pass.
        const tokens = Math.min(wanted, limit)
        const delay = yield* consume(dimension, limit, tokens, "fail").pipe(
          Effect.as(undefined),
          Effect.catch(delayOf)
        )
        if (delay === undefined) return tokens
        yield* sleep(delay)
      }
    })

    const heed = Effect.fnUntraced(function*() {
      while (options.followServer) {
        const left = closedUntil - (yield* Clock.currentTimeMillis)
        if (left > 0) yield* sleep(Duration.millis(left))
        const { delay, epoch, phase } = yield* Effect.catch(
          limiter.adaptiveConsume({
            key: options.key,
            tokens: 1,
            fallbackLimit: limitOf("requests") ?? Number.MAX_SAFE_INTEGER,
            fallbackWindow: window
          }),
          (error) => Effect.as(warn(error), unheeded)
        )
        if (Duration.isPositive(delay)) yield* sleep(delay)
        // A cooldown takes nothing for those who wait for its end.
        if (phase !== "cooldown") return epoch
      }
      return 0
    })

    return Effect.scoped(Effect.gen(function*() {
      if (!(yield* enter(queue, until, restore))) return yield* Effect.fail({ wait: undefined })
      const requests = yield* take("requests", 1)
      const rest = Effect.gen(function*() {
        const tokens = yield* take("tokens", TokenEstimate.of(request, options.outputTokens))
        const epoch = yield* Effect.onError(heed(), () => adjust("tokens", -tokens))
        return { at: yield* Clock.currentTimeMillis, requests, tokens, epoch }
      })
      return yield* Effect.onError(rest, () => adjust("requests", -requests))
    }))
  }

  const settle: RateGate["settle"] = Effect.fnUntraced(function*(ticket, report) {
    const isFresh = (yield* Clock.currentTimeMillis) - ticket.at < Duration.toMillis(window)
    const giveBack = (dimension: Dimension): Effect.Effect<void> =>
      isFresh ? adjust(dimension, -ticket[dimension]) : Effect.void
    if (report._tag === "Unknown") {
      if (!report.isSent) yield* Effect.andThen(giveBack("requests"), giveBack("tokens"))
    } else if (report._tag === "Failed") {
      const { evidence, verdict } = report.error
      if (evidence === "NotSent") yield* giveBack("requests")
      if (evidence !== "Uncertain") yield* giveBack("tokens")
      if (options.followServer && verdict._tag === "Retryable" && verdict.reason._tag === "RateLimited") {
        const wait = waitOf(verdict)
        if (wait !== undefined && Duration.isGreaterThan(wait, longestCooldown)) {
          closedUntil = Math.max(closedUntil, (yield* Clock.currentTimeMillis) + Duration.toMillis(wait))
        }
        yield* limiter.adaptiveFeedback({
          key: options.key,
          epoch: ticket.epoch,
          tokens: 1,
          status: evidence === "NotSent" ? 0 : 429,
          retryAfter: wait
        }).pipe(Effect.ignore({ log: "Warn" }))
      }
    } else if (report.usage !== undefined && ticket.tokens > 0) {
      const difference = report.usage.totalTokens - ticket.tokens
      // What was taken more than a minute ago has come back by itself.
      yield* adjust("tokens", isFresh ? difference : Math.max(0, difference))
    }
  })

  return {
    pass,
    settle,
    learn: (limits) => {
      server = limits
      isNews = true
    }
  }
}

/**
 * Returns how long a gate that follows the server lets nothing pass after a
 * rate limit; `undefined` when the server did not say.
 *
 * @category combinators
 * @since 0.1.0
 */
export const waitOf = (verdict: ProviderError["verdict"]): Duration.Duration | undefined => {
  const wait = verdict._tag === "Retryable" ? verdict.retryAfter ?? verdict.retryHint : undefined
  return wait !== undefined && Duration.isPositive(wait) ? wait : undefined
}

/**
 * Takes one permit for the scope, waiting for it interruptibly, but not beyond
 * `until` (Unix time in milliseconds). To be called uninterruptibly.
 *
 * @category combinators
 * @since 0.1.0
 */
export const enter = (
  semaphore: Semaphore.Semaphore,
  until: number,
  restore: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
): Effect.Effect<boolean, never, Scope.Scope> => {
  const take = Effect.as(semaphore.takeScoped(1), true)
  return until === Infinity ?
    restore(take) :
    Effect.flatMap(
      Clock.currentTimeMillis,
      (now) =>
        restore(Effect.raceFirst(take, Effect.as(Effect.sleep(Duration.millis(Math.max(0, until - now))), false)))
    )
}

type Dimension = "requests" | "tokens"

const dimensions: ReadonlyArray<Dimension> = ["requests", "tokens"]

const window = Duration.minutes(1)

/** The longest cooldown of Effect's limiter. */
const longestCooldown = Duration.hours(1)

const unheeded = { delay: Duration.zero, epoch: 0, phase: "inactive" } as const

const warn = (error: RateLimiterError): Effect.Effect<void> =>
  Effect.logWarning("The rate limiter's store failed; the request passes", error.reason._tag)

const delayOf = (error: RateLimiterError): Effect.Effect<Duration.Duration | undefined> =>
  error.reason._tag === "RateLimitExceeded"
    ? Effect.succeed(Duration.max(error.reason.retryAfter, Duration.millis(1)))
    : Effect.as(warn(error), undefined)
