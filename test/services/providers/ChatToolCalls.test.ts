import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { StreamEvent } from "../../../src/services/Provider.ts"
import * as ChatCompletions from "../../../src/services/providers/ChatCompletions.ts"
import * as ChatCompletionsStream from "../../../src/services/providers/ChatCompletionsStream.ts"
import { endOf, read, wire } from "./StreamReading.ts"

type Call = readonly [id: string, name: string, args: string]

describe("streamed tool calls", () => {
  it.effect.each<[string, ReadonlyArray<object>, ReadonlyArray<Call>]>([
    ["of OpenAI, in pieces of several calls in turn", [
      piece({ index: 0, id: "a", name: "add" }),
      piece({ index: 0, args: "{\"a\":" }),
      piece({ index: 1, id: "b", name: "sub", args: "{}" }),
      piece({ index: 0, args: "1}" })
    ], [["a", "add", "{\"a\":1}"], ["b", "sub", "{}"]]],
    ["of one name, with an index each and no ids", [
      piece({ index: 0, name: "add" }),
      piece({ index: 1, name: "add" }),
      piece({ index: 0, args: "{\"a\":1}" }),
      piece({ index: 1, args: "{\"a\":2}" })
    ], [["", "add", "{\"a\":1}"], ["", "add", "{\"a\":2}"]]],
    ["that share index 0", whole({ index: 0 }), three],
    ["whose index is null", whole({ index: null }), three],
    ["without an index", whole({}), three],
    ["that share index 0, in pieces", [
      piece({ index: 0, id: "a", name: "add" }),
      piece({ index: 0, args: "{\"a\":1}" }),
      piece({ index: 0, id: "b", name: "add", args: "{\"a\"" }),
      piece({ index: 0, args: ":2}" })
    ], [["a", "add", "{\"a\":1}"], ["b", "add", "{\"a\":2}"]]],
    ["that share index 0 and have no ids", [
      piece({ index: 0, id: "", name: "add", args: "{\"a\":1}" }),
      piece({ index: 0, id: "", name: "add", args: "{\"a\":2}" }),
      piece({ index: 0, id: "", name: "sub", args: "{}" })
    ], [["", "add", "{\"a\":1}"], ["", "add", "{\"a\":2}"], ["", "sub", "{}"]]],
    ["that are whole, without index and id", [
      piece({ name: "add", args: "{}" }),
      piece({ name: "add", args: "{\"b\":2}" })
    ], [["", "add", "{}"], ["", "add", "{\"b\":2}"]]],
    ["in nameless pieces, each with a new id", [
      piece({ index: 0, id: "1", name: "run" }),
      piece({ index: 0, id: "x1", name: "", args: "{\"cmd\"" }),
      piece({ index: 0, id: "x2", name: "", args: ":\"ls\"}" })
    ], [["1", "run", "{\"cmd\":\"ls\"}"]]],
    ["in pieces that all have the name, each with a new id", [
      piece({ index: 0, id: "1", name: "run", args: "{\"cmd\"" }),
      piece({ index: 0, id: "2", name: "run", args: ":\"l" }),
      piece({ index: 0, id: "3", name: "run", args: "s\"}" })
    ], [["1", "run", "{\"cmd\":\"ls\"}"]]],
    ["in pieces that all have the name, each with a new id, the first without arguments", [
      piece({ index: 0, id: "1", name: "run" }),
      piece({ index: 0, id: "2", name: "run", args: "{\"cmd\":" }),
      piece({ index: 0, id: "3", name: "run", args: "\"ls\"}" })
    ], [["1", "run", "{\"cmd\":\"ls\"}"]]],
    ["in pieces that all have the id and the name", [
      piece({ index: 0, id: "1", name: "run" }),
      piece({ index: 0, id: "1", name: "run", args: "{\"cmd\"" }),
      piece({ index: 0, id: "1", name: "run", args: ":\"}{\"}" }),
      piece({ index: 0, id: "1", name: "run" })
    ], [["1", "run", "{\"cmd\":\"}{\"}"]]],
    ["in pieces that all have the name, with quotes and brackets in a text", [
      piece({ index: 0, id: "1", name: "run", args: "{\"cmd\":\"\\\"}" }),
      piece({ index: 0, id: "1", name: "run", args: "\\\\\"" }),
      piece({ index: 0, id: "1", name: "run", args: "}" })
    ], [["1", "run", "{\"cmd\":\"\\\"}\\\\\"}"]]],
    ["in pieces that all have the name, without ids", [
      piece({ name: "run", args: "{\"cmd\"" }),
      piece({ name: "run", args: ":\"ls\"}" })
    ], [["", "run", "{\"cmd\":\"ls\"}"]]],
    ["in pieces, without index", [
      piece({ id: "1", name: "run", args: "{\"cmd\"" }),
      piece({ args: ":\"ls\"}" })
    ], [["1", "run", "{\"cmd\":\"ls\"}"]]],
    ["in pieces with their ids in turn, without index", [
      piece({ id: "a", name: "add" }),
      piece({ id: "b", name: "sub" }),
      piece({ id: "a", args: "{\"a\":1}" }),
      piece({ id: "b", args: "{\"b\":2}" })
    ], [["a", "add", "{\"a\":1}"], ["b", "sub", "{\"b\":2}"]]],
    ["in pieces whose id is right and whose index is not", [
      piece({ index: 0, id: "a", name: "add" }),
      piece({ index: 1, id: "b", name: "sub" }),
      piece({ index: 0, id: "b", args: "{\"b\":2}" }),
      piece({ index: 2, id: "a", name: "add", args: "{\"a\":1}" })
    ], [["a", "add", "{\"a\":1}"], ["b", "sub", "{\"b\":2}"]]],
    ["whose pieces after the first have another index and no id", [
      piece({ index: 0, id: "a", name: "add" }),
      piece({ index: 1, args: "{\"a\"" }),
      piece({ index: 2, args: ":1}" })
    ], [["a", "add", "{\"a\":1}"]]],
    ["in nameless pieces, each with a new id and a new index", [
      piece({ index: 0, id: "a", name: "add" }),
      piece({ index: 1, id: "x1", args: "{\"a\"" }),
      piece({ index: 2, id: "x2", args: ":1}" })
    ], [["a", "add", "{\"a\":1}"]]],
    ["whose ids are derived from the name", [
      piece({ index: 0, id: "call-add", name: "add", args: "{\"a\":1}" }),
      piece({ index: 1, id: "call-add", name: "add" }),
      piece({ index: 1, id: "call-add", args: "{\"a\":2}" })
    ], [["call-add", "add", "{\"a\":1}"], ["call-add", "add", "{\"a\":2}"]]],
    ["whose id comes after the name", [
      piece({ index: 0, id: "", name: "add" }),
      piece({ index: 0, id: "a", name: "add", args: "{}" })
    ], [["a", "add", "{}"]]],
    ["whose name comes after the id", [
      piece({ index: 0, id: "a" }),
      piece({ index: 1, id: "b" }),
      piece({ index: 0, name: "add", args: "{\"a\":1}" }),
      piece({ index: 1, name: "sub", args: "{}" })
    ], [["a", "add", "{\"a\":1}"], ["b", "sub", "{}"]]],
    ["without arguments, that share index 0", [
      piece({ index: 0, id: "a", name: "now" }),
      piece({ index: 0, id: "b", name: "now" }),
      piece({ index: 0, id: "c", name: "later" })
    ], [["a", "now", ""], ["b", "now", ""], ["c", "later", ""]]],
    ["that are sent twice", [
      piece({ index: 0, id: "a", name: "add", args: "{\"a\":1,\"b\":2}" }),
      piece({ index: 0, id: "a", name: "add", args: "{\"a\":1,\"b\":2}" }),
      piece({ index: 1, id: "a", name: "add", args: "{ \"b\": 2, \"a\": 1 }" }),
      piece({ index: 2, id: "", name: "add", args: "{\"a\":1,\"b\":2}" }),
      piece({ index: 3, id: "a", name: "add" })
    ], [["a", "add", "{\"a\":1,\"b\":2}"]]],
    ["with arguments that are an object", [
      piece({ index: 0, id: "a", name: "add", args: { a: 1 } }),
      piece({ index: 0, id: "", name: "add", args: { a: 2 } })
    ], [["a", "add", "{\"a\":1}"], ["", "add", "{\"a\":2}"]]],
    ["of custom tools", [
      { index: 0, id: "a", type: "custom", custom: { name: "run", input: "l" } },
      { index: 0, custom: { input: "s" } },
      { index: 0, id: "b", type: "custom", custom: { name: "run", input: "pwd" } }
    ], [["a", "run", "ls"], ["b", "run", "pwd"]]]
  ])("are put together: those %s", ([_title, pieces, expected]) =>
    Effect.gen(function*() {
      const apart = yield* stream(pieces.map((piece) => ({ tool_calls: [piece] })))
      const together = yield* stream([{ tool_calls: pieces }])

      assert.deepStrictEqual(callsOf(apart.events), expected.map((call) => [...call]))
      assert.strictEqual(endOf(apart), "tool-calls")
      assert.deepStrictEqual(callsOf(together.events), callsOf(apart.events))
    }))

  it.effect("are put together when it is a function call of 2023", () =>
    Effect.gen(function*() {
      const result = yield* stream([
        { function_call: { name: "add", arguments: "" } },
        { function_call: { arguments: "{\"a\":" } },
        { function_call: { arguments: "1}" } }
      ], "function_call")

      assert.deepStrictEqual(callsOf(result.events), [["", "add", "{\"a\":1}"]])
    }))

  it.effect("are not emitted when they were cut", () =>
    Effect.gen(function*() {
      const result = yield* stream(
        [{ tool_calls: [piece({ index: 0, id: "a", name: "add", args: "{\"a\":" })] }],
        "length"
      )

      assert.strictEqual(endOf(result), "[Incomplete]")
      assert.deepStrictEqual(callsOf(result.events), [])
    }))

  it.effect("take time linear in their length, also when each piece has the name", () =>
    Effect.gen(function*() {
      const pieces = Array.from({ length: 20_000 }, () => piece({ index: 0, id: "a", name: "add", args: "0123456789" }))
      const result = yield* stream([{
        tool_calls: [piece({ index: 0, id: "a", name: "add", args: "[\"" }), ...pieces]
      }])

      assert.lengthOf(callsOf(result.events)[0]?.[2] ?? "", 200_002)
    }), 5000)
})

describe("tool calls that the server has run", () => {
  it.effect.each<[string, object]>([
    ["Groq's `executed_tools`", { executed_tools: [{ index: 0, type: "search", arguments: "{}", output: "…" }] }],
    ["Perplexity's `reasoning_steps`", {
      reasoning_steps: [{ type: "web_search", web_search: { search_results: [] } }]
    }],
    ["a call with its outputs", {
      tool_calls: [{ id: "a", type: "code_interpreter", code_interpreter: { input: "1+1", outputs: [] } }]
    }],
    ["a function call with its result", {
      tool_calls: [{ index: 0, id: "a", type: "function", function: { name: "search", arguments: "{}" }, output: "…" }]
    }]
  ])("are not the caller's to answer: %s", ([_title, fields]) =>
    Effect.gen(function*() {
      const streamed = yield* stream([fields, { content: "4" }], "stop")

      assert.strictEqual(endOf(streamed), "stop")
      assert.deepStrictEqual(callsOf(streamed.events), [])
      assert.strictEqual(finishReasonOf({ ...fields, content: "4" }, "stop"), "stop")
    }))

  it.effect("leave the caller's own call beside them", () =>
    Effect.gen(function*() {
      const calls = [
        { index: 0, id: "a", type: "function", function: { name: "search", arguments: "{}" }, output: "…" },
        { index: 1, id: "b", type: "builtin_function", function: { name: "$web_search", arguments: "{}" } }
      ]
      const streamed = yield* stream([{ tool_calls: calls }])

      assert.deepStrictEqual(callsOf(streamed.events), [["b", "$web_search", "{}"]])
      assert.strictEqual(endOf(streamed), "tool-calls")
      assert.strictEqual(finishReasonOf({ content: null, tool_calls: calls }, "tool_calls"), "tool-calls")
    }))

  it.effect("do not make an answer without text", () =>
    Effect.gen(function*() {
      const call = { id: "a", type: "function", function: { name: "search", arguments: "{}" }, output: "…" }

      assert.strictEqual(endOf(yield* stream([{ tool_calls: [call] }])), "[EmptyContent]")
      assert.strictEqual(finishReasonOf({ content: "", tool_calls: [call] }, "tool_calls"), "EmptyContent")
    }))
})

interface Piece {
  readonly index?: number | null
  readonly id?: string
  readonly name?: string
  readonly args?: string | object
}

const piece = ({ args, name, ...rest }: Piece): object => {
  const called = { ...(name === undefined ? {} : { name }), ...(args === undefined ? {} : { arguments: args }) }
  return { ...rest, ...(rest.id === undefined ? {} : { type: "function" }), function: called }
}

/** Three calls, each whole with an id of its own. */
const whole = (index: Pick<Piece, "index">): ReadonlyArray<object> =>
  three.map(([id, name, args]) => piece({ ...index, id, name, args }))

const three: ReadonlyArray<Call> = [
  ["a", "weather", "{\"city\":\"A\"}"],
  ["b", "weather", "{\"city\":\"B\"}"],
  ["c", "time", "{\"tz\":\"C\"}"]
]

const chunk = (delta: object, finish: string | null = null) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  model: "m",
  choices: [{ index: 0, delta, finish_reason: finish }]
})

const stream = (deltas: ReadonlyArray<object>, finish = "tool_calls") =>
  read(
    ChatCompletionsStream.makeReader,
    `${wire([...deltas.map((delta) => chunk(delta)), chunk({}, finish)])}data: [DONE]\n\n`
  )

const callsOf = (events: ReadonlyArray<StreamEvent>) =>
  events.flatMap((event) => event._tag === "ToolCall" ? [[event.id, event.name, event.arguments]] : [])

const finishReasonOf = (message: object, finish: string): string => {
  const body = { id: "chatcmpl-1", model: "m", choices: [{ index: 0, message, finish_reason: finish }] }
  const context = { provider: "acme", operation: "call", model: "m", now: 0 } as const
  const outcome = Result.getOrThrow(ChatCompletions.outcomeOf({ status: 200, headers: new Headers(), body }, context))
  return outcome._tag === "Succeeded" ? outcome.answer.finishReason : outcome.verdict.reason._tag
}
