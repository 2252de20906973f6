/**
 * Submissions whose outcome the journal does not hold: waits for their senders, and looks for their jobs.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import type { ProviderError } from "../../errors/ProviderError.ts"
import { Network } from "../../errors/Reason.ts"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { Lookup, Pending } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import { Accepted, type SessionState, type Submission } from "../../services/Session.ts"
import { monotonicMillis, restOf } from "./MonotonicTime.ts"
import { BoundedMap } from "./BoundedMap.ts"
import { isOpen, record } from "./Journaling.ts"
import type { Run } from "./Run.ts"
import { nextDelay } from "./ScheduleSteps.ts"
import { jobsFor } from "./Settling.ts"
import { recordNotSubmitted } from "./Submitting.ts"
import { bounded } from "./WaitingJob.ts"

/** What a process remembers of submissions without an outcome, whichever process sent them. */
export interface UncertainSubmissions {
  /** When an entry was first seen, and how often its sender had renewed it; monotonic time in milliseconds. */
  readonly seen: Map<string, { readonly renewals: number; readonly since: number }>
  /** Submissions whose sender need not be waited for, with the failure, if it happened in this process. */
  readonly lost: Map<string, ProviderError | undefined>
  /** Submissions that were not sent, because the store did not confirm their entry, which may be there all the same. */
  readonly unsent: Map<string, true>
}

/** Submissions that are remembered of each kind. A submission that was forgotten counts as sent by another process. */
const mostRemembered = 10_000

export const make = (): UncertainSubmissions => ({
  seen: new BoundedMap(mostRemembered),
  lost: new BoundedMap(mostRemembered),
  unsent: new BoundedMap(mostRemembered)
})

/** Forgets the submissions whose outcome is in the journal, or whose session is settled. */
export const forgetResolved = (
  { lost, seen }: UncertainSubmissions,
  { settled, submissions }: SessionState
): void => {
  if (lost.size + seen.size === 0) return
  for (const { accepted, closed, id } of submissions) {
    if (settled === undefined && accepted === undefined && closed === undefined) continue
    lost.delete(id)
    seen.delete(id)
  }
}

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
