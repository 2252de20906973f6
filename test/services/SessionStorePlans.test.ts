import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream, Tracer } from "effect"
import { SqlClient } from "effect/sql"
import { SessionStore } from "holdfast"
import * as SqliteClient from "../../src/services/SqliteClient.ts"
import * as Postgres from "../fixtures/Postgres.ts"

const suite = <E>(name: string, layer: Layer.Layer<SqlClient.SqlClient, E>, planOf: (text: string) => string) => {
  it.layer(layer, { excludeTestServices: true })(`SessionStore (${name})`, (it) => {
    it.effect(
      "finds the sessions of a job, and those that are not settled, by an index alone",
      () =>
        Effect.gen(function*() {
          const sql = yield* SqlClient.SqlClient
          const store = Context.get(yield* Layer.build(SessionStore.layerSql()), SessionStore.SessionStore)
          yield* sql.unsafe(`
          INSERT INTO holdfast_sessions
            (namespace, key_hash, session_key, incarnation, version, entries, job_id, is_over, is_unclear)
          WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 20000)
          SELECT '', 'hash ' || n, '"key"', 'i', 2, '{}', '"job ' || n || '"',
            CASE WHEN n % 100 = 0 THEN 0 ELSE 1 END, CASE WHEN n % 1000 = 0 THEN 1 ELSE 0 END
          FROM numbers`)
          if (name === "PostgreSQL") yield* sql.unsafe("ANALYZE holdfast_sessions")
          const plansOf = Effect.fnUntraced(function*(keys: Stream.Stream<string, unknown> = Stream.empty) {
            const { texts, tracer } = recordedStatements()
            yield* Effect.withTracer(Stream.runDrain(keys), tracer)
            return yield* Effect.forEach(
              texts,
              (text) => Effect.map(sql.unsafe(planOf(text)).values, (rows) => rows.flat().join("\n"))
            )
          })
          const [known = "", unclear = "", ...more] = yield* plansOf(store.listForJob?.("job 7"))
          const [unsettled = ""] = yield* plansOf(store.listUnsettled)

          assert.deepStrictEqual(more, [])
          assert.include(known, "holdfast_sessions_job")
          assert.match(known, /job_id ?= ?(\?|'x')/)
          assert.include(unclear, "holdfast_sessions_unclear")
          assert.include(unsettled, "holdfast_sessions_unsettled")
          for (const plan of [known, unclear, unsettled]) {
            assert.notMatch(plan, /SCAN|Seq Scan|TEMP B-TREE|Sort/)
          }
        }),
      60_000
    )
  })
}

suite("SQLite", SqliteClient.layer({ filename: ":memory:" }), (text) => `EXPLAIN QUERY PLAN ${text}`)
suite(
  "PostgreSQL",
  Postgres.layerClient.pipe(Layer.provide(Postgres.layer)),
  (text) => `EXPLAIN ${text.replace(/LIMIT \$\d+/, "LIMIT 1000").replaceAll(/\$\d+/g, "'x'")}`
)

/** The texts of the statements that run from now on. */
const recordedStatements = () => {
  const texts: Array<string> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      const { attribute } = span
      span.attribute = (key, value) => {
        if (key === "db.query.text") texts.push(String(value))
        attribute.call(span, key, value)
      }
      return span
    }
  })
  return { texts, tracer }
}
