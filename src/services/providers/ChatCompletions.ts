/**
 * The wire shapes of Chat Completions, as OpenAI and compatible hosts speak it.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../errors/ProviderError.ts"
import { Overloaded, ServerError } from "../../errors/Reason.ts"
import type { ContentPart } from "../Content.ts"
import type { Outcome } from "../Provider.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import * as ChatFinish from "./internal/ChatFinish.ts"
import * as ChatMessage from "./internal/ChatMessage.ts"
import * as ChatToolCalls from "./internal/ChatToolCalls.ts"
import * as Failure from "./internal/Failure.ts"
import { type Fields, fieldsOf, isErrorSet, isFields, itemsOf, type Reply } from "./internal/JsonBody.ts"
import { assistantText, dataUrl, filenameOf } from "./internal/OpenAiInput.ts"
import * as OpenAiOutcome from "./internal/OpenAiOutcome.ts"
import * as OutputFormat from "./internal/OutputFormat.ts"
import { type Payload, refuse, withOptions } from "./internal/Payload.ts"

/**
 * Options for `toPayload`.
 *
 * @category options
 * @since 0.1.0
 */
export interface PayloadOptions {
  /** The provider's name: `openai` and `azure` take parameters that other hosts refuse. */
  readonly provider: string
  /** The model, or on Azure the deployment. */
  readonly model: string
}

/**
 * Returns the body of `POST /chat/completions`.
 *
 * **Details**
 *
 * - `maxOutputTokens` is `max_completion_tokens` for `openai` and `azure`, and on
 *   every host for OpenAI's reasoning models, which refuse the older
 *   `max_tokens`; it is `max_tokens` for all others.
 * - `reasoningEffort` is `reasoning_effort`; for `gemini`, `"xhigh"` and `"max"`
 *   become `"high"`, the most there is.
 * - `store` is sent to `openai` and `azure` only, when the request names it,
 *   and `metadata` only beside `store: true`, without which OpenAI refuses
 *   them. Leaving them out changes no answer.
 * - A schema is `response_format`, or part of the instructions where the host
 *   or the model has no such format; beside a JSON mode it is both.
 * - `providerOptions` are merged last, objects one level deep; a
 *   `response_format` replaces that of the schema.
 *
 * **Errors**
 *
 * `InvalidRequest`, not sent, for what has no form here: a file by url, an
 * image by file id, an image or a file in an assistant turn, a schema that is
 * no JSON Schema.
 *
 * **Source**
 *
 * OpenAI API reference, "Create chat completion".
 *
 * @category constructors
 * @since 0.1.0
 */
export const toPayload = (
  request: ResponseRequest,
  options: PayloadOptions
): Result.Result<Payload, ProviderError> => {
  const { model, provider } = options
  const isOpenAi = provider === "openai" || provider === "azure"
  const asked = OutputFormat.forChat(request, options)
  if (Result.isFailure(asked)) return refuse(provider, "schema", asked.failure)
  return Result.map(messagesOf(asked.success.request, provider), (messages) =>
    withOptions({
      model,
      messages,
      [isOpenAi || reasoningModel.test(model) ? "max_completion_tokens" : "max_tokens"]: request.maxOutputTokens,
      temperature: request.temperature,
      top_p: request.topP,
      reasoning_effort: effortOf(request.reasoningEffort, provider),
      stop: request.stop,
      store: isOpenAi ? request.store : undefined,
      metadata: isOpenAi && request.store === true ? request.metadata : undefined,
      ...asked.success.fields
    }, request.providerOptions))
}

// `gpt-5.6-sol`, `openai/gpt-5`, `us.openai.gpt-5.6-sol`, `o3`, but not `gpt-oss-120b`.
const reasoningModel = /(?:^|[./])(?:gpt-[5-9]|o[1-9])(?![a-z0-9])/i

const effortOf = (effort: ResponseRequest["reasoningEffort"], provider: string) =>
  provider === "gemini" && (effort === "xhigh" || effort === "max") ? "high" : effort

/**
 * Returns the outcome that a reply describes.
 *
 * **Details**
 *
 * The first choice counts. Text is `message.content`, a text or parts, else the
 * transcript of `message.audio`; reasoning is left out. Of a stream it is the
 * text that was streamed, if there was any. The finish reason is
 * `finish_reason`, or the type of `finish_details` in bodies of 2023.
 *
 * | finish reason | outcome |
 * | --- | --- |
 * | `stop`, `tool_calls`, `end_turn`, and the like | an answer |
 * | `length`, `max_tokens`, `model_context_window_exceeded`, and the like | `Incomplete` |
 * | `content_filter`, `sensitive`, `safety`, and the like | `ContentFiltered` |
 * | `refusal`, or a text in `message.refusal` | `Refusal` |
 * | a word that is not known, with text or a tool call | `Incomplete`: a retry would be paid again |
 * | no such field, with text or a tool call | an answer: the host never sends one |
 *
 * `finishReason` is `"tool-calls"` when the caller has a call to answer. Calls
 * that the server has run (`executed_tools`, or a call with its result) are none.
 *
 * **Errors**
 *
 * - What the body's error says, also of the choice, under status 200 too.
 * - `ServerError`, retryable, for an upstream that died while the model wrote:
 *   `error`, `abort`, `cancelled`, `network_error`, and the like, also as
 *   OpenRouter's `native_finish_reason` behind `stop`.
 * - `Overloaded` for DeepSeek's `insufficient_system_resource`.
 * - `InvalidResponse` for no choice, a `finish_reason` of `null` (the answer
 *   was cut), or one that is not known without any text or tool call.
 *
 * **Source**
 *
 * Finish reasons: OpenAI, DeepSeek, Mistral, Z.AI "Chat Completion"; vLLM
 * `FinishReason`; Cohere `FinishReason`; OpenRouter, "Standardized finish reasons".
 *
 * @category constructors
 * @since 0.1.0
 */
export const outcomeOf = (
  reply: Reply,
  context: OpenAiOutcome.Context,
  streamedText = ""
): Result.Result<Outcome, ProviderError> => {
  const { body } = reply
  if (!isFields(body) || isErrorSet(body.error)) return OpenAiOutcome.unreadable(reply, context)
  const [choice] = itemsOf(body.choices)
  if (!isFields(choice)) return OpenAiOutcome.unreadable(reply, context)
  if (isErrorSet(choice.error)) {
    return OpenAiOutcome.unreadable({ ...reply, body: { error: choice.error } }, context)
  }
  const message = fieldsOf(choice.message)
  const { refusal, text, transcript } = ChatMessage.textsOf(message)
  const written = streamedText || text || transcript
  const isRefused = ChatFinish.of(choice).kind === "Refused"
  const content: Content = {
    text: written,
    refusal: refusal || (isRefused ? written || "The model declined to answer" : undefined),
    hasToolCalls: ChatToolCalls.of(message).length > 0
  }
  return Result.flatMap(stoppedBy(choice, content, reply, context), (stopped) =>
    // Azure leaves the message out of a choice that its filter stopped.
    stopped === done && !isFields(choice.message)
      ? OpenAiOutcome.unreadable(reply, context)
      : Result.succeed(OpenAiOutcome.make({ ...content, stopped }, body, reply, context)))
}

type Content = Omit<OpenAiOutcome.Ending, "stopped">
type Stopped = OpenAiOutcome.Ending["stopped"]

const done: Stopped = { _tag: "Done" }

const stoppedBy = (
  choice: Fields,
  content: Content,
  reply: Reply,
  context: OpenAiOutcome.Context
): Result.Result<Stopped, ProviderError> => {
  const { kind, word } = ChatFinish.of(choice)
  const isWritten = content.text.trim() !== "" || content.hasToolCalls
  switch (kind) {
    case "Done":
    case "Refused":
      return Result.succeed(done)
    case "Limited":
      return Result.succeed({ _tag: "Limited", limit: word })
    case "Filtered":
      return Result.succeed({ _tag: "Filtered" })
    case "Overloaded":
      return failed(
        new Overloaded({ ...factsOf(word, context), message: `The provider ran out of capacity (${word})` })
      )
    case "Failed":
      return failed(
        new ServerError({ ...factsOf(word, context), message: `The provider broke off the answer (${word})` })
      )
    case "Absent":
      return isWritten && !("finish_reason" in choice)
        ? Result.succeed(done)
        : OpenAiOutcome.invalid("The answer has no finish reason: it was cut", reply, context)
    case "Unknown":
      // What was written is paid for: a retry would only pay for it again.
      return isWritten
        ? Result.succeed({ _tag: "Limited", limit: word })
        : OpenAiOutcome.invalid(`The finish reason ${OpenAiOutcome.wordOf(word, context)} is not known`, reply, context)
  }
}

const failed = (reason: Overloaded | ServerError): Result.Result<never, ProviderError> =>
  Result.fail(Failure.uncertain(reason))

const factsOf = (code: string, context: OpenAiOutcome.Context) => ({ provider: context.provider, code })

const messagesOf = (
  request: ResponseRequest,
  provider: string
): Result.Result<ReadonlyArray<Payload>, ProviderError> =>
  Result.map(
    Result.all(
      [...(request.messages ?? []), { role: "user" as const, content: request.prompt }].map(({ content, role }) =>
        Result.map(
          role === "assistant" ? assistantText(content, provider) : userContent(content, provider),
          (content): Payload => ({ role, content })
        )
      )
    ),
    (messages) =>
      request.instructions === undefined ? messages : [{ role: "system", content: request.instructions }, ...messages]
  )

const userContent = (
  content: string | ReadonlyArray<ContentPart>,
  provider: string
): Result.Result<string | ReadonlyArray<Payload>, ProviderError> =>
  typeof content === "string"
    ? Result.succeed(content)
    : Result.all(content.map((part) => partOf(part, provider)))

const partOf = (part: ContentPart, provider: string): Result.Result<Payload, ProviderError> => {
  switch (part.type) {
    case "text":
      return Result.succeed({ type: "text", text: part.text })
    case "image": {
      const { detail, source } = part
      if (source.type === "id") {
        return refuse(provider, "prompt", "Chat Completions takes no image by file id")
      }
      const url = source.type === "url" ? source.url : dataUrl(source)
      return Result.succeed({ type: "image_url", image_url: detail === undefined ? { url } : { url, detail } })
    }
    case "file": {
      const { source } = part
      if (source.type === "url") {
        return refuse(provider, "prompt", "Chat Completions takes no file by url")
      }
      return Result.succeed({
        type: "file",
        file: source.type === "id" ? { file_id: source.id } : { filename: filenameOf(part), file_data: dataUrl(source) }
      })
    }
  }
}
