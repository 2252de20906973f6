import { assert, describe, it } from "@effect/vitest"
import { Duration, Redacted, Result, Schema } from "effect"
import type { Usage } from "../../../src/errors/Usage.ts"
import type { JobState, Outcome } from "../../../src/services/Provider.ts"
import { type RequestInput, ResponseRequest } from "../../../src/services/ResponseRequest.ts"
import * as OpenAiResponses from "../../../src/services/providers/OpenAiResponses.ts"
import { publishedValidator } from "./OpenAiPublishedSchemas.ts"
import { recordedReplies } from "./OpenAiRecordings.ts"

describe("OpenAiResponses.toPayload", () => {
  it.each<[string, Partial<RequestInput>, object]>([
    ["sends a text as it is", {}, { input: "Hi" }],
    [
      "sends text, images and files as parts",
      {
        prompt: [
          { type: "text", text: "Look" },
          { type: "image", url: "https://example.com/a.png" },
          { type: "image", data: "AAEC", mediaType: "image/png", detail: "high" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AAEC", detail: "low" } },
          { type: "image", fileId: "file-1" },
          { type: "file", url: "https://example.com/a.pdf" },
          { type: "file", data: "AAEC", mediaType: "application/pdf" },
          { type: "file", data: "AAEC", mediaType: "text/plain", filename: "notes.md" },
          { type: "file", fileId: "file-2" }
        ]
      },
      {
        input: [{
          role: "user",
          content: [
            { type: "input_text", text: "Look" },
            { type: "input_image", detail: "auto", image_url: "https://example.com/a.png" },
            { type: "input_image", detail: "high", image_url: "data:image/png;base64,AAEC" },
            { type: "input_image", detail: "low", image_url: "data:image/png;base64,AAEC" },
            { type: "input_image", detail: "auto", file_id: "file-1" },
            { type: "input_file", file_url: "https://example.com/a.pdf" },
            { type: "input_file", filename: "file.pdf", file_data: "data:application/pdf;base64,AAEC" },
            { type: "input_file", filename: "notes.md", file_data: "data:text/plain;base64,AAEC" },
            { type: "input_file", file_id: "file-2" }
          ]
        }]
      }
    ],
    [
      "sends earlier turns before the prompt, the assistant's as one text",
      {
        messages: [
          { role: "user", content: [{ type: "text", text: "1 + 1?" }] },
          { role: "assistant", content: [{ type: "text", text: "It is " }, { type: "text", text: "2" }] },
          { role: "assistant", content: "Surely" }
        ]
      },
      {
        input: [
          { role: "user", content: [{ type: "input_text", text: "1 + 1?" }] },
          { role: "assistant", content: "It is 2" },
          { role: "assistant", content: "Surely" },
          { role: "user", content: "Hi" }
        ]
      }
    ],
    [
      "translates the optional parameters",
      {
        instructions: "Be brief",
        maxOutputTokens: 100,
        temperature: 0.5,
        topP: 0.9,
        reasoningEffort: "high",
        metadata: { team: "a" },
        store: false
      },
      {
        input: "Hi",
        instructions: "Be brief",
        max_output_tokens: 100,
        temperature: 0.5,
        top_p: 0.9,
        reasoning: { effort: "high" },
        metadata: { team: "a" },
        store: false
      }
    ],
    [
      "merges the provider's options last and one level deep",
      {
        reasoningEffort: "high",
        temperature: 0,
        providerOptions: { reasoning: { summary: "auto" }, temperature: 1, service_tier: "flex" }
      },
      { input: "Hi", reasoning: { effort: "high", summary: "auto" }, temperature: 1, service_tier: "flex" }
    ]
  ])("%s", (_title, input, expected) => {
    const payload = payloadOf(input, { alwaysStore: false })

    assert.deepStrictEqual(payload, { model: "gpt-5", ...expected })
  })

  it("sends store: true where the host keeps responses", () => {
    assert.deepStrictEqual(payloadOf({}, { alwaysStore: true }), { model: "gpt-5", input: "Hi", store: true })
  })

  it("marks a job with ids that no metadata of the request replace", () => {
    const job = { submissionId: "sub-1", sessionHash: "hash-1" }
    const payload = payloadOf({
      metadata: { team: "a", holdfast_submission: "mine" },
      providerOptions: { metadata: { holdfast_session: "mine", more: "b" } }
    }, { alwaysStore: true, job })

    assert.strictEqual(payload.background, true)
    assert.deepStrictEqual(payload.metadata, {
      team: "a",
      more: "b",
      holdfast_submission: "sub-1",
      holdfast_session: "hash-1"
    })
    assert.deepStrictEqual(
      payloadOf({ providerOptions: { metadata: null } }, { alwaysStore: true, job: { submissionId: "sub-1" } })
        .metadata,
      { holdfast_submission: "sub-1" }
    )
  })

  it.each<[string, Partial<RequestInput>, string]>([
    ["stop sequences", { stop: "END" }, "stop"],
    ["an image in an assistant turn", {
      messages: [{ role: "assistant", content: [{ type: "image", fileId: "file-1" }] }]
    }, "messages"]
  ])("refuses %s before anything is sent", (_title, input, param) => {
    const result = OpenAiResponses.toPayload(requestOf(input), { provider: "openai", model: "m", alwaysStore: true })

    assert.isTrue(Result.isFailure(result))
    if (Result.isSuccess(result)) return
    assert.strictEqual(result.failure.evidence, "NotSent")
    assert.strictEqual(result.failure.verdict.reason._tag, "InvalidRequest")
    assert.strictEqual(result.failure.verdict.reason.param, param)
  })

  const isValid = publishedValidator("CreateResponse")
  it.skipIf(isValid === undefined)("sends what the published schema allows (needs HOLDFAST_SPECS)", () => {
    const payload = payloadOf({
      prompt: [
        { type: "text", text: "Look" },
        { type: "image", url: "https://example.com/a.png" },
        { type: "image", fileId: "file-1" },
        { type: "file", data: "AAEC", mediaType: "application/pdf" },
        { type: "file", url: "https://example.com/a.pdf" }
      ],
      messages: [{ role: "user", content: "1 + 1?" }, { role: "assistant", content: [{ type: "text", text: "2" }] }],
      instructions: "Be brief",
      maxOutputTokens: 100,
      temperature: 0.5,
      topP: 0.9,
      reasoningEffort: "high",
      metadata: { team: "a" }
    }, { alwaysStore: true, job: { submissionId: "sub-1", sessionHash: "hash-1" } })

    assert.deepStrictEqual(isValid?.(payload), [])
    assert.notDeepEqual(isValid?.({ ...payload, temperature: "hot" }), [])
  })
})

describe("OpenAiResponses.stateOf", () => {
  it("reads a completed response, without commentary and reasoning", () => {
    const { answer } = succeededOf(stateOf(response({
      output: [
        { type: "reasoning", content: [{ type: "reasoning_text", text: "hm" }], summary: [] },
        message("Let me see. ", { phase: "commentary" }),
        message("The answer", { phase: "final_answer" }),
        message(" is 4")
      ]
    })))

    assert.strictEqual(answer.content, "The answer is 4")
    assert.strictEqual(answer.finishReason, "stop")
    assert.strictEqual(answer.model, "gpt-5-2025-08-07")
    assert.strictEqual(answer.responseId, "resp_1")
    assert.deepStrictEqual({ ...answer.usage }, {
      inputTokens: 50,
      cacheReadTokens: 40,
      cacheWriteTokens: 10,
      outputTokens: 5,
      reasoningTokens: 15,
      totalTokens: 120
    })
  })

  it("keeps the body without what it repeats of the prompt", () => {
    const { answer } = succeededOf(stateOf(response({
      output: [message("Prompt", { role: "user" }), message("Answer")],
      instructions: "secret",
      input: "secret",
      prompt: { id: "p", variables: { a: "secret" } },
      input_messages: ["secret"],
      tools: [{ type: "mcp", server_label: "s", authorization: "secret", headers: { a: "secret" } }],
      service_tier: "flex"
    })))

    assert.strictEqual(answer.content, "Answer")
    assert.notInclude(JSON.stringify(answer.response), "secret")
    assert.notInclude(JSON.stringify(answer.response), "Prompt")
    assert.strictEqual((answer.response as Record<string, unknown>).service_tier, "flex")
  })

  it.each(["function_call", "custom_tool_call", "mcp_approval_request"])(
    "takes %s alone for an answer without text",
    (type) => {
      const { answer } = succeededOf(stateOf(response({ output: [{ type, name: "f", arguments: "{}" }] })))

      assert.strictEqual(answer.content, "")
      assert.strictEqual(answer.finishReason, "tool-calls")
    }
  )

  it.each<[string, object, object]>([
    ["a refusal, beside text too", {
      output: [message("Hm"), message("", {}, { type: "refusal", refusal: "I cannot help" })]
    }, { _tag: "Refusal", message: "I cannot help", content: "Hm" }],
    ["no text", { output: [message("")] }, { _tag: "EmptyContent" }],
    ["white space only", { output: [message(" \n")] }, { _tag: "EmptyContent" }],
    ["commentary only", { output: [message("Hm", { phase: "commentary" })] }, { _tag: "EmptyContent" }],
    ["a hosted tool only", { output: [{ type: "web_search_call" }] }, { _tag: "EmptyContent" }],
    ["a token limit", {
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" },
      output: [message("The answ")]
    }, { _tag: "Incomplete", limit: "max_output_tokens", content: "The answ" }],
    ["a limit without a name", { status: "incomplete", incomplete_details: null, output: null }, {
      _tag: "Incomplete",
      message: "The answer was cut short after 20 output tokens, and the provider gives no reason",
      limit: "unknown",
      content: ""
    }],
    ["a content filter", {
      status: "incomplete",
      incomplete_details: { reason: "content_filter" },
      output: [message("The answ")]
    }, { _tag: "ContentFiltered", content: "The answ" }],
    ["a cancellation", { status: "cancelled", output: [message("The answ")] }, {
      _tag: "JobCancelled",
      content: "The answ"
    }]
  ])("ends %s as a typed failure with the usage", (_title, body, expected) => {
    const reason = failedOf(stateOf(response(body), { "x-request-id": "req_1" }))

    assert.deepInclude({ ...reason, message: reason.message }, { ...expected, provider: "openai", requestId: "req_1" })
    assert.strictEqual((reason as { usage?: Usage }).usage?.totalTokens, 120)
  })

  it("classifies a failed job by its error", () => {
    const retryable = stateOf(
      response({ status: "failed", error: { code: "server_error", message: "Sorry" }, output: undefined, usage: null })
    )
    const final = stateOf(response({ status: "failed", error: { code: "invalid_image", message: "No" } }))
    const wordless = stateOf(response({ status: "failed", error: null }))

    assert.deepStrictEqual([retryable, final, wordless].map((state) => outcomeOf(state)._tag), [
      "Failed",
      "Failed",
      "Failed"
    ])
    assert.strictEqual(verdictOf(retryable)._tag, "Retryable")
    assert.strictEqual(verdictOf(final)._tag, "NonRetryable")
    assert.strictEqual(verdictOf(final).reason._tag, "JobFailed")
  })

  it.each([
    ["authentication", "AuthenticationFailed"],
    ["provider_overloaded", "Overloaded"],
    ["content_policy_violation", "ContentFiltered"],
    ["server", "ServerError"]
  ])("classifies a failed job by the error_type %s that OpenRouter puts beside its error", (error_type, expected) => {
    const error = { code: "server_error", message: "Sorry" }
    const { reason } = verdictOf(stateOf(response({ status: "failed", error, error_type })))

    assert.strictEqual(reason._tag === "JobFailed" ? reason.reason._tag : reason._tag, expected)
  })

  it("does not take a completed response with an error for a success", () => {
    const state = stateOf(response({ error: { code: "server_error", message: "Sorry" }, output: [message("Hi")] }))

    assert.strictEqual(verdictOf(state).reason._tag, "JobFailed")
  })

  it.each<[string, "queued" | "running"]>([["queued", "queued"], ["in_progress", "running"]])(
    "takes %s for pending",
    (status, phase) => {
      assert.deepInclude({ ...stateOf(response({ status, output: [] })) }, { _tag: "Pending", status, phase })
    }
  )

  it.each<[Record<string, string>, number | undefined]>([
    [{}, undefined],
    [{ "openai-poll-after-ms": "1500", "retry-after": "9" }, 1500],
    [{ "retry-after": "10" }, 10_000],
    [{ "retry-after-ms": "250", "retry-after": "9" }, 250],
    [{ "openai-poll-after-ms": "soon", "retry-after": "2" }, 2000],
    [{ "retry-after": "0" }, undefined],
    [{ "retry-after": "Thu, 01 Jan 1970 00:00:20 GMT" }, 19_000]
  ])("reads the hint for the next poll from %j", (headers, millis) => {
    const state = stateOf(response({ status: "queued" }), headers)

    assert.strictEqual(state._tag, "Pending")
    if (state._tag !== "Pending") return
    assert.strictEqual(state.pollAfter === undefined ? undefined : Duration.toMillis(state.pollAfter), millis)
  })

  it("takes no other status for pending or for an end", () => {
    assert.deepStrictEqual(stateOf(response({ status: "dreaming" })), { _tag: "Unknown", status: "dreaming" })
  })

  it("believes readable output without a status, and nothing less", () => {
    assert.strictEqual(succeededOf(stateOf(response({ status: undefined }))).answer.content, "4")
    assert.strictEqual(
      failedOf(stateOf(response({ status: null, incomplete_details: { reason: "max_output_tokens" } })))._tag,
      "Incomplete"
    )
    assert.strictEqual(errorOf(response({ status: undefined, output: [] })).verdict.reason._tag, "InvalidResponse")
    assert.strictEqual(
      errorOf(response({ status: undefined, error: { code: "rate_limit_exceeded", message: "Slow down" } })).verdict
        .reason._tag,
      "RateLimited"
    )
  })

  it.each<[string, unknown]>([
    ["HTML", "<html><body>Bad gateway</body></html>"],
    ["no text", ""],
    ["truncated JSON", "{\"id\":\"resp_1\",\"status\":\"comp"],
    ["null", null],
    ["an array", []],
    ["a number", 7],
    ["an empty object", {}],
    ["another service's status", { status: "ok" }],
    ["a status that is no text", { id: "resp_1", status: 200 }],
    ["a status that is no text beside an answer", response({ status: true })],
    ["a completed response without output", { id: "resp_1", status: "completed" }]
  ])("takes %s under status 200 for InvalidResponse", (_title, body) => {
    const error = errorOf(body)

    assert.strictEqual(error.verdict.reason._tag, "InvalidResponse")
    assert.strictEqual(error.verdict._tag, "Retryable")
    assert.strictEqual(error.evidence, "Uncertain")
  })

  it("survives fields of any type", () => {
    for (const key of Object.keys(response({}))) {
      for (const junk of [null, 0, -1, 1.5, "", "x", true, [], [null], [[]], {}, { a: null }, [{ type: "message" }]]) {
        OpenAiResponses.stateOf(replyOf({ ...response({}), [key]: junk }), context)
      }
    }
    for (const content of [null, 0, "", [null, 0, "x", { type: "output_text" }, { type: "refusal", refusal: 1 }]]) {
      OpenAiResponses.stateOf(replyOf(response({ output: [{ type: "message", content }, null, 1] })), context)
    }
  })

  it("keeps keys out of what it quotes", () => {
    const key = Redacted.make("sk-verysecretkey-123456")
    const refusal = { type: "refusal", refusal: `No: ${Redacted.value(key)}` }
    const result = OpenAiResponses.stateOf(
      replyOf(response({ output: [message("", {}, refusal)] })),
      { ...context, keys: [key] }
    )

    assert.notInclude(JSON.stringify(result), "verysecret")
  })
})

describe("OpenAiResponses.outcomeOf", () => {
  it("reads the answer of a held call", () => {
    const result = OpenAiResponses.outcomeOf(replyOf(response({})), context)

    assert.isTrue(Result.isSuccess(result) && result.success._tag === "Succeeded")
  })

  it.each(["queued", "in_progress", "dreaming"])("takes the status %s for InvalidResponse", (status) => {
    const result = OpenAiResponses.outcomeOf(replyOf(response({ status })), context)

    assert.isTrue(Result.isFailure(result))
    if (Result.isSuccess(result)) return
    assert.strictEqual(result.failure.verdict.reason._tag, "InvalidResponse")
    assert.strictEqual(result.failure.evidence, "Uncertain")
  })
})

const recorded = recordedReplies(/\/responses(\/[^/]*)?(\/cancel)?(\?.*)?$/)

describe.skipIf(recorded.length === 0)("OpenAiResponses on recordings (needs HOLDFAST_RECORDINGS)", () => {
  it("finds recordings", () => assert.isNotEmpty(recorded))

  it.each(recorded)("reads $file $index", ({ body, headers, status: httpStatus }) => {
    const { output, status } = body as { readonly output: ReadonlyArray<unknown>; readonly status: string }
    const result = OpenAiResponses.stateOf({ status: httpStatus, headers, body }, context)
    assert.isTrue(Result.isSuccess(result))
    if (Result.isFailure(result)) return
    const state = result.success
    if (status === "queued" || status === "in_progress") {
      assert.strictEqual(state._tag, "Pending")
      return
    }
    const outcome = outcomeOf(state)
    if (status === "completed" && !JSON.stringify(output).includes("\"refusal\"")) {
      assert.strictEqual(outcome._tag, "Succeeded")
      if (outcome._tag !== "Succeeded") return
      const texts = JSON.stringify(output).match(/"type":"output_text"/g) ?? []
      assert.strictEqual(outcome.answer.content !== "", texts.length > 0)
      assert.strictEqual(
        outcome.answer.usage?.totalTokens,
        (body as { readonly usage: { readonly total_tokens: number } }).usage.total_tokens
      )
      return
    }
    assert.strictEqual(outcome._tag, "Failed")
    if (outcome._tag !== "Failed") return
    const tags: Record<string, string> = { completed: "Refusal", incomplete: "Incomplete", cancelled: "JobCancelled" }
    assert.strictEqual(outcome.verdict.reason._tag, tags[status])
  })
})

const context = { provider: "openai", operation: "retrieve", model: "gpt-5", now: 1000 } as const

const requestOf = (input: Partial<RequestInput>): ResponseRequest =>
  Schema.decodeSync(ResponseRequest)({ model: "openai/gpt-5", prompt: "Hi", ...input })

const payloadOf = (
  input: Partial<RequestInput>,
  options: Pick<OpenAiResponses.PayloadOptions, "alwaysStore" | "job">
) => Result.getOrThrow(OpenAiResponses.toPayload(requestOf(input), { provider: "openai", model: "gpt-5", ...options }))

const message = (text: string, fields: object = {}, part: object = { type: "output_text", text, annotations: [] }) => ({
  type: "message",
  id: "msg_1",
  status: "completed",
  role: "assistant",
  content: [part],
  ...fields
})

const response = (fields: object): Record<string, unknown> => ({
  id: "resp_1",
  object: "response",
  created_at: 1,
  status: "completed",
  error: null,
  incomplete_details: null,
  instructions: null,
  metadata: {},
  model: "gpt-5-2025-08-07",
  output: [message("4")],
  tools: [],
  usage: {
    input_tokens: 100,
    input_tokens_details: { cached_tokens: 40, cache_write_tokens: 10 },
    output_tokens: 20,
    output_tokens_details: { reasoning_tokens: 15 },
    total_tokens: 120
  },
  ...fields
})

const replyOf = (body: unknown, headers: Record<string, string> = {}) => ({
  status: 200,
  headers: new Headers(headers),
  body
})

const stateOf = (body: unknown, headers?: Record<string, string>): JobState =>
  Result.getOrThrow(OpenAiResponses.stateOf(replyOf(body, headers), context))

const errorOf = (body: unknown) => Result.getOrThrow(Result.flip(OpenAiResponses.stateOf(replyOf(body), context)))

const outcomeOf = (state: JobState): Outcome => {
  assert.strictEqual(state._tag, "Ended")
  return (state as Extract<JobState, { readonly _tag: "Ended" }>).outcome
}

const succeededOf = (state: JobState) => {
  const outcome = outcomeOf(state)
  assert.strictEqual(outcome._tag, "Succeeded")
  return outcome as Extract<Outcome, { readonly _tag: "Succeeded" }>
}

const verdictOf = (state: JobState) => {
  const outcome = outcomeOf(state)
  assert.strictEqual(outcome._tag, "Failed")
  return (outcome as Extract<Outcome, { readonly _tag: "Failed" }>).verdict
}

const failedOf = (state: JobState) => {
  const verdict = verdictOf(state)
  assert.strictEqual(verdict._tag, "NonRetryable")
  return verdict.reason
}
