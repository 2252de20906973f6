import { assert, it } from "@effect/vitest"
import { Effect, Layer, Stream } from "effect"
import { Session, SessionStore } from "holdfast"
import * as SqliteClient from "../../src/services/SqliteClient.ts"
import * as Postgres from "../fixtures/Postgres.ts"

const case1 = Effect.gen(function*() {
  const store = yield* SessionStore.SessionStore
  const v = yield* store.append("a", Session.Prepared.make({ at: 1, fingerprint: "f" }), Session.noVersion)
  const v2 = yield* store.append("a", Session.Prepared.make({ at: 2, fingerprint: "g" }), v)
  const e = yield* Effect.flip(store.append("a", Session.Prepared.make({ at: 2, fingerprint: "g" }), v))
  console.log(v, v2, e._tag, yield* store.load("a"), yield* Stream.runCollect(store.list))
  yield* store.remove("a", v2)
  console.log(yield* store.load("a"))
})
it.live("pg", () => case1.pipe(Effect.provide(SessionStore.layerSql({ namespace: "x" }).pipe(Layer.provide(Postgres.layerClient), Layer.provide(Postgres.layer)))), 60000)
it.live("sqlite", () => case1.pipe(Effect.provide(SessionStore.layerSql({ namespace: "x" }).pipe(Layer.provide(SqliteClient.layer({ filename: ":memory:" }))))), 60000)
