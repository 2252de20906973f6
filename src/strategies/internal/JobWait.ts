/**
 * Begins the wait for a job, and decides what becomes of the job when the wait fails or its callers leave.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import { InvalidRequest } from "../../errors/Reason.ts"
import { NonRetryable, type StrategyError, type Timeout } from "../../errors/StrategyError.ts"
import type { JobState } from "../../services/Provider.ts"
import type { AcceptedSubmission } from "../../services/Session.ts"
import { cancelJob, cancelSurplus } from "./CancelJob.ts"
import { type FinalOutcome, isFinal } from "./Decision.ts"
import { noteIgnored, warnOfIgnored } from "./IgnoredBackground.ts"
import type { Run } from "./Run.ts"
import { jobsFor } from "./Settlement.ts"
import type { RunContext } from "./RunContext.ts"
import * as WaitingJob from "./WaitingJob.ts"

/** A job to wait for. */
export interface JobToAwait {
  readonly job: AcceptedSubmission
  /** Other jobs of the session, which are cancelled. */
  readonly surplus: ReadonlyArray<AcceptedSubmission>
  /** The job's state, when it is known without a poll. */
  readonly first: JobState | undefined
}

/** Finds the provider of a job, cancels what is in its way, and creates the record of the wait. */
export const prepareWait = Effect.fnUntraced(function*(
  run: Run,
  shared: RunContext,
  { first, job, surplus }: JobToAwait
): Effect.fn.Return<WaitingJob.WaitingJob, StrategyError> {
  run.awaitJob(job)
  const jobs = yield* jobsFor(run, shared.providers, job)
  if (jobs === undefined) return yield* noJobs(run, job)
  yield* cancelOthers(run, shared, surplus)
  const known = first === undefined && job.cancelRequested
    ? yield* cancelJob(run.spec.journal, jobs, job, job.forFallback)
    : first
  return yield* WaitingJob.make(run, jobs, job, known, shared.pollSchedule(run.spec.poll, job.sent.provider))
})

/** What is known of a wait that is over. */
export interface Wait {
  readonly shared: RunContext
  readonly waiting: WaitingJob.WaitingJob
  /** Whether the job is cancelled when it is queued for too long, so that the next model can be asked. */
  readonly leavesQueue: boolean
  /** Settles the session with an outcome that comes after the last caller has left. */
  readonly settle: (outcome: FinalOutcome) => Effect.Effect<unknown, StrategyError>
}

/** What follows a wait without an outcome: the same job is waited for again, or the run fails. */
export type AfterFailure = "WaitAgain"

/**
 * Decides what becomes of a job whose wait failed or was interrupted. Fails with the same cause, unless the job was
 * cancelled in its queue: then its end is waited for.
 */
export const afterFailure = (
  wait: Wait,
  cause: Cause.Cause<StrategyError>
): Effect.Effect<AfterFailure, StrategyError> =>
  Effect.uninterruptible(Effect.suspend(() => {
    const { waiting } = wait
    const timeout = timeoutOf(cause)
    if (timeout?.phase === "queued" && !waiting.isLeft && wait.leavesQueue) return leaveQueue(wait, timeout)
    const last = isMissing(waiting, cause) ? noteMissing(wait) : giveUp(wait, cause)
    return Effect.andThen(last, Effect.failCause(cause))
  }))

/** Cancels the job if the last caller has left or the wait has timed out, and the run's policy says so. */
const giveUp = (
  { settle, waiting: { job, jobs, run } }: Wait,
  cause: Cause.Cause<StrategyError>
): Effect.Effect<void> =>
  run.onInterrupt === "cancel" && (Cause.hasInterrupts(cause) || timeoutOf(cause) !== undefined)
    ? cancelJob(run.spec.journal, jobs, job).pipe(
      Effect.flatMap((after) =>
        after?._tag === "Ended" && isFinal(after.outcome) ? settle(after.outcome) : Effect.void
      ),
      Effect.ignore
    )
    : Effect.void

/** Whether the provider has never known the job: it may have ignored `background`. */
const isMissing = ({ isKnown, isOwn }: WaitingJob.WaitingJob, cause: Cause.Cause<StrategyError>): boolean =>
  !isKnown && isOwn &&
  failuresOf(cause).some((error) => error._tag === "NonRetryable" && error.reason._tag === "NotFound")

const noteMissing = ({ shared, waiting: { job, run } }: Wait): Effect.Effect<void> =>
  Effect.andThen(warnOfIgnored(shared, job), noteIgnored(run.spec.journal, job))

const timeoutOf = (cause: Cause.Cause<StrategyError>): Timeout | undefined => {
  for (const error of failuresOf(cause)) if (error._tag === "Timeout") return error
  return undefined
}

const failuresOf = (cause: Cause.Cause<StrategyError>): ReadonlyArray<StrategyError> =>
  cause.reasons.flatMap((reason) => Cause.isFailReason(reason) ? [reason.error] : [])

/** Cancels a job that has not started, so that the next model can be asked once the job has certainly ended. */
const leaveQueue = ({ waiting }: Wait, timeout: Timeout): Effect.Effect<AfterFailure, StrategyError> =>
  Effect.flatMap(cancelJob(waiting.run.spec.journal, waiting.jobs, waiting.job, true), (after) => {
    if (after === undefined) return Effect.fail(timeout)
    waiting.first = after
    waiting.isLeft = true
    return Effect.succeed("WaitAgain")
  })

/** Cancels surplus jobs in fibers of their own. */
export const cancelOthers = (
  run: Run,
  { detach, providers }: RunContext,
  surplus: ReadonlyArray<AcceptedSubmission>
): Effect.Effect<void> =>
  Effect.forEach(surplus, (job) =>
    jobsFor(run, providers, job).pipe(
      Effect.flatMap((jobs) => jobs === undefined ? Effect.void : cancelSurplus(run.spec.journal, jobs, job)),
      Effect.ignore({ log: "Warn" }),
      detach
    ), { discard: true })

/** The error of a session that waits for a job of a provider without background jobs. */
export const noJobs = (run: Run, job: AcceptedSubmission): NonRetryable =>
  new NonRetryable({
    reason: new InvalidRequest({
      message: `The provider ${job.sent.provider} is not set up for background jobs, and the session waits for one`,
      provider: job.sent.provider
    }),
    session: run.spec.key,
    jobId: job.accepted.jobId
  })
