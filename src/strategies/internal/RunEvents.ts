/**
 * The events of a run, for one watcher: what its stream tells, what is left to tell of the answer, and the answer.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Pull from "effect/Pull"
import * as Stream from "effect/Stream"
import { StreamInterrupted } from "../../errors/Reason.ts"
import { Retryable, type StrategyError } from "../../errors/StrategyError.ts"
import type { LlmResponse } from "../../services/LlmResponse.ts"
import type { ResponseEvent } from "../../services/ResponseEvent.ts"
import { Reader } from "./Transcript.ts"

type Events = readonly [ResponseEvent, ...Array<ResponseEvent>]

/** Creates the stream of a caller. Closing it ends the caller's wait. */
export const make = <E>(
  wait: (reader: Reader) => Effect.Effect<Effect.Effect<LlmResponse, StrategyError>, E>
): Stream.Stream<ResponseEvent, StrategyError | E> =>
  Stream.unwrap(Effect.gen(function*() {
    const reader = new Reader()
    const waiting = yield* wait(reader)
    yield* Effect.addFinalizer(() => Effect.sync(() => reader.detach()))
    const fiber = yield* Effect.forkScoped(waiting, { startImmediately: true })
    fiber.addObserver(() => reader.wake?.())
    return Stream.fromPull(Effect.sync(() => pullOf(reader, fiber)))
  }))

const pullOf = (
  reader: Reader,
  fiber: Fiber.Fiber<LlmResponse, StrategyError>
): Pull.Pull<Events, StrategyError> => {
  let isOver = false
  const more = Effect.callback<void>((resume) => {
    reader.wake = () => resume(Effect.void)
    if (reader.hasMore || fiber.pollUnsafe() !== undefined) reader.wake()
    return Effect.sync(() => {
      reader.wake = undefined
    })
  })
  const pull: Pull.Pull<Events, StrategyError> = Effect.suspend(() => {
    if (isOver) return Cause.done()
    const exit = fiber.pollUnsafe()
    const [first, ...rest] = reader.take()
    if (first !== undefined) return Effect.succeed<Events>([first, ...rest])
    if (exit === undefined) return Effect.flatMap(more, () => pull)
    isOver = true
    return Effect.flatMap(exit, (response) => conclude(reader, response))
  })
  return pull
}

const conclude = (reader: Reader, response: LlmResponse): Effect.Effect<Events, Retryable> => {
  const { resumed: replayed } = response
  const rest = reader.rest(response.content)
  const completed: ResponseEvent = { _tag: "Completed", response, replayed }
  if (rest?._tag !== "Contradicted") {
    const events: ReadonlyArray<ResponseEvent> = [
      ...(rest === undefined ? [] : [{ ...rest, _tag: "TextDelta" as const, replayed }]),
      ...reader.missingCalls.map((call): ResponseEvent => ({ ...call, _tag: "ToolCall", replayed })),
      completed
    ]
    const [first = completed, ...others] = events
    return Effect.succeed([first, ...others])
  }
  return Effect.fail(
    new Retryable({
      reason: new StreamInterrupted({
        message: "The answer is not the one that was streamed; the same call again gives it",
        content: rest.told,
        usage: response.usage
      }),
      attempts: response.attempts,
      session: response.session,
      jobId: response.responseId
    })
  )
}
