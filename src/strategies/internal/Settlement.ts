/**
 * Settles a session, and reads what it was settled with.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ProviderError } from "../../errors/ProviderError.ts"
import { JobExpired } from "../../errors/Reason.ts"
import { StoreUnavailable } from "../../errors/SessionStoreError.ts"
import { NonRetryable, type PassedOver, type StrategyError } from "../../errors/StrategyError.ts"
import { Answer, LlmResponse } from "../../services/LlmResponse.ts"
import type { JobsApi } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import { type SessionState, Settled, type Settlement, type Submission } from "../../services/Session.ts"
import { type FinalOutcome, hasEnded, isFinal, isReplaced, passedOverBefore } from "./Decision.ts"
import { warnOfIgnored } from "./IgnoredBackground.ts"
import { hasSubmission, record } from "./Journal.ts"
import type { Run, RunResult } from "./Run.ts"
import type { RunContext } from "./RunContext.ts"
import { forgetResolved } from "./UncertainSubmissions.ts"
import * as WaitingJob from "./WaitingJob.ts"
import { redactReason } from "./RedactReason.ts"

/** The run that settles a session, and what it knows of the session without the journal. */
export interface Settling {
  readonly run: Run
  readonly shared: RunContext
  readonly passedOver: ReadonlyArray<PassedOver>
  /** How many submissions the session has. */
  readonly submissions: number
}

/**
 * Settles a session with an outcome, unless it is settled already: the first one wins. When the journal cannot be written
 * for 30 seconds, the outcome is returned all the same, as not settled. `undefined` when another process has replaced the
 * submission meanwhile, and no part of its answer was streamed here.
 */
export const settle = Effect.fnUntraced(function*(
  settling: Settling,
  submission: Submission,
  end: FinalOutcome
): Effect.fn.Return<RunResult | undefined, StrategyError> {
  const { run, shared } = settling
  let mine: typeof Settled.Type | undefined
  const recording = record(run.spec.journal, (state, at) => {
    if (state.settled !== undefined || !hasSubmission(state, submission.id)) return undefined
    // Another process has recorded that only another job can help.
    if (end._tag === "Failed" && hasEnded(state, submission.id)) return undefined
    const settlement = settlementOf(settling, submission, end, state)
    return mine = Settled.make({
      at,
      submissionId: submission.id,
      settlement,
      ...(end.ignoredBackground === true ? { ignoredBackground: true } : {})
    })
  })
  if (end.ignoredBackground === true) yield* warnOfIgnored(shared, submission)
  const unsettled = run.unsettled = conclude(settling, submission, end, false)
  // Nobody comes back to a call without a session.
  if (!run.spec.journal.durable) return yield* unsettled
  const recorded = yield* Effect.result(Effect.raceFirst(recording, unanswered)).pipe(
    // Nobody waits any more, but the answer is here, and may have been paid for.
    Effect.onInterrupt(() => recording.pipe(Effect.timeout("2 seconds"), Effect.ignore({ log: "Debug" })))
  )
  if (recorded._tag === "Failure") {
    yield* Effect.logError("The session is at its end, but could not be settled", {
      session: run.spec.key,
      jobId: submission.accepted?.jobId,
      error: recorded.failure.message
    })
    return yield* unsettled
  }
  const state = recorded.success
  const { settled } = state
  forgetResolved(shared.uncertain, state)
  if (settled === undefined && isReplaced(state, submission.id) && run.transcript?.hasContent !== true) {
    run.unsettled = undefined
    return undefined
  }
  // A session that was removed, and perhaps made again for another request, is not this run's to settle or to read.
  if (settled === undefined || !hasSubmission(state, submission.id)) return yield* unsettled
  // The same job's answer need not be fetched once more.
  const isReference = settled.settlement._tag === "Reference" && settled.submissionId === submission.id
  return settled === mine || isReference
    ? yield* conclude({ ...settling, submissions: state.submissions.length }, submission, end, true)
    : yield* settledResult(run, shared, state, settled)
})

/**
 * Comes when the store has not said for 32 seconds whether it settles. A process that was stopped for longer wakes to its
 * timers first: the second one lets it read what has arrived.
 */
const unanswered = Effect.sleep("30 seconds").pipe(
  Effect.andThen(Effect.sleep("2 seconds")),
  Effect.andThen(Effect.fail(new StoreUnavailable({ operation: "append", message: "The store does not answer" })))
)

/** Returns what a session was settled with, as the result of a run. */
export const settledResult = Effect.fnUntraced(function*(
  run: Run,
  shared: RunContext,
  state: SessionState,
  settled: typeof Settled.Type
): Effect.fn.Return<RunResult, StrategyError> {
  const { settlement, submissionId } = settled
  switch (settlement._tag) {
    case "Answered": {
      const { answer } = settlement
      return {
        answer: new Answer(answer),
        provider: answer.provider,
        strategy: answer.strategy,
        submissions: state.submissions.length,
        resumed: !run.own.includes(submissionId),
        passedOver: answer.passedOver ?? [],
        settled: true
      }
    }
    case "Failed":
      return yield* settlement.error
    case "Reference": {
      const submission = state.submissions.find(({ id }) => id === submissionId)
      if (submission === undefined || submission.sent.strategy === "completions" || settlement.jobId === "") {
        return yield* unreachable(run, settlement.jobId)
      }
      const jobs = yield* jobsFor(run, shared.providers, submission)
      if (jobs === undefined) return yield* unreachable(run, settlement.jobId)
      const accepted = submission.accepted ?? { ...settled, _tag: "Accepted" as const, jobId: settlement.jobId }
      const job = { ...submission, accepted }
      run.awaitJob(job)
      const outcome = yield* shared.poller.wait(yield* WaitingJob.make(run, jobs, job, undefined))
      const passedOver = passedOverBefore(state, submissionId)
      return isFinal(outcome)
        ? yield* conclude({ run, shared, passedOver, submissions: state.submissions.length }, submission, outcome, true)
        : yield* unreachable(run, settlement.jobId)
    }
  }
})

/** The jobs of the provider that a submission went to; `undefined` when it has none. */
export const jobsFor = (
  run: Run,
  providers: Providers["Service"],
  submission: Submission
): Effect.Effect<JobsApi | undefined, StrategyError> =>
  providers.resolve(submission.sent.model).pipe(
    Effect.tap((provider) =>
      submission.sent.baseUrl === undefined || provider.baseUrl === submission.sent.baseUrl
        ? Effect.void
        : Effect.logWarning("The provider's address is not the one that the job was submitted to", {
          session: run.spec.key,
          submittedTo: submission.sent.baseUrl,
          address: provider.baseUrl
        })
    ),
    Effect.map((provider) => provider.jobs),
    Effect.mapError((error: ProviderError) => run.failure(error))
  )

const conclude = (
  settling: Settling,
  submission: Submission,
  end: FinalOutcome,
  settled: boolean
): Exit.Exit<RunResult, NonRetryable> => {
  const { passedOver, run, submissions } = settling
  return end._tag === "Failed" ? Exit.fail(errorOf(settling, end)) : Exit.succeed({
    answer: end.answer,
    provider: submission.sent.provider,
    strategy: submission.sent.strategy,
    submissions,
    resumed: !run.own.includes(submission.id),
    passedOver,
    settled
  })
}

const errorOf = (
  { passedOver, run }: Settling,
  { verdict }: Extract<FinalOutcome, { readonly _tag: "Failed" }>
): NonRetryable =>
  new NonRetryable({
    reason: verdict.reason,
    session: run.spec.key,
    jobId: run.progress.jobId,
    ...(passedOver.length === 0 ? {} : { passedOver })
  })

const settlementOf = (
  settling: Settling,
  submission: Submission,
  end: FinalOutcome,
  state: SessionState
): Settlement => {
  const { passedOver, run } = settling
  const jobId = submission.accepted?.jobId ?? (end._tag === "Succeeded" ? end.answer.responseId : undefined)
  const isIdOnly = submission.sent.journal === "ids-only"
  // What the provider no longer has cannot be fetched again; that it has not is all there is to keep.
  const isGone = end._tag === "Failed" && end.verdict.reason._tag === "JobExpired"
  if (isIdOnly && jobId !== undefined && !isGone) return { _tag: "Reference", jobId }
  if (end._tag === "Failed") {
    const error = errorOf(settling, end)
    return {
      _tag: "Failed",
      error: isIdOnly ? redactError(error) : error
    }
  }
  // An answer without an id can never be fetched again.
  if (isIdOnly) return { _tag: "Reference", jobId: "" }
  return {
    _tag: "Answered",
    answer: new LlmResponse({
      ...end.answer,
      provider: submission.sent.provider,
      strategy: submission.sent.strategy,
      ...(run.spec.key === undefined ? {} : { session: run.spec.key }),
      submissions: state.submissions.length,
      attempts: run.progress.attempts,
      polls: run.progress.polls,
      elapsed: Duration.zero,
      resumed: false,
      ...(passedOver.length === 0 ? {} : { passedOver }),
      settled: true
    })
  }
}

const redactError = (error: NonRetryable): NonRetryable => {
  const { passedOver, reason } = error
  return new NonRetryable({
    ...error,
    reason: redactReason(reason),
    ...(passedOver === undefined
      ? {}
      : { passedOver: passedOver.map(({ model, reason }) => ({ model, reason: redactReason(reason) })) })
  })
}

const unreachable = (run: Run, jobId: string): Effect.Effect<never, NonRetryable> =>
  Effect.fail(
    new NonRetryable({
      reason: new JobExpired({
        message: "The journal keeps only the answer's id, and the provider cannot give it again"
      }),
      session: run.spec.key,
      jobId: jobId === "" ? undefined : jobId
    })
  )
