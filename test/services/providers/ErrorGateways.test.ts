import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import type { ProviderError } from "../../../src/errors/ProviderError.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"

describe("ErrorClassifier, of gateways and compatible hosts", () => {
  it.each<readonly [number, unknown]>([
    [429, litellm("litellm.RateLimitError: OpenAIException - You exceeded your current quota, please check your plan")],
    [429, litellm("Error code: 429 - {'error': {'code': 'insufficient_quota'}}")],
    [429, litellm("AzureException: insufficient_quota", { type: null })],
    [500, litellm("litellm.APIError: You exceeded your current quota", { type: null, code: "500" })],
    [429, { error: { message: "You exceeded your current quota, please check your plan and billing details." } }],
    [
      429,
      litellm(
        "VertexAIException - {\"quotaId\": \"GenerateRequestsPerDayPerProjectPerModel\", \"retryDelay\": \"38s\"}"
      )
    ],
    [400, {
      error: {
        message: "Budget has been exceeded! Current cost: 1.2, Max budget: 1.0",
        type: "budget_exceeded",
        code: "400"
      }
    }],
    [429, { error: { message: "ExceededBudget: User=default_user_id over budget", type: "None", code: "429" } }],
    [402, {
      error: { code: 402, message: "Insufficient credits. Add more using https://openrouter.ai/settings/credits" }
    }],
    [429, {
      error: {
        code: 429,
        message: "Provider returned error",
        metadata: { raw: "{\"error\":{\"message\":\"No money\",\"code\":\"insufficient_quota\"}}" }
      }
    }],
    [500, { error: { message: "API error 402: {\"error\":{\"type\":\"insufficient_funds\"}}", type: "api_error" } }],
    [429, { error: { message: "Words", type: "insufficient_funds" } }],
    [429, { error: { message: "Words", type: "insufficient_quota", code: "insufficient_credits" } }],
    [403, { error: { message: "Words", code: "insufficient_user_quota" } }],
    [402, { error: "Insufficient USD or Diem balance to complete request" }],
    [429, {
      error: { message: "Insufficient balance or no resource package. Please recharge.", type: "AI_APICallError" }
    }]
  ])("finds a quota behind %i %o", (status, body) => {
    assert.strictEqual(short(http(status, body)), "NonRetryable QuotaExceeded")
  })

  it.each<readonly [number, unknown]>([
    [429, litellm("litellm.RateLimitError: RateLimitError: OpenAIException - Rate limit reached for gpt-5")],
    [
      429,
      litellm("GeminiException - You exceeded your current quota … \"status\": \"RESOURCE_EXHAUSTED\" … retry in 38s")
    ],
    [429, litellm("GeminiException - You exceeded your current quota … GenerateRequestsPerMinutePerProject")],
    [429, [{ error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "You exceeded your current quota" } }]],
    [429, {
      error: { message: "You exceeded your current quota … see https://ai.google.dev/gemini-api/docs/rate-limits" }
    }]
  ])("leaves a rate limit one: %i %o", (status, body) => {
    assert.strictEqual(short(http(status, body)), "Retryable RateLimited")
  })

  describe("takes a submission for uncertain, as the upstream may have taken it:", () => {
    it.each([
      "Server disconnected",
      "litellm.InternalServerError: OpenAIException - Connection error.",
      "litellm.APIConnectionError: Server disconnected without sending a response.",
      "Response payload is not completed: <TransferEncodingError: 400>",
      "upstream connect error or disconnect/reset before headers. reset reason: connection termination",
      "upstream request timeout",
      "The upstream server timed out",
      "Request timed out.",
      "peer closed connection without sending complete message body (incomplete chunked read)",
      "('Connection aborted.', RemoteDisconnected('Remote end closed connection without response'))",
      "read ECONNRESET",
      "socket hang up",
      "write: broken pipe",
      "unexpected EOF",
      "Connection reset by peer",
      "fetch failed"
    ])("%s", (message) => {
      for (const status of [500, 502, 503]) {
        for (
          const body of [
            { error: { message, type: "server_error", param: null, code: "500" } },
            { error: { message, type: "None", param: "None", code: String(status) } },
            { type: "error", error: { type: "api_error", message } },
            message
          ]
        ) {
          const error = http(status, body)

          assert.deepStrictEqual([short(error), error.evidence], ["Retryable ServerError", "Uncertain"])
        }
      }
    })

    it.each([
      { message: "Internal server error" },
      { message: "An unexpected error occurred", request_id: "1" },
      { timestamp: "2026-11-22T12:00:00Z", status: 500, error: "Internal Server Error", message: "Words", path: "/v1" },
      { errors: [{ message: "Words", code: 1000 }] },
      { code: 500, message: "Words" },
      { success: false, errors: [{ code: 7000, message: "No route" }] },
      { detail: "Words" },
      { error: "Internal Server Error" },
      { error: { code: "internal_error" } },
      { __type: "InternalServerException", message: "Words" }
    ])("JSON that is not the protocol's error: %o", (body) => {
      for (const status of [500, 503]) {
        assert.strictEqual(http(status, body).evidence, "Uncertain")
        assert.strictEqual(http(status, JSON.stringify(body)).evidence, "Uncertain")
      }
    })

    it("codes that say so", () => {
      for (const code of ["timeout_error", "DEADLINE_EXCEEDED", "upstream_error", "api_connection_error"]) {
        assert.strictEqual(http(500, { error: { message: "Words", code } }).evidence, "Uncertain")
      }
    })
  })

  it.each([
    { error: { message: "The server had an error while processing your request", type: "server_error" } },
    { type: "error", error: { type: "api_error", message: "Internal server error" } },
    [{ error: { code: 503, message: "The model is overloaded", status: "UNAVAILABLE" } }]
  ])("takes the protocol's own error for a refusal: %o", (body) => {
    assert.strictEqual(http(503, body).evidence, "Refused")
  })

  it("takes a 4xx for a refusal, whatever its words", () => {
    assert.strictEqual(http(429, { error: { message: "temporarily rate-limited upstream" } }).evidence, "Refused")
    assert.strictEqual(http(400, { message: "Connection error" }).evidence, "Refused")
  })

  it.each<readonly [number, unknown, string]>([
    [
      400,
      { error: { message: "User input tokens exceeds 4096 tokens", type: "too_many_prompt_tokens", code: 400 } },
      "ContextLengthExceeded"
    ],
    [
      400,
      { object: "error", message: "Invalid model: x", type: "invalid_model", param: null, code: "1500" },
      "NotFound"
    ],
    [500, {
      error: {
        code: 500,
        message: "image input is not supported - hint: if this is unexpected, you may need to provide the mmproj",
        type: "server_error"
      }
    }, "InvalidRequest"],
    [
      500,
      { error: { code: 500, message: "audio input is not supported - hint: …", type: "server_error" } },
      "InvalidRequest"
    ],
    [
      500,
      { error: { message: "this model is missing data required for image input", type: "api_error" } },
      "InvalidRequest"
    ],
    [
      500,
      { error: "{\"error\":{\"message\":\"image input is not supported - hint: provide the mmproj\"}}" },
      "InvalidRequest"
    ],
    [
      400,
      { object: "error", message: "m is not a multimodal model", type: "BadRequestError", code: 400 },
      "InvalidRequest"
    ],
    [500, { error: "Model does not support images. Please use a model that does." }, "InvalidRequest"],
    [404, { error: { code: 404, message: "No endpoints found that support image input" } }, "InvalidRequest"],
    [
      500,
      { error: { code: 500, message: "tools param requires --jinja flag", type: "server_error" } },
      "InvalidRequest"
    ],
    [200, { error: "Unexpected endpoint or method. (POST /responses)" }, "NotFound"]
  ])("knows %i %o", (status, body, expected) => {
    const error = http(status, body)

    assert.strictEqual(short(error), `NonRetryable ${expected}`)
  })

  describe("names the request where there is no such API at the address", () => {
    const said = (url: string, body: unknown, status = 404) =>
      http(status, body, { method: "post", url }).verdict.reason.message

    it.each<readonly [string, unknown, string]>([
      ["Ollama without /v1", "404 page not found", "404 page not found"],
      ["vLLM without /v1", { detail: "Not Found" }, "Not Found"],
      ["a page", "<html><title>Nothing here</title></html>", "HTML instead of JSON: Nothing here"],
      ["nothing", "", "HTTP 404"]
    ])("%s", (_name, body, message) => {
      assert.strictEqual(
        said("http://127.0.0.1:8000/chat/completions", body),
        `${message} (POST http://127.0.0.1:8000/chat/completions; the base URL may have to end with /v1)`
      )
    })

    it("with another hint, or none, as the path has a version", () => {
      assert.strictEqual(
        said("https://h.example/v1/v1/messages", "no"),
        "no (POST https://h.example/v1/v1/messages; the base URL must not end with /v1, which is added to it)"
      )
      assert.strictEqual(
        said("https://h.example/v1beta/interactions", "no"),
        "no (POST https://h.example/v1beta/interactions)"
      )
    })

    it("without query, user, password and key", () => {
      const message = http(404, "no", {
        method: "get",
        url: "https://user:hunter22@h.example/sk-abcdefghijkl/x?key=hunter22#y"
      }, "sk-abcdefghijkl").verdict.reason.message

      assert.include(message, "GET https://h.example/")
      assert.notMatch(message, /hunter22|abcdefghijkl|user/)
    })

    it("and not where the provider says itself what is missing, or the URL cannot be parsed", () => {
      const own = { error: { message: "The model `x` does not exist", code: "model_not_found" } }

      assert.strictEqual(said("https://h.example/v1/responses", own), "The model `x` does not exist")
      assert.strictEqual(
        said("https://h.example/v1/responses", { error: "model 'x' not found" }),
        "model 'x' not found"
      )
      assert.include(
        said("http://127.0.0.1:1234/responses", { error: "Unexpected endpoint or method. (POST /responses)" }, 200),
        "; the base URL may have to end with /v1)"
      )
      assert.strictEqual(said("no url", "no"), "no")
      assert.strictEqual(said("https://h.example/v1/responses", "no", 400), "no")
      assert.include(said("https://h.example/responses", "no", 405), "POST https://h.example/responses")
    })
  })
})

function litellm(message: string, more: object = {}) {
  return { error: { message, type: "throttling_error", param: null, code: "429", ...more } }
}

const context: ErrorClassifier.Context = { provider: "test", operation: "submit", now: Date.UTC(2026, 10, 22) }

function http(
  status: number,
  body: unknown,
  request?: ErrorClassifier.Context["request"],
  key = "unused"
): ProviderError {
  return ErrorClassifier.fromBody({ status, body }, { ...context, request, keys: [Redacted.make(key)] })
}

const short = ({ verdict }: ProviderError) => `${verdict._tag} ${verdict.reason._tag}`
