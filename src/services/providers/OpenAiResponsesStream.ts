/**
 * The event stream of OpenAI's Responses API.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidRequest } from "../../errors/Reason.ts"
import type { JobState, Outcome, StreamEvent } from "../Provider.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
import { isSilent } from "./internal/BodyParser.ts"
import type { ServerEvent } from "./internal/EventParser.ts"
import type * as EventStream from "./internal/EventStream.ts"
import { type Fields, fieldsOf, isErrorSet, isFields, itemsOf, parse, type Reply, textOf } from "./internal/JsonBody.ts"
import * as OpenAiOutcome from "./internal/OpenAiOutcome.ts"
import { usageOf } from "./internal/OpenAiUsage.ts"
import * as StreamedAnswer from "./internal/StreamedAnswer.ts"
import * as OpenAiResponses from "./OpenAiResponses.ts"

/**
 * Options for `makeReader`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Whether the answer belongs to a background job, which goes on when its stream does not. */
  readonly isJob: boolean
  /** The cursor that the stream was resumed from. */
  readonly after?: string | undefined
}

/**
 * Creates the reader of one stream.
 *
 * **Details**
 *
 * The last event of the wire carries the whole response, which is judged by
 * `OpenAiResponses.outcomeOf`. An event's `cursor` is its `sequence_number`;
 * while a commentary is being written, the indices of such output items follow
 * it, as a resumed stream does not tell again which they were.
 *
 * | event | becomes |
 * | --- | --- |
 * | `response.created` | `Started`, unless the stream was resumed |
 * | `response.queued`, `response.in_progress` | `Status` |
 * | `response.output_text.delta` | `Text`; nothing for a commentary |
 * | `response.reasoning_summary_text.delta`, `response.reasoning_text.delta` | `Reasoning` |
 * | `response.refusal.delta` | `Refusal` |
 * | `response.output_item.done` of a function or a custom tool | `ToolCall` |
 * | `response.completed`, `.incomplete`, `.failed`, `.cancelled` | `Usage`, `Ended` |
 * | any other | nothing |
 *
 * A server that does not stream is understood as well: its whole answer comes
 * at once. A resumed stream may hold nothing: then it is over.
 *
 * **Errors**
 *
 * What an `error` event says, `Uncertain`: of a job it does not say that it
 * has failed. `InvalidResponse` for an event that is no JSON, a last event
 * without an end, and a body that is no event stream. `InvalidRequest` for a
 * resumed stream that is only the job's status.
 *
 * **Source**
 *
 * OpenAI API reference, "Streaming events".
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReader =
  (options: Options) => (opened: EventStream.Opened<OpenAiOutcome.Context>): EventStream.Reader =>
    new Reader(options, opened)

/**
 * Returns the sequence number in a cursor.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sequenceOf = (cursor: string): string => cursor.split(" ", 1)[0] ?? ""

class Reader implements EventStream.Reader {
  readonly #options: Options
  readonly #opened: EventStream.Opened<OpenAiOutcome.Context>
  /** The output items that are a commentary and not done. */
  readonly #commentaries: Set<string>
  #isStarted: boolean
  #sequence: string | undefined

  constructor(options: Options, opened: EventStream.Opened<OpenAiOutcome.Context>) {
    this.#options = options
    this.#opened = opened
    this.#commentaries = new Set(options.after?.split(" ").slice(1))
    this.#isStarted = options.after !== undefined
    this.#sequence = options.after === undefined ? undefined : sequenceOf(options.after)
  }

  take(event: ServerEvent, out: Array<StreamEvent>): EventStream.Step {
    if (event.data === "[DONE]") return "More"
    const body = parse(event.data)
    if (!isFields(body)) return this.#stray(event)
    const type = textOf(body.type) || event.name
    if (typeof body.sequence_number === "number") this.#sequence = String(body.sequence_number)
    switch (type) {
      case "response.output_text.delta":
        if (!this.#commentaries.has(itemKeyOf(body))) this.#delta("Text", body, out)
        return "More"
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        this.#delta("Reasoning", body, out)
        return "More"
      case "response.refusal.delta":
        this.#delta("Refusal", body, out)
        return "More"
      case "response.output_item.added":
      case "response.output_item.done":
        this.#item(type === "response.output_item.done", body, out)
        return "More"
      case "response.created":
      case "response.queued":
      case "response.in_progress":
        this.#pending(type, fieldsOf(body.response), out)
        return "More"
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
      case "response.cancelled":
        return this.#end(fieldsOf(body.response), out)
      case "error":
      // OpenRouter's word for it.
      case "response.error":
        return this.#error(body)
    }
    return isErrorSet(body.error) && !type.startsWith("response.") ? this.#error(body) : "More"
  }

  finish(): EventStream.Step {
    return "More"
  }

  whole(reply: Reply, out: Array<StreamEvent>): EventStream.Step {
    const context = this.#opened.contextNow()
    const isEventStream = reply.headers.get("content-type")?.startsWith("text/event-stream") === true
    if (this.#options.after !== undefined && isSilent(reply.body) && isEventStream) return "Over"
    const state: Result.Result<JobState, ProviderError> = this.#options.isJob
      ? OpenAiResponses.stateOf(reply, context)
      : Result.map(OpenAiResponses.outcomeOf(reply, context), (outcome) => ({ _tag: "Ended", outcome }))
    if (Result.isFailure(state)) return state.failure
    const response = fieldsOf(reply.body)
    this.#start(response, out)
    switch (state.success._tag) {
      case "Pending":
        if (!this.#isStarted) return this.#invalid("The job was accepted without an id", reply)
        if (this.#options.after !== undefined) return this.#unstreamed(reply)
        out.push({ _tag: "Status", status: state.success.status, phase: state.success.phase })
        return "Over"
      case "Unknown":
        return this.#invalid(`The response is in status ${state.success.status}`, reply)
      case "Ended": {
        const { outcome } = state.success
        // What a resumed stream was told before is told already; what is missing of the text is found at its end.
        if (this.#options.after === undefined) {
          StreamedAnswer.pushText(StreamedAnswer.contentOf(outcome), out)
          for (const item of itemsOf(response.output)) this.#toolCall(fieldsOf(item), out)
        }
        this.#ended(outcome, response, out)
        return "Over"
      }
    }
  }

  #pending(type: string, response: Fields, out: Array<StreamEvent>): void {
    this.#start(response, out)
    if (type === "response.created") return
    out.push({ _tag: "Status", ...(type === "response.queued" ? queued : running), cursor: this.#cursor() })
  }

  #start(response: Fields, out: Array<StreamEvent>): void {
    const responseId = OpenAiResponses.idOf(response)
    if (this.#isStarted || responseId === "") return
    this.#isStarted = true
    out.push({ _tag: "Started", responseId, cursor: this.#cursor() })
  }

  #delta(_tag: "Text" | "Reasoning" | "Refusal", body: Fields, out: Array<StreamEvent>): void {
    const delta = textOf(body.delta)
    if (delta !== "") out.push({ _tag, delta, cursor: this.#cursor() })
  }

  #item(isDone: boolean, body: Fields, out: Array<StreamEvent>): void {
    const item = fieldsOf(body.item)
    const key = itemKeyOf(body)
    if (item.phase === "commentary" && !isDone) this.#commentaries.add(key)
    if (isDone) this.#commentaries.delete(key)
    if (isDone) this.#toolCall(item, out)
  }

  #toolCall(item: Fields, out: Array<StreamEvent>): void {
    const isCustom = item.type === "custom_tool_call"
    if ((!isCustom && item.type !== "function_call") || item.status === "incomplete") return
    out.push({
      _tag: "ToolCall",
      id: textOf(item.call_id) || textOf(item.id),
      name: textOf(item.name),
      arguments: textOf(isCustom ? item.input : item.arguments),
      cursor: this.#cursor()
    })
  }

  #end(response: Fields, out: Array<StreamEvent>): EventStream.Step {
    this.#start(response, out)
    const { headers, status } = this.#opened.response
    const outcome = OpenAiResponses.outcomeOf({ status, headers, body: response }, this.#opened.contextNow())
    if (Result.isFailure(outcome)) return outcome.failure
    this.#ended(outcome.success, response, out)
    return "Over"
  }

  #ended(outcome: Outcome, response: Fields, out: Array<StreamEvent>): void {
    const usage = usageOf(response.usage)
    if (usage !== undefined) out.push({ _tag: "Usage", usage, cursor: this.#cursor() })
    out.push({
      _tag: "Ended",
      outcome: this.#options.isJob ? OpenAiResponses.atOnce(outcome, response) : outcome,
      cursor: this.#cursor()
    })
  }

  #error(body: Fields): ProviderError {
    return ErrorClassifier.fromBody({ headers: this.#opened.response.headers, body }, this.#opened.contextNow())
  }

  // Gateways send beats of their own under other names.
  #stray(event: ServerEvent): EventStream.Step {
    if (event.name !== "" && event.name !== "error" && !event.name.startsWith("response.")) return "More"
    const { headers, status } = this.#opened.response
    return this.#invalid("An event of the stream is no JSON object", { status, headers, body: undefined })
  }

  // To ask again would bring the same.
  #unstreamed({ status }: Reply): ProviderError {
    const message = "The server does not stream a job that it has begun"
    const { provider } = this.#opened.contextNow()
    return new ProviderError({
      verdict: { _tag: "NonRetryable", reason: new InvalidRequest({ message, provider, status }) },
      evidence: "Uncertain"
    })
  }

  #invalid(message: string, reply: Reply): ProviderError {
    return Result.merge(OpenAiOutcome.invalid(message, reply, this.#opened.contextNow()))
  }

  #cursor(): string | undefined {
    return this.#sequence === undefined || this.#commentaries.size === 0
      ? this.#sequence
      : [this.#sequence, ...this.#commentaries].join(" ")
  }
}

const queued = { status: "queued", phase: "queued" } as const
const running = { status: "in_progress", phase: "running" } as const

// An index has no spaces, which separate the parts of a cursor.
const itemKeyOf = (body: Fields): string =>
  String(body.output_index ?? (textOf(body.item_id) || textOf(fieldsOf(body.item).id))).replaceAll(" ", "_")
