/**
 * CPU time and memory of one held call, against the bare `openai` SDK and the
 * AI SDK. Each variant has a process of its own, which the blocks of calls
 * take turns in.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Answer, Question } from "./CpuPerCallWorker.ts"
import { ratios, type Row, show, start, summarize } from "./Measure.ts"

const variants = ["holdfast", "holdfast, session in memory", "holdfast, session in files", "openai", "ai"] as const

type Variant = typeof variants[number]

const callsPerBlock = 200
const rounds = 15

export const measure = async (): Promise<ReadonlyArray<Row>> => {
  const server = await start<string>("ResponsesServer.ts")
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"))
  const workers = new Map<Variant, Awaited<ReturnType<typeof start>>>()
  for (const variant of variants) {
    workers.set(variant, await start("CpuPerCallWorker.ts", [variant, server.ready, join(directory, variant)]))
  }
  const ask = (variant: Variant, question: Question): Promise<Answer> => workers.get(variant)!.ask(question)

  try {
    for (let block = 0; block < 8; block++) {
      for (const variant of variants) await ask(variant, { calls: callsPerBlock, concurrency: block < 4 ? 1 : 16 })
    }
    const before = await memory(ask)
    const rows = [...await compare(ask, 1), ...await compare(ask, 16)]
    const after = await memory(ask)
    return [...rows, ...growth(before, after)]
  } finally {
    for (const worker of [...workers.values(), server]) worker.stop()
    rmSync(directory, { recursive: true })
  }
}

type Ask = (variant: Variant, question: Question) => Promise<Answer>

const compare = async (ask: Ask, concurrency: number): Promise<ReadonlyArray<Row>> => {
  const micros = new Map<Variant, Array<number>>(variants.map((variant) => [variant, []]))
  for (let round = 0; round < rounds; round++) {
    for (const variant of variants) {
      const { cpuMicros } = await ask(variant, { calls: callsPerBlock, concurrency })
      micros.get(variant)!.push(cpuMicros / callsPerBlock)
    }
  }
  const row = (ours: Variant, peer: Variant, target?: number): Row => {
    const ratio = ratios(micros.get(ours)!, micros.get(peer)!)
    return {
      what: `CPU per call, ${ours} / ${peer}, concurrency ${concurrency}`,
      ours: show(summarize(micros.get(ours)!), 0, " us"),
      peer: show(summarize(micros.get(peer)!), 0, " us"),
      ratio: show(ratio, 2),
      target: target === undefined ? "" : `at most ${target}`,
      ...(target === undefined ? {} : { isMet: ratio.median <= target })
    }
  }
  return [
    row("holdfast", "openai", 0.9),
    row("holdfast", "ai", 1),
    row("holdfast, session in memory", "openai"),
    row("holdfast, session in files", "openai")
  ]
}

const memory = async (ask: Ask): Promise<ReadonlyMap<Variant, Answer>> => {
  const answers = new Map<Variant, Answer>()
  for (const variant of variants) answers.set(variant, await ask(variant, { calls: 0, concurrency: 1 }))
  return answers
}

const growth = (before: ReadonlyMap<Variant, Answer>, after: ReadonlyMap<Variant, Answer>): ReadonlyArray<Row> => {
  const calls = 2 * rounds * callsPerBlock
  const heap = (variant: Variant): string =>
    `${((after.get(variant)!.heapUsed - before.get(variant)!.heapUsed) / calls).toFixed(0)} B`
  const rss = (variant: Variant): string => `${(after.get(variant)!.rss / 1e6).toFixed(0)} MB`
  const names: ReadonlyArray<Variant> = ["holdfast", "holdfast, session in memory", "holdfast, session in files"]
  const row = (what: string, show: (variant: Variant) => string) => (ours: Variant): Row => ({
    what: `${what}, ${ours} / openai, ai`,
    ours: show(ours),
    peer: `${show("openai")}, ${show("ai")}`,
    ratio: "",
    target: ""
  })
  return [...names.map(row("Heap kept per call", heap)), ...names.map(row(`RSS after ${calls} calls`, rss))]
}
