/**
 * The runs of a process: one for each key, joined by all callers with that key.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { LlmResponse } from "../../services/LlmResponse.ts"
import type { Providers } from "../../services/Providers.ts"
import { type Call, Caller, type Callers, deadlineAt } from "./Caller.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import { drive, sessionMismatch } from "./Loop.ts"
import * as Journaling from "./Journal.ts"
import * as Poller from "./Poller.ts"
import { isParked, Run, type RunResult, type Waiter, withPassedOver, type Work } from "./Run.ts"
import { streamTimeoutsOf } from "./StreamTimeouts.ts"
import type { RunContext } from "./RunContext.ts"
import { defaultConcurrency, SubmitGates } from "./SubmitGate.ts"
import * as TimerQueue from "./TimerQueue.ts"
import * as UncertainSubmissions from "./UncertainSubmissions.ts"

export interface Running {
  /** Starts the run of the caller's session, or joins the one that there is, and waits for it. */
  readonly enter: (call: Call) => Effect.Effect<LlmResponse, StrategyError>
  /** The run of a session, if there is one. */
  readonly runOf: (session: string) => Run | undefined
  /** All runs, those without a session included. */
  readonly active: ReadonlySet<Run>
  readonly shared: RunContext
}

export interface Options {
  readonly pollSchedule?: RunContext["pollSchedule"] | undefined
  readonly submitConcurrency?: number | undefined
  readonly versions?: Poller.Versions | undefined
}

/** How long the layer's end waits for submissions and cancels on their way. */
const grace = Duration.seconds(10)

/** How long it then waits for what it has interrupted. A store that never answers cannot be interrupted everywhere. */
const unwinding = Duration.seconds(5)

/**
 * Creates the runs of a scope. When it closes, they are interrupted, and so is who comes later; submissions and cancels
 * that are on their way get 10 seconds, and what is interrupted then another 5. `complete` adds to each response what
 * runs do not know.
 */
export const make = Effect.fnUntraced(function*(
  providers: Providers["Service"],
  namespace: string,
  complete: Callers["complete"],
  { pollSchedule = (asked) => asked, submitConcurrency = defaultConcurrency, versions }: Options = {}
): Effect.fn.Return<Running, never, Scope.Scope> {
  const runs = new Map<string, Run>()
  const active = new Set<Run>()
  const uncertain = UncertainSubmissions.make()
  const background = new Set<Fiber.Fiber<unknown, unknown>>()

  const scope = yield* Effect.scope
  let isClosed = false
  yield* Effect.addFinalizer(() => {
    isClosed = true
    return finish(active, background)
  })
  const deadlines = yield* TimerQueue.make

  /** Forks work that outlives its caller, and that the scope's end waits for. */
  const detach = <A, E, R>(work: Effect.Effect<A, E, R>): Effect.Effect<Fiber.Fiber<A, E>, never, R> =>
    Effect.map(Effect.forkDetach(work, { startImmediately: true }), (fiber) => {
      background.add(fiber)
      fiber.addObserver(() => background.delete(fiber))
      return fiber
    })

  // A run keeps neither the context nor the span of its first caller, who may leave before others.
  const context = Context.omit(Tracer.ParentSpan)(yield* Effect.context<never>())

  /** Forks work that the scope's end waits for. */
  const fork = <A, E>(work: Effect.Effect<A, E>): Fiber.Fiber<A, E> => {
    const fiber = Effect.runForkWith(context)(work)
    if (fiber.pollUnsafe() !== undefined) return fiber
    background.add(fiber)
    fiber.addObserver(() => background.delete(fiber))
    return fiber
  }

  const work: RunContext["work"] = (run, effect) => {
    const fiber = run.work(() => fork(effect))
    fiber.addObserver((exit) => {
      if (Exit.isSuccess(exit)) {
        if (exit.value !== isParked) end(run, Exit.succeed(exit.value))
        return
      }
      // It was interrupted on its way to wait without a fiber.
      if (!run.interruptParked()) end(run, Exit.failCause(exit.cause))
    })
  }

  const shared: RunContext = {
    providers,
    namespace,
    uncertain,
    submitGates: new SubmitGates(submitConcurrency),
    pollSchedule,
    ignoresBackground: new Set(),
    unusable: new Set(),
    poller: yield* Poller.make(fork, versions),
    attend: (work) => Effect.asVoid(Effect.forkIn(work, scope, { startImmediately: true })),
    detach,
    work
  }

  const start = (run: Run, order: Work | undefined): void => {
    if (run.spec.key !== undefined) runs.set(run.spec.key, run)
    active.add(run)
    work(run, drive(run, order, shared))
    // The deadlines of all callers may have passed while it was forked.
    if (run.waiters.length === 0) run.interrupt()
  }

  const end = (run: Run, ended: Exit.Exit<RunResult, StrategyError>): void => {
    forget(run)
    active.delete(run)
    const exit = run.exit = Exit.mapError(ended, (error) => withPassedOver(run, error))
    if (run.stream !== undefined) fork(run.closeStream)
    // No later run can load it.
    if (!run.spec.journal.durable) {
      for (const id of run.own) uncertain.lost.delete(id)
    }
    run.tell(undefined)
    for (const waiter of run.dismissAll()) waiter.done(exit)
  }

  // Somebody who comes later must not join a run that is ending.
  const forget = (run: Run): void => {
    if (run.spec.key !== undefined && runs.get(run.spec.key) === run) runs.delete(run.spec.key)
  }

  const leave = (run: Run, waiter: Waiter): void => {
    if (!run.dismiss(waiter) || run.waiters.length > 0) return
    forget(run)
    run.interrupt()
  }

  const callers: Callers = { deadlines, complete, leave }

  /**
   * Waits for a run, until the caller's own deadline; `undefined` stands for a new one, which starts with its first
   * caller. When another run has taken its place, or is over, the caller looks again.
   */
  const join = (
    call: Call,
    running: Run | undefined,
    again: Effect.Effect<LlmResponse, StrategyError>
  ): Effect.Effect<LlmResponse, StrategyError> =>
    Effect.callback((resume) => {
      // Nobody would end its wait any more.
      if (isClosed) return resume(Effect.interrupt)
      const { key } = call.spec
      // A run that came to its end while this caller was looking at the journal tells it too.
      const ended = running?.hasLostKey === false ? running.exit : undefined
      const isTold = ended !== undefined && (Exit.isSuccess(ended) || !Cause.hasInterrupts(ended.cause))
      if (key !== undefined && runs.get(key) !== running && !isTold) return resume(again)
      const run = running ?? newRun(call)
      // A run without a request cannot submit, and one with a request may lose the key to another: then this caller
      // looks again.
      const waiter = new Caller(
        run,
        callers,
        call,
        resume,
        (call.order === undefined) === run.canSubmit ? again : undefined
      )
      if (ended !== undefined && isTold) return waiter.done(ended)
      run.admit(waiter)
      if (call.milestones !== undefined) run.report(call.milestones)
      const interrupted = waiter.register()
      // A deadline that has passed already is told so at once.
      if (running === undefined && run.waiters.includes(waiter)) start(run, call.order)
      return interrupted
    })

  /** Starts the run of the caller's session, or joins the one that there is. */
  const enter = (call: Call): Effect.Effect<LlmResponse, StrategyError> =>
    Effect.suspend(() => {
      const { key } = call.spec
      const running = key === undefined ? undefined : runs.get(key)
      return running === undefined
        ? join(call, running, enter(call))
        : Effect.andThen(checkJoin(running, call), join(call, running, enter(call)))
    })

  /**
   * Whether a caller may join a run is the journal's to tell: a run whose session was removed, or lost to another
   * request, gives up its key.
   */
  const checkJoin = Effect.fnUntraced(function*(run: Run, call: Call) {
    const { spec, submissions } = run
    const { fingerprint, key } = call.spec
    const left = deadlineAt(call) - (yield* monotonicMillis)
    // What a store is doing cannot always be interrupted, and the caller's deadline does not wait for it.
    const loading = yield* Effect.forkDetach(Effect.result(spec.journal.load), { startImmediately: true })
    const loaded = yield* Effect.timeoutOption(Fiber.join(loading), Duration.millis(left))
    // The deadline has passed: the caller is told so when it joins.
    if (loaded._tag === "None") return
    if (loaded.value._tag === "Failure") {
      const isSame = spec.fingerprint === undefined || fingerprint === undefined || spec.fingerprint === fingerprint
      return isSame ? undefined : yield* Journaling.unavailable(loaded.value.failure, key)
    }
    const { state } = loaded.value.success
    const isLost = !submissions.every((id) => Journaling.hasSubmission(state, id)) ||
      (spec.fingerprint !== undefined && state.fingerprint !== undefined && state.fingerprint !== spec.fingerprint)
    if (isLost) {
      run.hasLostKey = true
      forget(run)
    }
    const fingerprintInJournal = state.fingerprint ?? (isLost ? undefined : spec.fingerprint)
    if (fingerprint !== undefined && fingerprintInJournal !== undefined && fingerprintInJournal !== fingerprint) {
      return yield* sessionMismatch(key)
    }
  })

  return { enter, runOf: (session) => runs.get(session), active, shared }
})

const newRun = ({ order, spec }: Call): Run => {
  const run = new Run(spec, order !== undefined)
  if (order?.request.streamTimeouts !== undefined) run.streamTimeouts = streamTimeoutsOf(order.request, "job")
  return run
}

const finish = (
  active: ReadonlySet<Run>,
  background: ReadonlySet<Fiber.Fiber<unknown, unknown>>
): Effect.Effect<unknown> =>
  Effect.suspend(() => {
    for (const run of active) run.interrupt()
    return drained(background)
  }).pipe(
    Effect.timeoutOption(grace),
    Effect.andThen(Effect.timeoutOption(Effect.suspend(() => Fiber.interruptAll([...background])), unwinding))
  )

// A run that ends may leave work behind it, such as the submission that it was about to send.
const drained = (background: ReadonlySet<Fiber.Fiber<unknown, unknown>>): Effect.Effect<void> =>
  Effect.suspend(() =>
    background.size === 0
      ? Effect.void
      : Effect.andThen(Fiber.awaitAll([...background]), drained(background))
  )
