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
import type * as ProtocolReader from "./internal/ProtocolReader.ts"
import { type Fields, fieldsOf, isErrorSet, isFields, parse, type Reply, textOf } from "./internal/JsonBody.ts"
import * as OpenAiOutcome from "./internal/OpenAiOutcome.ts"
import * as OpenAiUsage from "./internal/OpenAiUsage.ts"
import { ResponseAccumulator } from "./internal/ResponseAccumulator.ts"
import { isSameAnswer } from "./internal/ResponseContent.ts"
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
 * The response of the last event is judged by `OpenAiResponses.outcomeOf`, with
 * the output that the events before it emitted: each item once, and of each the
 * fuller description. What was emitted stays where the last event leaves it
 * out, shortens it or contradicts it; of a job, `Ended` is then `isDisputed`.
 * An event's `cursor` is its `sequence_number`; while a commentary is being
 * written, the indices of such output items follow it, as a resumed stream does
 * not repeat which they were. A stream without its last event was cut.
 *
 * | event | becomes |
 * | --- | --- |
 * | `response.created` | `Started`, unless the stream was resumed |
 * | `response.queued`, `response.in_progress` | `Status` |
 * | `response.output_text.delta` | `Text`; nothing for a commentary |
 * | `response.reasoning_summary_text.delta`, `response.reasoning_text.delta` | `Reasoning` |
 * | `response.refusal.delta` | `Refusal` |
 * | `done` of a text, a part or an item | `Text` or `Refusal`, of what its deltas left out |
 * | `response.completed`, `.incomplete`, `.failed`, `.cancelled`, `.done` | `ToolCall` for each call that waits for the caller, `Usage`, `Ended` |
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
  (options: Options) => (opened: ProtocolReader.Opened<OpenAiOutcome.Context>): ProtocolReader.Reader =>
    new Reader(options, opened)

/**
 * Returns the sequence number in a cursor.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sequenceOf = (cursor: string): string => cursor.split(" ", 1)[0] ?? ""

class Reader implements ProtocolReader.Reader {
  readonly #options: Options
  readonly #opened: ProtocolReader.Opened<OpenAiOutcome.Context>
  /** The output items that are a commentary and not done. */
  readonly #commentaries: Set<string>
  readonly #answer: ResponseAccumulator
  /** Fields that the last event may leave out. */
  #known: Fields = {}
  #isStarted: boolean
  #sequence: string | undefined

  constructor(options: Options, opened: ProtocolReader.Opened<OpenAiOutcome.Context>) {
    this.#options = options
    this.#opened = opened
    this.#commentaries = new Set(options.after?.split(" ").slice(1))
    this.#answer = new ResponseAccumulator(options.after !== undefined)
    this.#isStarted = options.after !== undefined
    this.#sequence = options.after === undefined ? undefined : sequenceOf(options.after)
  }

  take(event: ServerEvent, out: Array<StreamEvent>): ProtocolReader.Step {
    if (event.data === "[DONE]") return "More"
    const body = parse(event.data)
    if (!isFields(body)) return this.#stray(event)
    const type = textOf(body.type) || event.name
    if (typeof body.sequence_number === "number") this.#sequence = String(body.sequence_number)
    switch (type) {
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta": {
        const delta = textOf(body.delta)
        if (delta !== "") out.push({ _tag: "Reasoning", delta, cursor: this.#cursor() })
        return "More"
      }
      case "response.created":
      case "response.queued":
      case "response.in_progress":
        this.#pending(type, fieldsOf(body.response), out)
        return "More"
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
      case "response.cancelled":
      case "response.canceled":
      // OpenRouter's word for the end.
      case "response.done":
        return this.#end(type, fieldsOf(body.response), out)
      case "error":
      // OpenRouter's word for it.
      case "response.error":
        return this.#error(body)
    }
    if (isErrorSet(body.error) && !type.startsWith("response.")) return this.#error(body)
    this.#written(type, body, out)
    return "More"
  }

  // What the job or the call has come to is unknown.
  finish(): ProtocolReader.Step {
    return "More"
  }

  whole(reply: Reply, out: Array<StreamEvent>): ProtocolReader.Step {
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
        return "More"
      case "Unknown":
        return this.#invalid(`The response is in status ${state.success.status}`, reply)
      case "Ended": {
        const { outcome } = state.success
        // The text before the cursor was emitted by an earlier stream; what is missing of it is added at the run's end.
        if (this.#options.after === undefined) StreamedAnswer.pushText(StreamedAnswer.contentOf(outcome), out)
        this.#ended(outcome, response, false, out)
        return "Over"
      }
    }
  }

  #pending(type: string, response: Fields, out: Array<StreamEvent>): void {
    this.#start(response, out)
    const { background, id, model, tools } = response
    this.#known = withGaps({ background, id, model, tools }, this.#known)
    if (type === "response.created") return
    out.push({ _tag: "Status", ...(type === "response.queued" ? queued : running), cursor: this.#cursor() })
  }

  #start(response: Fields, out: Array<StreamEvent>): void {
    const responseId = OpenAiResponses.idOf(response)
    if (this.#isStarted || responseId === "") return
    this.#isStarted = true
    out.push({ _tag: "Started", responseId, cursor: this.#cursor() })
  }

  #written(type: string, body: Fields, out: Array<StreamEvent>): void {
    const key = itemKeyOf(body)
    const isCommentary = fieldsOf(body.item).phase === "commentary"
    if (isCommentary && type === "response.output_item.added") this.#commentaries.add(key)
    const added = this.#answer.take(type, body)
    const isVisible = !isCommentary && !this.#commentaries.has(key)
    if (type === "response.output_item.done") this.#commentaries.delete(key)
    for (const { _tag, delta } of added) {
      if (isVisible || _tag === "Refusal") out.push({ _tag, delta, cursor: this.#cursor() })
    }
  }

  #end(type: string, last: Fields, out: Array<StreamEvent>): ProtocolReader.Step {
    this.#start(last, out)
    const context = this.#opened.contextNow()
    const { headers, status } = this.#opened.response
    const said = withGaps(last, { ...this.#known, status: statusOf(type) })
    const response = this.#answer.isEmpty ? said : { ...said, output: this.#answer.outputWith(last.output) }
    const outcome = OpenAiResponses.outcomeOf({ status, headers, body: response }, context)
    if (Result.isFailure(outcome)) return outcome.failure
    const isDisputed = response !== said && !isSameAnswer(said, response, context)
    this.#ended(outcome.success, response, isDisputed, out)
    return "Over"
  }

  #ended(outcome: Outcome, response: Fields, isDisputed: boolean, out: Array<StreamEvent>): void {
    if (outcome._tag === "Succeeded") {
      for (const call of outcome.toolCalls ?? []) out.push({ _tag: "ToolCall", ...call, cursor: this.#cursor() })
    }
    const usage = OpenAiUsage.ofBody(response, this.#opened.contextNow().askedTier)
    if (usage !== undefined) out.push({ _tag: "Usage", usage, cursor: this.#cursor() })
    out.push({
      _tag: "Ended",
      outcome: this.#options.isJob ? OpenAiResponses.atOnce(outcome, response) : outcome,
      ...(isDisputed ? { isDisputed } : undefined),
      cursor: this.#cursor()
    })
  }

  #error(body: Fields): ProviderError {
    return ErrorClassifier.fromBody({ headers: this.#opened.response.headers, body }, this.#opened.contextNow())
  }

  // Gateways send beats of their own under other names.
  #stray(event: ServerEvent): ProtocolReader.Step {
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

/** Fills what an event leaves out with what is known. */
const withGaps = (fields: Fields, known: Fields): Fields => {
  const missing = Object.entries(known).filter(([key]) => fields[key] === undefined || fields[key] === null)
  return { ...fields, ...Object.fromEntries(missing) }
}

const statusOf = (type: string): string => type === "response.done" ? "completed" : type.slice("response.".length)

// An index has no spaces, which separate the parts of a cursor.
const itemKeyOf = (body: Fields): string =>
  String(body.output_index ?? (textOf(body.item_id) || textOf(fieldsOf(body.item).id))).replaceAll(" ", "_")
