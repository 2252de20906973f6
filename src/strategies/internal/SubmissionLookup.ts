/**
 * Finds out what became of a submission whose outcome the journal does not hold: waits for its sender, and looks for its
 * job.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { Network } from "../../errors/Reason.ts"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { Lookup, Pending } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import { Accepted, type Submission } from "../../services/Session.ts"
import { monotonicMillis, restOf } from "./MonotonicTime.ts"
import type { UncertainSubmissions } from "./UncertainSubmissions.ts"
import { isOpen, record } from "./Journal.ts"
import type { Run } from "./Run.ts"
import { nextDelay } from "./ScheduleSteps.ts"
import { jobsFor } from "./Settlement.ts"
import { recordNotSubmitted } from "./SubmissionRecords.ts"
import { bounded } from "./JobLook.ts"

/** A lookup reads a list, and perhaps many results: it takes longer than a poll, and limits itself. */
const lookupTimeout = Duration.minutes(2)

/**
 * Waits until the journal holds the outcome of a submission that another run may be sending, or until `submitTimeout` has
 * passed since this process first saw the entry: then the submission counts as lost.
 */
export const awaitOutcome = Effect.fnUntraced(function*(
  run: Run,
  { lost, seen }: UncertainSubmissions,
  submission: Submission
): Effect.fn.Return<void, StrategyError> {
  const steps = yield* Schedule.toStep(run.spec.poll)
  const waiting: Pending = { _tag: "Pending", status: "submitting", phase: "queued" }
  let renewals = submission.renewals
  run.update({ phase: "submit", status: "waiting for a submission" })
  while (true) {
    const now = yield* monotonicMillis
    const known = seen.get(submission.id)
    const since = known?.renewals === renewals ? known.since : now
    seen.set(submission.id, { renewals, since })
    const left = since + submission.sent.submitTimeout - now
    if (left <= 0) break
    const delay = Option.getOrElse(yield* nextDelay(steps, waiting), () => left)
    yield* Effect.raceFirst(Effect.sleep(restOf(Math.min(delay, left))), run.wakes.next)
    const { state } = yield* Effect.mapError(run.spec.journal.load, (error) => run.unavailable(error))
    const found = state.submissions.find(({ id }) => id === submission.id)
    if (state.settled !== undefined || found === undefined || !isOpen(state, found.id)) {
      seen.delete(submission.id)
      return
    }
    renewals = found.renewals
  }
  seen.delete(submission.id)
  lost.set(submission.id, undefined)
})

/** Records that a submission was not sent. */
export const recordUnsent = (
  run: Run,
  { unsent }: UncertainSubmissions,
  submission: Submission
): Effect.Effect<void, StrategyError> =>
  Effect.andThen(
    close(run, submission, "The request was not sent, because the store did not confirm that its entry was written"),
    Effect.sync(() => unsent.delete(submission.id))
  )

/** Looks for a lost submission's job at the provider, where it has a lookup, and records what is certain. */
export const lookUp = Effect.fnUntraced(function*(
  run: Run,
  providers: Providers["Service"],
  submission: Submission
): Effect.fn.Return<Lookup, StrategyError> {
  const jobs = yield* jobsFor(run, providers, submission)
  if (jobs?.find === undefined) return { _tag: "Unknown" }
  const lookup = yield* bounded(jobs.find(submission.id, submission.sent.at), lookupTimeout, "lookup").pipe(
    // Spans keep logs, and the provider's message may quote the prompt.
    Effect.catchTag("ProviderError", ({ verdict: { reason } }) =>
      Effect.as(
        Effect.logWarning("A lost submission could not be looked up", {
          submissionId: submission.id,
          reason: reason._tag,
          status: reason.status
        }),
        { _tag: "Unknown" as const }
      ))
  )
  if (lookup._tag === "Absent") yield* close(run, submission, "The provider has no job of this submission")
  if (lookup._tag === "Found") yield* recordFound(run, submission, lookup.jobId)
  return lookup
})

const close = (run: Run, { id }: Submission, message: string): Effect.Effect<void, StrategyError> =>
  Effect.asVoid(
    Effect.mapError(
      recordNotSubmitted(run.spec.journal, id, new Network({ message })),
      (error) => run.unavailable(error)
    )
  )

const recordFound = (run: Run, { id }: Submission, jobId: string): Effect.Effect<void, StrategyError> =>
  record(
    run.spec.journal,
    (state, at) => isOpen(state, id) ? Accepted.make({ at, submissionId: id, jobId }) : undefined
  ).pipe(
    Effect.mapError((error) => run.unavailable(error)),
    Effect.asVoid
  )
