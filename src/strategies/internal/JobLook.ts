/**
 * Looks at a job once, and judges what the poll found, whatever the poll ran into.
 */
import * as Duration from "effect/Duration"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ProviderError, type Verdict } from "../../errors/ProviderError.ts"
import { InvalidResponse, JobExpired, Network } from "../../errors/Reason.ts"
import { Retryable, type StrategyError, Timeout } from "../../errors/StrategyError.ts"
import type { JobState, Outcome } from "../../services/Provider.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import { follow } from "./JobStream.ts"
import { nextDelay } from "./ScheduleSteps.ts"
import { ofPoll } from "./StreamEnd.ts"
import type { WaitingJob } from "./WaitingJob.ts"

/** A question about a job that has not been answered for this long is given up. */
export const pollTimeout = Duration.seconds(30)

/** A job that the provider does not know is looked for this long, milliseconds. */
const missingMillis = 60_000

/** Polls may be refused for this long before that ends the run, milliseconds. */
const deniedMillis = 300_000

/** What a look at a job found: its outcome, or how long to wait before the next look, in milliseconds. */
export type Look =
  | { readonly _tag: "Ended"; readonly outcome: Outcome }
  | { readonly _tag: "Waiting"; readonly delay: number }

/**
 * Looks at a job: judges the state that is known already, or polls once, and reads its stream where there is one.
 *
 * Fails, and leaves the session unsettled, when the status is unknown, when the provider refuses polls for five minutes,
 * when its answer is too large, when it does not know the job for a minute although it should still keep it, when `queuedDeadline` passes or the poll
 * schedule ends. Every other failure of a poll is waited out.
 */
export const look = (job: WaitingJob): Effect.Effect<Look, StrategyError> =>
  Effect.suspend(() => {
    const { first } = job
    job.first = undefined
    return first === undefined ? poll(job) : judge(job, first)
  })

const poll = (watch: WaitingJob): Effect.Effect<Look, StrategyError> =>
  Effect.flatMap(retrieve(watch), (state) => judge(watch, state))

/** Polls once. `undefined` when the poll failed in a way that can be waited out. */
const retrieve = Effect.fnUntraced(function*(watch: WaitingJob): Effect.fn.Return<JobState | undefined, StrategyError> {
  const { job, jobs, run } = watch
  const { jobId } = job.accepted
  run.update({ polls: run.progress.polls + 1 })
  const result = yield* Effect.result(bounded(jobs.retrieve(jobId, job.id), pollTimeout, "poll"))
  const now = yield* monotonicMillis
  if (result._tag === "Success") {
    watch.isKnown = true
    watch.seenAt = now
    watch.missingSince = undefined
    watch.deniedSince = undefined
    return result.success
  }
  const { verdict } = result.failure
  const tag = verdict.reason._tag
  const missingSince = watch.missingSince = tag === "NotFound" ? watch.missingSince ?? now : undefined
  const deniedSince = watch.deniedSince = tag === "AuthenticationFailed" || tag === "PermissionDenied"
    ? watch.deniedSince ?? now
    : undefined
  const { hint } = watch
  if (hint !== undefined && (isUnconfirmable(hint, verdict) || now - (missingSince ?? now) >= missingMillis)) {
    watch.isEmpty = true
    return { _tag: "Ended", outcome: hint }
  }
  if (missingSince !== undefined) {
    const kept = job.sent.store ? jobs.retention.stored : jobs.retention.unstored
    // Only between two processes must the wall clock do.
    const age = watch.seenAt === undefined
      ? (yield* Clock.currentTimeMillis) - job.accepted.at
      : now - watch.seenAt
    if (age > Duration.toMillis(kept) && watch.hint === undefined) {
      return { _tag: "Ended", outcome: expired(jobId, kept, result.failure) }
    }
  }
  // Every poll would read as much.
  if (tag === "ResponseTooLarge") return yield* run.failure(result.failure)
  if (
    (missingSince !== undefined && now - missingSince >= missingMillis) ||
    (deniedSince !== undefined && now - deniedSince >= deniedMillis)
  ) {
    return yield* run.failure(result.failure)
  }
  watch.pending = { ...watch.pending, pollAfter: verdict._tag === "Retryable" ? verdict.retryAfter : undefined }
  return undefined
})

/**
 * Whether no poll will say more of an end: the server refuses it for good, and either the stream has emitted an answer, or
 * the server ignores `background` and has no job.
 */
const isUnconfirmable = (hint: Outcome, verdict: Verdict): boolean =>
  verdict._tag === "NonRetryable" && (hint._tag === "Succeeded" || hint.ignoredBackground === true)

/**
 * Judges the state that was found; `undefined` when the poll failed in a way that is waited out. An end that only the
 * stream reports is polled first.
 */
const judge = (watch: WaitingJob, state: JobState | undefined): Effect.Effect<Look, StrategyError> => {
  const { job: { accepted: { jobId } }, run } = watch
  switch (state?._tag) {
    case "Ended": {
      const outcome = ofPoll(state.outcome, watch)
      if (outcome !== undefined) return Effect.succeed({ _tag: "Ended", outcome })
      watch.isEmpty = true
      const hint = watch.hint = watch.hint?._tag === "Succeeded" ? watch.hint : state.outcome
      // The schedule may have no poll left.
      return Effect.orElseSucceed(waiting(watch), (): Look => ({ _tag: "Ended", outcome: hint }))
    }
    case "Unknown":
      return Effect.fail(
        new Retryable({
          reason: unknownStatus(state.status),
          attempts: run.progress.attempts,
          session: run.spec.key,
          jobId
        })
      )
    case "Pending":
      watch.pending = state
      run.noteStatus(state, jobId, watch.isOwn)
      if (watch.hint !== undefined) {
        // The stream was wrong, and may be wrong again at once.
        watch.hint = undefined
        return waiting(watch)
      }
  }
  // A poll that failed says nothing of the stream.
  const following = state === undefined ? undefined : follow(watch)
  if (following === undefined) return waiting(watch)
  return Effect.flatMap(following, ({ end, isDue }): Effect.Effect<Look, StrategyError> => {
    if (end?._tag === "Certain") return Effect.succeed({ _tag: "Ended", outcome: end.outcome })
    watch.hint = end?.outcome
    return isDue || end !== undefined ? poll(watch) : waiting(watch)
  })
}

const waiting = (watch: WaitingJob): Effect.Effect<Look, Timeout> =>
  Effect.map(delayOf(watch), (delay) => ({ _tag: "Waiting", delay }))

/** How long to wait before the next poll, in milliseconds. Fails when the longest wait is over. */
const delayOf = Effect.fnUntraced(function*(watch: WaitingJob): Effect.fn.Return<number, Timeout> {
  const { job, pending, run, startedAt } = watch
  const { key, queuedDeadline } = run.spec
  const now = yield* monotonicMillis
  const isQueued = pending.phase === "queued"
  if (isQueued) watch.queuedSince ??= now
  // As long as the provider has not said otherwise, it may have been queued from the beginning.
  else if (watch.isKnown) watch.queuedSince = undefined
  const left = !isQueued || watch.queuedSince === undefined || queuedDeadline === undefined || watch.isLeft
    ? Infinity
    : watch.queuedSince + Duration.toMillis(queuedDeadline) - now
  const delay = yield* nextDelay(watch.steps, pending)
  if (delay._tag === "None" || left <= 0) {
    const elapsed = Duration.millis(now - startedAt)
    return yield* new Timeout({
      deadline: left <= 0 && queuedDeadline !== undefined ? queuedDeadline : elapsed,
      elapsed,
      phase: pending.phase,
      session: key,
      jobId: job.accepted.jobId
    })
  }
  return Math.min(delay.value, Math.max(left, 0.001))
})

/** Gives up an exchange after a while, as a connection that hangs. */
export const bounded = <A>(
  exchange: Effect.Effect<A, ProviderError>,
  duration: Duration.Duration,
  what: string
): Effect.Effect<A, ProviderError> =>
  Effect.timeoutOrElse(exchange, { duration, orElse: () => Effect.fail(unanswered(duration, what)) })

/** Neither a wait nor an end can be made of it. */
export const unknownStatus = (status: string): InvalidResponse =>
  new InvalidResponse({ message: `The job has a status that Holdfast does not know: ${status}` })

/** The error of an exchange that was given up. */
export const unanswered = (duration: Duration.Duration, what: string): ProviderError =>
  new ProviderError({
    verdict: {
      _tag: "Retryable",
      reason: new Network({ message: `No answer to the ${what} within ${Duration.format(duration)}` })
    },
    evidence: "Uncertain"
  })

const expired = (jobId: string, kept: Duration.Duration, { verdict }: ProviderError): Outcome => ({
  _tag: "Failed",
  verdict: {
    _tag: "NonRetryable",
    reason: new JobExpired({
      message: `The provider keeps a job for ${Duration.format(kept)}, and no longer knows ${jobId}`,
      status: verdict.reason.status,
      code: verdict.reason.code,
      requestId: verdict.reason.requestId
    })
  }
})
