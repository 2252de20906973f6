/**
 * Cancels a session: its jobs, its submissions whose outcome is not known, and a run that waits to send again.
 */
import * as Effect from "effect/Effect"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { JobState } from "../../services/Provider.ts"
import { type AcceptedSubmission, CancelRequested, jobsOf, openSubmissions } from "../../services/Session.ts"
import { cancelJob, cancelSurplus, recordCancel } from "./CancelJob.ts"
import * as Decision from "./Decision.ts"
import { noJobs } from "./JobWait.ts"
import { record, type SessionJournal } from "./Journal.ts"
import { loadOwn } from "./Loop.ts"
import type { Run } from "./Run.ts"
import { jobsFor, settle } from "./Settlement.ts"
import type { RunContext } from "./RunContext.ts"

/**
 * Cancels the jobs of a session, those without an id yet included, and settles it when they have ended. A run that waits
 * to send again finds in the journal that it should not.
 */
export const cancelSession: (run: Run, shared: RunContext) => Effect.Effect<void, StrategyError> = Effect.fnUntraced(
  function*(run, shared) {
    const { journal } = run.spec
    const { state } = yield* loadOwn(run)
    if (state.settled !== undefined) return
    if (Decision.isEmpty(state)) return yield* run.refused(Decision.nothingToResume(state))
    if (Decision.lastFailure(state) !== undefined) {
      const after = yield* Effect.mapError(recordStop(journal), (error) => run.unavailable(error))
      // Another submission may have been made meanwhile.
      return Decision.lastFailure(after) === undefined ? yield* cancelSession(run, shared) : undefined
    }
    for (const { id } of [...jobsOf(state), ...openSubmissions(state)]) {
      yield* Effect.mapError(recordCancel(journal, id), (error) => run.unavailable(error))
    }
    for (const [index, job] of jobsOf(state).entries()) {
      run.update({ jobId: job.accepted.jobId })
      const jobs = yield* jobsFor(run, shared.providers, job)
      if (jobs === undefined) return yield* noJobs(run, job)
      // The end of a surplus job does not settle the session.
      if (index > 0) yield* cancelSurplus(journal, jobs, job)
      else yield* settleEnded(run, shared, job, yield* cancelJob(journal, jobs, job), state.submissions.length)
    }
  }
)

/** Settles the session with the job's end, if the job has ended. */
const settleEnded = (
  run: Run,
  shared: RunContext,
  job: AcceptedSubmission,
  after: JobState | undefined,
  submissions: number
): Effect.Effect<void> =>
  after?._tag === "Ended" && Decision.isFinal(after.outcome)
    ? Effect.ignore(settle({ run, shared, passedOver: [], submissions }, job, after.outcome))
    : Effect.void

/** Records that nothing more is to be sent after the last failure. */
const recordStop = (journal: SessionJournal) =>
  record(journal, (state, at) => {
    const last = Decision.lastFailure(state)
    return last === undefined || last.cancelRequested ? undefined : CancelRequested.make({ at, submissionId: last.id })
  })
