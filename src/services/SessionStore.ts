/**
 * Where sessions are kept: the port, and a store in memory.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import type { SqlClient } from "effect/sql/SqlClient"
import * as Stream from "effect/Stream"
import { type SessionStoreError, VersionConflict } from "../errors/SessionStoreError.ts"
import {
  type Entry,
  fold,
  isSettled,
  type Journal,
  noVersion,
  type SessionState,
  type SessionStatus,
  statusOf,
  Version
} from "./Session.ts"
import * as SessionStoreFile from "./SessionStoreFile.ts"
import type * as SessionStoreSql from "./SessionStoreSql.ts"

/**
 * Service that keeps the journals of sessions.
 *
 * **Details**
 *
 * A key is any string but the empty one. A store may be used by many fibers
 * and, where its medium is shared, by many processes at once. Check a store of
 * your own with `SessionStoreSuite` of `holdfast/testing`.
 *
 * **Errors**
 *
 * - `StoreUnavailable` when the medium cannot be read or written now.
 * - `StoreCorrupt` when what is there cannot be understood.
 * - `VersionConflict`, of `append` and `remove`, when the session is not at the expected version.
 *
 * @category services
 * @since 0.1.0
 */
export class SessionStore extends Context.Service<SessionStore, {
  /** What tells this store's keys from those of others in the same medium; part of the hash that jobs carry. */
  readonly namespace?: string | undefined
  /** Loads a session; an empty `Journal` when there is none. */
  readonly load: (key: string) => Effect.Effect<Journal, SessionStoreError>
  /**
   * Appends an entry if the session is at version `expected`, and returns the new version.
   * Once it has succeeded, the entry survives a crash, as far as the medium can promise it.
   */
  readonly append: (
    key: string,
    entry: Entry,
    expected: Version
  ) => Effect.Effect<Version, SessionStoreError | VersionConflict>
  /** Removes a session if it is at version `expected`. */
  readonly remove: (key: string, expected: Version) => Effect.Effect<void, SessionStoreError | VersionConflict>
  /** The keys of all sessions, in no particular order; a session made or removed meanwhile may or may not be there. */
  readonly list: Stream.Stream<string, SessionStoreError>
  /**
   * The keys of the sessions that are not settled; others may be among them. A store that cannot tell them by itself
   * leaves it out: then all its sessions are read.
   */
  readonly listUnsettled?: Stream.Stream<string, SessionStoreError> | undefined
  /**
   * A text for each of some sessions, which is another one after each change of the session; a session that there is not
   * is left out. It tells what to load again, and is not for `append`. Left out by a store that would have to load each
   * session for it.
   */
  readonly versions?:
    | ((keys: ReadonlyArray<string>) => Effect.Effect<ReadonlyMap<string, string>, SessionStoreError>)
    | undefined
  /**
   * The keys of the sessions that have accepted a job, and of those with a submission of unknown fate, which may be the
   * job's; others may be among them. Left out like `listUnsettled`.
   */
  readonly listForJob?: ((jobId: string) => Stream.Stream<string, SessionStoreError>) | undefined
}>()("holdfast/services/SessionStore") {}

/**
 * Creates a store in memory: it is gone with the process.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeMemory: Effect.Effect<SessionStore["Service"]> = Effect.sync(() => {
  const sessions = new Map<string, { readonly incarnation: number; readonly entries: ReadonlyArray<Entry> }>()
  let incarnations = 0
  const versionOf = (key: string): Version => {
    const session = sessions.get(key)
    return session === undefined ? noVersion : Version(`${session.incarnation}.${session.entries.length}`)
  }
  const compare = (key: string, expected: Version): Effect.Effect<void, VersionConflict> =>
    Effect.suspend(() =>
      versionOf(key) === expected
        ? Effect.void
        : Effect.fail(new VersionConflict({ message: "The session is no longer at the expected version" }))
    )

  return SessionStore.of({
    load: (key) => Effect.sync(() => ({ version: versionOf(key), entries: [...sessions.get(key)?.entries ?? []] })),
    append: (key, entry, expected) =>
      Effect.map(compare(key, expected), () => {
        const { entries, incarnation } = sessions.get(key) ?? { incarnation: ++incarnations, entries: [] }
        // `push` would leave room for sixteen more.
        sessions.set(key, { incarnation, entries: entries.concat(entry) })
        return versionOf(key)
      }),
    remove: (key, expected) => Effect.map(compare(key, expected), () => void sessions.delete(key)),
    versions: (keys) =>
      Effect.sync(() => new Map(keys.filter((key) => sessions.has(key)).map((key) => [key, versionOf(key)]))),
    list: Stream.suspend(() => Stream.fromIterable([...sessions.keys()]))
  })
})

/**
 * Provides a `SessionStore` in memory: it is gone with the process.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerMemory: Layer.Layer<SessionStore> = Layer.effect(SessionStore, makeMemory)

/**
 * Provides a `SessionStore` that keeps each session in a file of its own, built
 * by `SessionStoreFile.make`.
 *
 * **Errors**
 *
 * `StoreUnavailable` when the folder cannot be made or read.
 *
 * @see {@link SessionStoreFile} for what it promises
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFileSystem = (
  options: SessionStoreFile.Options
): Layer.Layer<SessionStore, SessionStoreError, FileSystem.FileSystem | Path.Path> =>
  Layer.effect(SessionStore, SessionStoreFile.make(options))

/**
 * Provides a `SessionStore` in the database of the `SqlClient` in the context,
 * PostgreSQL or SQLite, built by `SessionStoreSql.make`, which is loaded here.
 *
 * **Errors**
 *
 * `StoreUnavailable` when the database cannot be reached or its table cannot be made.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSql = (
  options?: SessionStoreSql.Options
): Layer.Layer<SessionStore, SessionStoreError, SqlClient> =>
  Layer.effect(
    SessionStore,
    Effect.flatMap(Effect.promise(() => import("./SessionStoreSql.ts")), (module) => module.make(options))
  )

/**
 * Options for `prune`.
 *
 * @category options
 * @since 0.1.0
 */
export interface PruneOptions {
  /** Only sessions whose last entry is older than this. */
  readonly olderThan: Duration.Input
  /**
   * Only sessions with one of these statuses; absent: those that are settled. `failed` and `cancelled` sessions need not
   * be settled. A job of a `running` or `uncertain` session may be paid for, and is lost.
   */
  readonly statuses?: ReadonlyArray<SessionStatus> | undefined
}

/**
 * Removes old sessions, and returns how many. Their keys may run, and pay, again.
 *
 * **Details**
 *
 * Age is the time since the last entry, by the writer's clock and this one. A
 * session that changes meanwhile stays, and so does one that cannot be read.
 *
 * **Errors**
 *
 * `StoreUnavailable` when the store cannot be read or written now. An
 * `olderThan` that is not a duration is a defect.
 *
 * @category combinators
 * @since 0.1.0
 */
export const prune = Effect.fnUntraced(function*(
  options: PruneOptions
): Effect.fn.Return<number, SessionStoreError, SessionStore> {
  const store = yield* SessionStore
  const { statuses } = options
  // As a duration it is none, and every session would be older.
  if (Number.isNaN(options.olderThan)) return yield* Effect.die(new RangeError("olderThan is NaN"))
  const now = yield* Clock.currentTimeMillis
  const before = now - Duration.toMillis(Duration.fromInputUnsafe(options.olderThan))
  const isMeant = (state: SessionState): boolean =>
    statuses === undefined ? isSettled(state) : statuses.includes(statusOf(state, now))
  const removeIfOld = Effect.fnUntraced(
    function*(key: string) {
      const { entries, version } = yield* store.load(key)
      const last = entries.at(-1)
      if (last === undefined || last.at >= before || !isMeant(fold(entries))) return 0
      yield* store.remove(key, version)
      return 1
    },
    Effect.catchTags({ VersionConflict: () => Effect.succeed(0), StoreCorrupt: () => Effect.succeed(0) })
  )
  return yield* Stream.runSum(Stream.mapEffect(store.list, removeIfOld, { concurrency: 8, unordered: true }))
})
