/**
 * Drives sessions to their end: one run per key in a process, shared by all
 * callers with that key.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { constVoid } from "effect/Function"
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
import { cancelSession, drive, sessionMismatch, type Shared } from "./internal/Driving.ts"
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

/** What a caller wants: for how long it waits, and since when (monotonic time in milliseconds). */
interface Call {
  readonly spec: RunSpec
  readonly order: Order | undefined
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

  const shared: Shared = { providers, doubts, detach }

  const start = (run: Run, context: Context.Context<never>): void => {
    if (run.spec.key !== undefined) runs.set(run.spec.key, run)
    active.add(run)
    const fiber = run.fiber = Effect.runForkWith(context)(drive(run, shared))
    background.add(fiber)
    fiber.addObserver((exit) => {
      complete(run, exit)
      background.delete(fiber)
    })
    // The deadlines of all callers may have passed while it was forked.
    if (run.waiters.size === 0) fiber.interruptUnsafe()
  }

  const complete = (run: Run, exit: Exit.Exit<RunResult, StrategyError>): void => {
    forget(run)
    active.delete(run)
    run.exit = exit
    // A session that is settled, or that nobody can come back to, is in no doubt.
    if (Exit.isSuccess(exit) || !run.spec.journal.durable) {
      for (const id of run.mine) doubts.lost.delete(id)
    }
    run.tell(undefined)
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
   * Waits for a run, until the caller's own deadline; `undefined` stands for a new one, which starts with its first
   * caller. When another run has taken its place, or is over, the caller looks again.
   */
  const join = (
    call: Call,
    running: Run | undefined,
    again: Effect.Effect<LlmResponse, StrategyError>
  ): Effect.Effect<LlmResponse, StrategyError> =>
    Effect.contextWith((context: Context.Context<never>) =>
      Effect.callback((resume) => {
        const { key } = call.spec
        if (key !== undefined && runs.get(key) !== running) return resume(again)
        const run = running ?? new Run(call.spec, call.order)
        // A run without a request cannot submit; this caller can.
        const waiter = new Caller(
          run,
          call,
          resume,
          call.order === undefined || run.canSubmit ? undefined : again,
          leave
        )
        run.waiters.add(waiter)
        const interrupted = waiter.register(deadlines)
        // A deadline that has passed already is told so at once.
        if (running === undefined && run.waiters.has(waiter)) start(run, context)
        return interrupted
      })
    )

  /** Starts the run of the caller's session, or joins the one that there is. */
  const enter = (call: Call): Effect.Effect<LlmResponse, StrategyError> =>
    Effect.suspend(() => {
      const { key } = call.spec
      const running = key === undefined ? undefined : runs.get(key)
      return running === undefined
        ? join(call, running, enter(call))
        : Effect.andThen(checkJoin(running, call), join(call, running, enter(call)))
    })

  const execute = (order: Order, deadline: Duration.Duration): Effect.Effect<LlmResponse, StrategyError> =>
    Effect.flatMap(prepare(order, deadline), enter)

  const prepare = Effect.fnUntraced(function*(order: Order, deadline: Duration.Duration) {
    const startedAt = yield* Deadlines.monotonicMillis
    const { request } = order
    const key = request.session
    const spec: RunSpec = {
      key,
      fingerprint: key === undefined ? undefined : Fingerprint.of(key, request),
      journal: key === undefined ? new Journaling.EphemeralJournal() : new Journaling.StoredJournal(store, key),
      onInterrupt: request.onInterrupt ?? (key === undefined ? "cancel" : "detach"),
      retry: request.retry ?? (yield* RetryPolicy),
      poll: request.poll ?? (yield* PollPolicy),
      queuedDeadline: request.queuedDeadline
    }
    return { spec, order, deadline, startedAt }
  })

  /**
   * Whether a caller may join a run is the journal's to tell: a run whose session was removed, or lost to another
   * request, gives up its key.
   */
  const checkJoin = Effect.fnUntraced(function*(run: Run, call: Call) {
    const { marks, spec } = run
    const { fingerprint, key } = call.spec
    const left = callerDeadline(call) - (yield* Deadlines.monotonicMillis)
    const loaded = yield* Effect.timeoutOption(Effect.result(spec.journal.load), Duration.millis(left))
    // The deadline has passed: the caller is told so when it joins.
    if (loaded._tag === "None") return
    if (loaded.value._tag === "Failure") {
      const isSame = spec.fingerprint === undefined || fingerprint === undefined || spec.fingerprint === fingerprint
      return isSame ? undefined : yield* Journaling.unavailable(loaded.value.failure, key)
    }
    const { state } = loaded.value.success
    const isLost = !marks.every((id) => Journaling.hasSubmission(state, id)) ||
      (spec.fingerprint !== undefined && state.fingerprint !== undefined && state.fingerprint !== spec.fingerprint)
    if (isLost) forget(run)
    const owner = state.fingerprint ?? (isLost ? undefined : spec.fingerprint)
    if (fingerprint !== undefined && owner !== undefined && owner !== fingerprint) return yield* sessionMismatch(key)
  })

  const resume = (session: string, deadline: Duration.Duration): Effect.Effect<LlmResponse, StrategyError> =>
    Effect.flatMap(prepareResume(session, deadline), enter)

  const prepareResume = Effect.fnUntraced(function*(session: string, deadline: Duration.Duration) {
    const startedAt = yield* Deadlines.monotonicMillis
    const spec: RunSpec = {
      key: session,
      fingerprint: undefined,
      journal: new Journaling.StoredJournal(store, session),
      onInterrupt: "detach",
      retry: yield* RetryPolicy,
      poll: yield* PollPolicy,
      queuedDeadline: undefined
    }
    return { spec, order: undefined, deadline, startedAt }
  })

  const cancel = (session: string): Effect.Effect<void, StrategyError> =>
    cancelSession(
      new Run({
        key: session,
        fingerprint: undefined,
        journal: new Journaling.StoredJournal(store, session),
        onInterrupt: "detach",
        retry: Schedule.recurs(0),
        poll: Schedule.recurs(0),
        queuedDeadline: undefined
      }),
      shared
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

/** A caller that waits for a run. A class, as twenty thousand of them may wait: closures would take more memory. */
class Caller implements Waiter {
  readonly run: Run
  readonly deadline: Duration.Duration
  readonly startedAt: number
  readonly fingerprint: string | undefined
  readonly resume: (response: Effect.Effect<LlmResponse, StrategyError>) => void
  /** What to do instead when the run turns out to need a request. */
  readonly again: Effect.Effect<LlmResponse, StrategyError> | undefined
  readonly leave: (run: Run, waiter: Waiter) => void
  private unregister: () => void = constVoid

  constructor(
    run: Run,
    { deadline, spec, startedAt }: Call,
    resume: Caller["resume"],
    again: Caller["again"],
    leave: Caller["leave"]
  ) {
    this.run = run
    this.deadline = deadline
    this.startedAt = startedAt
    this.fingerprint = spec.fingerprint
    this.resume = resume
    this.again = again
    this.leave = leave
  }

  get deadlineAt(): number {
    return callerDeadline(this)
  }

  done(exit: Exit.Exit<RunResult, StrategyError>): void {
    const { again, fingerprint, run, startedAt } = this
    this.unregister()
    // It may have come to wait for another session than the one that was there when this caller joined it.
    if (again !== undefined && run.owner !== undefined && run.owner !== fingerprint) return this.resume(again)
    const response = Effect.flatMap(exit, (result) => toResponse(run, result, startedAt))
    this.resume(again === undefined ? response : Effect.catchIf(response, isRequestNeeded, () => again))
  }

  /** Starts the deadline; returns what is to be done when the caller is interrupted. */
  register(deadlines: Deadlines.Deadlines): Effect.Effect<void> {
    this.unregister = deadlines.register(this.deadlineAt, () => {
      this.done(this.run.unsettled ?? Exit.fail(timeout(this.run, this.deadline)))
      this.leave(this.run, this)
    })
    return Effect.sync(() => {
      this.unregister()
      this.leave(this.run, this)
    })
  }
}

/** Monotonic time in milliseconds. */
const callerDeadline = ({ deadline, startedAt }: Pick<Call, "deadline" | "startedAt">): number =>
  startedAt + Duration.toMillis(deadline)

const toResponse = (run: Run, result: RunResult, startedAt: number): Effect.Effect<LlmResponse> =>
  Effect.map(Deadlines.monotonicMillis, (now) => {
    const { key } = run.spec
    return new LlmResponse({
      ...result.answer,
      provider: result.provider,
      strategy: result.strategy,
      ...(key === undefined ? {} : { session: key }),
      submissions: result.submissions,
      attempts: run.progress.attempts,
      polls: run.progress.polls,
      elapsed: Duration.millis(Math.round(now - startedAt)),
      resumed: result.resumed,
      settled: result.settled
    })
  })

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
        return run.watch(watcher)
      }),
      (stop) => Effect.sync(stop)
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
