/**
 * Drives a schedule by hand, where a journal must be read or written between
 * its steps.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import * as Schedule from "effect/Schedule"
import { monotonicMillis } from "./MonotonicTime.ts"

/** Returns a function that gives the next delay, in milliseconds; `None` when the schedule has ended. */
export const delaysOf = <Input>(
  schedule: Schedule.Schedule<unknown, Input>
): Effect.Effect<(input: Input) => Effect.Effect<Option.Option<number>>> =>
  Effect.map(Schedule.toStep(schedule), (step) => (input) =>
    monotonicMillis.pipe(
      Effect.flatMap((now) => step(now, input)),
      Effect.map(([, duration]) => Option.some(Duration.toMillis(duration))),
      Pull.catchDone(() => Effect.succeedNone)
    ))
