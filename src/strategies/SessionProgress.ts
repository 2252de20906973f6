/**
 * Watches a session, whoever runs it.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import type { StrategyError } from "../errors/StrategyError.ts"
import { monotonicMillis } from "./internal/MonotonicTime.ts"
import type { SessionRuns } from "./SessionRuns.ts"
import type { SessionInfo, Sessions } from "./Sessions.ts"

/**
 * What a watcher of a session sees.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionProgress {
  readonly session: string
  /** The provider's word for the job's status, or what the run does before there is one. */
  readonly status: string
  readonly jobId: string | undefined
  /** From the moment the watcher came. */
  readonly elapsed: Duration.Duration
  /** Polls sent by the run that is watched; 0 when another process runs the session. */
  readonly polls: number
}

/**
 * Creates a stream of a session's progress, now and at each change.
 *
 * **Details**
 *
 * A run in this process is followed at every step, and the stream ends with
 * it. Else the journal is read once a second until it has nothing to wait for.
 *
 * **Errors**
 *
 * As `Sessions.inspect`, when no run of this process has the session.
 *
 * @category constructors
 * @since 0.1.0
 */
export const watch = (
  runs: SessionRuns["Service"],
  sessions: Sessions["Service"],
  session: string
): Stream.Stream<SessionProgress, StrategyError> =>
  Stream.unwrap(Effect.gen(function*() {
    const startedAt = yield* monotonicMillis
    const timed = (progress: Omit<SessionProgress, "session" | "elapsed">): Effect.Effect<SessionProgress> =>
      Effect.map(monotonicMillis, (now) => ({
        session,
        elapsed: Duration.millis(now - startedAt),
        jobId: progress.jobId,
        polls: progress.polls,
        status: progress.status
      }))
    const running = runs.progress(session)
    return running === undefined
      ? fromJournal(sessions, session).pipe(Stream.mapEffect(timed))
      : running.pipe(Stream.mapEffect(timed))
  }))

const fromJournal = (
  sessions: Sessions["Service"],
  session: string
): Stream.Stream<Omit<SessionProgress, "session" | "elapsed">, StrategyError> =>
  Stream.fromEffectSchedule(sessions.inspect(session), Schedule.spaced("1 second")).pipe(
    Stream.changesWith((a, b) => a.state === b.state && a.submissions.length === b.submissions.length),
    Stream.takeUntil((info) => info.state !== "running" && info.state !== "submitting"),
    Stream.map((info) => ({ status: info.state, jobId: jobIdOf(info), polls: 0 }))
  )

const jobIdOf = (info: SessionInfo): string | undefined =>
  info.submissions.find((submission) => submission.state === "accepted")?.jobId
