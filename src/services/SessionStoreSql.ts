/**
 * A store that keeps sessions in a table of a SQL database.
 *
 * @since 0.1.0
 */
import * as Arr from "effect/Array"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Migrator from "effect/sql/Migrator"
import * as SqlClient from "effect/sql/SqlClient"
import type { SqlError } from "effect/sql/SqlError"
import type { Fragment } from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import { hash, randomUUID } from "node:crypto"
import { type SessionStoreError, StoreCorrupt, StoreUnavailable, VersionConflict } from "../errors/SessionStoreError.ts"
import * as SqlFailure from "./internal/SqlFailure.ts"
import { type Entry, EntryJson, formatVersion, noVersion, Version } from "./Session.ts"
import type { SessionStore } from "./SessionStore.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Tells the sessions of one application from those of others in the same database.
   *
   * @default ""
   */
  readonly namespace?: string | undefined
}

/**
 * Creates a store in the database of the `SqlClient` in the context, for
 * PostgreSQL and SQLite.
 *
 * **Details**
 *
 * A session is one row of the table `holdfast_sessions`; an append is one
 * `UPDATE` of it, which names the version that it expects. The table is made
 * by migrations when the store is built, also when many processes build it at
 * once; `holdfast_migrations` remembers them. Sessions that are not settled,
 * and those of a job, are found by an index. A statement that fails by a
 * serialization failure or a deadlock is sent again after 2, 4, 8, …, then
 * each 100 ms, times `u` uniform in `[0.8, 1.2]`, for 10 seconds: any isolation
 * level will do. When the connection is lost after an entry or a removal was
 * sent, the session is read again to see what became of it.
 *
 * **Errors**
 *
 * - `StoreUnavailable` when the database fails; its `code` is the SQLSTATE, the
 *   system's error code or SQLite's result code (`SQLITE_13`). After a failed `append` the
 *   entry may be there all the same; appending it again then is a `VersionConflict`.
 * - `StoreCorrupt` when a row cannot be read, or is of a newer version of
 *   Holdfast. `list` leaves out a row whose key is lost, and logs it.
 *
 * **Gotchas**
 *
 * An entry is as durable as the database's commits are: leave
 * `synchronous_commit` on in PostgreSQL, and `synchronous` at `FULL` in SQLite.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options = {}
): Effect.fn.Return<SessionStore["Service"], SessionStoreError, SqlClient.SqlClient> {
  const sql = (yield* SqlClient.SqlClient).withoutTransforms()
  const namespace = options.namespace ?? ""
  const retrying = SqlFailure.retrying(sql)
  yield* migrate

  const rowOf = (key: string) =>
    retrying(sql<{ readonly incarnation: string; readonly version: number; readonly entries: string }>`
      SELECT incarnation, version, entries FROM holdfast_sessions
      WHERE namespace = ${namespace} AND key_hash = ${hashOf(key)}`).pipe(Effect.map((rows) => rows[0]))

  const load = Effect.fnUntraced(function*(key: string) {
    const row = yield* Effect.mapError(rowOf(key), SqlFailure.unavailable("load"))
    if (row === undefined) return { version: noVersion, entries: [] }
    // The schema's own message may quote the entry.
    const entries = yield* Effect.mapError(
      decodeEntries(row.entries.split("\n")),
      () =>
        new StoreCorrupt({
          message: row.entries.split("\n").some(isNewer)
            ? "The session was written by a newer version of Holdfast"
            : "The session's row cannot be read"
        })
    )
    return { version: versionOf(row), entries }
  })

  /** The row of a session after a statement that may or may not have been carried out; fails as that did. */
  const rowAfter = (error: SqlError, key: string) =>
    rowOf(key).pipe(
      Effect.retry({ schedule: Schedule.exponential("50 millis"), times: 3, while: SqlFailure.isConnectionLost }),
      Effect.mapError(() => error)
    )

  const insert = (key: string, line: string, { incarnation }: Point) =>
    sql`
      INSERT INTO holdfast_sessions (namespace, key_hash, session_key, incarnation, version, entries)
      VALUES (${namespace}, ${hashOf(key)}, ${JSON.stringify(key)}, ${incarnation}, 1, ${line})
      ON CONFLICT (namespace, key_hash) DO NOTHING
      RETURNING version`

  const update = (key: string, line: string, { incarnation, version }: Point, entry: Entry) =>
    sql`
      UPDATE holdfast_sessions SET version = version + 1, entries = entries || ${`\n${line}`}${marks(sql, entry)}
      WHERE namespace = ${namespace} AND key_hash = ${hashOf(key)}
        AND incarnation = ${incarnation} AND version = ${version - 1}
      RETURNING version`

  const append = Effect.fnUntraced(function*(key: string, entry: Entry, expected: Version) {
    const line = yield* Effect.mapError(
      encodeEntry(entry),
      () => new StoreUnavailable({ operation: "append", message: `The entry ${entry._tag} cannot be written as JSON` })
    )
    const before = parse(expected)
    const next = before === undefined
      ? { incarnation: randomUUID(), version: 1 }
      : { incarnation: before.incarnation, version: before.version + 1 }
    const statement = before === undefined ? insert(key, line, next) : update(key, line, next, entry)
    const isWritten = yield* retrying(statement).pipe(
      Effect.map((rows) => rows.length > 0),
      Effect.catchIf(SqlFailure.isOutcomeUnknown, (error) =>
        Effect.flatMap(rowAfter(error, key), (row) => {
          // It may still be on its way.
          if ((row === undefined ? noVersion : versionOf(row)) === expected) return Effect.fail(error)
          return Effect.succeed(
            row?.incarnation === next.incarnation && row.entries.split("\n")[next.version - 1] === line
          )
        })),
      Effect.mapError(SqlFailure.unavailable("append"))
    )
    return isWritten ? versionOf(next) : yield* conflict
  })

  const remove = Effect.fnUntraced(function*(key: string, expected: Version) {
    const point = parse(expected)
    const statement = point === undefined
      ? Effect.map(rowOf(key), (row) => row === undefined)
      : sql`
        DELETE FROM holdfast_sessions
        WHERE namespace = ${namespace} AND key_hash = ${hashOf(key)}
          AND incarnation = ${point.incarnation} AND version = ${point.version}
        RETURNING version`.pipe(Effect.map((rows) => rows.length > 0))
    const isRemoved = yield* retrying(statement).pipe(
      Effect.catchIf(
        SqlFailure.isOutcomeUnknown,
        (error) =>
          Effect.flatMap(rowAfter(error, key), (row) =>
            row !== undefined && versionOf(row) === expected
              ? Effect.fail(error)
              : Effect.succeed(row?.incarnation !== point?.incarnation))
      ),
      Effect.mapError(SqlFailure.unavailable("remove"))
    )
    if (!isRemoved) return yield* conflict
  })

  const versionsOf = Effect.fnUntraced(function*(keys: ReadonlyArray<string>) {
    const byHash = new Map(keys.map((key) => [hashOf(key), key]))
    const rows = yield* retrying(
      sql<{ readonly key_hash: string; readonly incarnation: string; readonly version: number }>`
      SELECT key_hash, incarnation, version FROM holdfast_sessions
      WHERE namespace = ${namespace} AND ${sql.in("key_hash", [...byHash.keys()])}`
    ).pipe(
      Effect.mapError(SqlFailure.unavailable("load"))
    )
    return rows.map((row) => [byHash.get(row.key_hash) ?? "", versionOf(row)] as const)
  })

  /** The keys of the rows that fulfil a condition, a page at a time, in the order of their hashes. */
  const keysWhere = (condition: Fragment) =>
    Stream.paginate("", (after: string) =>
      Effect.gen(function*() {
        const rows = yield* retrying(sql<{ readonly key_hash: string; readonly session_key: string }>`
          SELECT key_hash, session_key FROM holdfast_sessions
          WHERE namespace = ${namespace} AND key_hash > ${after} AND ${condition}
          ORDER BY key_hash LIMIT ${pageSize}`).pipe(Effect.mapError(SqlFailure.unavailable("list")))
        const keys = yield* Effect.forEach(rows, keyOf)
        const last = rows.at(-1)
        return [
          Arr.getSomes(keys),
          rows.length < pageSize || last === undefined ? Option.none() : Option.some(last.key_hash)
        ] as const
      }))

  return {
    namespace,
    load,
    append,
    remove,
    versions: (keys) =>
      Effect.map(
        Effect.forEach(Arr.chunksOf(keys, questionSize), versionsOf),
        (versions) => new Map(versions.flat())
      ),
    list: keysWhere(sql`TRUE`),
    listUnsettled: keysWhere(sql`is_over = 0`),
    listForJob: (jobId) => {
      const id = JSON.stringify(jobId)
      return Stream.concat(
        keysWhere(sql`job_id = ${id}`),
        keysWhere(sql`is_unclear = 1 AND (job_id IS NULL OR job_id <> ${id}) AND (
          entries LIKE ${`%"jobId":${escaped(id)}%`} ESCAPE '!'
          OR entries NOT LIKE ${`%${tagged("Accepted")}%`} OR entries LIKE ${several("Submitting")})`)
      )
    }
  }
})

/**
 * What a row says of its session beside the entries: `job_id`, its latest job; `is_over`, that no more is to come; and
 * `is_unclear`, that a job may be its own that `job_id` does not name.
 */
const marks = (sql: SqlClient.SqlClient, entry: Entry): Fragment => {
  switch (entry._tag) {
    case "Submitting":
      return sql`, is_unclear = 1`
    case "Accepted":
      return sql`, job_id = ${JSON.stringify(entry.jobId)}, is_over = CASE WHEN job_id IS NULL THEN is_over ELSE 0 END,
        is_unclear = CASE WHEN entries LIKE ${several("Submitting")} OR entries LIKE ${`%${tagged("Accepted")}%`}
          THEN 1 ELSE 0 END`
    case "Settled": {
      // With several submissions or jobs, one of them may be of unknown fate, or surplus.
      const isClear = sql`entries NOT LIKE ${several("Submitting")} AND entries NOT LIKE ${several("Accepted")}`
      return sql`, is_over = CASE WHEN ${isClear} THEN 1 ELSE 0 END, is_unclear = CASE WHEN ${isClear} THEN 0 ELSE 1 END`
    }
    default:
      return sql``
  }
}

const tagged = (tag: Entry["_tag"]): string => `"_tag":"${tag}"`

const several = (tag: Entry["_tag"]): string => `%${tagged(tag)}%${tagged(tag)}%`

const escaped = (text: string): string => text.replaceAll(/[!%_]/g, (sign) => `!${sign}`)

/** Keys that `list` reads at once. */
const pageSize = 1000

/** Sessions whose versions are read at once. */
const questionSize = 500

const EntryText = Schema.fromJsonString(EntryJson)
const encodeEntry = Schema.encodeEffect(EntryText)
const decodeEntries = Schema.decodeEffect(Schema.Array(EntryText))
const decodeKey = Schema.decodeOption(Schema.fromJsonString(Schema.String))

const keyOf = Effect.fnUntraced(function*(row: { readonly key_hash: string; readonly session_key: string }) {
  const key = decodeKey(row.session_key)
  if (Option.isNone(key)) {
    yield* Effect.logWarning("A session's key cannot be read and was left out of the list", row.key_hash)
  }
  return key
})

const Versioned = Schema.fromJsonString(Schema.Struct({ v: Schema.Int.check(Schema.isGreaterThan(formatVersion)) }))

const isNewer = (line: string): boolean => Option.isSome(Schema.decodeOption(Versioned)(line))

// A key may be longer than an index entry, and hold what a text column cannot.
const hashOf = (key: string): string => hash("sha256", JSON.stringify(key))

/** A session at one of its versions. */
interface Point {
  readonly incarnation: string
  readonly version: number
}

const versionOf = ({ incarnation, version }: Point): Version => Version(`${incarnation}.${version}`)

const parse = (version: Version): Point | undefined => {
  if (version === noVersion) return undefined
  const dot = version.lastIndexOf(".")
  return { incarnation: version.slice(0, dot), version: Number(version.slice(dot + 1)) }
}

const conflict = Effect.fail(
  new VersionConflict({ message: "The session is no longer at the expected version" })
)

const createSessions = Effect.flatMap(SqlClient.SqlClient, (sql) =>
  Effect.all([
    sql`CREATE TABLE holdfast_sessions (
      namespace TEXT NOT NULL,
      key_hash TEXT NOT NULL,
      session_key TEXT NOT NULL,
      incarnation TEXT NOT NULL,
      version INTEGER NOT NULL,
      entries TEXT NOT NULL,
      job_id TEXT,
      is_over INTEGER NOT NULL DEFAULT 0,
      is_unclear INTEGER NOT NULL DEFAULT 1,
      PRIMARY KEY (namespace, key_hash)
    )`,
    // Keys are listed by their hash, which each index has for its last column: a page is read without sorting.
    sql`CREATE INDEX holdfast_sessions_job ON holdfast_sessions (namespace, job_id, key_hash) WHERE job_id IS NOT NULL`,
    sql`CREATE INDEX holdfast_sessions_unsettled ON holdfast_sessions (namespace, key_hash) WHERE is_over = 0`,
    sql`CREATE INDEX holdfast_sessions_unclear ON holdfast_sessions (namespace, key_hash) WHERE is_unclear = 1`
  ]))

// Another process may be making the table at this moment: the loser looks again.
const migrate = Migrator.make({})({
  loader: Effect.succeed([[1, "create_sessions", Effect.succeed(createSessions)]]),
  table: "holdfast_migrations"
}).pipe(
  Effect.retry(
    Schedule.min([Schedule.exponential("20 millis"), Schedule.spaced("500 millis")]).pipe(
      Schedule.jittered,
      Schedule.upTo({ duration: "10 seconds" })
    )
  ),
  Effect.mapError(SqlFailure.unavailable("open"))
)
