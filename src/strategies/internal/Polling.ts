/**
 * Waits for a job: polls until it has ended, whatever the polls run into.
 */
import * as Duration from "effect/Duration"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidResponse, JobExpired, Network } from "../../errors/Reason.ts"
import { Retryable, type StrategyError, Timeout } from "../../errors/StrategyError.ts"
import type { JobsApi, JobState, Outcome, Pending } from "../../services/Provider.ts"
import type { AcceptedSubmission } from "../../services/Session.ts"
import { monotonicMillis, restOf } from "./Deadlines.ts"
import { delaysOf } from "./Delays.ts"
import { follow } from "./Following.ts"
import { told } from "./Hints.ts"
import type { Run } from "./Run.ts"

/** A question about a job that has not been answered for this long is given up. */
export const pollTimeout = Duration.seconds(30)

/** A job that the provider does not know is looked for this long, milliseconds. */
const missingMillis = 60_000

/** Polls may be refused for this long before that ends the run, milliseconds. */
const deniedMillis = 300_000

/**
 * Polls a job to its end.
 *
 * Fails, and leaves the session unsettled, when the status is unknown, when
 * the provider refuses polls for five minutes, when the answer is too large, when it does not know the job
 * for a minute although it should still keep it, when `queuedDeadline` passes
 * or the poll schedule ends. Every other failure of a poll is waited out.
 */
export const pollToEnd = (watch: Watch): Effect.Effect<Outcome, StrategyError> =>
  Effect.suspend(() => {
    const { first } = watch
    watch.first = undefined
    return first === undefined ? poll(watch) : heed(watch, first)
  })

/**
 * A job that is polled, and what the polls have found so far. Nothing else of a job is kept from one poll to the
 * next: a generator would be kept with all that it ever held.
 */
export interface Watch {
  readonly run: Run
  readonly jobs: JobsApi
  readonly job: AcceptedSubmission
  /** The job's state, when it is known before the first poll. */
  first: JobState | undefined
  readonly nextDelay: Effect.Success<ReturnType<typeof delaysOf<Pending>>>
  readonly startedAt: number
  pending: Pending
  /** The provider has said something of the job. */
  isKnown: boolean
  /** When the provider certainly had the job; monotonic time in milliseconds. */
  seenAt: number | undefined
  /** The stream that the job was started with has been read. */
  isStreamTaken: boolean
  /** It was cancelled after it had been queued for too long: now its end is waited for, however long it is queued. */
  isLeft: boolean
  /** The provider does not open the job's stream any more. */
  isStreamRefused: boolean
  missingSince: number | undefined
  deniedSince: number | undefined
  queuedSince: number | undefined
}

/** Begins the polls of a job. */
export const watchOf = (
  run: Run,
  jobs: JobsApi,
  job: AcceptedSubmission,
  first: JobState | undefined
): Effect.Effect<Watch> =>
  Effect.zipWith(delaysOf(run.spec.poll), monotonicMillis, (nextDelay, startedAt) => ({
    run,
    jobs,
    job,
    first,
    nextDelay,
    startedAt,
    pending: { _tag: "Pending", status: "unknown", phase: run.progress.phase === "queued" ? "queued" : "running" },
    isKnown: false,
    seenAt: run.mine.includes(job.id) ? startedAt : undefined,
    isLeft: false,
    isStreamTaken: false,
    isStreamRefused: false,
    missingSince: undefined,
    deniedSince: undefined,
    queuedSince: startedAt
  }))

const poll = (watch: Watch): Effect.Effect<Outcome, StrategyError> =>
  Effect.flatMap(retrieve(watch), (state) => heed(watch, state))

/** Polls once. `undefined` when the poll failed in a way that can be waited out. */
const retrieve = Effect.fnUntraced(function*(watch: Watch): Effect.fn.Return<JobState | undefined, StrategyError> {
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
  if (missingSince !== undefined) {
    const kept = job.sent.store ? jobs.retention.stored : jobs.retention.unstored
    // Only between two processes must the wall clock do.
    const age = watch.seenAt === undefined
      ? (yield* Clock.currentTimeMillis) - job.accepted.at
      : now - watch.seenAt
    if (age > Duration.toMillis(kept)) return { _tag: "Ended", outcome: expired(jobId, kept, result.failure) }
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

/** Ends with the state that was found, or waits and polls again. */
const heed = (watch: Watch, state: JobState | undefined): Effect.Effect<Outcome, StrategyError> => {
  const { job: { accepted: { jobId } }, run } = watch
  switch (state?._tag) {
    case "Ended":
      return Effect.succeed(state.outcome)
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
      run.update({ phase: state.phase, status: state.status, jobId })
  }
  // A poll that failed says nothing of the stream.
  const following = state === undefined ? undefined : follow(watch)
  if (following === undefined) return waitAndPoll(watch)
  return Effect.flatMap(following, ({ isDue, outcome }) => {
    if (outcome !== undefined) return Effect.succeed(outcome)
    return isDue ? poll(watch) : waitAndPoll(watch)
  })
}

const waitAndPoll = (watch: Watch): Effect.Effect<Outcome, StrategyError> =>
  Effect.flatMap(delayOf(watch), (delay) =>
    // `Effect.sleep` would be kept, with all that it is made of, as long as it sleeps.
    Clock.clockWith((clock) => {
      const sleep = clock.sleep(delay)
      return Effect.flatMap(watch.run.isHinted ? Effect.raceFirst(sleep, told(watch)) : sleep, pollOf(watch))
    }))

// Not made where it is used, as all that is in sight there would be kept with it.
const pollOf = (watch: Watch) => () => poll(watch)

/** How long to wait before the next poll. Fails when the wait has come to its end. */
const delayOf = Effect.fnUntraced(function*(watch: Watch): Effect.fn.Return<Duration.Duration, Timeout> {
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
  const delay = yield* watch.nextDelay(pending)
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
  return Duration.min(Duration.millis(delay.value), restOf(left))
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
