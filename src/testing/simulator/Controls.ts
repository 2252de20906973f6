/**
 * What a test may ask of a running simulator.
 *
 * @since 0.1.0
 */
import * as Interactions from "./Interactions.ts"
import type { Ledger } from "./Ledger.ts"
import * as MessageBatches from "./MessageBatches.ts"
import * as Progress from "./Progress.ts"
import * as Responses from "./Responses.ts"
import type { Rule } from "./Script.ts"
import type { Job, World } from "./World.ts"

/**
 * The controls of a simulator.
 *
 * @category models
 * @since 0.1.0
 */
export interface Controls {
  readonly script: (rules: ReadonlyArray<Rule>, replace: boolean) => void
  readonly ledger: () => Ledger
  readonly finish: (jobId: string) => boolean
  readonly fail: (jobId: string, error: { readonly code: string; readonly message: string }) => boolean
  readonly reset: () => void
}

/**
 * Creates the controls of a world whose first script was `rules`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (world: World, rules: ReadonlyArray<Rule>): Controls => ({
  script: world.rules.write,
  ledger: () => {
    const now = world.now()
    return {
      ...world.recorder.read(),
      jobs: [...world.jobs.values()].map((job) => ({ ...job.record, status: statusAt(job, now) }))
    }
  },
  finish: (jobId) => {
    const job = world.jobs.get(jobId)
    return job !== undefined && Progress.end(job.progress, world.now())
  },
  fail: (jobId, error) => {
    const job = world.jobs.get(jobId)
    const now = world.now()
    if (job === undefined) return false
    const phase = Progress.phase(job.progress, now)
    if (phase === "ended" || phase === "cancelled") return false
    const failed = { outcome: "failed", error, tokens: null } as const
    if (job._tag === "Response" || job._tag === "Interaction") job.answer = { ...job.answer, ...failed, chunks: [] }
    if (job._tag === "Batch") { for (const item of job.items) item.answer = { ...item.answer, ...failed } }
    return Progress.end(job.progress, now)
  },
  reset: () => {
    world.jobs.clear()
    world.recorder.clear()
    world.rules.write(rules, true)
  }
})

const statusAt = (job: Job, now: number): string => {
  switch (job._tag) {
    case "Response":
      return Responses.statusAt(job, now)
    case "Batch":
      return MessageBatches.statusAt(job, now)
    case "Interaction":
      return Interactions.statusAt(job, now)
    case "Plain":
      return job.record.status
  }
}
