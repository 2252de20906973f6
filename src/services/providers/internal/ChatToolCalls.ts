/**
 * Reads the tool calls of a chat message that the caller must answer.
 */
import { isDeepStrictEqual } from "node:util"
import { type Fields, fieldsOf, isFields, itemsOf, parse, textOf } from "./JsonBody.ts"

/** A call that is complete. */
export interface ToolCall {
  readonly id: string
  readonly name: string
  /** As the model wrote them. */
  readonly arguments: string
}

/**
 * Returns the calls of a message that the caller must answer, each once.
 *
 * A call that the server has run, and that the message only reports, is left out: it carries its result, or is of a
 * type that callers do not run. `function_call` is the form of 2023.
 */
export const of = (message: Fields): ReadonlyArray<ToolCall> => {
  const calls: Array<ToolCall> = []
  for (const call of itemsOf(message.tool_calls).map(fieldsOf)) {
    if (!isForCaller(call)) continue
    const read = { id: textOf(call.id), ...nameAndArguments(bodyOf(call)) }
    if (!calls.some((other) => isSame(other, read))) calls.push(read)
  }
  return calls.length === 0 && isFields(message.function_call)
    ? [{ id: "", ...nameAndArguments(message.function_call) }]
    : calls
}

/** Returns the name and the arguments of a call, or of a piece of one. */
export const bodyOf = (call: Fields): Fields => fieldsOf(call.function ?? call.custom)

/** Types of calls that callers run; Mistral writes the text `null`. */
const callerTypes: ReadonlySet<string> = new Set(["", "null", "function", "custom", "builtin_function"])

const isForCaller = (call: Fields): boolean =>
  isFields(call.function) || isFields(call.custom)
    ? [call.output, call.outputs, call.result].every((result) => result === undefined || result === null)
    : callerTypes.has(textOf(call.type))

// Some hosts derive the id from the name: calls with other arguments are other calls.
const isSame = (a: ToolCall, b: ToolCall): boolean =>
  a.id !== "" && (b.id === a.id || b.id === "") && a.name === b.name &&
  (b.arguments === "" || isDeepStrictEqual(parse(a.arguments), parse(b.arguments)))

// Some hosts send the arguments as an object.
const nameAndArguments = ({ arguments: args, input, name }: Fields) => ({
  name: textOf(name),
  arguments: isFields(args) ? JSON.stringify(args) : textOf(args) || textOf(input)
})
