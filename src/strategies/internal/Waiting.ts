/**
 * Waits for a job and takes its session to the end that it calls for.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { ProviderError, type Verdict } from "../../errors/ProviderError.ts"
import { InvalidRequest, RequestNeeded } from "../../errors/Reason.ts"
import { NonRetryable, type StrategyError, type Timeout } from "../../errors/StrategyError.ts"
import type { JobsApi, JobState, Outcome } from "../../services/Provider.ts"
import { type AcceptedSubmission, jobsOf, type SessionState, type Submission } from "../../services/Session.ts"
import * as StructuredOutput from "../../services/StructuredOutput.ts"
import { cancelJob, cancelSurplus } from "./Cancelling.ts"
import { hasMore, isFree, leavesQueues, passOver, sendBack, wordOf } from "./GoingOn.ts"
import { noteIgnored, warnOfIgnored } from "./IgnoredBackground.ts"
import { pollToEnd, type Watch, watchOf } from "./Polling.ts"
import type { Run, RunResult } from "./Run.ts"
import { isFinal, isLeft, jobsFor, settle } from "./Settling.ts"
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
  const before = first === undefined && job.cancelRequested
    ? yield* cancelJob(run.spec.journal, jobs, job, job.forFallback)
    : first
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
      const { watch } = wait
      const timeout = timeoutOf(cause)
      if (timeout?.phase === "queued" && !watch.isLeft && leavesQueues(watch.run)) {
        return leaveQueue(wait, timeout, restore)
      }
      const last = isMissing(watch, cause) ? restore(noteMissing(wait)) : giveUp(wait, cause)
      return Effect.andThen(last, Effect.failCause(cause))
    },
    onSuccess: (outcome) => restore(finish(wait, outcome))
  })

const giveUp = (wait: Wait, cause: Cause.Cause<StrategyError>): Effect.Effect<void> =>
  wait.watch.run.spec.onInterrupt === "cancel" && (Cause.hasInterrupts(cause) || timeoutOf(cause) !== undefined)
    ? cancelAndSettle(wait.watch, wait)
    : Effect.void

/** Whether a job was never found since it was accepted: it is perhaps none. */
const isMissing = ({ isKnown, job, run }: Watch, cause: Cause.Cause<StrategyError>): boolean =>
  !isKnown && run.mine.includes(job.id) &&
  failuresOf(cause).some((error) => error._tag === "NonRetryable" && error.reason._tag === "NotFound")

const noteMissing = ({ shared, watch: { job, run } }: Wait): Effect.Effect<void> =>
  Effect.andThen(warnOfIgnored(shared, job), noteIgnored(run.spec.journal, job))

const timeoutOf = (cause: Cause.Cause<StrategyError>): Timeout | undefined => {
  for (const error of failuresOf(cause)) if (error._tag === "Timeout") return error
  return undefined
}

const failuresOf = (cause: Cause.Cause<StrategyError>): ReadonlyArray<StrategyError> =>
  cause.reasons.flatMap((reason) => Cause.isFailReason(reason) ? [reason.error] : [])

/** Cancels a job that nobody began to work on, so that the next model can be asked once it is certain to be over. */
const leaveQueue = (
  wait: Wait,
  timeout: Timeout,
  restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
): Effect.Effect<RunResult, StrategyError> => {
  const { watch } = wait
  return Effect.flatMap(cancelJob(watch.run.spec.journal, watch.jobs, watch.job, true), (after) => {
    if (after === undefined) return Effect.fail(timeout)
    watch.first = after
    watch.isLeft = true
    return waitForEnd(wait, restore)
  })
}

const finish = (wait: Wait, ended: Outcome): Effect.Effect<RunResult, StrategyError> =>
  Effect.suspend(() => {
    const { run } = wait.watch
    run.noteCalls(ended)
    return Effect.flatMap(conclude(wait, judge(run, ended)), (next) => next())
  })

/** Finds out what a job's end calls for. What is left to do is not done here, as it may take as long as another job. */
const conclude = Effect.fnUntraced(function*(
  { shared, submissions, watch: { job, run } }: Wait,
  outcome: Outcome
): Effect.fn.Return<() => Effect.Effect<RunResult, StrategyError>, StrategyError> {
  if (outcome._tag === "Failed" && hasMore(run)) {
    const { state } = yield* Effect.mapError(run.spec.journal.load, (error) => run.unavailable(error))
    if (goesOn(run, state, job.id, outcome.verdict)) {
      yield* endBefore(run, job, outcome.verdict.reason)
      return () => driveOn(run, shared)
    }
  }
  if (outcome._tag === "Failed" && !run.canSubmit) {
    const { reason } = outcome.verdict
    const loaded = yield* Effect.mapError(run.spec.journal.load, (error) => run.unavailable(error))
    const submission = loaded.state.submissions.find(({ id }) => id === job.id)
    if (job.sent.fallbackOn?.includes(wordOf(reason, submission?.forFallback === true)) === true) {
      yield* endBefore(run, job, reason)
      return yield* anotherModel(run, job, reason)
    }
  }
  // Another process may have gone on behind this end meanwhile. What was told of its answer cannot be taken back.
  const elsewhere = run.transcript?.hasContent === true ? undefined : driveOn(run, shared)
  if (isFinal(outcome)) return () => settle(run, shared, job, outcome, submissions, elsewhere)
  const loaded = yield* Effect.option(run.spec.journal.load)
  if (elsewhere !== undefined && Option.isSome(loaded) && isLeft(loaded.value.state, job.id)) return () => elsewhere
  yield* end(run, job, outcome.verdict.reason)
  return () => Effect.fail(run.failure(new ProviderError({ verdict: outcome.verdict, evidence: "Refused" })))
})

/** Goes on with what the journal calls for, now that a job is over. */
const driveOn = (run: Run, shared: Shared): Effect.Effect<RunResult, StrategyError> =>
  Effect.suspend(() => {
    const { stream } = run
    run.stream = undefined
    // It tells nothing any more, and what the next one tells is not to be mixed up with it.
    return Effect.andThen(stream?.close ?? Effect.void, shared.drive(run))
  })

/** An answer that does not fit the request's schema is none. */
export const judge = ({ order }: Run, outcome: Outcome): Outcome =>
  order === undefined ? outcome : StructuredOutput.check(order.request, outcome)

/** Whether the run asks once more after a submission's end, and whom is then set. */
export const goesOn = (run: Run, state: SessionState, id: string, { reason }: Verdict): boolean => {
  if (sendBack(run, reason)) return true
  if (!isFree(state, id)) return false
  const forFallback = state.submissions.some((submission) => submission.id === id && submission.forFallback === true)
  return passOver(run, reason, wordOf(reason, forFallback))
}

/** Writes down that a submission came to nothing, before another one is made in its place. */
export const endBefore = (
  run: Run,
  { id }: Submission,
  reason: Verdict["reason"]
): Effect.Effect<void, StrategyError> =>
  Effect.asVoid(Effect.mapError(recordEnd(run.spec.journal, id, reason), (error) => run.unavailable(error)))

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

/** The error of a run that has no request, where the session's names another model to ask. */
const anotherModel = (run: Run, { accepted, sent }: AcceptedSubmission, reason: Verdict["reason"]): NonRetryable =>
  new NonRetryable({
    reason: new RequestNeeded({
      message:
        `${sent.model} ended with ${reason._tag}, and another model is to be asked; run the session with its request`
    }),
    session: run.spec.key,
    jobId: accepted.jobId
  })

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
