/**
 * Asks a provider to stop a job, and says so in the journal first.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Verdict } from "../../errors/ProviderError.ts"
import { JobCancelled } from "../../errors/Reason.ts"
import type { JobsApi, JobState, Outcome } from "../../services/Provider.ts"
import { type AcceptedSubmission, CancelRequested } from "../../services/Session.ts"
import { record, type SessionJournal } from "./Journaling.ts"
import { bounded } from "./Polling.ts"
import { recordEnd } from "./Submitting.ts"

/** How long a cancel may take, its journal entry included; the next run tries again. */
const cancelTimeout = Duration.seconds(5)

/**
 * Cancels a job. Succeeds with the job's state after it, or with `undefined`
 * when the cancel did not get through; the journal then still asks for it.
 */
export const cancelJob = (
  journal: SessionJournal,
  jobs: JobsApi,
  job: AcceptedSubmission
): Effect.Effect<JobState | undefined> =>
  Effect.gen(function*() {
    yield* Effect.ignore(recordCancel(journal, job.id), { log: "Warn" })
    return yield* bounded(jobs.cancel(job.accepted.jobId, job.id), cancelTimeout, "cancel").pipe(
      Effect.catchTag("ProviderError", (error) =>
        Effect.as(
          Effect.logWarning("The job could not be cancelled", { jobId: job.accepted.jobId, error: error.message }),
          undefined
        ))
    )
  }).pipe(
    Effect.timeoutOrElse({ duration: cancelTimeout, orElse: () => Effect.undefined })
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
  Effect.flatMap(cancelJob(journal, jobs, job), (after) =>
    after?._tag === "Ended"
      ? Effect.ignore(recordEnd(journal, job.id, endOf(after.outcome)), { log: "Warn" })
      : Effect.void)

const endOf = (outcome: Outcome): Verdict["reason"] =>
  outcome._tag === "Failed" ? outcome.verdict.reason : new JobCancelled({
    message: "The job had completed before it could be cancelled, and nothing waited for it",
    usage: outcome.answer.usage
  })

/** Writes down that somebody wants a submission's job stopped. */
export const recordCancel = (journal: SessionJournal, submissionId: string) =>
  record(
    journal,
    (state, at) =>
      state.submissions.some((submission) => submission.id === submissionId && !submission.cancelRequested)
        ? CancelRequested.make({ at, submissionId })
        : undefined
  )
