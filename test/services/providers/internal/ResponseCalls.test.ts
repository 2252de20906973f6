import { assert, describe, it } from "@effect/vitest"
import { callsOf } from "../../../../src/services/providers/internal/ResponseCalls.ts"
import { distinct } from "../../../../src/services/providers/internal/ResponseItems.ts"

describe("ResponseCalls", () => {
  it.each<[string, object, { readonly id?: string; readonly name: string; readonly arguments: unknown }]>([
    ["a function call", { type: "function_call", name: "add", arguments: "{\"a\":1}" }, {
      name: "add",
      arguments: { a: 1 }
    }],
    ["arguments as an object", { type: "function_call", name: "add", arguments: { a: 1 } }, {
      name: "add",
      arguments: { a: 1 }
    }],
    ["a custom tool", { type: "custom_tool_call", name: "run", input: "\"ls\"" }, { name: "run", arguments: "ls" }],
    [
      "a tool search of the client",
      { type: "tool_search_call", execution: "client", arguments: { goal: "weather" } },
      { name: "tool_search", arguments: { goal: "weather" } }
    ],
    [
      "a patch",
      { type: "apply_patch_call", operation: { type: "delete_file", path: "a.md" } },
      { name: "apply_patch", arguments: { type: "delete_file", path: "a.md" } }
    ],
    ["a local shell", { type: "local_shell_call", action: { type: "exec", command: ["ls"] } }, {
      name: "local_shell",
      arguments: { type: "exec", command: ["ls"] }
    }],
    ["a shell of the caller", { type: "shell_call", action: { commands: ["ls"] }, environment: { type: "local" } }, {
      name: "shell",
      arguments: { commands: ["ls"] }
    }],
    ["a computer", { type: "computer_call", action: { type: "wait" }, pending_safety_checks: [{ id: "s1" }] }, {
      name: "computer",
      arguments: { action: { type: "wait" }, pending_safety_checks: [{ id: "s1" }] }
    }],
    ["several actions of a computer", { type: "computer_call", actions: [{ type: "wait" }] }, {
      name: "computer",
      arguments: { actions: [{ type: "wait" }] }
    }],
    [
      "an approval",
      { type: "mcp_approval_request", call_id: undefined, name: "shorten", arguments: "{\"url\":\"x\"}" },
      { id: "item_1", name: "shorten", arguments: { url: "x" } }
    ]
  ])("lists %s", (_title, item, expected) => {
    const [call, ...others] = calls([{ id: "item_1", call_id: "call_1", status: "completed", ...item }])

    assert.deepStrictEqual(others, [])
    assert.deepStrictEqual(
      { ...call, arguments: JSON.parse(call?.arguments ?? "") },
      { id: "call_1", ...expected }
    )
  })

  it.each<[string, ReadonlyArray<object>, object?]>([
    ["an image", [{ type: "image_generation_call", result: "AAEC" }]],
    ["a web search", [{ type: "web_search_call" }]],
    ["a code interpreter", [{ type: "code_interpreter_call", code: "1" }]],
    ["a tool of an MCP server", [{ type: "mcp_call", name: "f", arguments: "{}" }]],
    ["a tool search of the server", [{ type: "tool_search_call", execution: "server", call_id: null }]],
    ["a hosted shell", [{ type: "shell_call", call_id: "c", environment: { type: "container_reference" } }]],
    [
      "a shell whose tool is hosted",
      [{ type: "shell_call", call_id: "c" }],
      { tools: [{ type: "shell", environment: { type: "container_auto" } }] }
    ],
    ["a shell whose output is there", [{ type: "shell_call", call_id: "c" }, {
      type: "shell_call_output",
      call_id: "c"
    }]],
    [
      "a function that the server ran itself",
      [
        { type: "function_call", call_id: "c", name: "f", arguments: "{}" },
        { type: "function_call_output", call_id: "c", output: "1" }
      ]
    ],
    [
      "an approval that was given",
      [
        { type: "mcp_approval_request", id: "r", name: "f", arguments: "{}" },
        { type: "mcp_approval_response", approval_request_id: "r", approve: true }
      ]
    ],
    ["a search of xAI", [{ type: "custom_tool_call", call_id: "xs", name: "x_keyword_search", input: "{}" }], {
      provider: "xai"
    }],
    [
      "a search of xAI behind a gateway",
      [{ type: "custom_tool_call", call_id: "xs", name: "x_keyword_search", input: "{}" }],
      { tools: [{ type: "x_search" }] }
    ],
    ["a call that was cut", [{
      type: "function_call",
      call_id: "c",
      name: "f",
      arguments: "{\"a",
      status: "incomplete"
    }]]
  ])("does not list %s", (_title, output, asked) => {
    assert.deepStrictEqual(calls(output, asked), [])
  })

  it("lists a custom tool that the request declares, at xAI too", () => {
    const tools = [{ type: "x_search" }, { type: "custom", name: "run" }]
    const call = { type: "custom_tool_call", call_id: "c", name: "run", input: "ls" }

    assert.lengthOf(calls([call], { provider: "xai", tools }), 1)
  })

  it.each<[string, ReadonlyArray<object>, number]>([
    ["the same item", [call("i1", "c1"), call("i1", "c1")], 1],
    ["the same call under another id", [call("i1", "c1"), call("i2", "c1")], 1],
    ["the same call without ids", [call(undefined, "c1"), call(undefined, "c1")], 1],
    ["the same arguments in another order", [call("i1", "c1"), call("i2", "c1", "{ \"b\": 2, \"a\": 1 }")], 1],
    ["two calls with equal arguments", [call("i1", "c1"), call("i2", "c2")], 2],
    ["two calls with one item id", [call("i1", "c1"), call("i1", "c2")], 2],
    ["two calls with one call id", [call("i1", "c1"), call("i2", "c1", "{\"a\":2}")], 2]
  ])("counts %s rightly", (_title, output, count) => {
    assert.lengthOf(calls(output), count)
  })
})

const call = (id: string | undefined, callId: string, args = "{\"a\":1,\"b\":2}") => ({
  type: "function_call",
  ...(id === undefined ? {} : { id }),
  call_id: callId,
  name: "add",
  arguments: args
})

const calls = (output: ReadonlyArray<object>, asked: object = {}) =>
  callsOf(distinct(output), { provider: "openai", tools: [], ...asked })
