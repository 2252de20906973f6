/**
 * A provider that answers from a script and records what it is asked, for deterministic tests: no network, no time of
 * its own. Plug it in by `Providers.layer({ test: scripted.provider })`, or by `scripted.layer`, and name the model
 * `test/anything`.
 *
 * **Example** (A job that is polled twice)
 *
 * `ScriptedProvider.make({ submit: [accepted("job-1")], retrieve: [pending(), ended(succeeded("Paris"))] })`
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { type Evidence, ProviderError, type Verdict } from "../errors/ProviderError.ts"
import { Network } from "../errors/Reason.ts"
import { Answer } from "../services/LlmResponse.ts"
import type { JobState, Lookup, Outcome, Pending, Provider, StreamEvent } from "../services/Provider.ts"
import * as Providers from "../services/Providers.ts"
import type { ResponseRequest } from "../services/ResponseRequest.ts"

/**
 * What a port of the provider was asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Call {
  readonly operation:
    | "submit"
    | "retrieve"
    | "cancel"
    | "find"
    | "create"
    | "complete"
    | "submitStream"
    | "stream"
    | "createStream"
    | "completeStream"
  /** Which call of this operation it is, from 1. */
  readonly number: number
  /** When it came, Unix time in milliseconds by the `Clock` of the caller. */
  readonly at: number
  /** What was sent, by `submit`, `create` and `complete`. */
  readonly request?: ResponseRequest | undefined
  /** The submission that `submit` sends or `find` looks for. */
  readonly submissionId?: string | undefined
  /** The hash of the session key that `submit` sends. */
  readonly sessionHash?: string | undefined
  /** The job of `retrieve`, `cancel` and `stream`. */
  readonly jobId?: string | undefined
  /** The cursor after which `stream` goes on. */
  readonly after?: string | undefined
}

/**
 * The answer to one call: an effect, or a function of the call that makes one.
 *
 * **Details**
 *
 * An effect that waits holds the call open: `Effect.andThen(Deferred.await(gate), accepted("job-1"))`.
 *
 * @category models
 * @since 0.1.0
 */
export type Step<A> = Effect.Effect<A, ProviderError> | ((call: Call) => Effect.Effect<A, ProviderError>)

/**
 * The answer to one call that is watched: a stream, or a function of the call that makes one.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamStep =
  | Stream.Stream<StreamEvent, ProviderError>
  | ((call: Call) => Stream.Stream<StreamEvent, ProviderError>)

/**
 * What `submit` succeeds with.
 *
 * @category models
 * @since 0.1.0
 */
export interface Submitted {
  readonly jobId: string
  readonly state: JobState
}

/**
 * The steps of each operation, in order; the last one answers all further calls.
 *
 * **Details**
 *
 * A port is offered when it has steps: jobs by `submit`, `retrieve` or `cancel`, a lookup by `find`, the Responses API
 * by `create`, Chat Completions by `complete`, and what can be watched by `submitStream`, `stream` (both beside a port
 * for jobs), `createStream` and `completeStream`. A job that `retrieve` or `cancel` say nothing of is running for ever.
 *
 * @category options
 * @since 0.1.0
 */
export interface Script {
  readonly submit?: ReadonlyArray<Step<Submitted>> | undefined
  readonly retrieve?: ReadonlyArray<Step<JobState>> | undefined
  readonly cancel?: ReadonlyArray<Step<JobState>> | undefined
  readonly find?: ReadonlyArray<Step<Lookup>> | undefined
  readonly create?: ReadonlyArray<Step<Outcome>> | undefined
  readonly complete?: ReadonlyArray<Step<Outcome>> | undefined
  readonly submitStream?: ReadonlyArray<StreamStep> | undefined
  readonly stream?: ReadonlyArray<StreamStep> | undefined
  readonly createStream?: ReadonlyArray<StreamStep> | undefined
  readonly completeStream?: ReadonlyArray<StreamStep> | undefined
  /**
   * How long the provider keeps a job, with `store: true`; a tenth of it with `store: false`.
   *
   * @default "30 days"
   */
  readonly retention?: Duration.Input | undefined
}

/**
 * A provider with a script.
 *
 * @category models
 * @since 0.1.0
 */
export interface ScriptedProvider {
  /** Makes the provider of a model, for the settings of `Providers.layer`. */
  readonly provider: (model: string) => Provider
  /** Provides `Providers` with this provider alone, under the prefix `test`. */
  readonly layer: Layer.Layer<Providers.Providers>
  /** The calls up to now, of one operation or of all, in the order in which they came; failed and held ones too. */
  readonly calls: (operation?: Call["operation"]) => ReadonlyArray<Call>
  /** How many calls of an operation were interrupted by their caller before they were answered. */
  readonly interrupted: (operation: Call["operation"]) => number
}

/**
 * Creates a provider from a script.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (script: Script): Effect.Effect<ScriptedProvider> =>
  Effect.sync(() => {
    const calls: Array<Call> = []
    const interruptions: Array<Call> = []
    const calledFor = (operation?: Call["operation"]) =>
      calls.filter((call) => operation === undefined || call.operation === operation)

    const called = (asked: Omit<Call, "at" | "number">): Effect.Effect<Call> =>
      Effect.map(Clock.currentTimeMillis, (at) => {
        const call: Call = { ...asked, number: calledFor(asked.operation).length + 1, at }
        calls.push(call)
        return call
      })

    const answer = <A>(
      steps: ReadonlyArray<Step<A>> | undefined,
      silent: Effect.Effect<A, ProviderError>,
      asked: Omit<Call, "at" | "number">
    ): Effect.Effect<A, ProviderError> =>
      Effect.flatMap(called(asked), (call) => {
        const step = steps?.[call.number - 1] ?? steps?.at(-1) ?? silent
        return Effect.onInterrupt(
          typeof step === "function" ? step(call) : step,
          () => Effect.sync(() => interruptions.push(call))
        )
      })

    const watch = (
      steps: ReadonlyArray<StreamStep>,
      asked: Omit<Call, "at" | "number">
    ): Stream.Stream<StreamEvent, ProviderError> =>
      Stream.unwrap(Effect.map(called(asked), (call) => {
        const step = steps[call.number - 1] ?? steps.at(-1) ?? Stream.empty
        return typeof step === "function" ? step(call) : step
      }))

    const retention = Duration.fromInputUnsafe(script.retention ?? "30 days")
    const { cancel, complete, completeStream, create, createStream, find, retrieve, stream, submit, submitStream } =
      script
    const provider = (model: string): Provider => ({
      name: "test",
      model,
      baseUrl: "https://scripted.test/v1",
      jobs: submit === undefined && retrieve === undefined && cancel === undefined ? undefined : {
        submit: (request, { sessionHash, submissionId }) =>
          answer(submit, accepted(), { operation: "submit", request, submissionId, sessionHash }),
        retrieve: (jobId) => answer(retrieve, pending(), { operation: "retrieve", jobId }),
        cancel: (jobId) => answer(cancel, pending(), { operation: "cancel", jobId }),
        find: find === undefined
          ? undefined
          : (submissionId) => answer(find, Effect.succeed({ _tag: "Unknown" }), { operation: "find", submissionId }),
        submitStream: submitStream === undefined
          ? undefined
          : (request, { sessionHash, submissionId }) =>
            watch(submitStream, { operation: "submitStream", request, submissionId, sessionHash }),
        stream: stream === undefined
          ? undefined
          : (jobId, after) => watch(stream, { operation: "stream", jobId, after }),
        retention: { stored: retention, unstored: Duration.times(retention, 0.1) }
      },
      responses: create === undefined && createStream === undefined
        ? undefined
        : {
          create: (request) => answer(create, Effect.never, { operation: "create", request }),
          stream: createStream === undefined
            ? undefined
            : (request) => watch(createStream, { operation: "createStream", request })
        },
      completions: complete === undefined && completeStream === undefined
        ? undefined
        : {
          complete: (request) => answer(complete, Effect.never, { operation: "complete", request }),
          stream: completeStream === undefined
            ? undefined
            : (request) => watch(completeStream, { operation: "completeStream", request })
        }
    })

    return {
      provider,
      layer: Providers.layer({ test: provider }),
      calls: calledFor,
      interrupted: (operation) => interruptions.filter((call) => call.operation === operation).length
    }
  })

/**
 * Returns a step of `submit`: the provider has taken the job. Without a state it is queued.
 *
 * @category combinators
 * @since 0.1.0
 */
export const accepted = (jobId = "job-1", state: JobState = queued): Effect.Effect<Submitted> =>
  Effect.succeed({ jobId, state })

/**
 * Returns a step of `retrieve` or `cancel`: the job has not ended. Without options it is running.
 *
 * @category combinators
 * @since 0.1.0
 */
export const pending = (
  options: { readonly phase?: Pending["phase"] | undefined; readonly pollAfter?: Duration.Input | undefined } = {}
): Effect.Effect<JobState> => {
  const { phase = "running", pollAfter } = options
  return Effect.succeed({
    ...(phase === "queued" ? queued : running),
    ...(pollAfter === undefined ? {} : { pollAfter: Duration.fromInputUnsafe(pollAfter) })
  })
}

/**
 * Returns a step of `retrieve` or `cancel`: the job has ended.
 *
 * @category combinators
 * @since 0.1.0
 */
export const ended = (outcome: Outcome): Effect.Effect<JobState> => Effect.succeed({ _tag: "Ended", outcome })

/**
 * Returns a step of `retrieve` or `cancel`: the job has a status that the adapter does not know.
 *
 * @category combinators
 * @since 0.1.0
 */
export const unknown = (status: string): Effect.Effect<JobState> => Effect.succeed({ _tag: "Unknown", status })

/**
 * Returns an answer as the end of a job; `Effect.succeed` makes a step of `create` or `complete` of it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const succeeded = (
  content: string,
  answer: Partial<Omit<ConstructorParameters<typeof Answer>[0], "content">> = {}
): Outcome => ({
  _tag: "Succeeded",
  answer: new Answer({ content, finishReason: "stop", response: { output: content }, model: "anything", ...answer })
})

/**
 * Returns a failure as the end of a job or of a held call, after the provider has taken it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failed = (verdict: Verdict): Outcome => ({ _tag: "Failed", verdict })

/**
 * Returns a step that fails: an exchange with the provider went wrong, by default without anything known of the request.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fails = (
  verdict: Verdict = { _tag: "Retryable", reason: new Network({ message: "The connection was reset" }) },
  evidence: Evidence = "Uncertain"
): Effect.Effect<never, ProviderError> => Effect.fail(new ProviderError({ verdict, evidence }))

/**
 * Returns a step that fails: the provider has not taken the request, as after a 4xx.
 *
 * @category combinators
 * @since 0.1.0
 */
export const refuses = (verdict: Verdict): Effect.Effect<never, ProviderError> => fails(verdict, "Refused")

const queued: Pending = { _tag: "Pending", status: "queued", phase: "queued" }
const running: Pending = { _tag: "Pending", status: "in_progress", phase: "running" }
