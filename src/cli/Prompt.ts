/**
 * The prompt of the command line.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import type { RequestInput } from "../services/ResponseRequest.ts"
import * as Attachments from "./Attachments.ts"
import * as Output from "./Output.ts"
import { UsageError } from "./UsageError.ts"

/**
 * Returns the prompt with its images and files. The text is read from stdin
 * when it is `-`, or absent and stdin is no terminal.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(options: {
  readonly text: Option.Option<string>
  readonly images: ReadonlyArray<string>
  readonly files: ReadonlyArray<string>
}): Effect.fn.Return<
  RequestInput["prompt"],
  UsageError,
  Stdio.Stdio | FileSystem.FileSystem | Path.Path
> {
  const text = yield* textOf(options.text)
  const images = yield* Effect.forEach(options.images, Attachments.image)
  const files = yield* Effect.forEach(options.files, Attachments.file)
  if (text.trim() === "") return yield* new UsageError({ message: "The prompt is empty" })
  return images.length + files.length === 0 ? text : [{ type: "text", text }, ...images, ...files]
})

const textOf = Effect.fnUntraced(function*(text: Option.Option<string>) {
  const stdio = yield* Stdio.Stdio
  if (Option.isSome(text) && text.value !== "-") return text.value
  if (Option.isNone(text) && (yield* stdio.stdinIsTerminal)) {
    return yield* new UsageError({ message: "Give a prompt: as an argument, or piped into stdin" })
  }
  const read = stdio.stdin.pipe(
    Stream.decodeText,
    Stream.mkString,
    Effect.mapError(() => new UsageError({ message: "The prompt cannot be read from stdin" }))
  )
  const waiting = Effect.andThen(
    Effect.delay(Output.note("Waiting for the prompt on stdin"), "3 seconds"),
    Effect.never
  )
  return yield* Effect.raceFirst(read, waiting)
})
