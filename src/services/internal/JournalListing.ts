/**
 * The keys of the sessions in a folder.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type { PlatformError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import * as JournalFile from "./JournalFile.ts"
import * as JournalFolder from "./JournalFolder.ts"
import * as KeyName from "./KeyName.ts"

/**
 * Returns the keys of the sessions in a folder.
 *
 * **Details**
 *
 * Of a file whose name tells the key, only the end is read. A damaged file
 * counts as a session, unless its key is lost with it: that is logged.
 *
 * @category combinators
 * @since 0.1.0
 */
export const list = (folder: JournalFolder.JournalFolder): Stream.Stream<string, PlatformError> =>
  folder.names.pipe(
    Effect.map(Stream.fromIterable),
    Stream.unwrap,
    Stream.mapEffect((name) =>
      Option.match(KeyName.keyOf(name), {
        onNone: () => Effect.succeedNone,
        onSome: (key) => keyIn(folder, name, key)
      }), { concurrency: 16, unordered: true }),
    Stream.filterMap((key) => Result.fromOption(key, () => undefined))
  )

const keyIn = (folder: JournalFolder.JournalFolder, name: string, key: string | undefined) =>
  folder.withFile(folder.pathOfName(name), "r", (file) => keyOf(file, name, key)).pipe(
    Effect.catchReasons("PlatformError", {
      // Removed meanwhile, or not a file.
      NotFound: () => Effect.succeedNone,
      BadResource: () => Effect.succeedNone
    }),
    Effect.uninterruptible
  )

const keyOf = Effect.fnUntraced(function*(file: FileSystem.File, name: string, key: string | undefined) {
  const info = yield* file.stat
  if (info.type !== "File") return Option.none()
  const size = JournalFolder.sizeOf(info)
  if (key !== undefined) {
    const tail = yield* JournalFolder.readFrom(file, Math.max(size - tailLength, 0), tailLength)
    if (isLive(Buffer.from(tail).toString("latin1"))) return Option.some(key)
  }
  const lines = JournalFile.scan(yield* JournalFolder.readFrom(file, 0, size))
  if (Result.isFailure(lines)) {
    if (key === undefined) yield* Effect.logWarning("A session file is damaged and was left out of the list", name)
    return Option.fromUndefinedOr(key)
  }
  const last = lines.success.at(-1)
  if (last === undefined || last.isTombstone) return Option.none()
  return Option.filter(JournalFile.keyOf(lines.success), (key) => KeyName.fileNameOf(key) === name)
})

/** Bytes at the end of a file in which a tombstone would be. */
const tailLength = 256

const isLive = (tail: string): boolean => tail.endsWith("}\n") && !tail.includes(JournalFile.tombstone)
