import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import type { StreamEvent } from "../../../src/services/Provider.ts"
import * as ChatCompletionsStream from "../../../src/services/providers/ChatCompletionsStream.ts"
import { endOf, outcomeOf, type Read, read, textOf, wire } from "./StreamReading.ts"

describe("chunks with the whole message", () => {
  it.effect.each<[string, ReadonlyArray<object>]>([
    ["so far, beside the deltas (Perplexity)", [
      choice({ delta: { content: "Hel" }, message: { role: "assistant", content: "Hel" } }),
      choice({ delta: { content: "lo" }, message: { role: "assistant", content: "Hello" } }),
      choice({ delta: { content: "" }, message: { role: "assistant", content: "Hello" }, finish_reason: "stop" })
    ]],
    ["of the chunk, beside the deltas (Writer)", [
      choice({ delta: { content: null }, message: { content: null } }),
      choice({ delta: { content: "Hel" }, message: { content: "Hel" } }),
      choice({ delta: { content: "lo" }, message: { content: "lo" } }),
      choice({ delta: { content: null }, message: { content: null }, finish_reason: "stop" })
    ]],
    ["so far, without deltas", [
      choice({ message: { role: "assistant", content: "H" } }),
      choice({ message: { role: "assistant", content: "Hel" } }),
      choice({ message: { role: "assistant", content: "Hel" } }),
      choice({ message: { role: "assistant", content: "Hello" }, finish_reason: "stop" })
    ]],
    ["so far, beside deltas that are empty", [
      choice({ delta: { role: "assistant", content: "" }, message: { content: "Hel" } }),
      choice({ delta: {}, message: { content: "Hello" } }),
      choice({ delta: { content: null }, message: null, finish_reason: "stop" })
    ]],
    ["of the chunk, without deltas", [
      choice({ message: { content: "Hel" } }),
      choice({ message: { content: "lo" } }),
      choice({ message: { content: "" }, finish_reason: "stop" })
    ]],
    ["in the last chunk only", [
      choice({ delta: { role: "assistant" } }),
      choice({ delta: {}, message: { content: "Hello" }, finish_reason: "stop" })
    ]],
    ["in a completion after the deltas", [
      choice({ delta: { content: "Hel" } }),
      choice({ delta: { content: "lo" } }),
      { ...choice({ message: { content: "Hello" }, finish_reason: "stop" }), object: "chat.completion" }
    ]],
    ["in a completion and nothing else", [
      { ...choice({ message: { content: "Hello" }, finish_reason: "stop" }), object: "chat.completion" }
    ]],
    ["of several choices", [
      choice({ index: 1, message: { content: "Bye" } }),
      choice({ index: 0, delta: { content: "Hello" }, message: { content: "Hello" } }),
      choice({ index: 1, message: { content: "Bye bye" }, finish_reason: "stop" }),
      choice({ index: 0, delta: {}, finish_reason: "stop" })
    ]]
  ])("do not multiply the text: %s", ([_title, chunks]) =>
    Effect.gen(function*() {
      const result = yield* run(chunks)

      assert.strictEqual(textOf(result.events), "Hello")
      assert.strictEqual(contentOf(result), "Hello")
      assert.strictEqual(messageOf(result).content, "Hello")
    }))

  it.effect("give what no delta has: tool calls, reasoning, a refusal", () =>
    Effect.gen(function*() {
      const call = { index: 0, id: "a", type: "function", function: { name: "add", arguments: "{}" } }
      const called = yield* run([
        choice({ delta: { content: "Let me see" }, message: { content: "Let me see" } }),
        choice({ message: { reasoning: "Hm", content: "Let me see", tool_calls: [call] } }),
        choice({ message: { reasoning: "Hm", content: "Let me see", tool_calls: [call] }, finish_reason: "tool_calls" })
      ])
      const refused = yield* run([choice({ message: { content: null, refusal: "No" }, finish_reason: "stop" })])

      assert.deepStrictEqual(called.events.map((event) => event._tag), [
        "Started",
        "Text",
        "Reasoning",
        "ToolCall",
        "Ended"
      ])
      assert.strictEqual(endOf(called), "tool-calls")
      assert.strictEqual(textOf(refused.events, "Refusal"), "No")
      assert.strictEqual(endOf(refused), "[Refusal]")
    }))

  it.effect("lend no field to an answer by way of its prototype", () =>
    Effect.gen(function*() {
      const evil =
        `{"choices":[{"index":0,"finish_reason":null,"__proto__":{"finish_reason":"stop","native_finish_reason":"error"},
        "message":{"content":"Hel","__proto__":{"refusal":"No"}}}]}`
      const events = `data: ${evil.replaceAll("\n", "")}\n\n${
        wire([choice({ delta: { content: "Hello" } }), finish("stop")])
      }`

      assert.strictEqual(endOf(yield* read(ChatCompletionsStream.makeReader, events)), "stop")
    }))

  it.effect("do not repeat the tool calls of the deltas", () =>
    Effect.gen(function*() {
      const call = { index: 0, id: "a", type: "function", function: { name: "add", arguments: "{}" } }
      const result = yield* run([
        choice({ delta: { tool_calls: [call] }, message: { tool_calls: [call] } }),
        choice({ delta: {}, message: { tool_calls: [call] }, finish_reason: "tool_calls" })
      ])

      assert.lengthOf(result.events.filter((event) => event._tag === "ToolCall"), 1)
    }))
})

describe("a body that ends before [DONE]", () => {
  const usage = { ...choice(), choices: [], usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 } }
  const call = { index: 0, id: "a", type: "function", function: { name: "add", arguments: "{}" } }

  it.each<[string, ReadonlyArray<object>, string, number | undefined]>([
    ["stop and the usage", [text("Hello"), finish("stop"), usage], "stop", 5],
    ["stop, before the usage", [text("Hello"), finish("stop")], "stop", undefined],
    [
      "stop in the chunk of the last text",
      [text("Hel"), choice({ delta: { content: "lo" }, finish_reason: "stop" })],
      "stop",
      undefined
    ],
    ["tool_calls", [choice({ delta: { tool_calls: [call] } }), finish("tool_calls")], "tool-calls", undefined],
    ["a length limit", [text("Hello"), finish("length")], "[Incomplete]", undefined],
    ["a content filter", [text("Hello"), finish("content_filter")], "[ContentFiltered]", undefined],
    ["finish_details", [text("Hello"), choice({ finish_details: { type: "stop" } })], "stop", undefined],
    [
      "stop of the first choice, while the second goes on",
      [
        choice({ index: 1, delta: { content: "By" } }),
        text("Hello"),
        finish("stop")
      ],
      "stop",
      undefined
    ],
    [
      "stop, and then citations",
      [text("Hello"), finish("stop"), choice({ delta: { annotations: [{}] } })],
      "stop",
      undefined
    ],
    [
      "stop in every chunk",
      [
        choice({ delta: { content: "Hel" }, finish_reason: "stop" }),
        choice({ delta: { content: "lo" }, finish_reason: "stop" })
      ],
      "cut",
      undefined
    ],
    ["no finish reason", [text("Hello")], "cut", undefined],
    [
      "the texts null and none in its place",
      [
        choice({ delta: { content: "Hel" }, finish_reason: "null" }),
        choice({ delta: { content: "lo" }, finish_reason: "None" })
      ],
      "cut",
      undefined
    ],
    ["no finish reason, but the usage", [text("Hello"), usage], "cut", undefined],
    ["no field for a finish reason", [{ choices: [{ delta: { content: "Hello" } }] }], "cut", undefined],
    [
      "stop of the second choice only",
      [
        text("Hel"),
        choice({ index: 1, delta: { content: "Bye" }, finish_reason: "stop" })
      ],
      "cut",
      undefined
    ],
    ["nothing", [], "cut", undefined],
    ["the finish reason error", [text("Hello"), finish("error")], "!ServerError", undefined]
  ])("after %s", (_title, chunks, end, totalTokens) => {
    const result = cutAfter(chunks)

    assert.strictEqual(endOf(result), end)
    if (end !== "stop") return
    assert.strictEqual(contentOf(result), "Hello")
    const outcome = outcomeOf(result.events)
    assert.strictEqual(outcome?._tag === "Succeeded" ? outcome.answer.usage?.totalTokens : outcome, totalTokens)
  })
})

describe("[DONE] without a finish reason that ends the answer", () => {
  const usage = { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
  const counted = { ...choice(), choices: [], usage }
  const call = { index: 0, id: "a", type: "function", function: { name: "add", arguments: "{}" } }

  it.effect.each<[string, ReadonlyArray<object>, string]>([
    ["the usage alone", [text("Hello"), counted], "stop"],
    ["the usage, after tool calls", [choice({ delta: { tool_calls: [call] } }), counted], "tool-calls"],
    ["the usage, and then a piece without content", [
      choice({ delta: { content: null, audio: { id: "a", transcript: "Hello" } } }),
      choice({ delta: { audio: { data: "AAAA" } } }),
      { ...counted, choices: undefined },
      { choices: [{ index: 0, delta: { audio: { expires_at: 5 } } }], usage: null }
    ], "stop"],
    ["the usage with the last text", [text("Hel"), { ...text("lo"), usage }], "stop"],
    ["the usage in the last choice", [text("Hello"), choice({ delta: {}, usage })], "stop"],
    ["stop in every chunk", [
      choice({ delta: { content: "Hel" }, finish_reason: "stop" }),
      choice({ delta: { content: "lo" }, finish_reason: "stop" })
    ], "stop"],
    ["the usage in Groq's place", [text("Hello"), { choices: [], x_groq: { usage } }], "stop"],
    ["no usage, where no chunk has the field", [{ choices: [{ index: 0, delta: { content: "Hello" } }] }], "stop"],
    ["no usage", [text("Hello")], "!InvalidResponse"],
    [
      "a usage of zeros",
      [text("Hello"), { ...counted, usage: { prompt_tokens: 0, completion_tokens: 0 } }],
      "!InvalidResponse"
    ],
    ["a usage before the text", [{ ...counted, choices: [] }, text("Hello")], "!InvalidResponse"],
    [
      "a usage that is counted in every chunk",
      [{ ...text("Hel"), usage }, { ...text("lo"), usage }],
      "!InvalidResponse"
    ],
    ["the usage, but no answer", [counted], "!InvalidResponse"]
  ])("after %s", ([_title, chunks, end]) =>
    Effect.gen(function*() {
      const result = yield* run(chunks)

      assert.strictEqual(endOf(result), end)
      if (end === "stop") assert.strictEqual(contentOf(result), "Hello")
    }))
})

describe("an error in a chunk", () => {
  it.effect.each<[string, object, string]>([
    ["as a text", choice({ error: "Upstream connection lost" }), "!ServerError"],
    [
      "beside the finish reason error",
      choice({ error: { code: 429, message: "Slow" }, finish_reason: "error" }),
      "!RateLimited"
    ],
    ["beside the finish reason stop", { ...finish("stop"), error: { code: 502, message: "Lost" } }, "!ServerError"],
    ["of a content filter", { error: { code: "content_filter", message: "No" } }, "!ContentFiltered"]
  ])("fails an answer that is not complete: %s", ([_title, failed, end]) =>
    Effect.gen(function*() {
      const result = yield* run([text("Hel"), failed])

      assert.strictEqual(endOf(result), end)
      assert.strictEqual(textOf(result.events), "Hel")
    }))

  it.effect("takes a complete answer back when it is of a content filter", () =>
    Effect.gen(function*() {
      const failed = { error: { code: "content_filter", message: "No" } }

      assert.strictEqual(endOf(yield* run([text("Hello"), finish("stop"), failed])), "!ContentFiltered")
    }))

  it.effect("explains an answer that is complete and empty", () =>
    Effect.gen(function*() {
      const failed = { error: { code: 502, message: "Lost" } }

      assert.strictEqual(endOf(yield* run([finish("stop"), failed])), "!ServerError")
      assert.strictEqual(endOf(yield* run([finish("stop")])), "[EmptyContent]")
    }))

  it.effect("of another choice leaves the first one alone", () =>
    Effect.gen(function*() {
      const failed = choice({ index: 1, error: { code: 502, message: "Lost" } })

      assert.strictEqual(endOf(yield* run([text("Hel"), failed, text("lo"), finish("stop")])), "stop")
    }))
})

const choice = (fields: object = {}) => ({
  id: "chatcmpl-1",
  object: "chat.completion.chunk",
  model: "m",
  choices: [{ index: 0, finish_reason: null, ...fields }]
})

const text = (content: string) => choice({ delta: { content } })

const finish = (finish_reason: string) => choice({ delta: {}, finish_reason })

const run = (chunks: ReadonlyArray<object>) => read(ChatCompletionsStream.makeReader, `${wire(chunks)}data: [DONE]\n\n`)

/** Reads chunks and then the end of a body that fails: the reader decides whether that matters. */
const cutAfter = (chunks: ReadonlyArray<object>): Read => {
  const events: Array<StreamEvent> = []
  const reader = ChatCompletionsStream.makeReader({
    response: new Response(""),
    contextNow: () => ({ provider: "acme", operation: "call", model: "m", now: 0 })
  })
  for (const chunk of chunks) assert.strictEqual(reader.take({ name: "", data: JSON.stringify(chunk) }, events), "More")
  const step = reader.finish(events)
  assert.strictEqual(step === "Over", outcomeOf(events) !== undefined)
  return { events, error: typeof step === "string" ? undefined : step }
}

const contentOf = ({ events }: Read) => {
  const outcome = outcomeOf(events)
  return outcome?._tag === "Succeeded" ? outcome.answer.content : outcome
}

const messageOf = ({ events }: Read): { readonly content?: unknown } => {
  const outcome = outcomeOf(events)
  if (outcome?._tag !== "Succeeded") return {}
  const { choices } = outcome.answer.response as { readonly choices: ReadonlyArray<{ readonly message: object }> }
  return choices[0]?.message ?? {}
}
