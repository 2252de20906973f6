/** What `import "holdfast"` costs a new process, against `import "effect"`. */
import { spawnSync } from "node:child_process"
import { performance } from "node:perf_hooks"
import { fileURLToPath } from "node:url"
import { ratios, type Row, show, summarize } from "./Measure.ts"

const rounds = 15

/** Packages that only the first request needs. */
const lazy = ["openai", "@anthropic-ai/sdk", "undici"]

export const measure = (): ReadonlyArray<Row> => {
  const holdfast = { wall: Array<number>(), cpu: Array<number>() }
  const effect = { wall: Array<number>(), cpu: Array<number>() }
  for (let round = -1; round < rounds; round++) {
    for (const [name, samples] of [["holdfast", holdfast], ["effect", effect]] as const) {
      const sample = importOnce(name)
      // The first round fills the file cache.
      if (round < 0) continue
      samples.wall.push(sample.wall)
      samples.cpu.push(sample.cpu)
    }
  }
  const row = (what: "wall" | "cpu"): Row => {
    const ratio = ratios(holdfast[what], effect[what])
    return {
      what: `import "holdfast" / "effect", ${what === "wall" ? "start to exit" : "CPU"}`,
      ours: show(summarize(holdfast[what]), 0, " ms"),
      peer: show(summarize(effect[what]), 0, " ms"),
      ratio: show(ratio, 2),
      target: "at most 1",
      isMet: ratio.median <= 1
    }
  }
  const loaded = loadedPackages()
  return [row("wall"), row("cpu"), {
    what: "Packages loaded by import \"holdfast\"",
    ours: loaded.join(", "),
    peer: "",
    ratio: "",
    target: "no SDK, no undici",
    isMet: !loaded.some((name) => lazy.includes(name))
  }]
}

const importOnce = (name: string): { readonly wall: number; readonly cpu: number } => {
  const startedAt = performance.now()
  const output = evaluate(
    `import ${JSON.stringify(name)}; const { user, system } = process.cpuUsage(); console.log(user + system)`
  )
  return { wall: performance.now() - startedAt, cpu: Number(output) / 1000 }
}

const loadedPackages = (): ReadonlyArray<string> => {
  const output = evaluate(`
    import { registerHooks } from "node:module"
    const urls = []
    registerHooks({ load: (url, context, next) => (urls.push(url), next(url, context)) })
    await import("holdfast")
    console.log(JSON.stringify(urls))`)
  const names = (JSON.parse(output) as ReadonlyArray<string>).map((url) =>
    /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1]
  )
  return [...new Set(names.filter((name) => name !== undefined))].toSorted()
}

const evaluate = (source: string): string => {
  const { status, stderr, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", source], {
    cwd: fileURLToPath(new URL("..", import.meta.url)),
    encoding: "utf8"
  })
  if (status !== 0) throw new Error(stderr)
  return stdout
}
