/**
 * The token bucket that bounds the retries of an account.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { RetryBudget } from "../Provider.ts"
import * as RateGate from "./RateGate.ts"

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
  /** Whether all requests to a model wait for the end of its rate limits: then a retry after one is never early. */
  readonly isPaced: boolean
  readonly successReturn: number
}

/**
 * Creates a full bucket. It is refilled by successes alone, not by time.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = ({ isPaced, retryCost, size, successReturn, timeoutCost }: Costs): RetryBudget => {
  let tokens = size
  const costOf = ({ evidence, verdict }: ProviderError): number => {
    const { reason: { _tag } } = verdict
    // Holdfast's own limits refused it, so it never reached the provider.
    if (evidence === "NotSent" && (_tag === "CircuitOpen" || _tag === "RateLimited")) return 0
    // When no wait is named, nothing spaces the retries out but the budget.
    if (isPaced && _tag === "RateLimited" && RateGate.waitOf(verdict) !== undefined) return 0
    return _tag === "Network" ? timeoutCost : retryCost
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
