/**
 * CPU per piece of streamed text, pieces per second, and the time to the first piece, against the bare `openai` SDK's
 * iterator and the AI SDK's `streamText`. "Port" is the provider's adapter alone, the others are all of `Holdfast.stream`.
 * Each variant has a process of its own, which the blocks of streams take turns in. "Paced" pieces come one by one, on
 * sixteen connections, and "alone" on one; the others as fast as they are read, on one.
 */
import { ratios, type Row, show, start, summarize } from "./Measure.ts"
import { deltas } from "./StreamServer.ts"
import type { Answer, Question } from "./StreamsWorker.ts"

interface Comparison {
  readonly ours: string
  readonly peer: "openai" | "ai"
  /** The most CPU per piece, as a share of the peer's. */
  readonly target: number
}

const comparisons: Readonly<Record<"Responses" | "Chat", ReadonlyArray<Comparison>>> = {
  Responses: [
    { ours: "port", peer: "openai", target: 1.3 },
    { ours: "stream", peer: "openai", target: 1.3 },
    { ours: "stream", peer: "ai", target: 1 },
    { ours: "background stream", peer: "openai", target: 1.3 }
  ],
  Chat: [
    { ours: "port", peer: "openai", target: 1.3 },
    { ours: "stream", peer: "openai", target: 1.3 },
    { ours: "stream", peer: "ai", target: 1 }
  ]
}

const rounds = 11

interface Pace extends Question {
  readonly name: string
  readonly rowsOf: (comparison: Comparison, where: Where) => ReadonlyArray<Row>
}

/** The samples of one comparison. */
interface Where {
  /** What the rows are called, after what they measure. */
  readonly title: string
  readonly pieces: number
  readonly ours: ReadonlyArray<Answer>
  readonly peer: ReadonlyArray<Answer>
}

export const measure = async (): Promise<ReadonlyArray<Row>> => {
  const server = await start<string>("StreamServer.ts")
  try {
    return [...await measureApi("Responses", server.ready), ...await measureApi("Chat", server.ready)]
  } finally {
    server.stop()
  }
}

const measureApi = async (api: keyof typeof comparisons, url: string): Promise<ReadonlyArray<Row>> => {
  const names = [...new Set(comparisons[api].flatMap(({ ours, peer }) => [ours, peer]))]
  const workers = new Map<string, Awaited<ReturnType<typeof start>>>()
  const rows: Array<Row> = []
  try {
    for (const name of names) workers.set(name, await start("StreamsWorker.ts", [`${name}, ${api}`, url]))
    for (const { name: pace, rowsOf, ...question } of paces) {
      const samples = new Map<string, Array<Answer>>(names.map((name) => [name, []]))
      for (let round = -2; round < rounds; round++) {
        let characters: number | undefined
        for (const name of names) {
          const answer = await workers.get(name)!.ask<Answer>(question satisfies Question)
          characters ??= answer.characters
          if (answer.characters !== characters) throw new Error(`Not the same text: ${name}, ${api}`)
          if (round >= 0) samples.get(name)!.push(answer)
        }
      }
      for (const comparison of comparisons[api]) {
        const { ours, peer } = comparison
        rows.push(...rowsOf(comparison, {
          title: `${ours} / ${peer}, ${api}, ${pace}`,
          pieces: deltas * question.streams,
          ours: samples.get(ours)!,
          peer: samples.get(peer)!
        }))
      }
    }
  } finally {
    for (const worker of workers.values()) worker.stop()
  }
  return rows
}

const throughput = ({ target }: Comparison, { ours, peer, pieces, title }: Where): ReadonlyArray<Row> => {
  const row = (what: string, unit: string, digits: number, of: (answer: Answer) => number) => {
    const mine = ours.map(of)
    const theirs = peer.map(of)
    const ratio = ratios(mine, theirs)
    const text = {
      what: `${what}, ${title}`,
      ours: show(summarize(mine), digits, unit),
      peer: show(summarize(theirs), digits, unit),
      ratio: show(ratio, 2)
    }
    return { text, ratio }
  }
  const cpu = row("CPU per delta", " us", 2, ({ cpuMicros }) => cpuMicros / pieces)
  const rate = row("Deltas per second", "", 0, ({ millis }) => pieces / millis * 1000)
  return [
    { ...cpu.text, target: `at most ${target}`, isMet: cpu.ratio.median <= target },
    { ...rate.text, target: "" }
  ]
}

const latency = (_: Comparison, { ours, peer, title }: Where): ReadonlyArray<Row> => {
  const of = ({ firstMillis }: Answer) => summarize(firstMillis).median
  const mine = ours.map(of)
  const theirs = peer.map(of)
  const added = summarize(mine.map((millis, round) => millis - theirs[round]!))
  return [{
    what: `First delta after, ${title}`,
    ours: show(summarize(mine), 2, " ms"),
    peer: show(summarize(theirs), 2, " ms"),
    ratio: `${show(added, 2)} ms more`,
    target: "under 1 ms more",
    isMet: added.median < 1
  }]
}

const paces: ReadonlyArray<Pace> = [
  { name: "fast", isPaced: false, streams: 10, concurrency: 1, rowsOf: throughput },
  { name: "paced", isPaced: true, streams: 16, concurrency: 16, rowsOf: throughput },
  { name: "alone", isPaced: true, streams: 10, concurrency: 1, rowsOf: latency }
]
