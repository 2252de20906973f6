/**
 * The event stream of Chat Completions, as OpenAI and compatible hosts speak it.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { StreamEvent } from "../Provider.ts"
import * as ChatCompletions from "./ChatCompletions.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
import { ChatAccumulator } from "./internal/ChatAccumulator.ts"
import type { ServerEvent } from "./internal/EventParser.ts"
import type * as EventStream from "./internal/EventStream.ts"
import { type Fields, fieldsOf, isErrorSet, isFields, itemsOf, parse, type Reply, textOf } from "./internal/JsonBody.ts"
import * as OpenAiOutcome from "./internal/OpenAiOutcome.ts"
import { usageOf } from "./internal/OpenAiUsage.ts"
import type { Payload } from "./internal/Payload.ts"
import * as StreamedAnswer from "./internal/StreamedAnswer.ts"

/**
 * Hosts that are sent `stream_options: { include_usage: true }`.
 *
 * **Details**
 *
 * Of the others some count without being asked, and some refuse a parameter
 * that they do not know (Mistral, Bedrock's models at Databricks): asking costs
 * the answer there, not asking only its usage. `providerOptions` may send it
 * all the same.
 *
 * @category models
 * @since 0.1.0
 */
export const usageHosts: ReadonlySet<string> = new Set([
  "openai",
  "azure",
  "azure_ai",
  "cerebras",
  "dashscope",
  "deepinfra",
  "deepseek",
  "fireworks_ai",
  "gemini",
  "groq",
  "hosted_vllm",
  "litellm_proxy",
  "llamafile",
  "lm_studio",
  "moonshot",
  "nvidia_nim",
  "ollama",
  "openrouter",
  "sambanova",
  "together_ai",
  "volcengine",
  "xai"
])

/**
 * Returns the body of a request with what asks for a stream.
 *
 * @category combinators
 * @since 0.1.0
 */
export const toStreamed = (payload: Payload, provider: string): Payload =>
  usageHosts.has(provider) && payload.stream_options === undefined
    ? { ...payload, stream: true, stream_options: { include_usage: true } }
    : { ...payload, stream: true }

/**
 * Creates the reader of one stream.
 *
 * **Details**
 *
 * The chunks are put together to the body of a plain completion, which
 * `ChatCompletions.outcomeOf` judges at `[DONE]`, or at the end of the stream
 * when there was a `finish_reason`; without both it was cut. Deltas are those
 * of the first choice: `content` is `Text`, `reasoning_content` or `reasoning`
 * is `Reasoning`, `refusal` is `Refusal`; tool calls come complete, at the end.
 *
 * A server that does not stream is understood as well: its whole answer comes
 * at once.
 *
 * **Errors**
 *
 * What an error in a chunk says, `Uncertain`, unless the answer has reached its
 * length before it; and what `ChatCompletions.outcomeOf` fails with.
 * `InvalidResponse` for an event that is no JSON and a body that is no event
 * stream.
 *
 * **Source**
 *
 * OpenAI API reference, "Chat Completions", "Streaming events".
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReader = (opened: EventStream.Opened<OpenAiOutcome.Context>): EventStream.Reader => new Reader(opened)

class Reader implements EventStream.Reader {
  readonly #opened: EventStream.Opened<OpenAiOutcome.Context>
  readonly #answer = new ChatAccumulator()
  #isStarted = false
  #hasText = false
  #usage: unknown = undefined

  constructor(opened: EventStream.Opened<OpenAiOutcome.Context>) {
    this.#opened = opened
  }

  take(event: ServerEvent, out: Array<StreamEvent>): EventStream.Step {
    if (event.data.trim() === "[DONE]") return this.#judge(out)
    const chunk = parse(event.data)
    if (!isFields(chunk)) return this.#stray(event)
    const choices = itemsOf(chunk.choices)
    const failed = event.name === "error" || isErrorSet(chunk.error) ? chunk : choices.find(hasError)
    if (failed !== undefined) return this.#failed(failed, chunk, out)
    this.#answer.add(chunk)
    if (!this.#isStarted && (choices.length > 0 || textOf(chunk.id) !== "")) this.#start(chunk, out)
    for (const choice of choices) {
      if (isFields(choice) && (choice.index ?? 0) === 0) this.#delta(fieldsOf(choice.delta), out)
    }
    this.#count(this.#answer.usage, out)
    return "More"
  }

  finish(out: Array<StreamEvent>): EventStream.Step {
    return this.#answer.finishReason === "" ? "More" : this.#judge(out)
  }

  whole(reply: Reply, out: Array<StreamEvent>): EventStream.Step {
    return this.#end(reply, out)
  }

  #start(body: Fields, out: Array<StreamEvent>): void {
    this.#isStarted = true
    out.push({ _tag: "Started", responseId: textOf(body.id) })
  }

  #delta(delta: Fields, out: Array<StreamEvent>): void {
    const { content } = delta
    if (typeof content === "string") this.#text(content, out)
    else for (const part of itemsOf(content)) this.#part(part, out)
    const reasoning = textOf(delta.reasoning_content) || textOf(delta.reasoning)
    if (reasoning !== "") out.push({ _tag: "Reasoning", delta: reasoning })
    const refusal = textOf(delta.refusal)
    if (refusal !== "") out.push({ _tag: "Refusal", delta: refusal })
  }

  // Mistral's reasoning models write parts.
  #part(part: unknown, out: Array<StreamEvent>): void {
    if (typeof part === "string") return this.#text(part, out)
    const { refusal, text, thinking, type } = fieldsOf(part)
    if (type === "text" || type === "output_text") this.#text(textOf(text), out)
    if (type === "refusal" && textOf(refusal) !== "") out.push({ _tag: "Refusal", delta: textOf(refusal) })
    if (type !== "thinking") return
    const delta = textOf(thinking) || itemsOf(thinking).map((thought) => textOf(fieldsOf(thought).text)).join("")
    if (delta !== "") out.push({ _tag: "Reasoning", delta })
  }

  #text(delta: string, out: Array<StreamEvent>): void {
    if (delta === "") return
    this.#hasText = true
    out.push({ _tag: "Text", delta })
  }

  #count(usage: unknown, out: Array<StreamEvent>): void {
    if (usage === this.#usage) return
    this.#usage = usage
    const counted = usageOf(usage)
    if (counted !== undefined) out.push({ _tag: "Usage", usage: counted })
  }

  #judge(out: Array<StreamEvent>): EventStream.Step {
    const { headers, status } = this.#opened.response
    return this.#end({ status, headers, body: this.#answer.body }, out)
  }

  #end(reply: Reply, out: Array<StreamEvent>): EventStream.Step {
    const outcome = ChatCompletions.outcomeOf(reply, this.#opened.contextNow())
    if (Result.isFailure(outcome)) return outcome.failure
    const body = fieldsOf(reply.body)
    if (!this.#isStarted) this.#start(body, out)
    // The transcript of an audio is the text where there is no other.
    if (!this.#hasText) StreamedAnswer.pushText(StreamedAnswer.contentOf(outcome.success), out)
    if (outcome.success._tag === "Succeeded") pushToolCalls(body, out)
    this.#count(body.usage, out)
    out.push({ _tag: "Ended", outcome: outcome.success })
    return "Over"
  }

  // OpenRouter reports the limit once more, as an error 400, with the usage.
  #failed(error: Fields, { usage }: Fields, out: Array<StreamEvent>): EventStream.Step {
    if (!ChatCompletions.isLengthLimit(this.#answer.finishReason)) return this.#error(error)
    this.#answer.add({ usage })
    return this.#judge(out)
  }

  #error(body: Fields): ProviderError {
    return ErrorClassifier.fromBody({ headers: this.#opened.response.headers, body }, this.#opened.contextNow())
  }

  // Gateways send beats of their own under other names.
  #stray(event: ServerEvent): EventStream.Step {
    if (event.name !== "" && event.name !== "error" && event.name !== "message") return "More"
    const { headers, status } = this.#opened.response
    const reply: Reply = { status, headers, body: undefined }
    return Result.merge(
      OpenAiOutcome.invalid("An event of the stream is no JSON object", reply, this.#opened.contextNow())
    )
  }
}

const hasError = (choice: unknown): choice is Fields => isFields(choice) && isErrorSet(choice.error)

const pushToolCalls = (body: Fields, out: Array<StreamEvent>): void => {
  const { function_call: called, tool_calls: calls } = fieldsOf(fieldsOf(itemsOf(body.choices)[0]).message)
  for (const call of itemsOf(calls).map(fieldsOf)) {
    out.push({ _tag: "ToolCall", id: textOf(call.id), ...nameAndArguments(fieldsOf(call.function ?? call.custom)) })
  }
  if (itemsOf(calls).length === 0 && isFields(called)) {
    out.push({ _tag: "ToolCall", id: "", ...nameAndArguments(called) })
  }
}

// Some hosts send the arguments as an object.
const nameAndArguments = ({ arguments: args, input, name }: Fields) => ({
  name: textOf(name),
  arguments: isFields(args) ? JSON.stringify(args) : textOf(args) || textOf(input)
})
