/**
 * Takes the unsettled sessions of a store to their ends.
 *
 * @since 0.1.0
 */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Result from "effect/Result"
import * as Semaphore from "effect/Semaphore"
import * as Stream from "effect/Stream"
import type { StrategyError } from "../errors/StrategyError.ts"
import type { LlmResponse } from "../services/LlmResponse.ts"
import type { Providers } from "../services/Providers.ts"
import { fold, jobsOf, statusOf } from "../services/Session.ts"
import type { SessionStore } from "../services/SessionStore.ts"
import { unavailable } from "./internal/Journal.ts"
import { retainedUntil } from "./internal/JobRetention.ts"
import type { SessionRuns } from "./SessionRuns.ts"

/**
 * Options for `recover`.
 *
 * @category options
 * @since 0.1.0
 */
export interface RecoverOptions {
  /**
   * Sessions that are looked at for the first time at the same time, 1 or more. All of them are waited for together.
   *
   * @default 64
   */
  readonly concurrency?: number | undefined
  /**
   * Longest time to wait for each session.
   *
   * @default "60 minutes"
   */
  readonly deadline?: Duration.Input | undefined
}

/**
 * What became of one session.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recovered {
  readonly session: string
  /** What `resume` came to: the answer, or why there is none. */
  readonly result: Result.Result<LlmResponse, StrategyError>
}

/**
 * Creates a stream that resumes every session that waits for a job or for the
 * outcome of a submission, and emits one result per session, in the order in
 * which they end.
 *
 * **Details**
 *
 * Jobs that their provider drops first are taken first. Settled sessions, and
 * those that nothing was accepted for, have nothing to recover.
 *
 * **Errors**
 *
 * Only when the store's sessions cannot be listed. What goes wrong with one
 * session is its result.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` when `concurrency` is less than 1.
 *
 * @category constructors
 * @since 0.1.0
 */
export const recover = (
  store: SessionStore["Service"],
  providers: Providers["Service"],
  runs: SessionRuns["Service"],
  options: RecoverOptions = {}
): Stream.Stream<Recovered, StrategyError> => {
  const { concurrency = 64 } = options
  if (!(concurrency >= 1)) throw new RangeError(`Recovery.recover: concurrency must be 1 or more, got ${concurrency}`)
  const deadline = Duration.fromInputUnsafe(options.deadline ?? "60 minutes")

  /** When the provider drops the session's job, Unix time in milliseconds; `undefined` when there is nothing to recover. */
  const expiryOf = Effect.fnUntraced(function*(session: string) {
    const loaded = yield* Effect.result(store.load(session))
    // A session that cannot be read is resumed all the same, to tell why.
    if (loaded._tag === "Failure") return Infinity
    const state = fold(loaded.success.entries)
    const status = statusOf(state)
    if (status !== "running" && status !== "submitting") return undefined
    const job = jobsOf(state)[0]
    if (job === undefined) return Infinity
    const provider = yield* Effect.option(providers.resolve(job.sent.model))
    if (provider._tag === "None" || provider.value.jobs === undefined) return Infinity
    return retainedUntil(provider.value.jobs.retention, job)
  })

  const unsettled = (store.listUnsettled ?? store.list).pipe(
    Stream.mapEffect((session) => Effect.map(expiryOf(session), (expiry) => ({ session, expiry })), {
      concurrency: 16,
      unordered: true
    }),
    Stream.runFold(
      (): Array<{ readonly session: string; readonly expiry: number }> => [],
      (found, { expiry, session }) => {
        if (expiry !== undefined) found.push({ session, expiry })
        return found
      }
    ),
    Effect.map((found) => found.sort((a, b) => a.expiry < b.expiry ? -1 : a.expiry > b.expiry ? 1 : 0)),
    Effect.mapError((error) => unavailable(error, undefined))
  )

  const recoverOne = (lookups: Semaphore.Semaphore, session: string): Effect.Effect<Recovered> =>
    Effect.gen(function*() {
      const waiting = Deferred.makeUnsafe<void>()
      const resume = runs.resume(session, deadline, { onWait: () => Deferred.doneUnsafe(waiting, Effect.void) })
      const fiber = yield* lookups.withPermit(
        Effect.gen(function*() {
          const fiber = yield* Effect.forkChild(Effect.result(resume), { startImmediately: true })
          yield* Effect.raceFirst(Deferred.await(waiting), Fiber.await(fiber))
          return fiber
        })
      )
      return { session, result: yield* Fiber.join(fiber) }
    })

  return Stream.unwrap(Effect.map(
    Semaphore.make(concurrency),
    (lookups) =>
      Stream.fromIterableEffect(unsettled).pipe(
        Stream.mapEffect(({ session }) => recoverOne(lookups, session), { concurrency: "unbounded", unordered: true })
      )
  ))
}
