/**
 * The event stream of Chat Completions, as OpenAI and compatible hosts speak it.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { Outcome, StreamEvent } from "../Provider.ts"
import * as ChatCompletions from "./ChatCompletions.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
import { ChatAccumulator, isFirst } from "./internal/ChatAccumulator.ts"
import type * as ChatFinish from "./internal/ChatFinish.ts"
import * as ChatMessage from "./internal/ChatMessage.ts"
import * as ChatToolCalls from "./internal/ChatToolCalls.ts"
import type { ServerEvent } from "./internal/EventParser.ts"
import type * as ProtocolReader from "./internal/ProtocolReader.ts"
import { GrowingText } from "./internal/GrowingText.ts"
import { type Fields, fieldsOf, isErrorSet, isFields, itemsOf, parse, type Reply, textOf } from "./internal/JsonBody.ts"
import * as OpenAiOutcome from "./internal/OpenAiOutcome.ts"
import { usageOf } from "./internal/OpenAiUsage.ts"
import type { Payload } from "./internal/Payload.ts"

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
 * `ChatCompletions.outcomeOf` judges. Deltas are those of the first choice:
 * `content` is `Text`, `reasoning_content` or `reasoning` is `Reasoning`,
 * `refusal` is `Refusal`. The transcript of an audio is `Text` while there is no
 * `content`. Tool calls come complete, at the end. All `Text` together is the
 * answer's content.
 *
 * A `message` beside the deltas, or instead of them, holds the whole message so
 * far: what no delta has comes from it, at the end. A server that does not
 * stream is understood as well: its whole answer comes at once.
 *
 * The answer is complete
 *
 * - once there was a finish reason, however the body ends, unless the answer
 *   goes on after it;
 * - at `[DONE]` after the usage of the whole answer (OpenAI's audio models send
 *   no finish reason);
 * - at `[DONE]` where no chunk has a field `finish_reason`, be it `null`.
 *
 * Everything else was cut.
 *
 * **Errors**
 *
 * What an error in a chunk says, `Uncertain`, and what
 * `ChatCompletions.outcomeOf` fails with. An error after the answer was complete
 * is ignored, unless a content filter takes the answer back. `InvalidResponse`
 * for an event that is no JSON and a body that is no event stream.
 *
 * **Source**
 *
 * OpenAI API reference, "Chat Completions", "Streaming events".
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReader = (opened: ProtocolReader.Opened<OpenAiOutcome.Context>): ProtocolReader.Reader =>
  new Reader(opened)

class Reader implements ProtocolReader.Reader {
  readonly #opened: ProtocolReader.Opened<OpenAiOutcome.Context>
  readonly #answer = new ChatAccumulator()
  /** The part of an audio's transcript that was emitted as text. The rest of the text is in the answer's body. */
  readonly #transcript = new GrowingText("")
  readonly #emitted = new Set<Delta>()
  #isStarted = false
  #hasContent = false
  #usage: unknown = undefined

  constructor(opened: ProtocolReader.Opened<OpenAiOutcome.Context>) {
    this.#opened = opened
  }

  take(event: ServerEvent, out: Array<StreamEvent>): ProtocolReader.Step {
    if (event.data.trim() === "[DONE]") return this.#end(this.#outcome(), out)
    const chunk = parse(event.data)
    if (!isFields(chunk)) return this.#stray(event)
    const choices = itemsOf(chunk.choices).filter(isFields)
    if (event.name === "error" || isErrorSet(chunk.error)) return this.#fail(chunk, chunk.usage, out)
    const broken = choices.find((choice) => isFirst(choice) && isErrorSet(choice.error))
    if (broken !== undefined) return this.#fail({ error: broken.error }, chunk.usage, out)
    this.#answer.add(chunk)
    if (!this.#isStarted && (choices.length > 0 || textOf(chunk.id) !== "")) this.#start(chunk, out)
    for (const choice of choices) if (isFirst(choice)) this.#delta(fieldsOf(choice.delta), out)
    this.#count(this.#answer.usage, out)
    return "More"
  }

  finish(out: Array<StreamEvent>): ProtocolReader.Step {
    return this.#answer.finish === "Absent" ? "More" : this.#end(this.#outcome(), out)
  }

  whole(reply: Reply, out: Array<StreamEvent>): ProtocolReader.Step {
    const outcome = ChatCompletions.outcomeOf(reply, this.#opened.contextNow())
    return this.#end(Result.map(outcome, (outcome) => ({ outcome, body: fieldsOf(reply.body) })), out)
  }

  #start(body: Fields, out: Array<StreamEvent>): void {
    this.#isStarted = true
    out.push({ _tag: "Started", responseId: textOf(body.id) })
  }

  #delta(delta: Fields, out: Array<StreamEvent>): void {
    const { reasoning, refusal, text, transcript } = ChatMessage.textsOf(delta)
    this.#emit("Reasoning", reasoning, out)
    this.#hasContent ||= text !== ""
    if (!this.#hasContent) this.#transcript.append(transcript)
    this.#emit("Text", this.#hasContent ? text : transcript, out)
    this.#emit("Refusal", refusal, out)
  }

  #emit(_tag: Delta, delta: string, out: Array<StreamEvent>): void {
    if (delta === "") return
    this.#emitted.add(_tag)
    out.push({ _tag, delta })
  }

  // What no delta had is in the whole message.
  #rest(message: Fields, out: Array<StreamEvent>): void {
    const { reasoning, refusal, text, transcript } = ChatMessage.textsOf(message)
    if (!this.#emitted.has("Reasoning")) this.#emit("Reasoning", reasoning, out)
    if (!this.#emitted.has("Text")) this.#emit("Text", text || transcript, out)
    if (!this.#emitted.has("Refusal")) this.#emit("Refusal", refusal, out)
  }

  #count(usage: unknown, out: Array<StreamEvent>): void {
    if (usage === this.#usage) return
    this.#usage = usage
    const counted = usageOf(usage)
    if (counted !== undefined) out.push({ _tag: "Usage", usage: counted })
  }

  #outcome(): Result.Result<Ended, ProviderError> {
    const { headers, status } = this.#opened.response
    const { body } = this.#answer
    const context = this.#opened.contextNow()
    const transcript = this.#transcript.text
    const { text } = ChatMessage.textsOf(fieldsOf(fieldsOf(itemsOf(body.choices)[0]).message))
    const streamed = transcript === "" ? "" : transcript + text
    const outcome = ChatCompletions.outcomeOf({ status, headers, body }, context, streamed)
    return Result.map(outcome, (outcome) => ({ outcome, body }))
  }

  #end(ended: Result.Result<Ended, ProviderError>, out: Array<StreamEvent>): ProtocolReader.Step {
    if (Result.isFailure(ended)) return ended.failure
    const { body, outcome } = ended.success
    const message = fieldsOf(fieldsOf(itemsOf(body.choices)[0]).message)
    if (!this.#isStarted) this.#start(body, out)
    this.#rest(message, out)
    if (outcome._tag === "Succeeded") {
      for (const call of ChatToolCalls.of(message)) out.push({ _tag: "ToolCall", ...call })
    }
    this.#count(body.usage, out)
    out.push({ _tag: "Ended", outcome })
    return "Over"
  }

  // An answer that was complete stays so: OpenRouter reports a limit once more, as an error 400, with the usage.
  #fail(body: Fields, usage: unknown, out: Array<StreamEvent>): ProtocolReader.Step {
    const { headers } = this.#opened.response
    const failure = ErrorClassifier.fromBody({ headers, body }, this.#opened.contextNow())
    if (failure.verdict.reason._tag === "ContentFiltered" || !complete.has(this.#answer.finish)) return failure
    this.#answer.add({ usage })
    const ended = this.#outcome()
    return Result.isSuccess(ended) && !isEmpty(ended.success.outcome) ? this.#end(ended, out) : failure
  }

  // Gateways send beats of their own under other names.
  #stray(event: ServerEvent): ProtocolReader.Step {
    if (event.name !== "" && event.name !== "error" && event.name !== "message") return "More"
    const { headers, status } = this.#opened.response
    const reply: Reply = { status, headers, body: undefined }
    return Result.merge(
      OpenAiOutcome.invalid("An event of the stream is no JSON object", reply, this.#opened.contextNow())
    )
  }
}

type Delta = "Text" | "Reasoning" | "Refusal"

interface Ended {
  readonly outcome: Outcome
  readonly body: Fields
}

const complete: ReadonlySet<ChatFinish.Kind> = new Set(["Done", "Limited", "Filtered"])

const isEmpty = (outcome: Outcome): boolean =>
  outcome._tag === "Failed" && outcome.verdict.reason._tag === "EmptyContent"
