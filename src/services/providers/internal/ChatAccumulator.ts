/**
 * Puts the chunks of a streamed chat completion together.
 */
import * as ChatFinish from "./ChatFinish.ts"
import * as ChatMessage from "./ChatMessage.ts"
import { addDelta, isPresent } from "./DeltaFields.ts"
import { grownFields } from "./GrowingText.ts"
import { type Fields, fieldsOf, isFields, itemsOf } from "./JsonBody.ts"
import { ToolCallPieces } from "./ToolCallPieces.ts"

/**
 * The body that a plain completion would have had, from the chunks of a stream.
 *
 * Of the fields of the chunks and of their choices, the last value that says something is kept. Deltas are joined.
 * Some hosts send the whole message so far as `message`, beside the deltas or instead of them: of it, only the fields
 * are used that no delta has. Without such a `message`, time and memory are linear in the length of the stream.
 */
export class ChatAccumulator {
  readonly #body: Record<string, unknown> = {}
  readonly #choices: Array<Choice> = []
  #xUsage: unknown = undefined
  /**
   * Whether the usage is that of the whole answer: it stands after the answer, or with its last piece and with no
   * earlier one, since some hosts count in every chunk.
   */
  #hasFinalUsage = false
  /** Chunks that have both choices and usage. */
  #countedChunks = 0
  /** Whether the first choice went on after it had said that it had ended. */
  #isReopened = false

  /** Adds a chunk. */
  add(chunk: Fields): void {
    const choices = itemsOf(chunk.choices).filter(isFields)
    for (const key in chunk) {
      if (key !== "choices" && key !== "__proto__" && isPresent(chunk[key])) this.#body[key] = chunk[key]
    }
    this.#isReopened ||= this.#kind !== "Absent" &&
      choices.some((choice) => isFirst(choice) && hasContent(fieldsOf(choice.delta)))
    for (const choice of choices) this.#addChoice(choice)
    // For years Groq had it only here.
    const xUsage = fieldsOf(chunk.x_groq).usage
    if (isFields(xUsage)) this.#xUsage = xUsage
    this.#count([chunk.usage, xUsage, ...choices.map((choice) => choice.usage)].some(hasCounts), choices)
  }

  /** The latest `usage`, if there was one. */
  get usage(): unknown {
    // Moonshot writes it into the last choice.
    return this.#body.usage ?? this.#xUsage ?? this.#choices.find(({ fields }) => isPresent(fields.usage))?.fields.usage
  }

  /**
   * How the first choice ended, `Absent` while it goes on.
   *
   * Some hosts write `stop` into every chunk. Then only the end of the stream says that the answer has ended.
   */
  get finish(): ChatFinish.Kind {
    return this.#isReopened ? "Absent" : this.#kind
  }

  get #kind(): ChatFinish.Kind {
    return ChatFinish.of(this.#choices[0]?.fields ?? {}).kind
  }

  /**
   * The body of all chunks so far.
   *
   * A `finish_reason` of `null` says that the answer goes on. It is left out once the usage of the whole answer has
   * come, which only hosts send that never give a reason: OpenAI for its audio models.
   */
  get body(): Fields {
    const { obfuscation: _obfuscation, ...rest } = this.#body
    const { usage } = this
    return {
      ...rest,
      object: "chat.completion",
      choices: this.#choices.map((choice) => bodyOf(choice, this.#hasFinalUsage)),
      ...(usage === undefined ? undefined : { usage })
    }
  }

  #addChoice(value: Fields): void {
    const index = typeof value.index === "number" ? value.index : 0
    let choice = this.#choices.find(({ fields }) => fields.index === index)
    if (choice === undefined) {
      choice = { fields: { index }, delta: {}, message: {}, calls: new ToolCallPieces() }
      if (index === 0) this.#choices.unshift(choice)
      else this.#choices.push(choice)
    }
    for (const key in value) {
      if (key === "__proto__") continue
      if (key === "delta") addChoiceDelta(choice, fieldsOf(value.delta))
      else if (key === "message") addMessage(choice.message, fieldsOf(value.message))
      // Also as `null`: it shows that the host has the field.
      else if (isPresent(value[key]) || !(key in choice.fields)) choice.fields[key] = value[key]
    }
  }

  #count(isCounted: boolean, choices: ReadonlyArray<Fields>): void {
    const messages = choices.flatMap((choice) => [choice.delta, choice.message]).map(fieldsOf)
    if (messages.some(hasContent)) this.#hasFinalUsage = false
    if (!isCounted) return
    if (choices.length > 0) this.#countedChunks++
    this.#hasFinalUsage = choices.length === 0 || this.#countedChunks === 1
  }
}

/** Returns whether a choice of a chunk is the one that the answer is made of. */
export const isFirst = (choice: Fields): boolean => typeof choice.index !== "number" || choice.index === 0

interface Choice {
  readonly fields: Record<string, unknown>
  readonly delta: Record<string, unknown>
  readonly message: Record<string, unknown>
  readonly calls: ToolCallPieces
}

const addChoiceDelta = ({ calls, delta }: Choice, { tool_calls: pieces, ...rest }: Fields): void => {
  for (const piece of itemsOf(pieces)) if (isFields(piece)) calls.add(piece)
  addDelta(delta, rest)
}

const bodyOf = ({ calls, delta, fields, message }: Choice, isComplete: boolean): Fields => {
  const { finish_reason: _reason, ...others } = fields
  const streamed = calls.all.length === 0 ? delta : { ...delta, tool_calls: calls.all }
  const merged: Record<string, unknown> = { ...message }
  for (const [key, value] of Object.entries(grownFields(streamed))) {
    if (isPresent(value) || !isPresent(merged[key])) merged[key] = value
  }
  const isUnsaid = isComplete && ChatFinish.of(fields).kind === "Absent"
  return { ...(isUnsaid ? others : fields), message: merged }
}

// A text that begins with what came before has all of it; any other is its next piece.
const addMessage = (target: Record<string, unknown>, message: Fields): void => {
  for (const key in message) {
    if (key === "__proto__") continue
    const value = message[key]
    const mine = target[key]
    if (typeof value === "string" && typeof mine === "string" && isGrowing(key)) {
      const isWhole = value.length >= mine.length && value.startsWith(mine)
      target[key] = isWhole ? value : mine + value
    } else if (isPresent(value) || mine === undefined) target[key] = value
  }
}

const isGrowing = (key: string): boolean => key === "content" || key === "refusal" || key.startsWith("reasoning")

const hasContent = (message: Fields): boolean => {
  const pieces = [...Object.values(ChatMessage.textsOf(message)), message.tool_calls, message.function_call]
  return [...pieces, fieldsOf(message.audio).data].some(isPresent)
}

const hasCounts = (usage: unknown): boolean =>
  Object.values(fieldsOf(usage)).some((count) => typeof count === "number" && count > 0)
