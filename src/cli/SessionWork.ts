/**
 * What `holdfast sessions` does with sessions. Its commands import it when
 * they run.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { StrategyError } from "../errors/StrategyError.ts"
import * as Holdfast from "../Holdfast.ts"
import { failureOf, type SessionStatus } from "../services/Session.ts"
import * as SessionStore from "../services/SessionStore.ts"
import * as Cost from "../strategies/Cost.ts"
import { SessionInfo } from "../strategies/Sessions.ts"
import * as Engine from "./Engine.ts"
import type { NextCommands } from "./NextCommands.ts"
import type { Listed } from "./SessionView.ts"

export { SessionInfo } from "../strategies/Sessions.ts"
export { details, table, uncertainNote } from "./SessionView.ts"

/**
 * Schema for a list of sessions: each as it is, or why it cannot be read.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Listing = Schema.Array(
  Schema.Union([SessionInfo, Schema.Struct({ session: Schema.String, error: StrategyError })])
)

/**
 * Returns the sessions of a folder, the newest submission first: all of them,
 * or those with one of `statuses`. A folder that is not there has none, and is
 * not made.
 *
 * @category combinators
 * @since 0.1.0
 */
export const list = Effect.fnUntraced(function*(directory: string, statuses: ReadonlyArray<SessionStatus>) {
  const fs = yield* FileSystem.FileSystem
  if (!(yield* Effect.orElseSucceed(fs.exists(directory), () => true))) return []
  return yield* Effect.gen(function*() {
    const store = yield* SessionStore.SessionStore
    const keys = yield* Effect.mapError(Stream.runCollect(store.list), Engine.fromStore)
    const sessions = yield* Effect.forEach(
      keys,
      (session): Effect.Effect<Listed | undefined, never, Holdfast.Holdfast> =>
        Effect.catch(Holdfast.inspect(session), (error) =>
          Effect.succeed(
            error._tag === "NonRetryable" && error.reason._tag === "SessionNotFound" ? undefined : { session, error }
          )),
      { concurrency: 8 }
    )
    const isMeant = (listed: Listed): boolean =>
      statuses.length === 0 || ("status" in listed && statuses.includes(listed.status))
    return sessions.filter((listed) => listed !== undefined).filter(isMeant).sort((a, b) => newest(b) - newest(a))
  }).pipe(Engine.withSessions(directory))
})

/**
 * Schema for what became of a session, and what it has cost.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Shown = Schema.Struct({ ...SessionInfo.fields, cost: Cost.SessionCost })

/**
 * Returns what became of a session, and what it has cost.
 *
 * @category combinators
 * @since 0.1.0
 */
export const show = (directory: string, session: string) =>
  Effect.flatMap(
    Holdfast.inspect(session).pipe(Engine.withSessions(directory)),
    (info) => Effect.map(Cost.ofSession(info), (cost): typeof Shown.Type => ({ ...info, cost }))
  )

/**
 * Asks for a session's job to be stopped.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cancel = (directory: string, session: string) =>
  Holdfast.cancel(session).pipe(Engine.withSessions(directory))

/**
 * Removes a session.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forget = (directory: string, session: string, force: boolean) =>
  Holdfast.forget(session, { force }).pipe(Engine.withSessions(directory))

/**
 * Gives a session the id of its job.
 *
 * @category combinators
 * @since 0.1.0
 */
export const adopt = (directory: string, session: string, jobId: string) =>
  Holdfast.adopt(session, jobId).pipe(Engine.withSessions(directory))

/**
 * Allows another submission in place of a session's uncertain one.
 *
 * @category combinators
 * @since 0.1.0
 */
export const resubmit = (directory: string, session: string) =>
  Holdfast.resubmit(session).pipe(Engine.withSessions(directory))

/**
 * Removes old sessions, and returns how many.
 *
 * @category combinators
 * @since 0.1.0
 */
export const prune = (directory: string, olderThan: Duration.Duration, statuses: ReadonlyArray<SessionStatus>) =>
  SessionStore.prune(statuses.length === 0 ? { olderThan } : { olderThan, statuses }).pipe(
    Effect.mapError(Engine.fromStore),
    Engine.withSessions(directory)
  )

/**
 * Returns what a cancel has come to.
 *
 * @category combinators
 * @since 0.1.0
 */
export const afterCancel = ({ session, settlement, status }: SessionInfo, next: NextCommands): string => {
  if (settlement === undefined) {
    return status === "running" || status === "submitting" || status === "uncertain"
      ? `The cancel is noted, but the job has not ended yet. See how it stands with\n  ${next.show(session)}`
      : "No job is running. A run that waits to send again sends nothing more."
  }
  const reason = failureOf(settlement)
  if (reason === undefined) return `The job had finished before; get its answer with\n  ${next.resume(session)}`
  return reason._tag === "JobCancelled" ? "Cancelled." : `The job had ended before, with ${reason._tag}.`
}

const newest = (listed: Listed): number =>
  "error" in listed ? 0 : Math.max(0, ...listed.submissions.map(({ sentAt }) => DateTime.toEpochMillis(sentAt)))
