/**
 * Where the command writes: answers to stdout, all the rest to stderr.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { printable } from "./Printable.ts"

/**
 * Writes an answer to stdout. On a terminal it loses its escape sequences.
 *
 * @category combinators
 * @since 0.1.0
 */
export const answer = (text: string): Effect.Effect<void, never, Stdio.Stdio> =>
  Effect.flatMap(
    Stdio.Stdio.use((stdio) => stdio.stdoutIsTerminal),
    (isTerminal) => Console.log(isTerminal ? printable(text) : text)
  )

/**
 * Writes a value to stdout as one JSON document.
 *
 * @category combinators
 * @since 0.1.0
 */
export const json = <S extends Schema.Top & { readonly EncodingServices: never }>(
  schema: S,
  value: S["Type"]
): Effect.Effect<void> => write(schema, value, 2)

/**
 * Writes a value to stdout as one line of JSON.
 *
 * @category combinators
 * @since 0.1.0
 */
export const jsonLine = <S extends Schema.Top & { readonly EncodingServices: never }>(
  schema: S,
  value: S["Type"]
): Effect.Effect<void> => write(schema, value, 0)

/**
 * Writes a line, or several, to stderr.
 *
 * @category combinators
 * @since 0.1.0
 */
export const note = (text: string): Effect.Effect<void, never, Stdio.Stdio> =>
  Effect.flatMap(
    Stdio.Stdio.use((stdio) => stdio.stderrIsTerminal),
    (isTerminal) => Console.error(isTerminal ? clearLine + printable(text) : text)
  )

/**
 * Whether stderr can show a line that is rewritten in place.
 *
 * @category guards
 * @since 0.1.0
 */
export const canRewrite: Effect.Effect<boolean, never, Stdio.Stdio> = Effect.gen(function*() {
  const term = yield* Effect.orElseSucceed(Config.String("TERM"), () => "")
  return term !== "dumb" && (yield* (yield* Stdio.Stdio).stderrIsTerminal)
})

/**
 * Replaces the last line of the terminal at stderr.
 *
 * @category combinators
 * @since 0.1.0
 */
export const rewrite = (line: string): Effect.Effect<void, never, Stdio.Stdio> =>
  Stdio.Stdio.use((stdio) => Effect.ignore(Stream.run(Stream.make(clearLine + line), stdio.stderr())))

const write = <S extends Schema.Top & { readonly EncodingServices: never }>(
  schema: S,
  value: S["Type"],
  indent: number
): Effect.Effect<void> =>
  Schema.encodeEffect(Schema.toCodecJson(schema))(value).pipe(
    Effect.orDie,
    Effect.flatMap((encoded) => Console.log(JSON.stringify(encoded, null, indent)))
  )

const clearLine = "\r\x1b[2K"
