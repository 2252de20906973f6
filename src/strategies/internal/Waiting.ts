/**
 * Waits for a job and takes its session to the end that it calls for.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ProviderError, type Verdict } from "../../errors/ProviderError.ts"
import { InvalidRequest, JobCancelled } from "../../errors/Reason.ts"
import { NonRetryable, type StrategyError, type Timeout } from "../../errors/StrategyError.ts"
import type { JobsApi, JobState, Outcome } from "../../services/Provider.ts"
import { type AcceptedSubmission, jobsOf, type SessionState, type Submission } from "../../services/Session.ts"
import * as StructuredOutput from "../../services/StructuredOutput.ts"
import { cancelJob, cancelSurplus } from "./Cancelling.ts"
import { leavesQueues, passOver, sendBack } from "./GoingOn.ts"
import { pollToEnd, type Watch, watchOf } from "./Polling.ts"
import type { Run, RunResult } from "./Run.ts"
import { isFinal, jobsFor, settle } from "./Settling.ts"
import type { Shared } from "./Shared.ts"
import { recordEnd } from "./Submitting.ts"

/** A job that a run is to wait for. */
export interface Awaited {
  readonly job: AcceptedSubmission
  /** Its state, when it is known without a poll. */
  readonly first: JobState | undefined
  readonly state: SessionState
}

/**
 * Waits for a job and settles the session with its end. Whenever the last caller leaves, the run's policy decides what
 * becomes of the job.
 */
export const finishJob = (run: Run, shared: Shared, awaited: Awaited): Effect.Effect<RunResult, StrategyError> => {
  const { order } = run
  // The prompt may be big, and is needed only where there may be another question.
  if (order?.candidates.length === 1 && order.request.schema === undefined) run.order = undefined
  run.awaited = awaited.job.id
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(prepareWait(run, shared, awaited), (wait) => waitForEnd(wait, restore))
  )
}

/** What is kept while a job is waited for. */
interface Wait {
  readonly shared: Shared
  readonly watch: Watch
  /** In the session, as far as is known. */
  readonly submissions: number
}

const prepareWait = Effect.fnUntraced(function*(
  run: Run,
  shared: Shared,
  { first, job, state }: Awaited
): Effect.fn.Return<Wait, StrategyError> {
  run.update({ phase: "running", status: "waiting for the job", jobId: job.accepted.jobId })
  const jobs = yield* jobsFor(run, shared.providers, job)
  if (jobs === undefined) return yield* noJobs(run, job)
  yield* cancelOthers(run, shared, state, job.id)
  const before = first === undefined && job.cancelRequested ? yield* cancelJob(run.spec.journal, jobs, job) : first
  return {
    shared,
    watch: yield* watchOf(run, jobs, job, before),
    submissions: state.submissions.length
  }
})

const waitForEnd = (
  wait: Wait,
  restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
): Effect.Effect<RunResult, StrategyError> =>
  Effect.matchCauseEffect(restore(pollToEnd(wait.watch)), {
    onFailure: (cause) => {
      const timeout = timeoutOf(cause)
      return timeout?.phase === "queued" && leavesQueues(wait.watch.run)
        ? restore(leaveQueue(wait, timeout))
        : Effect.andThen(giveUp(wait, cause), Effect.failCause(cause))
    },
    onSuccess: (outcome) => restore(finish(wait, outcome))
  })

const giveUp = (wait: Wait, cause: Cause.Cause<StrategyError>): Effect.Effect<void> =>
  wait.watch.run.spec.onInterrupt === "cancel" && (Cause.hasInterrupts(cause) || timeoutOf(cause) !== undefined)
    ? cancelAndSettle(wait.watch, wait)
    : Effect.void

const timeoutOf = (cause: Cause.Cause<StrategyError>): Timeout | undefined => {
  for (const reason of cause.reasons) {
    if (Cause.isFailReason(reason) && reason.error._tag === "Timeout") return reason.error
  }
  return undefined
}

/** Cancels a job that nobody began to work on, and asks the next model once it is certain that it will not be. */
const leaveQueue = (wait: Wait, timeout: Timeout): Effect.Effect<RunResult, StrategyError> => {
  const { shared, watch: { job, jobs, run } } = wait
  return Effect.flatMap(cancelJob(run.spec.journal, jobs, job), (after) => {
    if (after?._tag !== "Ended") return Effect.fail(timeout)
    const isCancelled = after.outcome._tag === "Failed" && after.outcome.verdict.reason._tag === "JobCancelled"
    const waited = new JobCancelled({
      message: `The job was cancelled after it had been queued for ${Duration.format(timeout.deadline)}`
    })
    return isCancelled && passOver(run, waited, "Queued")
      ? Effect.andThen(end(run, job, waited), shared.drive(run))
      : finish(wait, after.outcome)
  })
}

const finish = (wait: Wait, told: Outcome): Effect.Effect<RunResult, StrategyError> => {
  const { shared, submissions, watch: { job, run } } = wait
  const outcome = judge(run, told)
  if (outcome._tag === "Failed" && goesOn(run, outcome.verdict)) {
    return Effect.andThen(end(run, job, outcome.verdict.reason), shared.drive(run))
  }
  return isFinal(outcome)
    ? settle(run, shared, job, outcome, submissions)
    : Effect.andThen(
      end(run, job, outcome.verdict.reason),
      Effect.fail(run.failure(new ProviderError({ verdict: outcome.verdict, evidence: "Refused" })))
    )
}

/** An answer that does not fit the request's schema is none. */
export const judge = ({ order }: Run, outcome: Outcome): Outcome =>
  order === undefined ? outcome : StructuredOutput.check(order.request, outcome)

/** Whether the run asks once more after a verdict, and whom is then set. */
export const goesOn = (run: Run, { reason }: Verdict): boolean => sendBack(run, reason) || passOver(run, reason)

/** Writes down that a submission came to nothing. */
export const end = (run: Run, { id }: Submission, reason: Verdict["reason"]): Effect.Effect<void> =>
  Effect.ignore(recordEnd(run.spec.journal, id, reason), { log: "Warn" })

/** Cancels a job and, if it has ended by then, settles the session with its end. */
export const cancelAndSettle = (
  { job, jobs, run }: { readonly run: Run; readonly jobs: JobsApi; readonly job: AcceptedSubmission },
  { shared, submissions }: Pick<Wait, "shared" | "submissions">
): Effect.Effect<void> =>
  cancelJob(run.spec.journal, jobs, job).pipe(
    Effect.flatMap((after) =>
      after?._tag === "Ended" && isFinal(after.outcome)
        ? settle(run, shared, job, after.outcome, submissions)
        : Effect.void
    ),
    Effect.ignore
  )

/** Cancels, aside, the jobs of a session that it does not wait for. */
export const cancelOthers = (
  run: Run,
  { detach, providers }: Shared,
  state: SessionState,
  awaited: string
): Effect.Effect<void> =>
  Effect.forEach(jobsOf(state).filter(({ id }) => id !== awaited), (job) =>
    jobsFor(run, providers, job).pipe(
      Effect.flatMap((jobs) => jobs === undefined ? Effect.void : cancelSurplus(run.spec.journal, jobs, job)),
      Effect.ignore({ log: "Warn" }),
      detach
    ), { discard: true })

/** The error of a session that waits for a job of a provider that is not set up for jobs any more. */
export const noJobs = (run: Run, job: AcceptedSubmission): NonRetryable =>
  new NonRetryable({
    reason: new InvalidRequest({
      message: `The provider ${job.sent.provider} is not set up for background jobs, and the session waits for one`,
      provider: job.sent.provider
    }),
    session: run.spec.key,
    jobId: job.accepted.jobId
  })
