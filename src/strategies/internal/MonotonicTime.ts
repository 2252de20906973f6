/**
 * Time that is never set back, for waits and deadlines.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** Milliseconds of the monotonic clock. */
export const monotonicMillis: Effect.Effect<number> = Effect.map(
  Clock.monotonicTimeNanos,
  (nanos) => Number(nanos) / 1_000_000
)

/** The rest of a wait, at least a microsecond: a shorter sleep may not move the clock. */
export const restOf = (millis: number): Duration.Duration => Duration.millis(Math.max(millis, 0.001))
