import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Redacted, Result, Stream, Tracer } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import { Session, SessionStore } from "holdfast"
import { SessionStoreSuite } from "holdfast/testing"
import { execFile } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { inspect, promisify } from "node:util"
import * as SessionSamples from "../../src/testing/internal/SessionSamples.ts"
import * as SqliteClient from "../../src/services/SqliteClient.ts"
import * as Postgres from "../fixtures/Postgres.ts"

const suite = <R, E>(name: string, client: Layer.Layer<SqlClient.SqlClient, E, R>, server: Layer.Layer<R, E>) => {
  const store = SessionStore.layerSql().pipe(Layer.provideMerge(client), Layer.provideMerge(server))

  it.layer(store, { excludeTestServices: true })(`SessionStore (${name})`, (it) => {
    for (const { name, run } of SessionStoreSuite.cases) it.effect(name, () => run)

    it.effect("keeps namespaces apart", () =>
      Effect.gen(function*() {
        const ours = yield* SessionStore.SessionStore
        const theirs = yield* inNamespace("other")
        yield* ours.append("shared key", prepared, Session.noVersion)

        const seen = yield* theirs.load("shared key")
        const listed = yield* Stream.runCollect(theirs.list)

        assert.deepStrictEqual(seen.entries, [])
        assert.deepStrictEqual(listed, [])
      }))

    it.effect("lists more sessions than one page holds, each once", () =>
      Effect.gen(function*() {
        const many = yield* inNamespace("many")
        const keys = Array.from({ length: 2_345 }, (_, n) => `key ${n}`)
        yield* Effect.forEach(keys, (key) => many.append(key, prepared, Session.noVersion), { concurrency: 16 })

        const listed = yield* Stream.runCollect(many.list)

        assert.deepStrictEqual([...listed].sort(), keys.sort())
      }))

    it.effect("reads a row of format 1, and appends to it", () =>
      Effect.gen(function*() {
        const ours = yield* inNamespace("format 1")
        const sql = yield* SqlClient.SqlClient
        const entries = readFileSync(new URL("fixtures/session-entries-1.jsonl", import.meta.url), "utf8").trim()
        yield* sql`
          INSERT INTO holdfast_sessions (namespace, key_hash, session_key, incarnation, version, entries)
          VALUES (
            'format 1',
            '754cbe0828157543c4380ec94f52a14a2edb1a60b50670f964b4ee035db508d2',
            '"contract-42"',
            '00112233-4455-6677-8899-aabbccddeeff',
            42,
            ${entries}
          )`

        const { entries: loaded, version } = yield* ours.load("contract-42")
        yield* ours.append("contract-42", prepared, version)

        assert.strictEqual(version, "00112233-4455-6677-8899-aabbccddeeff.42")
        assert.strictEqual(loaded.length, 42)
        assert.strictEqual(Session.fold(loaded).settled?.settlement._tag, "Failed")
        assert.deepStrictEqual((yield* ours.load("contract-42")).entries, [...loaded, prepared])
        assert.deepStrictEqual(yield* Stream.runCollect(ours.list), ["contract-42"])
      }))

    it.effect("lists no settled session as unsettled, and for a job none but its own and those in doubt", () =>
      Effect.gen(function*() {
        const ours = yield* inNamespace("marks")
        const journals = SessionSamples.lives("resp_1")
        for (const [key, entries] of Object.entries(journals)) {
          let version = Session.noVersion
          for (const entry of entries) version = yield* ours.append(key, entry, version)
        }

        const unsettled = yield* Stream.runCollect(ours.listUnsettled ?? Stream.empty)
        const ofJob = yield* Stream.runCollect(ours.listForJob?.("resp_1") ?? Stream.empty)
        const ofAnother = yield* Stream.runCollect(ours.listForJob?.("resp_2") ?? Stream.empty)

        assert.notIncludeMembers(unsettled, ["suite:settled", "suite:settled without a job"])
        assert.includeMembers(ofJob, ["suite:running", "suite:settled"])
        assert.notIncludeMembers(ofAnother, ["suite:running", "suite:ended", "suite:settled"])
        assert.strictEqual(new Set(ofJob).size, ofJob.length)
      }))

    it.effect("says that a row of a newer version, or a damaged one, is corrupt", () =>
      Effect.gen(function*() {
        const ours = yield* SessionStore.SessionStore
        const sql = yield* SqlClient.SqlClient
        yield* ours.append("newer", prepared, Session.noVersion)
        yield* sql`UPDATE holdfast_sessions SET entries = ${
          JSON.stringify({ ...prepared, v: 2 })
        } WHERE session_key = '"newer"'`
        yield* ours.append("damaged", prepared, Session.noVersion)
        yield* sql`UPDATE holdfast_sessions SET entries = '{"_tag":"Prep' WHERE session_key = '"damaged"'`

        const newer = yield* Effect.flip(ours.load("newer"))
        const damaged = yield* Effect.flip(ours.load("damaged"))

        assert.strictEqual(newer._tag, "StoreCorrupt")
        assert.include(newer.message, "newer version")
        assert.strictEqual(damaged._tag, "StoreCorrupt")
        assert.notInclude(inspect(damaged, { depth: 9 }), "Prep")
      }))

    it.effect("lists all but a row whose key is damaged", () =>
      Effect.gen(function*() {
        const damaged = yield* inNamespace("damaged")
        const sql = yield* SqlClient.SqlClient
        for (const key of ["one", "two", "three"]) yield* damaged.append(key, prepared, Session.noVersion)
        yield* sql`UPDATE holdfast_sessions SET session_key = '"tw' WHERE session_key = '"two"'`

        const listed = yield* Stream.runCollect(damaged.list)

        assert.sameMembers(listed, ["one", "three"])
      }))

    it.effect("does not make an entry that is no JSON a defect", () =>
      Effect.gen(function*() {
        const ours = yield* SessionStore.SessionStore
        const error = yield* Effect.flip(ours.append("no JSON", unwritable, Session.noVersion))

        assert.strictEqual(error._tag, "StoreUnavailable")
        assert.strictEqual((yield* ours.load("no JSON")).version, Session.noVersion)
      }))

    it.effect("sends one statement for each append, load and removal", () =>
      Effect.gen(function*() {
        const ours = yield* SessionStore.SessionStore
        const { count, tracer } = countingStatements()
        const counted = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
          Effect.map(Effect.withTracer(effect, tracer), (value) => ({ value, statements: count() }))

        const first = yield* counted(ours.append("counted", prepared, Session.noVersion))
        const second = yield* counted(ours.append("counted", prepared, first.value))
        const conflict = yield* counted(Effect.flip(ours.append("counted", prepared, first.value)))
        const loaded = yield* counted(ours.load("counted"))
        const removed = yield* counted(ours.remove("counted", second.value))

        assert.deepStrictEqual(
          [first, second, conflict, loaded, removed].map(({ statements }) => statements),
          [1, 1, 1, 1, 1]
        )
      }))

    it.effect("says that a database without its table is unavailable", () =>
      Effect.gen(function*() {
        const ours = yield* SessionStore.SessionStore
        const sql = yield* SqlClient.SqlClient
        yield* sql`ALTER TABLE holdfast_sessions RENAME TO moved_away`

        const loaded = yield* Effect.flip(ours.load("any"))
        const appended = yield* Effect.flip(ours.append("any", prepared, Session.noVersion))
        const removed = yield* Effect.flip(ours.remove("any", "x.1" as Session.Version))
        const listed = yield* Effect.flip(Stream.runCollect(ours.list))
        yield* sql`ALTER TABLE moved_away RENAME TO holdfast_sessions`

        assert.deepStrictEqual(
          [loaded._tag, appended._tag, removed._tag, listed._tag],
          ["StoreUnavailable", "StoreUnavailable", "StoreUnavailable", "StoreUnavailable"]
        )
      }))
  })
}

suite("SQLite", SqliteClient.layer({ filename: ":memory:" }), Layer.empty)
suite("PostgreSQL", Postgres.layerClient, Postgres.layer)

describe("layerSql", () => {
  it.live(
    "makes its table once when ten processes open a PostgreSQL database at the same time",
    () =>
      Effect.gen(function*() {
        const { url } = yield* Postgres.Postgres
        yield* openTenTimes("postgres", url)

        const keys = yield* keysIn(PgClient.layer({ url: Redacted.make(url) }))

        assert.strictEqual(keys.length, 10)
      }).pipe(Effect.provide(Postgres.layer))
  )

  it.live(
    "is unavailable while PostgreSQL drops its connections, and goes on with new ones",
    () =>
      Effect.gen(function*() {
        const { url } = yield* Postgres.Postgres
        const connect = PgClient.layer({ url: Redacted.make(url), applicationName: "dropped" })
        const store = Context.get(
          yield* Layer.build(SessionStore.layerSql().pipe(Layer.provide(connect))),
          SessionStore.SessionStore
        )
        const others = PgClient.layer({ url: Redacted.make(url), applicationName: "others" })
        const sql = Context.get(yield* Layer.build(others), SqlClient.SqlClient)
        const drop = sql`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'dropped'`
        const first = yield* store.append("key", prepared, Session.noVersion)

        // Idle connections first, and then one that waits for a row.
        yield* drop
        const idle = yield* Effect.result(store.load("key"))
        const waiting = yield* sql.withTransaction(Effect.gen(function*() {
          yield* sql`SELECT * FROM holdfast_sessions FOR UPDATE`
          const fiber = yield* Effect.forkChild(Effect.result(store.append("key", prepared, first)))
          yield* sql`SELECT 1 FROM pg_stat_activity WHERE application_name = 'dropped' AND wait_event_type = 'Lock'`
            .pipe(
              Effect.delay("20 millis"),
              Effect.repeat({ until: (rows) => rows.length > 0 })
            )
          yield* drop
          return yield* Fiber.join(fiber)
        }))
        const { entries, version } = yield* store.load("key")
        yield* store.append("key", prepared, version)

        if (Result.isFailure(idle)) assert.strictEqual(idle.failure._tag, "StoreUnavailable")
        assert.isTrue(Result.isFailure(waiting) && waiting.failure._tag === "StoreUnavailable")
        assert.deepStrictEqual(entries, [prepared])
        assert.strictEqual((yield* store.load("key")).entries.length, 2)
      }).pipe(Effect.scoped, Effect.provide(Postgres.layer))
  )

  it.live("makes its table once when ten processes open a SQLite file at the same time", () =>
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-sqlite-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
      )
      const filename = join(directory, "sessions.db")
      yield* openTenTimes("sqlite", filename)

      const keys = yield* keysIn(SqliteClient.layer({ filename }))

      assert.strictEqual(keys.length, 10)
    }).pipe(Effect.scoped))
})

const inNamespace = (namespace: string) =>
  Effect.map(
    Layer.build(SessionStore.layerSql({ namespace })),
    (context) => Context.get(context, SessionStore.SessionStore)
  )

const prepared = Session.Prepared.make({ at: 1, fingerprint: "f" })

const unwritable = {
  ...prepared,
  _tag: "Settled",
  submissionId: "s",
  settlement: { _tag: "Answered", answer: { response: 1n } }
} as unknown as Session.Entry

/** Counts the statements since it was asked last. */
const countingStatements = () => {
  let statements = 0
  const tracer = Tracer.make({
    span: (options) => {
      if (options.kind === "client") statements++
      return new Tracer.NativeSpan(options)
    }
  })
  const count = (): number => {
    const counted = statements
    statements = 0
    return counted
  }
  return { count, tracer }
}

const openTenTimes = (kind: "postgres" | "sqlite", address: string) =>
  Effect.promise(() =>
    Promise.all(
      Array.from({ length: 10 }, (_, n) =>
        promisify(execFile)(process.execPath, [
          fileURLToPath(new URL("../fixtures/open-sql-store.ts", import.meta.url)),
          kind,
          address,
          `key ${n}`
        ]))
    )
  )

const keysIn = <E extends SqlError.SqlError>(client: Layer.Layer<SqlClient.SqlClient, E>) =>
  SessionStore.SessionStore.use((store) => Stream.runCollect(store.list)).pipe(
    Effect.provide(SessionStore.layerSql().pipe(Layer.provide(client)))
  )
