import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as FuzzHostSeeds from "../fixtures/proof/FuzzHostSeeds.ts"
import * as FuzzPlay from "../fixtures/proof/FuzzPlay.ts"
import * as FuzzSeeds from "../fixtures/proof/FuzzSeeds.ts"
import * as Seed from "../fixtures/proof/Seed.ts"

const recorded = FuzzSeeds.recorded()

describe("adapters under damaged answers", () => {
  it.live(`end ${recorded.length === 0 ? "20,000" : "10,000"} damaged answers rightly`, () =>
    check([...FuzzSeeds.own(), ...FuzzHostSeeds.own()], recorded.length === 0 ? 20_000 : 10_000))

  it.live.skipIf(recorded.length === 0)(
    "end 10,000 damaged recordings rightly (needs HOLDFAST_RECORDINGS)",
    () => check(recorded, 10_000)
  )
})

const check = Effect.fnUntraced(function*(seeds: ReadonlyArray<FuzzSeeds.Seed>, cases: number) {
  const { seed } = yield* Seed.current
  const startedAt = performance.now()
  const { ends, slowest, wrong } = yield* FuzzPlay.play({
    seeds,
    cases,
    chancesOf: (number) => Seed.from(seed + number * 7919)
  })
  const seconds = (performance.now() - startedAt) / 1000
  yield* Effect.sync(() =>
    process.stdout.write(
      `fuzz, seed ${seed}: ${cases} cases of ${seeds.length} answers in ${seconds.toFixed(1)} s, the slowest ${
        slowest.toFixed(0)
      } ms: ${JSON.stringify(ends)}\n`
    )
  )

  assert.deepStrictEqual(wrong.slice(0, 10), [], `seed ${seed}, ${wrong.length} wrong`)
  // Otherwise the damage is such that nothing is left to be taken for an answer.
  for (const end of ["success", "pending", "stream success", "stream failed Incomplete", "failed Refusal"]) {
    assert.isAbove(ends[end] ?? 0, cases / 1000, end)
  }
})
