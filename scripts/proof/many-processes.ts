/**
 * Eight processes run 200 keys of one store for 30 seconds, and are killed and stopped at random; on files, in SQLite and
 * in PostgreSQL.
 *
 *     node scripts/proof/many-processes.ts [seconds] [seed]
 */
import "../../test/fixtures/holdfast-source.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import type { StoreAt } from "../../test/fixtures/proof/Job.ts"

const Postgres = await import("../../test/fixtures/Postgres.ts")
const Children = await import("../../test/fixtures/proof/Children.ts")
const Horde = await import("../../test/fixtures/proof/Horde.ts")
const Seed = await import("../../test/fixtures/proof/Seed.ts")

const seconds = Number(process.argv[2] ?? 30)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
process.stdout.write(`8 processes, 200 keys, ${seconds} s, seed ${seed}\n`)

const play = Effect.fnUntraced(function*(store: StoreAt) {
  const { wrong, ...counts } = yield* Horde.play({
    store,
    name: store._tag,
    processes: 8,
    keys: 200,
    millis: seconds * 1000,
    next: Seed.from(seed)
  })
  process.stdout.write(`${[...wrong, `${store._tag}: ${JSON.stringify(counts)}`].join("\n")}\n`)
  return wrong.length
})

const all = Effect.gen(function*() {
  const program = yield* Children.Program
  const { url } = yield* Postgres.Postgres
  return (yield* play({ _tag: "File", directory: program.folder("horde") })) +
    (yield* play({ _tag: "Sqlite", filename: join(program.folder("horde"), "sessions.db") })) +
    (yield* play({ _tag: "Postgres", url }))
}).pipe(Effect.provide(Layer.mergeAll(Children.layerProgram, Horde.layerSimulator, Postgres.layer)))

// An interrupt closes the scopes: no child and no folder is left.
NodeRuntime.runMain(Effect.map(all, (wrong) => {
  process.exitCode = wrong === 0 ? 0 : 1
}))
