/**
 * Appends of each store against the least that its medium can do: an fdatasync
 * of the same bytes for files, one INSERT of the same line for SQL; one after
 * another, and 64 sessions at a time.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Session, SessionStore } from "holdfast"
import * as SqliteClient from "holdfast/services/SqliteClient"
import { mkdtempSync, rmSync } from "node:fs"
import { open } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import * as Postgres from "../test/fixtures/Postgres.ts"
import { ratios, type Row, show, summarize } from "./Measure.ts"

const blocks = 10
const appendsPerSession = 10

export const measure = async (): Promise<ReadonlyArray<Row>> => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"))
  const sqlite = SqliteClient.layer({ filename: join(directory, "sessions.db") })
  try {
    return [
      ...await rowsOf("file store / write and fdatasync", 2, files(directory)),
      ...await rowsOf("SQLite store / INSERT", 1.5, sql(sqlite)),
      ...await rowsOf("PostgreSQL store / INSERT", 1.5, sql(Postgres.layerClient.pipe(Layer.provide(Postgres.layer))))
    ]
  } finally {
    rmSync(directory, { recursive: true })
  }
}

/** Two ways to append some lines for each of some sessions. */
interface Contest {
  readonly ours: (sessions: ReadonlyArray<string>) => Promise<void>
  readonly floor: (sessions: ReadonlyArray<string>) => Promise<void>
  readonly end: () => Promise<void>
}

const rowsOf = async (what: string, target: number, contest: Contest): Promise<ReadonlyArray<Row>> => {
  const rows: Array<Row> = []
  for (const concurrency of [1, 64]) {
    const samples = { ours: Array<number>(), floor: Array<number>() }
    for (let block = -2; block < blocks; block++) {
      const sessions = Array.from({ length: concurrency }, (_, n) => `c${concurrency}-b${100 + block}-${n}`)
      const ours = await millisOf(() => contest.ours(sessions))
      const floor = await millisOf(() => contest.floor(sessions))
      if (block < 0) continue
      samples.ours.push(ours / (concurrency * appendsPerSession))
      samples.floor.push(floor / (concurrency * appendsPerSession))
    }
    const ratio = ratios(samples.ours, samples.floor)
    const median = summarize(samples.ours).median
    rows.push({
      what: `Append, ${what}, ${concurrency} at a time (${Math.round(1000 / median)} a second)`,
      ours: show(summarize(samples.ours), 3, " ms"),
      peer: show(summarize(samples.floor), 3, " ms"),
      ratio: show(ratio, 2),
      target: `at most ${target}`,
      isMet: ratio.median <= target
    })
  }
  await contest.end()
  return rows
}

const millisOf = async (work: () => Promise<void>): Promise<number> => {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

const appends = (sessions: ReadonlyArray<string>) =>
  SessionStore.SessionStore.use((store) =>
    Effect.forEach(
      sessions,
      Effect.fnUntraced(function*(session) {
        let version = Session.noVersion
        for (let n = 0; n < appendsPerSession; n++) version = yield* store.append(session, entry, version)
      }),
      { concurrency: "unbounded", discard: true }
    )
  )

const files = (directory: string): Contest => {
  const runtime = ManagedRuntime.make(
    SessionStore.layerFileSystem({ directory: join(directory, "sessions") }).pipe(Layer.provide(NodeServices.layer))
  )
  return {
    ours: (sessions) => runtime.runPromise(appends(sessions)),
    floor: async (sessions) => {
      await Promise.all(sessions.map(async (session) => {
        const file = await open(join(directory, session), "a")
        for (let n = 0; n < appendsPerSession; n++) {
          await file.write(line)
          await file.datasync()
        }
        await file.close()
      }))
    },
    end: () => runtime.dispose()
  }
}

const sql = <E>(client: Layer.Layer<SqlClient.SqlClient, E>): Contest => {
  const floorTable = Layer.effectDiscard(
    SqlClient.SqlClient.use((sql) => sql`CREATE TABLE floor (session TEXT NOT NULL, line TEXT NOT NULL)`)
  )
  const runtime = ManagedRuntime.make(
    Layer.mergeAll(SessionStore.layerSql(), floorTable).pipe(Layer.provideMerge(client))
  )
  return {
    ours: (sessions) => runtime.runPromise(appends(sessions)),
    floor: (sessions) =>
      runtime.runPromise(SqlClient.SqlClient.use((sql) =>
        Effect.forEach(sessions, (session) =>
          Effect.forEach(
            Array.from({ length: appendsPerSession }),
            () => sql`INSERT INTO floor (session, line) VALUES (${session}, ${line})`,
            { discard: true }
          ), { concurrency: "unbounded", discard: true })
      )),
    end: () => runtime.dispose()
  }
}

const entry = Session.Submitting.make({
  at: 1_764_000_000_000,
  submissionId: "00000000-0000-4000-8000-000000000000",
  purpose: "answer",
  provider: "openai",
  model: "openai/gpt-5.5-pro",
  strategy: "background",
  submitTimeout: 60_000,
  store: true,
  baseUrl: "https://api.openai.com/v1"
})

const line = `${JSON.stringify(Schema.encodeSync(Session.EntryJson)(entry))}\n`
