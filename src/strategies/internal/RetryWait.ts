/**
 * Waits between the attempts of a run.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { ProviderError } from "../../errors/ProviderError.ts"
import type { RetryBudget } from "../../services/Provider.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import { nextDelay, type Steps } from "./ScheduleSteps.ts"
import { isStopped } from "./Decision.ts"
import type { Run } from "./Run.ts"

/** The schedule of one model's attempts, made when it is first needed: few runs have a retry. */
export interface Retries {
  steps: Steps<ProviderError> | undefined
  /** An answer that could not be read has been asked for again. That is done once: the next one may cost the same. */
  hasAskedAgain?: boolean
}

/**
 * Waits as the retry schedule says, or until a cancel of the session is requested. Succeeds with the error, and the wait
 * that it asks for, when the schedule, the error, the account's budget or the deadline forbids another attempt. An answer
 * of status 2xx that cannot be read is asked for again once.
 */
export const waitForRetry = Effect.fnUntraced(
  function*(
    run: Run,
    retries: Retries,
    error: ProviderError,
    budget: RetryBudget | undefined
  ): Effect.fn.Return<ProviderError | undefined> {
    const { verdict } = error
    if (verdict._tag === "NonRetryable") return error
    if (isUnreadable(error)) {
      if (retries.hasAskedAgain === true) return error
      retries.hasAskedAgain = true
    }
    const steps = retries.steps ??= yield* Schedule.toStep(run.spec.retry)
    const next = yield* nextDelay(steps, error)
    if (next._tag === "None") return error
    const delay = next.value
    // The server's wait counts, whatever the schedule says.
    const wait = verdict.retryAfter === undefined ? 0 : Duration.toMillis(verdict.retryAfter)
    if ((yield* monotonicMillis) + Math.max(delay, wait) > run.deadlineAt) {
      const retryAfter = verdict.retryAfter ?? verdict.retryHint ?? Duration.millis(delay)
      return new ProviderError({ verdict: { ...verdict, retryAfter }, evidence: error.evidence })
    }
    if (budget !== undefined && !(yield* budget.take(error))) return error
    run.update({ phase: "submit", status: `retrying after ${verdict.reason._tag}` })
    yield* Effect.raceFirst(Effect.sleep(Duration.millis(delay)), stopRequested(run))
    return undefined
  }
)

const isUnreadable = ({ evidence, verdict: { reason } }: ProviderError): boolean =>
  evidence !== "NotSent" && reason._tag === "InvalidResponse" &&
  (reason.status === undefined || (reason.status >= 200 && reason.status < 300))

/** Succeeds when a cancel of the session is requested in this process. */
const stopRequested = (run: Run): Effect.Effect<void> =>
  run.wakes.next.pipe(
    Effect.andThen(run.spec.journal.load),
    Effect.map(({ state }) => isStopped(state, run)),
    // The loop reports the store's failure.
    Effect.orElseSucceed(() => false),
    Effect.repeat({ until: (isRequested) => isRequested }),
    Effect.asVoid
  )
