/**
 * Puts the pieces of streamed tool calls together.
 */
import * as ChatToolCalls from "./ChatToolCalls.ts"
import { addDelta, isPresent } from "./DeltaFields.ts"
import { type Fields, isFields, textOf } from "./JsonBody.ts"
import { JsonProgress } from "./JsonProgress.ts"

/**
 * The tool calls of one message.
 *
 * OpenAI numbers its calls with `index`, and the first piece of each has its id and name. Compatible hosts number all
 * calls 0, leave the index out, repeat id and name in every piece, or give each piece an id of its own. So a piece with
 * a name starts a call when its id is new, or when the call before it has another name or all its arguments. A piece
 * without a name continues the call with its id, else the one with its index, else the last one.
 */
export class ToolCallPieces {
  readonly #calls: Array<Call> = []

  /** The calls so far, in the order of their first pieces. */
  get all(): ReadonlyArray<Fields> {
    return this.#calls.map((call) => call.fields)
  }

  /** Adds a piece. */
  add(piece: Fields): void {
    let call = this.#continuedBy(piece)
    if (call === undefined) {
      call = { fields: {}, progress: new JsonProgress() }
      this.#calls.push(call)
    }
    const { id, index, ...rest } = piece
    // The first id and the first index stay.
    if (!isPresent(call.fields.index) && index !== undefined) call.fields.index = index
    if (!isPresent(call.fields.id) && id !== undefined) call.fields.id = id
    addDelta(call.fields, rest)
    call.progress.add(argumentsOf(piece))
  }

  #continuedBy(piece: Fields): Call | undefined {
    const last = this.#calls.at(-1)
    const hasId = isPresent(piece.id)
    const hasIndex = ({ fields }: Call) => fields.index === piece.index
    const withIndex = isPresent(piece.index) ? this.#calls.findLast(hasIndex) : last
    const withId = hasId ? this.#calls.filter(({ fields }) => fields.id === piece.id) : []
    const known = withId.findLast(hasIndex) ?? withId.at(-1)
    const name = nameOf(piece)
    const text = argumentsOf(piece).trimStart()
    // A new index with a new id and nothing else is a call whose name is still to come.
    if (name === "") return known ?? withIndex ?? (hasId && text === "" ? undefined : last)
    const call = known ?? withIndex
    if (call === undefined || nameOf(call.fields) === "") return call
    if (nameOf(call.fields) !== name) return undefined
    if (known === undefined && hasId && isPresent(call.fields.id)) {
      // Each piece of one call may have an id of its own. This one then begins the arguments, or is in their middle.
      const isNext = call.progress.isOpen ? !text.startsWith("{") : call.progress.isEmpty
      return isNext && text !== "" ? call : undefined
    }
    const isElsewhere = isPresent(piece.index) && !hasIndex(call)
    return call.progress.isComplete && (text !== "" || isElsewhere) ? undefined : call
  }
}

interface Call {
  readonly fields: Record<string, unknown>
  readonly progress: JsonProgress
}

const nameOf = (call: Fields): string => textOf(ChatToolCalls.bodyOf(call).name)

const argumentsOf = (piece: Fields): string => {
  const { arguments: args, input } = ChatToolCalls.bodyOf(piece)
  return isFields(args) ? "{}" : textOf(args) || textOf(input)
}
