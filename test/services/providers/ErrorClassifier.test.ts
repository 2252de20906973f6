import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import OpenAI from "openai"
import { ProviderError, type Verdict } from "../../../src/errors/ProviderError.ts"
import { ServerError } from "../../../src/errors/Reason.ts"
import { Usage } from "../../../src/errors/Usage.ts"
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
      assert.deepStrictEqual([short(own), own.evidence], [status < 300 ? "Retryable ServerError" : expected, ownEvidence])
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
      const say = (error: unknown) => short(ErrorClassifier.fromBody({ status: 503, headers, body: { error } }, context))

      assert.strictEqual(say({ code: "server_is_overloaded", message: "" }), "Retryable Overloaded")
      assert.strictEqual(say({ type: "rate_limit_error", message: "" }), "Retryable RateLimited")
      assert.strictEqual(say({ message: "The model is overloaded" }), "Retryable Overloaded")
      assert.strictEqual(say({ message: "Words" }), "NonRetryable InvalidRequest")
    })

    it.each(shapes)("reads %s", (_name, status, body, expected, said) => {
      const error = http(status, body)
      const { code, message, param, type } = error.verdict.reason

      assert.strictEqual(short(error), expected)
      assert.deepStrictEqual({ code, message, param, type }, { code: undefined, param: undefined, type: undefined, ...said })
    })

    it("reads a body that is text as JSON where it is JSON", () => {
      const error = http(429, JSON.stringify({ error: { code: "insufficient_quota", message: "Words" } }))

      assert.strictEqual(short(error), "NonRetryable QuotaExceeded")
    })

    it("keeps the id of the request, from headers or body", () => {
      const headers = new Headers({ "x-request-id": "req_1" })
      const fromHeader = ErrorClassifier.fromBody({ status: 500, headers, body: "" }, context)
      const fromBody = http(529, { type: "error", error: { message: "Words" }, request_id: "req_2" })

      assert.strictEqual(fromHeader.verdict.reason.requestId, "req_1")
      assert.strictEqual(fromBody.verdict.reason.requestId, "req_2")
      assert.strictEqual(fromBody.verdict.reason.provider, "test")
    })

    it("carries the server's wait, and a hint only where there is none", () => {
      const limits = { "x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s" }
      const body = { error: { code: "rate_limit_exceeded", message: "Please try again in 20s." } }
      const say = (headers: Record<string, string>, status = 429) =>
        waits(ErrorClassifier.fromBody({ status, headers, body }, context).verdict)

      assert.deepStrictEqual(say({ "Retry-After": "2", ...limits }), ["2000 millis", undefined])
      assert.deepStrictEqual(say(limits), [undefined, "360000 millis"])
      assert.deepStrictEqual(say({}), [undefined, "20000 millis"])
      assert.deepStrictEqual(say({ "retry-after": "soon" }), [undefined, "20000 millis"])
      assert.deepStrictEqual(
        waits(ErrorClassifier.fromBody({ status: 503, headers: { "retry-after": "0" }, body: "" }, context).verdict),
        ["0", undefined]
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

  describe("of an error in a stream or under 200", () => {
    it.each<readonly [string, unknown, string]>([
      ["an overloaded Anthropic", { type: "error", error: { type: "overloaded_error", message: "Overloaded" } },
        "Retryable Overloaded"],
      ["a flat Responses event", { type: "error", code: "insufficient_quota", message: "Words", sequence_number: 3 },
        "NonRetryable QuotaExceeded"],
      ["an upstream status", { error: { code: 502, message: "Words" } }, "Retryable ServerError"],
      ["an upstream 400", { error: { code: 400, message: "Words" } }, "NonRetryable InvalidRequest"],
      ["a bare message", { error: { message: "Words" } }, "Retryable ServerError"],
      ["an unknown code", { error: { code: "unknown-error", message: "Words" } }, "Retryable ServerError"],
      ["a vague type", { error: { type: "invalid_request_error", message: "Words" } }, "NonRetryable InvalidRequest"],
      ["an image", { error: { code: "invalid_image_url", message: "Words" } }, "NonRetryable InvalidRequest"],
      ["words of a rate limit", { error: { message: "Rate limit reached" } }, "Retryable RateLimited"]
    ])("reads %s", (_name, body, expected) => {
      for (const status of [undefined, 200]) {
        const error = ErrorClassifier.fromBody({ status, body }, context)

        assert.deepStrictEqual([short(error), error.evidence], [expected, "Uncertain"])
      }
    })
  })

  describe("of a failed job", () => {
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
      [{ code: "invalid_prompt", message: "flagged as potentially violating our usage policy" }, "NonRetryable",
        "ContentFiltered"],
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

    it("keeps the words, the usage and the hint", () => {
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
      assert.deepStrictEqual(waits(verdict), [undefined, "579 millis"])
    })
  })

  describe("of something thrown", () => {
    it.each(transportRows)("takes the code %s for %s, %s", (code, expected, evidence) => {
      const cause = Object.assign(new Error("no"), { code })
      const wrapped = Object.assign(new OpenAI.APIConnectionError({ message: "Connection error.", cause }))

      for (const thrown of [cause, new TypeError("fetch failed", { cause }), wrapped]) {
        const error = ErrorClassifier.classify(thrown, context)

        assert.deepStrictEqual([short(error), error.evidence, error.verdict.reason.code], [expected, evidence, code])
      }
    })

    it.each(thrownRows)("takes %s for %s, %s", (_name, thrown, expected, evidence) => {
      const error = ErrorClassifier.classify(thrown, context)

      assert.deepStrictEqual([short(error), error.evidence], [expected, evidence])
    })

    it("looks into the errors of an AggregateError", () => {
      const refused = Object.assign(new Error("connect ECONNREFUSED ::1:1"), { code: "ECONNREFUSED" })
      const thrown = new TypeError("fetch failed", { cause: new AggregateError([refused], "") })

      assert.strictEqual(ErrorClassifier.classify(thrown, context).evidence, "NotSent")
    })

    it("takes a connection that never came about for not sent, whatever the code", () => {
      const timedOut = Object.assign(new Error("no"), { code: "ETIMEDOUT", syscall: "connect" })
      const handshake = Object.assign(
        new Error("Client network socket disconnected before secure TLS connection was established"),
        { code: "ECONNRESET" }
      )
      const ours = Object.assign(new Error("no"), { name: "NotSent", code: "ECONNRESET" })

      for (const cause of [timedOut, handshake, ours]) {
        const error = ErrorClassifier.classify(new TypeError("fetch failed", { cause }), context)

        assert.deepStrictEqual([short(error), error.evidence], ["Retryable Network", "NotSent"])
      }
    })

    it("says what was meant, not only that fetch failed", () => {
      const cause = Object.assign(new Error("getaddrinfo ENOTFOUND api.test"), { code: "ENOTFOUND" })
      const error = ErrorClassifier.classify(new TypeError("fetch failed", { cause }), context)

      assert.strictEqual(error.verdict.reason.message, "fetch failed: getaddrinfo ENOTFOUND api.test")
    })

    it("does not read words of an answer out of a SyntaxError", () => {
      const thrown = new SyntaxError("Unexpected token 'I', \"Invalid URL\" is not valid JSON")
      const error = ErrorClassifier.classify(thrown, context)

      assert.deepStrictEqual([short(error), error.evidence], ["Retryable InvalidResponse", "Uncertain"])
    })

    it("finds the SDK's error among the causes", () => {
      const inner = OpenAI.APIError.generate(429, { error: { code: "insufficient_quota", message: "Words" } }, "", new Headers())

      assert.strictEqual(
        short(ErrorClassifier.classify(new Error("wrapped", { cause: inner }), context)),
        "NonRetryable QuotaExceeded"
      )
    })

    it("reads the SDKs' errors by their shape", () => {
      const headers = new Headers({ "x-request-id": "req_1", "request-id": "req_1", "retry-after": "3" })
      const body = { type: "rate_limit_error", message: "Words" }
      for (
        const thrown of [
          OpenAI.APIError.generate(429, { error: body }, "", headers),
          Anthropic.APIError.generate(429, { type: "error", error: body }, "", headers),
          { status: 429, headers: { "retry-after": "3", "request-id": "req_1" }, error: body },
          { status: 429, headers: { "Retry-After": "3", "X-Request-Id": "req_1" }, message: JSON.stringify({ error: body }) }
        ]
      ) {
        const error = ErrorClassifier.classify(thrown, context)
        const { message, requestId, status, type } = error.verdict.reason

        assert.strictEqual(short(error), "Retryable RateLimited")
        assert.deepStrictEqual(waits(error.verdict), ["3000 millis", undefined])
        assert.deepStrictEqual(
          { message, requestId, status, type },
          { message: "Words", requestId: "req_1", status: 429, type: "rate_limit_error" }
        )
      }
    })

    it("returns a ProviderError as it is", () => {
      const error = new ProviderError({
        verdict: { _tag: "Retryable", reason: new ServerError({ message: "Words" }) },
        evidence: "Refused"
      })

      assert.strictEqual(ErrorClassifier.classify(error, context), error)
    })
  })

  describe("of what the SDKs do", () => {
    it("is not sent without a key", async () => {
      const thrown = await new Anthropic({ apiKey: null, authToken: null, maxRetries: 0, fetch: never }).messages
        .create({ model: "m", max_tokens: 1, messages: [] }).catch((error: unknown) => error)
      const error = ErrorClassifier.classify(thrown, context)
      const constructed = ErrorClassifier.classify(thrownBy(() => new OpenAI({ apiKey: undefined })), context)

      assert.deepStrictEqual([short(error), error.evidence], ["NonRetryable AuthenticationFailed", "NotSent"])
      assert.deepStrictEqual([short(constructed), constructed.evidence], [
        "NonRetryable AuthenticationFailed",
        "NotSent"
      ])
    })

    it("is not sent where Anthropic's SDK guards a long answer", async () => {
      const client = new Anthropic({ apiKey: "unused", maxRetries: 0, fetch: never })
      const thrown = await Promise.resolve()
        .then(() => client.messages.create({ model: "m", max_tokens: 100_000, messages: [] }))
        .catch((error: unknown) => error)
      const error = ErrorClassifier.classify(thrown, context)

      assert.deepStrictEqual([short(error), error.evidence], ["NonRetryable InvalidRequest", "NotSent"])
    })

    it.each<readonly [string, () => Promise<Response>, string, string]>([
      ["HTML under 200", () => answer(200, "<html>Sign in</html>", "text/html"), "Retryable InvalidResponse", "Uncertain"],
      ["truncated JSON", () => answer(200, "{\"id\":", "application/json"), "Retryable InvalidResponse", "Uncertain"],
      ["a gateway's page", () => answer(502, "<html><title>Bad gateway</title></html>", "text/html"),
        "Retryable ServerError", "Uncertain"],
      ["text under 503", () => answer(503, "upstream connect error", "text/plain"), "Retryable ServerError", "Uncertain"],
      ["a redirect", () => answer(307, "", "text/plain"), "NonRetryable InvalidRequest", "Refused"],
      ["a failed fetch", () => Promise.reject(new TypeError("fetch failed")), "Retryable Network", "Uncertain"],
      ["an abort", () => Promise.reject(new DOMException("Aborted", "AbortError")), "Retryable Network", "Uncertain"]
    ])("knows %s", async (_name, fetch, expected, evidence) => {
      const thrown = await new OpenAI({ apiKey: "unused", maxRetries: 0, fetch }).responses.retrieve("resp_1")
        .then(() => assert.fail("the SDK did not throw"), (error: unknown) => error)
      const error = ErrorClassifier.classify(thrown, context)

      assert.deepStrictEqual([short(error), error.evidence], [expected, evidence])
    })

    it("knows a refused and a cut connection of Node's own fetch", async () => {
      const server = createServer((_, response) => response.socket?.destroy())
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      const cut = await fetch(url).catch((error: unknown) => error)
      const plain = await fetch(url.replace("http:", "https:")).catch((error: unknown) => error)
      await new Promise((resolve) => server.close(resolve))
      const refused = await fetch(url).catch((error: unknown) => error)

      const seen = [cut, plain, refused].map((thrown) => {
        const error = ErrorClassifier.classify(thrown, context)
        return `${short(error)} ${error.evidence}`
      })
      assert.strictEqual(seen[0], "Retryable Network Uncertain")
      assert.match(seen[1] ?? "", /^Retryable Network/)
      assert.strictEqual(seen[2], "Retryable Network NotSent")
    })

    it("keeps through the SDK a body that the SDK would drop", () => {
      assert.deepStrictEqual(ErrorClassifier.sdkErrorBody([{ error: { code: 400 } }]), { error: { code: 400 } })
      assert.deepStrictEqual(ErrorClassifier.sdkErrorBody({ detail: "no" }), { error: { detail: "no" } })
      assert.deepStrictEqual(ErrorClassifier.sdkErrorBody({ error: "no", code: "x" }), {
        error: { error: "no", code: "x" }
      })
      const own = { type: "error", error: { type: "api_error" } }
      assert.strictEqual(ErrorClassifier.sdkErrorBody(own), own)
      assert.strictEqual(ErrorClassifier.sdkErrorBody("text"), "text")
      assert.strictEqual(ErrorClassifier.sdkErrorBody(null), null)
    })
  })

  describe("never says a key", () => {
    it.each(keyTexts)("in the words %s", (text, kept) => {
      const message = http(400, { error: { message: text } }).verdict.reason.message

      assert.strictEqual(message, kept)
    })

    it.effect.prop(
      "that it was given, wherever it stands",
      { before: Schema.String, after: Schema.String, place: Schema.Literals(places) },
      ({ after, before, place }) =>
        Effect.sync(() => {
          const text = `${before}${key}${after}`
          for (const error of planted(place, text)) {
            const written = JSON.stringify(Schema.encodeSync(Schema.toCodecJson(ProviderError))(error))
            assert.notInclude(written, key)
            assert.notInclude(written, key.slice(0, 12))
            assert.notInclude(written, key.slice(-12))
          }
        }),
      { arbitrary: { runs: 300 } }
    )

    it("that is cut by the cap, or shown in part", () => {
      for (const length of [1995, 8185, 7160, 8192 - key.length + 1]) {
        const message = http(400, { error: { message: "x".repeat(length) + key } }, [key]).verdict.reason.message
        assert.notInclude(message, key.slice(0, 10))
      }
      const shown = http(401, { error: { message: `Wrong key ${key.slice(0, 14)}, ending in ${key.slice(-11)}` } }, [key])
      assert.strictEqual(shown.verdict.reason.message, "Wrong key [redacted], ending in [redacted]")
    })

    it("but leaves placeholders alone", () => {
      const error = http(400, { error: { message: "ollama is busy" } }, ["ollama", ""])

      assert.strictEqual(error.verdict.reason.message, "ollama is busy")
    })
  })

  describe("is total", () => {
    it.each(hostile)("for %s", (_name, value) => {
      for (const error of everyWay(value)) assertSound(error)
    })

    it.effect.prop("for any JSON", { value: Schema.Json, status: Schema.Int }, ({ status, value }) =>
      Effect.sync(() => {
        for (const error of [...everyWay(value), http(status, value), http(status, JSON.stringify(value))]) {
          assertSound(error)
        }
      }), { arbitrary: { runs: 300 } })

    it.effect.prop("for any text in any field", { text: Schema.String, place: Schema.Literals(places) }, ({ place, text }) =>
      Effect.sync(() => {
        for (const error of planted(place, text)) assertSound(error)
      }), { arbitrary: { runs: 300 } })

    it.each(adversarial)("for a million characters of %s", (_name, unit) => {
      const text = unit.repeat(Math.ceil(1_000_000 / unit.length))
      for (const place of places) {
        for (const error of planted(place, text)) assertSound(error)
      }
    })

    it("keeps one line without control characters, capped", () => {
      const error = http(400, {
        error: { message: `one\r\n\ttwo\u0000\u001b[31m\u202e ${"long ".repeat(1000)}`, code: "c".repeat(500) }
      })
      const { code, message } = error.verdict.reason

      assert.isTrue(message.startsWith("one two[31m long"))
      assert.lengthOf(message, 2000)
      assert.lengthOf(code ?? "", 200)
    })

    it("names the page of an HTML answer instead of quoting it", () => {
      const error = http(503, "<!doctype html><html><head><title>Just a moment…</title></head><body>x</body></html>")

      assert.strictEqual(error.verdict.reason.message, "HTML instead of JSON: Just a moment…")
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
    "quota_exceeded"
  ]),
  ...rows("NonRetryable QuotaExceeded", 402, ["billing_error", "linked_organization_spend_limit_reached"]),
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
    "RateLimitReached"
  ]),
  ...rows("Retryable Overloaded", 429, ["resource_unavailable"]),
  ...rows("Retryable Overloaded", 529, ["overloaded_error"]),
  ...rows("Retryable Overloaded", 503, [
    "server_is_overloaded",
    "service_unavailable_error",
    "slow_down",
    "UNAVAILABLE",
    "ModelNotReadyException"
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
    "image_content_policy_violation"
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
    "Input is too long for requested model"
  ].flatMap((text) => [400, 413, 422, 429].map((status) => [text, status, "NonRetryable ContextLengthExceeded"] as const)),
  ...rows("NonRetryable ContentFiltered", 400, [
    "Your request was rejected as a result of our safety system",
    "Your request was rejected as a result of the safety system",
    "Output blocked by content filtering policy",
    "the prompt triggering Azure OpenAI's content management policy",
    "flagged as potentially violating our usage policy"
  ]),
  ...rows("NonRetryable QuotaExceeded", 400, [
    "Your credit balance is too low to access the Anthropic API",
    "You have reached your workspace spend limit"
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
  ["OpenAI's", 400, { error: { message: "Words", type: "invalid_request_error", param: "stop", code: "unsupported_parameter" } },
    "NonRetryable InvalidRequest",
    { message: "Words", type: "invalid_request_error", param: "stop", code: "unsupported_parameter" }],
  ["Anthropic's", 429, {
    type: "error",
    error: { type: "rate_limit_error", message: "Words", details: { error_code: "enforced_spend_limit_reached" } }
  }, "NonRetryable QuotaExceeded", {
    message: "Words",
    type: "rate_limit_error",
    code: "enforced_spend_limit_reached"
  }],
  ["Azure's inner error", 400, { error: { message: "Words", code: null, innererror: { code: "ResponsibleAIPolicyViolation" } } },
    "NonRetryable ContentFiltered", { message: "Words", code: "ResponsibleAIPolicyViolation" }],
  ["Gemini's array", 404, [{ error: { code: 404, message: "Words", status: "NOT_FOUND" } }], "NonRetryable NotFound",
    { message: "Words", code: "404", type: "NOT_FOUND" }],
  ["llama.cpp's numeric code", 500, { error: { code: 500, message: "Words", type: "server_error" } }, "Retryable ServerError",
    { message: "Words", code: "500", type: "server_error" }],
  ["Hugging Face's", 503, { error: "Model is loading", error_type: "overloaded" }, "Retryable Overloaded",
    { message: "Model is loading", type: "overloaded" }],
  ["Ollama's", 404, { error: "model 'x' not found" }, "NonRetryable NotFound", { message: "model 'x' not found" }],
  ["xAI's", 400, { code: "invalid-argument", error: "Words" }, "NonRetryable InvalidRequest",
    { message: "Words", code: "invalid-argument" }],
  ["FastAPI's", 401, { detail: "Invalid API Key" }, "NonRetryable AuthenticationFailed", { message: "Invalid API Key" }],
  ["FastAPI's validation", 422, { detail: [{ loc: ["body", "model"], msg: "field required", type: "missing" }] },
    "NonRetryable InvalidRequest", { message: "body.model: field required" }],
  ["an object under detail", 404, { detail: { message: "Words", code: "not_found" } }, "NonRetryable NotFound",
    { message: "Words", code: "not_found" }],
  ["Cohere's", 400, { id: "1", message: "Words", error_type: "TOO_MANY_TOKENS" }, "NonRetryable ContextLengthExceeded",
    { message: "Words", type: "TOO_MANY_TOKENS" }],
  ["Bedrock's", 429, { __type: "com.amazon#ThrottlingException", message: "Words" }, "Retryable RateLimited",
    { message: "Words", type: "com.amazon#ThrottlingException" }],
  ["problem details", 500, { type: "about:blank", title: "Words", status: 500 }, "Retryable ServerError",
    { message: "Words", type: "about:blank" }],
  ["an upstream's words", 400, { error: { message: "Provider returned error", code: 400, metadata: { raw: "prompt is too long" } } },
    "NonRetryable ContextLengthExceeded",
    { message: "Provider returned error: prompt is too long", code: "400" }],
  ["plain text", 500, "upstream connect error", "Retryable ServerError", { message: "upstream connect error" }],
  ["nothing", 500, undefined, "Retryable ServerError", { message: "HTTP 500" }]
]

const transportRows: Array<readonly [string, string, string]> = [
  ...[
    "ENOTFOUND",
    "EAI_AGAIN",
    "ECONNREFUSED",
    "EHOSTUNREACH",
    "ENETUNREACH",
    "EADDRNOTAVAIL",
    "UND_ERR_CONNECT_TIMEOUT",
    "ERR_SSL_WRONG_VERSION_NUMBER",
    "EMFILE"
  ].map((code) => [code, "Retryable Network", "NotSent"] as const),
  ...[
    "ECONNRESET",
    "EPIPE",
    "ETIMEDOUT",
    "UND_ERR_SOCKET",
    "UND_ERR_HEADERS_TIMEOUT",
    "UND_ERR_BODY_TIMEOUT",
    "UND_ERR_OF_NEXT_YEAR",
    "ERR_SSL_DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
    "ABORT_ERR"
  ].map((code) => [code, "Retryable Network", "Uncertain"] as const),
  ...[
    "CERT_HAS_EXPIRED",
    "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
    "SELF_SIGNED_CERT_IN_CHAIN",
    "DEPTH_ZERO_SELF_SIGNED_CERT",
    "ERR_TLS_CERT_ALTNAME_INVALID"
  ].map((code) => [code, "NonRetryable Network", "NotSent"] as const),
  ...["ERR_INVALID_URL", "ENOENT", "EACCES"].map((code) => [code, "NonRetryable InvalidRequest", "NotSent"] as const),
  ...["HPE_INVALID_CONSTANT", "Z_DATA_ERROR", "UND_ERR_RES_CONTENT_LENGTH_MISMATCH"].map((code) =>
    [code, "Retryable InvalidResponse", "Uncertain"] as const
  )
]

const thrownRows: Array<readonly [string, unknown, string, string]> = [
  ["a bare TypeError", thrownBy(() => (undefined as unknown as { output: string }).output), "Retryable InvalidResponse",
    "Uncertain"],
  ["a bare SyntaxError", thrownBy(() => JSON.parse("<html>")), "Retryable InvalidResponse", "Uncertain"],
  ["an error of decoding", thrownBy(() => Schema.decodeUnknownSync(Schema.Int)("x")), "Retryable InvalidResponse",
    "Uncertain"],
  ["a bad URL", thrownBy(() => new URL("no url")), "NonRetryable InvalidRequest", "NotSent"],
  ["a key that no header can hold", thrownBy(() => new Headers({ authorization: "Bearer a\nb" })),
    "NonRetryable InvalidRequest", "NotSent"],
  ["fetch failed", new TypeError("fetch failed"), "Retryable Network", "Uncertain"],
  ["terminated", new TypeError("terminated"), "Retryable Network", "Uncertain"],
  ["an SDK's timeout", new OpenAI.APIConnectionTimeoutError(), "Retryable Network", "Uncertain"],
  ["an SDK's abort", new Anthropic.APIUserAbortError(), "Retryable Network", "Uncertain"],
  ["AbortSignal.timeout", new DOMException("The operation timed out", "TimeoutError"), "Retryable Network", "Uncertain"],
  ["an unknown error", new Error("boom"), "Retryable Network", "Uncertain"],
  ["a Response", new Response("{}", { status: 403 }), "NonRetryable PermissionDenied", "Refused"],
  ["a body", { error: { code: "insufficient_quota", message: "Words" } }, "NonRetryable QuotaExceeded", "Uncertain"],
  ["a text", "boom", "Retryable Network", "Uncertain"],
  ["nothing", undefined, "Retryable Network", "Uncertain"]
]

const key = "sk-proj-Zq9vT3nLw8Rk2Hc5Yb7Xd1Mf4Jg6Ps0A"

/** Words, and what is left of them. */
const keyTexts: Array<readonly [string, string]> = [
  [`Incorrect API key provided: ${key}.`, "Incorrect API key provided: [redacted]"],
  ["Incorrect API key provided: sk-ab***wxyz. See docs", "Incorrect API key provided: [redacted] See docs"],
  ["no sk-ant-api03-AAAAbbbbCCCC1234-_x here", "no [redacted] here"],
  ["url ?key=AIzaSyA1234567890abcdefghijk&x=1", "url ?key=[redacted]&x=1"],
  ["gsk_abcdefghijklmnop1234 xai-abcdefghijklmnop1234 hf_abcdefghijklmnop1234", "[redacted] [redacted] [redacted]"],
  ["header Authorization: Bearer abcdef123456 sent", "header Authorization: [redacted] abcdef123456 sent"],
  ["Bearer abcdefgh12345678 sent", "Bearer [redacted] sent"],
  ["{\"api-key\": \"0123456789abcdef\"}", "{\"api-key\": \"[redacted]\"}"],
  ["token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "token [redacted]"],
  ["id AKIAIOSFODNN7EXAMPLE", "id [redacted]"],
  ["secret=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "secret=[redacted]"],
  ["https://user:password@host/v1", "https://[redacted]@host/v1"],
  ["the token 'x' is not a key of the task", "the token 'x' is not a key of the task"]
]

const places = ["message", "code", "type", "param", "status", "detail", "text", "header", "thrown", "cause", "nested"] as const

const hostile: Array<readonly [string, unknown]> = [
  ["a proxy that throws on everything", proxyThatThrows()],
  ["a revoked proxy", revoked()],
  ["a proxy that is all proxies", proxyOfProxies()],
  ["getters that throw", Object.defineProperties({}, {
    status: { get: () => { throw new Error("no") } },
    error: { get: () => { throw new Error("no") } },
    message: { get: () => { throw new Error("no") } },
    cause: { get: () => { throw new Error("no") } }
  })],
  ["a cycle", cycle()],
  ["a body that is a cycle", { error: cycle() }],
  ["an error that is its own cause", Object.assign(new Error("x"), { get cause(): unknown { return this } })],
  ["headers that throw", { status: 500, headers: { get: () => { throw new Error("no") } } }],
  ["headers of another make", { status: 500, headers: 5 }],
  ["a status of another make", { status: { valueOf: () => 429 }, error: { code: {}, message: [], type: Symbol("x") } }],
  ["a status out of range", { status: Number.MAX_VALUE }],
  ["a status that is no number", { status: Number.NaN }],
  ["toJSON and toString that throw", { toJSON: throws, toString: throws, [Symbol.toPrimitive]: throws }],
  ["no prototype", Object.assign(Object.create(null), { message: "x" })],
  ["a symbol", Symbol("x")],
  ["a function", () => 1],
  ["a class", class A {}],
  ["a BigInt", 10n],
  ["a Date", new Date(Number.NaN)],
  ["a Map", new Map([["error", 1]])],
  ["bytes", new Uint8Array(1000)],
  ["null", null],
  ["zero", 0],
  ["a lone surrogate", { error: { message: "\ud800", code: "\udfff" } }],
  ["deep JSON", "[".repeat(100_000)],
  ["deep objects", deep(10_000)],
  ["many causes", Array.from({ length: 1000 }).reduce<Error>((cause, _) => new Error("x", { cause }), new Error("y"))],
  ["many errors", new AggregateError(Array.from({ length: 10_000 }, () => new Error("x")))]
]

const adversarial: Array<readonly [string, string]> = [
  ["a", "a"],
  ["spaces", " "],
  ["asterisks", "*"],
  ["hyphens", "-"],
  ["key=", "key="],
  ["a-key-", "a-key-"],
  ["sk-", "sk-"],
  ["eyJ", "eyJa."],
  ["Bearer", "Bearer "],
  ["://a:", "://a:"],
  ["limits", "limit 1 requested "],
  ["digits", "1"],
  ["durations", "try again in 1"],
  ["context patterns", "current length is maximum input length is "],
  ["brackets", "{\"error\":"],
  ["HTML", "<title>"],
  ["lone surrogates", "\ud800"],
  ["control characters", "\u0000\n"],
  ["the key", key]
]

const context: ErrorClassifier.Context = { provider: "test", operation: "submit", now: Date.UTC(2026, 10, 22) }

function rows(verdict: string, status: number, names: ReadonlyArray<string>) {
  return names.map((name) => [name, status, verdict] as const)
}

function http(status: number, body: unknown, keys: ReadonlyArray<string> = []): ProviderError {
  return ErrorClassifier.fromBody({ status, headers: {}, body }, { ...context, keys: keys.map((key) => Redacted.make(key)) })
}

const short = (error: ProviderError) => `${error.verdict._tag} ${error.verdict.reason._tag}`

const waits = (verdict: Verdict) =>
  verdict._tag === "Retryable"
    ? [verdict.retryAfter, verdict.retryHint].map((wait) => wait === undefined ? undefined : String(wait))
    : ["not retryable"]

const answer = (status: number, body: string, type: string) =>
  Promise.resolve(new Response(body, { status, headers: { "content-type": type } }))

const never = () => Promise.reject(new Error("sent"))

function thrownBy(f: () => unknown): unknown {
  try {
    return f()
  } catch (error) {
    return error
  }
}

function throws(): never {
  throw new Error("no")
}

function proxyThatThrows(): unknown {
  return new Proxy(() => 1, new Proxy({}, { get: () => throws }))
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function proxyOfProxies(): unknown {
  const proxy: unknown = new Proxy(() => proxy, { get: () => proxy, has: () => true })
  return proxy
}

function cycle(): unknown {
  const value: Record<string, unknown> = { message: "x" }
  return Object.assign(value, { error: value, cause: value, detail: value, errors: [value], response: value })
}

function deep(levels: number): unknown {
  let value: unknown = "x"
  for (let i = 0; i < levels; i++) value = { error: value }
  return value
}

const everyWay = (value: unknown): ReadonlyArray<ProviderError> => {
  const job = ErrorClassifier.jobFailure(value, undefined, context)
  return [
    ErrorClassifier.classify(value, context),
    ErrorClassifier.classify(thrownBy(() => new Error("x", { cause: value })), context),
    ErrorClassifier.fromBody({ status: 500, headers: value, body: value }, context),
    ErrorClassifier.fromBody({ body: value }, context),
    ErrorClassifier.classify({ status: 400, headers: value, error: value }, context),
    new ProviderError({ verdict: job, evidence: "Uncertain" })
  ]
}

function planted(place: typeof places[number], text: string): ReadonlyArray<ProviderError> {
  const keyed = { ...context, keys: [Redacted.make(key)] }
  switch (place) {
    case "text":
      return [ErrorClassifier.fromBody({ status: 500, body: text }, keyed)]
    case "detail":
      return [ErrorClassifier.fromBody({ status: 422, body: { detail: [{ loc: [text], msg: text }] } }, keyed)]
    case "header":
      return [ErrorClassifier.fromBody({ status: 500, headers: { "x-request-id": text, "retry-after": text }, body: "" }, keyed)]
    case "thrown":
      return [
        ErrorClassifier.classify(new TypeError(text), keyed),
        ErrorClassifier.classify(text, keyed),
        ErrorClassifier.classify(Object.assign(new Error(text), { status: 401, requestID: text, code: text }), keyed)
      ]
    case "cause": {
      const cause = Object.assign(new Error(text), { code: text, syscall: text, name: text })
      return [ErrorClassifier.classify(new TypeError("fetch failed", { cause }), keyed)]
    }
    case "nested": {
      const error = { error: { error: { message: text, metadata: { raw: text }, details: [{ reason: text }] } } }
      return [ErrorClassifier.fromBody({ body: error }, keyed)]
    }
    default: {
      const body = { error: { message: "Words", [place]: text } }
      return [
        ErrorClassifier.fromBody({ status: 400, body }, keyed),
        new ProviderError({ verdict: ErrorClassifier.jobFailure(body, undefined, keyed), evidence: "Uncertain" })
      ]
    }
  }
}

const assertSound = (error: ProviderError): void => {
  const { code, message, param, requestId, type } = error.verdict.reason
  assert.isTrue(message.length > 0 && message.length <= 2000)
  for (const word of [code, type, param, requestId]) assert.isTrue((word ?? "").length <= 200)
  for (const text of [message, code, type, param, requestId]) {
    assert.notMatch(text ?? "", /\p{Cc}/u)
    assert.notInclude(text ?? "", key)
  }
  const codec = Schema.toCodecJson(ProviderError)
  assert.deepStrictEqual(Schema.decodeUnknownSync(codec)(Schema.encodeSync(codec)(error)).verdict._tag, error.verdict._tag)
}
