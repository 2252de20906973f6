/**
 * Keeps 100,000 sessions in one folder, half of them settled, and measures what listing, loading, appending and pruning
 * cost then.
 *
 *     node scripts/proof/many-sessions.ts [sessions]
 *
 * The folder is made where temporary files are, and removed afterwards. Beside the numbers of a tenth of the sessions,
 * one load and one append should cost the same, and everything else ten times as much at most.
 */
import "../../test/fixtures/holdfast-source.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, FileSystem } from "effect"

const ManySessions = await import("../../test/fixtures/proof/ManySessions.ts")

const sessions = Number(process.argv[2] ?? 100_000)

const all = Effect.gen(function*() {
  const directory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped({ prefix: "holdfast-many-" })
  process.stdout.write(`${sessions} sessions in ${directory}\n`)
  const { wrong, ...measured } = yield* ManySessions.play({ directory, sessions, samples: 500 })
  const unitOf = (name: string): string => {
    if (name.endsWith("Heap")) return " MB"
    return name.endsWith("Steps") || name === "filesOpen" ? "" : " ms"
  }
  const lines = Object.entries(measured).map(([name, value]) =>
    name === "sessions" ? "" : `${name}: ${value.toFixed(value < 10 ? 2 : 0)}${unitOf(name)}\n`
  )
  const { maxRSS } = process.resourceUsage()
  process.stdout.write(`${lines.join("")}memory of the process at most: ${(maxRSS / 1024).toFixed(0)} MB\n`)
  process.stdout.write(wrong.map((line) => `${line}\n`).join(""))
  return wrong.length
}).pipe(Effect.scoped, Effect.provide(NodeServices.layer))

// An interrupt closes the scope: no folder is left.
NodeRuntime.runMain(Effect.map(all, (wrong) => {
  process.exitCode = wrong === 0 ? 0 : 1
}))
