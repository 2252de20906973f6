/** The heap that a job takes while it waits for its next poll. */
import { type Row, start } from "./Measure.ts"

const jobs = 20_000

export const measure = async (): Promise<ReadonlyArray<Row>> => {
  const floor = await bytesPerJob("sleep")
  const row = async (what: string, mode: string): Promise<Row> => {
    const bytes = await bytesPerJob(mode)
    return {
      what: `Heap per waiting job at ${jobs}, ${what} / a fiber that sleeps`,
      ours: `${bytes.toFixed(0)} B`,
      peer: `${floor.toFixed(0)} B`,
      ratio: (bytes / floor).toFixed(2),
      target: "under 6144 B",
      isMet: bytes < 6144
    }
  }
  return [await row("no session", "plain"), await row("session in memory", "sessions")]
}

const bytesPerJob = async (mode: string): Promise<number> => {
  const worker = await start<number>("WaitingJobsWorker.ts", [mode, String(jobs)])
  worker.stop()
  return worker.ready
}
