import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import { Session, SessionStore } from "holdfast"
import { Simulator } from "holdfast/testing"
import { join } from "node:path"
import * as Children from "../fixtures/proof/Children.ts"
import * as Horde from "../fixtures/proof/Horde.ts"
import { layerStore, type StoreAt } from "../fixtures/proof/Job.ts"

/** The calls that a process starts at once. */
const calls = 200

/** The jobs that the provider has when the process is killed. */
const killedAt = 60

/** Kills a process in its burst; returns the ids of the provider's jobs, and of those that are in a journal. */
const killInBurst = Effect.fnUntraced(function*(store: StoreAt) {
  const simulator = yield* Simulator.Simulator
  yield* simulator.reset
  // The provider has a job for a while before it answers.
  yield* simulator.script([{ on: "responses.create", do: { _tag: "Delay", millis: 100, accepted: true } }])
  const terms = Array.from({ length: calls }, (_, index) => ({ session: `burst ${index}`, submitMillis: 20_000 }))
  const child = yield* Children.start({ _tag: "Many", store, url: simulator.url, terms, concurrency: calls })
  const enough = Effect.repeat(simulator.jobs, {
    until: (jobs) => jobs.length >= killedAt || child.process.exitCode !== null,
    schedule: Schedule.spaced("5 millis")
  })
  yield* Effect.timeout(enough, "60 seconds")
  child.process.kill("SIGKILL")
  const { signal } = yield* Effect.promise(() => child.ended)
  // What was on its way to the provider arrives.
  yield* Effect.sleep("500 millis")
  const jobs = (yield* simulator.jobs).map(({ id }) => id)
  const journaled = yield* Effect.forEach(
    terms,
    ({ session }) =>
      SessionStore.SessionStore.use((store) => store.load(session)).pipe(
        Effect.map(({ entries }) => Session.fold(entries).submissions.flatMap(({ accepted }) => accepted?.jobId ?? []))
      )
  ).pipe(Effect.provide(layerStore(store)))
  return { signal, jobs, journaled: new Set(journaled.flat()) }
}, Effect.scoped)

describe("a kill in a burst of 200 calls", () => {
  it.layer(Layer.mergeAll(Children.layerProgram, Horde.layerSimulator), { excludeTestServices: true })((it) => {
    it.effect.each(
      [
        ["on files", (folder: string): StoreAt => ({ _tag: "File", directory: folder })],
        ["in SQLite", (folder: string): StoreAt => ({ _tag: "Sqlite", filename: join(folder, "sessions.db") })]
      ] as const
    )("leaves at most 16 jobs whose id is in no journal, %s", ([, storeIn]) =>
      Effect.gen(function*() {
        const program = yield* Children.Program
        const { jobs, journaled, signal } = yield* killInBurst(storeIn(program.folder("burst")))
        const missing = jobs.filter((id) => !journaled.has(id))

        assert.strictEqual(signal, "SIGKILL")
        assert.isAtLeast(jobs.length, killedAt)
        assert.isBelow(jobs.length, calls)
        assert.isAtMost(missing.length, 16)
      }))
  })
})
