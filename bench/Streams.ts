/**
 * CPU per piece of streamed text, and pieces per second, against the bare `openai` SDK's iterator. Each variant has a
 * process of its own, which the blocks of streams take turns in. "Paced" pieces come one by one, on sixteen
 * connections; the others as fast as they are read, on one.
 */
import { ratios, type Row, show, start, summarize } from "./Measure.ts"
import type { Answer, Question } from "./StreamsWorker.ts"

const apis = ["Responses", "Chat"] as const

const rounds = 15

const paces: ReadonlyArray<Question & { readonly name: string }> = [
  { name: "fast", isPaced: false, streams: 10, concurrency: 1 },
  { name: "paced", isPaced: true, streams: 16, concurrency: 16 }
]

export const measure = async (): Promise<ReadonlyArray<Row>> => {
  const server = await start<string>("StreamServer.ts")
  const rows: Array<Row> = []
  try {
    for (const api of apis) {
      const ours = await start("StreamsWorker.ts", [`holdfast, ${api}`, server.ready])
      const peer = await start("StreamsWorker.ts", [`openai, ${api}`, server.ready])
      try {
        for (const pace of paces) rows.push(...await compare(api, pace, ours.ask<Answer>, peer.ask<Answer>))
      } finally {
        ours.stop()
        peer.stop()
      }
    }
  } finally {
    server.stop()
  }
  return rows
}

type Ask = (question: Question) => Promise<Answer>

const compare = async (
  api: string,
  pace: typeof paces[number],
  ours: Ask,
  peer: Ask
): Promise<ReadonlyArray<Row>> => {
  const samples = { ours: [] as Array<Answer>, peer: [] as Array<Answer> }
  for (let round = -2; round < rounds; round++) {
    const pair = { ours: await ours(pace), peer: await peer(pace) }
    if (pair.ours.deltas !== pair.peer.deltas) throw new Error("Not the same pieces of text")
    if (round < 0) continue
    samples.ours.push(pair.ours)
    samples.peer.push(pair.peer)
  }
  const row = (what: string, unit: string, digits: number, of: (answer: Answer) => number) => {
    const mine = samples.ours.map(of)
    const theirs = samples.peer.map(of)
    const ratio = ratios(mine, theirs)
    const text = {
      what: `${what}, port / openai, ${api}, ${pace.name}`,
      ours: show(summarize(mine), digits, unit),
      peer: show(summarize(theirs), digits, unit),
      ratio: show(ratio, 2)
    }
    return { text, ratio }
  }
  const cpu = row("CPU per delta", " us", 2, ({ cpuMicros, deltas }) => cpuMicros / deltas)
  const rate = row("Deltas per second", "", 0, ({ deltas, millis }) => deltas / millis * 1000)
  return [
    { ...cpu.text, target: "at most 1.3", isMet: cpu.ratio.median <= 1.3 },
    { ...rate.text, target: "" }
  ]
}
