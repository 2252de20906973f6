/**
 * Reads the bodies of streamed answers, the same for every wire protocol.
 *
 * @since 0.1.0
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { StringDecoder } from "node:string_decoder"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import type { StreamEvent } from "../../Provider.ts"
import type * as ErrorClassifier from "../ErrorClassifier.ts"
import { BodyParser } from "./BodyParser.ts"
import { Playback } from "./Playback.ts"
import type { Opened, Reader, Step } from "./ProtocolReader.ts"

/**
 * Shortest time between two `Alive` events.
 *
 * @category models
 * @since 0.1.0
 */
export const aliveInterval: Duration.Duration = Duration.millis(100)

/**
 * Creates the stream of an answer.
 *
 * **Details**
 *
 * All events of one network chunk are emitted together; bytes that hold none are emitted as `Alive`, ten times a second
 * at most. The body is read when the stream is pulled, so the socket is paused while nobody pulls. When the stream is
 * left early or fails, the body is cancelled; after its last event the rest is read for up to a second, in the
 * background, so that the connection can be used again.
 *
 * A body that breaks off after the protocol's end is no failure.
 *
 * **Errors**
 *
 * - What `open` fails with, and what the reader makes of events.
 * - What `ErrorClassifier` makes of a body that stops early: `Network`, `Uncertain`.
 * - `ResponseTooLarge`, `Uncertain`, for an event, or a body without events, of more than 64 MiB, and for a stream
 *   that comes to as much.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <Context extends ErrorClassifier.Context>(
  open: Effect.Effect<Opened<Context>, ProviderError, Scope.Scope>,
  makeReader: (opened: Opened<Context>) => Reader
): Stream.Stream<StreamEvent, ProviderError> =>
  Stream.unwrap(Effect.gen(function*() {
    const opened = yield* open
    const { body } = opened.response
    const source = body === null ? undefined : body.getReader()
    const reading = new Reading(opened, makeReader(opened))
    if (source !== undefined) yield* Effect.addFinalizer(() => release(source, reading))
    return Stream.fromPull(Effect.succeed(pullOf(source, reading)))
  }))

/**
 * Returns the response of a request, whose body is cancelled when the scope closes before it was read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const acquire = (
  request: Effect.Effect<Response, ProviderError>
): Effect.Effect<Response, ProviderError, Scope.Scope> =>
  Effect.acquireRelease(
    request,
    ({ body }) => body === null || body.locked ? Effect.void : Effect.sync(() => drop(body)),
    { interruptible: true }
  )

type Source = ReadableStreamDefaultReader<Uint8Array>

type EventPull = Pull.Pull<NonEmptyReadonlyArray<StreamEvent>, ProviderError>

class Reading {
  readonly #decoder = new StringDecoder("utf8")
  readonly #parser = new BodyParser()
  readonly #opened: Opened
  readonly #playback: Playback
  #emittedAt = -Infinity

  constructor(opened: Opened, reader: Reader) {
    this.#opened = opened
    this.#playback = new Playback(opened, reader)
  }

  /** Anything but `More`: nothing more is read. */
  get step(): Step {
    return this.#playback.step
  }

  /** Takes a chunk, and returns what is to be emitted of it. */
  take(bytes: Uint8Array): Array<StreamEvent> {
    const out: Array<StreamEvent> = []
    this.#playback.play(this.#parser.feed(this.#decoder.write(bytes)), out)
    if (this.#parser.isOverfull) this.#playback.refuse()
    if (out.length === 0 && this.step === "More") this.#stayAlive(out)
    return out
  }

  /** Takes the end of the body, or what the reading of it failed with. */
  end(failure?: { readonly error: unknown }): Array<StreamEvent> {
    const out: Array<StreamEvent> = []
    this.#playback.play(this.#parser.feed(this.#decoder.end()), out)
    const { body, events } = this.#parser.end()
    this.#playback.play(events, out)
    this.#playback.end(body, out, failure)
    return out
  }

  /** Takes what a reader has thrown. */
  crash(error: unknown): void {
    this.#playback.fail(error)
  }

  #stayAlive(out: Array<StreamEvent>): void {
    const { now } = this.#opened.contextNow()
    if (Math.abs(now - this.#emittedAt) < Duration.toMillis(aliveInterval)) return
    this.#emittedAt = now
    out.push({ _tag: "Alive" })
  }
}

const pullOf = (source: Source | undefined, reading: Reading): EventPull => {
  const emit = (out: Array<StreamEvent>): EventPull => isNonEmpty(out) ? Effect.succeed(out) : pull
  const guarded = (events: () => Array<StreamEvent>): EventPull => {
    try {
      return emit(events())
    } catch (error) {
      reading.crash(error)
      return pull
    }
  }
  const read: EventPull = source === undefined ?
    Effect.suspend(() => guarded(() => reading.end())) :
    Effect.callback((resume) => {
      source.read().then(
        ({ done, value }) => resume(guarded(() => done ? reading.end() : reading.take(value))),
        (error) => resume(guarded(() => reading.end({ error })))
      )
    })
  const pull: EventPull = Effect.suspend(() => {
    const { step } = reading
    if (step === "More") return read
    return step === "Over" ? Cause.done() : Effect.fail(step)
  })
  return pull
}

const isNonEmpty = <A>(items: Array<A>): items is [A, ...Array<A>] => items.length > 0

// Sockets live in real time, whatever clock the fibers see.
const release = (source: Source, reading: Reading): Effect.Effect<void> =>
  reading.step === "Over"
    ? Effect.tryPromise({ try: () => drain(source), catch: () => undefined }).pipe(
      Effect.timeoutOption("1 second"),
      Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()),
      Effect.ignore,
      Effect.andThen(Effect.sync(() => drop(source))),
      Effect.forkDetach,
      Effect.asVoid
    )
    : Effect.sync(() => drop(source))

const drain = async (source: Source): Promise<void> => {
  for (;;) {
    const { done } = await source.read()
    if (done) return
  }
}

// The error of a body that had failed before is known already.
const drop = (body: { readonly cancel: () => Promise<void> }): void => {
  body.cancel().catch(() => {})
}
