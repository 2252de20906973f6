/**
 * Measures Holdfast against its peers and prints one table: `npm run bench`.
 *
 * **Details**
 *
 * Only the ratios mean something, as both sides of each were measured in turn
 * in the same run. A value is a median; in parentheses is the range of the
 * middle four fifths. With arguments, only the measurements named so run.
 */
import { spawnSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import type { Row } from "./Measure.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

const measurements: Readonly<Record<string, () => Promise<ReadonlyArray<Row>>>> = {
  cpu: async () => (await import("./CpuPerCall.ts")).measure(),
  streams: async () => (await import("./Streams.ts")).measure(),
  throttled: async () => (await import("./Throttled.ts")).measure(),
  import: async () => (await import("./ImportTime.ts")).measure(),
  jobs: async () => (await import("./WaitingJobs.ts")).measure(),
  append: async () => (await import("./SyncedAppend.ts")).measure(),
  stores: async () => (await import("./Stores.ts")).measure(),
  recovery: async () => (await import("./Recovery.ts")).measure()
}

const main = async (names: ReadonlyArray<string>): Promise<void> => {
  // What is measured is what users get, as it is now.
  spawnSync(process.execPath, ["node_modules/typescript/bin/tsc", "-p", "tsconfig.json"], {
    cwd: root,
    stdio: "inherit"
  })
  const rows: Array<Row> = []
  for (const [name, measure] of Object.entries(measurements)) {
    if (names.length === 0 || names.includes(name)) rows.push(...await measure())
  }
  print(rows)
}

const print = (rows: ReadonlyArray<Row>): void => {
  const cells = [
    ["what", "ours", "peer", "ratio", "target", "met"],
    ...rows.map(({ isMet, ours, peer, ratio, target, what }) => [
      what,
      ours,
      peer,
      ratio,
      target,
      isMet === undefined ? "" : isMet ? "yes" : "NO"
    ])
  ]
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)))
  for (const row of cells) console.log(row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd())
}

await main(process.argv.slice(2))
