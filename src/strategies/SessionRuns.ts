/**
 * Drives sessions to their end: one run per key in a process, shared by all
 * callers with that key.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Stream from "effect/Stream"
import { type StrategyError, Timeout } from "../errors/StrategyError.ts"
import * as Fingerprint from "../services/Fingerprint.ts"
import { LlmResponse } from "../services/LlmResponse.ts"
import { Providers } from "../services/Providers.ts"
import { SessionStore } from "../services/SessionStore.ts"
import * as Deadlines from "./internal/Deadlines.ts"
import { cancelSession, drive, sessionMismatch } from "./internal/Driving.ts"
import * as Journaling from "./internal/Journaling.ts"
import { type Order, type Progress, Run, type RunResult, type RunSpec, type Waiter } from "./internal/Run.ts"
import type { Doubts } from "./internal/Uncertainty.ts"
import { PollPolicy, RetryPolicy } from "./Schedules.ts"

export type { Means, Order, Progress } from "./internal/Run.ts"

/**
 * Service that runs requests, with or without a session.
 *
 * @category services
 * @since 0.1.0
 */
export class SessionRuns extends Context.Service<SessionRuns, {
  /** Runs a request, or joins the run of its session in this process. */
  readonly execute: (order: Order, deadline: Duration.Duration) => Effect.Effect<LlmResponse, StrategyError>
  /** Waits for a session's known job, or joins its run in this process. */
  readonly resume: (session: string, deadline: Duration.Duration) => Effect.Effect<LlmResponse, StrategyError>
  /**
   * Asks for a session's jobs to be stopped, in the journal and then at the provider. A job that
   * has ended by then settles the session; one whose cancel did not get through is cancelled by the next run.
   */
  readonly cancel: (session: string) => Effect.Effect<void, StrategyError>
  /** The progress of a session's run in this process, now and at each change; `undefined` when there is none. */
  readonly progress: (session: string) => Stream.Stream<Progress> | undefined
}>()("holdfast/strategies/SessionRuns") {}

/** Who waits: for how long, and since when (monotonic time in milliseconds). */
interface Caller {
  readonly deadline: Duration.Duration
  readonly startedAt: number
}

/** How long the layer's end waits for submissions and cancels on their way. */
const grace = Duration.seconds(10)

/**
 * Creates the `SessionRuns` of a scope.
 *
 * **Details**
 *
 * When the scope closes, runs are interrupted, and submissions and cancels
 * that are on their way get 10 seconds to reach the journal.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const store = yield* SessionStore
  const providers = yield* Providers
  const runs = new Map<string, Run>()
  const active = new Set<Run>()
  const doubts: Doubts = { seen: new Map(), lost: new Map(), unsent: new Set() }
  const background = new Set<Fiber.Fiber<unknown, unknown>>()

  yield* Effect.addFinalizer(() => finish(active, background))
  const deadlines = yield* Deadlines.make

  /** Forks work that outlives its caller, and that the scope's end waits for. */
  const detach = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
    Effect.map(Effect.forkDetach(work, { startImmediately: true }), (fiber) => {
      background.add(fiber)
      fiber.addObserver(() => background.delete(fiber))
      return fiber
    })

  const start = (run: Run): Effect.Effect<void> => {
    if (run.spec.key !== undefined) runs.set(run.spec.key, run)
    active.add(run)
    return drive(run, { providers, doubts, detach }).pipe(
      Effect.onExit((exit) => Effect.sync(() => complete(run, exit))),
      detach,
      Effect.map((fiber) => {
        run.fiber = fiber
        // The deadlines of all callers may have passed while it was forked.
        if (run.waiters.size === 0) fiber.interruptUnsafe()
      })
    )
  }

  const complete = (run: Run, exit: Exit.Exit<RunResult, StrategyError>): void => {
    forget(run)
    active.delete(run)
    run.exit = exit
    // A session that is settled, or that nobody can come back to, is in no doubt.
    if (Exit.isSuccess(exit) || !run.spec.journal.durable) {
      for (const id of run.mine) doubts.lost.delete(id)
    }
    for (const watcher of run.watchers) watcher(undefined)
    for (const waiter of run.waiters) waiter.done(exit)
    run.waiters.clear()
  }

  // Somebody who comes later must not join a run that is ending.
  const forget = (run: Run): void => {
    if (run.spec.key !== undefined && runs.get(run.spec.key) === run) runs.delete(run.spec.key)
  }

  const leave = (run: Run, waiter: Waiter): void => {
    if (!run.waiters.delete(waiter) || run.waiters.size > 0) return
    forget(run)
    run.fiber?.interruptUnsafe()
  }

  /**
   * Waits for a run, until a deadline of the caller's own; a new run starts with its first caller. `undefined`
   * when the run is over, or another one has taken its place: then the caller looks again.
   */
  const join = Effect.fnUntraced(function*(run: Run, { deadline, startedAt }: Caller, isNew: boolean) {
    const { key } = run.spec
    const done = Deferred.makeUnsafe<RunResult, StrategyError>()
    const deadlineAt = startedAt + Duration.toMillis(deadline)
    const waiter: Waiter = { deadlineAt, done: (exit) => Deferred.doneUnsafe(done, exit) }
    const result = yield* Effect.uninterruptibleMask((restore) => {
      if (key !== undefined && runs.get(key) !== (isNew ? undefined : run)) return Effect.undefined
      run.waiters.add(waiter)
      const unregister = deadlines.register(deadlineAt, () => {
        Deferred.doneUnsafe(done, run.unsettled ?? Exit.fail(timeout(run, deadline)))
        leave(run, waiter)
      })
      // A deadline that has passed already is told so at once.
      return (isNew && run.waiters.has(waiter) ? start(run) : Effect.void).pipe(
        Effect.andThen(restore(Deferred.await(done))),
        Effect.onExit(() =>
          Effect.sync(() => {
            unregister()
            leave(run, waiter)
          })
        )
      )
    })
    if (result === undefined) return undefined
    const elapsed = (yield* Deadlines.monotonicMillis) - startedAt
    return new LlmResponse({
      ...result.answer,
      provider: result.provider,
      strategy: result.strategy,
      ...(key === undefined ? {} : { session: key }),
      submissions: result.submissions,
      attempts: run.progress.attempts,
      polls: run.progress.polls,
      elapsed: Duration.millis(Math.round(elapsed)),
      resumed: result.resumed,
      settled: result.settled
    })
  })

  const execute = Effect.fnUntraced(function*(order: Order, deadline: Duration.Duration) {
    const caller = { deadline, startedAt: yield* Deadlines.monotonicMillis }
    const { request } = order
    const key = request.session
    const fingerprint = key === undefined ? undefined : Fingerprint.of(key, request)
    const spec: RunSpec = {
      key,
      fingerprint,
      order,
      journal: key === undefined ? yield* Journaling.ephemeral : Journaling.ofStore(store, key),
      onInterrupt: request.onInterrupt ?? (key === undefined ? "cancel" : "detach"),
      retry: request.retry ?? (yield* RetryPolicy),
      poll: request.poll ?? (yield* PollPolicy)
    }
    while (true) {
      const running = key === undefined ? undefined : runs.get(key)
      if (running !== undefined) yield* checkJoin(running, fingerprint)
      const joined = yield* Effect.result(join(running ?? new Run(spec), caller, running === undefined))
      if (joined._tag === "Success") {
        if (joined.success !== undefined) return joined.success
      } else if (running === undefined || running.spec.order !== undefined || !isRequestNeeded(joined.failure)) {
        return yield* joined.failure
      }
      // A run without a request cannot submit; this caller can.
    }
  })

  /** A run that has not checked its fingerprint yet, or has none, is checked against the journal. */
  const checkJoin = Effect.fnUntraced(function*(run: Run, fingerprint: string | undefined) {
    const { journal, key } = run.spec
    const known = run.spec.fingerprint ??
      (yield* Effect.mapError(journal.load, (error) => Journaling.unavailable(error, key))).state.fingerprint
    if (known !== undefined && known !== fingerprint) return yield* sessionMismatch(key)
  })

  const resume = Effect.fnUntraced(function*(session: string, deadline: Duration.Duration) {
    const caller = { deadline, startedAt: yield* Deadlines.monotonicMillis }
    const spec: RunSpec = {
      key: session,
      fingerprint: undefined,
      order: undefined,
      journal: Journaling.ofStore(store, session),
      onInterrupt: "detach",
      retry: yield* RetryPolicy,
      poll: yield* PollPolicy
    }
    while (true) {
      const running = runs.get(session)
      const joined = yield* join(running ?? new Run(spec), caller, running === undefined)
      if (joined !== undefined) return joined
    }
  })

  const cancel = (session: string): Effect.Effect<void, StrategyError> =>
    cancelSession(
      new Run({
        key: session,
        fingerprint: undefined,
        order: undefined,
        journal: Journaling.ofStore(store, session),
        onInterrupt: "detach",
        retry: Schedule.recurs(0),
        poll: Schedule.recurs(0)
      }),
      { providers, doubts, detach }
    )

  const progress = (session: string): Stream.Stream<Progress> | undefined => {
    const run = runs.get(session)
    return run === undefined ? undefined : watch(run)
  }

  return SessionRuns.of({ execute, resume, cancel, progress })
})

/**
 * Provides `SessionRuns`. The strategies share one when they are built
 * together.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SessionRuns, never, SessionStore | Providers> = Layer.effect(SessionRuns, make)

const isRequestNeeded = (error: StrategyError): boolean =>
  error._tag === "NonRetryable" &&
  (error.reason._tag === "RequestNeeded" || error.reason._tag === "SessionNotFound" ||
    error.reason._tag === "SubmissionUncertain")

const watch = (run: Run): Stream.Stream<Progress> =>
  Stream.callback<Progress>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const watcher = (progress: Progress | undefined): void => {
          if (progress === undefined) Queue.endUnsafe(queue)
          else Queue.offerUnsafe(queue, progress)
        }
        watcher(run.progress)
        if (run.exit !== undefined) watcher(undefined)
        run.watchers.add(watcher)
        return watcher
      }),
      (watcher) => Effect.sync(() => run.watchers.delete(watcher))
    )
  )

const timeout = (run: Run, deadline: Duration.Duration): Timeout =>
  new Timeout({
    deadline,
    elapsed: deadline,
    phase: run.progress.phase,
    session: run.spec.key,
    jobId: run.progress.jobId
  })

const finish = (
  active: ReadonlySet<Run>,
  background: ReadonlySet<Fiber.Fiber<unknown, unknown>>
): Effect.Effect<void> =>
  Effect.suspend(() => {
    for (const run of active) run.fiber?.interruptUnsafe()
    return drained(background)
  }).pipe(
    Effect.timeoutOption(grace),
    Effect.andThen(Effect.suspend(() => Fiber.interruptAll([...background])))
  )

// A run that ends may leave work behind it, such as the submission that it was about to send.
const drained = (background: ReadonlySet<Fiber.Fiber<unknown, unknown>>): Effect.Effect<void> =>
  Effect.suspend(() =>
    background.size === 0
      ? Effect.void
      : Effect.andThen(Fiber.awaitAll([...background]), drained(background))
  )
