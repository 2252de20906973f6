/**
 * Steps a schedule by hand, where a journal is read or written between its steps.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Pull from "effect/Pull"
import type * as Schedule from "effect/Schedule"
import { monotonicMillis } from "./MonotonicTime.ts"

/** The steps of one use of a schedule, as `Schedule.toStep` creates them. */
export type Steps<Input> = Effect.Success<ReturnType<typeof Schedule.toStep<unknown, Input, never, never>>>

/** Takes a step: gives the next delay, in milliseconds; `None` when the schedule has ended. */
export const nextDelay = <Input>(steps: Steps<Input>, input: Input): Effect.Effect<Option.Option<number>> =>
  monotonicMillis.pipe(
    Effect.flatMap((now) => steps(now, input)),
    Effect.map(([, duration]) => Option.some(Duration.toMillis(duration))),
    Pull.catchDone(() => Effect.succeedNone)
  )
