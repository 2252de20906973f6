/**
 * The life of one run: reads the journal, does what it calls for, and reads it
 * again, until the session is settled or the run must end.
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { ProviderError, type Verdict } from "../../errors/ProviderError.ts"
import { InvalidRequest, RequestNeeded, SessionMismatch, SessionNotFound } from "../../errors/Reason.ts"
import { NonRetryable, Retryable, type StrategyError } from "../../errors/StrategyError.ts"
import type { JobState, Outcome } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import {
  type AcceptedSubmission,
  apply,
  jobsOf,
  openSubmission,
  Prepared,
  type SessionState,
  type Submission
} from "../../services/Session.ts"
import { cancelJob, cancelSurplus, recordCancel } from "./Cancelling.ts"
import { monotonicMillis } from "./Deadlines.ts"
import { delaysOf } from "./Delays.ts"
import { currentMillis, type Loaded } from "./Journaling.ts"
import { pollToEnd, type Watch, watchOf } from "./Polling.ts"
import type { Means, Order, Run, RunResult } from "./Run.ts"
import { isFinal, jobsFor, settle, settledResult } from "./Settling.ts"
import {
  announce,
  callHeld,
  type HeldCall,
  isSurplus,
  type JobSubmitted,
  recordEnd,
  submitJob,
  withdraw
} from "./Submitting.ts"
import { awaitOutcome, type Doubts, policyOf, resolve } from "./Uncertainty.ts"

/** What the runs of a process share. */
export interface Shared {
  readonly providers: Providers["Service"]
  readonly doubts: Doubts
  /** Forks work that outlives the run. */
  readonly detach: <A, E, R>(work: Effect.Effect<A, E, R>) => Effect.Effect<Fiber.Fiber<A, E>, never, R>
}

export const drive = (run: Run, shared: Shared): Effect.Effect<RunResult, StrategyError> =>
  Effect.flatMap(advance(run, shared), (next) => next())

/** What is left to do. A generator that ran it itself would be kept as long, for an hour and twenty thousand jobs. */
type Next<A> = () => Effect.Effect<A, StrategyError>

/** Goes on until there is a job to wait for, or an end. */
const advance = Effect.fnUntraced(function*(
  run: Run,
  shared: Shared
): Effect.fn.Return<Next<RunResult>, StrategyError> {
  const { doubts, providers } = shared
  const retry = makeRetry(run)
  // What went wrong with a job's submission, to be waited for before another one, if it comes to that.
  let due: ProviderError | undefined
  while (true) {
    const loaded = yield* load(run)
    const { state } = loaded
    const { settled } = state
    if (settled !== undefined) {
      yield* cancelOthers(run, shared, state, settled.submissionId)
      return () => settledResult(run, providers, state, settled)
    }
    const job = jobsOf(state)[0]
    if (job !== undefined) return () => finishJob(run, shared, job, undefined, state)
    const open = openSubmission(state)
    if (open !== undefined) {
      if (yield* awaitOutcome(run, doubts, open)) continue
      if (yield* resolve(run, doubts, providers, open)) continue
    }
    const { order } = run
    if (order === undefined) return yield* nothingToResume(run, state)
    if (due !== undefined) {
      yield* retry(due)
      due = undefined
      continue
    }

    const means = yield* Effect.mapError(order.prepare, (error) => run.failure(error))
    const submitted = yield* submit(run, shared, loaded, order, means)
    if (submitted === undefined) continue
    const { result, submission } = submitted
    const announced = apply(state, submission.sent)
    switch (result._tag) {
      case "Refused":
        yield* retry(result.error)
        continue
      case "Uncertain":
        doubts.lost.set(submission.id, result.error)
        due = result.error
        // Nobody can ever learn the answer of a held call, so it is not left open where it may be made again.
        if (means._tag === "Held" && policyOf(run, order.strategy) === "resubmit") {
          yield* end(run, submission, result.error.verdict)
        }
        continue
      case "Accepted":
        if (result.state !== undefined && isSurplus(result.state, result.job.id)) continue
        return () => finishJob(run, shared, result.job, result.jobState, result.state ?? announced)
      case "Answered": {
        const { outcome } = result
        if (!isFinal(outcome)) {
          yield* end(run, submission, outcome.verdict)
          yield* retry(new ProviderError({ verdict: outcome.verdict, evidence: "Refused" }))
          continue
        }
        return () => settle(run, providers, submission, outcome, announced.submissions.length)
      }
    }
  }
})

const end = (run: Run, submission: Submission, verdict: Verdict): Effect.Effect<void> =>
  Effect.ignore(recordEnd(run.spec.journal, submission.id, verdict.reason), { log: "Warn" })

const load = (run: Run): Effect.Effect<Loaded, StrategyError> =>
  run.spec.journal.load.pipe(
    Effect.mapError((error) => run.unavailable(error)),
    Effect.tap(({ state }) => Effect.sync(() => run.owner = state.fingerprint)),
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
  const { unsent } = shared.doubts
  const claim = Effect.gen(function*() {
    const at = yield* currentMillis
    const since = yield* monotonicMillis
    const claimed = fingerprint === undefined || state.fingerprint !== undefined
      ? version
      : yield* journal.append(Prepared.make({ at, fingerprint }), version)
    if (run.waiters.size === 0) return undefined
    const submission = yield* announce(journal, claimed, request, strategy, means.provider, unsent)
    const left = submission.sent.submitTimeout - ((yield* monotonicMillis) - since)
    if (left <= 0 || run.waiters.size === 0) {
      yield* withdraw(
        journal,
        submission,
        unsent,
        left <= 0
          ? "The request was not sent, as writing it down took longer than a submission may"
          : "The request was not sent, as nobody waited for it any more"
      )
      return undefined
    }
    run.mine = run.mine.concat(submission.id)
    run.update({ phase: "submit", status: "submitting", attempts: run.progress.attempts + 1 })
    return { submission, left: Duration.millis(left) }
  }).pipe(
    Effect.catchTag("VersionConflict", () => Effect.undefined),
    Effect.mapError((error) => run.unavailable(error))
  )

  if (means._tag === "Held") {
    const submission = (yield* claim)?.submission
    if (submission === undefined) return undefined
    run.update({ phase: "running", status: "waiting for the answer" })
    return {
      submission,
      result: yield* callHeld(journal, submission, means.call, policyOf(run, strategy) === "resubmit")
    }
  }

  const jobs = means.provider.jobs
  const sending = yield* Effect.uninterruptible(
    Effect.gen(function*() {
      const claimed = yield* claim
      if (claimed === undefined) return undefined
      const { left, submission } = claimed
      const fiber = yield* submitJob(journal, submission, means.submit(submission.id), left).pipe(
        Effect.tap((result) => {
          if (jobs === undefined || result._tag !== "Accepted") return Effect.void
          const { job, state } = result
          if (state !== undefined && isSurplus(state, job.id)) return cancelSurplus(journal, jobs, job)
          return isUnwanted(run, result) ? cancelJob(journal, jobs, job) : Effect.void
        }),
        shared.detach
      )
      return { submission, fiber }
    })
  )
  return sending === undefined
    ? undefined
    : { submission: sending.submission, result: yield* Fiber.join(sending.fiber) }
})

// A job that nobody waits for any more, or that was to be cancelled before it had an id.
const isUnwanted = (run: Run, { job, state }: Extract<JobSubmitted, { readonly _tag: "Accepted" }>): boolean =>
  (run.waiters.size === 0 && run.spec.onInterrupt === "cancel") ||
  (state !== undefined && state.submissions.some(({ cancelRequested, id }) => id === job.id && cancelRequested))

/** Cancels, aside, the jobs of a session that it does not wait for. */
const cancelOthers = (
  run: Run,
  { detach, providers }: Shared,
  state: SessionState,
  awaited: string
): Effect.Effect<void> => {
  const { journal } = run.spec
  const others = jobsOf(state).filter(({ id }) => id !== awaited)
  return Effect.forEach(others, (job) =>
    jobsFor(run, providers, job).pipe(
      Effect.flatMap((jobs) => jobs === undefined ? Effect.void : cancelSurplus(journal, jobs, job)),
      Effect.ignore({ log: "Warn" }),
      detach
    ), { discard: true })
}

/**
 * Waits for a job and settles the session with its end. Whenever the last caller leaves, the run's policy decides what
 * becomes of the job.
 */
const finishJob = (
  run: Run,
  shared: Shared,
  job: AcceptedSubmission,
  first: JobState | undefined,
  state: SessionState
): Effect.Effect<RunResult, StrategyError> => {
  run.order = undefined
  run.awaited = job.id
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(prepareWait(run, shared, job, first, state), (wait) => waitForEnd(wait, restore))
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
  job: AcceptedSubmission,
  first: JobState | undefined,
  state: SessionState
): Effect.fn.Return<Wait, StrategyError> {
  const { journal } = run.spec
  run.update({ phase: "running", status: "waiting for the job", jobId: job.accepted.jobId })
  const jobs = yield* jobsFor(run, shared.providers, job)
  if (jobs === undefined) return yield* noJobs(run, job)
  yield* cancelOthers(run, shared, state, job.id)
  const before = first === undefined && job.cancelRequested ? yield* cancelJob(journal, jobs, job) : first
  return { shared, watch: yield* watchOf(run, jobs, job, before), submissions: state.submissions.length }
})

const waitForEnd = (
  wait: Wait,
  restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
): Effect.Effect<RunResult, StrategyError> =>
  Effect.matchCauseEffect(restore(pollToEnd(wait.watch)), {
    onFailure: (cause) => Effect.andThen(giveUp(wait, cause), Effect.failCause(cause)),
    onSuccess: (outcome) => restore(finish(wait, outcome))
  })

const giveUp = (wait: Wait, cause: Cause.Cause<StrategyError>): Effect.Effect<void> =>
  wait.watch.run.spec.onInterrupt === "cancel" && (Cause.hasInterrupts(cause) || isTimeout(cause))
    ? cancelAndSettle(wait.watch, wait)
    : Effect.void

const isTimeout = (cause: Cause.Cause<StrategyError>): boolean =>
  cause.reasons.some((reason) => Cause.isFailReason(reason) && reason.error._tag === "Timeout")

const finish = (
  { shared, submissions, watch: { job, run } }: Wait,
  outcome: Outcome
): Effect.Effect<RunResult, StrategyError> =>
  isFinal(outcome)
    ? settle(run, shared.providers, job, outcome, submissions)
    : Effect.andThen(
      end(run, job, outcome.verdict),
      Effect.fail(run.failure(new ProviderError({ verdict: outcome.verdict, evidence: "Refused" })))
    )

const cancelAndSettle = (
  { job, jobs, run }: Pick<Watch, "job" | "jobs" | "run">,
  { shared, submissions }: Pick<Wait, "shared" | "submissions">
): Effect.Effect<void> =>
  cancelJob(run.spec.journal, jobs, job).pipe(
    Effect.flatMap((after) =>
      after?._tag === "Ended" && isFinal(after.outcome)
        ? settle(run, shared.providers, job, after.outcome, submissions)
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
    yield* Effect.mapError(recordCancel(journal, id), (error) => run.unavailable(error))
  }
  for (const [index, job] of jobsOf(state).entries()) {
    run.update({ jobId: job.accepted.jobId })
    const jobs = yield* jobsFor(run, shared.providers, job)
    if (jobs === undefined) return yield* noJobs(run, job)
    // The end of a surplus job is not the session's.
    yield* index === 0
      ? cancelAndSettle({ run, jobs, job }, { shared, submissions: state.submissions.length })
      : cancelSurplus(journal, jobs, job)
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
const makeRetry = (run: Run): (error: ProviderError) => Effect.Effect<void, StrategyError> => {
  const delays: Delays = { next: undefined }
  return (error) => waitForRetry(run, delays, error)
}

/** The schedule's state, made when it is first needed: few runs have a retry. */
interface Delays {
  next: Effect.Success<ReturnType<typeof delaysOf<ProviderError>>> | undefined
}

const waitForRetry = Effect.fnUntraced(
  function*(run: Run, delays: Delays, error: ProviderError): Effect.fn.Return<void, StrategyError> {
    if (!error.isRetryable) return yield* run.failure(error)
    const nextDelay = delays.next ??= yield* delaysOf(run.spec.retry)
    const next = yield* nextDelay(error)
    if (next._tag === "None") return yield* run.failure(error)
    const delay = next.value
    if ((yield* monotonicMillis) + delay > run.deadlineAt) {
      const failure = run.failure(error)
      return yield* failure._tag === "Retryable"
        ? new Retryable({ ...failure, retryAfter: failure.retryAfter ?? Duration.millis(delay) })
        : failure
    }
    run.update({ phase: "submit", status: `retrying after ${error.verdict.reason._tag}` })
    yield* Effect.sleep(Duration.millis(delay))
  }
)
