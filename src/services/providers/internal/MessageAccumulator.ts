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

  get isStarted(): boolean {
    return this.#message !== undefined
  }

  /** The latest `usage`: the counts of `message_delta` replace those of `message_start`. */
  get usage(): unknown {
    return this.#message?.usage
  }

  /** The message of all events so far. */
  get body(): unknown {
    if (this.#message === undefined) return undefined
    return { ...this.#message, content: [...this.#blocks.values()].map(({ fields }) => grownFields(fields)) }
  }

  /** Takes a `message_start`; `false` when it is another message's. */
  start(message: Fields): boolean {
    if (this.#message !== undefined && (this.#blocks.size > 0 || this.#message.id !== message.id)) return false
    this.#message = { ...message, content: [] }
    return true
  }

  /** Takes a `content_block_start`; `false` when it is out of order. */
  startBlock(index: unknown, fields: Fields): boolean {
    if (this.#message === undefined || this.#blocks.has(index)) return false
    this.#blocks.set(index, { fields: { ...fields }, input: new GrowingText("") })
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
  endBlock(index: unknown): { readonly block: Fields; readonly input: string } | undefined {
    const block = this.#blocks.get(index)
    if (block === undefined) return undefined
    const { fields } = block
    const input = block.input.text
    // Input that was cut is kept as the text that there is.
    if (input !== "") fields.input = parse(input)
    return { block: fields, input: input === "" ? JSON.stringify(fields.input ?? {}) : input }
  }

  /** Takes a `message_delta`; `false` when it is out of order. */
  update(event: Fields): boolean {
    if (this.#message === undefined) return false
    const { delta, type: _type, usage, ...rest } = event
    const counted = Object.fromEntries(Object.entries(fieldsOf(usage)).filter(([, count]) => count !== null))
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
 * Returns the text of a block, if it is one of text.
 *
 * @category combinators
 * @since 0.1.0
 */
export const blockText = (block: Fields): string => block.type === "text" ? textOf(block.text) : ""

interface Block {
  readonly fields: Record<string, unknown>
  readonly input: GrowingText
}

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
