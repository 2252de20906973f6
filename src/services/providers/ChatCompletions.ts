/**
 * The wire shapes of Chat Completions, as OpenAI and compatible hosts speak it.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../errors/ProviderError.ts"
import { Overloaded } from "../../errors/Reason.ts"
import type { ContentPart } from "../Content.ts"
import type { Outcome } from "../Provider.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import * as Failure from "./internal/Failure.ts"
import { type Fields, fieldsOf, isErrorSet, isFields, itemsOf, type Reply, textOf } from "./internal/JsonBody.ts"
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
 * The first choice counts. Text is `message.content`, a text or parts;
 * reasoning is left out. A host that never sends `finish_reason` is believed
 * when there is text or a tool call. An answer with a `finish_reason` that is
 * not known is `Incomplete`, with that word as limit.
 *
 * **Errors**
 *
 * - What the body's error says, also of the choice, under status 200 too.
 * - `Overloaded` for DeepSeek's `insufficient_system_resource`.
 * - `InvalidResponse` for no choice, a `finish_reason` of `null` (the answer
 *   was cut), or one that is not known without any text or tool call.
 *
 * @category constructors
 * @since 0.1.0
 */
export const outcomeOf = (reply: Reply, context: OpenAiOutcome.Context): Result.Result<Outcome, ProviderError> => {
  const { body } = reply
  if (!isFields(body) || isErrorSet(body.error)) return OpenAiOutcome.unreadable(reply, context)
  const [choice] = itemsOf(body.choices)
  if (!isFields(choice)) return OpenAiOutcome.unreadable(reply, context)
  if (isErrorSet(choice.error)) {
    return OpenAiOutcome.unreadable({ ...reply, body: { error: choice.error } }, context)
  }
  const content = contentOf(fieldsOf(choice.message))
  return Result.flatMap(stoppedBy(choice, content, reply, context), (stopped) =>
    // Azure leaves the message out of a choice that its filter stopped.
    stopped === done && !isFields(choice.message)
      ? OpenAiOutcome.unreadable(reply, context)
      : Result.succeed(OpenAiOutcome.make({ ...content, stopped }, body, reply, context)))
}

/**
 * Returns whether a `finish_reason` says that the answer has reached its length.
 *
 * @category guards
 * @since 0.1.0
 */
export const isLengthLimit = (finish: string): boolean => /^(?:length|max_tokens|model_length)$/i.test(finish)

type Content = Omit<OpenAiOutcome.Ending, "stopped">
type Stopped = OpenAiOutcome.Ending["stopped"]

const done: Stopped = { _tag: "Done" }

const stoppedBy = (
  choice: Fields,
  content: Content,
  reply: Reply,
  context: OpenAiOutcome.Context
): Result.Result<Stopped, ProviderError> => {
  if (!("finish_reason" in choice) && (content.text.trim() !== "" || content.hasToolCalls)) {
    return Result.succeed(done)
  }
  const finish = textOf(choice.finish_reason)
  if (isLengthLimit(finish)) return Result.succeed({ _tag: "Limited", limit: finish })
  switch (finish.toLowerCase()) {
    case "stop":
    case "eos":
    case "eos_token":
    case "stop_sequence":
    case "end_turn":
    case "complete":
    case "tool_calls":
    case "tool_call":
    case "function_call":
      return Result.succeed(done)
    case "sensitive":
    case "safety":
    case "recitation":
      return Result.succeed({ _tag: "Filtered" })
    case "insufficient_system_resource":
      return overloaded(finish, context)
    case "":
      return OpenAiOutcome.invalid("The answer has no finish reason: it was cut", reply, context)
  }
  // Gemini's endpoint writes `content_filter: SAFETY`.
  if (finish.startsWith("content_filter")) return Result.succeed({ _tag: "Filtered" })
  // What was written is paid for: a retry would only pay for it again.
  return content.text.trim() !== "" || content.hasToolCalls
    ? Result.succeed({ _tag: "Limited", limit: finish })
    : OpenAiOutcome.invalid(`The finish reason ${OpenAiOutcome.wordOf(finish, context)} is not known`, reply, context)
}

const overloaded = (code: string, { provider }: OpenAiOutcome.Context): Result.Result<never, ProviderError> =>
  Result.fail(Failure.uncertain(new Overloaded({ provider, code, message: "The provider ran out of capacity" })))

const contentOf = (message: Fields): Content => {
  let text = textOf(message.content)
  let refusal = textOf(message.refusal) || undefined
  for (const part of itemsOf(message.content)) {
    if (typeof part === "string") text += part
    const fields = fieldsOf(part)
    if (fields.type === "text" || fields.type === "output_text") text += textOf(fields.text)
    if (fields.type === "refusal") refusal = (refusal ?? "") + textOf(fields.refusal)
  }
  return {
    text: text === "" ? textOf(fieldsOf(message.audio).transcript) : text,
    refusal,
    hasToolCalls: itemsOf(message.tool_calls).length > 0 || isFields(message.function_call)
  }
}

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
