import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import type { Usage } from "../../../src/errors/Usage.ts"
import type { Outcome } from "../../../src/services/Provider.ts"
import { type RequestInput, ResponseRequest } from "../../../src/services/ResponseRequest.ts"
import * as ChatCompletions from "../../../src/services/providers/ChatCompletions.ts"
import { publishedValidator } from "./OpenAiPublishedSchemas.ts"
import { recordedReplies } from "./OpenAiRecordings.ts"

describe("ChatCompletions.toPayload", () => {
  it.each<[string, string, Partial<RequestInput>, object]>([
    ["sends a text as it is", "openai", {}, { messages: [{ role: "user", content: "Hi" }] }],
    [
      "sends text, images and files as parts",
      "openai",
      {
        prompt: [
          { type: "text", text: "Look" },
          { type: "image", url: "https://example.com/a.png" },
          { type: "image", data: "AAEC", mediaType: "image/png", detail: "high" },
          { type: "file", data: "AAEC", mediaType: "application/pdf", filename: "a.pdf" },
          { type: "file", data: "AAEC", mediaType: "application/vnd.ms-excel" },
          { type: "file", fileId: "file-2" }
        ]
      },
      {
        messages: [{
          role: "user",
          content: [
            { type: "text", text: "Look" },
            { type: "image_url", image_url: { url: "https://example.com/a.png" } },
            { type: "image_url", image_url: { url: "data:image/png;base64,AAEC", detail: "high" } },
            { type: "file", file: { filename: "a.pdf", file_data: "data:application/pdf;base64,AAEC" } },
            { type: "file", file: { filename: "file.bin", file_data: "data:application/vnd.ms-excel;base64,AAEC" } },
            { type: "file", file: { file_id: "file-2" } }
          ]
        }]
      }
    ],
    [
      "sends instructions first and earlier turns before the prompt",
      "groq",
      {
        instructions: "Be brief",
        messages: [
          { role: "user", content: "1 + 1?" },
          { role: "assistant", content: [{ type: "text", text: "It is " }, { type: "text", text: "2" }] }
        ]
      },
      {
        messages: [
          { role: "system", content: "Be brief" },
          { role: "user", content: "1 + 1?" },
          { role: "assistant", content: "It is 2" },
          { role: "user", content: "Hi" }
        ]
      }
    ],
    [
      "translates the optional parameters for OpenAI",
      "openai",
      {
        maxOutputTokens: 9,
        temperature: 0.5,
        topP: 0.9,
        reasoningEffort: "low",
        stop: ["END"],
        store: true,
        metadata: { a: "b" }
      },
      {
        max_completion_tokens: 9,
        temperature: 0.5,
        top_p: 0.9,
        reasoning_effort: "low",
        stop: ["END"],
        store: true,
        metadata: { a: "b" },
        messages: [{ role: "user", content: "Hi" }]
      }
    ],
    [
      "leaves metadata out where OpenAI does not store",
      "azure",
      { maxOutputTokens: 9, metadata: { a: "b" }, store: false },
      { max_completion_tokens: 9, store: false, messages: [{ role: "user", content: "Hi" }] }
    ],
    [
      "leaves store and metadata out for other hosts",
      "mistral",
      { maxOutputTokens: 9, metadata: { a: "b" }, store: true, stop: "END" },
      { max_tokens: 9, stop: "END", messages: [{ role: "user", content: "Hi" }] }
    ],
    [
      "asks Gemini for the most effort that it has",
      "gemini",
      { reasoningEffort: "xhigh" },
      { reasoning_effort: "high", messages: [{ role: "user", content: "Hi" }] }
    ],
    [
      "leaves Gemini's lesser efforts",
      "gemini",
      { reasoningEffort: "none" },
      { reasoning_effort: "none", messages: [{ role: "user", content: "Hi" }] }
    ],
    [
      "merges the provider's options last",
      "openai",
      { temperature: 0, providerOptions: { temperature: 1, seed: 7 } },
      { temperature: 1, seed: 7, messages: [{ role: "user", content: "Hi" }] }
    ]
  ])("%s", (_title, provider, input, expected) => {
    assert.deepStrictEqual(payloadOf(input, provider), { model: "gpt-4o", ...expected })
  })

  it.each([
    ["azure_ai", "gpt-5", "max_completion_tokens"],
    ["bedrock", "us.openai.gpt-5.6-sol", "max_completion_tokens"],
    ["github", "openai/o3-mini", "max_completion_tokens"],
    ["openrouter", "openai/gpt-4o", "max_tokens"],
    ["groq", "openai/gpt-oss-120b", "max_tokens"],
    ["huggingface", "allenai/olmo-3", "max_tokens"]
  ])("limits the answer at %s of %s by %s", (provider, model, key) => {
    const payload = ChatCompletions.toPayload(requestOf({ maxOutputTokens: 9 }), { provider, model })

    assert.deepStrictEqual<unknown>(Result.getOrThrow(payload), {
      model,
      messages: [{ role: "user", content: "Hi" }],
      [key]: 9
    })
  })

  it.each<[string, Partial<RequestInput>]>([
    ["a file by url", { prompt: [{ type: "file", url: "https://example.com/a.pdf" }] }],
    ["an image by file id", { prompt: [{ type: "image", fileId: "file-1" }] }],
    ["an image in an assistant turn", {
      messages: [{ role: "assistant", content: [{ type: "image", url: "https://example.com/a.png" }] }]
    }]
  ])("refuses %s before anything is sent", (_title, input) => {
    const result = ChatCompletions.toPayload(requestOf(input), { provider: "openai", model: "m" })

    assert.isTrue(Result.isFailure(result))
    if (Result.isSuccess(result)) return
    assert.strictEqual(result.failure.evidence, "NotSent")
    assert.strictEqual(result.failure.verdict.reason._tag, "InvalidRequest")
  })

  const isValid = publishedValidator("CreateChatCompletionRequest")
  it.skipIf(isValid === undefined)("sends what the published schema allows (needs HOLDFAST_SPECS)", () => {
    const payload = payloadOf({
      prompt: [
        { type: "text", text: "Look" },
        { type: "image", url: "https://example.com/a.png" },
        { type: "file", data: "AAEC", mediaType: "application/pdf" }
      ],
      messages: [{ role: "user", content: "1 + 1?" }, { role: "assistant", content: "2" }],
      instructions: "Be brief",
      maxOutputTokens: 100,
      temperature: 0.5,
      topP: 0.9,
      stop: ["END"],
      reasoningEffort: "high",
      store: true,
      metadata: { team: "a" }
    }, "openai")

    assert.deepStrictEqual(isValid?.(payload), [])
    assert.notDeepEqual(isValid?.({ ...payload, temperature: "hot" }), [])
  })
})

describe("ChatCompletions.outcomeOf", () => {
  it("reads text, model, id and body", () => {
    const answer = answerOf(completion({ content: "4" }, { service_tier: "flex", prompt_token_ids: [1, 2] }))

    assert.strictEqual(answer.content, "4")
    assert.strictEqual(answer.finishReason, "stop")
    assert.strictEqual(answer.model, "gpt-4o-2024-08-06")
    assert.strictEqual(answer.responseId, "chatcmpl-1")
    assert.strictEqual((answer.response as Record<string, unknown>).service_tier, "flex")
    assert.notProperty(answer.response, "prompt_token_ids")
  })

  it.each<[string, object, string]>([
    ["a text", { content: "4", reasoning_content: "2 + 2" }, "4"],
    ["parts, without thinking", {
      content: [{ type: "thinking", thinking: [{ type: "text", text: "hm" }] }, { type: "text", text: "a" }, "b"]
    }, "ab"],
    ["an audio's transcript", { content: null, audio: { id: "a", data: "", transcript: "Hello" } }, "Hello"]
  ])("reads content that is %s", (_title, message, text) => {
    assert.strictEqual(answerOf(completion(message)).content, text)
  })

  it.each<[string, object, string]>([
    ["tool calls", { content: null, tool_calls: [{ id: "", type: "function", function: {} }] }, "tool_calls"],
    ["tool calls of a host that says stop", { content: "", tool_calls: [{ id: "1" }] }, "stop"],
    ["an old function call", { content: null, function_call: { name: "f", arguments: "{}" } }, "function_call"]
  ])("takes %s for an answer without text", (_title, message, finish_reason) => {
    const answer = answerOf(completion(message, {}, { finish_reason }))

    assert.strictEqual(answer.content, "")
    assert.strictEqual(answer.finishReason, "tool-calls")
  })

  it.each<[string, object, object, object]>([
    ["a token limit", { content: "The answ" }, { finish_reason: "length" }, {
      _tag: "Incomplete",
      limit: "length",
      content: "The answ"
    }],
    ["a content filter", { content: "The answ" }, { finish_reason: "content_filter" }, {
      _tag: "ContentFiltered",
      content: "The answ"
    }],
    ["Gemini's filter", { content: null }, { finish_reason: "content_filter: SAFETY" }, {
      _tag: "ContentFiltered",
      content: ""
    }],
    ["a filter that leaves the message out", {}, { finish_reason: "content_filter", message: undefined }, {
      _tag: "ContentFiltered",
      content: ""
    }],
    ["a refusal", { content: null, refusal: "I cannot help" }, {}, { _tag: "Refusal", message: "I cannot help" }],
    ["no text", { content: null, tool_calls: [] }, {}, { _tag: "EmptyContent" }],
    ["white space only", { content: " \n" }, {}, { _tag: "EmptyContent" }],
    ["reasoning only", { content: "", reasoning_content: "hm" }, {}, { _tag: "EmptyContent" }]
  ])("ends %s as a typed failure with the usage", (_title, message, choice, expected) => {
    const outcome = outcomeOf(completion(message, {}, choice))

    assert.strictEqual(outcome._tag, "Failed")
    if (outcome._tag !== "Failed") return
    const { reason } = outcome.verdict
    assert.strictEqual(outcome.verdict._tag, "NonRetryable")
    assert.deepInclude({ ...reason, message: reason.message }, { ...expected, provider: "openai" })
    assert.strictEqual((reason as { usage?: { totalTokens: number } }).usage?.totalTokens, 120)
  })

  it.each<[string, unknown, string]>([
    ["an error body", { error: { code: "rate_limit_exceeded", message: "Slow down" } }, "RateLimited"],
    ["OpenRouter's numeric code", { error: { code: 429, message: "Slow down" }, user_id: "u" }, "RateLimited"],
    [
      "an error beside a choice",
      { ...completion({ content: "4" }), error: { code: 502, message: "No" } },
      "ServerError"
    ],
    [
      "an error in the choice",
      completion({ content: "4" }, {}, { error: { code: 429, message: "Slow" } }),
      "RateLimited"
    ],
    [
      "DeepSeek's lack of resources",
      completion({ content: "4" }, {}, {
        finish_reason: "insufficient_system_resource"
      }),
      "Overloaded"
    ]
  ])("classifies %s under status 200", (_title, body, tag) => {
    const error = errorOf(body)

    assert.strictEqual(error.verdict._tag, "Retryable")
    assert.strictEqual(error.verdict.reason._tag, tag)
  })

  it.each<[string, unknown]>([
    ["HTML", "<html></html>"],
    ["truncated JSON", "{\"choices\":["],
    ["null", null],
    ["an array", []],
    ["an empty object", {}],
    ["no choice", { choices: [] }],
    ["choices that are none", { choices: "x" }],
    ["a choice without message", { choices: [{ text: "4", finish_reason: "stop" }] }],
    ["a finish reason of null", completion({ content: "The answ" }, {}, { finish_reason: null })],
    ["a finish reason that is not known, and no text", completion({ content: " " }, {}, { finish_reason: "tired" })],
    ["no finish reason and no text", { choices: [{ message: { content: "" } }] }]
  ])("takes %s under status 200 for InvalidResponse", (_title, body) => {
    const error = errorOf(body)

    assert.strictEqual(error.verdict.reason._tag, "InvalidResponse")
    assert.strictEqual(error.verdict._tag, "Retryable")
    assert.strictEqual(error.evidence, "Uncertain")
  })

  it.each<[string, string, object]>([
    ["a text", "4", { content: "4" }],
    ["a tool call", "", { content: null, tool_calls: [{ id: "call_1", function: { name: "f", arguments: "{}" } }] }]
  ])(
    "keeps %s with a finish reason that is not known as Incomplete: a retry would be paid again",
    (_title, content, message) => {
      const usage = { prompt_tokens: 10, completion_tokens: 2, total_tokens: 12 }
      const outcome = outcomeOf(completion(message, { usage }, { finish_reason: "tired" }))

      assert.deepNestedInclude(outcome, {
        "verdict._tag": "NonRetryable",
        "verdict.reason._tag": "Incomplete",
        "verdict.reason.content": content,
        "verdict.reason.limit": "tired",
        "verdict.reason.usage.totalTokens": 12
      })
    }
  )

  it("believes a host that never sends a finish reason", () => {
    assert.strictEqual(answerOf({ choices: [{ message: { content: "4" } }] }).content, "4")
    assert.strictEqual(answerOf({ choices: [{ message: { content: "4" } }] }).model, "gpt-4o")
  })

  it.each<[string, unknown, Partial<Usage> | undefined]>([
    [
      "OpenAI's: cached within the prompt, reasoning within the completion",
      {
        prompt_tokens: 100,
        prompt_tokens_details: { cached_tokens: 40 },
        completion_tokens: 20,
        completion_tokens_details: { reasoning_tokens: 15 },
        total_tokens: 120
      },
      { inputTokens: 60, cacheReadTokens: 40, outputTokens: 5, reasoningTokens: 15, totalTokens: 120 }
    ],
    [
      "xAI's: reasoning beside the completion",
      {
        prompt_tokens: 100,
        completion_tokens: 20,
        completion_tokens_details: { reasoning_tokens: 300 },
        total_tokens: 420
      },
      { inputTokens: 100, outputTokens: 20, reasoningTokens: 300, totalTokens: 420 }
    ],
    [
      "Gemini's: reasoning in the total only",
      { prompt_tokens: 35, completion_tokens: 12, total_tokens: 109 },
      { inputTokens: 35, outputTokens: 12, reasoningTokens: 62, totalTokens: 109 }
    ],
    [
      "DeepSeek's: cache hits by their own name",
      {
        prompt_tokens: 100,
        prompt_cache_hit_tokens: 64,
        prompt_cache_miss_tokens: 36,
        completion_tokens: 20,
        total_tokens: 120
      },
      { inputTokens: 36, cacheReadTokens: 64, outputTokens: 20, totalTokens: 120 }
    ],
    [
      "counts that contradict each other",
      {
        prompt_tokens: 10,
        prompt_tokens_details: { cached_tokens: 40 },
        completion_tokens: 5,
        completion_tokens_details: { reasoning_tokens: 9 }
      },
      { cacheReadTokens: 10, reasoningTokens: 5, totalTokens: 15 }
    ],
    ["half of it", { prompt_tokens: 10, completion_tokens: null }, { inputTokens: 10, totalTokens: 10 }],
    ["null", null, undefined],
    ["a text", "many", undefined],
    ["numbers that are no counts", { prompt_tokens: -1, completion_tokens: 1.5, total_tokens: "7" }, undefined],
    ["numbers beyond reason", { prompt_tokens: 2 ** 53 - 1, completion_tokens: 2 ** 53 - 1 }, undefined]
  ])("reads usage that is %s", (_title, usage, expected) => {
    const answer = answerOf(completion({ content: "4" }, { usage }))

    assert.deepStrictEqual(
      answer.usage === undefined ? undefined : { ...answer.usage },
      expected === undefined ? undefined : {
        inputTokens: 0,
        cacheReadTokens: 0,
        cacheWriteTokens: 0,
        outputTokens: 0,
        reasoningTokens: 0,
        totalTokens: 0,
        ...expected
      }
    )
  })

  it("survives fields of any type", () => {
    const junk = [null, 0, -1, 1.5, "", "x", true, [], [null], [[]], {}, { a: null }, [{}]]
    for (const value of junk) {
      for (const key of ["id", "model", "usage", "choices", "error"]) outcomeResult({ ...completion({}), [key]: value })
      for (const key of ["content", "refusal", "tool_calls", "audio"]) outcomeResult(completion({ [key]: value }))
      for (const key of ["message", "finish_reason", "error"]) outcomeResult(completion({}, {}, { [key]: value }))
    }
  })
})

const recorded = recordedReplies(/\/chat\/completions(\?.*)?$/)

describe.skipIf(recorded.length === 0)("ChatCompletions on recordings (needs HOLDFAST_RECORDINGS)", () => {
  it("finds recordings", () => assert.isNotEmpty(recorded))

  it.each(recorded)("reads $file $index", ({ body, headers, status }) => {
    const result = ChatCompletions.outcomeOf({ status, headers, body }, context)
    const { choices } = body as { readonly choices?: ReadonlyArray<Choice> }
    if (choices === undefined) {
      assert.isTrue(Result.isFailure(result))
      if (Result.isSuccess(result)) return
      assert.strictEqual(result.failure.verdict.reason._tag, "ContentFiltered")
      return
    }
    const [choice] = choices
    const outcome = Result.getOrThrow(result)
    if (choice?.message?.refusal) {
      assert.isTrue(outcome._tag === "Failed" && outcome.verdict.reason._tag === "Refusal")
    } else if (choice?.finish_reason === "content_filter") {
      assert.isTrue(outcome._tag === "Failed" && outcome.verdict.reason._tag === "ContentFiltered")
    } else {
      assert.strictEqual(outcome._tag, "Succeeded")
      if (outcome._tag !== "Succeeded") return
      assert.strictEqual(outcome.answer.content, choice?.message?.content ?? "")
    }
  })
})

interface Choice {
  readonly finish_reason: string
  readonly message?: { readonly content?: string | null; readonly refusal?: string | null }
}

const context = { provider: "openai", operation: "call", model: "gpt-4o", now: 1000 } as const

const requestOf = (input: Partial<RequestInput>): ResponseRequest =>
  Schema.decodeSync(ResponseRequest)({ model: "openai/gpt-4o", prompt: "Hi", ...input })

const payloadOf = (input: Partial<RequestInput>, provider: string) =>
  Result.getOrThrow(ChatCompletions.toPayload(requestOf(input), { provider, model: "gpt-4o" }))

const completion = (message: object, fields: object = {}, choice: object = {}): Record<string, unknown> => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "gpt-4o-2024-08-06",
  choices: [{ index: 0, message: { role: "assistant", refusal: null, ...message }, finish_reason: "stop", ...choice }],
  usage: { prompt_tokens: 100, completion_tokens: 20, total_tokens: 120 },
  ...fields
})

const outcomeResult = (body: unknown) =>
  ChatCompletions.outcomeOf({ status: 200, headers: new Headers(), body }, context)

const outcomeOf = (body: unknown): Outcome => Result.getOrThrow(outcomeResult(body))

const errorOf = (body: unknown) => Result.getOrThrow(Result.flip(outcomeResult(body)))

const answerOf = (body: unknown) => {
  const outcome = outcomeOf(body)
  assert.strictEqual(outcome._tag, "Succeeded")
  return (outcome as Extract<Outcome, { readonly _tag: "Succeeded" }>).answer
}
