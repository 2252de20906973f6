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
import { monotonicMillis } from "./Deadlines.ts"
import { delaysOf } from "./Delays.ts"
import type { Run } from "./Run.ts"

/** One poll that has not been answered for this long is given up, and sent again. */
const pollTimeout = Duration.seconds(30)

/** A job that the provider does not know is looked for this long, milliseconds. */
const missingMillis = 60_000

/** Polls may be refused for this long before that ends the run, milliseconds. */
const deniedMillis = 300_000

/**
 * Polls a job to its end.
 *
 * Fails, and leaves the session unsettled, when the status is unknown, when
 * the provider refuses polls for five minutes, when it does not know the job
 * for a minute although it should still keep it, when `queuedDeadline` passes
 * or the poll schedule ends. Every other failure of a poll is waited out.
 */
export const pollToEnd = Effect.fnUntraced(function*(
  run: Run,
  jobs: JobsApi,
  job: AcceptedSubmission,
  first: JobState | undefined
): Effect.fn.Return<Outcome, StrategyError> {
  const jobId = job.accepted.jobId
  const about = { session: run.spec.key, jobId }
  const request = run.spec.order?.request
  const nextDelay = yield* delaysOf(run.spec.poll)
  const startedAt = yield* monotonicMillis
  let pending: Pending = {
    _tag: "Pending",
    status: "unknown",
    phase: run.progress.phase === "queued" ? "queued" : "running"
  }
  let missingSince: number | undefined
  let deniedSince: number | undefined
  let queuedSince: number | undefined
  let state = first

  while (true) {
    if (state === undefined) {
      run.update({ polls: run.progress.polls + 1 })
      const result = yield* Effect.result(bounded(jobs.retrieve(jobId, job.id), pollTimeout, "poll"))
      const now = yield* monotonicMillis
      if (result._tag === "Success") {
        state = result.success
        missingSince = undefined
        deniedSince = undefined
      } else {
        const { verdict } = result.failure
        const tag = verdict.reason._tag
        missingSince = tag === "NotFound" ? missingSince ?? now : undefined
        deniedSince = tag === "AuthenticationFailed" || tag === "PermissionDenied" ? deniedSince ?? now : undefined
        if (missingSince !== undefined) {
          const kept = job.sent.store ? jobs.retention.stored : jobs.retention.unstored
          const age = (yield* Clock.currentTimeMillis) - job.accepted.at
          if (age > Duration.toMillis(kept)) return expired(jobId, kept, result.failure)
        }
        if (
          (missingSince !== undefined && now - missingSince >= missingMillis) ||
          (deniedSince !== undefined && now - deniedSince >= deniedMillis)
        ) {
          return yield* run.failure(result.failure)
        }
        pending = { ...pending, pollAfter: verdict._tag === "Retryable" ? verdict.retryAfter : undefined }
      }
    }

    switch (state?._tag) {
      case "Ended":
        return state.outcome
      case "Unknown":
        return yield* new Retryable({
          reason: new InvalidResponse({ message: `The job has a status that Holdfast does not know: ${state.status}` }),
          attempts: run.progress.attempts,
          ...about
        })
      case "Pending":
        pending = state
        run.update({ phase: state.phase, status: state.status, jobId })
    }
    state = undefined

    const now = yield* monotonicMillis
    queuedSince = pending.phase === "queued" ? queuedSince ?? startedAt : undefined
    const left = queuedSince === undefined || request?.queuedDeadline === undefined
      ? Infinity
      : queuedSince + Duration.toMillis(request.queuedDeadline) - now
    const delay = yield* nextDelay(pending)
    if (delay._tag === "None" || left <= 0) {
      return yield* new Timeout({
        deadline: left <= 0 && request?.queuedDeadline !== undefined
          ? request.queuedDeadline
          : Duration.millis(now - startedAt),
        elapsed: Duration.millis(now - startedAt),
        phase: pending.phase,
        ...about
      })
    }
    yield* Effect.sleep(Duration.millis(Math.min(delay.value, left)))
  }
})

/** Gives up an exchange after a while, as a connection that hangs. */
export const bounded = <A>(
  exchange: Effect.Effect<A, ProviderError>,
  duration: Duration.Duration,
  what: string
): Effect.Effect<A, ProviderError> =>
  Effect.timeoutOrElse(exchange, {
    duration,
    orElse: () =>
      Effect.fail(
        new ProviderError({
          verdict: {
            _tag: "Retryable",
            reason: new Network({ message: `No answer to the ${what} within ${Duration.format(duration)}` })
          },
          evidence: "Uncertain"
        })
      )
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
