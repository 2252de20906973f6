/**
 * The delays between retries and between polls.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { ProviderError } from "../errors/ProviderError.ts"
import type { Pending } from "../services/Provider.ts"

/**
 * Options for `retrySchedule`.
 *
 * @category options
 * @since 0.1.0
 */
export interface RetryOptions {
  /**
   * Delay before the first retry.
   *
   * @default "500 millis"
   */
  readonly initial?: Duration.Input | undefined
  /**
   * Longest delay before jitter; a server's Retry-After may be longer.
   *
   * @default "30 seconds"
   */
  readonly max?: Duration.Input | undefined
  /**
   * Submissions or held calls in all, the first included, 1 or more.
   *
   * @default 5
   */
  readonly attempts?: number | undefined
}

/**
 * Creates the delays between the attempts of one call.
 *
 * **Details**
 *
 * The n-th delay is `min(initial * 2^(n - 1), max) * u`, with `u` uniform in
 * `[1, 1.1]`: the cap first, then the jitter. With the defaults and without
 * jitter: 0.5, 1, 2, 4 seconds, then the fifth error is final. Only errors
 * that a later attempt may cure are retried, and an open circuit is not waited
 * for.
 *
 * A server's wait (`retryAfter`) is a floor: the delay is `max(backoff,
 * retryAfter) * u`, however long that is. The time until a rate limit's bucket is
 * full again (`retryHint`) is a floor too, but capped by `max`.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` when `attempts` is not an integer of 1 or more.
 *
 * **Source**
 *
 * Retry-After: RFC 9110, 10.2.3.
 *
 * @category schedules
 * @since 0.1.0
 */
export const retrySchedule = (options: RetryOptions = {}): Schedule.Schedule<unknown, ProviderError> => {
  const initial = Duration.fromInputUnsafe(options.initial ?? "500 millis")
  const max = Duration.fromInputUnsafe(options.max ?? "30 seconds")
  const attempts = options.attempts ?? 5
  if (!Number.isInteger(attempts) || attempts < 1) {
    throw new RangeError(`Schedules.retrySchedule: attempts must be an integer of 1 or more, got ${attempts}`)
  }
  return Schedule.min([Schedule.exponential(initial, 2), Schedule.spaced(max)]).pipe(
    Schedule.setInputType<ProviderError>(),
    Schedule.modifyDelay(({ duration, input }) => jittered(Duration.max(duration, floorOf(input, max)))),
    Schedule.while(({ input }) => Effect.succeed(input.isRetryable && input.verdict.reason._tag !== "CircuitOpen")),
    Schedule.upTo({ times: attempts - 1 })
  )
}

/**
 * Options for `pollSchedule`.
 *
 * @category options
 * @since 0.1.0
 */
export interface PollOptions {
  /**
   * Delay before the first poll.
   *
   * @default "1 second"
   */
  readonly initial?: Duration.Input | undefined
  /**
   * Growth from one delay to the next, 1 or more.
   *
   * @default 1.25
   */
  readonly factor?: number | undefined
  /**
   * Longest delay before jitter; a server's hint may be longer, up to a minute.
   *
   * @default "15 seconds"
   */
  readonly max?: Duration.Input | undefined
}

/**
 * Creates the delays between the polls of a job.
 *
 * **Details**
 *
 * The n-th delay is `min(initial * factor^(n - 1), max) * u`, with `u` uniform
 * in `[1, 1.1]`. With the defaults and without jitter: 1, 1.25, 1.56, 1.95,
 * 2.44, 3.05, 3.81, 4.77, 5.96, 7.45, 9.31, 11.64, 14.55, then 15 seconds. It
 * never ends: a deadline does.
 *
 * When the server says how long to wait, the delay is that, at least 100
 * milliseconds and at most 1 minute, times `u`: the job may end meanwhile.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` when `factor` is less than 1.
 *
 * @category schedules
 * @since 0.1.0
 */
export const pollSchedule = (options: PollOptions = {}): Schedule.Schedule<unknown, Pending> => {
  const initial = Duration.toMillis(Duration.fromInputUnsafe(options.initial ?? "1 second"))
  const max = Duration.toMillis(Duration.fromInputUnsafe(options.max ?? "15 seconds"))
  const factor = options.factor ?? 1.25
  if (!(factor >= 1)) throw new RangeError(`Schedules.pollSchedule: factor must be 1 or more, got ${factor}`)
  // One closure: combined schedules would keep eight for every job that waits.
  return Schedule.fromStep(Effect.sync(() => {
    let next = initial
    return (_, { pollAfter }: Pending) => {
      const delay = Duration.millis(Math.min(next, max))
      next *= factor
      return Effect.map(
        jittered(pollAfter === undefined ? delay : Duration.clamp(pollAfter, hints)),
        (delay) => [delay, delay]
      )
    }
  }))
}

/**
 * The delays between the attempts of one call, read when the call starts.
 *
 * **Details**
 *
 * Its input is the error of the last attempt. When the schedule ends, the call
 * fails with that error; each step is one more submission or held call.
 *
 * @category schedules
 * @since 0.1.0
 */
export const RetryPolicy: Context.Reference<Schedule.Schedule<unknown, ProviderError>> = Context.Reference(
  "holdfast/strategies/Schedules/RetryPolicy",
  { defaultValue: () => retrySchedule() }
)

/**
 * The delays between the polls of a job unless somebody says otherwise: `pollSchedule()`.
 *
 * @category schedules
 * @since 0.1.0
 */
export const defaultPollSchedule: Schedule.Schedule<unknown, Pending> = pollSchedule()

/**
 * The delays between the polls of a job whose end a webhook should tell: 1, 2, 4, 8, then 10 minutes, jittered as
 * `pollSchedule`. A webhook that is lost costs time, not the answer.
 *
 * @category schedules
 * @since 0.1.0
 */
export const webhookPollSchedule: Schedule.Schedule<unknown, Pending> = pollSchedule({
  initial: "1 minute",
  factor: 2,
  max: "10 minutes"
})

/**
 * The delays between the polls of a job, read when the call starts.
 *
 * **Details**
 *
 * Its input is the job's last known state. When the schedule ends, the call
 * fails with `Timeout`; the job goes on.
 *
 * @category schedules
 * @since 0.1.0
 */
export const PollPolicy: Context.Reference<Schedule.Schedule<unknown, Pending>> = Context.Reference(
  "holdfast/strategies/Schedules/PollPolicy",
  { defaultValue: () => defaultPollSchedule }
)

// A hint of zero must not turn a wait into a busy loop, and one of hours must not hide a job's end.
const hints = { minimum: Duration.millis(100), maximum: Duration.minutes(1) }

const jittered = (delay: Duration.Duration): Effect.Effect<Duration.Duration> =>
  Effect.map(Random.next, (random) => Duration.times(delay, 1 + 0.1 * random))

const floorOf = ({ verdict }: ProviderError, max: Duration.Duration): Duration.Duration => {
  if (verdict._tag === "NonRetryable") return Duration.zero
  if (verdict.retryAfter !== undefined) return verdict.retryAfter
  return verdict.retryHint === undefined ? Duration.zero : Duration.min(verdict.retryHint, max)
}
