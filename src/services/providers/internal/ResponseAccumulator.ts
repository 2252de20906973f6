/**
 * Puts the events of a streamed response together to its output items.
 */
import { GrowingText } from "./GrowingText.ts"
import { type Fields, fieldsOf, itemsOf, textOf } from "./JsonBody.ts"
import { fuller, keysOf } from "./ResponseItems.ts"
import { merge } from "./ResponseMerge.ts"

/** Text of an answer that an event adds. */
export interface Added {
  readonly _tag: "Text" | "Refusal"
  readonly delta: string
}

/**
 * The output that a plain call would have returned, from the events of a stream.
 *
 * Events find their item by its id, else by its index in the output, else by its type: not every server sends all of
 * them, or any `added` and `done`. Texts that an item repeats are taken once. Time and memory are linear in the length
 * of the stream.
 */
export class ResponseAccumulator {
  readonly #items: Array<Item> = []
  readonly #byKey = new Map<string, Item>()
  readonly #byIndex = new Map<number, Item>()
  readonly #isResumed: boolean

  /** `isResumed`: the stream begins somewhere within the answer. */
  constructor(isResumed: boolean) {
    this.#isResumed = isResumed
  }

  /** Takes an event, and returns the text that it adds to the answer. */
  take(type: string, event: Fields): ReadonlyArray<Added> {
    if (type === "response.output_item.added") return this.#start(event)
    if (type === "response.output_item.done") return this.#end(event)
    const [, stem = "", step] = /^response\.(\w+)\.(delta|done|added)$/.exec(type) ?? []
    if (stem === "content_part") {
      // What a part holds when it is added comes again in its deltas.
      const part = fieldsOf(event.part)
      return step === "done" && kindOf(part)?.tag !== undefined ? this.#settlePart(event, part) : []
    }
    const kind = kinds.get(stem)
    if (kind === undefined || step === "added") return []
    const whole = { type: stem, [kind.field]: event[kind.field] }
    if (kind.tag !== undefined && step === "done") return this.#settlePart(event, whole)
    const item = this.#find(kind.item, event)
    if (item.isDone) return []
    const delta = textOf(event.delta)
    if (kind.tag === undefined) {
      if (step === "done") item.fields = fuller(fieldsIn(item), { ...item.fields, ...whole, type: kind.item })
      else item.written(kind.field).append(delta)
      return []
    }
    const added = partOf(item, event.content_index, stem).append(delta)
    return added === "" ? [] : [{ _tag: kind.tag, delta: added }]
  }

  /** Whether no item was emitted. */
  get isEmpty(): boolean {
    return this.#items.length === 0
  }

  /** The output of the answer, by all events so far and by the `output` of the last one. */
  outputWith(last: unknown): ReadonlyArray<Fields> {
    return merge(this.#items.map((item) => ({ item: fieldsIn(item), isTail: item.isTail })), itemsOf(last))
  }

  #start(event: Fields): ReadonlyArray<Added> {
    const fields = fieldsOf(event.item)
    const near = this.#near(textOf(fields.type), event)
    const known = this.#known(textOf(fields.type), event, fields) ??
      (near?.isDone === false && keysOf(fields).length === 0 ? near : undefined)
    if (known === undefined) this.#open(fields, event, false)
    else this.#restart(known, event)
    return []
  }

  // The server writes an item once more.
  #restart(item: Item, event: Fields): void {
    this.#name(item, event)
    item.restart()
  }

  #end(event: Fields): ReadonlyArray<Added> {
    const fields = fieldsOf(event.item)
    const type = textOf(fields.type)
    const near = this.#near(type, event)
    const item = this.#known(type, event, fields) ?? (near?.isDone === false ? near : this.#open(fields, event, true))
    if (item.isDone) return []
    const added = itemsOf(fields.content).flatMap((part, index) => settle(item, index, fieldsOf(part)))
    item.fields = fuller(fieldsIn(item), fields)
    item.isDone = true
    this.#name(item, event)
    return added
  }

  #settlePart(event: Fields, part: Fields): ReadonlyArray<Added> {
    const item = this.#find("message", event)
    return item.isDone ? [] : settle(item, event.content_index, part)
  }

  /** The item of an event that names it but does not hold it. */
  #find(type: string, event: Fields): Item {
    const known = this.#known(type, event, {})
    if (known !== undefined) return known
    const near = this.#near(type, event)
    // Some servers give one item another id in each event.
    return near !== undefined && (!near.isDone || textOf(event.item_id) === "")
      ? near
      : this.#open({ type, id: event.item_id }, event, true)
  }

  #known(type: string, event: Fields, fields: Fields): Item | undefined {
    for (const key of keysOf({ type, id: event.item_id ?? fields.id, call_id: fields.call_id })) {
      const item = this.#byKey.get(key)
      if (item !== undefined && !isAnother(item, fields)) return item
    }
    return undefined
  }

  /** The last item of a type at an event's place; without a place, the last item of all. */
  #near(type: string, event: Fields): Item | undefined {
    const item = typeof event.output_index === "number"
      ? this.#byIndex.get(event.output_index)
      : this.#items.at(-1)
    return item !== undefined && textOf(item.fields.type) === type ? item : undefined
  }

  #open(fields: Fields, event: Fields, isWithin: boolean): Item {
    const item = new Item(fields, isWithin && this.#isResumed)
    this.#items.push(item)
    this.#name(item, event)
    return item
  }

  #name(item: Item, event: Fields): void {
    for (const key of keysOf(item.fields)) this.#byKey.set(key, item)
    if (typeof event.output_index === "number") this.#byIndex.set(event.output_index, item)
  }
}

class Item {
  fields: Fields
  readonly isTail: boolean
  isDone = false
  readonly parts = new Map<unknown, Part>()
  readonly #written = new Map<string, GrowingText>()

  constructor(fields: Fields, isTail: boolean) {
    this.fields = fields
    this.isTail = isTail
  }

  /** The text of a field that grows. */
  written(field: string): GrowingText {
    const known = this.#written.get(field)
    if (known !== undefined) return known
    const text = new GrowingText("")
    this.#written.set(field, text)
    return text
  }

  /** All of it comes once more, from the beginning. */
  restart(): void {
    for (const part of this.parts.values()) part.restart()
    this.#written.clear()
  }

  /** The fields whose text has grown. */
  get texts(): Fields {
    return Object.fromEntries(Array.from(this.#written, ([field, text]) => [field, text.text]))
  }
}

/** One part of a message. */
class Part {
  readonly type: string
  #text = new GrowingText("")
  /** What an item that was started again is known to repeat. */
  #repeated: { readonly text: string; at: number } | undefined

  constructor(type: string) {
    this.type = type
  }

  get text(): string {
    return this.#text.text
  }

  /** Adds a piece, and returns what of it is new. */
  append(delta: string): string {
    const repeated = this.#repeated
    if (repeated !== undefined && delta !== "" && repeated.text.startsWith(delta, repeated.at)) {
      repeated.at += delta.length
      return ""
    }
    this.#repeated = undefined
    this.#text.append(delta)
    return delta
  }

  /** Its text comes once more, from its beginning. */
  restart(): void {
    this.#repeated = { text: this.text, at: 0 }
  }
}

/** Whether an item is not the one with the same id or call id that came before: some servers give many items one of them. */
const isAnother = ({ fields: { call_id: callId, id }, isDone }: Item, fields: Fields): boolean => {
  const differs = (one: unknown, other: unknown) => textOf(one) !== "" && textOf(other) !== "" && one !== other
  return differs(callId, fields.call_id) || (isDone && differs(id, fields.id))
}

interface Kind {
  /** The type of the items that have such events. */
  readonly item: string
  /** Where the `done` event has the whole text. */
  readonly field: string
  /** What the text is to a reader of the answer. */
  readonly tag?: Added["_tag"]
}

const kinds: ReadonlyMap<string, Kind> = new Map<string, Kind>([
  ["output_text", { item: "message", field: "text", tag: "Text" }],
  ["refusal", { item: "message", field: "refusal", tag: "Refusal" }],
  ["function_call_arguments", { item: "function_call", field: "arguments" }],
  ["custom_tool_call_input", { item: "custom_tool_call", field: "input" }],
  ["mcp_call_arguments", { item: "mcp_call", field: "arguments" }],
  ["code_interpreter_call_code", { item: "code_interpreter_call", field: "code" }]
])

/** The kind of a message's part. Some servers write `text` for `output_text`. */
const kindOf = ({ type }: Fields): Kind | undefined => kinds.get(type === "text" ? "output_text" : textOf(type))

const partOf = ({ parts }: Item, index: unknown, type: string): Part => {
  const known = parts.get(index ?? 0)
  if (known !== undefined) return known
  const part = new Part(type)
  parts.set(index ?? 0, part)
  return part
}

/** Takes the whole text of a part, and returns what its deltas had left out. */
const settle = (item: Item, index: unknown, fields: Fields): ReadonlyArray<Added> => {
  const kind = kindOf(fields)
  if (kind?.tag === undefined || item.isTail) return []
  const text = textOf(fields[kind.field])
  const part = partOf(item, index, kind.tag === "Text" ? "output_text" : "refusal")
  const before = part.text
  if (text.length <= before.length || !text.startsWith(before)) return []
  const delta = text.slice(before.length)
  part.append(delta)
  return [{ _tag: kind.tag, delta }]
}

const fieldsIn = (item: Item): Fields => {
  const { fields, parts, texts } = item
  const content = Array.from(parts, ([index, { text, type }]) => ({
    index: typeof index === "number" ? index : 0,
    part: { type, [kinds.get(type)?.field ?? "text"]: text }
  })).sort((one, other) => one.index - other.index).map(({ part }) => part)
  const written: Fields = {
    ...(content.length === 0 ? undefined : { type: "message", role: "assistant", content }),
    ...texts
  }
  return fuller({ ...fields, ...written }, fields)
}
