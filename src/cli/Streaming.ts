/**
 * Shows an answer while it grows. Commands import it when they run.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { PlatformError } from "effect/PlatformError"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { StrategyError } from "../errors/StrategyError.ts"
import type { LlmResponse } from "../services/LlmResponse.ts"
import { ResponseEvent } from "../services/ResponseEvent.ts"
import * as Pieces from "./Pieces.ts"
import { UsageError } from "./UsageError.ts"

/**
 * Options for `show`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Whether each event is written as one line of JSON, and not the text alone. */
  readonly json: boolean
  /** Done before the first thing is written. */
  readonly onFirst: Effect.Effect<void, never, Stdio.Stdio>
}

/**
 * Writes a stream to stdout as it comes, and returns its answer; `undefined`
 * when nobody reads stdout any more. A reader that is slow slows the stream.
 *
 * **Errors**
 *
 * - what the stream fails with, after the text that had arrived and a line break
 * - `UsageError` when stdout cannot be written
 *
 * @category combinators
 * @since 0.1.0
 */
export const show = Effect.fnUntraced(function*(
  events: Stream.Stream<ResponseEvent, StrategyError>,
  { json, onFirst }: Options
): Effect.fn.Return<LlmResponse | undefined, StrategyError | UsageError, Stdio.Stdio> {
  const stdio = yield* Stdio.Stdio
  let response: LlmResponse | undefined
  const seen = Stream.tap(events, (event) =>
    Effect.sync(() => {
      if (event._tag === "Completed") response = event.response
    }))
  const { ending, written } = json ? lines(seen) : text(seen, yield* stdio.stdoutIsTerminal)
  const write = (texts: Stream.Stream<string, StrategyError>) => Stream.run(texts, stdio.stdout())
  return yield* write(Stream.onFirst(written, () => Effect.provideService(onFirst, Stdio.Stdio, stdio))).pipe(
    Effect.onInterrupt(() => Effect.ignore(Effect.suspend(() => write(Stream.make(ending()))))),
    Effect.map(() => response),
    Effect.catchTag("PlatformError", (error) =>
      codeOf(error) === "EPIPE"
        ? Effect.undefined
        : Effect.fail(new UsageError({ message: `stdout cannot be written: ${codeOf(error)}` })))
  )
})

interface Written {
  readonly written: Stream.Stream<string, StrategyError>
  /** What is still to be written when the stream is left. */
  readonly ending: () => string
}

const encode = Schema.encodeEffect(Schema.toCodecJson(ResponseEvent))

const lines = (events: Stream.Stream<ResponseEvent, StrategyError>): Written => ({
  written: Stream.mapEffect(
    events,
    (event) => Effect.map(Effect.orDie(encode(event)), (encoded) => `${JSON.stringify(encoded)}\n`)
  ),
  ending: () => ""
})

const text = (events: Stream.Stream<ResponseEvent, StrategyError>, isTerminal: boolean): Written => {
  const pieces = Pieces.make(isTerminal)
  let isEmpty = true
  const ending = (): string => {
    const rest = isEmpty ? "" : `${pieces.rest()}\n`
    isEmpty = true
    return rest
  }
  const end = Stream.filter(Stream.suspend(() => Stream.make(ending())), (rest) => rest !== "")
  const written = events.pipe(
    Stream.map((event) => {
      if (event._tag !== "TextDelta" || event.delta === "") return ""
      isEmpty = false
      return pieces.next(event.delta)
    }),
    Stream.filter((piece) => piece !== ""),
    Stream.concat(end),
    Stream.catch((error) => Stream.concat(end, Stream.fail(error)))
  )
  return { written, ending }
}

const codeOf = ({ reason: { cause } }: PlatformError): string =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : "unknown"
