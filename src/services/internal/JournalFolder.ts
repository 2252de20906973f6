/**
 * The folder of session files: reading, appending, and taking a dead file
 * away without ever taking a live one.
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Path from "effect/Path"
import { type PlatformError, systemError } from "effect/PlatformError"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import * as JournalFile from "./JournalFile.ts"
import * as KeyName from "./KeyName.ts"

/**
 * A folder of session files.
 *
 * @category models
 * @since 0.1.0
 */
export interface JournalFolder {
  /** The path of the file of a key. */
  readonly pathOf: (key: string) => string
  /** The path of a file by its name. */
  readonly pathOfName: (fileName: string) => string
  /** Opens a file, which is the caller's to close. */
  readonly open: (path: string, flag: "r" | "a+") => Effect.Effect<OpenFile, PlatformError>
  /** Opens a file while `use` runs. */
  readonly withFile: <A, E>(
    path: string,
    flag: "r" | "a+",
    use: (file: FileSystem.File) => Effect.Effect<A, E>
  ) => Effect.Effect<A, E | PlatformError>
  /** What is known of the file that is at a path now. */
  readonly infoAt: (path: string) => Effect.Effect<Option.Option<FileSystem.File.Info>, PlatformError>
  /** Makes the names in the folder durable, where the platform can. */
  readonly sync: Effect.Effect<void, PlatformError>
  /**
   * Takes away the file at a path if it is still the dead one: `false` when
   * somebody else is at it.
   */
  readonly bury: (path: string, dead: {
    readonly identity: string
    readonly incarnation: string
  }) => Effect.Effect<boolean, PlatformError>
  /** The names of the files in the folder. */
  readonly names: Effect.Effect<Array<string>, PlatformError>
}

/**
 * An open file.
 *
 * @category models
 * @since 0.1.0
 */
export interface OpenFile {
  readonly file: FileSystem.File
  readonly scope: Scope.Closeable
}

/**
 * Closes a file: what was synced is not undone by a failure to close.
 *
 * @category combinators
 * @since 0.1.0
 */
export const close = ({ scope }: OpenFile): Effect.Effect<void> =>
  Effect.ignoreCause(Scope.close(scope, Exit.void), { log: "Warn" })

/**
 * Returns what tells an open file from others at its path.
 *
 * @category combinators
 * @since 0.1.0
 */
export const identityOf = (info: FileSystem.File.Info): string =>
  Option.match(info.ino, { onNone: () => "", onSome: (ino) => `${info.dev}.${ino}` })

/**
 * Returns a file's length, in bytes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sizeOf = (info: FileSystem.File.Info): number => Number(ByteSize.toBigInt(info.size))

/**
 * Returns a text that is another one after each change of a file, or when another file has its path.
 *
 * @category combinators
 * @since 0.1.0
 */
export const stampOf = (info: FileSystem.File.Info): string =>
  `${identityOf(info)}.${sizeOf(info)}.${Option.match(info.mtime, { onNone: () => "", onSome: Number })}`

/**
 * Reads a file to its end; `expected` is the length that it probably has from
 * `offset` on.
 *
 * @category combinators
 * @since 0.1.0
 */
export const readFrom = Effect.fnUntraced(function*(file: FileSystem.File, offset: number, expected: number) {
  const chunks: Array<Uint8Array> = []
  let length = 0
  // One byte more than expected, so that one short read shows the end.
  let size = Math.min(expected + 1, maxReadLength)
  while (true) {
    const chunk = yield* file.readAlloc(size, { position: BigInt(offset + length) })
    if (Option.isNone(chunk)) break
    chunks.push(chunk.value)
    length += chunk.value.length
    if (chunk.value.length < size && length >= expected) break
    size = Math.min(Math.max(expected + 1 - length, 65_536), maxReadLength)
  }
  const [first] = chunks
  return chunks.length === 1 && first !== undefined ? first : Buffer.concat(chunks)
})

/**
 * Writes a line by a single write.
 *
 * **Details**
 *
 * A short write is not continued, because another line may be behind it by
 * now: the line is written again as a whole, which tells why it was short.
 *
 * @category combinators
 * @since 0.1.0
 */
export const writeLine = Effect.fnUntraced(function*(file: FileSystem.File, line: Uint8Array) {
  for (let attempt = 0; attempt < 2; attempt++) {
    if (Number(yield* file.write(line)) === line.length) return
  }
  return yield* systemError({
    _tag: "WriteZero",
    module: "FileSystem",
    method: "write",
    description: "The line was written in part"
  })
})

/**
 * Returns the system's error code, where the failure tells it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const codeOf = (cause: unknown): string | undefined =>
  typeof cause === "object" && cause !== null && "code" in cause && typeof cause.code === "string"
    ? cause.code
    : undefined

/**
 * Creates the folder where it is missing, for its owner only, and clears away
 * what removals that were cut off more than a minute ago have left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  directory: string
): Effect.fn.Return<JournalFolder, PlatformError, FileSystem.FileSystem | Path.Path> {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const pathOfName = (fileName: string): string => path.join(directory, fileName)

  const open: JournalFolder["open"] = Effect.fnUntraced(function*(path, flag) {
    const scope = yield* Scope.make()
    return { file: yield* Scope.provide(fs.open(path, { flag, mode: 0o600 }), scope), scope }
  })
  const withFile: JournalFolder["withFile"] = (path, flag, use) =>
    Effect.acquireUseRelease(open(path, flag), ({ file }) => use(file), close)

  const infoAt: JournalFolder["infoAt"] = (path) =>
    fs.stat(path).pipe(
      Effect.asSome,
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeedNone)
    )
  const isAt = (path: string, identity: string) =>
    Effect.map(infoAt(path), Option.exists((info) => identityOf(info) === identity))

  const isAbandoned = Effect.fnUntraced(function*(info: FileSystem.File.Info) {
    const now = yield* Clock.currentTimeMillis
    return Option.exists(info.mtime, (mtime) => now - mtime.getTime() > abandonedAfterMillis)
  })

  const takeAway = Effect.fnUntraced(function*(path: string, identity: string) {
    if (!(yield* isAt(path, identity))) return
    const grave = pathOfName(graveName(randomBytes(16).toString("hex")))
    yield* fs.rename(path, grave)
    if (!(yield* isAt(grave, identity))) yield* fs.link(grave, path)
    yield* fs.remove(grave, { force: true })
  })

  const folder: JournalFolder = {
    pathOf: (key) => pathOfName(KeyName.fileNameOf(key)),
    pathOfName,
    open,
    withFile,
    infoAt,
    sync: syncFolder(withFile, directory),
    names: fs.readDirectory(directory),
    bury: Effect.fnUntraced(function*(path, dead) {
      // Only who made the link may take the name away: nobody takes away the name that a new file has by now.
      const claim = pathOfName(graveName(dead.incarnation))
      const outcome = yield* claimBy(fs.link(path, claim))
      if (outcome === "gone") return true
      if (outcome === "taken") {
        const info = yield* infoAt(claim)
        if (Option.isNone(info) || !(yield* isAbandoned(info.value))) return false
      }
      if (outcome === "claimed") {
        const seconds = (yield* Clock.currentTimeMillis) / 1000
        yield* Effect.ignore(fs.utimes(claim, seconds, seconds))
      }
      yield* Effect.ensuring(
        takeAway(path, dead.identity),
        outcome === "unsupported" ? Effect.void : Effect.ignore(fs.remove(claim, { force: true }))
      )
      return true
    })
  }

  const clear = Effect.fnUntraced(function*(name: string) {
    const grave = pathOfName(name)
    const info = yield* infoAt(grave)
    if (Option.isNone(info) || !(yield* isAbandoned(info.value))) return
    const bytes = yield* withFile(grave, "r", (file) => readFrom(file, 0, sizeOf(info.value)))
    const lines = Result.getOrElse(JournalFile.scan(bytes), () => [])
    const last = lines.at(-1)
    if (last === undefined) return
    if (!last.isTombstone) {
      // A live session that a removal moved by mistake and could not move back.
      const key = JournalFile.keyOf(lines)
      if (Option.isNone(key)) return
      yield* Effect.catchReason(
        fs.link(grave, folder.pathOf(key.value)),
        "PlatformError",
        "AlreadyExists",
        () => Effect.void
      )
      if (!(yield* isAt(folder.pathOf(key.value), identityOf(info.value)))) return
    }
    yield* fs.remove(grave, { force: true })
  })

  yield* makeFolder({ fs, path, withFile }, directory)
  const names = yield* folder.names
  yield* Effect.forEach(
    names.filter((name) => isGrave.test(name)),
    (name) => Effect.ignore(clear(name), { log: "Warn" }),
    { discard: true }
  )
  return folder
})

// Node's own recursive mkdir never ends in a file system that makes no folders, such as /proc.
const makeFolder = (
  means: {
    readonly fs: FileSystem.FileSystem
    readonly path: Path.Path
    readonly withFile: JournalFolder["withFile"]
  },
  directory: string
): Effect.Effect<void, PlatformError> => {
  const { fs, path, withFile } = means
  const parent = path.dirname(directory)
  // A synced file is lost all the same if the name of its new folder is.
  const make = Effect.andThen(fs.makeDirectory(directory, { mode: 0o700 }), syncFolder(withFile, parent))
  return make.pipe(
    Effect.catchReason(
      "PlatformError",
      "NotFound",
      (_, error) => parent === directory ? Effect.fail(error) : Effect.andThen(makeFolder(means, parent), make)
    ),
    Effect.catchReason(
      "PlatformError",
      "AlreadyExists",
      (_, error) =>
        Effect.flatMap(fs.stat(directory), ({ type }) => type === "Directory" ? Effect.void : Effect.fail(error))
    )
  )
}

const maxReadLength = 16 * 1024 * 1024

const abandonedAfterMillis = 60_000

const graveName = (id: string): string => `${id}.holdfast-removed`

const isGrave = /^[0-9a-f]{32}\.holdfast-removed$/

const claimBy = (
  link: Effect.Effect<void, PlatformError>
): Effect.Effect<"claimed" | "taken" | "gone" | "unsupported"> =>
  Effect.match(link, {
    onSuccess: () => "claimed",
    onFailure: (error) =>
      error.reason._tag === "AlreadyExists" ? "taken" : error.reason._tag === "NotFound" ? "gone" : "unsupported"
  })

// Not every platform opens or syncs a directory; then its file system keeps names in order by itself.
const syncFolder = (
  withFile: JournalFolder["withFile"],
  directory: string
): Effect.Effect<void, PlatformError> =>
  withFile(directory, "r", (file) => file.sync).pipe(
    Effect.catchTag("PlatformError", (error) => isRefusal(error) ? Effect.void : Effect.fail(error))
  )

const isRefusal = ({ reason }: PlatformError): boolean => {
  switch (reason._tag) {
    case "BadArgument":
    case "BadResource":
    case "PermissionDenied":
      return true
    default:
      return codeOf(reason.cause) === "EINVAL" || codeOf(reason.cause) === "ENOTSUP"
  }
}
