/** What the measurements share: statistics, rows of the table, and child processes. */
import { type ChildProcess, fork } from "node:child_process"

/** One line of the table. */
export interface Row {
  readonly what: string
  readonly ours: string
  readonly peer: string
  readonly ratio: string
  readonly target: string
  /** Absent for a line without a target. */
  readonly isMet?: boolean
}

/** A median, and the middle four fifths of the samples around it. */
export interface Summary {
  readonly median: number
  readonly low: number
  readonly high: number
}

export const summarize = (samples: ReadonlyArray<number>): Summary => {
  const sorted = samples.toSorted((a, b) => a - b)
  const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] ?? NaN
  return { median: at(0.5), low: at(0.1), high: at(0.9) }
}

/** Ratios of samples that were taken in the same rounds. */
export const ratios = (ours: ReadonlyArray<number>, peer: ReadonlyArray<number>): Summary =>
  summarize(ours.map((value, round) => value / (peer[round] ?? NaN)))

export const show = ({ high, low, median }: Summary, digits: number, unit = ""): string =>
  `${median.toFixed(digits)}${unit} (${low.toFixed(digits)}-${high.toFixed(digits)})`

/** A child process that answers one message with one message. */
export interface Worker {
  readonly ask: <Answer>(question: unknown) => Promise<Answer>
  readonly stop: () => void
}

/** Starts a module of this folder in a process of its own; it says something when it is ready. */
export const start = async <Ready>(
  module: string,
  args: ReadonlyArray<string> = []
): Promise<Worker & { readonly ready: Ready }> => {
  const child = fork(new URL(module, import.meta.url), args, {
    execArgv: ["--expose-gc"],
    serialization: "advanced",
    env: { ...process.env, NODE_ENV: "production" }
  })
  const ready = await answer<Ready>(child, module)
  return {
    ready,
    ask: (question) => {
      child.send(question as object)
      return answer(child, module)
    },
    stop: () => child.kill()
  }
}

const answer = <Answer>(child: ChildProcess, module: string): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`${module} ended with ${code}`))
    child.once("exit", onExit)
    child.once("message", (message) => {
      child.off("exit", onExit)
      resolve(message as Answer)
    })
  })
