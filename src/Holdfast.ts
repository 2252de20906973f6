/**
 * Resumable LLM responses: the front door.
 *
 * **Details**
 *
 * A request with a session key can be made again at any time, in any process:
 * it goes on with the same job, or returns the answer that is there.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import type * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { ProviderError } from "./errors/ProviderError.ts"
import { InvalidRequest } from "./errors/Reason.ts"
import { NonRetryable, type StrategyError } from "./errors/StrategyError.ts"
import { Answer, type LlmResponse } from "./services/LlmResponse.ts"
import { ModelCatalog } from "./services/ModelCatalog.ts"
import type { JobsApi, JobState, Outcome } from "./services/Provider.ts"
import { none, PriceCatalog } from "./services/PriceCatalog.ts"
import { Providers } from "./services/Providers.ts"
import type { RequestInput, ResponseRequest, StrategyName } from "./services/ResponseRequest.ts"
import { layerMemory, SessionStore } from "./services/SessionStore.ts"
import * as BackgroundJob from "./strategies/BackgroundJob.ts"
import * as Completions from "./strategies/Completions.ts"
import * as Recovery from "./strategies/Recovery.ts"
import {
  type Decoded,
  decodeRequest,
  type EventFor,
  type RequestFor,
  type ResponseStrategy
} from "./strategies/ResponseStrategy.ts"
import { RetryPolicy } from "./strategies/Schedules.ts"
import * as SessionProgress from "./strategies/SessionProgress.ts"
import * as SessionRuns from "./strategies/SessionRuns.ts"
import * as Sessions from "./strategies/Sessions.ts"
import * as StrategySelector from "./strategies/StrategySelector.ts"
import * as SyncRetry from "./strategies/SyncRetry.ts"

export type { Decoded } from "./strategies/ResponseStrategy.ts"

/**
 * Options for `resume`.
 *
 * @category options
 * @since 0.1.0
 */
export interface ResumeOptions {
  /**
   * Longest time that this call waits.
   *
   * @default "60 minutes"
   */
  readonly deadline?: Duration.Input | undefined
}

/**
 * Service that gets responses from models.
 *
 * **Errors**
 *
 * Every method fails with `Retryable`, `NonRetryable` or `Timeout` alone.
 *
 * @category services
 * @since 0.1.0
 */
export class Holdfast extends Context.Service<Holdfast, {
  /** Gets the response to a request, by the strategy that it names or that `StrategySelector` chooses. */
  readonly execute: ResponseStrategy["execute"]
  /**
   * Gets the response to a request, watched as it grows: the text of all `TextDelta`s is the answer's `content`, and
   * `Completed` is the last event. A background job's stream is opened again where it was cut, also by a later process
   * with the same session. Leaving the stream early is leaving the call.
   */
  readonly stream: ResponseStrategy["stream"]
  /**
   * Starts a request and returns what its session has come to once its job is accepted, or the session settled. The run
   * goes on until the request's deadline, or the end of the layer. Fails with `InvalidRequest` without a session.
   */
  readonly start: (request: RequestInput) => Effect.Effect<Sessions.SessionInfo, StrategyError>
  /**
   * Looks at a session's job once, settles the session if the job has ended, and returns what the session has come to:
   * for queues, cron jobs and serverless functions. It never waits for a job.
   */
  readonly poll: (session: string) => Effect.Effect<Sessions.SessionInfo, StrategyError>
  /**
   * Waits for a session's known job, without its request. Fails with `RequestNeeded` when no job is known, or when its
   * request has another model asked for the job's end, with `SubmissionUncertain` when one may be, and with
   * `SessionNotFound`.
   */
  readonly resume: (session: string, options?: ResumeOptions) => Effect.Effect<LlmResponse, StrategyError>
  /**
   * Resumes every unsettled session of the store that something was sent for, those whose job their provider drops
   * first, first, and emits one result per session. Fails only when the sessions cannot be listed.
   */
  readonly recover: (options?: Recovery.RecoverOptions) => Stream.Stream<Recovery.Recovered, StrategyError>
  /** Emits a session's progress, now and at each change, until its run ends or it has nothing to wait for. */
  readonly watch: (session: string) => Stream.Stream<SessionProgress.SessionProgress, StrategyError>
  /**
   * Asks for a session's job to be stopped, in the journal and then at the provider, and returns what the session
   * has come to. A completion that wins is kept; a cancel that does not get through is tried again by the next run.
   * A call that is held open is given up by the process that holds it: at once in this one, in another within half of
   * its `submitTimeout`. A run that waits to send again sends nothing more, and ends as `JobCancelled`; a later call of
   * the key may send.
   */
  readonly cancel: (session: string) => Effect.Effect<Sessions.SessionInfo, StrategyError>
  /** Returns what a session has come to. Nothing is sent. */
  readonly inspect: (session: string) => Effect.Effect<Sessions.SessionInfo, StrategyError>
  /** Gives the session's uncertain submission the id of its job. */
  readonly adopt: (session: string, jobId: string) => Effect.Effect<Sessions.SessionInfo, StrategyError>
  /**
   * Allows another submission in place of the session's uncertain one, which may be paid for as well: the next call of the
   * key sends it.
   */
  readonly resubmit: (session: string) => Effect.Effect<Sessions.SessionInfo, StrategyError>
  /** Removes a session, so that its key can run, and pay, again. Fails with `Conflict` while a job may be running. */
  readonly forget: (
    session: string,
    options?: { readonly force?: boolean | undefined }
  ) => Effect.Effect<void, StrategyError>
}>()("holdfast/Holdfast") {}

/**
 * Creates the front door on top of the strategies.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<
  Holdfast["Service"],
  never,
  | BackgroundJob.BackgroundJob
  | Completions.Completions
  | Providers
  | SessionRuns.SessionRuns
  | Sessions.Sessions
  | SessionStore
  | SyncRetry.SyncRetry
> = Effect.gen(function*() {
  const runs = yield* SessionRuns.SessionRuns
  const sessions = yield* Sessions.Sessions
  const store = yield* SessionStore
  const providers = yield* Providers
  const catalog = yield* ModelCatalog
  const strategies: Record<StrategyName, ResponseStrategy> = {
    background: yield* BackgroundJob.BackgroundJob,
    sync: yield* SyncRetry.SyncRetry,
    completions: yield* Completions.Completions
  }

  const strategyOf = (request: RequestInput): ResponseStrategy => {
    const { model, strategy } = request ?? {}
    const name = strategy ?? (typeof model === "string" ? StrategySelector.selectWith(catalog, model) : "sync")
    // What is no request is told so by any strategy.
    return Object.hasOwn(strategies, name) ? strategies[name] : strategies.sync
  }

  return Holdfast.of({
    execute: (request) => Effect.suspend(() => strategyOf(request).execute(request)),
    stream: (request) => Stream.suspend(() => strategyOf(request).stream(request)),
    start: (input) => {
      const { name } = strategyOf(input)
      return Effect.gen(function*() {
        const request = yield* decodeRequest(input)
        const { session } = request
        if (session === undefined) return yield* sessionNeeded
        yield* runs.start(request, name)
        return yield* sessions.inspect(session)
      })
    },
    poll: (session) => Effect.andThen(runs.poll(session), sessions.inspect(session)),
    resume: (session, options) =>
      Effect.suspend(() =>
        runs.resume(session, Duration.fromInputUnsafe(options?.deadline ?? BackgroundJob.defaultDeadline))
      ),
    recover: (options) => Recovery.recover(store, providers, runs, options),
    watch: (session) => SessionProgress.watch(runs, sessions, session),
    cancel: (session) => Effect.andThen(runs.cancel(session), sessions.inspect(session)),
    inspect: sessions.inspect,
    adopt: sessions.adopt,
    resubmit: sessions.resubmit,
    forget: sessions.forget
  })
})

/**
 * Provides `Holdfast` and the three strategies that it stands on.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<
  Holdfast | BackgroundJob.BackgroundJob | SyncRetry.SyncRetry | Completions.Completions,
  never,
  SessionStore | Providers
> = Layer.effect(Holdfast, make).pipe(
  Layer.provideMerge(Layer.mergeAll(BackgroundJob.layer, SyncRetry.layer, Completions.layer)),
  Layer.provide([SessionRuns.layer, Sessions.layer])
)

/**
 * Options for `layerWith`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Submissions of background jobs in flight at the same time, for each account, an integer of 1 or more. A crash leaves
   * at most that many submissions uncertain.
   *
   * @default 16
   */
  readonly submitConcurrency?: number | undefined
}

/**
 * Provides `Holdfast`, with options.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerWith = ({ submitConcurrency }: Options): typeof layer =>
  submitConcurrency === undefined
    ? layer
    : Layer.provide(layer, Layer.succeed(SessionRuns.SubmitConcurrency, submitConcurrency))

/**
 * Gets the response to a request, by the strategy that it names or that
 * `StrategySelector` chooses.
 *
 * **Details**
 *
 * With a `session`, the request belongs to its key: asked again, in any
 * process, it goes on with the same job, or gives the answer that there is.
 * Without one nothing is journaled. `RequestInput` describes each option. An
 * interruption ends the wait; what becomes of the job is up to `onInterrupt`.
 *
 * **Errors**
 *
 * - `Retryable` when the retries are used up; the same call may succeed later.
 * - `NonRetryable` when it will not, until something changes: `InvalidRequest`
 *   before anything is sent, `SessionMismatch` for a key of another request, …
 * - `Timeout` when the call's `deadline` has passed; with a session, the job
 *   can be resumed.
 *
 * @category combinators
 * @since 0.1.0
 */
export const execute = <Output extends Schema.Decoder<unknown> = never>(
  request: RequestFor<Output>
): Effect.Effect<LlmResponse & Decoded<Output>, StrategyError, Holdfast> =>
  Holdfast.use((holdfast) => holdfast.execute(request))

/**
 * Gets the response to a request, watched as it grows.
 *
 * **Details**
 *
 * The text of all `TextDelta`s is the answer's `content`, and `Completed` is
 * the last event. A background job's stream is opened again where it was cut,
 * also by a later process with the same session. Leaving the stream early is
 * leaving the call.
 *
 * **Errors**
 *
 * As `execute`, and `Retryable` with `StreamInterrupted` when an answer that
 * was told in part cannot be told to its end.
 *
 * @category combinators
 * @since 0.1.0
 */
export const stream = <Output extends Schema.Decoder<unknown> = never>(
  request: RequestFor<Output>
): Stream.Stream<EventFor<Output>, StrategyError, Holdfast> =>
  Stream.unwrap(Holdfast.useSync((holdfast) => holdfast.stream(request)))

/**
 * Starts a request, and returns what its session has come to as soon as the call
 * is safe: once its job is accepted, or its session settled.
 *
 * **Details**
 *
 * The run goes on in the layer's scope, until the request's deadline. A later
 * `execute`, `resume`, `stream` or `poll` of the key gets the answer, in any
 * process.
 *
 * **Errors**
 *
 * As `execute`, until the job is accepted; `InvalidRequest` without a session.
 *
 * @category combinators
 * @since 0.1.0
 */
export const start = (request: RequestInput): Effect.Effect<Sessions.SessionInfo, StrategyError, Holdfast> =>
  Holdfast.use((holdfast) => holdfast.start(request))

/**
 * Looks at a session's job once, settles the session if the job has ended, and
 * returns what the session has come to.
 *
 * **Details**
 *
 * It never waits for a job: for queues, cron jobs and serverless functions. A
 * job that runs is left as it is, and so is a session whose job is not known.
 *
 * **Errors**
 *
 * `SessionNotFound`, and what a store or a provider that is not set up fails
 * with. How a job ended is in the result.
 *
 * @category combinators
 * @since 0.1.0
 */
export const poll = (session: string): Effect.Effect<Sessions.SessionInfo, StrategyError, Holdfast> =>
  Holdfast.use((holdfast) => holdfast.poll(session))

/**
 * Waits for a session's known job, without its request.
 *
 * **Details**
 *
 * A settled session gives what it was settled with: its answer, or its final
 * error.
 *
 * **Errors**
 *
 * As `execute`, and `NonRetryable` with:
 *
 * - `SessionNotFound` for a key that the store does not have.
 * - `RequestNeeded` when no job is known, or another model is to be asked.
 * - `SubmissionUncertain` when a job may be running whose id is not known.
 *
 * @category combinators
 * @since 0.1.0
 */
export const resume = (
  session: string,
  options?: ResumeOptions
): Effect.Effect<LlmResponse, StrategyError, Holdfast> => Holdfast.use((holdfast) => holdfast.resume(session, options))

/**
 * Resumes every unsettled session of the store that something was sent for,
 * and emits one result per session.
 *
 * **Details**
 *
 * Those whose job their provider drops first are taken first. Settled
 * sessions have nothing to recover.
 *
 * **Errors**
 *
 * Only when the sessions cannot be listed. What goes wrong with one session
 * is its `result`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const recover = (
  options?: Recovery.RecoverOptions
): Stream.Stream<Recovery.Recovered, StrategyError, Holdfast> =>
  Stream.unwrap(Holdfast.useSync((holdfast) => holdfast.recover(options)))

/**
 * Emits a session's progress, now and at each change, until its run ends or it
 * has nothing to wait for. The run may be another process's.
 *
 * @category combinators
 * @since 0.1.0
 */
export const watch = (session: string): Stream.Stream<SessionProgress.SessionProgress, StrategyError, Holdfast> =>
  Stream.unwrap(Holdfast.useSync((holdfast) => holdfast.watch(session)))

/**
 * Asks for a session's job to be stopped, and returns what the session has
 * come to.
 *
 * **Details**
 *
 * The wish is in the journal before the provider is asked: a cancel that does
 * not get through is tried again by the next run. A completion that wins is
 * kept. A call that is held open is given up by the process that holds it: at
 * once in this one, in another within half of its `submitTimeout`. A run that
 * waits to send again sends nothing more; a later call of the key may send.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cancel = (session: string): Effect.Effect<Sessions.SessionInfo, StrategyError, Holdfast> =>
  Holdfast.use((holdfast) => holdfast.cancel(session))

/**
 * Returns what a session has come to: its status, its submissions, and what it
 * was settled with. Nothing is sent.
 *
 * @category combinators
 * @since 0.1.0
 */
export const inspect = (session: string): Effect.Effect<Sessions.SessionInfo, StrategyError, Holdfast> =>
  Holdfast.use((holdfast) => holdfast.inspect(session))

/**
 * Gives a session's uncertain submission the id of its job, after the provider
 * has said that it knows it.
 *
 * **Errors**
 *
 * `NonRetryable` with `InvalidRequest` when no submission is uncertain, and
 * with `NotFound` for an unknown job.
 *
 * @category combinators
 * @since 0.1.0
 */
export const adopt = (
  session: string,
  jobId: string
): Effect.Effect<Sessions.SessionInfo, StrategyError, Holdfast> =>
  Holdfast.use((holdfast) => holdfast.adopt(session, jobId))

/**
 * Allows another submission in place of a session's uncertain one: an operator's
 * word, after a look at the provider's own list of jobs.
 *
 * **Errors**
 *
 * `NonRetryable` with `InvalidRequest` when no submission is uncertain;
 * `Retryable` with `Conflict` while its sender may still be waiting.
 *
 * **Gotchas**
 *
 * The uncertain submission may have been accepted: then both are paid for. Its
 * job can still be adopted.
 *
 * @category combinators
 * @since 0.1.0
 */
export const resubmit = (session: string): Effect.Effect<Sessions.SessionInfo, StrategyError, Holdfast> =>
  Holdfast.use((holdfast) => holdfast.resubmit(session))

/**
 * Removes a session, so that its key can run, and pay, again.
 *
 * **Errors**
 *
 * `Retryable` with `Conflict` while a job may be running, unless `force` is
 * set: then that job is lost to Holdfast.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forget = (
  session: string,
  options?: { readonly force?: boolean | undefined }
): Effect.Effect<void, StrategyError, Holdfast> => Holdfast.use((holdfast) => holdfast.forget(session, options))

/**
 * What a scripted call gives: an answer's text, parts of an answer, or an error.
 *
 * @category models
 * @since 0.1.0
 */
export type Scripted = string | Partial<ConstructorParameters<typeof Answer>[0]> | StrategyError

/**
 * Provides a `Holdfast` that sends nothing and answers from a script, for tests
 * of programs.
 *
 * **Details**
 *
 * `script` is asked once per submission. Sessions work as they do for real, in
 * memory: the same key is answered once, and returns that answer again. After
 * a `Timeout` of the script, nothing ever comes: the call's own deadline ends
 * it, with phase and times of its own.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerTest = (script: (request: ResponseRequest) => Scripted): Layer.Layer<Holdfast> =>
  Layer.effect(Holdfast, Effect.map(make, withoutRetries)).pipe(
    Layer.provide(Layer.mergeAll(BackgroundJob.layer, SyncRetry.layer, Completions.layer)),
    Layer.provide([SessionRuns.layer, Sessions.layer]),
    Layer.provide([layerMemory, Layer.succeed(Providers, scriptedProviders(script))])
  )

const sessionNeeded = new NonRetryable({
  reason: new InvalidRequest({ message: "A request that is started needs a session", param: "session" })
})

// An error of the script is meant for the program, not for the retry schedule; what it answers costs nothing.
const withoutRetries = (holdfast: Holdfast["Service"]): Holdfast["Service"] => {
  const context = Context.make(RetryPolicy, Schedule.recurs(0)).pipe(Context.add(PriceCatalog, none))
  return {
    ...holdfast,
    execute: (request) => Effect.provideContext(holdfast.execute(request), context),
    stream: (request) => Stream.provideContext(holdfast.stream(request), context),
    start: (request) => Effect.provideContext(holdfast.start(request), context),
    resume: (session, options) => Effect.provideContext(holdfast.resume(session, options), context),
    recover: (options) => Stream.provideContext(holdfast.recover(options), context)
  }
}

// Reasons that a job ends with, after it was accepted.
const endsOf: ReadonlySet<string> = new Set([
  "Refusal",
  "ContentFiltered",
  "Incomplete",
  "EmptyContent",
  "InvalidOutput",
  "JobFailed",
  "JobCancelled",
  "JobExpired"
])

const scriptedProviders = (script: (request: ResponseRequest) => Scripted): Providers["Service"] => {
  /** `undefined` when it never ends. */
  const outcomeOf = (request: ResponseRequest): Effect.Effect<Outcome, ProviderError> | undefined => {
    const scripted = script(request)
    if (typeof scripted === "object" && "_tag" in scripted) {
      if (scripted._tag === "Timeout") return undefined
      return scripted._tag === "NonRetryable" && endsOf.has(scripted.reason._tag)
        ? Effect.succeed({ _tag: "Failed", verdict: scripted })
        : Effect.fail(new ProviderError({ verdict: scripted, evidence: "Refused" }))
    }
    return Effect.succeed({
      _tag: "Succeeded",
      answer: new Answer({
        content: "",
        finishReason: "stop",
        response: {},
        model: request.model,
        ...(typeof scripted === "string" ? { content: scripted } : scripted)
      })
    })
  }
  const held = (request: ResponseRequest) => Effect.suspend(() => outcomeOf(request) ?? Effect.never)
  const running: JobState = { _tag: "Pending", status: "in_progress", phase: "running" }
  return {
    resolve: (model) =>
      Effect.succeed({
        name: "test",
        model,
        responses: { create: held },
        completions: { complete: held },
        jobs: {
          submit: (request, { submissionId: jobId }) =>
            Effect.suspend((): ReturnType<JobsApi["submit"]> => {
              const ended = outcomeOf(request)
              return ended === undefined
                ? Effect.succeed({ jobId, state: running })
                : Effect.map(ended, (outcome) => ({ jobId, state: { _tag: "Ended", outcome } }))
            }),
          retrieve: () => Effect.succeed(running),
          cancel: () => Effect.succeed(running),
          retention: { stored: Duration.infinity, unstored: Duration.infinity }
        }
      }),
    describe: (model) => ({
      provider: "test",
      model,
      baseUrl: undefined,
      keyVariables: [],
      hasKey: false,
      configured: true,
      problem: undefined,
      offers: { jobs: true, responses: true, completions: true }
    })
  }
}
