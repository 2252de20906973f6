/**
 * Anthropic's Message Batches API as a port for jobs: batches of one request.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidRequest, JobCancelled, JobExpired } from "../../errors/Reason.ts"
import type { JobsApi, JobState, Outcome, SubmitOptions } from "../Provider.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import * as Answers from "./AnthropicAnswer.ts"
import * as Messages from "./AnthropicMessages.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
import * as AfterCancel from "./internal/AfterCancel.ts"
import * as Batch from "./internal/AnthropicBatch.ts"
import type { Send } from "./internal/AnthropicClient.ts"
import * as Search from "./internal/AnthropicBatchSearch.ts"
import * as Failure from "./internal/Failure.ts"
import { type Answer, jsonOf, type TextReply } from "./internal/HttpCall.ts"
import * as JobPath from "./internal/JobPath.ts"
import { parse, textOf } from "./internal/JsonBody.ts"
import * as RetryAfter from "./internal/RetryAfter.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options extends Messages.Context {
  /** The address before `/v1/messages/batches`. */
  readonly baseUrl: string
  readonly send: Send
  /**
   * How long the account's results are kept.
   *
   * @default {@link retention}
   */
  readonly retention?: Duration.Duration | undefined
}

/**
 * Longest time that a call waits for a batch, unless the request says
 * otherwise: 25 hours, as a batch ends after 24 hours at the latest.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultDeadline: Duration.Duration = Duration.hours(25)

/**
 * How long the results of a batch are kept: 29 days.
 *
 * @category models
 * @since 0.1.0
 */
export const retention: Duration.Duration = Duration.days(29)

/**
 * Creates the port.
 *
 * **Details**
 *
 * A job is a batch of one request, which costs half of what the Messages API
 * does, and mostly ends within the hour. The job's id is the batch's; the
 * request's `custom_id` is the submission's id. Parameters are those of the
 * Messages API, but they are checked only when the batch runs: wrong ones end
 * as `JobFailed`.
 *
 * A batch that has ended is asked for its results. They are read at the
 * batch's `results_url` only on the server of `baseUrl`, since the request
 * carries the key.
 *
 * `find` looks through the batches since the submission, 2 minutes of grace
 * for differing clocks included, newest 1000 at most. Which request a batch
 * holds is known only when it has ended: while one runs that may be the
 * submission's, and within the time of grace, the answer is `Undecided`.
 *
 * **Errors**
 *
 * - Those of `ErrorClassifier`, for HTTP errors and failed connections.
 * - `InvalidResponse`, `Uncertain`, for a 200 that is no batch or has no results in it.
 * - `InvalidRequest`, `NotSent`, as from `AnthropicMessages.toBody`, and for a
 *   submission's id that is no `custom_id`.
 *
 * **Gotchas**
 *
 * `find` sees the batches of the key's workspace. With a key of another
 * workspace than the submission's, it takes a submission for absent that is not.
 *
 * **Source**
 *
 * Anthropic, "Batch processing":
 * https://platform.claude.com/docs/en/build-with-claude/batch-processing
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options): JobsApi => {
  const { provider, retention: kept = retention, send } = options

  const stateOf = Effect.fnUntraced(function*(
    answer: Answer,
    submissionId: string | undefined
  ): Effect.fn.Return<JobState, ProviderError> {
    const batch = yield* batchOf(answer)
    if (batch.status !== "ended") return runningState(batch, answer.reply, answer.context)
    if (batch.isArchived) return ended(expired(options, "The results of the batch are deleted"))
    const results = yield* resultsOf(batch, options)
    return results === undefined
      ? { _tag: "Pending", status: batch.status, phase: "running" }
      : yield* Effect.fromResult(endOf(results.reply, { ...options, submissionId }, results.context))
  })

  const retrieve = Effect.fnUntraced(function*(jobId: string, submissionId?: string | undefined) {
    const path = `/v1/messages/batches/${yield* JobPath.segment(jobId, provider)}`
    return yield* stateOf(yield* send({ operation: "retrieve", method: "get", path }), submissionId)
  })

  return {
    check: (request) => Effect.asVoid(Effect.fromResult(toBody(request, { submissionId: "checked" }, options))),
    submit: Effect.fnUntraced(function*(request, job) {
      const body = yield* Effect.fromResult(toBody(request, job, options))
      const path = "/v1/messages/batches"
      const answer = yield* send({ operation: "submit", method: "post", path, body })
      const batch = yield* batchOf(answer)
      return { jobId: batch.id, state: runningState(batch, answer.reply, answer.context) }
    }),
    retrieve,
    cancel: Effect.fnUntraced(
      function*(jobId: string, submissionId?: string | undefined): Effect.fn.Return<JobState, ProviderError> {
        const path = `/v1/messages/batches/${yield* JobPath.segment(jobId, provider)}/cancel`
        return yield* stateOf(yield* send({ operation: "cancel", method: "post", path }), submissionId)
      },
      (self, jobId, submissionId) => AfterCancel.orLookUp(self, retrieve(jobId, submissionId))
    ),
    find: Search.make(send, (batch) => resultsOf(batch, options)),
    retention: { stored: kept, unstored: kept },
    defaultDeadline
  }
}

/**
 * Returns the body of `POST /v1/messages/batches`.
 *
 * **Errors**
 *
 * `InvalidRequest`, `NotSent`: see `make`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toBody = (
  request: ResponseRequest,
  { submissionId }: SubmitOptions,
  about: Messages.Context
): Result.Result<{ readonly requests: ReadonlyArray<unknown> }, ProviderError> => {
  const params = customId.test(submissionId)
    ? Messages.toBody(request, about)
    : Result.fail(
      new InvalidRequest({
        provider: about.provider,
        message: "The submission's id must have 1 to 64 letters, digits, underscores and hyphens"
      })
    )
  return Result.mapBoth(params, {
    onFailure: Failure.notSent,
    onSuccess: (params) => ({ requests: [{ custom_id: submissionId, params }] })
  })
}

/**
 * Returns the end of the job whose results a reply holds.
 *
 * **Details**
 *
 * Lines that cannot be read and those of other submissions are passed over.
 * Without `submissionId`, the only line counts.
 *
 * | result | state |
 * | --- | --- |
 * | `succeeded` | as `AnthropicAnswer.read` has it; `pause_turn` is `Incomplete` |
 * | `errored` | `JobFailed`, by its error |
 * | `canceled` | `JobCancelled` |
 * | `expired` | `JobExpired` |
 * | any other, a message that cannot be read, none of the submission | `Unknown` |
 *
 * **Errors**
 *
 * `InvalidResponse` when nothing of the submission is among the lines and some
 * could not be read.
 *
 * @category constructors
 * @since 0.1.0
 */
export const endOf = (
  reply: TextReply,
  about: Messages.Context & { readonly submissionId?: string | undefined },
  context: ErrorClassifier.Context
): Result.Result<JobState, ProviderError> => {
  const { submissionId } = about
  const { hasOthers, lines } = Batch.readLines(reply.text)
  const own = submissionId === undefined ? lines : lines.filter((line) => line.customId === submissionId)
  const [line] = own
  if (line !== undefined && own.length === 1) {
    const requestId = reply.headers.get("request-id") ?? undefined
    return Result.succeed(stateOfResult(line.result, { ...about, requestId, keys: context.keys }, context))
  }
  return hasOthers || lines.length === 0
    ? Result.fail(unreadable(reply, context))
    : Result.succeed({ _tag: "Unknown", status: `ended with ${own.length} results of the submission` })
}

const customId = /^[a-zA-Z0-9_-]{1,64}$/

const batchOf = (answer: Answer): Effect.Effect<Batch.Batch, ProviderError> => {
  const body = jsonOf(answer)
  const batch = Batch.read(body)
  return batch === undefined
    ? Effect.fail(ErrorClassifier.fromBody({ ...answer.reply, body: body ?? answer.reply.text }, answer.context))
    : Effect.succeed(batch)
}

const unreadable = ({ headers, status, text }: TextReply, context: ErrorClassifier.Context): ProviderError =>
  ErrorClassifier.fromBody({ status, headers, body: parse(text) }, context)

// Also of a batch that has ended when it is accepted: the poll that follows reads its results.
const runningState = (batch: Batch.Batch, { headers }: TextReply, context: ErrorClassifier.Context): JobState => {
  if (!knownStatuses.has(batch.status)) return { _tag: "Unknown", status: Answers.wordOf(batch.status, context) }
  return {
    _tag: "Pending",
    status: batch.status,
    phase: "running",
    pollAfter: RetryAfter.beforePoll(headers, context.now)
  }
}

const knownStatuses: ReadonlySet<string> = new Set(["in_progress", "canceling", "ended"])

/** Reads the results of a batch; `undefined` when they are not there yet. */
const resultsOf = (batch: Batch.Batch, { baseUrl, send }: Options) =>
  send({
    operation: "retrieve",
    method: "get",
    path: Batch.resultsAt(batch, baseUrl),
    accept: "application/binary"
  }).pipe(Effect.catchIf(isTooEarly, () => Effect.undefined))

const isTooEarly = ({ verdict: { reason } }: ProviderError): boolean =>
  reason._tag === "NotFound" && reason.message.includes("no available results")

const stateOfResult = (
  result: Batch.Line["result"],
  about: Answers.Context,
  context: ErrorClassifier.Context
): JobState => {
  switch (result.type) {
    case "succeeded":
      return stateOfMessage(result.message, about)
    case "errored":
      return ended({ _tag: "Failed", verdict: ErrorClassifier.jobFailure(result.error, undefined, context) })
    case "canceled":
      return ended(Failure.final(new JobCancelled({ ...saidOf(about), message: "The batch was cancelled" })))
    case "expired":
      return ended(expired(about, "The batch expired before the request was run"))
  }
  return {
    _tag: "Unknown",
    status: `ended with the result ${JSON.stringify(Answers.wordOf(textOf(result.type), about))}`
  }
}

// What cannot be read is no end: another version may read it while the results are kept, and nothing is paid again.
const stateOfMessage = (message: unknown, about: Answers.Context): JobState => {
  const reading = Answers.read(message, Answers.noProgress, about)
  switch (reading._tag) {
    case "Unreadable":
      return { _tag: "Unknown", status: `succeeded: ${reading.message}` }
    case "Paused":
      return ended(Answers.stillPaused(reading.progress, about))
    case "Ended":
      return reading.unknownStop === undefined
        ? ended(reading.outcome)
        : { _tag: "Unknown", status: `succeeded with the stop_reason ${JSON.stringify(reading.unknownStop)}` }
  }
}

const expired = (about: Answers.Context, message: string): Outcome =>
  Failure.final(new JobExpired({ ...saidOf(about), message }))

const saidOf = (about: Answers.Context) => ({
  provider: about.provider,
  requestId: about.requestId === undefined ? undefined : Answers.wordOf(about.requestId, about)
})

const ended = (outcome: Outcome): JobState => ({ _tag: "Ended", outcome })
