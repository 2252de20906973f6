/**
 * Drives sessions to their end: one run per key in a process, shared by all
 * callers with that key.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Stream from "effect/Stream"
import { InvalidOutput } from "../errors/Reason.ts"
import { NonRetryable, type StrategyError } from "../errors/StrategyError.ts"
import * as Fingerprint from "../services/Fingerprint.ts"
import type { LlmResponse } from "../services/LlmResponse.ts"
import { ModelCatalog } from "../services/ModelCatalog.ts"
import { Providers } from "../services/Providers.ts"
import type { ResponseEvent } from "../services/ResponseEvent.ts"
import type { ResponseRequest, StrategyName } from "../services/ResponseRequest.ts"
import { SessionStore } from "../services/SessionStore.ts"
import * as StructuredOutput from "../services/StructuredOutput.ts"
import { type Call, Caller, deadlineAt } from "./internal/Caller.ts"
import * as Deadlines from "./internal/Deadlines.ts"
import { cancelSession, drive, sessionMismatch } from "./internal/Driving.ts"
import * as EventStream from "./internal/EventStream.ts"
import * as Journaling from "./internal/Journaling.ts"
import { deadlineOf } from "./internal/Preparing.ts"
import * as ProgressStream from "./internal/ProgressStream.ts"
import {
  type Candidate,
  type Order,
  type Progress,
  Run,
  type RunResult,
  type RunSpec,
  type Waiter
} from "./internal/Run.ts"
import { patienceOf } from "./internal/Sending.ts"
import type { Shared } from "./internal/Shared.ts"
import type { Reader } from "./internal/Transcript.ts"
import type { Doubts } from "./internal/Uncertainty.ts"
import { defaultPollSchedule, PollPolicy, RetryPolicy, webhookPollSchedule } from "./Schedules.ts"
import * as StrategySelector from "./StrategySelector.ts"

export type { Progress } from "./internal/Run.ts"

/**
 * Service that runs requests, with or without a session.
 *
 * @category services
 * @since 0.1.0
 */
export class SessionRuns extends Context.Service<SessionRuns, {
  /** Runs a request, or joins the run of its session in this process. With a `schema`, the answer has its `value`. */
  readonly execute: (request: ResponseRequest, strategy: StrategyName) => Effect.Effect<LlmResponse, StrategyError>
  /** As `execute`, watched as the answer grows. */
  readonly stream: (
    request: ResponseRequest,
    strategy: StrategyName
  ) => Stream.Stream<ResponseEvent, StrategyError>
  /** Waits for a session's known job, or joins its run in this process. */
  readonly resume: (session: string, deadline: Duration.Duration) => Effect.Effect<LlmResponse, StrategyError>
  /**
   * Asks for a session's jobs to be stopped, in the journal and then at the provider. A job that
   * has ended by then settles the session; one whose cancel did not get through is cancelled by the next run.
   */
  readonly cancel: (session: string) => Effect.Effect<void, StrategyError>
  /** Polls a job at once if a run of this process waits for it; tells whether one does. */
  readonly wake: (jobId: string) => Effect.Effect<boolean>
  /**
   * From now on, jobs are expected to be told of by `wake` or by the journal: runs that begin then and have no poll
   * policy of their own poll by `webhookPollSchedule`.
   */
  readonly expectWakes: Effect.Effect<void>
  /** The progress of a session's run in this process, now and at each change; `undefined` when there is none. */
  readonly progress: (session: string) => Stream.Stream<Progress> | undefined
}>()("holdfast/strategies/SessionRuns") {}

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
  const catalog = yield* ModelCatalog
  const { namespace = "" } = store
  let areWakesExpected = false
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

  const shared: Shared = { providers, namespace, doubts, detach, drive: (run) => drive(run, shared) }

  const start = (run: Run, context: Context.Context<never>): void => {
    if (run.spec.key !== undefined) runs.set(run.spec.key, run)
    active.add(run)
    const fiber = run.fiber = Effect.runForkWith(context)(drive(run, shared))
    background.add(fiber)
    fiber.addObserver((exit) => {
      complete(run, exit)
      if (run.stream !== undefined) Effect.runForkWith(context)(detach(run.stream.close))
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
        // A run that came to its end while this caller was looking at the journal tells it too.
        const ended = running?.hasLostKey === false ? running.exit : undefined
        const isTold = ended !== undefined && (Exit.isSuccess(ended) || !Cause.hasInterrupts(ended.cause))
        if (key !== undefined && runs.get(key) !== running && !isTold) return resume(again)
        const run = running ?? newRun(call)
        // A run without a request cannot submit, and one with a request may lose the key to another: then this caller
        // looks again.
        const waiter = new Caller(
          run,
          call,
          resume,
          (call.order === undefined) === run.canSubmit ? again : undefined,
          leave
        )
        if (ended !== undefined && isTold) return waiter.done(ended)
        run.isHinted = areWakesExpected
        run.admit(waiter)
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

  const execute = (request: ResponseRequest, strategy: StrategyName): Effect.Effect<LlmResponse, StrategyError> =>
    Effect.flatMap(Effect.flatMap(prepare(request, strategy), enter), (response) => withValue(request, response))

  const stream = (request: ResponseRequest, strategy: StrategyName): Stream.Stream<ResponseEvent, StrategyError> =>
    EventStream.make((reader) =>
      Effect.map(
        prepare(request, strategy, reader),
        (call) => Effect.flatMap(enter(call), (response) => withValue(request, response))
      )
    )

  const prepare = Effect.fnUntraced(function*(
    request: ResponseRequest,
    strategy: StrategyName,
    reader?: Reader
  ): Effect.fn.Return<Call> {
    const startedAt = yield* Deadlines.monotonicMillis
    const order = orderOf(request, strategy)
    const key = request.session
    const spec: RunSpec = {
      key,
      fingerprint: key === undefined ? undefined : Fingerprint.of(key, request),
      journal: key === undefined ? new Journaling.EphemeralJournal() : new Journaling.StoredJournal(store, key),
      onInterrupt: request.onInterrupt ?? (key === undefined ? "cancel" : "detach"),
      retry: request.retry ?? (yield* RetryPolicy),
      poll: request.poll ?? (yield* usualPolls),
      queuedDeadline: request.queuedDeadline
    }
    return { spec, order, deadline: yield* deadlineOf(providers, order.candidates[0]), startedAt, reader }
  })

  const usualPolls = Effect.map(
    PollPolicy,
    (policy) => areWakesExpected && policy === defaultPollSchedule ? webhookPollSchedule : policy
  )

  const orderOf = (request: ResponseRequest, strategy: StrategyName): Order => ({
    request,
    candidates: [
      { request, strategy },
      ...(request.fallback ?? []).map((model): Candidate => ({
        request: { ...request, model },
        strategy: request.strategy ?? StrategySelector.selectWith(catalog, model)
      }))
    ]
  })

  /**
   * Whether a caller may join a run is the journal's to tell: a run whose session was removed, or lost to another
   * request, gives up its key.
   */
  const checkJoin = Effect.fnUntraced(function*(run: Run, call: Call) {
    const { marks, spec } = run
    const { fingerprint, key } = call.spec
    const left = deadlineAt(call) - (yield* Deadlines.monotonicMillis)
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
    if (isLost) {
      run.hasLostKey = true
      forget(run)
    }
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
      poll: yield* usualPolls,
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
    return run === undefined ? undefined : ProgressStream.watch(run)
  }

  const wake = (jobId: string): Effect.Effect<boolean> =>
    Effect.sync(() => {
      let isAwaited = false
      for (const run of active) {
        if (run.progress.jobId !== jobId) continue
        isAwaited = true
        run.wake?.()
      }
      return isAwaited
    })

  const expectWakes = Effect.sync(() => {
    areWakesExpected = true
  })

  return SessionRuns.of({ execute, stream, resume, cancel, wake, expectWakes, progress })
})

/**
 * Provides `SessionRuns`. The strategies share one when they are built
 * together.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SessionRuns, never, SessionStore | Providers> = Layer.effect(SessionRuns, make)

const newRun = ({ order, spec }: Call): Run => {
  const run = new Run(spec, order)
  if (order?.request.streamTimeouts !== undefined) run.patience = patienceOf(order.request, "job")
  return run
}

/** Adds the decoded answer. One that was settled under another schema, or without, may not fit. */
const withValue = (request: ResponseRequest, response: LlmResponse): Effect.Effect<LlmResponse, NonRetryable> => {
  if (request.schema === undefined || response.finishReason !== "stop") return Effect.succeed(response)
  const decoded = StructuredOutput.valueOf(request, response.content)
  return decoded._tag === "Success"
    ? Effect.succeed(Object.assign(response, { value: decoded.success }))
    : Effect.fail(
      new NonRetryable({
        reason: new InvalidOutput({
          message: "The answer does not fit the schema",
          content: response.content,
          issues: decoded.failure,
          usage: response.usage
        }),
        session: response.session,
        jobId: response.responseId
      })
    )
}

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
