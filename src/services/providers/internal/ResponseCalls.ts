/**
 * The calls in an output of the Responses API that the caller must answer.
 */
import type { ToolCall } from "../../Provider.ts"
import { type Fields, fieldsOf, isFields, itemsOf, textOf } from "./JsonBody.ts"

/** What is known about an answer beside its output. */
export interface Asked {
  /** The provider's name. */
  readonly provider: string
  /** The tools that the response repeats from the request. */
  readonly tools: unknown
}

/**
 * Returns the calls that wait for the caller, in order. The output holds each item once.
 *
 * A call whose result is in the output was run by the server, as was one of a hosted tool.
 *
 * Source: OpenAI API reference, "The response object", `output`; xAI, "Tools", for the calls of its X search.
 */
export const callsOf = (output: ReadonlyArray<Fields>, asked: Asked): ReadonlyArray<ToolCall> => {
  const answered = new Set(output.map(answeredBy))
  return output.flatMap((item) => {
    const id = textOf(item.call_id) || textOf(item.id)
    // The model did not finish writing it.
    if (item.status === "incomplete" || answered.has(id) || isHosted(item, asked)) return []
    const call = readers.get(textOf(item.type))?.(item)
    return call === undefined ? [] : [{ id, ...call }]
  })
}

type Named = Pick<ToolCall, "arguments" | "name">

const readers: ReadonlyMap<string, (item: Fields) => Named> = new Map([
  ["function_call", (item) => ({ name: textOf(item.name), arguments: jsonOf(item.arguments) })],
  ["custom_tool_call", (item) => ({ name: textOf(item.name), arguments: jsonOf(item.input) })],
  ["mcp_approval_request", (item) => ({ name: textOf(item.name), arguments: jsonOf(item.arguments) })],
  ["tool_search_call", (item) => ({ name: "tool_search", arguments: jsonOf(item.arguments) })],
  ["apply_patch_call", (item) => ({ name: "apply_patch", arguments: jsonOf(item.operation) })],
  ["local_shell_call", (item) => ({ name: "local_shell", arguments: jsonOf(item.action) })],
  ["shell_call", (item) => ({ name: "shell", arguments: jsonOf(item.action) })],
  ["computer_call", ({ action, actions, pending_safety_checks: checks }) => ({
    name: "computer",
    arguments: JSON.stringify({
      ...(action === undefined ? undefined : { action }),
      ...(actions === undefined ? undefined : { actions }),
      ...(itemsOf(checks).length === 0 ? undefined : { pending_safety_checks: checks })
    })
  })]
])

const jsonOf = (value: unknown): string => typeof value === "string" ? value : JSON.stringify(value ?? {})

const answeredBy = (item: Fields): string | undefined => {
  const type = textOf(item.type)
  if (type === "mcp_approval_response") return textOf(item.approval_request_id) || undefined
  return /_output$/.test(type) ? textOf(item.call_id) || undefined : undefined
}

const isHosted = (item: Fields, asked: Asked): boolean => {
  switch (item.type) {
    case "tool_search_call":
      // The server's own searches have no call id.
      return item.execution === undefined ? textOf(item.call_id) === "" : item.execution !== "client"
    case "shell_call":
      return isContainer(item.environment ?? toolsOf(asked).find(({ type }) => type === "shell")?.environment)
    case "custom_tool_call":
      return isRunByXai(item, asked)
    default:
      return false
  }
}

const isContainer = (environment: unknown): boolean => /^container/.test(textOf(fieldsOf(environment).type))

// xAI writes the steps of its searches as calls of custom tools that nobody declared.
const isRunByXai = ({ name }: Fields, asked: Asked): boolean => {
  const tools = toolsOf(asked)
  return (asked.provider === "xai" || tools.some(({ type }) => type === "x_search")) &&
    !tools.some((tool) => tool.type === "custom" && tool.name === name)
}

const toolsOf = ({ tools }: Asked): ReadonlyArray<Fields> => itemsOf(tools).filter(isFields)
