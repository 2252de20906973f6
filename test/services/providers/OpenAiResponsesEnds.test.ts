import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as OpenAiResponsesStream from "../../../src/services/providers/OpenAiResponsesStream.ts"
import { recordedStreams } from "./OpenAiRecordings.ts"
import { endOf, outcomeOf, read, textOf, wire } from "./StreamReading.ts"

describe("OpenAiResponsesStream, the last event", () => {
  it.effect.each<[string, ReadonlyArray<object>, string, boolean]>([
    ["nothing", [], "Hello world", true],
    ["less", [message("Hello")], "Hello world", true],
    ["the same", [message("Hello world")], "Hello world", false],
    ["the same twice", [message("Hello world"), message("Hello world")], "Hello world", false],
    ["more", [message("Hello world, again")], "Hello world, again", false],
    ["another text", [message("Goodbye")], "Hello world", true]
  ])(
    "does not overrule what was emitted when its output is %s",
    ([_title, output, content, isDisputed]) =>
      Effect.gen(function*() {
        const result = yield* run([created, delta("Hello "), delta("world"), ended("completed", { output })])

        assert.strictEqual(contentOf(result.events), content)
        assert.strictEqual(textOf(result.events), "Hello world")
        assert.deepInclude(result.events.at(-1), isDisputed ? { isDisputed } : { _tag: "Ended" })
        assert.strictEqual("isDisputed" in (result.events.at(-1) ?? {}), isDisputed)
      })
  )

  it.effect.each<[string, object]>([
    ["without an output", { output: undefined }],
    ["with null for an output", { output: null }],
    ["without a status", { status: undefined, output: [] }],
    ["without any field", { id: undefined, object: undefined, status: undefined, output: undefined, usage: undefined }]
  ])("completes what was emitted although it comes %s", ([_title, fields]) =>
    Effect.gen(function*() {
      const result = yield* run([created, delta("Hello "), delta("world"), ended("completed", fields)])

      assert.strictEqual(endOf(result), "stop")
      assert.strictEqual(contentOf(result.events), "Hello world")
    }))

  it.effect.each<[string, object, string]>([
    ["incomplete", { incomplete_details: { reason: "max_output_tokens" } }, "[Incomplete]"],
    ["incomplete", { incomplete_details: { reason: "content_filter" } }, "[ContentFiltered]"],
    ["cancelled", {}, "[JobCancelled]"],
    ["canceled", {}, "[JobCancelled]"]
  ])(
    "keeps the partial text that an empty response.%s leaves out: %o",
    ([status, fields, expected]) =>
      Effect.gen(function*() {
        const result = yield* run([created, delta("Hello "), ended(status, { output: [], ...fields })])

        assert.strictEqual(endOf(result), expected)
        assert.strictEqual(contentOf(result.events), "Hello ")
      })
  )

  it.effect("is also OpenRouter's response.done", () =>
    Effect.gen(function*() {
      const result = yield* run([created, delta("Hello"), { ...ended("completed", {}), type: "response.done" }])

      assert.strictEqual(endOf(result), "stop")
    }))

  it.effect("lists each call that waits once, and none that the server ran", () =>
    Effect.gen(function*() {
      const call = { id: "fc_1", type: "function_call", call_id: "call_1", name: "add", arguments: "{}" }
      const hosted = { id: "sh_1", type: "shell_call", call_id: "call_2", environment: { type: "container_reference" } }
      const events = [call, call, hosted].map((item, index) => ({
        type: "response.output_item.done",
        output_index: index,
        item
      }))
      for (const output of [[], [call], [call, call, hosted]]) {
        const result = yield* run([created, ...events, ended("completed", { output })])

        assert.deepStrictEqual(
          result.events.filter(({ _tag }) => _tag === "ToolCall").map((event) => "id" in event && event.id),
          ["call_1"]
        )
        assert.strictEqual(endOf(result), "tool-calls")
      }
    }))

  it.effect("finds xAI's own searches by the tools of an earlier event", () =>
    Effect.gen(function*() {
      const item = { id: "c", type: "custom_tool_call", call_id: "xs", name: "x_keyword_search", input: "{}" }
      const begun = { ...created, response: { ...created.response, tools: [{ type: "x_search" }] } }
      const done = { type: "response.output_item.done", output_index: 0, item }
      const result = yield* run([begun, done, delta("Found", 1), ended("completed", { output: [] })])

      assert.strictEqual(endOf(result), "stop")
      assert.isFalse(result.events.some(({ _tag }) => _tag === "ToolCall"))
    }))

  it.effect("lists the calls of an answer that comes whole", () =>
    Effect.gen(function*() {
      const search = {
        id: "tsc_1",
        type: "tool_search_call",
        call_id: "call_1",
        execution: "client",
        arguments: { a: 1 }
      }
      const { response } = ended("completed", { output: [search, search] })
      const result = yield* read(reader(false), JSON.stringify(response), { contentType: "application/json" })

      assert.deepStrictEqual(result.events.filter(({ _tag }) => _tag === "ToolCall"), [
        { _tag: "ToolCall", id: "call_1", name: "tool_search", arguments: "{\"a\":1}", cursor: undefined }
      ])
      assert.strictEqual(endOf(result), "tool-calls")
    }))

  it.effect("has ignored the background only if no event says otherwise", () =>
    Effect.gen(function*() {
      const begun = { ...created, response: { ...created.response, background: true } }
      const end = ended("failed", { error: { code: "server_error", message: "Response payload is not completed" } })
      const real = outcomeOf((yield* run([begun, end])).events)
      const held = outcomeOf((yield* run([created, end])).events)

      assert.deepStrictEqual([real?.ignoredBackground, held?.ignoredBackground], [undefined, true])
    }))

  it.effect.each([true, false])(
    "is not there: the answer is not whole, background %o",
    (isJob) =>
      Effect.gen(function*() {
        const item = { type: "response.output_item.done", output_index: 0, item: message("Hello") }
        const events = wire([created, delta("Hello"), item])

        assert.strictEqual(endOf(yield* read(reader(isJob), `${events}data: [DONE]\n\n`)), "cut")
        assert.strictEqual(
          OpenAiResponsesStream.makeReader({ isJob })({ response: new Response(), contextNow: () => context }).finish(
            []
          ),
          "More"
        )
      })
  )
})

describe("OpenAiResponsesStream, streams of many dialects", () => {
  const recordings = recordedStreams(undefined).concat(recordedStreams(/\/responses(\/|\?|$)/))
    .filter(({ file }) => /responses-stream|azure-responses|deepseek/.test(file))

  it.skipIf(recordings.length === 0)("finds recordings (needs HOLDFAST_RECORDINGS)", () => {
    assert.isAtLeast(recordings.length, 5)
  })

  it.effect.each(recordings.map(({ body, file }) => [file, body] as const))(
    "reads %s the same with an empty last event, without sequence numbers, ids and done events",
    ([_file, body]) =>
      Effect.gen(function*() {
        const original = yield* read(reader(false), body)
        const content = contentOf(original.events)
        for (const [title, change] of dialects) {
          const result = yield* read(reader(false), changed(body, change))

          assert.strictEqual(contentOf(result.events), content, title)
          assert.strictEqual(endOf(result), endOf(original), title)
          assert.deepStrictEqual(callsOf(result.events), callsOf(original.events), title)
        }
      })
  )
})

type Change = (event: Record<string, unknown>) => ReadonlyArray<object>

const emptied: Change = (event) =>
  typeof event.response === "object" ? [{ ...event, response: { ...event.response, output: [] } }] : [event]

const without = (...keys: ReadonlyArray<string>): Change => (event) => [
  Object.fromEntries(Object.entries(event).filter(([key]) => !keys.includes(key)))
]

const dialects: ReadonlyArray<readonly [string, Change]> = [
  ["empty last event", emptied],
  ["no sequence numbers", without("sequence_number")],
  ["no item ids", without("item_id")],
  [
    "no item ids and an empty last event",
    (event) => without("item_id")(event).flatMap((event) => emptied({ ...event }))
  ],
  ["no indices", without("output_index")],
  ["no done events", (event) => /\.done$/.test(String(event.type)) ? [] : [event]],
  ["no added events", (event) => event.type === "response.output_item.added" ? [] : [event]],
  ["items twice", (event) => event.type === "response.output_item.done" ? [event, event] : [event]]
]

const changed = (body: string, change: Change): string =>
  wire(
    body.split("\n").filter((line) => line.startsWith("data: {"))
      .flatMap((line) => change(JSON.parse(line.slice(6)) as Record<string, unknown>))
  )

const callsOf = (events: ReadonlyArray<{ readonly _tag: string }>) =>
  events.filter(({ _tag }) => _tag === "ToolCall").map((event) => ({ ...event, cursor: undefined }))

const message = (text: string) => ({
  id: "msg_1",
  type: "message",
  role: "assistant",
  content: [{ type: "output_text", text }]
})

const created = {
  type: "response.created",
  response: { id: "resp_1", object: "response", status: "in_progress", output: [] }
}

const delta = (delta: string, index = 0) => ({
  type: "response.output_text.delta",
  item_id: `msg_${index + 1}`,
  output_index: index,
  content_index: 0,
  delta
})

const ended = (status: string, fields: object) => ({
  type: `response.${status}`,
  response: { id: "resp_1", object: "response", status, output: [], ...fields }
})

const reader = (isJob: boolean) => OpenAiResponsesStream.makeReader({ isJob })

const run = (events: ReadonlyArray<object>) => read(reader(true), wire(events))

const context = { provider: "recorded", operation: "call", model: "m", now: 0 } as const

const contentOf = (events: Parameters<typeof outcomeOf>[0]): string | undefined => {
  const outcome = outcomeOf(events)
  if (outcome?._tag === "Succeeded") return outcome.answer.content
  const reason = outcome?.verdict.reason
  return reason !== undefined && "content" in reason ? reason.content : undefined
}
