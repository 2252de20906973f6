import { assert, describe, it } from "@effect/vitest"
import { compareDecisions } from "./Decisions.ts"
import { check } from "./Runs.ts"
import { layers } from "./Stores.ts"

const numberOf = (variable: string): number | undefined =>
  process.env[variable] === undefined ? undefined : Number(process.env[variable])

describe("Decision", () => {
  // A failure prints the seed, which HOLDFAST_SEED plays again.
  it("decides what the specification allows, after each step of random histories", async () => {
    const seen = new Map<string, number>()
    await check({
      ...layers.memory,
      runs: numberOf("HOLDFAST_DECISION_RUNS") ?? 60,
      seed: numberOf("HOLDFAST_SEED"),
      onStep: (world) => compareDecisions(world, seen)
    })

    // These are in every history that runs at all; the rarer steps are the tables' concern.
    assert.deepStrictEqual(["Finish", "AwaitJob", "Submit", "Settle"].filter((tag) => !seen.has(tag)), [])
  })
})
