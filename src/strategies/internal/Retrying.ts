/**
 * Waits between the attempts of a run.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ProviderError } from "../../errors/ProviderError.ts"
import { Retryable, type StrategyError } from "../../errors/StrategyError.ts"
import type { RetryBudget } from "../../services/Provider.ts"
import { monotonicMillis } from "./Deadlines.ts"
import { delaysOf } from "./Delays.ts"
import { givenUp } from "./Hints.ts"
import type { Run } from "./Run.ts"

/** The schedule of one model's attempts, made when it is first needed: few runs have a retry. */
export interface Retries {
  next: Effect.Success<ReturnType<typeof delaysOf<ProviderError>>> | undefined
}

/**
 * Waits as the retry schedule says, or until somebody asks for a stop. Succeeds with the failure instead, at once, when
 * the schedule, the error, the account's budget or the deadline forbids another attempt. The deadline does so when it
 * comes before the end of the server's wait, whatever the schedule says.
 */
export const waitForRetry = Effect.fnUntraced(
  function*(
    run: Run,
    retries: Retries,
    error: ProviderError,
    budget: RetryBudget | undefined
  ): Effect.fn.Return<StrategyError | undefined> {
    if (!error.isRetryable) return run.failure(error)
    const nextDelay = retries.next ??= yield* delaysOf(run.spec.retry)
    const next = yield* nextDelay(error)
    if (next._tag === "None") return run.failure(error)
    const delay = next.value
    if ((yield* monotonicMillis) + Math.max(delay, waitOf(error)) > run.deadlineAt) {
      const failure = run.failure(error)
      return failure._tag === "Retryable"
        ? new Retryable({ ...failure, retryAfter: failure.retryAfter ?? Duration.millis(delay) })
        : failure
    }
    if (budget !== undefined && !(yield* budget.take(error))) return run.failure(error)
    run.update({ phase: "submit", status: `retrying after ${error.verdict.reason._tag}` })
    yield* Effect.raceFirst(Effect.sleep(Duration.millis(delay)), givenUp(run))
    return undefined
  }
)

const waitOf = ({ verdict }: ProviderError): number =>
  verdict._tag === "Retryable" && verdict.retryAfter !== undefined ? Duration.toMillis(verdict.retryAfter) : 0
