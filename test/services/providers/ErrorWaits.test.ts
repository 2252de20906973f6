import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import type { Verdict } from "../../../src/errors/ProviderError.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"

describe("ErrorClassifier, of a wait that a server names", () => {
  describe("finds the end of a usage limit", () => {
    const limit = { type: "usage_limit_reached", message: "The usage limit has been reached", plan_type: "plus" }

    it.each<readonly [string, unknown, number]>([
      ["resets_in_seconds", { error: { ...limit, resets_in_seconds: 13_872 } }, 13_872],
      ["resets_in_seconds as text", { error: { ...limit, resets_in_seconds: "13872" } }, 13_872],
      ["both", { error: { ...limit, resets_at: at(13_000) / 1000, resets_in_seconds: 13_872 } }, 13_872],
      ["resets_at in seconds", { error: { ...limit, resets_at: at(13_872) / 1000 } }, 13_872],
      ["resets_at in milliseconds", { error: { ...limit, resets_at: at(13_872) } }, 13_872],
      ["resets_at as a time", { error: { ...limit, resets_at: "2026-11-22T15:51:12Z" } }, 13_872],
      ["resets_at as a time with an offset", { error: { ...limit, resets_at: "2026-11-22T17:51:12+02:00" } }, 13_872],
      ["resetsAt as text", { error: { ...limit, resetsAt: String(at(13_872)) } }, 13_872],
      ["the field beside error", { error: limit, resets_in_seconds: 60 }, 60],
      [
        "the status at the root",
        { type: "error", status: 429, error: { message: "Words", resets_in_seconds: 60 } },
        60
      ],
      [
        "an event of a stream",
        { type: "error", status_code: 429, error: { ...limit, resets_in_seconds: 60 }, headers: {} },
        60
      ],
      ["an event's headers", { type: "error", status_code: 429, error: limit, headers: { "Retry-After": "60" } }, 60],
      [
        "response.failed",
        {
          type: "response.failed",
          response: { status: "failed", error: { code: limit.type, message: "", resets_in_seconds: 60 } }
        },
        60
      ]
    ])("%s", (_name, body, seconds) => {
      for (const status of [429, undefined]) {
        const { verdict } = ErrorClassifier.fromBody({ status, body }, context)

        assert.strictEqual(verdict.reason._tag, "RateLimited")
        assert.strictEqual(waitOf(verdict), seconds * 1000)
      }
    })

    it("by the server's clock", () => {
      const headers = { date: "Sun, 22 Nov 2026 10:00:00 GMT" }
      const body = { error: { ...limit, resets_at: Date.UTC(2026, 10, 22, 11) / 1000 } }
      const byDate = ErrorClassifier.fromBody(
        { status: 429, headers: { ...headers, "retry-after": "Sun, 22 Nov 2026 10:00:30 GMT" }, body: "" },
        context
      )

      assert.strictEqual(waitOf(ErrorClassifier.fromBody({ status: 429, headers, body }, context).verdict), 3_600_000)
      assert.strictEqual(waitOf(byDate.verdict), 30_000)
    })

    it("or takes a limit whose end is not known, or is past, for a quota", () => {
      for (const error of [limit, { ...limit, resets_at: at(-10) }, { ...limit, resets_in_seconds: 1e9 }]) {
        const { verdict } = ErrorClassifier.fromBody({ status: 429, body: { error } }, context)

        assert.deepStrictEqual([verdict._tag, verdict.reason._tag], ["NonRetryable", "QuotaExceeded"])
      }
    })
  })

  it.each<readonly [Record<string, string>, number | undefined]>([
    [{ "llm_provider-retry-after": "7" }, 7000],
    [{ "llm_provider-retry-after-ms": "250" }, 250],
    [{ "llm_provider-retry-after-ms": "250", "llm_provider-retry-after": "7" }, 250],
    // A request is refused until both have let it pass.
    [{ "retry-after": "2", "llm_provider-retry-after": "7" }, 7000],
    [{ "retry-after": "20", "llm_provider-retry-after": "7" }, 20_000],
    [{ "retry-after-ms": "100", "retry-after": "1", "llm_provider-retry-after": "7" }, 7000],
    [{ "llm_provider-retry-after": "soon", "retry-after": "2" }, 2000],
    [{ "x-ms-retry-after-ms": "1500" }, 1500],
    [{ "x-ratelimit-reset": String(at(30)) }, 30_000],
    [{ "x-ratelimit-reset": String(at(30) / 1000), "x-ratelimit-remaining": "0" }, 30_000],
    [{ "x-ratelimit-reset": "30" }, 30_000],
    [{ "x-ratelimit-reset": "30", "x-ratelimit-remaining": "12" }, undefined],
    [{ "x-ratelimit-reset-requests-day": "33011.4", "x-ratelimit-remaining-requests-day": "0" }, 33_011_400],
    [{ "x-ratelimit-reset-tokens-minute": "11.5", "x-ratelimit-remaining-tokens-minute": "40" }, undefined],
    [
      {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": String(at(7200) / 1000),
        "retry-after": "300"
      },
      7_200_000
    ],
    [
      {
        "x-codex-primary-used-percent": "100",
        "x-codex-primary-reset-after-seconds": "471285",
        "x-codex-secondary-used-percent": "0",
        "x-codex-secondary-reset-after-seconds": "900000"
      },
      471_285_000
    ]
  ])("reads the headers %o as %s ms", (headers, expected) => {
    assert.strictEqual(waitOf(ErrorClassifier.fromBody({ status: 429, headers, body: "" }, context).verdict), expected)
  })

  it("gives the hint of an upstream's bucket that a gateway forwards", () => {
    const headers = {
      "llm_provider-x-ratelimit-remaining-tokens": "0",
      "llm_provider-x-ratelimit-reset-tokens": "6m0s"
    }
    const { verdict } = ErrorClassifier.fromBody({ status: 429, headers, body: "" }, context)

    assert.strictEqual(verdict._tag === "Retryable" ? String(verdict.retryHint) : "", "360000 millis")
  })

  it.each<readonly [string, unknown, number | undefined]>([
    [
      "OpenRouter's headers",
      {
        error: {
          code: 429,
          message: "Rate limit exceeded: free-models-per-day",
          metadata: {
            headers: { "X-RateLimit-Limit": "50", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": String(at(3600)) }
          }
        }
      },
      3_600_000
    ],
    [
      "OpenRouter's headers, Retry-After",
      { error: { code: 429, message: "Words", metadata: { headers: { "Retry-After": "26" } } } },
      26_000
    ],
    [
      "what OpenRouter quotes",
      {
        error: {
          code: 429,
          message: "Provider returned error",
          metadata: {
            raw: JSON.stringify({
              error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "Words", details: [{ retryDelay: "38s" }] }
            })
          }
        }
      },
      38_000
    ],
    [
      "google.rpc.RetryInfo",
      {
        error: {
          code: 429,
          message: "Words",
          details: [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "1.5s" }]
        }
      },
      1500
    ],
    [
      "google.rpc.RetryInfo in an array",
      [{ error: { code: 429, message: "Words", details: [{ reason: "X" }, { retryDelay: "45s" }] } }],
      45_000
    ],
    [
      "a protobuf duration",
      { error: { message: "Words", details: [{ retry_delay: { seconds: 5, nanos: 5e8 } }] } },
      5500
    ],
    [
      "google.rpc.ErrorInfo",
      { error: { message: "Words", details: [{ reason: "X", metadata: { quotaResetDelay: "2h21m25s" } }] } },
      8_485_000
    ],
    ["retry_after", { error: { message: "Words", retry_after: 26 } }, 26_000],
    ["retry_after as text", { error: { message: "Words", retry_after: "26" } }, 26_000],
    ["retry_after as a duration", { error: { message: "Words", retry_after: "1m30s" } }, 90_000],
    ["retry_after in words", { error: { message: "Words", retry_after: "26 seconds" } }, 26_000],
    ["retry_after as a time", { error: { message: "Words", retry_after: "2026-11-22T12:00:26Z" } }, 26_000],
    ["retry_after_ms", { error: { message: "Words", retry_after_ms: 1500 } }, 1500],
    ["retryAfterMs over retryAfter", { error: { message: "Words", retryAfterMs: 1500, retryAfter: 1 } }, 1500],
    ["retry_after_seconds at the root", { detail: "Too many requests", retry_after_seconds: 5 }, 5000],
    ["retry_after in details", { error: { message: "Words", details: { retry_after: 5 } } }, 5000],
    ["retry_after of zero", { error: { message: "Words", retry_after: 0 } }, 0],
    ["the longest of several", { error: { message: "Try again in 3 seconds", retry_after: 5 }, retry_after: 9 }, 9000],
    ["no number", { error: { message: "Words", retry_after: "soon", resets_at: "later" } }, undefined],
    ["less than zero", { error: { message: "Words", retry_after: -5 } }, undefined],
    ["a truth value", { error: { message: "Words", retry_after: true } }, undefined],
    ["years", { error: { message: "Words", resets_in_seconds: 99_999_999 } }, undefined]
  ])("reads %s in a body", (_name, body, expected) => {
    assert.strictEqual(waitOf(ErrorClassifier.fromBody({ status: 429, body }, context).verdict), expected)
  })

  it.each<readonly [string, number | undefined]>([
    ["Rate limit reached … Limit 300000, Used 286751, Requested 16144. Please try again in 579ms. Visit …", 579],
    ["Rate limit reached … Please try again in 6m0s. Visit https://platform.openai.com/…", 360_000],
    ["… on tokens per day (TPD): … Please try again in 1h3m9.696s. Need more tokens? …", 3_789_696],
    ["Your requests to gpt-4.1 have exceeded the token rate limit. Please retry after 26 seconds.", 26_000],
    [
      "… have exceeded call rate limit of your current OpenAI S0 pricing tier. Please retry after 1 second. Please go …",
      1000
    ],
    ["Please retry after 86400 seconds.", 86_400_000],
    ["No deployments available for selected model, Try again in 60 seconds. Passed model=m", 60_000],
    ["Please retry in 48.939935699s.", 48_940],
    ["Too many requests. Try again in 1 minute.", 60_000],
    ["Try again in a minute", 60_000],
    ["Try again in about an hour", 3_600_000],
    ["The model is available in 3 hours", 10_800_000],
    ["Please wait for your limit to reset in 3 hours 49 minutes or switch to another model", 13_740_000],
    ["Please wait 587 hours 33 minutes before trying again.", 2_115_180_000],
    ["Limit resets in 2 days, 1 hour and 5 minutes and then you may go on", 176_700_000],
    ["Rate limit exceeded for api_key. Limit resets at: 2026-11-22 12:00:45 UTC", 45_000],
    ["Try again at 2026-11-22T12:00:45.500Z", 45_500],
    ["litellm.RateLimitError: VertexAIException - {\"details\": [{\"retryDelay\": \"38s\"}]}", 38_000],
    ["litellm.RateLimitError: {'type': 'x', 'resets_in_seconds': 756}", 756_000],
    ["Try again in 5 seconds. The upstream said: please retry after 26 seconds", 26_000],
    ["Please try again in a while", undefined],
    ["Please try again in a few minutes", undefined],
    ["Please try again later", undefined],
    ["Please retry after a brief wait", undefined],
    ["Reached 5 requests in 60 seconds", undefined],
    ["Try again in 5 monkeys", undefined]
  ])("reads the words %s", (message, expected) => {
    const words = { error: { type: "rate_limit_error", message } }

    assert.strictEqual(waitOf(ErrorClassifier.fromBody({ status: 429, body: words }, context).verdict), expected)
    assert.strictEqual(waitOf(ErrorClassifier.jobFailure(words.error, undefined, context)), expected)
  })

  it("does not read words of an error that is not a limit", () => {
    const body = { error: { message: "The server had an error. You asked: \"try again in 3 hours\"" } }

    assert.isUndefined(waitOf(ErrorClassifier.fromBody({ status: 500, body }, context).verdict))
  })
})

function at(seconds: number): number {
  return Date.UTC(2026, 10, 22, 12) + seconds * 1000
}

const context: ErrorClassifier.Context = { provider: "test", operation: "call", now: at(0) }

const waitOf = (verdict: Verdict): number | undefined =>
  verdict._tag === "Retryable" && verdict.retryAfter !== undefined ? Duration.toMillis(verdict.retryAfter) : undefined
