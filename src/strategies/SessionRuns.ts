/**
 * Drives sessions to their end: one run per key in a process, shared by all
 * callers with that key.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
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
import * as Cost from "./Cost.ts"
import type { Call } from "./internal/Caller.ts"
import * as Deadlines from "./internal/Deadlines.ts"
import { cancelSession } from "./internal/Driving.ts"
import * as EventStream from "./internal/EventStream.ts"
import * as Journaling from "./internal/Journaling.ts"
import { deadlineOf } from "./internal/Preparing.ts"
import * as ProgressStream from "./internal/ProgressStream.ts"
import { type Candidate, type Order, type Progress, Run, type RunSpec } from "./internal/Run.ts"
import * as Running from "./internal/Running.ts"
import type { Reader } from "./internal/Transcript.ts"
import { defaultPollSchedule, PollPolicy, RetryPolicy, webhookPollSchedule } from "./Schedules.ts"
import * as StrategySelector from "./StrategySelector.ts"

export type { Progress } from "./internal/Run.ts"

/**
 * Service that runs requests, with or without a session. Its answers have their cost, where that is known.
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
   * has ended by then settles the session; one whose cancel did not get through is cancelled by the next run. A call
   * that is held is given up by the process that holds it.
   */
  readonly cancel: (session: string) => Effect.Effect<void, StrategyError>
  /** Polls a job at once if runs of this process wait for it; gives the sessions of those runs, if they have one. */
  readonly wake: (jobId: string) => Effect.Effect<ReadonlyArray<string | undefined>>
  /**
   * From now on, jobs are expected to be told of by `wake` or by the journal: runs that begin then and have no poll
   * policy of their own poll by `webhookPollSchedule`.
   */
  readonly expectWakes: Effect.Effect<void>
  /** The progress of a session's run in this process, now and at each change; `undefined` when there is none. */
  readonly progress: (session: string) => Stream.Stream<Progress> | undefined
}>()("holdfast/strategies/SessionRuns") {}

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
export const make: Effect.Effect<SessionRuns["Service"], never, Providers | Scope.Scope | SessionStore> = Effect.gen(
  function*() {
    const store = yield* SessionStore
    const providers = yield* Providers
    const catalog = yield* ModelCatalog
    const { namespace = "" } = store
    let areWakesExpected = false
    const prices = yield* Cost.prices
    const { active, enter, runOf, shared } = yield* Running.make(
      providers,
      namespace,
      () => areWakesExpected,
      (response) => Cost.added(response, prices)
    )

    const execute = (request: ResponseRequest, strategy: StrategyName): Effect.Effect<LlmResponse, StrategyError> =>
      valued(request, Effect.flatMap(prepare(request, strategy), enter))

    const stream = (request: ResponseRequest, strategy: StrategyName): Stream.Stream<ResponseEvent, StrategyError> =>
      EventStream.make((reader) =>
        Effect.map(
          prepare(request, strategy, reader),
          (call) => valued(request, enter(call))
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
        fingerprint: key === undefined ? undefined : yield* Fingerprint.of(key, request),
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
      ).pipe(Effect.andThen(Effect.sync(() => runOf(session)?.wake?.())))

    const progress = (session: string): Stream.Stream<Progress> | undefined => {
      const run = runOf(session)
      return run === undefined ? undefined : ProgressStream.watch(run)
    }

    const wake = (jobId: string): Effect.Effect<ReadonlyArray<string | undefined>> =>
      Effect.sync(() => {
        const sessions: Array<string | undefined> = []
        for (const run of active) {
          if (run.progress.jobId !== jobId) continue
          sessions.push(run.spec.key)
          run.wake?.()
        }
        return sessions
      })

    const expectWakes = Effect.sync(() => {
      areWakesExpected = true
    })

    return SessionRuns.of({ execute, stream, resume, cancel, wake, expectWakes, progress })
  }
)

/**
 * Provides `SessionRuns`. The strategies share one when they are built
 * together.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SessionRuns, never, SessionStore | Providers> = Layer.effect(SessionRuns, make)

/** Adds the decoded answer. Nothing is kept of a request without a schema: it may wait for an hour, and be big. */
const valued = (
  { schema }: ResponseRequest,
  waiting: Effect.Effect<LlmResponse, StrategyError>
): Effect.Effect<LlmResponse, StrategyError> =>
  schema === undefined ? waiting : Effect.flatMap(waiting, (response) => withValue({ schema }, response))

// An answer that was settled under another schema, or without, may not fit.
const withValue = (
  request: Pick<ResponseRequest, "schema">,
  response: LlmResponse
): Effect.Effect<LlmResponse, NonRetryable> => {
  if (response.finishReason !== "stop") return Effect.succeed(response)
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
