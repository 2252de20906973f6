import { assert, describe, it } from "@effect/vitest"
import { Usage } from "../../../src/errors/Usage.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"

describe("ErrorClassifier, of a failed job", () => {
  it.each<readonly [unknown, string, string]>([
    [{ code: "server_error", message: "Words" }, "Retryable", "ServerError"],
    [{ code: "rate_limit_exceeded", message: "Please try again in 579ms." }, "Retryable", "RateLimited"],
    [{ code: "vector_store_timeout", message: "Words" }, "Retryable", "ServerError"],
    [{ code: "failed_to_download_image", message: "Words" }, "Retryable", "Network"],
    [{ type: "error", error: { type: "overloaded_error", message: "Words" } }, "Retryable", "Overloaded"],
    [{ type: "error", error: { type: "api_error", message: "Words" } }, "Retryable", "ServerError"],
    [{ code: 13, status: "INTERNAL", message: "Words" }, "Retryable", "ServerError"],
    [{ code: "rate_limit_exceeded", message: "Request too large for gpt-4o" }, "NonRetryable", "InvalidRequest"],
    [{ code: "insufficient_quota", message: "Words" }, "NonRetryable", "QuotaExceeded"],
    [{ type: "error", error: { type: "invalid_request_error", message: "Words" } }, "NonRetryable", "InvalidRequest"],
    [{ code: "context_length_exceeded", message: "Words" }, "NonRetryable", "ContextLengthExceeded"],
    [{ code: "bio_policy", message: "Words" }, "NonRetryable", "ContentFiltered"],
    [
      { code: "invalid_prompt", message: "flagged as potentially violating our usage policy" },
      "NonRetryable",
      "ContentFiltered"
    ],
    [{ code: "data_residency_mismatch", message: "Words" }, "NonRetryable", "InvalidRequest"],
    [{ code: "image_too_large", message: "Words" }, "NonRetryable", "InvalidRequest"],
    [{ code: "a_code_of_next_year", message: "Words" }, "NonRetryable", "InvalidRequest"],
    [{ message: "Words" }, "NonRetryable", "InvalidRequest"],
    [null, "NonRetryable", "InvalidRequest"]
  ])("takes %o for %s, %s", (error, expected, inner) => {
    const verdict = ErrorClassifier.jobFailure(error, undefined, context)

    assert.strictEqual(verdict._tag, expected)
    assert.strictEqual(verdict.reason._tag, "JobFailed")
    assert.strictEqual(verdict.reason._tag === "JobFailed" ? verdict.reason.reason._tag : "", inner)
  })

  it("keeps the words, the usage and the wait", () => {
    const usage = new Usage({
      inputTokens: 1,
      cacheReadTokens: 0,
      cacheWriteTokens: 0,
      outputTokens: 2,
      reasoningTokens: 0,
      totalTokens: 3
    })
    const verdict = ErrorClassifier.jobFailure(
      { code: "rate_limit_exceeded", message: "Please try again in 579ms." },
      usage,
      context
    )

    assert.strictEqual(verdict.reason.message, "Please try again in 579ms.")
    assert.strictEqual(verdict.reason.code, "rate_limit_exceeded")
    assert.deepStrictEqual(verdict.reason._tag === "JobFailed" ? verdict.reason.usage : undefined, usage)
    assert.strictEqual(verdict._tag === "Retryable" ? String(verdict.retryAfter) : "", "579 millis")
  })
})

const context: ErrorClassifier.Context = { provider: "test", operation: "retrieve", now: Date.UTC(2026, 10, 22) }
