/**
 * Plays random histories of sessions against their specification, for as long as you like.
 *
 * **Example** (Twenty thousand histories from a seed)
 *
 * `node scripts/proof/model.ts --runs 20000 --seed 1`; add `--store file` to keep the sessions in files, or `--minutes
 * 30` to go on with new seeds until the time is over.
 */
import "../../test/fixtures/holdfast-source.ts"
import { parseArgs } from "node:util"

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "20000" },
    seed: { type: "string" },
    path: { type: "string" },
    minutes: { type: "string" },
    store: { type: "string", default: "memory" }
  }
})

// The sources can be found only after the first import has run.
const { check } = await import("../../test/model/Runs.ts")
const { layers } = await import("../../test/model/Stores.ts")

if (values.store !== "memory" && values.store !== "file") throw new RangeError("--store must be memory or file")
const store = layers[values.store]

const startedAt = performance.now()
const seconds = () => (performance.now() - startedAt) / 1000
let histories = 0

const play = async (seed: number, runs: number): Promise<void> => {
  await check({
    ...store,
    runs,
    seed,
    path: values.path,
    onRun: () => {
      histories++
      if (histories % 1000 === 0) process.stderr.write(`${histories} histories, ${seconds().toFixed(0)} s\n`)
    }
  })
}

try {
  let seed = values.seed === undefined ? Math.trunc(Math.random() * 2 ** 31) : Number(values.seed)
  process.stderr.write(`Seed ${seed}\n`)
  do await play(seed++, Number(values.runs))
  while (values.minutes !== undefined && seconds() < Number(values.minutes) * 60)
  process.stdout.write(`No rule was broken by ${histories} histories in ${seconds().toFixed(0)} s\n`)
} catch (error) {
  const { cause, message } = error as Error
  process.stdout.write(
    `${message}\n${cause instanceof Error ? cause.message : ""}\nAfter ${histories} histories, ${
      seconds().toFixed(0)
    } s\n`
  )
  process.exitCode = 1
}
