import { assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import type { Outcome } from "../../../src/services/Provider.ts"
import * as ChatCompletions from "../../../src/services/providers/ChatCompletions.ts"
import * as ChatCompletionsStream from "../../../src/services/providers/ChatCompletionsStream.ts"
import { recordedReplies, recordedStreams } from "./OpenAiRecordings.ts"
import { endOf, outcomeOf, type Read, read, textOf, wire } from "./StreamReading.ts"

describe("a completion", () => {
  it.effect.each(Object.entries(bodies))(
    "comes out the same, plain and streamed in any way: %s",
    ([_title, body]) => sameInEveryWay(body)
  )
})

describe.skipIf(process.env.HOLDFAST_RECORDINGS === undefined)(
  "recorded completions (needs HOLDFAST_RECORDINGS)",
  () => {
    const plainBodies = recordedReplies(/\/chat(?:\/completions)?(?:\?.*)?$/).map(({ body, file, index }) =>
      [file, index, body as Body] as const
    )
    const streams = [...recordedStreams(/\/chat(?:\/completions)?(?:\?.*)?$/), ...recordedStreams(undefined)]
      .filter(({ body }) => /"object": ?"chat\.completion/.test(body))
      .map(({ body, file, index }) => [file, index, body] as const)

    it("are found", () => {
      assert.isAtLeast(plainBodies.length, 15)
      assert.isAtLeast(streams.length, 12)
    })

    it.effect.each(plainBodies)(
      "come out the same in every way: %s, answer %i",
      ([_file, _index, body]) => sameInEveryWay(body)
    )

    it.effect.each(streams)("settle what was streamed: %s, answer %i", ([file, index, body]) =>
      Effect.gen(function*() {
        const streamed = yield* stream(body)
        const [, , end, text] = streamEnds.find(([part, at]) => file.includes(part) && at === index) ?? []

        assert.strictEqual(endOf(streamed), end)
        if (text !== undefined) assert.strictEqual(textOf(streamed.events), text)
        const outcome = outcomeOf(streamed.events)
        if (outcome?._tag !== "Succeeded") return
        assert.strictEqual(outcome.answer.content, textOf(streamed.events))
        const { response } = outcome.answer
        assert.deepStrictEqual(summaryOf(yield* stream(JSON.stringify(response))), summaryOf(streamed))
        yield* sameInEveryWay(response as Body)
      }))
  }
)

interface Choice {
  readonly index?: number
  readonly finish_reason?: unknown
  readonly message?: Readonly<Record<string, unknown>>
}

interface Body {
  readonly choices?: ReadonlyArray<Choice>
  readonly usage?: unknown
  readonly error?: unknown
}

const completion = (message: object, choice: object = {}): Body => ({
  ...{ id: "chatcmpl-1", object: "chat.completion", created: 1, model: "m" },
  choices: [{ index: 0, message: { role: "assistant", ...message }, ...{ finish_reason: "stop", ...choice } }],
  usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
})

const call = (id: string, name: string, args: string) => ({ id, type: "function", function: { name, arguments: args } })

const bodies: Readonly<Record<string, Body>> = {
  "a text": completion({ content: "Hello, world" }),
  "a text with reasoning": completion({ content: "4", reasoning_content: "2 + 2" }),
  "parts": completion({
    content: [{ type: "thinking", thinking: [{ type: "text", text: "Hm" }] }, { type: "text", text: "4" }]
  }),
  "a refusal": completion({ content: null, refusal: "I cannot" }),
  "an audio": completion({ content: null, audio: { id: "a", transcript: "Hello", data: "AAAA" } }),
  "a text and an audio": completion({ content: "Hi", audio: { id: "a", transcript: "Hello", data: "AAAA" } }),
  "tool calls": completion({
    content: null,
    tool_calls: [call("a", "add", "{\"a\":1}"), call("b", "add", "{\"a\":2}"), call("c", "now", "{}")]
  }, { finish_reason: "tool_calls" }),
  "tool calls after text": completion({ content: "Let me see", tool_calls: [call("a", "add", "{}")] }),
  "tool calls without ids": completion({
    content: "",
    tool_calls: [call("", "add", "{\"a\":1}"), call("", "add", "{\"a\":2}")]
  }, { finish_reason: "tool_calls" }),
  "a tool call that came twice": completion({
    content: null,
    tool_calls: [call("a", "add", "{\"a\":1}"), call("a", "add", "{\"a\":1}")]
  }),
  "a function call of 2023": completion({ content: null, function_call: { name: "add", arguments: "{}" } }),
  "a length limit": completion({ content: "Hel" }, { finish_reason: "length" }),
  "a content filter": completion({ content: "Hel" }, { finish_reason: "content_filter" }),
  "an upstream that died": completion({ content: "Hel" }, { finish_reason: "error" }),
  "an error in the choice": completion({ content: "Hel" }, { error: { code: 429, message: "Slow" } }),
  "no text": completion({ content: "" }),
  "several choices": {
    ...completion({}),
    choices: [
      { index: 0, message: { role: "assistant", content: "Hello" }, ...{ finish_reason: "stop" } },
      { index: 1, message: { role: "assistant", content: "Bye" }, ...{ finish_reason: "length" } }
    ]
  }
}

/** How the recorded streams end: part of the file's name, the exchange, the end, the text. */
const streamEnds: ReadonlyArray<readonly [string, number, string, string?]> = [
  ["chat-stream-audio-out", 0, "stop", "Hello"],
  [
    "chat-stream-openrouter-advisor",
    0,
    "stop",
    "I recommend naming your Python retry library `resilix`, as it conveys resilience and is modern and brandable."
  ],
  [
    "mass-chat-stream-writer",
    0,
    "stop",
    "Sure, here's a light-hearted joke about OpenTelemetry:\n\nWhy did the developer go broke? Because he used " +
    "OpenTelemetry and couldn't keep his expenses under **trace**!"
  ],
  [
    "mass-chat-stream-perplexity",
    0,
    "stop",
    "I am Qwen, a large-scale language model developed by Alibaba Cloud's Tongyi Lab. I am not a human but an AI " +
    "assistant designed to provide help and support in areas such as technology, culture, and life. I can answer " +
    "questions, create text such as stories, official documents, emails, scripts, logical reasoning, programming, and " +
    "more, as well as express opinions and play games. I am here to assist you anytime. Is there anything I can help " +
    "you with?"
  ],
  ["tool-use-failed-error-streaming-with-text", 0, "!InvalidRequest"],
  ["tool-use-failed-error-streaming-with-text", 1, "tool-calls"],
  ["tool-use-failed-error-streaming.json", 0, "!InvalidRequest"],
  ["tool-use-failed-error-streaming.json", 1, "tool-calls"],
  ["tool-use-failed-error-streaming.json", 2, "stop"],
  ["openrouter-stream-error", 0, "[Incomplete]"],
  ["refusal-openai-gpt-4o-completions-async-stream", 0, "[Refusal]"],
  ["refusal-openai-gpt-4o-completions-stream", 0, "[Refusal]"]
]

/** The ways in which hosts stream a completion. */
const ways: Readonly<Record<string, (body: Body) => ReadonlyArray<object>>> = {
  "in pieces": (body) => chunked(body, (message) => piecesOf(message).map((delta) => ({ delta }))),
  "in pieces, with all of the message so far": (body) =>
    chunked(body, (message) => {
      let content = ""
      return piecesOf(message).map((delta) => {
        if (typeof delta.content === "string") content += delta.content
        return { delta, message: { role: "assistant", content } }
      })
    }),
  "in pieces, each as delta and as message": (body) =>
    chunked(body, (message) => piecesOf(message).map((delta) => ({ delta, message: delta }))),
  "in one delta": (body) => chunked(body, (message) => [{ delta: message }]),
  "in one message": (body) => chunked(body, (message) => [{ delta: { role: "assistant", content: "" }, message }]),
  "in a message that grows": (body) =>
    chunked(body, (message) =>
      typeof message.content === "string"
        ? [0.3, 0.7, 1].map((part) => ({ message: { ...message, content: startOf(message.content, part) } }))
        : [{ message }]),
  "as a completion": (body) => [body]
}

const startOf = (text: unknown, part: number): string => String(text).slice(0, Math.ceil(String(text).length * part))

const chunked = (
  { choices = [], error, usage, ...rest }: Body,
  deltasOf: (message: Readonly<Record<string, unknown>>) => ReadonlyArray<object>
): ReadonlyArray<object> => {
  const chunk = (fields: object) => ({ ...rest, object: "chat.completion.chunk", ...fields })
  const one = (choice: object) => chunk({ choices: [choice] })
  return [
    ...choices.flatMap(({ message = {}, ...choice }) => [
      ...deltasOf(message).map((fields) => one({ index: choice.index ?? 0, ...fields, finish_reason: null })),
      one({ ...choice, delta: {} })
    ]),
    ...(error === undefined ? [] : [chunk({ error })]),
    ...(usage === undefined ? [] : [chunk({ choices: [], usage })])
  ]
}

/** The deltas of a message, as OpenAI would write them. */
const piecesOf = (message: Readonly<Record<string, unknown>>): ReadonlyArray<Readonly<Record<string, unknown>>> =>
  Object.entries(message).flatMap(([key, value]) => {
    if (key === "role") return [{ role: value, content: "" }]
    if (key === "tool_calls" && Array.isArray(value)) {
      return value.flatMap((call: Call, index) =>
        piecesOfCall(call, index).map((piece) => ({ tool_calls: [{ index, ...piece }] }))
      )
    }
    if (key === "function_call") {
      const { arguments: args, ...called } = value as Call["function"]
      return [
        { [key]: { ...called, arguments: "" } },
        ...halves(args).map((piece) => ({ [key]: { arguments: piece } }))
      ]
    }
    if (key === "audio") {
      const { id, transcript, ...audio } = value as Audio
      return [...halves(transcript).map((piece) => ({ [key]: { id, transcript: piece } })), { [key]: audio }]
    }
    if (typeof value === "string") return halves(value).map((piece) => ({ [key]: piece }))
    return Array.isArray(value) ? value.map((part: unknown) => ({ [key]: [part] })) : [{ [key]: value }]
  })

const piecesOfCall = ({ function: called, ...call }: Call, index: number): ReadonlyArray<object> => [
  // The first call in pieces, the others whole, as Groq writes them.
  ...(index > 0 ? [{ ...call, function: called }] : [
    { ...call, function: { ...called, arguments: "" } },
    ...halves(called.arguments).map((piece) => ({ function: { arguments: piece } }))
  ])
]

interface Call {
  readonly function: { readonly name: string; readonly arguments: string }
}

interface Audio {
  readonly id: string
  readonly transcript: string
}

const halves = (text: string): ReadonlyArray<string> => {
  const at = Math.ceil(text.length / 2)
  return [text.slice(0, at), text.slice(at)]
}

const sameInEveryWay = Effect.fnUntraced(function*(body: Body) {
  const whole = yield* stream(JSON.stringify(body))
  const expected = summaryOf(whole)
  assert.deepStrictEqual(plain(body), summaryOf({ ...whole, events: whole.events.slice(-1) }), "plain")
  for (const [way, chunksOf] of Object.entries(ways)) {
    const text = wire(chunksOf(body))
    assert.deepStrictEqual(summaryOf(yield* stream(`${text}data: [DONE]\n\n`)), expected, way)
    // Without a finish reason, [DONE] is the only end.
    if (body.choices?.[0]?.finish_reason === undefined) continue
    assert.deepStrictEqual(summaryOf(yield* stream(text)), expected, `${way}, without [DONE]`)
  }
})

const stream = (text: string) => read(ChatCompletionsStream.makeReader, text)

/** What a stream comes to. Of one that fails it is the failure alone: the text may have come before it or not. */
const summaryOf = ({ error, events }: Read): object => {
  if (error !== undefined) {
    return { error: `${error.verdict._tag} ${error.verdict.reason._tag}`, evidence: error.evidence }
  }
  return {
    outcome: outcomeSummary(outcomeOf(events)),
    text: textOf(events),
    reasoning: textOf(events, "Reasoning"),
    refusal: textOf(events, "Refusal"),
    calls: events.filter((event) => event._tag === "ToolCall")
  }
}

const outcomeSummary = (outcome: Outcome | undefined): object => {
  if (outcome?._tag !== "Succeeded") return { ...outcome }
  const { response: _response, ...answer } = outcome.answer
  return answer
}

const plain = (body: unknown): object => {
  const context = { provider: "recorded", operation: "call", model: "m", now: 0 } as const
  const headers = new Headers({ "x-request-id": "req_1" })
  const result = ChatCompletions.outcomeOf({ status: 200, headers, body }, context)
  return summaryOf(
    Result.isFailure(result)
      ? { events: [], error: result.failure }
      : { events: [{ _tag: "Ended", outcome: result.success }], error: undefined }
  )
}
