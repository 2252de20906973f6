/**
 * 2,000 jobs over a wire on which one request in five goes wrong, hanging polls included.
 *
 *     node scripts/proof/wire-faults.ts [jobs] [seed]
 */
import "../../test/fixtures/holdfast-source.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect } from "effect"

const WireFaults = await import("../../test/fixtures/proof/WireFaults.ts")

const jobs = Number(process.argv[2] ?? 2000)
const seed = Number(process.argv[3] ?? Math.floor(Math.random() * 2 ** 31))
process.stdout.write(`${jobs} jobs, seed ${seed}\n`)
const startedAt = performance.now()
NodeRuntime.runMain(
  WireFaults.play({ jobs, concurrency: 250, hangingPolls: true }).pipe(
    Effect.map(({ wrong, ...counts }) => {
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
      process.stdout.write(`${[...wrong, JSON.stringify(counts), `${seconds} s`].join("\n")}\n`)
      process.exitCode = wrong.length === 0 ? 0 : 1
    }),
    Effect.provide(WireFaults.layerSimulator(seed))
  )
)
