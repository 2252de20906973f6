/**
 * Settles a session, and reads what it was settled with.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type { ProviderError, Verdict } from "../../errors/ProviderError.ts"
import { JobExpired } from "../../errors/Reason.ts"
import { StoreUnavailable } from "../../errors/SessionStoreError.ts"
import { NonRetryable, type StrategyError } from "../../errors/StrategyError.ts"
import { Answer, LlmResponse } from "../../services/LlmResponse.ts"
import type { JobsApi, Outcome } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import {
  jobsOf,
  openSubmissions,
  type SessionState,
  Settled,
  type Settlement,
  type Submission
} from "../../services/Session.ts"
import { forgetDoubts } from "./Doubts.ts"
import { passedOverFor } from "./GoingOn.ts"
import { warnOfIgnored } from "./IgnoredBackground.ts"
import { hasSubmission, record } from "./Journaling.ts"
import { pollToEnd, watchOf } from "./Polling.ts"
import type { Run, RunResult } from "./Run.ts"
import type { Shared } from "./Shared.ts"
import { withoutText } from "./WithoutText.ts"

/** An outcome that nothing will change: an answer, or a failure that another submission could not cure. */
export type Final =
  | Extract<Outcome, { readonly _tag: "Succeeded" }>
  | {
    readonly _tag: "Failed"
    readonly verdict: Extract<Verdict, { readonly _tag: "NonRetryable" }>
    readonly ignoredBackground?: boolean | undefined
  }

export const isFinal = (outcome: Outcome): outcome is Final =>
  outcome._tag === "Succeeded" || outcome.verdict._tag === "NonRetryable"

/**
 * Settles a session with an end, unless it is settled already: the first one
 * wins. When the journal cannot be written for 30 seconds, the end is returned
 * all the same, with the number of submissions that is known without it.
 * `elsewhere` goes on with a session that has left this end behind for another submission.
 */
export const settle = Effect.fnUntraced(function*(
  run: Run,
  shared: Shared,
  submission: Submission,
  end: Final,
  knownSubmissions: number,
  elsewhere?: Effect.Effect<RunResult, StrategyError>
): Effect.fn.Return<RunResult, StrategyError> {
  let mine: typeof Settled.Type | undefined
  const settling = record(run.spec.journal, (state, at) => {
    if (state.settled !== undefined || !hasSubmission(state, submission.id)) return undefined
    // Somebody has found that only another job can cure it.
    if (end._tag === "Failed" && hasEnded(state, submission.id)) return undefined
    const settlement = settlementOf(run, submission, end, state)
    return mine = Settled.make({
      at,
      submissionId: submission.id,
      settlement,
      ...(end.ignoredBackground === true ? { ignoredBackground: true } : {})
    })
  })
  if (end.ignoredBackground === true) yield* warnOfIgnored(shared, submission)
  const unsettled = run.unsettled = conclude(run, submission, end, knownSubmissions, false)
  // Nobody comes back to a call without a session.
  if (!run.spec.journal.durable) return yield* unsettled
  const recorded = yield* Effect.result(Effect.raceFirst(settling, unanswered)).pipe(
    // Nobody waits any more, but the answer is here, and may have been paid for.
    Effect.onInterrupt(() => settling.pipe(Effect.timeout("2 seconds"), Effect.ignore({ log: "Debug" })))
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
  forgetDoubts(shared.doubts, state)
  if (elsewhere !== undefined && settled === undefined && isLeft(state, submission.id)) {
    run.unsettled = undefined
    return yield* elsewhere
  }
  // A session that was removed, and perhaps made again for another request, is not this run's to settle or to read.
  if (settled === undefined || !hasSubmission(state, submission.id)) return yield* unsettled
  // The same job's answer need not be fetched once more.
  const isReference = settled.settlement._tag === "Reference" && settled.submissionId === submission.id
  return settled === mine || isReference
    ? yield* conclude(run, submission, end, state.submissions.length, true)
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
  shared: Shared,
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
        resumed: !run.mine.includes(submissionId),
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
      run.awaited = submissionId
      run.update({ jobId: settlement.jobId })
      run.passedOver = passedOverFor(state, submissionId)
      const jobs = yield* jobsFor(run, shared.providers, submission)
      if (jobs === undefined) return yield* unreachable(run, settlement.jobId)
      const accepted = submission.accepted ?? { ...settled, _tag: "Accepted" as const, jobId: settlement.jobId }
      const outcome = yield* pollToEnd(yield* watchOf(run, jobs, { ...submission, accepted }, undefined))
      return isFinal(outcome)
        ? yield* conclude(run, submission, outcome, state.submissions.length, true)
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

/** Whether somebody has written down a submission's end, and made another one behind it. */
export const isLeft = (state: SessionState, submissionId: string): boolean =>
  hasEnded(state, submissionId) && (jobsOf(state).length > 0 || openSubmissions(state).length > 0)

const hasEnded = (state: SessionState, submissionId: string): boolean =>
  state.submissions.some(({ closed, id }) => id === submissionId && closed?._tag === "Ended")

const conclude = (
  run: Run,
  submission: Submission,
  end: Final,
  submissions: number,
  settled: boolean
): Exit.Exit<RunResult, NonRetryable> =>
  end._tag === "Failed" ? Exit.fail(errorOf(run, end)) : Exit.succeed({
    answer: end.answer,
    provider: submission.sent.provider,
    strategy: submission.sent.strategy,
    submissions,
    resumed: !run.mine.includes(submission.id),
    passedOver: run.passedOver,
    settled
  })

const errorOf = (run: Run, { verdict }: Extract<Final, { readonly _tag: "Failed" }>): NonRetryable =>
  new NonRetryable({ reason: verdict.reason, session: run.spec.key, jobId: run.progress.jobId, ...run.before })

const settlementOf = (run: Run, submission: Submission, end: Final, state: SessionState): Settlement => {
  const jobId = submission.accepted?.jobId ?? (end._tag === "Succeeded" ? end.answer.responseId : undefined)
  const isIdOnly = submission.sent.journal === "ids-only"
  // What the provider no longer has cannot be fetched again; that it has not is all there is to keep.
  const isGone = end._tag === "Failed" && end.verdict.reason._tag === "JobExpired"
  if (isIdOnly && jobId !== undefined && !isGone) return { _tag: "Reference", jobId }
  if (end._tag === "Failed") {
    const error = errorOf(run, end)
    return {
      _tag: "Failed",
      error: isIdOnly ? withoutTexts(error) : error
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
      ...(run.passedOver.length === 0 ? {} : { passedOver: run.passedOver }),
      settled: true
    })
  }
}

const withoutTexts = (error: NonRetryable): NonRetryable => {
  const { passedOver, reason } = error
  return new NonRetryable({
    ...error,
    reason: withoutText(reason),
    ...(passedOver === undefined
      ? {}
      : { passedOver: passedOver.map(({ model, reason }) => ({ model, reason: withoutText(reason) })) })
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
