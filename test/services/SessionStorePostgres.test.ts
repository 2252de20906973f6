import { PgClient } from "@effect/sql-pg"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, type Scope } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import { Session, SessionStore } from "holdfast"
import * as Cutter from "../fixtures/Cutter.ts"
import * as Postgres from "../fixtures/Postgres.ts"

describe("SessionStore over PostgreSQL", () => {
  it.layer(Postgres.layer, { excludeTestServices: true })((it) => {
    it.effect(
      "has each of many calls at once succeed at the isolation level serializable",
      () =>
        Effect.gen(function*() {
          const { url } = yield* Postgres.Postgres
          const client = yield* clientAt(`${url}?options=-c%20default_transaction_isolation%3Dserializable`)
          const store = yield* storeIn(client, "serializable")
          const level = (yield* client`SHOW transaction_isolation`.values).flat()
          const keys = Array.from({ length: 120 }, (_, n) => `key ${n}`)
          yield* Effect.forEach(keys, (key) =>
            Effect.gen(function*() {
              let version = yield* store.append(key, prepared, Session.noVersion)
              for (let n = 0; n < 3; n++) {
                version = yield* store.append(key, prepared, (yield* store.load(key)).version)
              }
              yield* store.remove(key, version)
            }), { concurrency: "unbounded" })

          assert.deepStrictEqual(level, ["serializable"])
          for (const key of keys) assert.strictEqual((yield* store.load(key)).version, Session.noVersion)
        }),
      60_000
    )

    it.effect.each(["40001", "40P01"])(
      "sends a statement again that the database has undone with %s",
      (state) =>
        Effect.gen(function*() {
          const client = yield* clientAt((yield* Postgres.Postgres).url)
          const store = yield* storeIn(client, `undone ${state}`)
          const version = yield* store.append("key", prepared, Session.noVersion)
          yield* failing(client, state, 5)
          const next = yield* store.append("key", prepared, version)
          yield* failing(client, state, 5)
          yield* store.remove("key", next)

          assert.strictEqual((yield* store.load("key")).version, Session.noVersion)
        })
    )

    it.effect("leaves it to a transaction of the caller to begin again", () =>
      Effect.gen(function*() {
        const client = yield* clientAt((yield* Postgres.Postgres).url)
        const store = yield* storeIn(client, "caller")
        const version = yield* store.append("key", prepared, Session.noVersion)
        yield* failing(client, "40001", 1)
        const error = yield* Effect.flip(client.withTransaction(store.append("key", prepared, version)))

        assert.isTrue(error._tag === "StoreUnavailable" && error.code === "40001")
      }))

    it.effect("says by which SQLSTATE a statement has failed, and nothing of what was written", () =>
      Effect.gen(function*() {
        const client = yield* clientAt((yield* Postgres.Postgres).url)
        const store = yield* storeIn(client, "failing")
        const version = yield* store.append("key", prepared, Session.noVersion)
        yield* failing(client, "22023", 100)
        const error = yield* Effect.flip(store.append("key", prepared, version))
        const removal = yield* Effect.flip(store.remove("key", version))
        yield* failing(client, "22023", 0)

        assert.isTrue(error._tag === "StoreUnavailable" && error.code === "22023")
        assert.include(error.message, "SQLSTATE 22023")
        assert.notInclude(error.message, "SECRET")
        assert.isTrue(removal._tag === "StoreUnavailable" && removal.code === "22023")
        assert.strictEqual((yield* store.load("key")).version, version)
      }))

    it.effect("has appended an entry, once, when the connection is lost with the answer", () =>
      Effect.gen(function*() {
        const { cutAt, store } = yield* throughCutter("answered")
        cutAt("answer", "INSERT 0 1")
        const first = yield* store.append("key", prepared, Session.noVersion)
        cutAt("answer", "UPDATE 1")
        const second = yield* store.append("key", another, first)
        const loaded = yield* store.load("key")
        const third = yield* store.append("key", prepared, second)
        cutAt("answer", "DELETE 1")
        yield* store.remove("key", third)

        assert.deepStrictEqual(loaded, { version: second, entries: [prepared, another] })
        assert.strictEqual((yield* store.load("key")).version, Session.noVersion)
      }))

    it.effect("has appended an entry, though others have gone on from it, when the connection is lost with the answer", () =>
      Effect.gen(function*() {
        const { cutAt, direct, store } = yield* throughCutter("gone on")
        const first = yield* store.append("key", prepared, Session.noVersion)
        cutAt(
          "answer",
          "UPDATE 1",
          Effect.flatMap(direct.load("key"), ({ version }) => direct.append("key", prepared, version))
        )
        const second = yield* store.append("key", another, first)

        assert.deepStrictEqual((yield* store.load("key")).entries, [prepared, another, prepared])
        assert.strictEqual((yield* Effect.flip(store.append("key", prepared, second)))._tag, "VersionConflict")
      }))

    it.effect("is unavailable when the connection is lost with the statement", () =>
      Effect.gen(function*() {
        const { cutAt, store } = yield* throughCutter("unsent")
        cutAt("request", "INSERT INTO holdfast_sessions")
        const inserted = yield* Effect.flip(store.append("key", prepared, Session.noVersion))
        const first = yield* store.append("key", prepared, Session.noVersion)
        cutAt("request", "UPDATE holdfast_sessions")
        const updated = yield* Effect.flip(store.append("key", another, first))
        cutAt("request", "DELETE FROM holdfast_sessions")
        const removed = yield* Effect.flip(store.remove("key", first))

        assert.deepStrictEqual(
          [inserted, updated, removed].map(({ _tag }) => _tag),
          ["StoreUnavailable", "StoreUnavailable", "StoreUnavailable"]
        )
        assert.deepStrictEqual(yield* store.load("key"), { version: first, entries: [prepared] })
      }))

    it.effect("has a conflict when the connection is lost with the statement, and another was there first", () =>
      Effect.gen(function*() {
        const { cutAt, direct, store } = yield* throughCutter("lost")
        const first = yield* store.append("key", prepared, Session.noVersion)
        cutAt("request", "UPDATE holdfast_sessions", direct.append("key", prepared, first))
        const updated = yield* Effect.flip(store.append("key", another, first))
        cutAt(
          "request",
          "DELETE FROM holdfast_sessions",
          Effect.flatMap(direct.load("key"), ({ version }) => direct.append("key", prepared, version))
        )
        const removed = yield* Effect.flip(store.remove("key", (yield* store.load("key")).version))

        assert.deepStrictEqual([updated._tag, removed._tag], ["VersionConflict", "VersionConflict"])
        assert.deepStrictEqual((yield* store.load("key")).entries, [prepared, prepared, prepared])
      }))
  })
})

const prepared = Session.Prepared.make({ at: 1, fingerprint: "SECRET" })
const another = Session.Prepared.make({ at: 2, fingerprint: "another" })

const clientAt = (url: string): Effect.Effect<SqlClient.SqlClient, SqlError.SqlError, Scope.Scope> =>
  Effect.map(
    Layer.build(PgClient.layer({ url: Redacted.make(url) })),
    (context) => Context.get(context, SqlClient.SqlClient)
  )

const storeIn = (client: SqlClient.SqlClient, namespace: string) =>
  Effect.map(
    Layer.build(SessionStore.layerSql({ namespace }).pipe(Layer.provide(Layer.succeed(SqlClient.SqlClient, client)))),
    (context) => Context.get(context, SessionStore.SessionStore)
  )

/** A store whose connections can be cut, and one in the same table beside it. */
const throughCutter = Effect.fnUntraced(function*(namespace: string) {
  const { url } = yield* Postgres.Postgres
  const address = new URL(url)
  const { cutAt, port } = yield* Cutter.make(Number(address.port))
  address.port = `${port}`
  return {
    cutAt,
    store: yield* Effect.flatMap(clientAt(address.href), (client) => storeIn(client, namespace)),
    direct: yield* Effect.flatMap(clientAt(url), (client) => storeIn(client, namespace))
  }
})

/** Has the next statements that change a session fail with a SQLSTATE, so many times. */
const failing = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, state: string, times: number) {
  yield* sql.unsafe("DROP SEQUENCE IF EXISTS failures CASCADE")
  // A sequence is the only thing that remembers a statement that was undone.
  yield* sql.unsafe("CREATE SEQUENCE failures")
  yield* sql.unsafe(`
    CREATE OR REPLACE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF nextval('failures') <= ${times} THEN
        RAISE EXCEPTION USING ERRCODE = '${state}', MESSAGE = 'SECRET', DETAIL = 'SECRET';
      END IF;
      IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
      RETURN NEW;
    END $$`)
  yield* sql.unsafe(
    "CREATE OR REPLACE TRIGGER fail BEFORE UPDATE OR DELETE ON holdfast_sessions FOR EACH ROW EXECUTE FUNCTION fail()"
  )
})
