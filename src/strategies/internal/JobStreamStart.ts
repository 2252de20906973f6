/**
 * Starts a job whose stream is read from its creation on.
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import type * as Stream from "effect/Stream"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { JobState, StreamEvent } from "../../services/Provider.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import { type Read, read, type Reading } from "./StreamReader.ts"
import { ofHeldCall } from "./StreamEnd.ts"

/**
 * A connection that is closed sooner after the job's creation can leave the job queued for ever, milliseconds.
 *
 * OpenAI developer community, "background + stream responses stuck in queued":
 * https://community.openai.com/t/1382584
 */
const leastOpenMillis = 2000

/** A job's stream, read in a fiber of its own from its creation on. */
export interface OpenStream {
  /** How it was over. */
  readonly over: Effect.Effect<Read>
  /** Lets it tell more than that it has started: the job's id is in the journal. */
  readonly goOn: Effect.Effect<void>
  /** Closes it, though not within two seconds of the job's creation; it tells nothing more. */
  readonly close: Effect.Effect<void>
}

/** A job that was accepted, with the stream that goes on telling of it, if there is one. */
export interface Opened {
  readonly jobId: string
  readonly state: JobState
  readonly stream?: OpenStream | undefined
}

/** Starts a job by its stream, and succeeds once the provider has told its id. */
export const open = Effect.fnUntraced(function*(
  stream: Stream.Stream<StreamEvent, ProviderError>,
  reading: Omit<Reading, "onStarted" | "isClosing">,
  model: string
): Effect.fn.Return<Opened, ProviderError> {
  const started = Deferred.makeUnsafe<string, Read>()
  const isJournaled = Latch.makeUnsafe(false)
  let startedAt = -Infinity
  let isClosing = false
  const { firstEvent, idle } = reading.timeouts
  const fiber = yield* read(stream, {
    ...reading,
    timeouts: { firstEvent, idle: Math.max(idle, leastOpenMillis) },
    onStarted: (id) =>
      Effect.flatMap(monotonicMillis, (now) => {
        startedAt = now
        Deferred.doneUnsafe(started, Effect.succeed(id))
        return isJournaled.await
      }),
    isClosing: () => isClosing
  }).pipe(
    Effect.tap((over) => Deferred.fail(started, over)),
    Effect.forkDetach({ startImmediately: true })
  )
  const close = Effect.gen(function*() {
    isClosing = true
    const left = startedAt + leastOpenMillis - (yield* monotonicMillis)
    yield* isJournaled.open
    if (left > 0) yield* Effect.timeoutOption(Fiber.await(fiber), Duration.millis(left))
    yield* Fiber.interrupt(fiber)
  })
  return yield* Deferred.await(started).pipe(
    Effect.map((jobId): Opened => ({
      jobId,
      state: { _tag: "Pending", status: "queued", phase: "queued" },
      stream: { over: Effect.flatten(Fiber.await(fiber)), goOn: isJournaled.open, close }
    })),
    Effect.catch((over): Effect.Effect<Opened, ProviderError> =>
      over._tag === "Ended"
        ? Effect.succeed({
          jobId: "",
          // Without an id there is no job to poll.
          state: { _tag: "Ended", outcome: ofHeldCall(reading.transcript.emitted(model), over.outcome) }
        })
        : Effect.fail(over.error)
    ),
    Effect.onInterrupt(() => close)
  )
})
