import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as ChatCompletionsStream from "../../../src/services/providers/ChatCompletionsStream.ts"
import { recordedStreams } from "./OpenAiRecordings.ts"
import { endOf, outcomeOf, read, textOf, wire } from "./StreamReading.ts"

describe("ChatCompletionsStream.toStreamed", () => {
  it("asks for the usage where the host documents that, and leaves the request's own word", () => {
    const toStreamed = (provider: string, payload = {}) => ChatCompletionsStream.toStreamed(payload, provider)

    assert.deepStrictEqual(toStreamed("openai"), { stream: true, stream_options: { include_usage: true } })
    assert.deepStrictEqual(toStreamed("mistral"), { stream: true })
    assert.deepStrictEqual(toStreamed("acme"), { stream: true })
    assert.deepStrictEqual(toStreamed("acme", { stream_options: { include_usage: true } }), {
      stream: true,
      stream_options: { include_usage: true }
    })
  })
})

describe("ChatCompletionsStream", () => {
  it.effect("tells the events of an answer, and puts the chunks together to a plain body", () =>
    Effect.gen(function*() {
      const { events } = yield* run([
        // Azure's first chunk.
        { id: "", model: "", object: "", choices: [], prompt_filter_results: [{ prompt_index: 0 }] },
        chunk({ role: "assistant", content: "", refusal: null }),
        chunk({ reasoning_content: "Hm", reasoning: "Hm" }),
        chunk({ content: "He" }),
        chunk({ content: "llo" }),
        chunk({}, "stop"),
        { ...chunk(), choices: [], usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } }
      ])

      assert.deepStrictEqual(events.map((event) => event._tag), [
        "Started",
        "Reasoning",
        "Text",
        "Text",
        "Usage",
        "Ended"
      ])
      const outcome = outcomeOf(events)
      assert.strictEqual(outcome?._tag, "Succeeded")
      if (outcome?._tag !== "Succeeded") return
      const { content, model, response, responseId, usage } = outcome.answer
      assert.deepStrictEqual([content, model, responseId, usage?.totalTokens], ["Hello", "gpt-4o", "chatcmpl-1", 3])
      assert.deepStrictEqual(response, {
        id: "chatcmpl-1",
        model: "gpt-4o",
        object: "chat.completion",
        prompt_filter_results: [{ prompt_index: 0 }],
        choices: [{
          index: 0,
          logprobs: null,
          finish_reason: "stop",
          message: {
            role: "assistant",
            content: "Hello",
            refusal: null,
            reasoning_content: "Hm",
            reasoning: "Hm"
          }
        }],
        usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
      })
    }))

  it.effect.each<[string, ReadonlyArray<unknown>, string, string]>([
    [
      "parts and then text",
      [[{ type: "thinking", thinking: [{ type: "text", text: "Hm" }] }, {
        type: "text",
        text: "A"
      }], "B"],
      "AB",
      "Hm"
    ],
    ["text and then parts", ["A", ["B", { type: "text", text: "C" }]], "ABC", ""],
    ["values of other types between texts", ["A", 5, null, { x: 1 }, "B"], "AB", ""]
  ])(
    "reads content that is %s as the plain answer would be",
    ([_title, contents, text, reasoning]) =>
      Effect.gen(function*() {
        const { events } = yield* run([...contents.map((content) => chunk({ content })), chunk({}, "stop")])
        const outcome = outcomeOf(events)

        assert.strictEqual(textOf(events), text)
        assert.strictEqual(textOf(events, "Reasoning"), reasoning)
        assert.strictEqual(outcome?._tag === "Succeeded" ? outcome.answer.content : outcome, text)
      })
  )

  it.effect.each<[string, ReadonlyArray<object>, ReadonlyArray<string>]>([
    ["alone", [
      { content: null, audio: { id: "a", transcript: "Hel" } },
      { audio: { transcript: "lo" } },
      { audio: { id: "a", data: "AAAA" } },
      { audio: { data: "BBBB" } },
      { audio: { expires_at: 5 } }
    ], ["Hel", "lo"]],
    ["after text", [{ content: "Hello" }, { audio: { id: "a", transcript: "Hello" } }], ["Hello"]],
    ["before text", [{ audio: { id: "a", transcript: "Hel" } }, { content: "lo" }], ["Hel", "lo"]]
  ])(
    "streams an audio's transcript as text while there is no other: %s",
    ([_title, deltas, texts]) =>
      Effect.gen(function*() {
        const { events } = yield* run([...deltas.map((delta) => chunk(delta)), chunk({}, "stop")])
        const outcome = outcomeOf(events)

        assert.deepStrictEqual(events.flatMap((event) => event._tag === "Text" ? [event.delta] : []), [...texts])
        assert.strictEqual(outcome?._tag === "Succeeded" ? outcome.answer.content : outcome, texts.join(""))
        if (_title !== "alone") return
        assert.deepNestedInclude(outcome, {
          "answer.response.choices[0].message.audio": { id: "a", transcript: "Hello", data: "AAAABBBB", expires_at: 5 }
        })
      })
  )

  it.effect.each<[string, string]>([
    ["stop", "stop"],
    ["length", "[Incomplete]"],
    ["content_filter", "[ContentFiltered]"],
    ["insufficient_system_resource", "!Overloaded"]
  ])("judges the finish reason %s as in a plain answer: %s", ([finish, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(endOf(yield* run([chunk({ content: "4" }), chunk({}, finish)])), expected)
    }))

  it.effect("keeps the finish reason and the usage that came first, whatever says nothing later", () =>
    Effect.gen(function*() {
      const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
      const result = yield* run([
        chunk({ content: "4" }),
        { ...chunk({}, "stop"), x_groq: { usage } },
        { ...chunk({ content: "" }), usage: null }
      ])

      assert.strictEqual(endOf(result), "stop")
      assert.isTrue(result.events.some((event) => event._tag === "Usage" && event.usage.totalTokens === 3))
    }))

  it.effect("ends at the end of the stream when there was a finish reason, and is cut without one", () =>
    Effect.gen(function*() {
      const text = wire([chunk({ content: "Hel" }), chunk({ content: "lo" }), chunk({}, "stop")])
      const first = text.indexOf("\n\n") + 2
      for (let at = first; at <= text.length; at += 5) {
        const result = yield* read(ChatCompletionsStream.makeReader, text.slice(0, at))
        assert.strictEqual(endOf(result), "cut", `cut at ${at}`)
      }
      assert.strictEqual(endOf(yield* read(ChatCompletionsStream.makeReader, text)), "stop")
    }))

  it.effect.each<[string, string, string]>([
    [
      "[DONE] after a finish reason that is null",
      `${wire([chunk({ content: "4" })])}data: [DONE]\n\n`,
      "!InvalidResponse"
    ],
    ["[DONE] alone", "data: [DONE]\n\n", "!InvalidResponse"],
    ["HTML", "<html><title>Sign in</title></html>", "!InvalidResponse"],
    ["nothing", "", "!InvalidResponse"],
    ["an event that is no JSON", "data: {\"id\":\n\n", "!InvalidResponse"],
    [
      "an error under status 200",
      "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"Pay\"}}",
      "!QuotaExceeded"
    ],
    [
      "Gemini's errors in an array",
      "[{\"error\":{\"code\":429,\"message\":\"Slow\",\"status\":\"RESOURCE_EXHAUSTED\"}}]",
      "!RateLimited"
    ]
  ])("is no success when the body holds %s", ([_title, body, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(endOf(yield* read(ChatCompletionsStream.makeReader, body)), expected)
    }))

  it.effect.each<[string, string]>([
    ["a chunk", wire([{ ...chunk({}), error: { code: 429, message: "Slow down" } }])],
    ["a chunk without choices", wire([{ error: { type: "rate_limit_error", message: "Slow down" } }])],
    ["a choice", wire([{ choices: [{ index: 0, delta: {}, error: { code: 429, message: "Slow down" } }] }])],
    ["an error event", "event: error\ndata: {\"message\":\"Slow down\",\"code\":\"rate_limit_exceeded\"}\n\n"]
  ])("fails with the error in %s, Uncertain, after what came before it", ([_title, error]) =>
    Effect.gen(function*() {
      const text = wire([chunk({ content: "He" })]) + error + wire([chunk({}, "stop")])
      const result = yield* read(ChatCompletionsStream.makeReader, text)

      assert.strictEqual(endOf(result), "!RateLimited")
      assert.strictEqual(result.error?.evidence, "Uncertain")
      assert.strictEqual(textOf(result.events), "He")
    }))

  it.effect.each<[string, string]>([
    ["length", "[Incomplete]"],
    ["content_filter", "[ContentFiltered]"],
    ["stop", "stop"],
    ["error", "!ServerError"],
    ["tired", "!ServerError"]
  ])(
    "lets an error after the finish reason %s come to %s: a complete answer stays",
    ([finish, expected]) =>
      Effect.gen(function*() {
        const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
        const failed = { ...chunk(), error: { code: 502, message: "Upstream failed" }, usage }
        const result = yield* run([chunk({ content: "He" }), chunk({}, finish), failed])

        assert.strictEqual(endOf(result), expected)
        if (finish !== "length") return
        const outcome = outcomeOf(result.events)
        assert.deepNestedInclude(outcome, {
          "verdict.reason.content": "He",
          "verdict.reason.limit": "length",
          "verdict.reason.usage.totalTokens": 3
        })
      })
  )

  it.effect("takes the whole answer of a server that does not stream", () =>
    Effect.gen(function*() {
      const body = {
        id: "chatcmpl-1",
        choices: [{ index: 0, message: { role: "assistant", content: "4" }, finish_reason: "stop" }],
        usage: { prompt_tokens: 1, completion_tokens: 2 }
      }
      const { events } = yield* read(ChatCompletionsStream.makeReader, JSON.stringify(body, null, 2))

      assert.deepStrictEqual(events.map((event) => event._tag), ["Started", "Text", "Usage", "Ended"])
    }))

  it.effect("lets no chunk change the prototype of objects", () =>
    Effect.gen(function*() {
      const evil =
        "{\"choices\":[{\"index\":0,\"delta\":{\"content\":\"4\",\"__proto__\":{\"a\":1},\"x\":{\"__proto__\":{\"a\":1}}}}]}"
      const text = `data: ${evil}\n\ndata: ${evil}\n\n${wire([chunk({}, "stop")])}`
      const result = yield* read(ChatCompletionsStream.makeReader, text)

      assert.strictEqual(endOf(result), "stop")
      assert.notProperty({}, "a")
    }))

  it.effect("takes time linear in the length of the answer", () =>
    Effect.gen(function*() {
      const text = wire(Array.from({ length: 20_000 }, () => chunk({ content: "0123456789" })))
      const result = yield* read(ChatCompletionsStream.makeReader, text + wire([chunk({}, "stop")]), { size: 65_536 })

      assert.lengthOf(textOf(result.events), 200_000)
    }), 5000)

  const recordings = recordedStreams(/\/chat\/completions/)
  it.skipIf(recordings.length === 0)("finds recorded streams (needs HOLDFAST_RECORDINGS)", () => {
    assert.isAtLeast(recordings.length, 8)
  })

  it.effect.each(recordings.map(({ body, file, index }) => [file, index, body] as const))(
    "reads the recorded stream of %s, answer %i",
    ([file, index, body]) =>
      Effect.gen(function*() {
        const result = yield* read(ChatCompletionsStream.makeReader, body)

        const [, , kind = ""] = ends.find(([part, at]) => file.includes(part) && at === index) ?? []
        assert.strictEqual(endOf(result), kind)
        const outcome = outcomeOf(result.events)
        if (outcome?._tag !== "Succeeded") return
        assert.strictEqual(textOf(result.events), outcome.answer.content)
        assert.isAbove(outcome.answer.usage?.totalTokens ?? 0, 0)
      })
  )
})

/** Part of the file's name, the exchange, and how the stream ends. */
const ends: ReadonlyArray<readonly [string, number, string]> = [
  ["chat-stream-audio-out", 0, "stop"],
  ["chat-stream-openrouter-advisor", 0, "stop"],
  ["tool-use-failed-error-streaming-with-text", 0, "!InvalidRequest"],
  ["tool-use-failed-error-streaming-with-text", 1, "tool-calls"],
  ["tool-use-failed-error-streaming.json", 0, "!InvalidRequest"],
  ["tool-use-failed-error-streaming.json", 1, "tool-calls"],
  ["tool-use-failed-error-streaming.json", 2, "stop"],
  ["openrouter-stream-error", 0, "[Incomplete]"],
  ["refusal-openai-gpt-4o-completions-async-stream", 0, "[Refusal]"],
  ["refusal-openai-gpt-4o-completions-stream", 0, "[Refusal]"]
]

const chunk = (delta: object = {}, finish: string | null = null) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  model: "gpt-4o",
  choices: [{ index: 0, delta, logprobs: null, finish_reason: finish }],
  obfuscation: "abc"
})

const run = (chunks: ReadonlyArray<object>) => read(ChatCompletionsStream.makeReader, `${wire(chunks)}data: [DONE]\n\n`)
