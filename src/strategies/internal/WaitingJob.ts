/**
 * A job that is waited for, and what polls and its stream have found so far.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type { JobsApi, JobState, Outcome, Pending } from "../../services/Provider.ts"
import type { AcceptedSubmission } from "../../services/Session.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import type { Run } from "./Run.ts"
import type { Steps } from "./ScheduleSteps.ts"

/** A job that is waited for, and what the polls have found so far. */
export interface WaitingJob {
  readonly run: Run
  readonly jobs: JobsApi
  readonly job: AcceptedSubmission
  /** Whether this run submitted the job. */
  readonly isOwn: boolean
  /** The job's state, when it is known before the first poll. */
  first: JobState | undefined
  readonly steps: Steps<Pending>
  readonly startedAt: number
  pending: Pending
  /** The provider has said something of the job. */
  isKnown: boolean
  /** When the provider certainly had the job; monotonic time in milliseconds. */
  seenAt: number | undefined
  /** The stream that the job was started with has been read. */
  isStreamTaken: boolean
  /** It was cancelled after it had been queued for too long: now its end is waited for, however long it is queued. */
  isLeft: boolean
  /** The provider does not open the job's stream any more. */
  isStreamRefused: boolean
  /** An end that only the stream has reported, or that a poll found empty. The next poll decides. */
  hint: Outcome | undefined
  /** A poll has found the job completed without content. */
  isEmpty: boolean
  missingSince: number | undefined
  deniedSince: number | undefined
  queuedSince: number | undefined
}

/** Creates the record of a job that this process begins to wait for. */
export const make = (
  run: Run,
  jobs: JobsApi,
  job: AcceptedSubmission,
  first: JobState | undefined,
  schedule: Schedule.Schedule<unknown, Pending> = run.spec.poll
): Effect.Effect<WaitingJob> =>
  Effect.zipWith(Schedule.toStep(schedule), monotonicMillis, (steps, startedAt) => ({
    run,
    jobs,
    job,
    first,
    steps,
    startedAt,
    pending: { _tag: "Pending", status: "unknown", phase: run.progress.phase === "queued" ? "queued" : "running" },
    isKnown: false,
    isOwn: run.own.includes(job.id),
    seenAt: run.own.includes(job.id) ? startedAt : undefined,
    isLeft: false,
    isStreamTaken: false,
    isStreamRefused: false,
    hint: undefined,
    isEmpty: false,
    missingSince: undefined,
    deniedSince: undefined,
    queuedSince: startedAt
  }))
