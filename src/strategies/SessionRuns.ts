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
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { InvalidOutput } from "../errors/Reason.ts"
import { NonRetryable, type StrategyError } from "../errors/StrategyError.ts"
import * as Fingerprint from "../services/Fingerprint.ts"
import type { LlmResponse } from "../services/LlmResponse.ts"
import { ModelCatalog } from "../services/ModelCatalog.ts"
import type { Pending } from "../services/Provider.ts"
import { Providers } from "../services/Providers.ts"
import type { ResponseEvent } from "../services/ResponseEvent.ts"
import { defaultFallbackReasons, type ResponseRequest, type StrategyName } from "../services/ResponseRequest.ts"
import { fold, jobsOf } from "../services/Session.ts"
import { SessionStore } from "../services/SessionStore.ts"
import * as StructuredOutput from "../services/StructuredOutput.ts"
import * as Cost from "./Cost.ts"
import type { Call } from "./internal/Caller.ts"
import { cancelSession } from "./internal/CancelSession.ts"
import * as EventStream from "./internal/RunEvents.ts"
import * as Journaling from "./internal/Journal.ts"
import { monotonicMillis } from "./internal/MonotonicTime.ts"
import { deadlineOf } from "./internal/ResolveRequest.ts"
import * as ProgressStream from "./internal/ProgressStream.ts"
import { type Progress, Run, type RunSpec, type Work } from "./internal/Run.ts"
import * as Running from "./internal/Runs.ts"
import { pollTimeout } from "./internal/JobLook.ts"
import { defaultConcurrency } from "./internal/SubmitGate.ts"
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
  /**
   * Starts a request, and succeeds once its job is accepted, or its session settled. The run goes on until the deadline
   * of the request, or the end of the layer. The request must have a session.
   */
  readonly start: (request: ResponseRequest, strategy: StrategyName) => Effect.Effect<void, StrategyError>
  /** Waits for a session's known job, or joins its run in this process. */
  readonly resume: (
    session: string,
    deadline: Duration.Duration,
    options?: ResumeOptions
  ) => Effect.Effect<LlmResponse, StrategyError>
  /**
   * Looks at a session's known job once, and settles the session if the job has ended. A run of this process that waits
   * for it looks at once instead.
   */
  readonly poll: (session: string) => Effect.Effect<void, StrategyError>
  /**
   * Asks for a session's jobs to be stopped, in the journal and then at the provider. A job that
   * has ended by then settles the session; one whose cancel did not get through is cancelled by the next run. A call
   * that is held is given up by the process that holds it.
   */
  readonly cancel: (session: string) => Effect.Effect<void, StrategyError>
  /** Polls a job at once if runs of this process wait for it; gives the sessions of those runs, if they have one. */
  readonly wake: (jobId: string) => Effect.Effect<ReadonlyArray<string | undefined>>
  /** From now on, a job whose end another process has recorded in its journal is looked at within two seconds. */
  readonly watchJournals: Effect.Effect<void>
  /**
   * A webhook of a provider has arrived: its jobs that are waited for from now on, by runs without a poll policy of their
   * own, are polled by `webhookPollSchedule`.
   */
  readonly noteWebhook: (provider: string) => Effect.Effect<void>
  /** The progress of a session's run in this process, now and at each change; `undefined` when there is none. */
  readonly progress: (session: string) => Stream.Stream<Progress> | undefined
}>()("holdfast/strategies/SessionRuns") {}

/**
 * Options for `SessionRuns.resume`.
 *
 * @category options
 * @since 0.1.0
 */
export interface ResumeOptions {
  /** Is called once the job was looked at and is waited for. */
  readonly onWait?: (() => void) | undefined
  /** Replaces `PollPolicy`. */
  readonly poll?: Schedule.Schedule<unknown, Pending> | undefined
}

/**
 * How many submissions of background jobs are in flight at the same time, for each account of a process, an integer of 1
 * or more: read when the layer is built. A crash leaves at most that many submissions uncertain. Default: 16.
 *
 * @category options
 * @since 0.1.0
 */
export const SubmitConcurrency: Context.Reference<number> = Context.Reference(
  "holdfast/strategies/SessionRuns/SubmitConcurrency",
  { defaultValue: () => defaultConcurrency }
)

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
    const submitConcurrency = yield* SubmitConcurrency
    if (!(Number.isInteger(submitConcurrency) && submitConcurrency >= 1)) {
      const message = `SubmitConcurrency must be an integer of 1 or more, got ${submitConcurrency}`
      return yield* Effect.die(new RangeError(message))
    }
    const scope = yield* Effect.scope
    const store = yield* SessionStore
    const providers = yield* Providers
    const catalog = yield* ModelCatalog
    const { namespace = "" } = store
    /** The providers that have sent a webhook. */
    const senders = new Set<string>()
    const prices = yield* Cost.prices
    const { enter, runOf, shared } = yield* Running.make(
      providers,
      namespace,
      (response) => Cost.added(response, prices),
      {
        submitConcurrency,
        versions: store.versions,
        pollSchedule: (asked, provider) =>
          asked === defaultPollSchedule && senders.has(provider) ? webhookPollSchedule : asked
      }
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
      const startedAt = yield* monotonicMillis
      const order = orderOf(request, strategy)
      const key = request.session
      const spec: RunSpec = {
        key,
        fingerprint: key === undefined ? undefined : yield* Fingerprint.of(key, request),
        journal: key === undefined ? new Journaling.EphemeralJournal() : new Journaling.StoredJournal(store, key),
        onInterrupt: request.onInterrupt ?? (key === undefined ? "cancel" : "detach"),
        retry: request.retry ?? (yield* RetryPolicy),
        poll: request.poll ?? (yield* PollPolicy),
        queuedDeadline: request.queuedDeadline
      }
      return { spec, order, deadline: yield* deadlineOf(providers, { request, strategy }), startedAt, reader }
    })

    const orderOf = (request: ResponseRequest, strategy: StrategyName): Work => ({
      request,
      plan: {
        candidates: [
          { model: request.model, strategy },
          ...(request.fallback ?? []).map((model) => ({
            model,
            strategy: request.strategy ?? StrategySelector.selectWith(catalog, model)
          }))
        ],
        fallbackOn: request.fallbackOn ?? defaultFallbackReasons,
        repairs: request.repair ?? 0,
        onUncertain: request.onUncertainSubmit,
        hasSession: request.session !== undefined
      }
    })

    const start = (request: ResponseRequest, strategy: StrategyName): Effect.Effect<void, StrategyError> =>
      Effect.gen(function*() {
        const accepted = Deferred.makeUnsafe<void>()
        const call = yield* prepare(request, strategy)
        const milestones = { onJob: () => Deferred.doneUnsafe(accepted, Effect.void) }
        const spec: RunSpec = { ...call.spec, onInterrupt: request.onInterrupt ?? "detach" }
        const run = yield* Effect.forkIn(enter({ ...call, spec, milestones }), scope, { startImmediately: true })
        yield* Effect.raceFirst(Deferred.await(accepted), Fiber.join(run))
      })

    const resume: SessionRuns["Service"]["resume"] = (session, deadline, options) =>
      Effect.flatMap(prepareResume(session, deadline, options), enter)

    const prepareResume = Effect.fnUntraced(function*(
      session: string,
      deadline: Duration.Duration,
      { onWait, poll }: ResumeOptions = {}
    ) {
      const startedAt = yield* monotonicMillis
      const spec: RunSpec = {
        key: session,
        fingerprint: undefined,
        journal: new Journaling.StoredJournal(store, session),
        onInterrupt: "detach",
        retry: yield* RetryPolicy,
        poll: poll ?? (yield* PollPolicy),
        queuedDeadline: undefined
      }
      return { spec, order: undefined, deadline, startedAt, milestones: onWait === undefined ? undefined : { onWait } }
    })

    const poll = Effect.fnUntraced(function*(session: string): Effect.fn.Return<void, StrategyError> {
      const run = runOf(session)
      if (run !== undefined) return run.wakes.raise()
      const { entries } = yield* Effect.mapError(
        store.load(session),
        (error) => Journaling.unavailable(error, session)
      )
      const state = fold(entries)
      if (state.settled !== undefined || jobsOf(state).length === 0) return
      // The job's end is the result's to tell, and so is that it has none yet.
      yield* Effect.catchIf(resume(session, pollTimeout, { poll: Schedule.recurs(0) }), isOfTheJob, () => Effect.void)
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
      ).pipe(Effect.andThen(Effect.sync(() => runOf(session)?.wakes.raise())))

    const progress = (session: string): Stream.Stream<Progress> | undefined => {
      const run = runOf(session)
      return run === undefined ? undefined : ProgressStream.watch(run)
    }

    const wake = (jobId: string): Effect.Effect<ReadonlyArray<string | undefined>> =>
      Effect.sync(() =>
        shared.poller.waitsFor(jobId).map(({ job, run }) => {
          // Only a webhook wakes runs by their job.
          senders.add(job.sent.provider)
          run.wakes.raise()
          return run.spec.key
        })
      )

    const noteWebhook = (provider: string): Effect.Effect<void> => Effect.sync(() => void senders.add(provider))

    return SessionRuns.of({
      execute,
      stream,
      start,
      poll,
      resume,
      cancel,
      wake,
      watchJournals: shared.poller.watchJournals,
      noteWebhook,
      progress
    })
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

/** Whether the failure of a look at a job is that of the job, or says that it goes on. */
const isOfTheJob = (error: StrategyError): boolean =>
  error._tag === "Timeout" || error.reason._tag === "RequestNeeded" || jobEnds.has(error.reason._tag)

const jobEnds: ReadonlySet<string> = new Set([
  "ContentFiltered",
  "EmptyContent",
  "Incomplete",
  "InvalidOutput",
  "JobCancelled",
  "JobExpired",
  "JobFailed",
  "Refusal"
])

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
