/**
 * Puts the events of a streamed Anthropic message together.
 *
 * @since 0.1.0
 */
import { grow, GrowingText, grownFields } from "./GrowingText.ts"
import { type Fields, fieldsOf, isFields, parse, textOf } from "./JsonBody.ts"

/**
 * The message that a plain call would have returned, from the events of a
 * stream.
 *
 * **Details**
 *
 * Blocks of unknown types are kept as they started; of deltas of unknown types,
 * texts are joined to the block's field of the same name, and other values
 * replace it. Time and memory are linear in the length of the stream.
 *
 * @category models
 * @since 0.1.0
 */
export class MessageAccumulator {
  #message: Fields | undefined = undefined
  #blocks = new Map<unknown, Block>()
  #isStopped = false

  get isStarted(): boolean {
    return this.#message !== undefined
  }

  /** Whether a `message_delta` has said why the message stopped: it is whole. */
  get isStopped(): boolean {
    return this.#isStopped
  }

  /** The message so far, with only those of its blocks that name who answers. */
  get head(): unknown {
    const content = [...this.#blocks.values()].flatMap(({ fields }) => fields.type === "fallback" ? [fields] : [])
    return this.#message && { ...this.#message, content }
  }

  /** The message of all events so far. */
  get body(): unknown {
    if (this.#message === undefined) return undefined
    return { ...this.#message, content: [...this.#blocks.values()].map(({ fields }) => grownFields(fields)) }
  }

  /** Takes a `message_start`; `false` when it is another message's. Some gateways repeat it. */
  start(message: Fields): boolean {
    const isRepeated = this.#message?.id === message.id
    if (this.#message !== undefined && (this.#blocks.size > 0 || !isRepeated)) {
      return isRepeated && textOf(message.id) !== ""
    }
    this.#message = { ...message, content: [] }
    return true
  }

  /** Takes a `content_block_start`; `false` when it is out of order. */
  startBlock(index: unknown, fields: Fields): boolean {
    if (this.#message === undefined || this.#blocks.has(index)) return false
    this.#blocks.set(index, { fields: { ...fields }, input: new GrowingText(""), isEnded: false })
    return true
  }

  /** Takes a delta, and returns its block; `undefined` when it is out of order. */
  addDelta(index: unknown, delta: Fields): Fields | undefined {
    const block = this.#blocks.get(index)
    if (block === undefined) return undefined
    switch (delta.type) {
      case "input_json_delta":
        block.input.append(textOf(delta.partial_json))
        break
      case "citations_delta": {
        const { citations } = block.fields
        // What is not there is written as null: the journal takes JSON alone.
        const citation = delta.citation ?? null
        if (Array.isArray(citations)) citations.push(citation)
        else block.fields.citations = [citation]
        break
      }
      default:
        addFields(block.fields, delta)
    }
    return block.fields
  }

  /** Takes a `content_block_stop`, and returns the block with its input as the model wrote it. */
  endBlock(index: unknown): EndedBlock | undefined {
    const block = this.#blocks.get(index)
    if (block === undefined) return undefined
    const { fields } = block
    const input = block.input.text
    // Input that was cut is kept as the text that there is.
    if (input !== "") fields.input = parse(input)
    block.isEnded = true
    return { block: fields, input: input === "" ? JSON.stringify(fields.input ?? {}) : input }
  }

  /** Ends the blocks that no `content_block_stop` has ended, and returns them. */
  endBlocks(): ReadonlyArray<EndedBlock> {
    return [...this.#blocks].flatMap(([index, { isEnded }]) => (isEnded ? undefined : this.endBlock(index)) ?? [])
  }

  /** Takes a `message_delta`; `false` when it is out of order. */
  update(event: Fields): boolean {
    if (this.#message === undefined) return false
    const { delta, type: _type, usage, ...rest } = event
    if (textOf(fieldsOf(delta).stop_reason) !== "") this.#isStopped = true
    const counted = countsOf(fieldsOf(usage), fieldsOf(this.#message.usage))
    this.#message = {
      ...this.#message,
      ...rest,
      ...fieldsOf(delta),
      usage: isFields(this.#message.usage) || isFields(usage)
        ? { ...fieldsOf(this.#message.usage), ...counted }
        : usage ?? null
    }
    return true
  }
}

/**
 * A block that has ended, with its input as the model wrote it.
 *
 * @category models
 * @since 0.1.0
 */
export interface EndedBlock {
  readonly block: Fields
  readonly input: string
}

/**
 * Returns the text of a block, if it is one of text.
 *
 * @category combinators
 * @since 0.1.0
 */
export const blockText = (block: Fields): string => block.type === "text" ? textOf(block.text) : ""

interface Block {
  readonly fields: Record<string, unknown>
  readonly input: GrowingText
  isEnded: boolean
}

// The counts are cumulative, so a null or 0 after a count of the input is no count. With `iterations` it may be one: the
// input before a compaction is counted there instead.
const countsOf = (usage: Fields, before: Fields): Fields =>
  Object.fromEntries(
    Object.entries(usage).filter(([name, count]) =>
      count !== null && (count !== 0 || !inputCounts.has(name) || usage.iterations != null || !before[name])
    )
  )

const inputCounts: ReadonlySet<string> = new Set([
  "input_tokens",
  "cache_read_input_tokens",
  "cache_creation_input_tokens"
])

const addFields = (fields: Record<string, unknown>, delta: Fields): void => {
  for (const key in delta) {
    // As a key of an object it would lead to the prototype that all share.
    if (key === "type" || key === "__proto__") continue
    const value = delta[key]
    const mine = fields[key]
    if (typeof mine !== "string" && !(mine instanceof GrowingText)) fields[key] = value
    else if (typeof value === "string") fields[key] = grow(mine, value)
  }
}
