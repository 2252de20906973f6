/**
 * Keeps the calls to one account within limits: a budget for retries, rates,
 * concurrency, and circuit breakers.
 *
 * **Details**
 *
 * An account is one provider entry of `Providers`: a prefix with its base URL,
 * organisation, project and key. Only submissions, held calls and their streams
 * count; polls, cancels and lookups pass freely, as the job is paid for.
 *
 * | option | default |
 * | --- | --- |
 * | `retryBudget` | on: 500 tokens; a retry costs 5, after a `Network` failure 10; a success gives back 1 |
 * | `requestsPerMinute`, `tokensPerMinute` | off |
 * | `followServer` | on with either of the two, else off |
 * | `concurrency` | off |
 * | `circuitBreaker` | off |
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as AccountLimits from "./internal/AccountLimits.ts"
import type { Provider } from "./Provider.ts"
import type { Fetch } from "./providers/Transport.ts"

/**
 * The limits of one account.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * What all retries of submissions and held calls may cost together. When too
   * little is left, a call fails at once with its last error. `false` sets no
   * bound.
   *
   * With `followServer`, a retry after a rate limit whose wait the server names costs nothing: it waits with all others.
   *
   * @default true, with the defaults of `RetryBudgetOptions`
   */
  readonly retryBudget?: boolean | RetryBudgetOptions | undefined
  /**
   * Most requests to each model in a minute, 1 or more. Providers count each
   * model by itself, and so does this. A full minute's worth may be sent at
   * once; then it comes back evenly.
   *
   * @default no limit
   */
  readonly requestsPerMinute?: number | undefined
  /**
   * Most tokens for each model in a minute, 1 or more. A request waits for its
   * estimate: a quarter of the prompt's characters, 1000 for each image and
   * file, and `maxOutputTokens` or else `expectedOutputTokens`, though never
   * for more than the limit. What it really took is settled at its end, for
   * background jobs only if they end at once.
   *
   * @default no limit
   */
  readonly tokensPerMinute?: number | undefined
  /**
   * Output tokens of a request that does not set `maxOutputTokens`, 0 or more.
   *
   * @default 1000
   */
  readonly expectedOutputTokens?: number | undefined
  /**
   * Whether the rates follow what the server says: `x-ratelimit-limit-*`,
   * `x-ratelimit-remaining-*` and Anthropic's `anthropic-ratelimit-*` headers
   * can only lower them, and after a 429 with a wait nothing is sent to that
   * model until it is over.
   *
   * @default true with `requestsPerMinute` or `tokensPerMinute`, else false
   */
  readonly followServer?: boolean | undefined
  /**
   * Most requests in flight, 1 or more: submissions until they are accepted,
   * held calls and streams until they are over. Polls do not count.
   *
   * @default no limit
   */
  readonly concurrency?: number | undefined
  /**
   * Refuses calls with `Retryable(CircuitOpen)` for a while after failures in a
   * row of one model, and those to the whole account at once after
   * `QuotaExceeded` and `AuthenticationFailed`.
   *
   * @default false
   */
  readonly circuitBreaker?: boolean | CircuitBreakerOptions | undefined
}

/**
 * A token bucket that is refilled by successes alone.
 *
 * @category options
 * @since 0.1.0
 */
export interface RetryBudgetOptions {
  /**
   * Tokens of a full bucket, 0 or more.
   *
   * @default 500
   */
  readonly size?: number | undefined
  /**
   * Tokens that a retry costs, 0 or more.
   *
   * @default 5
   */
  readonly retryCost?: number | undefined
  /**
   * Tokens that a retry costs after no answer came (`Network`), 0 or more.
   *
   * @default 10
   */
  readonly timeoutCost?: number | undefined
  /**
   * Tokens that a success gives back, 0 or more.
   *
   * @default 1
   */
  readonly successReturn?: number | undefined
}

/**
 * When circuits open, and for how long.
 *
 * @category options
 * @since 0.1.0
 */
export interface CircuitBreakerOptions {
  /**
   * Failures in a row that open a model's circuit, 1 or more.
   *
   * @default 5
   */
  readonly failures?: number | undefined
  /**
   * How long a circuit stays open before one call may try again; doubled each time that it fails, up to ten times as
   * long. A server's Retry-After is a floor.
   *
   * @default "30 seconds"
   */
  readonly openFor?: Duration.Input | undefined
}

/**
 * What names an account.
 *
 * @category models
 * @since 0.1.0
 */
export interface AccountName {
  /** The provider's prefix. */
  readonly provider: string
  /** The same in every process that shares the account's limits through a store; holds no secrets. */
  readonly key: string
}

/**
 * The limits of one account, in use.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  /** Puts a provider behind the limits. */
  readonly apply: (provider: Provider) => Provider
  /** Learns from the responses to one model's requests; absent when there is nothing to learn. */
  readonly observe?: ((model: string, fetch: Fetch) => Fetch) | undefined
}

/**
 * Creates the limits of an account.
 *
 * **Details**
 *
 * Rates use Effect's `RateLimiter`, circuits its `CircuitBreaker`. Their state is
 * in the `RateLimiterStore` and the `CircuitBreakerStore` of the context if there
 * are any (for example Redis, for many processes), else in memory. The retry
 * budget and the concurrency belong to this process.
 *
 * A call waits for at most 250 ms for a store of the context, or for a retry
 * budget that a provider brings, and then passes without it. The first such
 * failure is logged at level Warn and names the store. After a question without
 * an answer, one call every 5 seconds asks again until an answer comes. How a
 * call ended is recorded after the call has returned; the scope waits for that
 * for at most 250 ms.
 *
 * A call waits for its turn as long as its caller does. A background submission
 * waits for half of its `submitTimeout` at most, and then fails with
 * `Retryable(RateLimited)`, not sent.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` like {@link validate}.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (account: AccountName, options: Options = {}): Effect.Effect<Limits, never, Scope.Scope> => {
  validate("Limits.make", options)
  return AccountLimits.make(account, options)
}

/**
 * Checks the numbers of an account's limits.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` that begins with `where` for a number out of its range.
 *
 * @category guards
 * @since 0.1.0
 */
export const validate = (where: string, options: Options): void => {
  const { circuitBreaker, concurrency, expectedOutputTokens, requestsPerMinute, retryBudget, tokensPerMinute } = options
  const whole = (name: string, value: number | undefined, least: number): void => {
    if (value !== undefined && !(Number.isSafeInteger(value) && value >= least)) {
      throw new RangeError(`${where}: ${name} must be a whole number, ${least} or more, got ${value}`)
    }
  }
  whole("requestsPerMinute", requestsPerMinute, 1)
  whole("tokensPerMinute", tokensPerMinute, 1)
  whole("expectedOutputTokens", expectedOutputTokens, 0)
  whole("concurrency", concurrency, 1)
  if (typeof retryBudget === "object") {
    for (const [name, value] of Object.entries(retryBudget)) whole(`retryBudget.${name}`, value, 0)
  }
  if (typeof circuitBreaker === "object") {
    const { failures, openFor } = circuitBreaker
    whole("circuitBreaker.failures", failures, 1)
    const isUsable = (time: Duration.Duration): boolean => Duration.isPositive(time) && Duration.isFinite(time)
    if (openFor !== undefined && !Option.exists(Duration.fromInput(openFor), isUsable)) {
      throw new RangeError(`${where}: circuitBreaker.openFor must be a positive, finite duration`)
    }
  }
}
