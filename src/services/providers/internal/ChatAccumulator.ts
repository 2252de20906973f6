/**
 * Puts the chunks of a streamed chat completion together.
 *
 * @since 0.1.0
 */
import { grow, GrowingText, grown, grownFields } from "./GrowingText.ts"
import { type Fields, fieldsOf, isFields, itemsOf, textOf } from "./JsonBody.ts"

/**
 * The body that a plain completion would have had, from the chunks of a stream.
 *
 * **Details**
 *
 * Of the fields of the chunks and of their choices, the last value that says
 * something is kept. Of the deltas, texts are joined, arrays are joined, and
 * tool calls are joined by their `index`; a host that leaves it out sends each
 * call whole. Time and memory are linear in the length of the stream.
 *
 * @category models
 * @since 0.1.0
 */
export class ChatAccumulator {
  readonly #body: Record<string, unknown> = {}
  readonly #choices: Array<Choice> = []
  #xUsage: unknown = undefined

  /** Adds a chunk. */
  add(chunk: Fields): void {
    for (const key in chunk) {
      if (key === "choices") { for (const choice of itemsOf(chunk.choices)) this.#addChoice(choice) }
      else if (isTold(chunk[key])) this.#body[key] = chunk[key]
    }
    // Groq told it only here for years.
    if (isFields(chunk.x_groq) && isFields(chunk.x_groq.usage)) this.#xUsage = chunk.x_groq.usage
  }

  /** The latest `usage`, if there was one. */
  get usage(): unknown {
    // Moonshot writes it into the last choice.
    return this.#body.usage ?? this.#xUsage ?? this.#choices.find(({ fields }) => isTold(fields.usage))?.fields.usage
  }

  /** The `finish_reason` of the first choice; empty while it has none. */
  get finishReason(): string {
    return textOf(this.#choices[0]?.fields.finish_reason)
  }

  /** The body of all chunks so far. */
  get body(): Fields {
    const { obfuscation: _obfuscation, ...rest } = this.#body
    const { usage } = this
    return {
      ...rest,
      object: "chat.completion",
      choices: this.#choices.map(({ fields, message }) => ({ ...fields, message: grownFields(message) })),
      ...(usage === undefined ? undefined : { usage })
    }
  }

  #addChoice(value: unknown): void {
    if (!isFields(value)) return
    const index = typeof value.index === "number" ? value.index : 0
    let choice = this.#choices.find(({ fields }) => fields.index === index)
    if (choice === undefined) {
      choice = { fields: { index }, message: {} }
      if (index === 0) this.#choices.unshift(choice)
      else this.#choices.push(choice)
    }
    for (const key in value) {
      if (key === "delta" || key === "message") addDelta(choice.message, fieldsOf(value[key]))
      // Its presence says that the host tells it.
      else if (isTold(value[key]) || !(key in choice.fields)) choice.fields[key] = value[key]
    }
  }
}

interface Choice {
  readonly fields: Record<string, unknown>
  readonly message: Record<string, unknown>
}

const isTold = (value: unknown): boolean => value !== null && value !== undefined && value !== ""

/** Texts that are told whole, perhaps again and again. */
const wholeTexts: ReadonlySet<string> = new Set(["role", "id", "type", "name", "channel"])

const addDelta = (target: Record<string, unknown>, delta: Fields): void => {
  for (const key in delta) {
    // As a key of an object it would lead to the prototype that all share.
    if (key === "__proto__") continue
    const value = delta[key]
    const mine = target[key]
    const text = mine instanceof GrowingText || (typeof mine === "string" && !wholeTexts.has(key)) ? mine : undefined
    if (key === "tool_calls") target[key] = addCalls(Array.isArray(mine) ? mine : [], itemsOf(value))
    else if (typeof value === "string" && text !== undefined) target[key] = grow(text, value)
    else if (Array.isArray(mine) && Array.isArray(value)) mine.push(...value)
    // Mistral writes parts while it thinks, and then text.
    else if (Array.isArray(mine) && typeof value === "string") mine.push(value)
    else if ((text !== undefined || typeof mine === "string") && Array.isArray(value)) {
      target[key] = [grown(mine), ...value]
    } else if (text !== undefined) continue
    else if (isFields(value) && isRecord(mine)) addDelta(mine, value)
    else if (isTold(value) || mine === undefined) target[key] = copyOf(value)
  }
}

// What is kept is added to later, and the event is not ours to change.
const copyOf = (value: unknown): unknown => Array.isArray(value) ? [...value] : isFields(value) ? { ...value } : value

const isRecord = (value: unknown): value is Record<string, unknown> => isFields(value)

const addCalls = (calls: Array<unknown>, deltas: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  for (const delta of deltas) {
    if (!isFields(delta)) continue
    const known = knownCall(calls, delta)
    if (isRecord(known)) addDelta(known, delta)
    else {
      const call: Record<string, unknown> = {}
      addDelta(call, delta)
      calls.push(call)
    }
  }
  return calls
}

const knownCall = (calls: ReadonlyArray<unknown>, delta: Fields): unknown => {
  if (delta.index !== undefined) return calls.find((call) => fieldsOf(call).index === delta.index)
  const isWhole = isTold(delta.id) || isTold(fieldsOf(delta.function).name)
  return isWhole ? undefined : calls.at(-1)
}
