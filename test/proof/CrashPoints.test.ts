import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { join } from "node:path"
import * as Postgres from "../fixtures/Postgres.ts"
import * as Children from "../fixtures/proof/Children.ts"
import * as Crash from "../fixtures/proof/Crash.ts"
import type { StoreAt } from "../fixtures/proof/Job.ts"
import * as Seed from "../fixtures/proof/Seed.ts"

const layerWorld = Layer.mergeAll(Children.layerProgram, Crash.layerSimulator, Crash.layerSlots)

// All of them run at once, and each takes as long as all of them.
describe("a job", { timeout: 300_000 }, () => {
  it.layer(layerWorld, { excludeTestServices: true, concurrent: true })(
    "that is killed at any step",
    (it) => {
      it.effect("is submitted once, found again and settled, on files", () =>
        Effect.gen(function*() {
          const program = yield* Children.Program

          yield* everyStep(() => ({ _tag: "File", directory: program.folder("files") }), {})
        }))

      it.effect("is submitted once, found again and settled, on files that lose what was not synced", () =>
        Effect.gen(function*() {
          const program = yield* Children.Program

          yield* everyStep(() => ({ _tag: "File", directory: program.folder("files") }), { powerLoss: true })
        }))

      it.effect("is submitted once, found again and settled, in SQLite", () =>
        Effect.gen(function*() {
          const program = yield* Children.Program

          yield* everyStep(() => ({ _tag: "Sqlite", filename: join(program.folder("sqlite"), "sessions.db") }), {})
        }))

      it.effect("is submitted once, found again and settled, in PostgreSQL", () =>
        Effect.gen(function*() {
          const { url } = yield* Postgres.Postgres

          yield* everyStep(() => ({ _tag: "Postgres", url }), {})
        }).pipe(Effect.provide(Postgres.layer)))

      it.effect("is found again when its recovery is killed too", () =>
        Effect.gen(function*() {
          const program = yield* Children.Program
          const { next, seed } = yield* Seed.current
          const newStore = (): StoreAt => ({ _tag: "File", directory: program.folder("pairs") })
          const labels = yield* Crash.stepsOf(newStore(), "uncut")
          const scenes = Array.from({ length: samples }, (_, index): Crash.Scene => ({
            store: newStore(),
            terms: {
              session: `pair ${index}`,
              submitMillis: Crash.submitMillis,
              policy: next() < 0.5 ? "fail" : "resubmit"
            },
            labels,
            deaths: [Math.floor(next() * labels.length), Math.floor(next() * labels.length)]
          }))

          yield* judge(scenes, `pairs of crash points, seed ${seed}`)
        }))
    }
  )
})

/** How many of all pairs of steps are tried here; `scripts/proof/crash-pairs.ts` tries them all. */
const samples = 40

const everyStep = Effect.fnUntraced(function*(
  newStore: () => StoreAt,
  { powerLoss = false }: { readonly powerLoss?: boolean }
) {
  const first = newStore()
  const name = `${first._tag}${powerLoss ? " with power loss" : ""}`
  const labels = yield* Crash.stepsOf(first, `${name}, uncut`)
  const scenes = labels.flatMap((label, deadly): ReadonlyArray<Crash.Scene> =>
    // With nothing done in between, a death before a step leaves what a death after the step before it has left.
    powerLoss && label.endsWith(": before") && labels[deadly - 1]?.endsWith(": after") === true ? [] : [{
      store: first._tag === "Postgres" ? first : newStore(),
      terms: { session: `${name}, step ${deadly}`, submitMillis: Crash.submitMillis },
      labels,
      deaths: [deadly],
      powerLoss
    }]
  )
  const verdicts = yield* judge(scenes, `crash points, ${name}`)
  assert.isTrue(verdicts.every(({ died }) => died === 1), "Every one of them died")
  assert.isTrue(verdicts.some(({ wasUncertain }) => wasUncertain), "Some deaths leave an uncertain submission")
})

const judge = Effect.fnUntraced(function*(scenes: ReadonlyArray<Crash.Scene>, what: string) {
  const startedAt = performance.now()
  const verdicts = yield* Crash.play(scenes)
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const uncertain = verdicts.filter(({ wasUncertain }) => wasUncertain).length
  yield* Effect.sync(() => process.stdout.write(`${what}: ${verdicts.length}, ${uncertain} uncertain, ${seconds} s\n`))

  assert.deepStrictEqual(verdicts.flatMap(Crash.report), [])
  return verdicts
})
