import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as AnthropicAnswer from "../../../src/services/providers/AnthropicAnswer.ts"
import * as AnthropicMessagesStream from "../../../src/services/providers/AnthropicMessagesStream.ts"
import { endOf, outcomeOf, read, textOf, wire } from "./StreamReading.ts"

describe("AnthropicMessagesStream", () => {
  it.effect("tells the events of an answer, and puts them together to a plain message", () =>
    Effect.gen(function*() {
      const { events } = yield* run([
        started,
        block(0, { type: "thinking", thinking: "", signature: "" }),
        { type: "ping" },
        delta(0, { type: "thinking_delta", thinking: "Hm" }),
        delta(0, { type: "signature_delta", signature: "sig" }),
        stop(0),
        block(1, { type: "text", text: "" }),
        delta(1, { type: "text_delta", text: "He" }),
        delta(1, { type: "citations_delta", citation: { url: "a" } }),
        delta(1, { type: "text_delta", text: "llo" }),
        stop(1),
        block(2, { type: "server_tool_use", id: "s", name: "web_search", input: {} }),
        delta(2, { type: "input_json_delta", partial_json: "{\"query\":" }),
        delta(2, { type: "input_json_delta", partial_json: "\"x\"}" }),
        stop(2),
        { type: "never_heard_of", index: 9 },
        ended("end_turn", { output_tokens: 20, input_tokens: null })
      ])

      assert.deepStrictEqual(events.map((event) => event._tag), [
        "Started",
        "Usage",
        "Reasoning",
        "Text",
        "Text",
        "Usage",
        "Ended"
      ])
      const outcome = outcomeOf(events)
      assert.strictEqual(outcome?._tag, "Succeeded")
      if (outcome?._tag !== "Succeeded") return
      assert.deepStrictEqual([outcome.answer.content, outcome.answer.responseId], ["Hello", "msg_1"])
      assert.strictEqual(outcome.answer.usage?.totalTokens, 30)
      assert.deepStrictEqual(outcome.answer.response, {
        ...started.message,
        content: [
          { type: "thinking", thinking: "Hm", signature: "sig" },
          { type: "text", text: "Hello", citations: [{ url: "a" }] },
          { type: "server_tool_use", id: "s", name: "web_search", input: { query: "x" } }
        ],
        stop_reason: "end_turn",
        usage: { input_tokens: 10, output_tokens: 20 }
      })
    }))

  it.effect("keeps blocks and deltas of unknown types in the body, and tells nothing of them", () =>
    Effect.gen(function*() {
      const { events } = yield* run([
        started,
        block(0, { type: "compaction", content: "" }),
        delta(0, { type: "compaction_delta", content: "So far" }),
        delta(0, { type: "compaction_delta", content: "." }),
        delta(0, { type: "text_delta", text: "no text" }),
        stop(0),
        ...text(1, "Hi"),
        ended("end_turn")
      ])
      const outcome = outcomeOf(events)

      assert.strictEqual(textOf(events), "Hi")
      assert.strictEqual(outcome?._tag, "Succeeded")
      if (outcome?._tag !== "Succeeded") return
      assert.deepStrictEqual(
        (outcome.answer.response as { content: ReadonlyArray<unknown> }).content[0],
        { type: "compaction", content: "So far.", text: "no text" }
      )
    }))

  it.effect("tells a tool call when its block is complete", () =>
    Effect.gen(function*() {
      const result = yield* run([
        started,
        block(0, { type: "tool_use", id: "toolu_1", name: "add", input: {} }),
        delta(0, { type: "input_json_delta", partial_json: "{\"a\": " }),
        delta(0, { type: "input_json_delta", partial_json: "1}" }),
        stop(0),
        block(1, { type: "tool_use", id: "toolu_2", name: "now", input: {} }),
        stop(1),
        ended("tool_use")
      ])

      assert.deepStrictEqual(result.events.filter((event) => event._tag === "ToolCall"), [
        { _tag: "ToolCall", id: "toolu_1", name: "add", arguments: "{\"a\": 1}" },
        { _tag: "ToolCall", id: "toolu_2", name: "now", arguments: "{}" }
      ])
      assert.strictEqual(endOf(result), "tool-calls")
    }))

  it.effect.each<[string, string]>([
    ["end_turn", "stop"],
    ["max_tokens", "[Incomplete]"],
    ["refusal", "[Refusal]"]
  ])("judges the stop reason %s as in a plain message: %s", ([reason, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(endOf(yield* run([started, ...text(0, "Hi"), ended(reason)])), expected)
    }))

  it.effect("ends a paused turn without an end, with what it adds up to", () =>
    Effect.gen(function*() {
      const turn = newTurn()
      const events = [started, ...text(0, "One "), ended("pause_turn", { output_tokens: 5 }), { type: "message_stop" }]
      const result = yield* read(AnthropicMessagesStream.makeReader(turn), wire(events))

      assert.strictEqual(endOf(result), "cut")
      assert.deepStrictEqual(turn.paused?.blocks, [{ type: "text", text: "One " }])
      assert.containSubset(turn.paused?.passes, [{ inputTokens: 10, outputTokens: 5 }])
    }))

  it.effect("adds a turn up with those before it, and does not start anew", () =>
    Effect.gen(function*() {
      const before = { blocks: [{ type: "text", text: "One " }], passes: [] }
      const turn = { ...newTurn(), before }
      const events = [started, ...text(0, "two"), ended("end_turn"), { type: "message_stop" }]
      const result = yield* read(AnthropicMessagesStream.makeReader(turn), wire(events))
      const outcome = outcomeOf(result.events)

      assert.strictEqual(textOf(result.events), "two")
      assert.isFalse(result.events.some((event) => event._tag === "Started"))
      assert.strictEqual(outcome?._tag === "Succeeded" ? outcome.answer.content : "", "One two")
    }))

  it.effect("is whole from its stop reason on, and cut before, wherever it breaks off", () =>
    Effect.gen(function*() {
      const body = wire([started, ...text(0, "Hello"), ended("end_turn"), { type: "message_stop" }])
      const first = body.indexOf("\n\n") + 2
      const whole = body.indexOf("event: message_stop")
      for (let at = first; at < body.length; at++) {
        // The empty line after an event may be missing.
        if (at === whole - 2 || at === whole - 1) continue
        const result = yield* read(AnthropicMessagesStream.makeReader(newTurn()), body.slice(0, at))
        assert.strictEqual(endOf(result), at < whole ? "cut" : "stop", `cut at ${at}`)
      }
    }))

  it.effect("pauses without message_stop", () =>
    Effect.gen(function*() {
      const turn = newTurn()
      const events = [started, ...text(0, "One "), ended("pause_turn")]
      const result = yield* read(AnthropicMessagesStream.makeReader(turn), wire(events))

      assert.strictEqual(endOf(result), "cut")
      assert.strictEqual(turn.paused?.blocks.length, 1)
    }))

  it.effect("is cut when only message_start names a stop reason", () =>
    Effect.gen(function*() {
      const early = { ...started, message: { ...started.message, stop_reason: "end_turn" } }
      const result = yield* read(AnthropicMessagesStream.makeReader(newTurn()), wire([early, ...text(0, "Hel")]))

      assert.strictEqual(endOf(result), "cut")
    }))

  it.effect.each<[string, object]>([
    ["an error", { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }],
    ["a second message", { ...started, message: { ...started.message, id: "msg_2" } }],
    ["a block twice", block(0, { type: "text", text: "" })]
  ])("ends well before %s that comes after the stop reason", ([_title, event]) =>
    Effect.gen(function*() {
      const result = yield* run([started, ...text(0, "Hi"), ended("end_turn"), event])

      assert.strictEqual(endOf(result), "stop")
      assert.strictEqual(textOf(result.events), "Hi")
    }))

  it.effect("emits a tool call whose block has no end, before the end of the answer", () =>
    Effect.gen(function*() {
      const result = yield* run([
        started,
        block(0, { type: "tool_use", id: "toolu_1", name: "add", input: {} }),
        delta(0, { type: "input_json_delta", partial_json: "{\"a\":1}" }),
        ended("tool_use")
      ])
      const outcome = outcomeOf(result.events)

      assert.deepStrictEqual(result.events.filter((event) => event._tag === "ToolCall"), [
        { _tag: "ToolCall", id: "toolu_1", name: "add", arguments: "{\"a\":1}" }
      ])
      assert.strictEqual(result.events.at(-1)?._tag, "Ended")
      assert.containSubset(outcome?._tag === "Succeeded" ? outcome.answer.response : undefined, {
        content: [{ input: { a: 1 } }]
      })
    }))

  it.effect("emits a repeated tool call once", () =>
    Effect.gen(function*() {
      const call = { type: "tool_use", id: "toolu_1", name: "now", input: {} }
      const result = yield* run([started, block(0, call), stop(0), stop(0), block(1, call), stop(1), ended("tool_use")])

      assert.strictEqual(result.events.filter((event) => event._tag === "ToolCall").length, 1)
    }))

  it.effect.each<[string, ReadonlyArray<object>, string]>([
    ["a tool that the server runs", [
      block(0, { type: "server_tool_use", id: "srvtoolu_1", name: "web_search", input: {} }),
      stop(0),
      ...text(1, "Hi"),
      ended("tool_use")
    ], "stop"],
    ["a call beside text that ends its turn", [
      ...text(0, "Hi"),
      block(1, { type: "tool_use", id: "toolu_1", name: "now", input: {} }),
      stop(1),
      ended("end_turn")
    ], "tool-calls"]
  ])("has the finish reason that the caller has to act on: %s", ([_title, events, expected]) =>
    Effect.gen(function*() {
      const result = yield* run([started, ...events])

      assert.strictEqual(endOf(result), expected)
      assert.strictEqual(result.events.some((event) => event._tag === "ToolCall"), expected === "tool-calls")
    }))

  it.effect.each<[string, object, object, object]>([
    ["zeros at the end", { input_tokens: 10, cache_read_input_tokens: 5 }, {
      input_tokens: 0,
      cache_read_input_tokens: 0,
      output_tokens: 7
    }, { inputTokens: 10, cacheReadTokens: 5, outputTokens: 7 }],
    ["the input at the end alone", { input_tokens: 0, output_tokens: 0 }, { input_tokens: 10, output_tokens: 7 }, {
      inputTokens: 10,
      outputTokens: 7
    }],
    ["nothing but zeros", { input_tokens: 0 }, { input_tokens: 0, output_tokens: 0 }, {}]
  ])("counts a stream with %s", ([_title, first, last, expected]) =>
    Effect.gen(function*() {
      const begun = { ...started, message: { ...started.message, usage: first } }
      const { events } = yield* run([begun, ...text(0, "Hi"), ended("end_turn", last)])
      const outcome = outcomeOf(events)
      const usage = outcome?._tag === "Succeeded" ? outcome.answer.usage : undefined

      assert.deepStrictEqual(
        { ...usage },
        Object.keys(expected).length === 0 ? {} : {
          cacheReadTokens: 0,
          cacheWriteTokens: 0,
          reasoningTokens: 0,
          totalTokens: Object.values(expected).reduce((sum: number, count) => sum + Number(count), 0),
          ...expected
        }
      )
    }))

  it.effect.each<[string, ReadonlyArray<object>]>([
    ["text before a message", [...text(0, "Hi"), started, ended("end_turn")]],
    ["a delta without its block", [started, delta(0, { type: "text_delta", text: "Hi" }), ended("end_turn")]],
    ["a block twice", [started, ...text(0, "Hi"), ...text(0, "Hi"), ended("end_turn")]],
    ["a second message in the first one's stream", [
      started,
      ...text(0, "Hi"),
      { ...started, message: { ...started.message, id: "msg_2" } },
      ...text(0, "Hi"),
      ended("end_turn")
    ]],
    ["no stop reason", [started, ...text(0, "Hi")]],
    ["only an end", []]
  ])("is no success with %s", ([_title, events]) =>
    Effect.gen(function*() {
      assert.strictEqual(endOf(yield* run(events)), "!InvalidResponse")
    }))

  it.effect("overlooks that a message starts twice, and the beats of gateways", () =>
    Effect.gen(function*() {
      const body = `event: keepalive\ndata: -\n\n${
        wire([started, started, ...text(0, "Hi"), started, ended("end_turn"), { type: "message_stop" }])
      }`
      const result = yield* read(AnthropicMessagesStream.makeReader(newTurn()), body)

      assert.strictEqual(endOf(result), "stop")
      assert.deepStrictEqual(result.events.map((event) => event._tag), ["Started", "Usage", "Text", "Usage", "Ended"])
    }))

  it.effect.each<[string, object, string]>([
    ["overloaded_error", { type: "error", error: { type: "overloaded_error", message: "Overloaded" } }, "!Overloaded"],
    ["rate_limit_error", { type: "error", error: { type: "rate_limit_error", message: "Slow" } }, "!RateLimited"],
    ["another API's shape", { error: { code: "server_error", message: "Oops" } }, "!ServerError"]
  ])(
    "fails with an error event of %s, Uncertain, after what came before it",
    ([_title, error, expected]) =>
      Effect.gen(function*() {
        const result = yield* run([started, ...text(0, "Hi"), error, ended("end_turn")])

        assert.strictEqual(endOf(result), expected)
        assert.strictEqual(result.error?.evidence, "Uncertain")
        assert.strictEqual(textOf(result.events), "Hi")
      })
  )

  it.effect.each<[string, string, string]>([
    ["HTML", "<html></html>", "!InvalidResponse"],
    ["nothing", "", "!InvalidResponse"],
    ["JSON that is no message", "{\"type\":\"message\"}", "!InvalidResponse"],
    ["an event that is no JSON", "event: message_start\ndata: {\n\n", "!InvalidResponse"],
    ["an error under status 200", wholeError, "!Overloaded"]
  ])("is no success when the body holds %s", ([_title, body, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(endOf(yield* read(AnthropicMessagesStream.makeReader(newTurn()), body)), expected)
    }))

  it.effect("takes the whole answer of a server that does not stream", () =>
    Effect.gen(function*() {
      const content = [{ type: "text", text: "Hi" }, { type: "tool_use", id: "t", name: "add", input: { a: 1 } }]
      const body = JSON.stringify({ ...started.message, content, stop_reason: "tool_use" })
      const { events } = yield* read(AnthropicMessagesStream.makeReader(newTurn()), body)

      assert.deepStrictEqual(events.map((event) => event._tag), ["Started", "Text", "ToolCall", "Ended"])
    }))

  const recordings = recorded()
  it.effect.skipIf(recordings === undefined)(
    "reads recorded streams (needs HOLDFAST_RECORDINGS)",
    () =>
      Effect.gen(function*() {
        const bodies = recordings ?? []
        const spliced = yield* read(AnthropicMessagesStream.makeReader(newTurn()), bodies[0] ?? "")
        const doubled = yield* read(AnthropicMessagesStream.makeReader(newTurn()), bodies[1] ?? "")
        const paused = newTurn()
        const first = yield* read(AnthropicMessagesStream.makeReader(paused), bodies[2] ?? "")
        const last = yield* read(
          AnthropicMessagesStream.makeReader({ ...newTurn(), before: paused.paused ?? AnthropicAnswer.noProgress }),
          bodies[3] ?? ""
        )

        assert.strictEqual(endOf(spliced), "!InvalidResponse")
        assert.strictEqual(endOf(doubled), "stop")
        assert.strictEqual(endOf(first), "cut")
        assert.isAbove(paused.paused?.blocks.length ?? 0, 20)
        const outcome = outcomeOf(last.events)
        assert.strictEqual(outcome?._tag, "Succeeded")
        if (outcome?._tag !== "Succeeded") return
        assert.strictEqual(textOf(first.events) + textOf(last.events), outcome.answer.content)
        assert.strictEqual(outcome.answer.usage?.totalTokens, 404_500 + 943 + 482_529 + 1310)
      })
  )
})

const started = {
  type: "message_start",
  message: {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-opus-5-5",
    content: [],
    stop_reason: null,
    usage: { input_tokens: 10, output_tokens: 1 }
  }
}

function block(index: number, content_block: object) {
  return { type: "content_block_start", index, content_block }
}
function delta(index: number, delta: object) {
  return { type: "content_block_delta", index, delta }
}
function stop(index: number) {
  return { type: "content_block_stop", index }
}

function text(index: number, text: string) {
  return [block(index, { type: "text", text: "" }), delta(index, { type: "text_delta", text }), stop(index)]
}

function ended(stop_reason: string, usage: object = { output_tokens: 20 }) {
  return { type: "message_delta", delta: { stop_reason }, usage }
}

const wholeError = JSON.stringify({ type: "error", error: { type: "overloaded_error", message: "Overloaded" } })

const newTurn = (): AnthropicMessagesStream.Turn => ({
  asked: { provider: "anthropic", model: "claude-opus-5-5" },
  before: AnthropicAnswer.noProgress,
  paused: undefined
})

const run = (events: ReadonlyArray<object>) =>
  read(AnthropicMessagesStream.makeReader(newTurn()), wire([...events, { type: "message_stop" }]))

function recorded(): ReadonlyArray<string> | undefined {
  const folder = process.env.HOLDFAST_RECORDINGS
  if (folder === undefined) return undefined
  const parts = ["spliced-message-start", "duplicate-message-start", "pause-turn-web-search-streaming"]
  return parts.flatMap((part) => {
    const file = Fs.readdirSync(folder).find((name) => name.includes(part)) ?? ""
    const { exchanges } = JSON.parse(Fs.readFileSync(Path.join(folder, file), "utf8")) as {
      exchanges: Array<{ response: { body: string } }>
    }
    return exchanges.map(({ response }) => response.body)
  })
}
