import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { Session, SessionStore } from "holdfast"
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import * as SqliteClient from "../../src/services/SqliteClient.ts"

describe("A SQLite file", () => {
  describe("that is locked", () => {
    it.live.each([
      {
        what: "a statement",
        lock: "BEGIN IMMEDIATE",
        use: (sql: SqlClient.SqlClient) => sql`INSERT INTO things VALUES (1)`
      },
      {
        what: "a transaction",
        lock: "BEGIN IMMEDIATE",
        use: (sql: SqlClient.SqlClient) => sql.withTransaction(sql`INSERT INTO things VALUES (1)`)
      },
      {
        what: "the end of a transaction",
        lock: "BEGIN; SELECT * FROM things",
        use: (sql: SqlClient.SqlClient) => sql.withTransaction(sql`INSERT INTO things VALUES (1)`)
      },
      {
        what: "making the table of sessions",
        lock: "BEGIN EXCLUSIVE",
        use: (sql: SqlClient.SqlClient) => Effect.andThen(storeIn(sql), sql`INSERT INTO things VALUES (1)`)
      }
    ])("lets the process go on while $what waits for it", ({ lock, use, what }) =>
      Effect.gen(function*() {
        const filename = join(yield* directory, "sessions.db")
        const sql = yield* open(filename)
        yield* sql`CREATE TABLE things (id INTEGER)`
        // Without a log, a transaction waits for readers when it ends.
        if (what === "the end of a transaction") yield* sql`PRAGMA journal_mode = DELETE`
        const release = yield* lockedBy(filename, lock)
        const waiting = yield* Effect.forkChild(use(sql), { startImmediately: true })
        yield* Effect.sleep("30 millis")
        const early = waiting.pollUnsafe()
        release()
        yield* Fiber.join(waiting)

        assert.isUndefined(early)
        assert.deepStrictEqual((yield* sql`SELECT id FROM things`.values).flat(), [1])
      }))

    it.live("is waited for when it is opened", () =>
      Effect.gen(function*() {
        const filename = join(yield* directory, "sessions.db")
        const release = yield* lockedBy(filename, "CREATE TABLE things (id INTEGER); BEGIN EXCLUSIVE")
        const opening = yield* Effect.forkChild(open(filename), { startImmediately: true })
        yield* Effect.sleep("30 millis")
        const early = opening.pollUnsafe()
        release()
        const sql = yield* Fiber.join(opening)

        assert.isUndefined(early)
        assert.deepStrictEqual((yield* sql`PRAGMA journal_mode`.values).flat(), ["wal"])
      }))

    it.live("is written by a transaction that has read, though another wanted to write meanwhile", () =>
      Effect.gen(function*() {
        const filename = join(yield* directory, "sessions.db")
        const one = yield* open(filename)
        const other = yield* open(filename)
        yield* one`CREATE TABLE things (id INTEGER)`
        const writing = yield* one.withTransaction(Effect.gen(function*() {
          yield* one`SELECT * FROM things`
          const writing = yield* Effect.forkChild(other`INSERT INTO things VALUES (2)`, { startImmediately: true })
          yield* Effect.sleep("30 millis")
          yield* one`INSERT INTO things VALUES (1)`
          return writing
        }))
        yield* Fiber.join(writing)

        assert.deepStrictEqual((yield* one`SELECT id FROM things`.values).flat(), [1, 2])
      }))
  })

  describe("that is new", () => {
    it.live.each([
      { form: "a path", nameOf: (path: string) => path },
      { form: "a url", nameOf: (path: string) => `file://${path}?mode=rwc` },
      { form: "an escaped name", nameOf: (path: string) => `file:${path.replace("sessions", "%73essions")}` }
    ])("is its owner's only, and so are those beside it, when opened by $form", ({ nameOf }) =>
      Effect.gen(function*() {
        const filename = join(yield* directory, "sessions.db")
        const store = yield* Effect.flatMap(open(nameOf(filename)), storeIn)
        yield* store.append("key", prepared, Session.noVersion)

        assert.deepStrictEqual(
          ["", "-wal", "-shm"].map((suffix) => (statSync(filename + suffix).mode & 0o777).toString(8)),
          ["600", "600", "600"]
        )
      }))

    it.live("is not made behind a link that leads nowhere", () =>
      Effect.gen(function*() {
        const folder = yield* directory
        symlinkSync(join(folder, "elsewhere.db"), join(folder, "sessions.db"))
        const error = yield* Effect.flip(open(join(folder, "sessions.db")))

        assert.strictEqual(error._tag, "SqlError")
        assert.isFalse(existsSync(join(folder, "elsewhere.db")))
      }))

    it.live("is not made for a database in memory, nor for one that must be there", () =>
      Effect.gen(function*() {
        const folder = yield* directory
        yield* open(`file:${folder}/memory.db?mode=memory`)
        yield* Effect.flip(open(`file:${folder}/missing.db?mode=rw`))

        assert.isFalse(existsSync(join(folder, "memory.db")))
        assert.isFalse(existsSync(join(folder, "missing.db")))
      }))
  })

  it.live("that is there keeps the permissions that it has", () =>
    Effect.gen(function*() {
      const filename = join(yield* directory, "sessions.db")
      writeFileSync(filename, "")
      chmodSync(filename, 0o640)
      yield* Effect.flatMap(open(filename), storeIn)

      assert.strictEqual(statSync(filename).mode & 0o777, 0o640)
    }))

  it.live.each([
    { what: "is removed", change: (filename: string) => removeAll(filename) },
    { what: "is removed without its log", change: (filename: string) => rmSync(filename) },
    { what: "is moved away", change: (filename: string) => renameSync(filename, `${filename}.old`) },
    { what: "loses its log", change: (filename: string) => rmSync(`${filename}-wal`) },
    {
      what: "is replaced",
      change: (filename: string) => {
        removeAll(filename)
        new DatabaseSync(filename).close()
      }
    }
  ])("that $what is missed by who reads or writes it", ({ change }) =>
    Effect.gen(function*() {
      const filename = join(yield* directory, "sessions.db")
      const sql = yield* open(filename)
      const store = yield* storeIn(sql)
      const version = yield* store.append("key", prepared, Session.noVersion)
      change(filename)
      const errors = [
        yield* Effect.flip(store.append("key", prepared, version)),
        yield* Effect.flip(store.append("other", prepared, Session.noVersion)),
        yield* Effect.flip(store.load("key")),
        yield* Effect.flip(store.remove("key", version))
      ]
      const committed = yield* Effect.flip(sql.withTransaction(sql`SELECT 1`))

      assert.deepStrictEqual(errors.map(({ _tag }) => _tag), errors.map(() => "StoreUnavailable"))
      assert.include(errors[0]?.message, "removed or replaced")
      assert.strictEqual(committed.reason._tag, "ConnectionError")
    }))
})

const prepared = Session.Prepared.make({ at: 1, fingerprint: "f" })

const removeAll = (filename: string) => {
  for (const suffix of ["", "-wal", "-shm"]) rmSync(filename + suffix, { force: true })
}

const open = (filename: string) =>
  Effect.map(Layer.build(SqliteClient.layer({ filename })), (context) => Context.get(context, SqlClient.SqlClient))

const storeIn = (client: SqlClient.SqlClient) =>
  Effect.map(
    Layer.build(SessionStore.layerSql().pipe(Layer.provide(Layer.succeed(SqlClient.SqlClient, client)))),
    (context) => Context.get(context, SessionStore.SessionStore)
  )

/** Locks a database by another connection, and returns what ends the lock. */
const lockedBy = (filename: string, statements: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const db = new DatabaseSync(filename)
        const texts = statements.split("; ")
        for (const text of texts.slice(0, -1)) db.exec(text)
        // A query is left half read: it keeps its lock.
        const rows = db.prepare(texts.at(-1) ?? "").iterate()
        rows.next()
        return db
      }),
      (db) => Effect.sync(() => db.close())
    ),
    (db) => () => db.exec("COMMIT")
  )

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-sqlite-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)
