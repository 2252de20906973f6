/**
 * What to do about a submission whose fate the journal does not tell.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Network, SubmissionUncertain } from "../../errors/Reason.ts"
import { NonRetryable, type StrategyError } from "../../errors/StrategyError.ts"
import type { Lookup, Pending } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import { Accepted, type Submission } from "../../services/Session.ts"
import { monotonicMillis, restOf } from "./Deadlines.ts"
import { delaysOf } from "./Delays.ts"
import type { Doubts } from "./Doubts.ts"
import { isOpen, record } from "./Journaling.ts"
import { bounded } from "./Polling.ts"
import type { Run } from "./Run.ts"
import { jobsFor } from "./Settling.ts"
import { recordNotSubmitted } from "./Submitting.ts"

/** A lookup reads a list, and perhaps many results: it takes longer than a poll, and limits itself. */
const lookupTimeout = Duration.minutes(2)

/** The policy of a run for a submission of unknown fate. */
export const policyOf = (run: Run, strategy: Submission["sent"]["strategy"]): "fail" | "resubmit" => {
  if (run.order === undefined) return "fail"
  return run.order.request.onUncertainSubmit ??
    (strategy === "background" && run.spec.key !== undefined ? "fail" : "resubmit")
}

/**
 * Waits for the outcome of a submission that somebody else may be sending.
 * Succeeds with `true` when the journal has changed, and with `false` when
 * `submitTimeout` has passed since this process first saw the entry.
 */
export const awaitOutcome = Effect.fnUntraced(function*(
  run: Run,
  doubts: Doubts,
  submission: Submission
): Effect.fn.Return<boolean, StrategyError> {
  if (doubts.lost.has(submission.id)) return false
  if (doubts.unsent.has(submission.id)) {
    yield* close(run, submission, "The request was not sent, as the store did not say that its entry was written")
    doubts.unsent.delete(submission.id)
    return true
  }
  const nextDelay = yield* delaysOf(run.spec.poll)
  const waiting: Pending = { _tag: "Pending", status: "submitting", phase: "queued" }
  let renewals = submission.renewals
  run.update({ phase: "submit", status: "waiting for a submission" })
  while (true) {
    const now = yield* monotonicMillis
    const seen = doubts.seen.get(submission.id)
    const since = seen?.renewals === renewals ? seen.since : now
    doubts.seen.set(submission.id, { renewals, since })
    const left = since + submission.sent.submitTimeout - now
    if (left <= 0) break
    const delay = Option.getOrElse(yield* nextDelay(waiting), () => left)
    yield* Effect.sleep(restOf(Math.min(delay, left)))
    const { state } = yield* Effect.mapError(run.spec.journal.load, (error) => run.unavailable(error))
    const found = state.submissions.find(({ id }) => id === submission.id)
    if (
      found === undefined || found.accepted !== undefined || found.closed !== undefined || state.settled !== undefined
    ) {
      doubts.seen.delete(submission.id)
      return true
    }
    renewals = found.renewals
  }
  doubts.seen.delete(submission.id)
  doubts.lost.set(submission.id, undefined)
  return false
})

/**
 * Resolves a submission of unknown fate: by a lookup at the provider, where it
 * has one, else by policy. Succeeds with `true` when the journal now tells
 * more, or may do so by now, and with `false` when the policy allows another
 * submission.
 */
export const resolve = Effect.fnUntraced(function*(
  run: Run,
  doubts: Doubts,
  providers: Providers["Service"],
  submission: Submission
): Effect.fn.Return<boolean, StrategyError> {
  const lookup = yield* lookUp(run, providers, submission)
  if (lookup._tag === "Absent") {
    yield* close(run, submission, "The provider has no job of this submission")
    return true
  }
  if (lookup._tag === "Found") {
    yield* recordFound(run, submission, lookup.jobId)
    return true
  }
  // The lookup may have taken long enough for others to find out.
  const { state } = yield* Effect.mapError(run.spec.journal.load, (error) => run.unavailable(error))
  if (!isOpen(state, submission.id)) return true
  if (policyOf(run, submission.sent.strategy) === "resubmit") return false
  if (lookup._tag === "Undecided") {
    run.update({ phase: "submit", status: "looking for a submission" })
    yield* Effect.sleep(lookup.again)
    return true
  }
  const cause = doubts.lost.get(submission.id)?.verdict.reason
  return yield* new NonRetryable({
    reason: new SubmissionUncertain({
      message: cause === undefined
        ? "A submission was sent, and its outcome is not known"
        : `A submission was sent, and its outcome is not known: ${cause.message}`.slice(0, 2000),
      submissionId: submission.id,
      status: cause?.status,
      code: cause?.code,
      requestId: cause?.requestId,
      provider: submission.sent.provider
    }),
    session: run.spec.key
  })
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

const lookUp = Effect.fnUntraced(function*(
  run: Run,
  providers: Providers["Service"],
  submission: Submission
): Effect.fn.Return<Lookup, StrategyError> {
  if (submission.sent.strategy !== "background") return { _tag: "Unknown" }
  const jobs = yield* jobsFor(run, providers, submission)
  if (jobs?.find === undefined) return { _tag: "Unknown" }
  return yield* bounded(jobs.find(submission.id, submission.sent.at), lookupTimeout, "lookup").pipe(
    // Spans keep logs, and what the provider says may quote the prompt.
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
})
