/**
 * Kills a job at each of its steps, and its recovery at each of its own, on files: all pairs.
 *
 *     node scripts/proof/crash-pairs.ts [fail|resubmit] [from] [to]
 *
 * `from` and `to` limit the first step of the pairs.
 */
import "../../test/fixtures/holdfast-source.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"

const Children = await import("../../test/fixtures/proof/Children.ts")
const Crash = await import("../../test/fixtures/proof/Crash.ts")

const policy = process.argv[2] === "resubmit" ? "resubmit" : "fail"

const all = Effect.gen(function*() {
  const program = yield* Children.Program
  const newStore = () => ({ _tag: "File", directory: program.folder("pair") }) as const
  const labels = yield* Crash.stepsOf(newStore(), "uncut")
  const from = Number(process.argv[3] ?? 0)
  const to = Math.min(Number(process.argv[4] ?? labels.length), labels.length)
  process.stdout.write(`${labels.length} steps, ${(to - from) * labels.length} pairs, policy ${policy}\n`)
  const startedAt = performance.now()
  const count = { pairs: 0, bothDied: 0, uncertain: 0, wrong: 0 }
  for (let first = from; first < to; first++) {
    const verdicts = yield* Crash.play(
      labels.map((_, second) => ({
        store: newStore(),
        terms: { session: `pair ${first} ${second}`, submitMillis: Crash.submitMillis, policy },
        labels,
        deaths: [first, second]
      }))
    ).pipe(
      // Each row has a simulator of its own: a ledger of thousands of jobs would be most of the work.
      Effect.provide(Layer.fresh(Crash.layerSimulator), { local: true })
    )
    const lines = verdicts.flatMap(Crash.report)
    count.pairs += verdicts.length
    count.bothDied += verdicts.filter(({ died }) => died === 2).length
    count.uncertain += verdicts.filter(({ wasUncertain }) => wasUncertain).length
    count.wrong += lines.length
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(0)
    process.stdout.write(
      `${lines.map((line) => `${line}\n`).join("")}${first} (${labels[first]}): ${
        JSON.stringify(count)
      }, ${seconds} s\n`
    )
  }
  return count.wrong
}).pipe(Effect.provide(Layer.mergeAll(Children.layerProgram, Crash.layerSimulator, Crash.layerSlots)))

// An interrupt closes the scopes: no child and no folder is left.
NodeRuntime.runMain(Effect.map(all, (wrong) => {
  process.exitCode = wrong === 0 ? 0 : 1
}))
