/**
 * The life of one run: reads the journal, does what it calls for, and reads it
 * again, until the session is settled or the run must end.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Clock from "effect/Clock"
import { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidRequest, RequestNeeded, SessionMismatch, SessionNotFound } from "../../errors/Reason.ts"
import { NonRetryable, Retryable, type StrategyError } from "../../errors/StrategyError.ts"
import type { JobsApi, JobState } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import {
  type AcceptedSubmission,
  jobsOf,
  openSubmission,
  Prepared,
  type SessionState,
  type Submission
} from "../../services/Session.ts"
import { cancelJob, recordCancel } from "./Cancelling.ts"
import { monotonicMillis } from "./Deadlines.ts"
import { delaysOf } from "./Delays.ts"
import { type Loaded, unavailable } from "./Journaling.ts"
import { pollToEnd } from "./Polling.ts"
import type { Means, Order, Run, RunResult } from "./Run.ts"
import { isFinal, jobsFor, settle, settledResult } from "./Settling.ts"
import { announce, callHeld, type HeldCall, isSurplus, type JobSubmitted, recordEnd, submitJob } from "./Submitting.ts"
import { awaitOutcome, type Doubts, policyOf, resolve } from "./Uncertainty.ts"

/** What the runs of a process share. */
export interface Shared {
  readonly providers: Providers["Service"]
  readonly doubts: Doubts
  /** Forks work that outlives the run. */
  readonly detach: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>
}

export const drive = Effect.fnUntraced(function*(run: Run, shared: Shared): Effect.fn.Return<RunResult, StrategyError> {
  const { doubts, providers } = shared
  const retry = yield* makeRetry(run)
  while (true) {
    const loaded = yield* load(run)
    const { state } = loaded
    if (state.settled !== undefined) return yield* settledResult(run, providers, state, state.settled)
    const job = jobsOf(state)[0]
    if (job !== undefined) return yield* finishJob(run, shared, job, undefined, state)
    const open = openSubmission(state)
    if (open !== undefined) {
      if (yield* awaitOutcome(run, doubts, open)) continue
      if (yield* resolve(run, doubts, providers, open)) continue
    }
    const order = run.spec.order
    if (order === undefined) return yield* nothingToResume(run, state)

    const means = yield* Effect.mapError(order.prepare, (error) => run.failure(error))
    const submitted = yield* submit(run, shared, loaded, order, means)
    if (submitted === undefined) continue
    const { result, submission } = submitted
    switch (result._tag) {
      case "Refused":
        yield* retry(result.error)
        continue
      case "Uncertain":
        doubts.lost.set(submission.id, result.error)
        if (policyOf(run, order.strategy) === "resubmit") yield* retry(result.error)
        continue
      case "Accepted":
        if (result.state !== undefined && isSurplus(result.state, submission.id)) continue
        return yield* finishJob(run, shared, result.job, result.jobState, result.state ?? state)
      case "Answered": {
        const { outcome } = result
        if (!isFinal(outcome)) {
          yield* Effect.ignore(recordEnd(run.spec.journal, submission.id, outcome.verdict.reason), { log: "Warn" })
          yield* retry(new ProviderError({ verdict: outcome.verdict, evidence: "Refused" }))
          continue
        }
        return yield* settle(run, providers, submission, outcome, state)
      }
    }
  }
})

const load = (run: Run): Effect.Effect<Loaded, StrategyError> =>
  run.spec.journal.load.pipe(
    Effect.mapError((error) => unavailable(error, run.spec.key)),
    Effect.filterOrFail(
      ({ state }) =>
        run.spec.fingerprint === undefined || state.fingerprint === undefined ||
        state.fingerprint === run.spec.fingerprint,
      () => sessionMismatch(run.spec.key)
    )
  )

/** The error for a key that belongs to another request. */
export const sessionMismatch = (session: string | undefined): NonRetryable =>
  new NonRetryable({
    reason: new SessionMismatch({ message: "The session key belongs to another request" }),
    session
  })

const nothingToResume = ({ spec: { key } }: Run, state: SessionState): NonRetryable =>
  new NonRetryable({
    reason: state.fingerprint === undefined && state.submissions.length === 0
      ? new SessionNotFound({ message: "There is no such session" })
      : new RequestNeeded({ message: "No job is known for the session; run it with its request" }),
    session: key
  })

/**
 * Sends one submission. `undefined` when somebody else wrote to the journal
 * first: then nothing was sent.
 */
const submit = Effect.fnUntraced(function*(
  run: Run,
  shared: Shared,
  { state, version }: Loaded,
  { request, strategy }: Order,
  means: Means
): Effect.fn.Return<
  { readonly submission: Submission; readonly result: JobSubmitted | HeldCall } | undefined,
  StrategyError
> {
  const { fingerprint, journal } = run.spec
  const claim = Effect.gen(function*() {
    const at = yield* Clock.currentTimeMillis
    const claimed = fingerprint === undefined || state.fingerprint !== undefined
      ? version
      : yield* journal.append(Prepared.make({ at, fingerprint }), version)
    const submission = yield* announce(journal, claimed, request, strategy, means.provider)
    run.mine.add(submission.id)
    run.update({ phase: "submit", status: "submitting", attempts: run.progress.attempts + 1 })
    return submission
  }).pipe(
    Effect.catchTag("VersionConflict", () => Effect.undefined),
    Effect.mapError((error) => unavailable(error, run.spec.key))
  )

  if (means._tag === "Held") {
    const submission = yield* claim
    if (submission === undefined) return undefined
    run.update({ phase: "running", status: "waiting for the answer" })
    return { submission, result: yield* callHeld(journal, submission, means.call) }
  }

  const jobs = means.provider.jobs
  const sending = yield* Effect.uninterruptible(
    Effect.gen(function*() {
      const submission = yield* claim
      if (submission === undefined) return undefined
      const fiber = yield* submitJob(journal, submission, means.submit(submission.id)).pipe(
        Effect.tap((result) =>
          jobs !== undefined && result._tag === "Accepted" && isUnwanted(run, result)
            ? cancelJob(journal, jobs, result.job)
            : Effect.void
        ),
        shared.detach
      )
      return { submission, fiber }
    })
  )
  return sending === undefined
    ? undefined
    : { submission: sending.submission, result: yield* Fiber.join(sending.fiber) }
})

// A job that came late, that nobody waits for any more, or that was to be cancelled before it had an id.
const isUnwanted = (run: Run, { job, state }: Extract<JobSubmitted, { readonly _tag: "Accepted" }>): boolean =>
  (run.waiters.size === 0 && run.spec.onInterrupt === "cancel") ||
  (state !== undefined &&
    (isSurplus(state, job.id) || state.submissions.some(({ cancelRequested, id }) => id === job.id && cancelRequested)))

/** Waits for a job and settles the session with its end. */
const finishJob = Effect.fnUntraced(function*(
  run: Run,
  shared: Shared,
  job: AcceptedSubmission,
  first: JobState | undefined,
  state: SessionState
): Effect.fn.Return<RunResult, StrategyError> {
  const { journal, onInterrupt } = run.spec
  run.update({ phase: "running", status: "waiting for the job", jobId: job.accepted.jobId })
  const jobs = yield* jobsFor(run, shared.providers, job)
  if (jobs === undefined) return yield* noJobs(run, job)
  for (const surplus of jobsOf(state).slice(1)) yield* shared.detach(cancelJob(journal, jobs, surplus))
  const before = first === undefined && job.cancelRequested ? yield* cancelJob(journal, jobs, job) : first
  const outcome = yield* pollToEnd(run, jobs, job, before).pipe(
    Effect.onInterrupt(() => onInterrupt === "cancel" ? cancelAndSettle(run, shared, jobs, job, state) : Effect.void)
  )
  if (isFinal(outcome)) return yield* settle(run, shared.providers, job, outcome, state)
  yield* Effect.ignore(recordEnd(journal, job.id, outcome.verdict.reason), { log: "Warn" })
  return yield* run.failure(new ProviderError({ verdict: outcome.verdict, evidence: "Refused" }))
})

const cancelAndSettle = (
  run: Run,
  shared: Shared,
  jobs: JobsApi,
  job: AcceptedSubmission,
  state: SessionState
): Effect.Effect<void> =>
  cancelJob(run.spec.journal, jobs, job).pipe(
    Effect.flatMap((after) =>
      after?._tag === "Ended" && isFinal(after.outcome)
        ? settle(run, shared.providers, job, after.outcome, state)
        : Effect.void
    ),
    Effect.ignore
  )

/** Cancels the jobs of a session, those without an id yet included, and settles it when they have ended. */
export const cancelSession = Effect.fnUntraced(function*(
  run: Run,
  shared: Shared
): Effect.fn.Return<void, StrategyError> {
  const { journal } = run.spec
  const { state } = yield* load(run)
  if (state.settled !== undefined) return
  if (state.fingerprint === undefined && state.submissions.length === 0) return yield* nothingToResume(run, state)
  const open = openSubmission(state)
  for (const { id } of [...jobsOf(state), ...(open === undefined ? [] : [open])]) {
    yield* Effect.mapError(recordCancel(journal, id), (error) => unavailable(error, run.spec.key))
  }
  for (const job of jobsOf(state)) {
    run.update({ jobId: job.accepted.jobId })
    const jobs = yield* jobsFor(run, shared.providers, job)
    if (jobs === undefined) return yield* noJobs(run, job)
    yield* cancelAndSettle(run, shared, jobs, job, state)
  }
})

const noJobs = (run: Run, job: AcceptedSubmission): NonRetryable =>
  new NonRetryable({
    reason: new InvalidRequest({
      message: `The provider ${job.sent.provider} is not set up for background jobs, and the session waits for one`,
      provider: job.sent.provider
    }),
    session: run.spec.key,
    jobId: job.accepted.jobId
  })

/** Waits as the retry schedule says, or fails when it, the error or the deadline forbids another attempt. */
const makeRetry = Effect.fnUntraced(function*(run: Run) {
  const nextDelay = yield* delaysOf(run.spec.retry)
  return Effect.fnUntraced(function*(error: ProviderError): Effect.fn.Return<void, StrategyError> {
    if (!error.isRetryable) return yield* run.failure(error)
    const next = yield* nextDelay(error)
    if (next._tag === "None") return yield* run.failure(error)
    const delay = next.value
    if ((yield* monotonicMillis) + delay > run.deadlineAt) {
      const failure = run.failure(error)
      return yield* failure._tag === "Retryable"
        ? new Retryable({ ...failure, retryAfter: failure.retryAfter ?? Duration.millis(delay) })
        : failure
    }
    run.update({ status: `retrying after ${error.verdict.reason._tag}` })
    yield* Effect.sleep(Duration.millis(delay))
  })
})
