/**
 * Appends of each store against the least that its medium can do, one after
 * another, and 64 sessions at a time: for files, a write and fdatasync of the
 * same bytes, and for the first one the making of the file, with a sync of the
 * folder; for SQL, one INSERT of the same line.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Session, SessionStore } from "holdfast"
import * as SqliteClient from "holdfast/services/SqliteClient"
import { mkdirSync, mkdtempSync, rmSync } from "node:fs"
import { type FileHandle, open } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import * as Postgres from "../test/fixtures/Postgres.ts"
import { ratios, type Row, show, summarize } from "./Measure.ts"

const blocks = 20
const laterAppends = 10

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

/** One way to append a line to each of some sessions. */
type Append = (sessions: ReadonlyArray<string>) => Promise<void>

/** Two ways. */
interface Contest {
  readonly ours: Append
  readonly floor: Append
  readonly end: () => Promise<void>
}

const rowsOf = async (what: string, target: number, contest: Contest): Promise<ReadonlyArray<Row>> => {
  const rows: Array<Row> = []
  for (const concurrency of [1, 64]) {
    const first = { ours: Array<number>(), floor: Array<number>() }
    const later = { ours: Array<number>(), floor: Array<number>() }
    for (let block = -2; block < blocks; block++) {
      const sessions = Array.from({ length: concurrency }, (_, n) => `c${concurrency}-b${100 + block}-${n}`)
      for (const side of ["ours", "floor"] as const) {
        const made = await millisOf(() => contest[side](sessions))
        let added = 0
        for (let n = 0; n < laterAppends; n++) added += await millisOf(() => contest[side](sessions))
        if (block < 0) continue
        first[side].push(made / concurrency)
        later[side].push(added / laterAppends / concurrency)
      }
    }
    for (const [name, { floor, ours }] of [["Append", later], ["First append of a session", first]] as const) {
      const ratio = ratios(ours, floor)
      rows.push({
        what: `${name}, ${what}, ${concurrency} at a time (${Math.round(1000 / summarize(ours).median)} a second)`,
        ours: show(summarize(ours), 3, " ms"),
        peer: show(summarize(floor), 3, " ms"),
        ratio: show(ratio, 2),
        target: `at most ${target}`,
        isMet: ratio.median <= target
      })
    }
  }
  await contest.end()
  return rows
}

const millisOf = async (work: () => Promise<void>): Promise<number> => {
  const startedAt = performance.now()
  await work()
  return performance.now() - startedAt
}

const storeAppend = () => {
  const versions = new Map<string, Session.Version>()
  return (sessions: ReadonlyArray<string>) =>
    SessionStore.SessionStore.use((store) =>
      Effect.forEach(sessions, (session) =>
        Effect.map(
          store.append(session, entry, versions.get(session) ?? Session.noVersion),
          (version) => versions.set(session, version)
        ), { concurrency: "unbounded", discard: true })
    )
}

const files = (directory: string): Contest => {
  const runtime = ManagedRuntime.make(
    SessionStore.layerFileSystem({ directory: join(directory, "sessions") }).pipe(Layer.provide(NodeServices.layer))
  )
  const append = storeAppend()
  const bare = join(directory, "bare")
  mkdirSync(bare)
  let opened = new Map<string, FileHandle>()
  const write = async (session: string) => {
    const known = opened.get(session)
    const file = known ?? await open(join(bare, session), "ax")
    opened.set(session, file)
    await file.write(line)
    await file.datasync()
    if (known !== undefined) return
    const folder = await open(bare, "r")
    await folder.sync()
    await folder.close()
  }
  return {
    ours: (sessions) => runtime.runPromise(append(sessions)),
    floor: async (sessions) => {
      const others = [...opened].filter(([session]) => !sessions.includes(session))
      opened = new Map([...opened].filter(([session]) => sessions.includes(session)))
      await Promise.all(others.map(([, file]) => file.close()))
      await Promise.all(sessions.map(write))
    },
    end: async () => {
      await Promise.all([...opened.values()].map((file) => file.close()))
      await runtime.dispose()
    }
  }
}

const sql = <E>(client: Layer.Layer<SqlClient.SqlClient, E>): Contest => {
  const floorTable = Layer.effectDiscard(
    SqlClient.SqlClient.use((sql) => sql`CREATE TABLE floor (session TEXT NOT NULL, line TEXT NOT NULL)`)
  )
  const runtime = ManagedRuntime.make(
    Layer.mergeAll(SessionStore.layerSql(), floorTable).pipe(Layer.provideMerge(client))
  )
  const append = storeAppend()
  return {
    ours: (sessions) => runtime.runPromise(append(sessions)),
    floor: (sessions) =>
      runtime.runPromise(SqlClient.SqlClient.use((sql) =>
        Effect.forEach(
          sessions,
          (session) => sql`INSERT INTO floor (session, line) VALUES (${session}, ${line})`,
          { concurrency: "unbounded", discard: true }
        )
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
