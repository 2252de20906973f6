/**
 * How far a job is: by time, by polls, or by command.
 *
 * @since 0.1.0
 */
import type { JobAction } from "./Script.ts"

/**
 * Where a job is.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase = "queued" | "running" | "ended" | "cancelled"

/**
 * The progress of one job. Times are milliseconds since the epoch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  readonly createdAt: number
  readonly queuedUntil: number
  readonly endsAt: number
  /** The poll that sees the end, counted from 1; `undefined` when time decides. */
  readonly polls: number | undefined
  readonly stuck: "queued" | "running" | undefined
  polled: number
  endedAt: number | undefined
  cancelledAt: number | undefined
  readonly watchers: Set<() => void>
}

/**
 * Creates the progress of a job that was accepted at `now`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (now: number, pace: {
  readonly queuedMillis: number
  readonly durationMillis: number
  readonly polls: number | undefined
  readonly action: JobAction | undefined
}): Progress => {
  const { action } = pace
  const duration = action?.durationMillis ?? pace.durationMillis
  // A duration in the script asks for time, whatever the default is.
  const polls = action?.polls ?? (action?.durationMillis === undefined ? pace.polls : undefined)
  return {
    createdAt: now,
    queuedUntil: now + Math.min(action?.queuedMillis ?? pace.queuedMillis, duration),
    endsAt: now + duration,
    // The poll that would see an expired job end no longer finds it.
    polls: polls !== undefined && action?.outcome === "expired" ? polls + 1 : polls,
    stuck: action?.outcome === "stuck-queued"
      ? "queued"
      : action?.outcome === "stuck-in-progress"
      ? "running"
      : undefined,
    polled: 0,
    endedAt: undefined,
    cancelledAt: undefined,
    watchers: new Set()
  }
}

/**
 * Returns where a job is at `now`, and fixes its end when it has come.
 *
 * @category combinators
 * @since 0.1.0
 */
export const phase = (progress: Progress, now: number): Phase => {
  if (progress.endedAt !== undefined) return "ended"
  if (progress.cancelledAt !== undefined) return "cancelled"
  if (progress.stuck !== undefined) {
    return progress.stuck === "running" && (progress.polled > 0 || now >= progress.queuedUntil) ? "running" : "queued"
  }
  if (progress.polls !== undefined) {
    if (progress.polled < progress.polls) return progress.polled === 0 ? "queued" : "running"
    progress.endedAt = now
    return "ended"
  }
  if (now < progress.endsAt) return now < progress.queuedUntil ? "queued" : "running"
  progress.endedAt = progress.endsAt
  return "ended"
}

/**
 * Ends a job now, unless it has ended or was cancelled. Returns whether it did.
 *
 * @category combinators
 * @since 0.1.0
 */
export const end = (progress: Progress, now: number): boolean => {
  const current = phase(progress, now)
  if (current === "ended" || current === "cancelled") return false
  progress.endedAt = now
  wake(progress)
  return true
}

/**
 * Cancels a job now, unless it has ended or was cancelled. Returns whether it did.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cancel = (progress: Progress, now: number): boolean => {
  const current = phase(progress, now)
  if (current === "ended" || current === "cancelled") return false
  progress.cancelledAt = now
  wake(progress)
  return true
}

/**
 * Tells the open streams of a job to look at it again.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wake = (progress: Progress): void => {
  for (const watcher of [...progress.watchers]) watcher()
}
