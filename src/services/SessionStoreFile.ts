/**
 * A store that keeps each session in a file of its own.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import { isPlatformError, type PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { type SessionStoreError, StoreCorrupt, StoreUnavailable, VersionConflict } from "../errors/SessionStoreError.ts"
import * as JournalFile from "./internal/JournalFile.ts"
import * as JournalFolder from "./internal/JournalFolder.ts"
import * as KeyLock from "./internal/KeyLock.ts"
import * as KeyName from "./internal/KeyName.ts"
import * as SessionTips from "./internal/SessionTips.ts"
import { type Entry, EntryJson, formatVersion, noVersion, type Version } from "./Session.ts"
import type { SessionStore } from "./SessionStore.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The folder of the session files, on a local disk; made where it is missing, for its owner only. */
  readonly directory: string
}

/**
 * Creates a store that keeps each session in a file of its own.
 *
 * **Details**
 *
 * An append is one write at the end of the file, synced to the disk, and then
 * read back: who wrote the first valid line of a version has won it. Many
 * processes may use one folder. Nothing is overwritten: a line that was torn
 * by a crash stays, and does not count.
 *
 * **Errors**
 *
 * - `StoreUnavailable` with the system's error code. After a failed `append` the
 *   entry may be there all the same; appending it again then is a `VersionConflict`.
 * - `StoreCorrupt` when a line was damaged after it was written, or is of a newer version of Holdfast.
 *
 * **Gotchas**
 *
 * For local disks: network file systems do not append atomically. A removed
 * session's file that could not be deleted is empty to `load`, and is deleted
 * by the next `append` or `remove` of its key.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SessionStore["Service"], SessionStoreError, FileSystem.FileSystem | Path.Path> {
  const folder = yield* available("open", JournalFolder.make(options.directory))
  const withLock = KeyLock.make()
  const writerId = randomBytes(6).toString("hex")
  const tips = SessionTips.make(maxTips)
  let writes = 0

  /** Where the session of an open file stands. */
  const locate = Effect.fnUntraced(function*(key: string, file: FileSystem.File, info: FileSystem.File.Info) {
    const bytes = yield* JournalFolder.readFrom(file, 0, JournalFolder.sizeOf(info))
    const lines = yield* scanned(JournalFile.scan(bytes))
    const owner = JournalFile.keyOf(lines)
    if (lines.length > 0 && (Option.isNone(owner) || owner.value !== key)) {
      return yield* new StoreCorrupt({ message: "The session's file belongs to another key" })
    }
    return lines
  })

  /** The lines from the one that made `tip` on, the first of them being that. */
  const readBack = Effect.fnUntraced(function*(
    key: string,
    file: FileSystem.File,
    info: FileSystem.File.Info,
    tip: SessionTips.Tip | undefined,
    written: number
  ) {
    if (tip !== undefined) {
      const bytes = yield* JournalFolder.readFrom(file, tip.start, JournalFolder.sizeOf(info) + written - tip.start)
      const lines = Result.getOrElse(JournalFile.scan(bytes, { offset: tip.start, due: tip }), () => [])
      if (lines.length > 0) return lines
    }
    return yield* locate(key, file, yield* file.stat)
  })

  /** Appends a line if the session is at `expected`; a file of a removed session is buried first. */
  const tryAppend = Effect.fnUntraced(function*(
    key: string,
    expected: Version,
    payload: (number: number) => string,
    file: FileSystem.File
  ) {
    const path = folder.pathOf(key)
    const info = yield* file.stat
    const identity = JournalFolder.identityOf(info)
    let tip = tips.get(key, { identity, size: JournalFolder.sizeOf(info) })
    if (tip === undefined || versionOf(tip) !== expected) {
      const last = (yield* locate(key, file, info)).at(-1)
      if (last !== undefined && JournalFile.isTombstone(last)) {
        if (expected !== noVersion) return yield* conflict
        return (yield* buryFile(key, identity, last)) ? "buried" : "busy"
      }
      if ((last === undefined ? noVersion : versionOf(last)) !== expected) return yield* conflict
      tip = last
    }

    const point = tip === undefined
      ? { incarnation: randomBytes(16).toString("hex"), number: 1 }
      : { incarnation: tip.incarnation, number: tip.number + 1 }
    const writer = `${writerId}-${(writes++).toString(36)}`
    const line = JournalFile.encode(point, writer, payload(point.number))
    tips.delete(key)
    yield* JournalFolder.writeLine(file, line)
    yield* file.sync
    if (tip === undefined) yield* folder.sync

    const current = yield* folder.infoAt(path)
    if (Option.isNone(current) || JournalFolder.identityOf(current.value) !== identity) return yield* conflict
    const start = JournalFolder.sizeOf(info)
    const end = JournalFolder.sizeOf(current.value)
    // Where the file was known to its end and has grown by this line alone, there is no other line to look for.
    if (seen === undefined || seen.end !== start || end !== start + line.length) {
      const winner = yield* readBack(key, file, tip, point.number)
      if (winner?.writer !== writer) return yield* conflict
    }
    tips.set(key, { ...point, start, identity, end })
    return { point, identity }
  })

  const append = (key: string, expected: Version, payload: (number: number) => string) =>
    Effect.suspend(() => {
      const path = folder.pathOf(key)
      const attempt = folder.withFile(path, "a+", (file) => tryAppend(key, expected, payload, file))
      // Opening makes the file, so that a session that is gone is looked for first.
      const once = expected === noVersion || tips.has(key)
        ? attempt
        : Effect.flatMap(folder.identityAt(path), (found) => Option.isNone(found) ? conflict : attempt)
      return Effect.repeat(once, { times: maxBurials, while: Predicate.isString }).pipe(
        Effect.filterOrFail(Predicate.not(Predicate.isString), () =>
          new StoreUnavailable({
            operation: "append",
            message: "The session is being removed by another process",
            code: "EBUSY"
          }))
      )
    })

  const buryFile = (key: string, identity: string, tombstone: JournalFile.Point) =>
    folder.bury(folder.pathOf(key), { identity, incarnation: tombstone.incarnation })

  const look = (key: string) =>
    folder.withFile(folder.pathOf(key), "r", (file) =>
      Effect.flatMap(
        file.stat,
        (info) => Effect.map(locate(key, file, info), (lines) => ({ info, lines, last: lines.at(-1) }))
      ))

  const load = Effect.fnUntraced(function*(key: string) {
    const { info, last, lines } = yield* look(key)
    if (last === undefined || JournalFile.isTombstone(last)) return none
    tips.set(key, { ...last, identity: JournalFolder.identityOf(info), end: JournalFolder.sizeOf(info) })
    return { version: versionOf(last), entries: yield* Effect.forEach(lines, entryOf) }
  })

  const remove = Effect.fnUntraced(function*(key: string, expected: Version) {
    if (expected === noVersion) {
      const { info, last } = yield* look(key)
      if (last === undefined) return
      if (!JournalFile.isTombstone(last)) return yield* conflict
      return yield* deleted(buryFile(key, JournalFolder.identityOf(info), last))
    }
    const { identity, point } = yield* append(key, expected, () => JournalFile.tombstone)
    tips.delete(key)
    yield* deleted(buryFile(key, identity, point))
  })

  const keyIn = Effect.fnUntraced(function*(name: string, key: string | undefined) {
    return yield* folder.withFile(
      folder.pathOfName(name),
      "r",
      Effect.fnUntraced(function*(file: FileSystem.File) {
        const info = yield* file.stat
        if (info.type !== "File") return Option.none()
        if (key !== undefined) {
          const offset = Math.max(JournalFolder.sizeOf(info) - tailLength, 0)
          const tail = yield* JournalFolder.readFrom(file, offset, tailLength)
          if (Buffer.from(tail).toString("latin1").endsWith("}\n") && !isMaybeTombstone(tail)) return Option.some(key)
        }
        const bytes = yield* JournalFolder.readFrom(file, 0, JournalFolder.sizeOf(info))
        const lines = JournalFile.scan(bytes)
        if (Result.isFailure(lines)) {
          if (key === undefined) {
            yield* Effect.logWarning(`Session file ${name} is damaged and was left out of the list`)
          }
          return Option.fromUndefinedOr(key)
        }
        const last = lines.success.at(-1)
        if (last === undefined || JournalFile.isTombstone(last)) return Option.none()
        return Option.filter(JournalFile.keyOf(lines.success), (key) => KeyName.fileNameOf(key) === name)
      })
    )
  })

  return {
    load: (key) =>
      load(key).pipe(
        Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(none)),
        (effect) => available("load", effect),
        Effect.uninterruptible
      ),
    append: Effect.fnUntraced(function*(key: string, entry: Entry, expected: Version) {
      const json = yield* encodeEntry(entry)
      const payload = (number: number): string =>
        number === 1 ? `{"key":${JSON.stringify(key)},"entry":${json}}` : `{"entry":${json}}`
      const { point } = yield* withLock(key)(Effect.uninterruptible(append(key, expected, payload)))
      return versionOf(point)
    }, (effect) => available("append", effect)),
    remove: (key, expected) =>
      remove(key, expected).pipe(
        Effect.catchReason("PlatformError", "NotFound", () => expected === noVersion ? Effect.void : conflict),
        (effect) => available("remove", effect),
        Effect.uninterruptible,
        withLock(key)
      ),
    list: folder.names.pipe(
      Effect.map(Stream.fromIterable),
      Stream.unwrap,
      Stream.mapEffect((name) =>
        Option.match(KeyName.keyOf(name), {
          onNone: () => Effect.succeedNone,
          onSome: (key) =>
            keyIn(name, key).pipe(
              Effect.catchReasons("PlatformError", {
                NotFound: () => Effect.succeedNone,
                BadResource: () => Effect.succeedNone
              }),
              Effect.uninterruptible
            )
        }), { concurrency: 16, unordered: true }),
      Stream.filterMap((key) => Result.fromOption(key, () => undefined)),
      Stream.mapError((error) => unavailable("list", error))
    )
  }
})

/** The number of sessions of which the end is remembered. */
const maxTips = 1024

/** How often a dead file is looked at again while another process takes it away. */
const maxBurials = 100

/** Bytes at the end of a file in which a tombstone would be. */
const tailLength = 256

const none = { version: noVersion, entries: [] }

const versionOf = (point: JournalFile.Point): Version => `${point.incarnation}.${point.number}` as Version

const isMaybeTombstone = (tail: Uint8Array): boolean =>
  Buffer.from(tail).toString("latin1").includes(JournalFile.tombstone)

const conflict = Effect.suspend(() =>
  Effect.fail(new VersionConflict({ message: "The session is no longer at the expected version" }))
)

/** The session is removed by now, whatever becomes of its file. */
const deleted = (burial: Effect.Effect<boolean, PlatformError>): Effect.Effect<void> =>
  Effect.ignore(burial, { log: "Warn", message: "The file of a removed session could not be deleted" })

const unavailable = (operation: string, error: PlatformError): StoreUnavailable => {
  const { reason } = error
  const code = JournalFolder.codeOf(reason.cause)
  const path = reason._tag !== "BadArgument" && Predicate.isString(reason.pathOrDescriptor)
    ? ` (${reason.pathOrDescriptor})`
    : ""
  return new StoreUnavailable({
    operation,
    message: `The file system failed: ${code ?? reason._tag} in ${reason.method}${path}`,
    code,
    cause: error
  })
}

const available = <A, E extends SessionStoreError | VersionConflict, R>(
  operation: string,
  effect: Effect.Effect<A, E | PlatformError, R>
): Effect.Effect<A, E | StoreUnavailable, R> =>
  Effect.mapError(
    effect,
    (error): E | StoreUnavailable => isPlatformError(error) ? unavailable(operation, error) : error
  )

const newer = (): StoreCorrupt =>
  new StoreCorrupt({ message: "The session was written by a newer version of Holdfast" })

const scanned = <A>(result: Result.Result<A, JournalFile.Damage>): Effect.Effect<A, StoreCorrupt> =>
  Effect.fromResult(
    Result.mapError(result, (damage) =>
      damage === "newer" ? newer() : new StoreCorrupt({ message: "The session's file is damaged" }))
  )

const encodeJson = Schema.encodeEffect(EntryJson)
const decodeJson = Schema.decodeUnknownEffect(EntryJson)

const encodeEntry = (entry: Entry): Effect.Effect<string, StoreUnavailable> =>
  encodeJson(entry).pipe(
    Effect.map((json) => JSON.stringify(json)),
    Effect.mapError(() =>
      new StoreUnavailable({ operation: "append", message: `The entry ${entry._tag} cannot be written as JSON` })
    )
  )

// The schema's own message may quote the entry.
const entryOf = Effect.fnUntraced(function*(line: JournalFile.Line) {
  const payload = yield* scanned(JournalFile.payloadOf(line))
  const entry = Predicate.hasProperty(payload, "entry") ? payload.entry : undefined
  return yield* Effect.mapError(
    decodeJson(entry),
    () =>
      Predicate.hasProperty(entry, "v") && Predicate.isNumber(entry.v) && entry.v > formatVersion
        ? newer()
        : new StoreCorrupt({ message: `Entry ${line.number} of the session cannot be read` })
  )
})
