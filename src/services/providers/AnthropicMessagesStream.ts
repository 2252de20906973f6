/**
 * The event stream of Anthropic's Messages API, version 2026-10-21.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidResponse } from "../../errors/Reason.ts"
import type { StreamEvent } from "../Provider.ts"
import * as Answers from "./AnthropicAnswer.ts"
import type { Context as Asked } from "./AnthropicMessages.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
import { blockText, type EndedBlock, MessageAccumulator } from "./internal/MessageAccumulator.ts"
import type { ServerEvent } from "./internal/EventParser.ts"
import type * as ProtocolReader from "./internal/ProtocolReader.ts"
import * as Failure from "./internal/Failure.ts"
import { type Fields, fieldsOf, isErrorSet, isFields, itemsOf, parse, type Reply, textOf } from "./internal/JsonBody.ts"
import * as StreamedAnswer from "./internal/StreamedAnswer.ts"

/**
 * What one turn of an answer follows on, and what comes of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Turn {
  readonly asked: Asked
  /** The turns before this one. */
  readonly before: Answers.Progress
  /** Set when the turn has paused, with what all turns add up to. */
  paused: Answers.Progress | undefined
}

/**
 * Creates the reader of the stream of one turn.
 *
 * **Details**
 *
 * The events are put together to the body of a plain message, with blocks and
 * deltas of unknown types, which `AnthropicAnswer.read` judges at
 * `message_stop`. A message whose `message_delta` has said why it stopped is
 * whole: whatever comes after that is no failure. A turn that pauses ends
 * without `Ended`, with `paused` set.
 *
 * | event | becomes |
 * | --- | --- |
 * | `message_start` | `Started` in the first turn, `Usage` |
 * | `content_block_delta` | `Text` or `Reasoning` |
 * | `content_block_stop` of a `tool_use` | `ToolCall`, once for each id |
 * | `message_delta` | `Usage` |
 * | `message_stop` | `Ended` |
 * | `ping`, any other | nothing |
 *
 * A server that does not stream is understood as well: its whole answer comes
 * at once.
 *
 * **Errors**
 *
 * What an `error` event says, `Uncertain`. `InvalidResponse` for an event that
 * is no JSON or out of order, such as a second message in the first one's
 * stream, and for a body that is no event stream.
 *
 * **Source**
 *
 * Anthropic, "Streaming messages":
 * https://platform.claude.com/docs/en/build-with-claude/streaming
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeReader = (turn: Turn) => (opened: ProtocolReader.Opened): ProtocolReader.Reader =>
  new Reader(turn, opened)

/**
 * Returns what the whole body of a 2xx says of a turn.
 *
 * **Errors**
 *
 * What an error body says; `InvalidResponse`, `Uncertain`, for what is no
 * message.
 *
 * @category constructors
 * @since 0.1.0
 */
export const readWhole = (
  reply: Reply,
  before: Answers.Progress,
  asked: Asked,
  context: ErrorClassifier.Context
): Result.Result<Exclude<Answers.Reading, { readonly _tag: "Unreadable" }>, ProviderError> => {
  const { body, headers, status } = reply
  const said = saidOf(headers, status, context)
  const reading = Answers.read(body, before, { ...asked, requestId: said.requestId, keys: context.keys })
  if (reading._tag !== "Unreadable") return Result.succeed(reading)
  return Result.fail(
    !isFields(body) || body.type !== "message" || isErrorSet(body.error)
      ? ErrorClassifier.fromBody(reply, context)
      : invalid(reading.message, said)
  )
}

class Reader implements ProtocolReader.Reader {
  readonly #turn: Turn
  readonly #opened: ProtocolReader.Opened
  readonly #message = new MessageAccumulator()
  readonly #calls = new Set<string>()

  constructor(turn: Turn, opened: ProtocolReader.Opened) {
    this.#turn = turn
    this.#opened = opened
  }

  take(event: ServerEvent, out: Array<StreamEvent>): ProtocolReader.Step {
    const step = this.#take(event, out)
    return typeof step !== "string" && this.#message.isStopped ? this.#judge(out) : step
  }

  finish(out: Array<StreamEvent>): ProtocolReader.Step {
    return this.#message.isStopped ? this.#judge(out) : "More"
  }

  #take(event: ServerEvent, out: Array<StreamEvent>): ProtocolReader.Step {
    const body = parse(event.data)
    if (!isFields(body)) return this.#stray(event)
    const type = textOf(body.type) || event.name
    switch (type) {
      case "content_block_delta":
        return this.#delta(body, out)
      case "content_block_start":
        return this.#block(body, out)
      case "content_block_stop":
        return this.#blockEnd(body, out)
      case "message_start":
        return this.#start(fieldsOf(body.message), out)
      case "message_delta":
        if (!this.#message.update(body)) return this.#outOfOrder(type)
        this.#count(out)
        return "More"
      case "message_stop":
        return this.#judge(out)
    }
    return type === "error" || isErrorSet(body.error) ? this.#error(body) : "More"
  }

  whole(reply: Reply, out: Array<StreamEvent>): ProtocolReader.Step {
    const { body } = reply
    if (isFields(body)) this.#started(body, out)
    const step = this.#end(reply, out, (out) => {
      for (const block of itemsOf(fieldsOf(body).content).map(fieldsOf)) {
        StreamedAnswer.pushText(blockText(block), out)
        this.#call({ block, input: JSON.stringify(block.input ?? {}) }, out)
      }
    })
    return step
  }

  #start(message: Fields, out: Array<StreamEvent>): ProtocolReader.Step {
    const isFirst = !this.#message.isStarted
    // Some gateways repeat it; a second message is spliced in where the first one was cut.
    if (!this.#message.start(message)) return this.#outOfOrder("message_start")
    if (!isFirst) return "More"
    this.#started(message, out)
    this.#count(out)
    return "More"
  }

  #started(message: Fields, out: Array<StreamEvent>): void {
    if (this.#turn.before !== Answers.noProgress) return
    out.push({ _tag: "Started", responseId: textOf(message.id) })
  }

  #block(body: Fields, out: Array<StreamEvent>): ProtocolReader.Step {
    const block = fieldsOf(body.content_block)
    if (!this.#message.startBlock(body.index, block)) return this.#outOfOrder("content_block_start")
    StreamedAnswer.pushText(blockText(block), out)
    return "More"
  }

  #delta(body: Fields, out: Array<StreamEvent>): ProtocolReader.Step {
    const delta = fieldsOf(body.delta)
    const block = this.#message.addDelta(body.index, delta)
    if (block === undefined) return this.#outOfOrder("content_block_delta")
    if (delta.type !== "citations_delta" && delta.type !== "input_json_delta") {
      StreamedAnswer.pushText(blockText({ type: block.type, text: delta.text }), out)
    }
    const thinking = delta.type === "thinking_delta" ? textOf(delta.thinking) : ""
    if (thinking !== "") out.push({ _tag: "Reasoning", delta: thinking })
    return "More"
  }

  #blockEnd(body: Fields, out: Array<StreamEvent>): ProtocolReader.Step {
    const ended = this.#message.endBlock(body.index)
    if (ended === undefined) return this.#outOfOrder("content_block_stop")
    this.#call(ended, out)
    return "More"
  }

  #count(out: Array<StreamEvent>): void {
    const usage = Answers.usageOf(this.#message.head, this.#turn.before, this.#turn.asked)
    if (usage !== undefined) out.push({ _tag: "Usage", usage })
  }

  #judge(out: Array<StreamEvent>): ProtocolReader.Step {
    const { headers, status } = this.#opened.response
    const open = this.#message.endBlocks()
    return this.#end({ status, headers, body: this.#message.body }, out, (out) => {
      for (const ended of open) this.#call(ended, out)
    })
  }

  // Tools that the server runs itself are no call for the caller.
  #call({ block, input }: EndedBlock, out: Array<StreamEvent>): void {
    const id = textOf(block.id)
    if (block.type !== "tool_use" || this.#calls.has(id)) return
    if (id !== "") this.#calls.add(id)
    out.push({ _tag: "ToolCall", id, name: textOf(block.name), arguments: input })
  }

  #end(
    reply: Reply,
    out: Array<StreamEvent>,
    before: (out: Array<StreamEvent>) => void
  ): ProtocolReader.Step {
    const reading = readWhole(reply, this.#turn.before, this.#turn.asked, this.#opened.contextNow())
    if (Result.isFailure(reading)) return reading.failure
    before(out)
    if (reading.success._tag === "Paused") this.#turn.paused = reading.success.progress
    else out.push({ _tag: "Ended", outcome: reading.success.outcome })
    return "Over"
  }

  #error(body: Fields): ProviderError {
    return ErrorClassifier.fromBody({ headers: this.#opened.response.headers, body }, this.#opened.contextNow())
  }

  #outOfOrder(type: string): ProviderError {
    return this.#invalid(`The stream's event ${type} is out of order`)
  }

  // Gateways send beats of their own under other names.
  #stray({ name }: ServerEvent): ProtocolReader.Step {
    return name === "" || /^(?:error|message|content_block)/.test(name)
      ? this.#invalid("An event of the stream is no JSON object")
      : "More"
  }

  #invalid(message: string): ProviderError {
    const { headers, status } = this.#opened.response
    return invalid(message, saidOf(headers, status, this.#opened.contextNow()))
  }
}

const saidOf = (headers: Headers, status: number, context: ErrorClassifier.Context) => ({
  provider: context.provider,
  requestId: Answers.wordOf(headers.get("request-id") ?? "", context) || undefined,
  status
})

const invalid = (message: string, said: ReturnType<typeof saidOf>): ProviderError =>
  Failure.uncertain(new InvalidResponse({ ...said, message }))
