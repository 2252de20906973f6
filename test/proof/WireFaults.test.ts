import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Seed from "../fixtures/proof/Seed.ts"
import * as WireFaults from "../fixtures/proof/WireFaults.ts"

describe("jobs over a wire on which one request in five goes wrong", () => {
  it.live("settle with their true answer, or end as uncertain or refused by evidence", () =>
    Effect.gen(function*() {
      const { seed } = yield* Seed.current
      const { wrong, ...counts } = yield* WireFaults.play({ jobs: 200, concurrency: 50, hangingPolls: false }).pipe(
        Effect.provide(WireFaults.layerSimulator(seed))
      )
      yield* Effect.sync(() => process.stdout.write(`wire faults, seed ${seed}: ${JSON.stringify(counts)}\n`))

      assert.deepStrictEqual(wrong, [])
      assert.isAbove(counts.answered, 100)
      assert.isAbove(counts.uncertain, 0)
    }))
})
