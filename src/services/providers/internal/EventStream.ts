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
import { InvalidResponse } from "../../../errors/Reason.ts"
import type { StreamEvent } from "../../Provider.ts"
import * as ErrorClassifier from "../ErrorClassifier.ts"
import { EventParser, maxEventLength, type ServerEvent } from "./EventParser.ts"
import * as Failure from "./Failure.ts"
import { parse, type Reply } from "./JsonBody.ts"

/**
 * A streamed answer of status 2xx whose body has not been read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opened<Context extends ErrorClassifier.Context = ErrorClassifier.Context> {
  readonly response: Response
  /** The exchange, as it is now. */
  readonly contextNow: () => Context
}

/**
 * What comes after an event: more of them, the end of the stream, or its failure.
 *
 * @category models
 * @since 0.1.0
 */
export type Step = "More" | "Over" | ProviderError

/**
 * What a wire protocol makes of one body. Each method appends to `out` what is to be emitted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reader {
  readonly take: (event: ServerEvent, out: Array<StreamEvent>) => Step
  /** The body has ended without an `Over`; it was cut, unless the protocol says otherwise. `Over` and `More` end alike. */
  readonly finish: (out: Array<StreamEvent>) => Step
  /** The body held no event at all: perhaps an error, or the whole answer of a server that does not stream. */
  readonly whole: (reply: Reply, out: Array<StreamEvent>) => Step
  /** Says that events arrive of which nothing is emitted; `undefined` before the first one that was. */
  readonly alive: () => StreamEvent | undefined
}

/**
 * For how long events may arrive of which nothing is emitted, before a `Status` says that the stream is alive.
 *
 * @category models
 * @since 0.1.0
 */
export const quietTime: Duration.Duration = Duration.seconds(1)

/**
 * Creates the stream of an answer.
 *
 * **Details**
 *
 * All events of one network chunk are emitted together. The body is read when the stream is pulled, and so the socket
 * is paused while nobody pulls. When the stream is left early or fails, the body is cancelled; after its last event
 * the rest is read for up to a second, beside it, so that the connection can be used again.
 *
 * **Errors**
 *
 * - What `open` fails with, and what the reader makes of events.
 * - What `ErrorClassifier` makes of a body that stops early: `Network`, `Uncertain`.
 * - `InvalidResponse`, `Uncertain`, for an event of more than `maxEventLength` characters.
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

type Chunk = Awaited<ReturnType<Source["read"]>>

type EventPull = Pull.Pull<NonEmptyReadonlyArray<StreamEvent>, ProviderError>

class Reading {
  /** Anything but `More`: nothing is read any more. */
  step: Step = "More"
  readonly #decoder = new StringDecoder("utf8")
  readonly #parser = new EventParser()
  readonly #opened: Opened
  readonly #reader: Reader
  /** The body up to its first event. */
  #head: Array<string> | undefined = []
  #headLength = 0
  #quietSince: number | undefined = undefined

  constructor(opened: Opened, reader: Reader) {
    this.#opened = opened
    this.#reader = reader
  }

  /** Takes a chunk, and returns what is to be emitted of it. */
  take(bytes: Uint8Array): Array<StreamEvent> {
    const out: Array<StreamEvent> = []
    const text = this.#decoder.write(bytes)
    const events = this.#parser.feed(text)
    if (this.#head !== undefined) this.#takeHead(text, events.length > 0)
    for (const event of events) {
      this.step = this.#reader.take(event, out)
      if (this.step !== "More") return out
    }
    if (this.#parser.isOverfull || this.#headLength > maxEventLength) this.step = this.#invalid("An event is too long")
    if (out.length > 0) this.#quietSince = undefined
    else if (events.length > 0) this.#whenQuiet(out)
    return out
  }

  /** Takes the end of the body. */
  end(): Array<StreamEvent> {
    const out: Array<StreamEvent> = []
    const head = this.#head
    const { headers, status } = this.#opened.response
    const step = head === undefined
      ? this.#reader.finish(out)
      : this.#reader.whole({ status, headers, body: parse(head.join("") + this.#decoder.end()) }, out)
    this.step = step === "More" ? "Over" : step
    return out
  }

  /** Takes what the reading of the body failed with. */
  fail(error: unknown): void {
    this.step = ErrorClassifier.classify(error, this.#opened.contextNow())
  }

  #takeHead(text: string, isOver: boolean): void {
    this.#headLength = isOver ? 0 : this.#headLength + text.length
    if (isOver) this.#head = undefined
    else this.#head?.push(text)
  }

  #whenQuiet(out: Array<StreamEvent>): void {
    const { now } = this.#opened.contextNow()
    this.#quietSince ??= now
    if (now - this.#quietSince < Duration.toMillis(quietTime)) return
    this.#quietSince = now
    const alive = this.#reader.alive()
    if (alive !== undefined) out.push(alive)
  }

  #invalid(message: string): ProviderError {
    return Failure.uncertain(new InvalidResponse({ message, provider: this.#opened.contextNow().provider }))
  }
}

const pullOf = (source: Source | undefined, reading: Reading): EventPull => {
  const emit = (out: Array<StreamEvent>): EventPull => isNonEmpty(out) ? Effect.succeed(out) : pull
  const onChunk = ({ done, value }: Chunk) => done ? reading.end() : reading.take(value)
  const read: EventPull = source === undefined ?
    Effect.suspend(() => emit(reading.end())) :
    Effect.callback((resume) => {
      // The second handler takes what a reader throws, too.
      source.read().then(onChunk).then((out) => resume(emit(out)), (error) => {
        reading.fail(error)
        resume(pull)
      })
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
