/**
 * The wire shapes of OpenAI's Responses API.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { ContentPart } from "../Content.ts"
import type { JobState, Outcome, SubmitOptions } from "../Provider.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
import { countOf, type Fields, fieldsOf, isErrorSet, isFields, type Reply, textOf } from "./internal/JsonBody.ts"
import { assistantText, dataUrl, filenameOf } from "./internal/OpenAiInput.ts"
import * as OpenAiOutcome from "./internal/OpenAiOutcome.ts"
import * as OpenAiUsage from "./internal/OpenAiUsage.ts"
import * as OutputFormat from "./internal/OutputFormat.ts"
import { type Payload, refuse, withOptions } from "./internal/Payload.ts"
import { contentOf } from "./internal/ResponseContent.ts"
import * as RetryAfter from "./internal/RetryAfter.ts"

/**
 * Options for `toPayload`.
 *
 * @category options
 * @since 0.1.0
 */
export interface PayloadOptions {
  /** The provider's name, for errors. */
  readonly provider: string
  /** The model, or on Azure the deployment. */
  readonly model: string
  /** Send `store` also when the request does not name it, as `true`. */
  readonly alwaysStore: boolean
  /** Present for a background job. */
  readonly job?: SubmitOptions | undefined
}

/**
 * Returns the body of `POST /responses`.
 *
 * **Details**
 *
 * `providerOptions` are merged last, objects one level deep. A job's metadata
 * get `holdfast_submission` and `holdfast_session`, which win. Earlier
 * assistant turns are sent as one text each. A schema is `text.format`, or part
 * of the instructions where the host or the model has no such format.
 *
 * **Errors**
 *
 * `InvalidRequest`, not sent: `stop`, for which this API has no parameter, an
 * image or a file in an assistant turn, or a schema that is no JSON Schema.
 *
 * **Source**
 *
 * OpenAI API reference, "Create a model response".
 *
 * @category constructors
 * @since 0.1.0
 */
export const toPayload = (
  request: ResponseRequest,
  options: PayloadOptions
): Result.Result<Payload, ProviderError> => {
  const { job, model, provider } = options
  if (request.stop !== undefined && request.stop.length > 0) {
    return refuse(provider, "stop", "The Responses API has no stop sequences")
  }
  return Result.gen(function*() {
    const input = yield* inputOf(request, provider)
    const asked = OutputFormat.forResponses(request, options)
    if (Result.isFailure(asked)) return yield* refuse(provider, "schema", asked.failure)
    const { fields, request: { instructions } } = asked.success
    const payload = withOptions({
      model,
      input,
      instructions,
      max_output_tokens: request.maxOutputTokens,
      temperature: request.temperature,
      top_p: request.topP,
      reasoning: request.reasoningEffort === undefined ? undefined : { effort: request.reasoningEffort },
      metadata: request.metadata,
      store: request.store ?? (options.alwaysStore ? true : undefined),
      background: job === undefined ? undefined : true,
      ...fields
    }, request.providerOptions)
    return job === undefined
      ? payload
      : { ...payload, metadata: { ...fieldsOf(payload.metadata), ...metadataOf(job) } }
  })
}

/**
 * Returns the state of the job that a reply describes.
 *
 * **Details**
 *
 * Only `queued` and `in_progress` are pending; their wait is
 * `openai-poll-after-ms`, else `retry-after`. Some servers send no status: then
 * readable output without an error counts as completed. A status that is not
 * the API's is `Unknown`.
 *
 * **Errors**
 *
 * `InvalidResponse` for a body that describes no response, and whatever an
 * error body without a status says.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stateOf = (reply: Reply, context: OpenAiOutcome.Context): Result.Result<JobState, ProviderError> => {
  const { body } = reply
  if (!isFields(body)) return OpenAiOutcome.unreadable(reply, context)
  const status = body.status ?? ""
  // Only a server that sends no status at all is believed without one.
  if (typeof status !== "string") return OpenAiOutcome.unreadable(reply, context)
  switch (status) {
    case "queued":
    case "in_progress": {
      const pollAfter = RetryAfter.beforePoll(reply.headers, context.now)
      return Result.succeed({ _tag: "Pending", status, phase: status === "queued" ? "queued" : "running", pollAfter })
    }
    case "completed":
    case "incomplete":
      return Result.map(endOf(status, body, reply, context), ended)
    case "failed":
      return Result.succeed(ended(jobFailure(body, context)))
    case "cancelled":
    case "canceled":
      return Result.succeed(
        ended(OpenAiOutcome.cancelled(contentOf(body, context).text, body, reply, context))
      )
    case "":
      return Result.map(unnamedEnd(body, reply, context), ended)
  }
  return isResponse(body)
    ? Result.succeed({ _tag: "Unknown", status: OpenAiOutcome.wordOf(status, context) })
    : OpenAiOutcome.unreadable(reply, context)
}

/**
 * Returns the outcome of a call that was held open until its answer.
 *
 * **Errors**
 *
 * As `stateOf`, and `InvalidResponse` for a response that has not ended or
 * whose status is unknown: neither may pass for an answer.
 *
 * @category constructors
 * @since 0.1.0
 */
export const outcomeOf = (reply: Reply, context: OpenAiOutcome.Context): Result.Result<Outcome, ProviderError> =>
  Result.flatMap(stateOf(reply, context), (state) =>
    state._tag === "Ended"
      ? Result.succeed(state.outcome)
      : OpenAiOutcome.invalid(`The call returned a response in status ${state.status}`, reply, context))

/**
 * Returns the outcome of a background job that a server has answered at once, which is told to have ignored `background`
 * unless its body repeats it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const atOnce = (outcome: Outcome, body: unknown): Outcome =>
  fieldsOf(body).background === true ? outcome : { ...outcome, ignoredBackground: true }

/**
 * Returns the id of the response that a body describes, or the empty string.
 *
 * @category constructors
 * @since 0.1.0
 */
export const idOf = (body: unknown): string => textOf(fieldsOf(body).id)

/**
 * Returns the submission that a response carries in its metadata; `undefined` when it carries none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const submissionOf = (body: unknown): string | undefined =>
  textOf(fieldsOf(fieldsOf(body).metadata).holdfast_submission) || undefined

const ended = (outcome: Outcome): JobState => ({ _tag: "Ended", outcome })

const isResponse = (body: Fields): boolean => body.object === "response" || textOf(body.id) !== ""

// OpenRouter's own word for the error stands beside it.
const jobFailure = (body: Fields, context: OpenAiOutcome.Context): Outcome => ({
  _tag: "Failed",
  verdict: ErrorClassifier.jobFailure(
    isFields(body.error) && body.error_type !== undefined
      ? { ...body.error, error_type: body.error_type }
      : body.error,
    OpenAiUsage.ofBody(body, context.askedTier),
    context
  )
})

const endOf = (
  status: "completed" | "incomplete",
  body: Fields,
  reply: Reply,
  context: OpenAiOutcome.Context
): Result.Result<Outcome, ProviderError> => {
  if (status === "completed" && isErrorSet(body.error)) return Result.succeed(jobFailure(body, context))
  if (!Array.isArray(body.output) && status === "completed") {
    return OpenAiOutcome.invalid("The response is completed and has no output", reply, context)
  }
  const content = contentOf(body, context)
  const isCut = status === "incomplete" || isCutAtLimit(body, context)
  const stopped = isCut ? stoppedBy(body) : { _tag: "Done" as const }
  return Result.succeed(OpenAiOutcome.make({ ...content, stopped }, body, reply, withLimit(body, context)))
}

// The type leaves `status` optional, and some compatible servers do too.
const unnamedEnd = (
  body: Fields,
  reply: Reply,
  context: OpenAiOutcome.Context
): Result.Result<Outcome, ProviderError> => {
  if (isErrorSet(body.error)) return OpenAiOutcome.unreadable(reply, context)
  const content = contentOf(body, context)
  if (isFields(body.incomplete_details)) return endOf("incomplete", body, reply, context)
  return content.text.trim() !== "" || content.refusal !== undefined || content.hasToolCalls ||
      content.hasOtherContent === true
    ? endOf("completed", body, reply, context)
    : OpenAiOutcome.unreadable(reply, context)
}

const stoppedBy = ({ incomplete_details: details }: Fields): OpenAiOutcome.Ending["stopped"] => {
  const limit = textOf(fieldsOf(details).reason) || textOf(details)
  return limit === "content_filter" ? { _tag: "Filtered" } : { _tag: "Limited", limit }
}

// A poll does not know the request; the response repeats its limit.
const withLimit = (body: Fields, context: OpenAiOutcome.Context): OpenAiOutcome.Context => ({
  ...context,
  outputLimit: context.outputLimit ?? countOf(body.max_output_tokens)
})

/** Whether an answer that is reported as complete was cut at its limit, which some servers never report. */
const isCutAtLimit = (body: Fields, context: OpenAiOutcome.Context): boolean => {
  const { hidesLimit, outputLimit = 0 } = withLimit(body, context)
  return hidesLimit === true && outputLimit > 0 && (OpenAiOutcome.outputTokensOf(body) ?? 0) >= outputLimit
}

const metadataOf = (job: SubmitOptions): Payload => ({
  holdfast_submission: job.submissionId,
  ...(job.sessionHash === undefined ? undefined : { holdfast_session: job.sessionHash })
})

const inputOf = (request: ResponseRequest, provider: string): Result.Result<unknown, ProviderError> => {
  const { messages = [], prompt } = request
  if (messages.length === 0 && typeof prompt === "string") return Result.succeed(prompt)
  return Result.all(
    [...messages, { role: "user" as const, content: prompt }].map(({ content, role }) =>
      role === "assistant"
        ? Result.map(assistantText(content, provider), (content) => ({ role, content }))
        : Result.succeed({ role, content: typeof content === "string" ? content : content.map(partOf) })
    )
  )
}

const partOf = (part: ContentPart): Payload => {
  switch (part.type) {
    case "text":
      return { type: "input_text", text: part.text }
    case "image": {
      const { source } = part
      const detail = part.detail ?? "auto"
      if (source.type === "id") return { type: "input_image", detail, file_id: source.id }
      return { type: "input_image", detail, image_url: source.type === "url" ? source.url : dataUrl(source) }
    }
    case "file": {
      const { source } = part
      if (source.type === "id") return { type: "input_file", file_id: source.id }
      if (source.type === "url") return { type: "input_file", file_url: source.url }
      return { type: "input_file", filename: filenameOf(part), file_data: dataUrl(source) }
    }
  }
}
