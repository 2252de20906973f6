import { describe, it } from "@effect/vitest"
import { examples } from "./Examples.ts"
import { check, playExample } from "./Runs.ts"
import { layers } from "./Stores.ts"

// A failure prints the seed, and every step of the shortest history that breaks a rule.
const numberOf = (variable: string): number | undefined =>
  process.env[variable] === undefined ? undefined : Number(process.env[variable])

const seed = numberOf("HOLDFAST_SEED")

describe("Sessions", () => {
  it(
    "keep their contract over random histories of three processes, in memory",
    () => check({ ...layers.memory, runs: numberOf("HOLDFAST_RUNS") ?? 1000, seed }),
    600_000
  )

  it(
    "keep their contract over random histories of three processes, in files",
    () => check({ ...layers.file, runs: numberOf("HOLDFAST_FILE_RUNS") ?? 40, seed }),
    600_000
  )

  for (const example of examples) {
    it(example.title, () => playExample(example, layers.memory))
  }
})
