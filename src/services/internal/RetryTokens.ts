/**
 * The token bucket that bounds the retries of an account.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { RetryBudget } from "../Provider.ts"

/**
 * The bucket's numbers, in tokens.
 *
 * @category options
 * @since 0.1.0
 */
export interface Costs {
  readonly size: number
  readonly retryCost: number
  readonly timeoutCost: number
  /** What a retry after the provider's rate limit costs: nothing where the account keeps to it, and waits anyway. */
  readonly rateLimitCost: number
  readonly successReturn: number
}

/**
 * Creates a full bucket. It is refilled by successes alone, not by time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ rateLimitCost, retryCost, size, successReturn, timeoutCost }: Costs): RetryBudget => {
  let tokens = size
  const costOf = ({ evidence, verdict: { reason } }: ProviderError): number => {
    // Holdfast's own limits refused it, so the provider does not feel the retry.
    if (evidence === "NotSent" && (reason._tag === "CircuitOpen" || reason._tag === "RateLimited")) return 0
    if (reason._tag === "RateLimited") return rateLimitCost
    return reason._tag === "Network" ? timeoutCost : retryCost
  }
  return {
    take: (error) =>
      Effect.sync(() => {
        const cost = costOf(error)
        if (cost > tokens) return false
        tokens -= cost
        return true
      }),
    giveBack: Effect.sync(() => {
      tokens = Math.min(size, tokens + successReturn)
    })
  }
}
