/**
 * A `SqlClient` over `node:sqlite`, which is a part of Node.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Reactivity from "effect/reactivity/Reactivity"
import * as Semaphore from "effect/Semaphore"
import * as SqlClient from "effect/sql/SqlClient"
import type * as SqlConnection from "effect/sql/SqlConnection"
import * as SqlError from "effect/sql/SqlError"
import * as Statement from "effect/sql/Statement"
import * as Stream from "effect/Stream"
import type * as Scope from "effect/Scope"
import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite"

/**
 * Options for `make` and `layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The database's file, made where it is missing; `:memory:` for one that is gone with the scope. */
  readonly filename: string
  /**
   * Longest time that a statement waits for another process.
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
 * thread: meant for small databases, such as that of sessions. The 100 that
 * were used last are kept prepared.
 *
 * **Errors**
 *
 * `SqlError` when the file cannot be opened, or `node:sqlite` is not there.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  options: Options
): Effect.fn.Return<SqlClient.SqlClient, SqlError.SqlError, Scope.Scope | Reactivity.Reactivity> {
  const busyMillis = Math.ceil(Duration.toMillis(Duration.fromInputUnsafe(options.busyTimeout ?? "5 seconds")))
  const { DatabaseSync } = yield* Effect.tryPromise({
    try: () => import("node:sqlite"),
    catch: sqlError("open")
  })
  const db = yield* Effect.acquireRelease(
    Effect.try({ try: () => new DatabaseSync(options.filename, { timeout: busyMillis }), catch: sqlError("open") }),
    (db) => Effect.sync(() => db.close())
  )
  yield* Effect.try({
    try: () => db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL"),
    catch: sqlError("open")
  })
  return yield* SqlClient.make({
    ...SqlClient.makeSqliteAcquirers({
      connection: Effect.succeed(connectionOf(db)),
      semaphore: yield* Semaphore.make(1),
      isTransaction: () => db.isTransaction
    }),
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

const connectionOf = (db: DatabaseSync): SqlConnection.Connection => {
  const prepare = preparing(db)
  const run = (sql: string, params: ReadonlyArray<unknown>, asArrays: boolean) =>
    Effect.try({
      try: (): ReadonlyArray<Row> => {
        const statement = prepare(sql)
        statement.setReturnArrays(asArrays)
        return statement.all(...params as ReadonlyArray<SQLInputValue>)
      },
      catch: sqlError("execute")
    })
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

const sqlError = (operation: string) => (cause: unknown): SqlError.SqlError =>
  new SqlError.SqlError({
    reason: SqlError.classifySqliteError(withErrno(cause), { message: "The statement failed", operation })
  })

// `node:sqlite` has SQLite's result code in `errcode`; the classifier reads `errno`.
const withErrno = (cause: unknown): unknown =>
  cause instanceof Error && "errcode" in cause && typeof cause.errcode === "number"
    ? Object.assign(new Error(cause.message, { cause }), { errno: cause.errcode })
    : cause
