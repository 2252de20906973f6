import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted, Result, Schema } from "effect"
import { inspect } from "node:util"
import type { JobState } from "../../../src/services/Provider.ts"
import * as GeminiInteractions from "../../../src/services/providers/GeminiInteractions.ts"
import * as GeminiInput from "../../../src/services/providers/internal/GeminiInput.ts"
import * as GeminiOutcome from "../../../src/services/providers/internal/GeminiOutcome.ts"
import { type RequestInput, ResponseRequest } from "../../../src/services/ResponseRequest.ts"

describe("GeminiInput.toPayload", () => {
  it.each<[string, Partial<RequestInput>, object]>([
    ["a prompt alone", {}, { input: "Hi" }],
    ["instructions", { instructions: "Be brief." }, { input: "Hi", system_instruction: "Be brief." }],
    [
      "limits and sampling",
      { maxOutputTokens: 9, temperature: 0.5, topP: 0.9, stop: "END" },
      {
        input: "Hi",
        generation_config: { max_output_tokens: 9, temperature: 0.5, top_p: 0.9, stop_sequences: ["END"] }
      }
    ],
    ["several stops", { stop: ["A", "B"] }, { input: "Hi", generation_config: { stop_sequences: ["A", "B"] } }],
    ["no stops", { stop: [] }, { input: "Hi" }],
    ["the effort none", { reasoningEffort: "none" }, { input: "Hi", generation_config: { thinking_level: "minimal" } }],
    ["the effort medium", { reasoningEffort: "medium" }, {
      input: "Hi",
      generation_config: { thinking_level: "medium" }
    }],
    ["the effort max", { reasoningEffort: "max" }, { input: "Hi", generation_config: { thinking_level: "high" } }],
    ["neither metadata nor store: true", { metadata: { a: "b" }, store: true }, { input: "Hi" }],
    [
      "parts",
      {
        prompt: [
          { type: "text", text: "What?" },
          { type: "image", url: "https://a.test/a.png", detail: "low" },
          { type: "image", data: "AAEC", mediaType: "image/png", detail: "auto" },
          { type: "image", fileId: "https://generativelanguage.googleapis.com/v1beta/files/f" },
          { type: "file", data: "AAEC", mediaType: "application/pdf", filename: "a.pdf" },
          { type: "file", data: "AAEC", mediaType: "audio/wav" },
          { type: "file", url: "https://a.test/a.pdf" }
        ]
      },
      {
        input: [
          { type: "text", text: "What?" },
          { type: "image", uri: "https://a.test/a.png", resolution: "low" },
          { type: "image", data: "AAEC", mime_type: "image/png" },
          { type: "image", uri: "https://generativelanguage.googleapis.com/v1beta/files/f" },
          { type: "document", data: "AAEC", mime_type: "application/pdf" },
          { type: "audio", data: "AAEC", mime_type: "audio/wav" },
          { type: "document", uri: "https://a.test/a.pdf" }
        ]
      }
    ],
    [
      "earlier turns",
      { messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }], prompt: "Bye" },
      {
        input: [
          { type: "user_input", content: [{ type: "text", text: "Hi" }] },
          { type: "model_output", content: [{ type: "text", text: "Hello" }] },
          { type: "user_input", content: [{ type: "text", text: "Bye" }] }
        ]
      }
    ],
    [
      "the provider's own options, merged one level deep",
      { maxOutputTokens: 9, providerOptions: { generation_config: { seed: 1 }, service_tier: "flex" } },
      { input: "Hi", generation_config: { max_output_tokens: 9, seed: 1 }, service_tier: "flex" }
    ]
  ])("sends %s", (_, change, expected) => {
    const payload = Result.getOrThrow(GeminiInput.toPayload(request(change), about))

    assert.deepStrictEqual<unknown>(payload, {
      model: "gemini-3.8-flash",
      background: true,
      store: true,
      stream: false,
      ...expected
    })
  })

  it.each([
    ["by its name", "deep-research-pro-preview-12-2025", {}, "deep-research-pro-preview-12-2025"],
    ["of the provider's own options", "gemini-3.8-flash", { agent: "mine" }, "mine"]
  ])("asks an agent %s, without a model", (_, model, providerOptions, agent) => {
    const payload = GeminiInput.toPayload(request({ providerOptions }), { provider: "gemini", model })

    assert.deepStrictEqual<unknown>(Result.getOrThrow(payload), {
      agent,
      input: "Hi",
      background: true,
      store: true,
      stream: false
    })
  })

  it("refuses store: false, which a background job cannot have, and sends nothing", () => {
    const error = Result.getOrThrow(Result.flip(GeminiInput.toPayload(request({ store: false }), about)))

    assert.deepInclude(error.verdict.reason, { _tag: "InvalidRequest", param: "store", provider: "gemini" })
    assert.strictEqual(error.evidence, "NotSent")
  })
})

describe("GeminiOutcome.stateOf", () => {
  it.each([["queued", "queued"], ["in_progress", "running"]] as const)("is pending while %s", (status, phase) => {
    assert.deepStrictEqual(stateOf({ id: "i", status }), { _tag: "Pending", status, phase, pollAfter: undefined })
  })

  it("takes the server's wait, but not one of zero", () => {
    const wait = (seconds: string) => stateOf({ status: "in_progress" }, new Headers({ "retry-after": seconds }))

    assert.deepInclude(wait("7"), { pollAfter: Duration.seconds(7) })
    assert.deepInclude(wait("0"), { pollAfter: undefined })
  })

  it("gives the answer without thoughts and without what it repeats of the input", () => {
    const answer = answerOf(stateOf({
      ...completed([
        { type: "user_input", content: [{ type: "text", text: "Secret prompt" }] },
        { type: "thought", signature: "s", summary: [{ type: "text", text: "Hmm" }] },
        output("Hello ", "world")
      ]),
      input: "Secret prompt",
      system_instruction: "Secret prompt",
      environment: { sources: [{ content: "Secret prompt" }] },
      usage: {
        total_input_tokens: 100,
        total_cached_tokens: 40,
        total_output_tokens: 20,
        total_thought_tokens: 300,
        total_tokens: 420
      }
    }))

    assert.deepInclude(answer, {
      content: "Hello world",
      finishReason: "stop",
      model: "gemini-3.8-flash-001",
      responseId: "v1_a"
    })
    assert.deepInclude(answer.usage, {
      inputTokens: 60,
      cacheReadTokens: 40,
      cacheWriteTokens: 0,
      outputTokens: 20,
      reasoningTokens: 300,
      totalTokens: 420
    })
    assert.notInclude(JSON.stringify(answer.response), "Secret prompt")
    assert.nestedPropertyVal(answer.response, "steps[1].content[1].text", "world")
  })

  it.each<[string, number | undefined, number, number]>([
    ["beside the input, as the total says", 175, 150, 175],
    ["beside the input, without a total", undefined, 150, 175],
    ["in the input, as the total says", 125, 100, 125]
  ])("counts what tools fed back %s", (_, total, inputTokens, totalTokens) => {
    const usage = {
      total_input_tokens: 100,
      total_output_tokens: 25,
      total_tool_use_tokens: 50,
      ...(total === undefined ? {} : { total_tokens: total })
    }
    const answer = answerOf(stateOf({ ...completed([output("Hi")]), usage }))

    assert.deepInclude(answer.usage, { inputTokens, totalTokens })
  })

  it.each<[string, unknown]>([
    ["none", undefined],
    ["null", null],
    ["text", "many"],
    ["negative counts", { total_input_tokens: -1 }],
    ["counts beyond all measure", { total_input_tokens: Number.MAX_SAFE_INTEGER, total_output_tokens: 9 }]
  ])("has no usage when it is %s", (_, usage) => {
    assert.isUndefined(answerOf(stateOf({ ...completed([output("Hi")]), usage })).usage)
  })

  it.each<[string, ReadonlyArray<object>, string]>([
    ["before a tool call", [output("I will search."), { type: "google_search_call" }, output("Found.")], "Found."],
    ["of the last outputs, over thoughts", [output("A"), { type: "thought" }, output("B")], "AB"],
    ["after an image", [{ type: "model_output", content: [text("See"), { type: "image" }, text("Done")] }], "Done"],
    ["of earlier turns", [output("Old"), { type: "user_input", content: [] }, output("New")], "New"]
  ])("takes the text that the model wrote last, none %s", (_, steps, expected) => {
    assert.strictEqual(answerOf(stateOf(completed(steps))).content, expected)
  })

  it("is an answer without content when the model made an image", () => {
    const answer = answerOf(stateOf(completed([{ type: "model_output", content: [{ type: "image", data: "AAEC" }] }])))

    assert.deepInclude(answer, { content: "", finishReason: "stop" })
  })

  it("is an answer with tool calls when they wait for the caller", () => {
    const call = { type: "function_call", id: "1", name: "weather", arguments: { city: "Paris" } }

    assert.deepInclude(answerOf(stateOf({ ...completed([call]), status: "requires_action" })), {
      content: "",
      finishReason: "tool-calls"
    })
  })

  it.each(["requires_action", "requires_continuation", "incomplete", "budget_exceeded"])(
    "is Incomplete for %s, with the text and the usage so far",
    (status) => {
      const usage = { total_input_tokens: 1, total_output_tokens: 2 }
      const reason = reasonOf(stateOf({ ...completed([output("So far")]), status, usage }))

      assert.deepInclude(reason, { _tag: "Incomplete", limit: status, content: "So far" })
      assert.nestedPropertyVal(reason, "usage.totalTokens", 3)
    }
  )

  it.each<[string, ReadonlyArray<object>]>([
    ["no steps", []],
    ["only thoughts", [{ type: "thought" }]],
    ["white space", [output(" \n")]],
    ["steps that are none", [{}, { type: "model_output" }, { type: "model_output", content: "text" }]]
  ])("is EmptyContent when it is completed with %s", (_, steps) => {
    assert.strictEqual(reasonOf(stateOf(completed(steps)))._tag, "EmptyContent")
  })

  it.each<[object, "Retryable" | "NonRetryable", string]>([
    [{ errors: [{ code: "rate_limit_exceeded", message: "Slow down" }] }, "Retryable", "RateLimited"],
    [{ errors: [{ code: "type.googleapis.com/errors/unavailable", message: "Busy" }] }, "Retryable", "Overloaded"],
    [{ errors: [{ code: "invalid_request", message: "No such tool" }] }, "NonRetryable", "InvalidRequest"],
    [{ errors: [{ code: "quota_exceeded", message: "Tomorrow" }] }, "NonRetryable", "QuotaExceeded"],
    [{ steps: [{ type: "model_output", error: { code: 13, message: "Oops" } }] }, "Retryable", "ServerError"],
    [{ steps: [{ type: "model_output", error: { code: 3, message: "Bad" } }] }, "NonRetryable", "InvalidRequest"],
    [{ error: { code: "internal_error", message: "Oops" } }, "Retryable", "ServerError"],
    [{}, "NonRetryable", "InvalidRequest"]
  ])("is JobFailed for %j: %s, %s", (change, tag, inner) => {
    const verdict = verdictOf(stateOf({ id: "v1_a", status: "failed", ...change }))

    assert.strictEqual(verdict._tag, tag)
    assert.nestedPropertyVal(verdict, "reason._tag", "JobFailed")
    assert.nestedPropertyVal(verdict, "reason.reason._tag", inner)
  })

  it("is JobCancelled with the text so far", () => {
    const reason = reasonOf(stateOf({ ...completed([output("So far")]), status: "cancelled" }))

    assert.deepInclude(reason, { _tag: "JobCancelled", content: "So far" })
  })

  it("is Unknown for a status that is not the API's", () => {
    assert.deepStrictEqual(stateOf({ id: "v1_a", status: "pondering" }), { _tag: "Unknown", status: "pondering" })
  })

  it.each<[string, unknown, string]>([
    ["HTML", "<html></html>", "InvalidResponse"],
    ["nothing", "", "InvalidResponse"],
    ["an array", [], "InvalidResponse"],
    ["no status", { id: "v1_a" }, "InvalidResponse"],
    ["an error", { error: { code: "unavailable", message: "Busy" } }, "Overloaded"]
  ])("fails, Uncertain, for a 200 with %s", (_, body, expected) => {
    const error = Result.getOrThrow(Result.flip(resultOf(body)))

    assert.strictEqual(error.verdict.reason._tag, expected)
    assert.strictEqual(error.evidence, "Uncertain")
  })
})

describe("GeminiInteractions", () => {
  it.effect("submits over a fresh connection, polls and cancels over any, with the key in its header", () =>
    Effect.gen(function*() {
      const running = { body: { id: "v1_a", status: "in_progress" } }
      const { jobs, requests } = adapter([running, running, running])

      const submitted = yield* jobs.submit(request(), { submissionId: "s" })
      yield* jobs.retrieve("v1_a")
      yield* jobs.cancel("v1_a")

      assert.deepStrictEqual(submitted, {
        jobId: "v1_a",
        state: { _tag: "Pending", status: "in_progress", phase: "running", pollAfter: undefined }
      })
      assert.deepStrictEqual(requests.map(({ isFresh, method, url }) => [method, url, isFresh]), [
        ["POST", "https://generativelanguage.googleapis.com/v1beta/interactions", true],
        ["GET", "https://generativelanguage.googleapis.com/v1beta/interactions/v1_a", false],
        ["POST", "https://generativelanguage.googleapis.com/v1beta/interactions/v1_a/cancel", false]
      ])
      for (const { headers } of requests) {
        assert.strictEqual(headers.get("x-goog-api-key"), secret)
        assert.isNull(headers.get("authorization"))
        assert.strictEqual(headers.get("x-extra"), "1")
      }
      assert.strictEqual(requests[0]?.headers.get("content-type"), "application/json")
      assert.deepStrictEqual(JSON.parse(requests[0]?.body ?? ""), {
        model: "gemini-3.8-flash",
        input: "Hi",
        background: true,
        store: true,
        stream: false
      })
      assert.isUndefined(requests[2]?.body)
    }))

  it.effect("makes a token for each request, and sends none without one", () =>
    Effect.gen(function*() {
      let made = 0
      const running = { body: { id: "v1_a", status: "in_progress" } }
      const fresh = adapter([running, running], { apiKey: Effect.sync(() => Redacted.make(`token-${++made}`)) })
      const keyless = adapter([running], { apiKey: undefined })
      yield* fresh.jobs.retrieve("v1_a")
      yield* fresh.jobs.retrieve("v1_a")
      yield* keyless.jobs.retrieve("v1_a")

      const keys = [...fresh.requests, ...keyless.requests].map(({ headers }) => headers.get("x-goog-api-key"))
      assert.deepStrictEqual(keys, ["token-1", "token-2", null])
    }))

  it.effect("takes an end that the server answers at once, also without an id", () =>
    Effect.gen(function*() {
      const { jobs } = adapter([{ body: { ...completed([output("Hi")]), id: undefined } }])

      const { jobId, state } = yield* jobs.submit(request(), { submissionId: "s" })

      assert.strictEqual(jobId, "")
      assert.strictEqual(answerOf(state).content, "Hi")
    }))

  it.effect("is InvalidResponse, Uncertain, for a job without an id", () =>
    Effect.gen(function*() {
      const { jobs } = adapter([{ body: { status: "in_progress" } }])
      const error = yield* Effect.flip(jobs.submit(request(), { submissionId: "s" }))

      assert.strictEqual(error.verdict.reason._tag, "InvalidResponse")
      assert.strictEqual(error.evidence, "Uncertain")
    }))

  it.effect("sends nothing for store: false", () =>
    Effect.gen(function*() {
      const { jobs, requests } = adapter([])
      yield* Effect.flip(jobs.submit(request({ store: false }), { submissionId: "s" }))

      assert.lengthOf(requests, 0)
    }))

  it.effect("looks the interaction up again when its cancel is refused", () =>
    Effect.gen(function*() {
      const { jobs } = adapter([
        { status: 400, body: failure("invalid_request", "Only a running interaction can be cancelled") },
        { body: completed([output("Hi")]) }
      ])

      assert.strictEqual(answerOf(yield* jobs.cancel("v1_a")).content, "Hi")
    }))

  it.effect("looks a cancelled interaction up once more when its usage is not told yet", () =>
    Effect.gen(function*() {
      const cancelled = { ...completed([]), status: "cancelled" }
      const usage = { total_input_tokens: 3, total_output_tokens: 5, total_tokens: 8 }
      const { jobs, requests } = adapter([
        { body: { ...cancelled, usage: undefined } },
        { body: { ...cancelled, usage } }
      ])
      const state = yield* jobs.cancel("v1_a")

      assert.nestedPropertyVal(state, "outcome.verdict.reason.usage.totalTokens", 8)
      assert.lengthOf(requests, 2)
    }))

  it.effect.each<[number, unknown, "Retryable" | "NonRetryable", string, string]>([
    [
      400,
      failure("invalid_request", "The legacy schema is no longer supported."),
      "NonRetryable",
      "InvalidRequest",
      "Refused"
    ],
    [
      400,
      [{ error: { code: 400, status: "INVALID_ARGUMENT", message: "Bad", details: [] } }],
      "NonRetryable",
      "InvalidRequest",
      "Refused"
    ],
    [404, failure("not_found", "Requested entity was not found."), "NonRetryable", "NotFound", "Refused"],
    [429, failure("quota_exceeded", "Come back tomorrow"), "NonRetryable", "QuotaExceeded", "Refused"],
    [
      429,
      { error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "Slow down" } },
      "Retryable",
      "RateLimited",
      "Refused"
    ],
    [
      403,
      { error: { code: 403, status: "PERMISSION_DENIED", message: "No" } },
      "NonRetryable",
      "PermissionDenied",
      "Refused"
    ],
    [503, { error: { code: 503, status: "UNAVAILABLE", message: "Busy" } }, "Retryable", "Overloaded", "Refused"],
    [500, failure("internal_error", "Oops"), "Retryable", "ServerError", "Refused"],
    [504, failure("deadline_exceeded", "Too slow"), "Retryable", "ServerError", "Uncertain"],
    [502, "<html>Bad gateway</html>", "Retryable", "ServerError", "Uncertain"],
    [302, "", "NonRetryable", "InvalidRequest", "Refused"]
  ])("classifies %i %j as %s %s, %s", ([status, body, tag, reason, evidence]) =>
    Effect.gen(function*() {
      const { jobs } = adapter([{ status, body }])
      const error = yield* Effect.flip(jobs.submit(request(), { submissionId: "s" }))

      assert.strictEqual(error.verdict._tag, tag)
      assert.strictEqual(error.verdict.reason._tag, reason)
      assert.strictEqual(error.evidence, evidence)
      assert.strictEqual(error.verdict.reason.provider, "gemini")
    }))

  it.effect("keeps the server's Retry-After", () =>
    Effect.gen(function*() {
      const details = [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "17s" }]
      const body = { error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "Slow down", details } }
      const { jobs } = adapter([{ status: 429, body }])
      const { verdict } = yield* Effect.flip(jobs.retrieve("v1_a"))

      assert.deepStrictEqual(verdict._tag === "Retryable" && verdict.retryAfter, Duration.seconds(17))
    }))

  it.effect("keeps the key out of errors", () =>
    Effect.gen(function*() {
      const { jobs } = adapter([{ status: 400, body: failure("invalid_request", `API key not valid: ${secret}`) }])
      const error = yield* Effect.flip(jobs.retrieve("v1_a"))

      assert.notInclude(inspect(error, { depth: 9 }) + JSON.stringify(error), secret)
    }))

  it.effect("refuses ids that no path can hold", () =>
    Effect.gen(function*() {
      const { jobs, requests } = adapter([{ body: { id: "x", status: "in_progress" } }])
      for (const id of ["", ".", ".."]) {
        assert.strictEqual((yield* Effect.flip(jobs.retrieve(id))).verdict.reason._tag, "NotFound")
      }
      yield* jobs.retrieve("../a?b")

      assert.isTrue(requests[0]?.url.endsWith("/interactions/..%2Fa%3Fb"))
    }))

  it("is kept for a day for certain, and cannot be looked up", () => {
    const { jobs } = adapter([])

    assert.deepStrictEqual(jobs.retention, { stored: Duration.days(1), unstored: Duration.days(1) })
    assert.isUndefined(jobs.find)
    assert.isUndefined(jobs.defaultDeadline)
  })
})

const secret = "AIzaSy-0123456789abcdef"

const about = { provider: "gemini", model: "gemini-3.8-flash" }

const request = (change: Partial<RequestInput> = {}): ResponseRequest =>
  Schema.decodeSync(ResponseRequest)({ model: "gemini/gemini-3.8-flash", prompt: "Hi", ...change })

function text(text: string) {
  return { type: "text", text }
}

function output(...texts: ReadonlyArray<string>) {
  return { type: "model_output", content: texts.map(text) }
}

function completed(steps: ReadonlyArray<object>) {
  return { id: "v1_a", object: "interaction", status: "completed", model: "gemini-3.8-flash-001", steps }
}

function failure(code: string, message: string) {
  return { error: { code, message } }
}

const resultOf = (body: unknown, headers = new Headers()) =>
  GeminiOutcome.stateOf({ status: 200, headers, body }, { ...about, operation: "retrieve", now: 0 })

const stateOf = (body: unknown, headers?: Headers): JobState => Result.getOrThrow(resultOf(body, headers))

const answerOf = (state: JobState) => {
  if (state._tag === "Ended" && state.outcome._tag === "Succeeded") return state.outcome.answer
  throw new Error(`no answer: ${inspect(state, { depth: 9 })}`)
}

const verdictOf = (state: JobState) => {
  if (state._tag === "Ended" && state.outcome._tag === "Failed") return state.outcome.verdict
  throw new Error(`no failure: ${inspect(state, { depth: 9 })}`)
}

const reasonOf = (state: JobState) => verdictOf(state).reason

interface Reply {
  readonly status?: number
  readonly body: unknown
}

interface Seen {
  readonly isFresh: boolean
  readonly method: string | undefined
  readonly url: string
  readonly headers: Headers
  readonly body: string | undefined
}

/** Answers the n-th request with the n-th reply, without a network. */
const adapter = (replies: ReadonlyArray<Reply>, options: Partial<GeminiInteractions.Options> = {}) => {
  const requests: Array<Seen> = []
  const answer = (isFresh: boolean) => (input: string | URL | Request, init: RequestInit = {}) => {
    const { body, status = 200 } = replies[requests.length] ?? { status: 500, body: "too many requests" }
    requests.push({
      isFresh,
      method: init.method,
      url: input.toString(),
      headers: new Headers(init.headers),
      body: init.body === undefined ? undefined : String(init.body)
    })
    return Promise.resolve(new Response(typeof body === "string" ? body : JSON.stringify(body), { status }))
  }
  const { jobs } = GeminiInteractions.make({
    name: "gemini",
    apiKey: Redacted.make(secret),
    headers: { "x-extra": "1" },
    fetch: answer(false),
    fetchFresh: answer(true),
    ...options
  })("gemini-3.8-flash")
  return { jobs, requests }
}
