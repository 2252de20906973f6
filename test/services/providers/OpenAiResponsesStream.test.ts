import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { StreamEvent } from "../../../src/services/Provider.ts"
import * as OpenAiResponsesStream from "../../../src/services/providers/OpenAiResponsesStream.ts"
import { recordedStreams } from "./OpenAiRecordings.ts"
import { endOf, outcomeOf, read, textOf, wire } from "./StreamReading.ts"

describe("OpenAiResponsesStream", () => {
  it.effect("tells the events of an answer in order, each with the cursor of its wire event", () =>
    Effect.gen(function*() {
      const { events } = yield* run([
        created,
        { type: "response.queued", response: { id: "resp_1", status: "queued" } },
        { type: "response.in_progress", response: { id: "resp_1", status: "in_progress" } },
        added(0, { type: "reasoning" }),
        { type: "response.reasoning_summary_text.delta", output_index: 0, delta: "Hm" },
        added(1, { type: "message", id: "msg_1" }),
        delta(1, "He"),
        delta(1, ""),
        delta(1, "llo"),
        { type: "response.output_text.done", output_index: 1, text: "Hello" },
        { type: "response.never_heard_of", output_index: 1, delta: "?" },
        completed([message("Hello")])
      ])

      assert.deepStrictEqual(events.map(short), [
        "Started resp_1 @0",
        "Status queued queued @1",
        "Status in_progress running @2",
        "Reasoning Hm @4",
        "Text He @6",
        "Text llo @8",
        "Usage 3 @11",
        "Ended Succeeded @11"
      ])
    }))

  it.effect("leaves commentaries out, also when it is resumed within one", () =>
    Effect.gen(function*() {
      const all = [
        created,
        added(0, { type: "message", phase: "commentary" }),
        delta(0, "Let me see. "),
        // Not seen in the wild: another item while the commentary goes on.
        added(1, { type: "message", phase: "final_answer" }),
        delta(1, "The answer"),
        delta(0, "Almost. "),
        { type: "response.output_item.done", output_index: 0, item: { type: "message", phase: "commentary" } },
        delta(1, " is 4"),
        completed([message("Let me see. Almost. ", "commentary"), message("The answer is 4", "final_answer")])
      ]
      const whole = yield* run(all)
      const texts = whole.events.filter((event) => event._tag === "Text")
      const tail = yield* run(all.slice(5), { after: texts[0]?.cursor, from: 5 })

      assert.strictEqual(textOf(whole.events), "The answer is 4")
      assert.deepStrictEqual(texts.map(({ cursor }) => cursor), ["4 0", "7"])
      assert.strictEqual(textOf(tail.events), " is 4")
      assert.strictEqual(OpenAiResponsesStream.sequenceOf("4 0"), "4")
    }))

  it.effect("emits tool calls at the end, which says whether the server has run them", () =>
    Effect.gen(function*() {
      const call = { type: "function_call", id: "fc_1", call_id: "call_1", name: "add", arguments: "{\"a\":1}" }
      const custom = { type: "custom_tool_call", id: "ct_1", call_id: "call_2", name: "run", input: "ls" }
      const output = [call, custom, { type: "web_search_call", id: "ws_1" }]
      const { events } = yield* run([
        created,
        added(0, { ...call, arguments: "" }),
        { type: "response.function_call_arguments.delta", output_index: 0, delta: "{\"a\":1}" },
        ...output.map((item, index) => ({ type: "response.output_item.done", output_index: index, item })),
        completed(output)
      ])

      assert.deepStrictEqual(events.filter((event) => event._tag === "ToolCall"), [
        { _tag: "ToolCall", id: "call_1", name: "add", arguments: "{\"a\":1}", cursor: "6" },
        { _tag: "ToolCall", id: "call_2", name: "run", arguments: "ls", cursor: "6" }
      ])
      assert.strictEqual(endOf({ events, error: undefined }), "tool-calls")
    }))

  it.effect.each<[string, object, string]>([
    ["completed", {}, "stop"],
    ["incomplete", { incomplete_details: { reason: "max_output_tokens" } }, "[Incomplete]"],
    ["incomplete", { incomplete_details: { reason: "content_filter" } }, "[ContentFiltered]"],
    ["failed", { error: { code: "server_error", message: "Oops" } }, "[JobFailed]"],
    ["cancelled", {}, "[JobCancelled]"],
    ["completed", { output: [] }, "[EmptyContent]"],
    ["completed", { status: "in_progress" }, "!InvalidResponse"],
    ["completed", { status: "dreaming" }, "!InvalidResponse"],
    ["completed", { output: null }, "!InvalidResponse"]
  ])(
    "judges response.%s with %o as a plain answer would be: %s",
    ([status, fields, expected]) =>
      Effect.gen(function*() {
        const response = { id: "resp_1", object: "response", status, output: [message("4")], ...fields }
        const result = yield* run([created, { type: `response.${status}`, response }])

        assert.strictEqual(endOf(result), expected)
      })
  )

  it.effect.each<[string, object, string]>([
    ["of its own", { type: "error", code: "rate_limit_exceeded", message: "Slow down" }, "!RateLimited"],
    ["in a field", { type: "error", error: { code: "server_error", message: "Oops" } }, "!ServerError"],
    [
      "of OpenRouter",
      { type: "response.error", error: { code: "rate_limit_exceeded", message: "Slow" } },
      "!RateLimited"
    ],
    ["without a type", { error: { code: "insufficient_quota", message: "Pay" } }, "!QuotaExceeded"]
  ])(
    "fails with an error %s, Uncertain, after what came before it",
    ([_title, event, expected]) =>
      Effect.gen(function*() {
        const result = yield* run([created, delta(0, "He"), event, completed([message("Hello")])])

        assert.strictEqual(endOf(result), expected)
        assert.strictEqual(textOf(result.events), "He")
        assert.strictEqual(result.error?.evidence, "Uncertain")
      })
  )

  it.effect("is cut without its last event, wherever it breaks off", () =>
    Effect.gen(function*() {
      const text = wire([created, delta(0, "Hello"), completed([message("Hello")])])
      const first = text.indexOf("\n\n") + 2
      const last = text.trimEnd().length
      for (let at = first; at < last; at += 7) {
        assert.strictEqual(endOf(yield* read(reader(), text.slice(0, at))), "cut", `cut at ${at}`)
      }
      for (let at = last; at <= text.length; at++) {
        assert.strictEqual(endOf(yield* read(reader(), text.slice(0, at))), "stop", `cut at ${at}`)
      }
    }))

  it.effect.each<[string, string, string]>([
    ["HTML", "<html><title>Sign in</title></html>", "!InvalidResponse"],
    ["nothing", "", "!InvalidResponse"],
    ["comments only", ": hi\n\n: hi\n\n", "!InvalidResponse"],
    [
      "an error under status 200",
      "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"Pay\"}}",
      "!QuotaExceeded"
    ],
    ["an event that is no JSON", "event: response.created\ndata: {\"type\":\n\n", "!InvalidResponse"],
    ["JSON that is no response", "{}", "!InvalidResponse"]
  ])("is no success when the body holds %s", ([_title, body, expected]) =>
    Effect.gen(function*() {
      for (const isJob of [true, false]) {
        assert.strictEqual(endOf(yield* read(OpenAiResponsesStream.makeReader({ isJob }), body)), expected)
      }
    }))

  it.effect("overlooks the beats of gateways, and servers without sequence numbers", () =>
    Effect.gen(function*() {
      const text = `event: keepalive\ndata: 1\n\n${wire([created, delta(0, "4"), completed([message("4")])])}`
      const { events } = yield* read(reader(), text)

      assert.deepStrictEqual(events.map((event) => event._tag), ["Started", "Text", "Usage", "Ended"])
      assert.isTrue(events.every(({ cursor }) => cursor === undefined))
    }))

  it.effect("takes the whole answer of a server that does not stream, and the word of one that has only begun", () =>
    Effect.gen(function*() {
      const response = { id: "resp_1", object: "response", status: "completed", output: [message("4")] }
      const ended = yield* read(reader(), JSON.stringify(response), { contentType: "application/json" })
      const begun = JSON.stringify({ ...response, status: "queued", output: [] })
      const job = yield* read(OpenAiResponsesStream.makeReader({ isJob: true }), begun)
      const call = yield* read(reader(), begun)

      assert.deepStrictEqual(ended.events.map((event) => event._tag), ["Started", "Text", "Ended"])
      assert.deepStrictEqual(job.events.map(short), ["Started resp_1 @undefined", "Status queued queued @undefined"])
      assert.deepStrictEqual([endOf(job), endOf(call)], ["cut", "!InvalidResponse"])
    }))

  it.effect("takes a resumed stream that holds nothing for over", () =>
    Effect.gen(function*() {
      const resumed = OpenAiResponsesStream.makeReader({ isJob: true, after: "7" })

      assert.strictEqual(endOf(yield* read(resumed, "")), "cut")
      assert.strictEqual(endOf(yield* read(resumed, ": keep-alive\n\n")), "cut")
      assert.strictEqual(endOf(yield* read(resumed, "", { contentType: "text/html" })), "!InvalidResponse")
    }))

  it.effect("tells nothing again where a server answers a resumed stream with the response", () =>
    Effect.gen(function*() {
      const resumed = OpenAiResponsesStream.makeReader({ isJob: true, after: "7" })
      const response = { id: "resp_1", object: "response", status: "completed", output: [message("4")] }
      const json = { contentType: "application/json" }
      const ended = yield* read(resumed, JSON.stringify(response), json)
      const begun = yield* read(resumed, JSON.stringify({ ...response, status: "in_progress", output: [] }), json)

      assert.deepStrictEqual(ended.events.map(({ _tag }) => _tag), ["Ended"])
      assert.deepStrictEqual(begun.events, [])
      assert.strictEqual(endOf(begun), "!InvalidRequest")
    }))

  const recordings = recordedStreams(/\/responses(\/|\?|$)/).concat(
    recordedStreams(undefined).filter(({ file }) => /^failed-/.test(file))
  )
  it.skipIf(recordings.length === 0)("finds recorded streams (needs HOLDFAST_RECORDINGS)", () => {
    assert.isAtLeast(recordings.length, 9)
  })

  it.effect.each(recordings.map(({ body, file, index, url }) => [file, index, url, body] as const))(
    "reads the recorded stream of %s, answer %i",
    ([file, , url, body]) =>
      Effect.gen(function*() {
        const after = /starting_after=(\d+)/.exec(url)?.[1]
        const result = yield* read(OpenAiResponsesStream.makeReader({ isJob: true, after }), body)

        const [, kind = ""] = ends.find(([part]) => file.includes(part)) ?? []
        assert.strictEqual(endOf(result), kind)
        const outcome = outcomeOf(result.events)
        if (outcome === undefined) return
        const content = outcome._tag === "Succeeded"
          ? outcome.answer.content
          : "content" in outcome.verdict.reason && outcome.verdict.reason.content
        assert.strictEqual(textOf(result.events), content)
        assert.strictEqual(result.events.some((event) => event._tag === "Started"), after === undefined)
      })
  )

  it.effect.each(
    recordings.filter(({ file, index }) => /^background-/.test(file) && index === 0)
      .map(({ body, file }) => [file, body] as const)
  )("gives exactly the tail after each cursor of %s", ([_file, body]) =>
    Effect.gen(function*() {
      const frames = body.trimEnd().split("\n\n")
      const { events } = yield* read(OpenAiResponsesStream.makeReader({ isJob: true }), body)
      const cursors = [...new Set(events.map(({ cursor }) => cursor))].filter((cursor) => cursor !== undefined)
      for (const after of cursors.filter((_, index) => index % Math.ceil(cursors.length / 40) === 0)) {
        const tail = frames.slice(Number(after) + 1).map((frame) => `${frame}\n\n`).join("")
        const resumed = yield* read(OpenAiResponsesStream.makeReader({ isJob: true, after }), tail)
        const rest = events.slice(events.findLastIndex(({ cursor }) => cursor === after) + 1)
        assert.deepStrictEqual(resumed.events, rest, `after ${after}`)
      }
    }))
})

/** Part of the file's name, and how the stream ends. */
const ends: ReadonlyArray<readonly [string, string]> = [
  ["azure-responses", "stop"],
  ["background-", "stop"],
  ["deepseek-responses", "stop"],
  ["failed--prism", "!ServerError"],
  ["failed--vercel-ai", "!QuotaExceeded"],
  ["incomplete--dd-trace-py", "[Incomplete]"]
]

const created = {
  type: "response.created",
  response: { id: "resp_1", object: "response", status: "in_progress", output: [] }
}

const added = (index: number, item: object) => ({ type: "response.output_item.added", output_index: index, item })

const delta = (index: number, delta: string) => ({
  type: "response.output_text.delta",
  output_index: index,
  content_index: 0,
  delta
})

const message = (text: string, phase?: string) => ({
  type: "message",
  role: "assistant",
  ...(phase === undefined ? {} : { phase }),
  content: [{ type: "output_text", text }]
})

const completed = (output: ReadonlyArray<object>) => ({
  type: "response.completed",
  response: {
    id: "resp_1",
    object: "response",
    status: "completed",
    output,
    usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 }
  }
})

const reader = () => OpenAiResponsesStream.makeReader({ isJob: false })

const run = (
  events: ReadonlyArray<object>,
  options: { readonly after?: string | undefined; readonly from?: number } = {}
) =>
  read(
    OpenAiResponsesStream.makeReader({ isJob: true, after: options.after }),
    wire(events.map((event, index) => ({ ...event, sequence_number: index + (options.from ?? 0) })))
  )

const short = (event: StreamEvent): string => {
  const words = event._tag === "Started"
    ? [event.responseId]
    : event._tag === "Status"
    ? [event.status, event.phase]
    : event._tag === "Usage"
    ? [event.usage.totalTokens]
    : event._tag === "Ended"
    ? [event.outcome._tag]
    : event._tag === "ToolCall"
    ? [event.name]
    : event._tag === "Alive"
    ? []
    : [event.delta]
  return `${event._tag} ${words.join(" ")} @${event.cursor}`
}
