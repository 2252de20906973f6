/**
 * A store that keeps each session in a file of its own.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import type * as Path from "effect/Path"
import { isPlatformError, type PlatformError } from "effect/PlatformError"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { randomBytes } from "node:crypto"
import { type SessionStoreError, StoreCorrupt, StoreUnavailable, VersionConflict } from "../errors/SessionStoreError.ts"
import * as IdleFiles from "./internal/IdleFiles.ts"
import * as JournalFacts from "./internal/JournalFacts.ts"
import * as JournalFile from "./internal/JournalFile.ts"
import * as JournalFolder from "./internal/JournalFolder.ts"
import * as JournalListing from "./internal/JournalListing.ts"
import * as KeyLock from "./internal/KeyLock.ts"
import { type Entry, EntryJson, formatVersion, noVersion, Version } from "./Session.ts"
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
 * An append is one write at the end of the file, synced to the disk. Who wrote
 * the first valid line of a version has won it; the file is read back, unless
 * it has grown by that line alone. Many processes may use one folder. Nothing
 * is overwritten: a line that was torn by a crash stays, and does not count.
 * Where a sync has failed, the process that saw it reads the line again only
 * after it was written and synced once more.
 * Up to 64 files stay open for the next append.
 *
 * **Errors**
 *
 * - `StoreUnavailable` with the system's error code. After a failed `append` the
 *   entry may be there all the same; appending it again then is a `VersionConflict`.
 * - `StoreCorrupt` when a line was damaged after it was written, or is of a newer version of Holdfast.
 *
 * **Gotchas**
 *
 * For local disks: network file systems do not append atomically. Other
 * processes do not learn of a sync that has failed: until somebody syncs the
 * file, a power loss may take from them what they have read. A removed
 * session's file that could not be deleted is empty to `load`, and is deleted
 * by the next `append` or `remove` of its key. `recover`, and a webhook for a job
 * that nobody here waits for, have every file looked at, and those read that
 * have changed since this process read them last: where sessions are many, a
 * database finds them by its index.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SessionStore["Service"], SessionStoreError, FileSystem.FileSystem | Path.Path | Scope.Scope> {
  const folder = yield* Effect.mapError(
    JournalFolder.make(options.directory),
    (error) => unavailable("open", error)
  )
  const withLock = KeyLock.make()
  const writerId = randomBytes(6).toString("hex")
  const idle = yield* IdleFiles.make<Journal>(maxIdleFiles, JournalFolder.close)
  let writes = 0
  /** By key, the lines whose append has failed: they may be in their file, and not on the disk. */
  const doubtful = new Map<string, Written>()

  /** The lines of an open file that count, and its length. */
  const linesOf = Effect.fnUntraced(function*(key: string, file: FileSystem.File, expected: number) {
    const bytes = yield* JournalFolder.readFrom(file, 0, expected)
    const lines = yield* scanned(JournalFile.scan(bytes))
    const owner = JournalFile.keyOf(lines)
    if (lines.length > 0 && (Option.isNone(owner) || owner.value !== key)) {
      return yield* new StoreCorrupt({ message: "The session's file belongs to another key" })
    }
    return { lines, length: bytes.length }
  })

  /** The lines of an open file that count, at least from `tip` on. */
  const linesAfter = Effect.fnUntraced(function*(key: string, file: FileSystem.File, tip: Tip | undefined) {
    const size = JournalFolder.sizeOf(yield* file.stat)
    if (tip !== undefined) {
      const bytes = yield* JournalFolder.readFrom(file, tip.start, size - tip.start)
      const lines = Result.getOrElse(JournalFile.scan(bytes, { offset: tip.start, due: tip }), () => [])
      if (lines.length > 1) return lines
    }
    return (yield* linesOf(key, file, size)).lines
  })

  /** A file that is open, and where its session stands. */
  const openAt = Effect.fnUntraced(function*(key: string, expected: Version) {
    const known = idle.take(key)
    if (known?.tip !== undefined && versionOf(known.tip) === expected) return known
    if (known !== undefined) yield* JournalFolder.close(known)
    const path = folder.pathOf(key)
    // Opening makes the file, so that a session that is gone is looked for first.
    if (expected !== noVersion && Option.isNone(yield* folder.infoAt(path))) return yield* conflict
    const open = yield* folder.open(path, "a+")
    return yield* Effect.gen(function*() {
      const info = yield* open.file.stat
      const { length, lines } = yield* linesOf(key, open.file, JournalFolder.sizeOf(info))
      return { ...open, identity: JournalFolder.identityOf(info), tip: tipOf(lines.at(-1)), end: length }
    }).pipe(Effect.onError(() => JournalFolder.close(open)))
  })

  const write = Effect.fnUntraced(function*(file: FileSystem.File, { line, number }: Written) {
    yield* JournalFolder.writeLine(file, line)
    yield* file.sync
    if (number === 1) yield* folder.sync
  })

  const look = Effect.fnUntraced(function*(key: string) {
    return yield* folder.withFile(
      folder.pathOf(key),
      "r",
      Effect.fnUntraced(function*(file: FileSystem.File) {
        const info = yield* file.stat
        const { lines } = yield* linesOf(key, file, JournalFolder.sizeOf(info))
        return { lines, last: lines.at(-1), identity: JournalFolder.identityOf(info) }
      })
    )
  })

  /** Writes a doubtful line once more, if it is in its file: a sync promises nothing of what an earlier one has failed on. */
  const confirm = Effect.fnUntraced(function*(key: string) {
    const written = doubtful.get(key)
    if (written === undefined) return
    const isWinner = (lines: ReadonlyArray<JournalFile.Line>): boolean =>
      lines.find(({ number }) => number === written.number)?.writer === written.writer
    // Only read at first: a disk that has become read-only can still tell what does not need to be written.
    const isThere = yield* look(key).pipe(
      Effect.map(({ lines }) => isWinner(lines)),
      Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(false))
    )
    if (isThere) {
      yield* folder.withFile(
        folder.pathOf(key),
        "a+",
        Effect.fnUntraced(function*(file: FileSystem.File) {
          const { lines } = yield* linesOf(key, file, JournalFolder.sizeOf(yield* file.stat))
          if (isWinner(lines)) yield* write(file, written)
        })
      )
    }
    doubtful.delete(key)
  })

  /** Appends a line if the session is at `expected`; a file of a removed session is buried first. */
  const tryAppend = Effect.fnUntraced(function*(
    key: string,
    expected: Version,
    payload: (number: number) => string,
    { end, file, identity, tip }: Journal
  ) {
    if (tip?.isTombstone) {
      if (expected !== noVersion) return yield* conflict
      return (yield* bury(key, identity, tip)) ? "buried" : "busy"
    }
    if ((tip === undefined ? noVersion : versionOf(tip)) !== expected) return yield* conflict

    const point = tip === undefined
      ? { incarnation: randomBytes(16).toString("hex"), number: 1 }
      : { incarnation: tip.incarnation, number: tip.number + 1 }
    const writer = `${writerId}-${(writes++).toString(36)}`
    const line = JournalFile.encode(point, writer, payload(point.number))
    const written = { line, number: point.number, writer }
    doubtful.set(key, written)
    yield* write(file, written)
    doubtful.delete(key)

    const after = yield* folder.infoAt(folder.pathOf(key))
    const grown = Option.match(after, { onNone: () => 0, onSome: JournalFolder.sizeOf })
    const isThere = Option.exists(after, (info) => JournalFolder.identityOf(info) === identity)
    // A file that has grown by this line alone has no other that could have won.
    if (isThere && grown === end + line.length) {
      return { identity, end: grown, tip: { ...point, start: end, isTombstone: false } }
    }
    const lines = yield* linesAfter(key, file, tip)
    const winner = lines.find((line) => line.number === point.number)
    const last = lines.at(-1)
    // A file that is elsewhere by now was either removed by a later line, or by somebody who knows no lines.
    if (winner?.writer !== writer || (!isThere && last?.isTombstone !== true)) return yield* conflict
    // What has grown behind this line is not part of what was seen.
    return { identity, end: winner.start + line.length, tip: { ...point, start: winner.start, isTombstone: false } }
  })

  const append = Effect.fnUntraced(function*(key: string, expected: Version, payload: (number: number) => string) {
    yield* confirm(key)
    for (let attempt = 0; attempt < maxBurials; attempt++) {
      const outcome = yield* Effect.acquireUseRelease(
        openAt(key, expected),
        (journal) => tryAppend(key, expected, payload, journal),
        (journal, exit) =>
          Exit.isSuccess(exit) && !Predicate.isString(exit.value)
            ? idle.put(key, { ...journal, ...exit.value })
            : JournalFolder.close(journal)
      )
      if (!Predicate.isString(outcome)) return outcome
    }
    return yield* new StoreUnavailable({
      operation: "append",
      message: "The session is being removed by another process",
      code: "EBUSY"
    })
  })

  const bury = (key: string, identity: string, tombstone: JournalFile.Point) =>
    folder.bury(folder.pathOf(key), { identity, incarnation: tombstone.incarnation })

  const load = Effect.fnUntraced(function*(key: string) {
    if (doubtful.has(key)) yield* withLock(key)(confirm(key))
    const { last, lines } = yield* look(key)
    if (last === undefined || last.isTombstone) return none
    return { version: versionOf(last), entries: yield* Effect.forEach(lines, entryOf) }
  })

  const remove = Effect.fnUntraced(function*(key: string, expected: Version) {
    if (expected === noVersion) {
      const { identity, last } = yield* look(key)
      if (last === undefined) return
      if (!last.isTombstone) return yield* conflict
      return yield* deleted(bury(key, identity, last))
    }
    const { identity, tip } = yield* append(key, expected, () => JournalFile.tombstone)
    yield* deleted(bury(key, identity, tip))
    yield* idle.drop(key)
  })

  const facts = Stream.mapError(JournalFacts.make(folder), (error) => unavailable("list", error))
  const keysWhere = (condition: (facts: JournalFacts.Facts) => boolean) =>
    Stream.map(Stream.filter(facts, condition), ({ key }) => key)

  return {
    load: (key) =>
      load(key).pipe(
        Effect.catchReason("PlatformError", "NotFound", () => Effect.succeed(none)),
        (effect) => available("load", folder.pathOf(key), effect),
        Effect.uninterruptible
      ),
    append: Effect.fnUntraced(function*(key: string, entry: Entry, expected: Version) {
      const json = yield* encodeEntry(entry)
      const payload = (number: number): string =>
        number === 1 ? `{"key":${JSON.stringify(key)},"entry":${json}}` : `{"entry":${json}}`
      const { tip } = yield* withLock(key)(Effect.uninterruptible(append(key, expected, payload)))
      return versionOf(tip)
    }, (effect, key) => available("append", folder.pathOf(key), effect)),
    remove: (key, expected) =>
      remove(key, expected).pipe(
        Effect.catchReason("PlatformError", "NotFound", () => expected === noVersion ? Effect.void : conflict),
        (effect) => available("remove", folder.pathOf(key), effect),
        Effect.uninterruptible,
        withLock(key)
      ),
    versions: (keys) =>
      Effect.forEach(keys, (key) =>
        folder.infoAt(folder.pathOf(key)).pipe(
          Effect.map(Option.map((info) => [key, JournalFolder.stampOf(info)] as const)),
          Effect.mapError((error) => unavailable("load", error))
        ), { concurrency: 16 }).pipe(Effect.map((stamps) => new Map(Arr.getSomes(stamps)))),
    list: Stream.mapError(JournalListing.list(folder), (error) => unavailable("list", error)),
    listUnsettled: keysWhere(({ isOver }) => !isOver),
    listForJob: (jobId) => keysWhere(({ isUnclear, jobs }) => isUnclear || jobs.includes(jobId))
  }
})

/** The last line that is known of a session, without its payload: that may be large. */
interface Tip extends JournalFile.Point {
  readonly start: number
  readonly isTombstone: boolean
}

/** A line as it was written. */
interface Written {
  readonly line: Uint8Array
  readonly number: number
  readonly writer: string
}

interface Journal extends JournalFolder.OpenFile {
  readonly identity: string
  readonly tip: Tip | undefined
  /** The length of the file, in bytes, when it was seen last. */
  readonly end: number
}

/** The number of files that are kept open for the next append. */
const maxIdleFiles = 64

/** How often a dead file is looked at again while another process takes it away. */
const maxBurials = 100

const tipOf = (line: JournalFile.Line | undefined): Tip | undefined =>
  line === undefined ? undefined : {
    incarnation: line.incarnation,
    number: line.number,
    start: line.start,
    isTombstone: line.isTombstone
  }

const none = { version: noVersion, entries: [] }

const versionOf = (point: JournalFile.Point): Version => Version(`${point.incarnation}.${point.number}`)

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
    message: `The file system failed: ${wordsOf(reason.cause, code) ?? reason._tag} in ${reason.method}${path}`,
    code,
    cause: error
  })
}

// Node writes `ENOSPC: no space left on device, write`.
const wordsOf = (cause: unknown, code: string | undefined): string | undefined => {
  const words = Predicate.isError(cause) ? /^[A-Z0-9_]+: ([^,]+)/.exec(cause.message)?.[1] : undefined
  return code === undefined || words === undefined ? code : `${words} (${code})`
}

const available = <A, E extends SessionStoreError | VersionConflict, R>(
  operation: string,
  path: string,
  effect: Effect.Effect<A, E | PlatformError, R>
): Effect.Effect<A, E | StoreCorrupt | StoreUnavailable, R> =>
  Effect.mapError(effect, (error): E | StoreCorrupt | StoreUnavailable => {
    if (isPlatformError(error)) return unavailable(operation, error)
    // Who restores the file, or removes it, has to know which one it is.
    return error._tag === "StoreCorrupt"
      ? new StoreCorrupt({ message: `${error.message}: ${path}`, cause: error.cause })
      : error
  })

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
