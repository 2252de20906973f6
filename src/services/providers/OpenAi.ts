/**
 * OpenAI, Azure and every OpenAI-compatible host, through the `openai` SDK.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { CompletionsApi, JobsApi, JobState, ResponsesApi, Retention, SubmitOptions } from "../Provider.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import * as ChatCompletions from "./ChatCompletions.ts"
import * as ChatCompletionsStream from "./ChatCompletionsStream.ts"
import * as AfterCancel from "./internal/AfterCancel.ts"
import * as CheckedByHost from "./internal/CheckedByHost.ts"
import * as EventStream from "./internal/EventStream.ts"
import * as JobPath from "./internal/JobPath.ts"
import * as OpenAiClient from "./internal/OpenAiClient.ts"
import * as OpenAiOutcome from "./internal/OpenAiOutcome.ts"
import * as OpenAiJob from "./internal/OpenAiJob.ts"
import type { Payload } from "./internal/Payload.ts"
import * as Played from "./internal/Played.ts"
import * as OpenAiResponses from "./OpenAiResponses.ts"
import * as OpenAiResponsesStream from "./OpenAiResponsesStream.ts"

export type { Options } from "./internal/OpenAiClient.ts"

/**
 * The ports that a host offers for one model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ports {
  readonly ready: Effect.Effect<void, ProviderError>
  readonly jobs?: JobsApi
  readonly responses?: ResponsesApi
  readonly completions: CompletionsApi
}

/**
 * Creates the ports of a host, for each model.
 *
 * **Details**
 *
 * Cheap: the SDK is imported by the first request. Its retries are off, it
 * reads no environment variable and logs nothing. Interrupting a call aborts
 * its request. There is no timeout of its own.
 *
 * A body is read by what it contains: an event stream in answer to a plain call,
 * and JSON in answer to a stream, are understood as well.
 *
 * Streams: see `OpenAiResponsesStream.makeReader` and
 * `ChatCompletionsStream.makeReader`. Leaving one early closes its connection.
 *
 * A job that the server answers at once, without `background: true` in its
 * body, is `ignoredBackground`: its answer is used.
 *
 * A job's `cancel` that the server refuses because the job is over, or answers
 * with something else than a response, looks the job up again; so does one whose
 * reply has no usage yet.
 *
 * A call whose answer the host itself finds not to fit (Groq's
 * `json_validate_failed`) ends as an outcome: as an answer where it fits the
 * request's schema all the same, else as `InvalidOutput`.
 *
 * `store` is sent always to `openai`, to `azure` and to hosts with background
 * jobs; to others only when the request names it, as stateless hosts refuse
 * `true`.
 *
 * **Errors**
 *
 * Whatever `ErrorClassifier` makes of the host's errors; `InvalidResponse` for
 * a 2xx that cannot be read; `AuthenticationFailed` for a key that no header
 * can hold; `ProviderNotConfigured` when the SDK cannot be imported.
 *
 * **Source**
 *
 * Retention: OpenAI, "Your data" (30 days), "Background mode" (10 minutes).
 * Groq, "Structured Outputs", best-effort mode:
 * https://console.groq.com/docs/structured-outputs
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: OpenAiClient.Options): Effect.Effect<(model: string) => Ports> =>
  Effect.sync(() => {
    const client = OpenAiClient.make(options)
    // Most programs ask one model again and again; twenty thousand jobs then wait with the same ports.
    let last: { readonly model: string; readonly ports: Ports } | undefined
    return (model) => {
      if (last?.model !== model) last = { model, ports: makePorts(options, model, client) }
      return last.ports
    }
  })

const makePorts = (options: OpenAiClient.Options, model: string, client: OpenAiClient.Client): Ports => ({
  ready: client.ready,
  ...(options.responsesApi && options.background ? { jobs: makeJobs(options, model, client) } : undefined),
  ...(options.responsesApi ? { responses: makeResponses(options, model, client) } : undefined),
  completions: makeCompletions(options, model, client)
})

const makeJobs = (options: OpenAiClient.Options, model: string, { send, sendStream }: OpenAiClient.Client): JobsApi => {
  const payloadOf = (request: ResponseRequest, job: SubmitOptions) =>
    Effect.fromResult(OpenAiResponses.toPayload(request, { provider: options.name, model, alwaysStore: true, job }))
  const retrieve = Effect.fnUntraced(function*(jobId: string) {
    const path = yield* pathOf(jobId, options.name)
    const answer = yield* send({ operation: "retrieve", method: "get", path, model })
    return (yield* Effect.fromResult(OpenAiJob.of(answer))).state
  })
  return {
    check: (request) => Effect.asVoid(payloadOf(request, { submissionId: "" })),
    submit: Effect.fnUntraced(function*(request, submission) {
      const body = yield* payloadOf(request, submission)
      const answer = yield* send({ operation: "submit", method: "post", path: "/responses", body, model })
      const job = yield* Effect.fromResult(OpenAiJob.of(answer))
      // An end needs no id; a job that goes on cannot be found again without one.
      return job.jobId === "" && job.state._tag !== "Ended"
        ? yield* Effect.fromResult(
          OpenAiOutcome.invalid("The job was accepted without an id", answer.reply, answer.context)
        )
        : job
    }),
    submitStream: (request, job) =>
      EventStream.make(
        Effect.flatMap(payloadOf(request, job), (payload) =>
          sendStream({
            operation: "submit",
            method: "post",
            path: "/responses",
            body: { ...payload, stream: true },
            model
          })),
        OpenAiResponsesStream.makeReader({ isJob: true })
      ),
    stream: (jobId, after) => {
      const tail = after === undefined
        ? ""
        : `&starting_after=${JobPath.encode(OpenAiResponsesStream.sequenceOf(after))}`
      return EventStream.make(
        Effect.flatMap(
          pathOf(jobId, options.name),
          (path) => sendStream({ operation: "retrieve", method: "get", path: `${path}?stream=true${tail}`, model })
        ),
        OpenAiResponsesStream.makeReader({ isJob: true, after })
      )
    },
    retrieve,
    submissionOf: Effect.fnUntraced(function*(jobId) {
      const path = yield* pathOf(jobId, options.name)
      return OpenAiJob.submissionOf(yield* send({ operation: "retrieve", method: "get", path, model }))
    }),
    cancel: Effect.fnUntraced(
      function*(jobId: string): Effect.fn.Return<JobState, ProviderError> {
        const path = `${yield* pathOf(jobId, options.name)}/cancel`
        const answer = yield* send({ operation: "cancel", method: "post", path, model })
        return (yield* Effect.fromResult(OpenAiJob.of(answer))).state
      },
      (self, jobId) => AfterCancel.withUsage(self, retrieve(jobId))
    ),
    retention: retentionOf(options)
  }
}

const makeResponses = (
  options: OpenAiClient.Options,
  model: string,
  { send, sendStream }: OpenAiClient.Client
): ResponsesApi => {
  const callOf = (
    request: ResponseRequest
  ): Effect.Effect<OpenAiClient.Call & { readonly body: Payload }, ProviderError> => {
    const { background, name } = options
    const alwaysStore = background || name === "openai" || name === "azure"
    return Effect.fromResult(
      Result.map(
        OpenAiResponses.toPayload(request, { provider: name, model, alwaysStore }),
        (body) => ({ operation: "call", method: "post", path: "/responses", body, model })
      )
    )
  }
  return {
    check: (request) => Effect.asVoid(callOf(request)),
    create: Effect.fnUntraced(function*(request) {
      const answer = yield* send(yield* callOf(request))
      return yield* Effect.fromResult(
        Played.outcomeOf(
          answer,
          OpenAiResponsesStream.makeReader({ isJob: false }),
          () => OpenAiResponses.outcomeOf(answer.reply, answer.context)
        )
      )
    }, (self, request) => CheckedByHost.ofCall(self, { request, model })),
    stream: (request) =>
      CheckedByHost.ofStream(
        EventStream.make(
          Effect.flatMap(callOf(request), (call) => sendStream({ ...call, body: { ...call.body, stream: true } })),
          OpenAiResponsesStream.makeReader({ isJob: false })
        ),
        { request, model }
      )
  }
}

const makeCompletions = (
  options: OpenAiClient.Options,
  model: string,
  { send, sendStream }: OpenAiClient.Client
): CompletionsApi => {
  const path = chatPath(options, model)
  const payloadOf = (request: ResponseRequest) =>
    Effect.fromResult(ChatCompletions.toPayload(request, { provider: options.name, model }))
  return {
    check: (request) => Effect.asVoid(payloadOf(request)),
    complete: Effect.fnUntraced(function*(request) {
      const body = yield* payloadOf(request)
      const answer = yield* send({ operation: "call", method: "post", path, body, model })
      return yield* Effect.fromResult(
        Played.outcomeOf(
          answer,
          ChatCompletionsStream.makeReader,
          () => ChatCompletions.outcomeOf(answer.reply, answer.context)
        )
      )
    }, (self, request) => CheckedByHost.ofCall(self, { request, model })),
    stream: (request) =>
      CheckedByHost.ofStream(
        EventStream.make(
          Effect.flatMap(payloadOf(request), (payload) => {
            const body = ChatCompletionsStream.toStreamed(payload, options.name)
            return sendStream({ operation: "call", method: "post", path, body, model })
          }),
          ChatCompletionsStream.makeReader
        ),
        { request, model }
      )
  }
}

const retentionOf = ({ retention: stored = Duration.days(30) }: OpenAiClient.Options): Retention => ({
  stored,
  unstored: Duration.min(stored, Duration.minutes(10))
})

const pathOf = (jobId: string, provider: string): Effect.Effect<string, ProviderError> =>
  Effect.map(JobPath.segment(jobId, provider), (segment) => `/responses/${segment}`)

const chatPath = ({ apiVersion, baseUrl = "" }: OpenAiClient.Options, model: string): string =>
  apiVersion === undefined || /\/deployments\//.test(`${baseUrl}/`)
    ? "/chat/completions"
    : `/deployments/${JobPath.encode(model)}/chat/completions`
