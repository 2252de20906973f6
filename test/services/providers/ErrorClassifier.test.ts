import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import { ProviderError, type Verdict } from "../../../src/errors/ProviderError.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"

describe("ErrorClassifier", () => {
  describe("of an HTTP answer", () => {
    it.each(codeRows)("takes the code or type %s under %s for %s", (signal, status, expected) => {
      for (const field of ["code", "type", "status"]) {
        assert.strictEqual(short(http(status, { error: { message: "Words", [field]: signal } })), expected)
      }
      assert.strictEqual(
        short(http(status, { type: "error", error: { type: "x", message: "Words", details: { error_code: signal } } })),
        expected
      )
    })

    it.each(textRows)("takes the words %s under %s for %s", (message, status, expected) => {
      const error = http(status, { error: { message, type: "invalid_request_error" } })

      assert.strictEqual(short(error), expected)
      assert.isTrue(error.verdict.reason.inferred)
    })

    it.each(statusRows)("takes a bare status %i for %s, evidence %s", (status, expected, evidence, ownEvidence) => {
      const bare = http(status, "<html><title>Oops</title></html>")
      const own = http(status, { error: { message: "Words" } })

      assert.deepStrictEqual([short(bare), bare.evidence], [expected, evidence])
      assert.deepStrictEqual([short(own), own.evidence], [
        status < 300 ? "Retryable ServerError" : expected,
        ownEvidence
      ])
      assert.strictEqual(bare.verdict.reason.status, status)
    })

    it("tries codes before types, types before words, words before the status", () => {
      const words = "Your credit balance is too low"

      assert.strictEqual(
        short(http(429, { error: { code: "rate_limit_exceeded", type: "insufficient_quota", message: "" } })),
        "Retryable RateLimited"
      )
      assert.strictEqual(
        short(http(429, { error: { code: "credit_balance_exhausted", type: "insufficient_quota", message: "" } })),
        "NonRetryable QuotaExceeded"
      )
      assert.strictEqual(
        short(http(400, { error: { type: "not_found_error", message: words } })),
        "NonRetryable NotFound"
      )
      assert.strictEqual(short(http(400, { error: { message: words } })), "NonRetryable QuotaExceeded")
      assert.strictEqual(short(http(400, { error: { message: "Words" } })), "NonRetryable InvalidRequest")
    })

    it("is not misled by a prompt that the provider quotes", () => {
      const error = http(400, {
        error: { message: "Invalid value: 'why is there a rate limit? too many requests, overloaded'" }
      })

      assert.strictEqual(short(error), "NonRetryable InvalidRequest")
    })

    it("does not retry a rate limit that no wait can cure", () => {
      for (
        const message of [
          "Request too large for gpt-4o on tokens per min (TPM): Limit 1, Requested 30.",
          "Rate limit reached on tokens per min (TPM): Limit 30000, Requested 45000. Please try again later."
        ]
      ) {
        assert.strictEqual(
          short(http(429, { error: { code: "rate_limit_exceeded", type: "tokens", message } })),
          "NonRetryable InvalidRequest"
        )
      }
      assert.strictEqual(
        short(http(429, {
          error: { code: "rate_limit_exceeded", message: "Limit 300000, Used 286751, Requested 16144." }
        })),
        "Retryable RateLimited"
      )
      assert.strictEqual(short(http(429, { message: "Request too large" })), "NonRetryable InvalidRequest")
      assert.strictEqual(
        short(http(429, { error: { code: "rate_limit_exceeded", message: "prompt is too long: 9 > 8" } })),
        "NonRetryable ContextLengthExceeded"
      )
      assert.strictEqual(
        short(http(429, {
          type: "error",
          error: { type: "rate_limit_error", code: "1113", message: "[1113][Insufficient balance. Please recharge.]" }
        })),
        "NonRetryable QuotaExceeded"
      )
      for (
        const message of [
          "Your prepayment credits are depleted.",
          "Your project has exceeded its monthly spending cap."
        ]
      ) {
        assert.strictEqual(
          short(http(429, [{ error: { code: 429, message, status: "RESOURCE_EXHAUSTED" } }])),
          "NonRetryable QuotaExceeded"
        )
      }
    })

    it.each([
      ["Your team has either used all available credits or reached its limit.", "NonRetryable QuotaExceeded", true],
      ["Content violates usage guidelines. Failed check: BIO", "NonRetryable ContentFiltered", true],
      ["Your team may not use this model.", "NonRetryable PermissionDenied", undefined]
    ])("reads why xAI denies permission: %s", (words, expected, inferred) => {
      const error = http(403, { code: "permission-denied", error: words })

      assert.strictEqual(short(error), expected)
      assert.strictEqual(error.verdict.reason.inferred, inferred)
    })

    it("does not take a long user id for a long prompt", () => {
      const error = (param: string) =>
        short(http(400, { error: { code: "string_above_max_length", param, message: "string too long" } }))

      assert.strictEqual(error("input"), "NonRetryable ContextLengthExceeded")
      assert.strictEqual(error("user"), "NonRetryable InvalidRequest")
    })

    it("takes a daily quota of Gemini for a quota, one per minute for a rate limit", () => {
      const body = (quotaId: string) => [{
        error: {
          code: 429,
          status: "RESOURCE_EXHAUSTED",
          message: "You exceeded your current quota",
          details: [{ "@type": "QuotaFailure", violations: [{ quotaId }] }, { retryDelay: "1.5s" }]
        }
      }]
      const perMinute = http(429, body("GenerateRequestsPerMinutePerProject"))

      assert.strictEqual(
        short(http(429, body("GenerateRequestsPerDayPerProjectPerModel"))),
        "NonRetryable QuotaExceeded"
      )
      assert.strictEqual(short(perMinute), "Retryable RateLimited")
      assert.deepStrictEqual(waits(perMinute.verdict), ["1500 millis", undefined])
    })

    it.each<readonly [number, string, string]>([
      [429, "false", "NonRetryable QuotaExceeded"],
      [500, "false", "NonRetryable InvalidRequest"],
      [409, "false", "NonRetryable InvalidRequest"],
      [503, "true", "Retryable ServerError"],
      [400, "true", "NonRetryable InvalidRequest"],
      [401, "true", "NonRetryable AuthenticationFailed"],
      [418, "true", "Retryable InvalidResponse"],
      [418, "false", "NonRetryable InvalidRequest"]
    ])("of status %i with x-should-retry: %s is %s", (status, verdict, expected) => {
      const error = ErrorClassifier.fromBody({ status, headers: { "X-Should-Retry": verdict }, body: "" }, context)

      assert.strictEqual(short(error), expected)
    })

    it("hears x-should-retry: false only after codes, types and words", () => {
      const headers = { "x-should-retry": "false" }
      const say = (error: unknown) =>
        short(ErrorClassifier.fromBody({ status: 503, headers, body: { error } }, context))

      assert.strictEqual(say({ code: "server_is_overloaded", message: "" }), "Retryable Overloaded")
      assert.strictEqual(say({ type: "rate_limit_error", message: "" }), "Retryable RateLimited")
      assert.strictEqual(say({ message: "The model is overloaded" }), "Retryable Overloaded")
      assert.strictEqual(say({ message: "Words" }), "NonRetryable InvalidRequest")
    })

    it.each(shapes)("reads %s", (_name, status, body, expected, said) => {
      const error = http(status, body)
      const { code, message, param, type } = error.verdict.reason

      assert.strictEqual(short(error), expected)
      assert.deepStrictEqual({ code, message, param, type }, {
        code: undefined,
        param: undefined,
        type: undefined,
        ...said
      })
    })

    it("reads a body that is text as JSON where it is JSON", () => {
      const error = http(429, JSON.stringify({ error: { code: "insufficient_quota", message: "Words" } }))

      assert.strictEqual(short(error), "NonRetryable QuotaExceeded")
    })

    it("keeps the id of the request, from headers or body", () => {
      for (const name of ["x-request-id", "request-id", "apim-request-id", "x-amzn-requestid"]) {
        const headers = new Headers({ [name]: "req_1" })
        const fromHeader = ErrorClassifier.fromBody({ status: 500, headers, body: "" }, context)
        assert.strictEqual(fromHeader.verdict.reason.requestId, "req_1", name)
      }
      const fromBody = http(529, { type: "error", error: { message: "Words" }, request_id: "req_2" })

      assert.strictEqual(fromBody.verdict.reason.requestId, "req_2")
      assert.strictEqual(fromBody.verdict.reason.provider, "test")
    })

    it("carries the server's wait, and a hint only where there is none", () => {
      const limits = { "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s" }
      const body = { error: { code: "rate_limit_exceeded", message: "Please try again in 20s." } }
      const say = (headers: Record<string, string>, status = 429) =>
        waits(ErrorClassifier.fromBody({ status, headers, body }, context).verdict)

      assert.deepStrictEqual(say({ "Retry-After": "2", ...limits }), ["20000 millis", undefined])
      assert.deepStrictEqual(say({ "Retry-After": "30", ...limits }), ["30000 millis", undefined])
      assert.deepStrictEqual(say(limits), ["20000 millis", undefined])
      assert.deepStrictEqual(say({ "retry-after": "soon" }), ["20000 millis", undefined])
      assert.deepStrictEqual(
        waits(ErrorClassifier.fromBody({ status: 429, headers: limits, body: "" }, context).verdict),
        [undefined, "360000 millis"]
      )
      assert.deepStrictEqual(
        waits(ErrorClassifier.fromBody({ status: 503, headers: { "retry-after": "0" }, body: "" }, context).verdict),
        ["0 millis", undefined]
      )
    })
  })

  describe("of an answer that says nothing of an error", () => {
    it.each<readonly [string, unknown]>([
      ["HTML", "<html>Too many requests: rate limit</html>"],
      ["text", "Rate limit"],
      ["nothing", ""],
      ["null", null],
      ["another shape", { message: "prompt is too long" }],
      ["an empty error", { error: null, id: "resp_1" }]
    ])("is InvalidResponse for %s under 200", (_name, body) => {
      const error = http(200, body)

      assert.deepStrictEqual([short(error), error.evidence], ["Retryable InvalidResponse", "Uncertain"])
    })
  })

  it("says what arrived under a 2xx that cannot be read, in at most 100 characters and without keys", () => {
    const headers = { "content-type": "text/html; charset=utf-8" }
    const body = `<html>\n${"x".repeat(70)} sk-proj-0123456789abcdefghij ${"y".repeat(9000)}`
    const { message } = ErrorClassifier.fromBody({ status: 200, headers, body }, context).verdict.reason

    assert.strictEqual(
      message,
      `HTTP 200 with a body that cannot be read: text/html; charset=utf-8, 9107 characters: <html> ${
        "x".repeat(70)
      } [redacted] ${"y".repeat(10)}…`
    )
    assert.strictEqual(
      http(204, "").verdict.reason.message,
      "HTTP 204 with a body that cannot be read: no content type, empty"
    )
    assert.strictEqual(
      http(200, { id: 1 }).verdict.reason.message,
      "HTTP 200 with a body that cannot be read: no content type, 8 characters: {\"id\":1}"
    )
  })

  describe("of an error in a stream or under 200", () => {
    it.each<readonly [string, unknown, string]>([
      [
        "an overloaded Anthropic",
        { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
        "Retryable Overloaded"
      ],
      [
        "a flat Responses event",
        { type: "error", code: "insufficient_quota", message: "Words", sequence_number: 3 },
        "NonRetryable QuotaExceeded"
      ],
      ["an upstream status", { error: { code: 502, message: "Words" } }, "Retryable ServerError"],
      ["an upstream 400", { error: { code: 400, message: "Words" } }, "NonRetryable InvalidRequest"],
      ["a bare message", { error: { message: "Words" } }, "Retryable ServerError"],
      ["an unknown code", { error: { code: "unknown-error", message: "Words" } }, "Retryable ServerError"],
      ["a vague type", { error: { type: "invalid_request_error", message: "Words" } }, "NonRetryable InvalidRequest"],
      ["an image", { error: { code: "invalid_image_url", message: "Words" } }, "NonRetryable InvalidRequest"],
      ["words of a rate limit", { error: { message: "Rate limit reached" } }, "Retryable RateLimited"]
    ])("reads %s", (_name, body, expected) => {
      for (const status of [undefined, 200]) {
        const error = ErrorClassifier.fromBody({ status, body }, { ...context, operation: "call" })

        assert.deepStrictEqual([short(error), error.evidence], [expected, "Uncertain"])
      }
    })

    it.each<readonly [unknown, string]>([
      [{ type: "error", code: "insufficient_quota", message: "Words" }, "Uncertain"],
      [{ type: "error", code: "rate_limit_exceeded", message: "Words" }, "Uncertain"],
      [{ type: "error", status: 402, error: { code: "insufficient_quota", message: "Words" } }, "Refused"],
      [{ error: { code: 429, message: "Words" } }, "Refused"],
      [{ error: { type: "usage_limit_reached", message: "Words" } }, "Refused"],
      [{ type: "error", status_code: 429, error: { type: "usage_limit_reached", message: "Words" } }, "Refused"],
      [{ type: "error", status: 400, error: { message: "Words" } }, "Uncertain"],
      [{ error: { code: "invalid_api_key", message: "Words" } }, "Uncertain"],
      [{ error: { code: 408, message: "Words" } }, "Uncertain"],
      [{ error: { code: 502, message: "Words" } }, "Uncertain"],
      [{ error: { code: "server_error", message: "Words" } }, "Uncertain"],
      [{ error: { message: "Words" } }, "Uncertain"],
      [{ type: "error", error: { type: "overloaded_error", message: "Words" } }, "Uncertain"]
    ])("says whether a submission was refused: %o", (body, evidence) => {
      for (const status of [undefined, 200]) {
        assert.strictEqual(ErrorClassifier.fromBody({ status, body }, context).evidence, evidence)
      }
    })
  })
})

/** Code or type, status, verdict. */
const codeRows: Array<readonly [string, number, string]> = [
  ...rows("NonRetryable QuotaExceeded", 429, [
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "billing_not_active",
    "enforced_spend_limit_reached",
    "contract_spend_limit_reached",
    "quota_exceeded",
    "exceeded_current_quota_error"
  ]),
  ...rows("NonRetryable QuotaExceeded", 400, ["Arrearage"]),
  ...rows("NonRetryable QuotaExceeded", 403, ["AccountOverdueError", "OperationDenied.ServiceOverdue"]),
  ...rows("NonRetryable QuotaExceeded", 402, [
    "billing_error",
    "payment_required",
    "linked_organization_spend_limit_reached"
  ]),
  ...rows("Retryable RateLimited", 429, [
    "rate_limit_exceeded",
    "tokens",
    "requests",
    "rate_limit_error",
    "slow_down",
    "ramp_limit_exceeded",
    "RESOURCE_EXHAUSTED",
    "ThrottlingException",
    "com.amazon.coral.service#ThrottlingException",
    "ThrottlingException:http://internal.amazon.com/",
    "token_quota_reached",
    "RateLimitReached",
    "rate_limit_reached_error"
  ]),
  ...rows("Retryable Overloaded", 429, ["resource_unavailable", "engine_overloaded_error", "ServerOverloaded"]),
  ...rows("Retryable Overloaded", 498, ["capacity_exceeded"]),
  ...rows("Retryable Overloaded", 529, ["overloaded_error"]),
  ...rows("Retryable Overloaded", 503, [
    "server_is_overloaded",
    "service_unavailable_error",
    "slow_down",
    "UNAVAILABLE",
    "ModelNotReadyException",
    "provider_overloaded"
  ]),
  ...rows("Retryable ServerError", 500, ["api_error", "server_error", "INTERNAL", "a_code_of_next_year"]),
  ...rows("Retryable ServerError", 504, ["timeout_error", "DEADLINE_EXCEEDED"]),
  ...rows("Retryable ServerError", 503, ["cmek_key_unreachable", "cmek_context_unavailable"]),
  ...rows("Retryable Conflict", 409, ["conflict_error", "invalid_request_error"]),
  ...rows("NonRetryable AuthenticationFailed", 401, [
    "invalid_api_key",
    "authentication_error",
    "UNAUTHENTICATED",
    "ip_not_authorized",
    "api_error"
  ]),
  ...rows("NonRetryable AuthenticationFailed", 400, ["API_KEY_INVALID"]),
  ...rows("NonRetryable PermissionDenied", 403, [
    "permission_error",
    "PERMISSION_DENIED",
    "unsupported_country_region_territory",
    "model_not_found"
  ]),
  ...rows("NonRetryable PermissionDenied", 400, ["organization_on_hold"]),
  ...rows("NonRetryable NotFound", 404, ["model_not_found", "not_found_error", "NOT_FOUND", "DeploymentNotFound"]),
  ...rows("NonRetryable NotFound", 400, ["model_not_found"]),
  ...rows("NonRetryable InvalidOutput", 400, ["json_validate_failed"]),
  ...rows("NonRetryable ContextLengthExceeded", 400, [
    "context_length_exceeded",
    "string_above_max_length",
    "model_context_window_exceeded",
    "exceed_context_size_error",
    "TOO_MANY_TOKENS"
  ]),
  ...rows("NonRetryable ContentFiltered", 400, [
    "content_policy_violation",
    "content_filter",
    "ResponsibleAIPolicyViolation",
    "bio_policy",
    "misalignment_policy_violation",
    "image_content_policy_violation",
    "data_inspection_failed",
    "DataInspectionFailed",
    "SensitiveContentDetected",
    "SensitiveContentDetected.Violence",
    "InputTextSensitiveContentDetected"
  ]),
  ...rows("NonRetryable InvalidRequest", 400, [
    "previous_response_not_found",
    "invalid_encrypted_content",
    "invalid_prompt",
    "invalid-argument",
    "INVALID_ARGUMENT",
    "FAILED_PRECONDITION",
    "ValidationException",
    "a_code_of_next_year"
  ]),
  ...rows("NonRetryable InvalidRequest", 413, ["request_too_large"])
]

/** Words, status, verdict. */
const textRows: Array<readonly [string, number, string]> = [
  ...[
    "This model's maximum context length is 8192 tokens",
    "prompt is too long: 210000 tokens > 200000 maximum",
    "Prompt: Length of 5 exceeds 4",
    "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
    "Your input exceeds the context window of this model",
    "Input tokens exceed the configured limit of 272000 tokens",
    "the request exceeds the available context size. try increasing the context size",
    "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)",
    "The prompt (9 tokens) is longer than the model's context length (8 tokens)",
    "Please reduce the length. Current length is 9000 while limit is 8000",
    "The maximum input length is 8000 tokens",
    "Input Tokens Exceeded: Number of input tokens exceeds maximum length",
    "too many tokens: size limit exceeded by 25836 tokens",
    "Input is too long for requested model",
    "This model's maximum prompt length is 131072 but the request contains 136973 tokens.",
    "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
    "The decoder prompt (length 8357) is longer than the maximum model length of 8192.",
    "The number of tokens to keep from the initial prompt is greater than the context length",
    "However, the model is loaded with context length of only 4096 tokens, which is not enough.",
    "prompt too long; exceeded max context length by 4096 tokens",
    "invalid params, context window exceeds limit (2013)",
    "Invalid request: Your request exceeded model token limit: 262144 (requested: 300000)",
    "Prompt exceeds max length",
    "Range of input length should be [1, 30720]",
    "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193.",
    "Input validation error: `inputs` must have less than 4096 tokens."
  ].flatMap((text) =>
    [400, 413, 422, 429].map((status) => [text, status, "NonRetryable ContextLengthExceeded"] as const)
  ),
  ...rows("NonRetryable ContentFiltered", 400, [
    "Your request was rejected as a result of our safety system",
    "Your request was rejected as a result of the safety system",
    "Output blocked by content filtering policy",
    "the prompt triggering Azure OpenAI's content management policy",
    "flagged as potentially violating our usage policy"
  ]),
  ...rows("NonRetryable ContentFiltered", 403, [
    "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO"
  ]),
  ...rows("NonRetryable QuotaExceeded", 400, [
    "Your credit balance is too low to access the Anthropic API",
    "You have reached your workspace spend limit"
  ]),
  ...rows("NonRetryable QuotaExceeded", 403, [
    "You have run out of credits or need a subscription.",
    "Your newly created team doesn't have any credits yet."
  ]),
  ...rows("NonRetryable QuotaExceeded", 429, [
    "Insufficient balance or no resource package. Please recharge.",
    "Your team has either used all available credits or reached its monthly spending limit."
  ]),
  ...rows("NonRetryable PermissionDenied", 400, [
    "This organization has been disabled.",
    "User location is not supported for the API use."
  ]),
  ...rows("NonRetryable AuthenticationFailed", 400, ["Incorrect API key provided.", "API key not valid."]),
  ...rows("NonRetryable AuthenticationFailed", 403, ["The security token included in the request is invalid."]),
  ...rows("Retryable Overloaded", 429, ["The system is currently experiencing high demand"])
]

/** Status, verdict, evidence with a page of HTML, evidence with the provider's JSON. */
const statusRows: Array<readonly [number, string, string, string]> = [
  [200, "Retryable InvalidResponse", "Uncertain", "Uncertain"],
  [202, "Retryable InvalidResponse", "Uncertain", "Uncertain"],
  ...[301, 302, 304, 307, 308].map((status) => [status, "NonRetryable InvalidRequest", "Refused", "Refused"] as const),
  ...[400, 405, 406, 411, 413, 415, 418, 422, 431, 451].map((status) =>
    [status, "NonRetryable InvalidRequest", "Refused", "Refused"] as const
  ),
  [401, "NonRetryable AuthenticationFailed", "Refused", "Refused"],
  [402, "NonRetryable QuotaExceeded", "Refused", "Refused"],
  [403, "NonRetryable PermissionDenied", "Refused", "Refused"],
  [404, "NonRetryable NotFound", "Refused", "Refused"],
  [408, "Retryable ServerError", "Uncertain", "Uncertain"],
  [409, "Retryable Conflict", "Refused", "Refused"],
  [412, "Retryable Conflict", "Refused", "Refused"],
  [429, "Retryable RateLimited", "Refused", "Refused"],
  [499, "Retryable Network", "Uncertain", "Uncertain"],
  [500, "Retryable ServerError", "Uncertain", "Refused"],
  [501, "NonRetryable InvalidRequest", "Uncertain", "Refused"],
  [502, "Retryable ServerError", "Uncertain", "Uncertain"],
  [503, "Retryable ServerError", "Uncertain", "Refused"],
  [504, "Retryable ServerError", "Uncertain", "Uncertain"],
  [505, "NonRetryable InvalidRequest", "Uncertain", "Refused"],
  [520, "Retryable ServerError", "Uncertain", "Uncertain"],
  [524, "Retryable ServerError", "Uncertain", "Uncertain"],
  [529, "Retryable Overloaded", "Uncertain", "Refused"],
  [600, "Retryable InvalidResponse", "Uncertain", "Uncertain"]
]

const shapes: Array<readonly [string, number, unknown, string, Record<string, string>]> = [
  [
    "OpenAI's",
    400,
    { error: { message: "Words", type: "invalid_request_error", param: "stop", code: "unsupported_parameter" } },
    "NonRetryable InvalidRequest",
    { message: "Words", type: "invalid_request_error", param: "stop", code: "unsupported_parameter" }
  ],
  [
    "Anthropic's",
    429,
    {
      type: "error",
      error: { type: "rate_limit_error", message: "Words", details: { error_code: "enforced_spend_limit_reached" } }
    },
    "NonRetryable QuotaExceeded",
    {
      message: "Words",
      type: "rate_limit_error",
      code: "enforced_spend_limit_reached"
    }
  ],
  [
    "Azure's inner error",
    400,
    { error: { message: "Words", code: null, innererror: { code: "ResponsibleAIPolicyViolation" } } },
    "NonRetryable ContentFiltered",
    { message: "Words", code: "ResponsibleAIPolicyViolation" }
  ],
  ["Gemini's array", 404, [{ error: { code: 404, message: "Words", status: "NOT_FOUND" } }], "NonRetryable NotFound", {
    message: "Words",
    code: "404",
    type: "NOT_FOUND"
  }],
  [
    "llama.cpp's numeric code",
    500,
    { error: { code: 500, message: "Words", type: "server_error" } },
    "Retryable ServerError",
    { message: "Words", code: "500", type: "server_error" }
  ],
  ["Hugging Face's", 503, { error: "Model is loading", error_type: "overloaded" }, "Retryable Overloaded", {
    message: "Model is loading",
    type: "overloaded"
  }],
  ["Ollama's", 404, { error: "model 'x' not found" }, "NonRetryable NotFound", { message: "model 'x' not found" }],
  ["xAI's", 400, { code: "invalid-argument", error: "Words" }, "NonRetryable InvalidRequest", {
    message: "Words",
    code: "invalid-argument"
  }],
  ["FastAPI's", 401, { detail: "Invalid API Key" }, "NonRetryable AuthenticationFailed", {
    message: "Invalid API Key"
  }],
  [
    "FastAPI's validation",
    422,
    { detail: [{ loc: ["body", "model"], msg: "field required", type: "missing" }] },
    "NonRetryable InvalidRequest",
    { message: "body.model: field required" }
  ],
  ["an object under detail", 404, { detail: { message: "Words", code: "not_found" } }, "NonRetryable NotFound", {
    message: "Words",
    code: "not_found"
  }],
  [
    "Cohere's",
    400,
    { id: "1", message: "Words", error_type: "TOO_MANY_TOKENS" },
    "NonRetryable ContextLengthExceeded",
    { message: "Words", type: "TOO_MANY_TOKENS" }
  ],
  ["Bedrock's", 429, { __type: "com.amazon#ThrottlingException", message: "Words" }, "Retryable RateLimited", {
    message: "Words",
    type: "com.amazon#ThrottlingException"
  }],
  ["problem details", 500, { type: "about:blank", title: "Words", status: 500 }, "Retryable ServerError", {
    message: "Words",
    type: "about:blank"
  }],
  [
    "an upstream's words",
    400,
    { error: { message: "Provider returned error", code: 400, metadata: { raw: "prompt is too long" } } },
    "NonRetryable ContextLengthExceeded",
    { message: "Provider returned error: prompt is too long", code: "400" }
  ],
  [
    "OpenRouter's word among its metadata",
    403,
    { error: { code: 403, message: "Words", metadata: { error_type: "content_policy_violation", reasons: ["a"] } } },
    "NonRetryable ContentFiltered",
    { message: "Words", code: "content_policy_violation" }
  ],
  [
    "OpenRouter's word beside Anthropic's",
    400,
    { type: "error", error: { type: "invalid_request_error", error_type: "refusal", message: "Words" } },
    "NonRetryable ContentFiltered",
    { message: "Words", type: "invalid_request_error" }
  ],
  ["plain text", 500, "upstream connect error", "Retryable ServerError", { message: "upstream connect error" }],
  ["nothing", 500, undefined, "Retryable ServerError", { message: "HTTP 500" }]
]

const context: ErrorClassifier.Context = { provider: "test", operation: "submit", now: Date.UTC(2026, 10, 22) }

function http(status: number, body: unknown, keys: ReadonlyArray<string> = []): ProviderError {
  return ErrorClassifier.fromBody({ status, headers: {}, body }, {
    ...context,
    keys: keys.map((key) => Redacted.make(key))
  })
}

const short = (error: ProviderError) => `${error.verdict._tag} ${error.verdict.reason._tag}`

const waits = (verdict: Verdict) =>
  verdict._tag === "Retryable"
    ? [verdict.retryAfter, verdict.retryHint].map((wait) => wait === undefined ? undefined : String(wait))
    : ["not retryable"]

function rows(verdict: string, status: number, names: ReadonlyArray<string>) {
  return names.map((name) => [name, status, verdict] as const)
}
