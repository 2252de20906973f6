import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import OpenAI from "openai"
import { ProviderError, type Verdict } from "../../../src/errors/ProviderError.ts"
import { ServerError } from "../../../src/errors/Reason.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"
import * as ErrorBody from "../../../src/services/providers/internal/ErrorBody.ts"

describe("ErrorClassifier, of what is thrown", () => {
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
      assert.strictEqual(
        ErrorClassifier.classify(new OpenAI.APIConnectionError({ cause }), context).verdict.reason.message,
        "Connection error: getaddrinfo ENOTFOUND api.test"
      )
    })

    it("does not read words of an answer out of a SyntaxError", () => {
      const thrown = new SyntaxError("Unexpected token 'I', \"Invalid URL\" is not valid JSON")
      const error = ErrorClassifier.classify(thrown, context)

      assert.deepStrictEqual([short(error), error.evidence], ["Retryable InvalidResponse", "Uncertain"])
    })

    it("finds the SDK's error among the causes", () => {
      const inner = OpenAI.APIError.generate(
        429,
        { error: { code: "insufficient_quota", message: "Words" } },
        "",
        new Headers()
      )

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
          {
            status: 429,
            headers: { "Retry-After": "3", "X-Request-Id": "req_1" },
            message: JSON.stringify({ error: body })
          }
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
      [
        "HTML under 200",
        () => answer(200, "<html>Sign in</html>", "text/html"),
        "Retryable InvalidResponse",
        "Uncertain"
      ],
      ["truncated JSON", () => answer(200, "{\"id\":", "application/json"), "Retryable InvalidResponse", "Uncertain"],
      [
        "a gateway's page",
        () => answer(502, "<html><title>Bad gateway</title></html>", "text/html"),
        "Retryable ServerError",
        "Uncertain"
      ],
      [
        "text under 503",
        () => answer(503, "upstream connect error", "text/plain"),
        "Retryable ServerError",
        "Uncertain"
      ],
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

    it.each<readonly [string, unknown, string, string]>([
      [
        "an array",
        [{ error: { code: 429, status: "RESOURCE_EXHAUSTED", message: "Words" } }],
        "Retryable RateLimited",
        "Words"
      ],
      [
        "no field error",
        { detail: "Not enough credits: insufficient_quota" },
        "NonRetryable QuotaExceeded",
        "Not enough"
      ],
      ["a text under error", { error: "Words", code: "insufficient_quota" }, "NonRetryable QuotaExceeded", "Words"],
      ["a code beside error", { error: { message: "Words" }, code: "invalid_api_key" }, "NonRetryable", "Words"]
    ])("reads the whole body that our clients keep for the SDK's error: %s", (_name, body, expected, message) => {
      const thrown = OpenAI.APIError.generate(500, Object(body), "", new Headers())
      const error = ErrorClassifier.classify(ErrorBody.remember(thrown, body), context)

      assert.include(short(error), expected)
      assert.include(error.verdict.reason.message, message)
    })
  })
})

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
  [
    "a bare TypeError",
    thrownBy(() => (undefined as unknown as { output: string }).output),
    "Retryable InvalidResponse",
    "Uncertain"
  ],
  ["a bare SyntaxError", thrownBy(() => JSON.parse("<html>")), "Retryable InvalidResponse", "Uncertain"],
  [
    "an error of decoding",
    thrownBy(() => Schema.decodeUnknownSync(Schema.Int)("x")),
    "Retryable InvalidResponse",
    "Uncertain"
  ],
  ["a bad URL", thrownBy(() => new URL("no url")), "NonRetryable InvalidRequest", "NotSent"],
  [
    "a key that no header can hold",
    thrownBy(() => new Headers({ authorization: "Bearer a\nb" })),
    "NonRetryable InvalidRequest",
    "NotSent"
  ],
  ["fetch failed", new TypeError("fetch failed"), "Retryable Network", "Uncertain"],
  ["terminated", new TypeError("terminated"), "Retryable Network", "Uncertain"],
  ["an SDK's timeout", new OpenAI.APIConnectionTimeoutError(), "Retryable Network", "Uncertain"],
  ["an SDK's abort", new Anthropic.APIUserAbortError(), "Retryable Network", "Uncertain"],
  [
    "AbortSignal.timeout",
    new DOMException("The operation timed out", "TimeoutError"),
    "Retryable Network",
    "Uncertain"
  ],
  ["an unknown error", new Error("boom"), "Retryable Network", "Uncertain"],
  ["a Response", new Response("{}", { status: 403 }), "NonRetryable PermissionDenied", "Refused"],
  ["a body", { error: { code: "insufficient_quota", message: "Words" } }, "NonRetryable QuotaExceeded", "Uncertain"],
  ["a text", "boom", "Retryable Network", "Uncertain"],
  ["nothing", undefined, "Retryable Network", "Uncertain"]
]

const context: ErrorClassifier.Context = { provider: "test", operation: "submit", now: Date.UTC(2026, 10, 22) }

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
