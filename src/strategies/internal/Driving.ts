/**
 * The life of one run: reads the journal, does what it calls for, and reads it
 * again, until the session is settled or the run must end.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ProviderError } from "../../errors/ProviderError.ts"
import { JobCancelled, RequestNeeded, SessionMismatch, SessionNotFound } from "../../errors/Reason.ts"
import { NonRetryable, type StrategyError } from "../../errors/StrategyError.ts"
import { apply, CancelRequested, jobsOf, openSubmissions, type SessionState } from "../../services/Session.ts"
import { cancelSurplus, recordCancel } from "./Cancelling.ts"
import { checkChain } from "./Chain.ts"
import { monotonicMillis } from "./Deadlines.ts"
import { forgetDoubts } from "./Doubts.ts"
import { catchUp, isFree, isGivenUp, lastFailure, passUnasked, skipSpent } from "./GoingOn.ts"
import { type Loaded, record, type SessionJournal } from "./Journaling.ts"
import { prepare } from "./Preparing.ts"
import { type Retries, waitForRetry } from "./Retrying.ts"
import type { Means, Run, RunResult } from "./Run.ts"
import { requestOf, send } from "./Sending.ts"
import { isFinal, jobsFor, settle, settledResult } from "./Settling.ts"
import type { Shared } from "./Shared.ts"
import { isSurplus } from "./Submitting.ts"
import { awaitOutcome, policyOf, resolve } from "./Uncertainty.ts"
import { cancelAndSettle, cancelOthers, end, endBefore, finishJob, goesOn, judge, noJobs } from "./Waiting.ts"

/** Takes a run to its end. */
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
  let retries: Retries = { next: undefined }
  // What went wrong with a job's submission, to be waited for before another one, if it comes to that.
  let due: ProviderError | undefined
  let means: Means | undefined
  while (true) {
    const loaded = yield* load(run)
    const { state } = loaded
    const { settled } = state
    forgetDoubts(doubts, state)
    if (settled !== undefined) {
      yield* cancelOthers(run, shared, state, settled.submissionId)
      return () => settledResult(run, shared, state, settled)
    }
    const job = jobsOf(state)[0]
    if (job !== undefined) {
      catchUp(run, state, job)
      return () => finishJob(run, shared, { job, first: undefined, state })
    }
    if (yield* resolveOpen(run, shared, state)) continue
    if (isGivenUp(run, state)) return yield* cancelledBetween(run)
    if (run.order === undefined) return yield* nothingToResume(run, state)
    skipSpent(run, state)
    const { asked } = run
    if (asked === undefined) return yield* nothingToResume(run, state)
    if (!run.isChecked && state.submissions.length === 0) yield* checkChain(run, shared)
    const pass = (error: ProviderError): boolean => {
      if (!isFree(state) || !passUnasked(run, error)) return false
      retries = { next: undefined }
      return true
    }
    if (due !== undefined) {
      // An open circuit is there so that nobody waits for it.
      const isPassed = due.verdict.reason._tag === "CircuitOpen" && pass(due)
      const failure = isPassed ? undefined : yield* waitForRetry(run, retries, due, means?.provider.retryBudget)
      if (failure !== undefined && !pass(due)) return yield* failure
      due = undefined
      continue
    }

    const request = requestOf(run, asked)
    const unusable = run.unusable.get(asked.request.model)
    const prepared = yield* Effect.result(
      unusable === undefined ? prepare(providers, shared.namespace, { ...asked, request }) : Effect.fail(unusable)
    )
    if (prepared._tag === "Failure") {
      if (pass(prepared.failure)) continue
      return yield* run.failure(prepared.failure)
    }
    means = prepared.success
    const until = (yield* Clock.currentTimeMillis) + run.deadlineAt - (yield* monotonicMillis)
    const admitted = yield* Effect.result(means.provider.admit?.(request, until) ?? Effect.void)
    if (admitted._tag === "Failure") {
      due = admitted.failure
      continue
    }
    const sent = yield* send(run, shared, loaded, asked, means)
    if (sent === undefined) continue
    const { result, submission } = sent
    const announced = apply(state, submission.sent)
    switch (result._tag) {
      case "Refused":
        due = result.error
        continue
      case "Uncertain": {
        const { error } = result
        doubts.lost.set(submission.id, error)
        due = error
        // Nobody can ever learn the answer of a held call, so it is not left open where it may be made again.
        if (means._tag === "Held" && policyOf(run, asked.strategy) === "resubmit") {
          yield* end(run, submission, error.verdict.reason)
        }
        if (error.verdict.reason._tag === "StreamInterrupted") return yield* run.failure(error)
        continue
      }
      case "Accepted":
        yield* means.provider.retryBudget?.giveBack ?? Effect.void
        if (result.state !== undefined && isSurplus(result.state, result.job.id)) continue
        return () =>
          finishJob(run, shared, { job: result.job, first: result.jobState, state: result.state ?? announced })
      case "Answered": {
        yield* means.provider.retryBudget?.giveBack ?? Effect.void
        const outcome = judge(run, result.outcome)
        if (outcome._tag === "Failed" && goesOn(run, state, submission.id, outcome.verdict)) {
          yield* endBefore(run, submission, outcome.verdict.reason)
          retries = { next: undefined }
          continue
        }
        if (isFinal(outcome)) {
          return () => settle(run, shared, submission, outcome, announced.submissions.length)
        }
        yield* end(run, submission, outcome.verdict.reason)
        due = new ProviderError({ verdict: outcome.verdict, evidence: "Refused" })
        // What was told of its answer cannot be taken back.
        if (run.transcript?.hasContent === true) return yield* run.failure(due)
      }
    }
  }
})

/** Finds out about the submissions of unknown fate. Succeeds with `true` when the journal now tells more. */
const resolveOpen = Effect.fnUntraced(function*(
  run: Run,
  { doubts, providers }: Shared,
  state: SessionState
): Effect.fn.Return<boolean, StrategyError> {
  for (const open of openSubmissions(state)) {
    if (yield* awaitOutcome(run, doubts, open)) return true
    if (yield* resolve(run, doubts, providers, open)) return true
  }
  return false
})

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

const cancelledBetween = ({ spec: { key } }: Run): NonRetryable =>
  new NonRetryable({
    reason: new JobCancelled({ message: "Nothing more was sent, as somebody asked for the session's cancel" }),
    session: key
  })

/**
 * Cancels the jobs of a session, those without an id yet included, and settles it when they have ended. A run that waits
 * to ask once more finds in the journal that it should not.
 */
export const cancelSession: (run: Run, shared: Shared) => Effect.Effect<void, StrategyError> = Effect.fnUntraced(
  function*(run, shared) {
    const { journal } = run.spec
    const { state } = yield* load(run)
    if (state.settled !== undefined) return
    if (state.fingerprint === undefined && state.submissions.length === 0) return yield* nothingToResume(run, state)
    if (lastFailure(state) !== undefined) {
      const after = yield* Effect.mapError(recordStop(journal), (error) => run.unavailable(error))
      // Another submission may have been made meanwhile.
      return lastFailure(after) === undefined ? yield* cancelSession(run, shared) : undefined
    }
    for (const { id } of [...jobsOf(state), ...openSubmissions(state)]) {
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
  }
)

const recordStop = (journal: SessionJournal) =>
  record(journal, (state, at) => {
    const last = lastFailure(state)
    return last === undefined || last.cancelRequested ? undefined : CancelRequested.make({ at, submissionId: last.id })
  })
