import { assert, describe, it, vi } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { Session, SessionStore } from "holdfast"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as SqliteClient from "../../src/services/SqliteClient.ts"

describe("SqliteClient", () => {
  it.effect("gives back what was written, as rows, as values and as a stream", () =>
    Effect.gen(function*() {
      const sql = yield* open(":memory:")
      yield* sql`CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT, size REAL, bytes BLOB)`
      yield* sql`INSERT INTO things ${
        sql.insert([
          { id: 1, name: "\ud83d\ude80 it's\u0000", size: 0.5, bytes: new Uint8Array([0, 255]) },
          { id: 2, name: null, size: null, bytes: null }
        ])
      }`
      const all = sql`SELECT id, name, size, bytes FROM things ORDER BY id`

      assert.deepStrictEqual((yield* all).map((row) => ({ ...row })), [
        { id: 1, name: "\ud83d\ude80 it's\u0000", size: 0.5, bytes: new Uint8Array([0, 255]) },
        { id: 2, name: null, size: null, bytes: null }
      ])
      assert.deepStrictEqual((yield* all.values).map(([id, name]) => [id, name]), [
        [1, "\ud83d\ude80 it's\u0000"],
        [2, null]
      ])
      assert.deepStrictEqual((yield* Stream.runCollect(all.stream)).map(({ id }) => id), [1, 2])
      assert.deepStrictEqual((yield* sql`DELETE FROM things RETURNING id`).length, 2)
      assert.deepStrictEqual(yield* all, [])
    }))

  it.effect("runs a statement again in another form, after an error and after its table was changed by another", () =>
    inDirectory(Effect.fnUntraced(function*(directory) {
      const sql = yield* open(join(directory, "sessions.db"))
      const other = yield* open(join(directory, "sessions.db"))
      yield* sql`CREATE TABLE things (id INTEGER PRIMARY KEY)`
      const insert = sql`INSERT INTO things (id) VALUES (1)`
      const all = sql`SELECT * FROM things`
      yield* insert
      const error = yield* Effect.flip(insert)
      const rows = [yield* all, yield* all.values, yield* all]
      yield* other`ALTER TABLE things ADD COLUMN size INTEGER DEFAULT 7`
      const wider = yield* all
      yield* other`DELETE FROM things`
      yield* insert

      assert.strictEqual(error._tag, "SqlError")
      assert.deepStrictEqual(rows.map(([row]) => ({ ...row })), [{ id: 1 }, { 0: 1 }, { id: 1 }])
      assert.deepStrictEqual(wider.map((row) => ({ ...row })), [{ id: 1, size: 7 }])
      assert.deepStrictEqual(yield* all.values, [[1, 7]])
    })))

  it.effect("keeps the 100 statements prepared that were used last", () =>
    Effect.gen(function*() {
      const sql = yield* open(":memory:")
      const texts = yield* preparedNow
      const select = (id: number) => sql.unsafe(`SELECT ${id}`)
      for (let id = 1; id <= 100; id++) yield* select(id)
      yield* select(1)
      yield* select(101)
      yield* select(1)
      const whileKept = texts.length
      yield* select(2)

      assert.strictEqual(whileKept, 101)
      assert.strictEqual(texts.at(-1), "SELECT 2")
    }))

  it.effect("commits a transaction as a whole, or not at all", () =>
    Effect.gen(function*() {
      const sql = yield* open(":memory:")
      yield* sql`CREATE TABLE things (id INTEGER PRIMARY KEY)`
      const insert = (id: number) => sql`INSERT INTO things VALUES (${id})`
      yield* sql.withTransaction(Effect.andThen(insert(1), insert(2)))
      const failed = yield* Effect.exit(sql.withTransaction(Effect.andThen(insert(3), insert(1))))
      const nested = sql.withTransaction(Effect.andThen(
        insert(4),
        Effect.ignore(sql.withTransaction(
          Effect.andThen(insert(5), insert(1))
        ))
      ))
      yield* nested

      assert.isTrue(Exit.isFailure(failed))
      assert.deepStrictEqual((yield* sql`SELECT id FROM things ORDER BY id`).map(({ id }) => id), [1, 2, 4])
    }))

  it.effect("syncs each commit, in WAL mode", () =>
    inDirectory(Effect.fnUntraced(function*(directory) {
      const sql = yield* open(join(directory, "sessions.db"))

      assert.deepStrictEqual((yield* sql`PRAGMA journal_mode`.values).flat(), ["wal"])
      // 2 is FULL.
      assert.deepStrictEqual((yield* sql`PRAGMA synchronous`.values).flat(), [2])
    })))

  it.effect("closes its file with the scope", () =>
    inDirectory(Effect.fnUntraced(function*(directory) {
      const scope = yield* Scope.make()
      const sql = yield* Scope.provide(open(join(directory, "sessions.db")), scope)
      yield* sql`CREATE TABLE things (id INTEGER)`
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(sql`SELECT * FROM things`)

      assert.strictEqual(error._tag, "SqlError")
    })))

  it.effect("fails to open what is no database, or nowhere", () =>
    inDirectory(Effect.fnUntraced(function*(directory) {
      writeFileSync(join(directory, "notes.txt"), "not a database at all, and longer than a header".repeat(30))
      const errors = [
        yield* Effect.flip(open(join(directory, "notes.txt"))),
        yield* Effect.flip(open(join(directory, "nowhere", "sessions.db"))),
        yield* Effect.flip(open(directory))
      ]

      assert.deepStrictEqual(errors.map(({ _tag }) => _tag), errors.map(() => "SqlError"))
    })))

  it.effect("gives up a statement that another connection keeps waiting, after the busy timeout", () =>
    inDirectory(Effect.fnUntraced(function*(directory) {
      const one = yield* open(join(directory, "sessions.db"))
      const other = yield* open(join(directory, "sessions.db"))
      yield* one`CREATE TABLE things (id INTEGER)`
      const [early, error] = yield* one.withTransaction(Effect.gen(function*() {
        yield* one`INSERT INTO things VALUES (1)`
        const waiting = yield* Effect.forkChild(Effect.flip(other`INSERT INTO things VALUES (2)`))
        yield* TestClock.adjust("60 millis")
        const early = waiting.pollUnsafe()
        yield* TestClock.adjust("70 millis")
        return [early, yield* Fiber.join(waiting)] as const
      }))
      yield* other`INSERT INTO things VALUES (3)`

      assert.isUndefined(early)
      assert.strictEqual(error.reason._tag, "LockTimeoutError")
      assert.isTrue(error.isRetryable)
      assert.deepStrictEqual((yield* one`SELECT id FROM things`.values).flat(), [1, 3])
    })))

  it.effect("makes a full disk a failure of the store, and loses nothing by it", () =>
    inDirectory(Effect.fnUntraced(function*(directory) {
      const filename = join(directory, "sessions.db")
      const client = yield* open(filename)
      const store = yield* storeIn(client)
      const version = yield* store.append("key", prepared("1"), Session.noVersion)
      const [[pages]] = (yield* client`PRAGMA page_count`.values) as [[number]]
      yield* client.unsafe(`PRAGMA max_page_count = ${pages}`)
      const error = yield* Effect.flip(store.append("key", prepared("2".repeat(100_000)), version))
      const { entries } = yield* store.load("key")
      yield* client.unsafe(`PRAGMA max_page_count = ${pages * 1000}`)
      yield* store.append("key", prepared("3"), version)

      assert.deepInclude(error, { _tag: "StoreUnavailable", operation: "append" })
      assert.deepStrictEqual(entries, [prepared("1")])
      assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("1"), prepared("3")])
    })))

  it.effect("makes a damaged file a failure of the store", () =>
    inDirectory(Effect.fnUntraced(function*(directory) {
      const filename = join(directory, "sessions.db")
      yield* Effect.scoped(Effect.gen(function*() {
        const store = yield* storeIn(yield* open(filename))
        for (let n = 0; n < 50; n++) yield* store.append(`key ${n}`, prepared("x".repeat(1000)), Session.noVersion)
      }))
      const bytes = readFileSync(filename)
      // All pages but the first, which has the schema.
      bytes.fill(0xff, 4096)
      writeFileSync(filename, bytes)
      const opening = yield* Effect.forkChild(
        Effect.flatMap(Effect.flatMap(open(filename), storeIn), (store) => store.load("key 7")),
        { startImmediately: true }
      )
      yield* TestClock.adjust("11 seconds")
      const error = yield* Effect.flip(Fiber.join(opening))

      assert.strictEqual(error._tag, "StoreUnavailable")
    })))
})

const open = (filename: string) =>
  Effect.map(
    Layer.build(SqliteClient.layer({ filename, busyTimeout: "100 millis" })),
    (context) => Context.get(context, SqlClient.SqlClient)
  )

const storeIn = (client: SqlClient.SqlClient) =>
  Effect.map(
    Layer.build(SessionStore.layerSql().pipe(Layer.provide(Layer.succeed(SqlClient.SqlClient, client)))),
    (context) => Context.get(context, SessionStore.SessionStore)
  )

/** The texts of the statements that are prepared from now on, while the scope is open. */
const preparedNow = Effect.acquireRelease(
  Effect.sync(() => {
    const texts = Array<string>()
    const { prepare } = DatabaseSync.prototype
    const spy = vi.spyOn(DatabaseSync.prototype, "prepare").mockImplementation(function(this: DatabaseSync, sql) {
      texts.push(sql)
      return prepare.call(this, sql)
    })
    return { spy, texts }
  }),
  ({ spy }) => Effect.sync(() => spy.mockRestore())
).pipe(Effect.map(({ texts }) => texts))

const prepared = (fingerprint: string) => Session.Prepared.make({ at: 1, fingerprint })

const inDirectory = Effect.fnUntraced(
  function*<A, E, R>(use: (directory: string) => Effect.Effect<A, E, R>) {
    const directory = yield* Effect.acquireRelease(
      Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-sqlite-"))),
      (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
    )
    return yield* use(directory)
  },
  Effect.scoped
)
