/**
 * A `SqlClient` over `node:sqlite`, which is a part of Node.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import * as SqlError from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"
import * as SqliteFile from "./internal/SqliteFile.ts"

/**
 * Options for `make` and `layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The database's file, made where it is missing, for its owner only; `:memory:` for one that is gone with the scope.
   */
  readonly filename: string
  /**
   * Longest time that opening, or a statement, waits for another process. Other work of this process goes on meanwhile.
   *
   * @default "5 seconds"
   */
  readonly busyTimeout?: Duration.Input | undefined
}

/**
 * Creates a `SqlClient` that lives as long as the scope.
 *
 * **Details**
 *
 * One connection, in WAL mode with `synchronous = FULL`, so that a commit
 * survives a power loss. Statements run one after another and block the
 * thread while they run: meant for small databases, such as that of sessions.
 * The 100 that were used last are kept prepared. A statement that finds the
 * database locked is tried again after 1, 2, 4, 8, 16, then each 25 ms, times
 * `u` uniform in `[0.8, 1.2]`, until `busyTimeout` is over. Transactions begin
 * with `BEGIN IMMEDIATE`: one that has begun does not fail for another's writes.
 *
 * **Errors**
 *
 * - `SqlError` when the file cannot be opened, or `node:sqlite` is not there.
 * - `SqlError` with the reason `LockTimeoutError` when another process keeps the database locked for `busyTimeout`.
 * - `SqlError` with the reason `ConnectionError`, from every statement, once the
 *   database's file, or its log, was removed or replaced. What the statement
 *   wrote is lost with the file. Open the database again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SqlClient.SqlClient, SqlError.SqlError, Scope.Scope | Reactivity.Reactivity> {
  const { DatabaseSync } = yield* attempt("open", () => import("node:sqlite"))
  const whileBusy = retryingFor(Duration.fromInputUnsafe(options.busyTimeout ?? "5 seconds"))
  const db = yield* Effect.acquireRelease(
    attemptSync("open", () => {
      SqliteFile.create(options.filename)
      // Its own wait for locks would block the thread.
      return new DatabaseSync(options.filename, { timeout: 0 })
    }),
    (db) => Effect.sync(() => db.close())
  )
  const isThere = SqliteFile.watch(
    db.location(),
    () => db.prepare("PRAGMA journal_mode").get()?.["journal_mode"] === "wal"
  )
  yield* whileBusy(attemptSync("open", () => db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL")))
  return yield* SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(connectionOf(db, isThere, whileBusy)),
      semaphore: yield* Semaphore.make(1),
      isTransaction: () => db.isTransaction
    }),
    beginTransaction: "BEGIN IMMEDIATE",
    compiler: Statement.makeCompilerSqlite(),
    driver: "node-sqlite",
    spanAttributes: [["db.system.name", "sqlite"]]
  })
})

/**
 * Provides `SqlClient` over `node:sqlite`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effect(SqlClient.SqlClient, make(options)).pipe(Layer.provide(Reactivity.layer))

type Row = Record<string, unknown>

const connectionOf = (
  db: DatabaseSync,
  isThere: () => boolean,
  whileBusy: ReturnType<typeof retryingFor>
): SqlConnection.Connection => {
  const prepare = preparing(db)
  const run = (sql: string, params: ReadonlyArray<unknown>, asArrays: boolean) =>
    whileBusy(
      Effect.filterOrFail(
        attemptSync("execute", (): ReadonlyArray<Row> => {
          const statement = prepare(sql)
          statement.setReturnArrays(asArrays)
          return statement.all(...params as ReadonlyArray<SQLInputValue>)
        }),
        () => /^ROLLBACK\b/.test(sql) || isThere(),
        removed
      )
    )
  const rows: SqlConnection.Connection["execute"] = (sql, params, transform) =>
    transform === undefined ? run(sql, params, false) : Effect.map(run(sql, params, false), transform)
  const values = (sql: string, params: ReadonlyArray<unknown>) =>
    Effect.map(run(sql, params, true), (rows) => rows as unknown as ReadonlyArray<ReadonlyArray<unknown>>)
  return {
    execute: rows,
    executeUnprepared: rows,
    executeRaw: (sql, params) => run(sql, params, false),
    executeValues: values,
    executeValuesUnprepared: values,
    executeStream: (sql, params, transform) => Stream.fromIterableEffect(rows(sql, params, transform))
  }
}

/** Statements that are kept prepared; SQLite prepares one again by itself when its tables have changed. */
const capacity = 100

const preparing = (db: DatabaseSync): (sql: string) => StatementSync => {
  const kept = new Map<string, StatementSync>()
  return (sql) => {
    const statement = kept.get(sql) ?? db.prepare(sql)
    kept.delete(sql)
    kept.set(sql, statement)
    const [oldest] = kept.keys()
    if (kept.size > capacity && oldest !== undefined) kept.delete(oldest)
    return statement
  }
}

const attempt = <A>(operation: string, run: () => Promise<A>): Effect.Effect<A, SqlError.SqlError> =>
  Effect.tryPromise({ try: run, catch: sqlError(operation) })

const attemptSync = <A>(operation: string, run: () => A): Effect.Effect<A, SqlError.SqlError> =>
  Effect.try({ try: run, catch: sqlError(operation) })

/** Tries again for so long while another process has the lock that is needed. */
const retryingFor = (limit: Duration.Duration) => {
  const schedule = Schedule.min([Schedule.exponential("1 millis"), Schedule.spaced("25 millis")]).pipe(
    Schedule.jittered,
    Schedule.upTo({ duration: limit })
  )
  return <A>(effect: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A, SqlError.SqlError> =>
    Effect.retry(effect, { schedule, while: isBusy })
}

const sqlError = (operation: string) => (cause: unknown): SqlError.SqlError => {
  const code = codeOf(cause)
  return new SqlError.SqlError({
    reason: SqlError.classifySqliteError(
      // The classifier reads `errno`.
      code === undefined || !(cause instanceof Error)
        ? cause
        : Object.assign(new Error(cause.message, { cause }), { errno: code }),
      { message: "The statement failed", operation }
    )
  })
}

const removed = () =>
  new SqlError.SqlError({
    reason: new SqlError.ConnectionError({
      message: "The database's file was removed or replaced while it was open",
      operation: "execute",
      cause: undefined
    })
  })

/** SQLite's extended result code. */
const codeOf = (cause: unknown): number | undefined =>
  cause instanceof Error && "errcode" in cause && typeof cause.errcode === "number" ? cause.errcode : undefined

const SQLITE_BUSY = 5
const SQLITE_BUSY_SNAPSHOT = 517

// A transaction that has read what has changed since can only be begun again.
const isBusy = ({ reason }: SqlError.SqlError): boolean => {
  const code = reason.cause instanceof Error ? codeOf(reason.cause.cause) : undefined
  return code !== undefined && (code & 0xff) === SQLITE_BUSY && code !== SQLITE_BUSY_SNAPSHOT
}
