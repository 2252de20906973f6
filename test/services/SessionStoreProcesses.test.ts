import { it } from "@effect/vitest"
import { Context, Effect, Layer, type Scope, Stream } from "effect"
import { SessionStore } from "holdfast"
import { SessionStoreSuite } from "holdfast/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Postgres from "../fixtures/Postgres.ts"
import type { StoreAt } from "../fixtures/proof/Job.ts"
import * as StoreProcess from "../fixtures/StoreProcess.ts"

const suite = <E>(name: string, layer: Layer.Layer<Processes, E>) =>
  it.layer(layer, { excludeTestServices: true })(
    `SessionStore (${name}, two processes)`,
    (it) => {
      for (const { name, run } of SessionStoreSuite.sharedCases(layerNext)) it.effect(name, () => run)
      for (const { name, run } of SessionStoreSuite.cases) {
        it.effect(`${name}, each call by the other process`, () => Effect.provide(run, layerInTurn))
      }
    }
  )

type Store = SessionStore.SessionStore["Service"]

/** Two processes that have opened the same store, one in turn with the other. */
class Processes extends Context.Service<Processes, { readonly next: () => Store }>()("test/Processes") {}

const layerProcesses = <E, R>(at: Effect.Effect<StoreAt, E, R>): Layer.Layer<Processes, E, Exclude<R, Scope.Scope>> =>
  Layer.effect(
    Processes,
    Effect.gen(function*() {
      const store = yield* at
      const processes = [yield* StoreProcess.start(store), yield* StoreProcess.start(store)]
      let turn = 0
      return { next: () => processes[turn++ % processes.length]! }
    })
  )

/** Each time that it is built, the store of the other process. */
const layerNext = Layer.effect(SessionStore.SessionStore, Processes.useSync(({ next }) => next()))

/** A store whose calls go to one process and the other in turn. */
const layerInTurn = Layer.effect(
  SessionStore.SessionStore,
  Processes.useSync(({ next }): Store => ({
    load: (key) => next().load(key),
    append: (key, entry, expected) => next().append(key, entry, expected),
    remove: (key, expected) => next().remove(key, expected),
    list: Stream.suspend(() => next().list)
  }))
)

const directory = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-processes-"))),
  (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
)

suite("files", layerProcesses(Effect.map(directory, (directory): StoreAt => ({ _tag: "File", directory }))))
suite(
  "SQLite",
  layerProcesses(
    Effect.map(directory, (directory): StoreAt => ({ _tag: "Sqlite", filename: join(directory, "sessions.db") }))
  )
)
suite(
  "PostgreSQL",
  layerProcesses(Effect.map(Postgres.Postgres, ({ url }): StoreAt => ({ _tag: "Postgres", url }))).pipe(
    Layer.provide(Postgres.layer)
  )
)
