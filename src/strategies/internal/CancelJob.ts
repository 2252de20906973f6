/**
 * Asks a provider to stop a job, and says so in the journal first.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Result from "effect/Result"
import type { ProviderError, Verdict } from "../../errors/ProviderError.ts"
import { JobCancelled } from "../../errors/Reason.ts"
import type { JobsApi, JobState, Outcome } from "../../services/Provider.ts"
import { type AcceptedSubmission, CancelRequested } from "../../services/Session.ts"
import { record, type SessionJournal } from "./Journal.ts"
import { bounded } from "./JobLook.ts"
import { recordEnd } from "./SubmissionRecords.ts"

/** How long a cancel may take, its journal entry included; the next run tries again. */
const cancelTimeout = Duration.seconds(5)

/** How much of it the entry may take: without it, the provider is asked all the same. */
const entryTimeout = Duration.seconds(3)

/**
 * Cancels a job. Succeeds with the job's state after it, or with `undefined`
 * when the cancel did not get through; the journal then still asks for it.
 */
export const cancelJob = (
  journal: SessionJournal,
  jobs: JobsApi,
  job: AcceptedSubmission,
  forFallback = false
): Effect.Effect<JobState | undefined> =>
  Effect.map(
    requestCancel(journal, jobs, job, forFallback),
    (result) => result._tag === "Success" ? result.success : undefined
  )

/**
 * Cancels a job that the session does not wait for. Once it is over, that is written down as the submission's end, so
 * that no later run needs to try again.
 */
export const cancelSurplus = (
  journal: SessionJournal,
  jobs: JobsApi,
  job: AcceptedSubmission
): Effect.Effect<void> =>
  Effect.flatMap(requestCancel(journal, jobs, job, false), (result) => {
    const reason = result._tag === "Success"
      ? result.success._tag === "Ended" ? endOf(result.success.outcome) : undefined
      : result.failure?.verdict.reason._tag === "NotFound"
      ? result.failure.verdict.reason
      : undefined
    return reason === undefined
      ? Effect.void
      : Effect.ignore(recordEnd(journal, job.id, reason), { log: "Warn" })
  })

/** Fails with `undefined` when there was no time, or when what has to be known of the cancel could not be written. */
const requestCancel = (
  journal: SessionJournal,
  jobs: JobsApi,
  job: AcceptedSubmission,
  forFallback: boolean
): Effect.Effect<Result.Result<JobState, ProviderError | undefined>> => {
  const ask = bounded(jobs.cancel(job.accepted.jobId, job.id), cancelTimeout, "cancel").pipe(
    // Spans keep logs, and what the provider says may quote the prompt.
    Effect.tapError(({ verdict: { reason } }) =>
      Effect.logWarning("The job could not be cancelled", {
        jobId: job.accepted.jobId,
        reason: reason._tag,
        status: reason.status
      })
    )
  )
  return recordCancel(journal, job.id, forFallback).pipe(
    Effect.timeout(entryTimeout),
    Effect.tapError((error) => Effect.logWarning("The cancel of a job could not be journaled", error.message)),
    // Who does not know that it was cancelled for the next model takes it for the end of the session.
    Effect.catch(() => forFallback ? Effect.fail(undefined) : Effect.void),
    Effect.andThen(ask),
    Effect.timeoutOrElse({ duration: cancelTimeout, orElse: () => Effect.fail(undefined) }),
    Effect.result
  )
}

const endOf = (outcome: Outcome): Verdict["reason"] =>
  outcome._tag === "Failed" ? outcome.verdict.reason : new JobCancelled({
    message: "The job had completed before it could be cancelled, and nothing waited for it",
    usage: outcome.answer.usage
  })

/** Writes down that somebody wants a submission's job stopped: for good, or so that the next model can be asked. */
export const recordCancel = (journal: SessionJournal, submissionId: string, forFallback = false) =>
  record(journal, (state, at) => {
    const submission = state.submissions.find(({ id }) => id === submissionId)
    return submission !== undefined &&
        (!submission.cancelRequested || (submission.forFallback === true && !forFallback))
      ? CancelRequested.make({ at, submissionId, ...(forFallback ? { forFallback } : {}) })
      : undefined
  })
