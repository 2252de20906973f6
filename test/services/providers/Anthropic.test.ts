import { assert, describe, it, vi } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Redacted, Schema } from "effect"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Path from "node:path"
import { inspect } from "node:util"
import * as Anthropic from "../../../src/services/providers/Anthropic.ts"
import * as Transport from "../../../src/services/providers/Transport.ts"
import { type RequestInput, ResponseRequest } from "../../../src/services/ResponseRequest.ts"

describe("Anthropic", () => {
  it.live("posts the body once, with the key as bearer token", () =>
    Effect.gen(function*() {
      const server = yield* serve([{ body: message("end_turn") }])
      const complete = yield* adapter(server, { headers: { "anthropic-beta": "b-2026-01-01" } })

      const outcome = yield* complete({ maxOutputTokens: 1000 })

      assert.strictEqual(outcome._tag, "Succeeded")
      assert.lengthOf(server.requests, 1)
      const [request] = server.requests
      assert.strictEqual(request?.url, "/v1/messages")
      assert.strictEqual(request?.headers.authorization, `Bearer ${secret}`)
      assert.strictEqual(request?.headers["anthropic-version"], "2026-10-21")
      assert.strictEqual(request?.headers["anthropic-beta"], "b-2026-01-01")
      assert.deepStrictEqual(request?.body, {
        model: "claude-opus-5-5",
        max_tokens: 1000,
        messages: [{ role: "user", content: "Hi" }]
      })
    }).pipe(provided))

  it.live("sends no authorization without a key", () =>
    Effect.gen(function*() {
      const server = yield* serve([{ body: message("end_turn") }])
      const complete = yield* adapter(server, { apiKey: undefined })

      yield* complete()

      assert.isUndefined(server.requests[0]?.headers.authorization)
      assert.isUndefined(server.requests[0]?.headers["x-api-key"])
    }).pipe(provided))

  it.live("makes a token for each call", () =>
    Effect.gen(function*() {
      const server = yield* serve([{ body: message("end_turn") }, { body: message("end_turn") }])
      let tokens = 0
      const complete = yield* adapter(server, { apiKey: Effect.sync(() => Redacted.make(`token-${++tokens}`)) })

      yield* complete()
      yield* complete()

      assert.deepStrictEqual(
        server.requests.map(({ headers }) => headers.authorization),
        ["Bearer token-1", "Bearer token-2"]
      )
    }).pipe(provided))

  it.live("takes nothing from the SDK's environment variables", () =>
    Effect.gen(function*() {
      const server = yield* serve([{ body: message("end_turn") }])
      const complete = yield* adapter(server, { apiKey: undefined })
      yield* withEnvironment({
        ANTHROPIC_API_KEY: "from-the-environment",
        ANTHROPIC_AUTH_TOKEN: "from-the-environment",
        ANTHROPIC_BASE_URL: "http://127.0.0.1:9",
        ANTHROPIC_CUSTOM_HEADERS: "x-gateway-token: from-the-environment"
      })

      yield* complete()

      assert.lengthOf(server.requests, 1)
      assert.notInclude(JSON.stringify(server.requests[0]?.headers), "from-the-environment")
    }).pipe(provided))

  it.live("continues a paused turn and adds the usage up", () =>
    Effect.gen(function*() {
      const paused = message("pause_turn", [{ type: "text", text: "One " }])
      const server = yield* serve([{ body: paused }, { body: paused }, { body: message("end_turn") }])
      const complete = yield* adapter(server)

      const outcome = yield* complete()

      assert.strictEqual(outcome._tag, "Succeeded")
      if (outcome._tag !== "Succeeded") return
      assert.strictEqual(outcome.answer.content, "One One Hi")
      assert.strictEqual(outcome.answer.usage?.totalTokens, 90)
      assert.deepStrictEqual(server.requests.map(({ body }) => body["messages"]), [
        [{ role: "user", content: "Hi" }],
        [{ role: "user", content: "Hi" }, { role: "assistant", content: paused.content }],
        [{ role: "user", content: "Hi" }, { role: "assistant", content: [...paused.content, ...paused.content] }]
      ])
    }).pipe(provided))

  it.live("gives up on an answer that pauses for ever, with its text and usage", () =>
    Effect.gen(function*() {
      const paused = message("pause_turn", [{ type: "text", text: "On " }])
      const server = yield* serve(Array.from({ length: 9 }, () => ({ body: paused })))
      const complete = yield* adapter(server)

      const outcome = yield* complete()

      assert.lengthOf(server.requests, 1 + Anthropic.maxContinuations)
      assert.strictEqual(outcome._tag, "Failed")
      if (outcome._tag !== "Failed") return
      const { reason } = outcome.verdict
      assert.strictEqual(reason._tag, "Incomplete")
      assert.deepInclude(reason, { limit: "pause_turn", content: "On On On On On On " })
    }).pipe(provided))

  it.live("is Uncertain when a continuation fails, as the turn before it was taken", () =>
    Effect.gen(function*() {
      const server = yield* serve([{ body: message("pause_turn") }, { status: 529, body: overloaded }])
      const complete = yield* adapter(server)

      const error = yield* Effect.flip(complete())

      assert.strictEqual(error.verdict.reason._tag, "Overloaded")
      assert.strictEqual(error.evidence, "Uncertain")
    }).pipe(provided))

  it.live.each(
    [
      [529, overloaded, "Retryable", "Overloaded", "Refused"],
      [429, error("rate_limit_error", "Slow down"), "Retryable", "RateLimited", "Refused"],
      [500, error("api_error", "Internal"), "Retryable", "ServerError", "Refused"],
      [504, error("timeout_error", "Took too long"), "Retryable", "ServerError", "Uncertain"],
      [402, error("billing_error", "Pay"), "NonRetryable", "QuotaExceeded", "Refused"],
      [401, error("authentication_error", "invalid x-api-key"), "NonRetryable", "AuthenticationFailed", "Refused"],
      [404, error("not_found_error", "model: x"), "NonRetryable", "NotFound", "Refused"],
      [
        400,
        error("invalid_request_error", "prompt is too long: 9 > 8"),
        "NonRetryable",
        "ContextLengthExceeded",
        "Refused"
      ],
      [502, "<html>Bad gateway</html>", "Retryable", "ServerError", "Uncertain"],
      [200, "<html>Sign in</html>", "Retryable", "InvalidResponse", "Uncertain"],
      [200, "{\"type\":\"message\",\"content\":[{\"ty", "Retryable", "InvalidResponse", "Uncertain"],
      [200, "", "Retryable", "InvalidResponse", "Uncertain"],
      [200, { type: "message" }, "Retryable", "InvalidResponse", "Uncertain"],
      [200, overloaded, "Retryable", "Overloaded", "Uncertain"]
    ] as const
  )("classifies %i %j as %s %s, %s", ([status, body, tag, reason, evidence]) =>
    Effect.gen(function*() {
      const server = yield* serve([{ status, body }])
      const complete = yield* adapter(server)

      const failure = yield* Effect.flip(complete())

      assert.strictEqual(failure.verdict._tag, tag)
      assert.strictEqual(failure.verdict.reason._tag, reason)
      assert.strictEqual(failure.evidence, evidence)
      assert.strictEqual(failure.verdict.reason.provider, "anthropic")
      assert.lengthOf(server.requests, 1)
    }).pipe(provided))

  it.live("reads a message under another content type", () =>
    Effect.gen(function*() {
      const server = yield* serve([{ body: message("end_turn"), contentType: "text/plain" }])
      const complete = yield* adapter(server)

      assert.strictEqual((yield* complete())._tag, "Succeeded")
    }).pipe(provided))

  it.live("keeps Retry-After and the request's id", () =>
    Effect.gen(function*() {
      const server = yield* serve([{ status: 429, body: error("rate_limit_error", "Slow down"), retryAfter: "120" }])
      const complete = yield* adapter(server)

      const { verdict } = yield* Effect.flip(complete())

      assert.strictEqual(verdict._tag, "Retryable")
      if (verdict._tag !== "Retryable") return
      assert.strictEqual(verdict.reason._tag, "RateLimited")
      assert.deepStrictEqual(verdict.retryAfter, Duration.seconds(120))
      assert.strictEqual(verdict.reason.requestId, "req_1")
    }).pipe(provided))

  it.live("is NotSent when nobody listens, and for a request that the API cannot take", () =>
    Effect.gen(function*() {
      const server = yield* serve([])
      const unreachable = yield* adapter({ url: "http://127.0.0.1:1" })
      const complete = yield* adapter(server)

      const network = yield* Effect.flip(unreachable())
      const invalid = yield* Effect.flip(complete({ temperature: 1 }))

      assert.strictEqual(network.verdict.reason._tag, "Network")
      assert.strictEqual(network.evidence, "NotSent")
      assert.strictEqual(invalid.verdict.reason._tag, "InvalidRequest")
      assert.strictEqual(invalid.evidence, "NotSent")
      assert.lengthOf(server.requests, 0)
    }).pipe(provided))

  it.live("aborts the request when interrupted", () =>
    Effect.gen(function*() {
      const server = yield* serve(["hang"])
      const complete = yield* adapter(server)
      const fiber = yield* Effect.forkChild(complete(), { startImmediately: true })
      yield* server.received

      yield* Fiber.interrupt(fiber)

      yield* server.aborted
    }).pipe(provided))

  it.live("keeps the key out of errors", () =>
    Effect.gen(function*() {
      const server = yield* serve([{ status: 401, body: error("authentication_error", `wrong key ${secret}`) }])
      const complete = yield* adapter(server)

      const failure = yield* Effect.flip(complete())

      assert.notInclude(JSON.stringify(failure), secret)
      assert.notInclude(inspect(failure, { depth: 9 }), secret)
    }).pipe(provided))

  const recorded = recordedErrors()
  it.live.skipIf(recorded === undefined)(
    "classifies recorded errors (needs HOLDFAST_RECORDINGS)",
    () =>
      Effect.gen(function*() {
        for (const [status, body] of recorded ?? []) {
          const server = yield* serve([{ status, body }])
          const complete = yield* adapter(server)

          const { verdict } = yield* Effect.flip(complete())

          assert.strictEqual(verdict.reason._tag, reasons[status], JSON.stringify(body))
        }
      }).pipe(provided)
  )
})

const secret = "sk-ant-0123456789abcdef"

const overloaded = error("overloaded_error", "Overloaded")

const reasons: Record<number, string> = {
  400: "InvalidRequest",
  401: "AuthenticationFailed",
  429: "RateLimited",
  529: "Overloaded"
}

function error(type: string, message: string) {
  return { type: "error", error: { type, message }, request_id: "req_1" }
}

function message(stopReason: string, content: ReadonlyArray<object> = [{ type: "text", text: "Hi" }]) {
  return {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-opus-5-5",
    content,
    stop_reason: stopReason,
    usage: { input_tokens: 10, output_tokens: 20 }
  }
}

const provided = Effect.provide(Transport.layer())

const adapter = Effect.fnUntraced(function*(
  server: { readonly url: string },
  options: Partial<Anthropic.Options> = {}
) {
  const { fetch } = yield* Transport.Transport
  const of = yield* Anthropic.make({
    name: "anthropic",
    baseUrl: server.url,
    apiKey: Redacted.make(secret),
    fetch,
    ...options
  })
  const { completions } = of("claude-opus-5-5")
  return (request: Partial<RequestInput> = {}) =>
    Effect.flatMap(
      Effect.orDie(
        Schema.decodeEffect(ResponseRequest)({ model: "anthropic/claude-opus-5-5", prompt: "Hi", ...request })
      ),
      completions.complete
    )
})

type Reply = "hang" | {
  readonly status?: number
  readonly body: unknown
  readonly contentType?: string
  readonly retryAfter?: string
}

interface Seen {
  readonly url: string | undefined
  readonly headers: Http.IncomingHttpHeaders
  readonly body: Readonly<Record<string, unknown>>
}

// Answers the n-th request with the n-th reply.
const serve = Effect.fnUntraced(function*(replies: ReadonlyArray<Reply>) {
  const requests: Array<Seen> = []
  const received = Deferred.makeUnsafe<void>()
  const aborted = Deferred.makeUnsafe<void>()
  const server = Http.createServer((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const reply = replies[requests.length] ?? { status: 500, body: "too many requests" }
      requests.push({ url: request.url, headers: request.headers, body: JSON.parse(Buffer.concat(chunks).toString()) })
      Deferred.doneUnsafe(received, Effect.void)
      response.on("close", () => Deferred.doneUnsafe(aborted, Effect.void))
      if (reply === "hang") return
      const { body, contentType, retryAfter, status = 200 } = reply
      response.writeHead(status, {
        "content-type": contentType ??
          (typeof body === "string" && body.startsWith("<") ? "text/html" : "application/json"),
        "request-id": "req_1",
        ...(retryAfter === undefined ? undefined : { "retry-after": retryAfter })
      })
      response.end(typeof body === "string" ? body : JSON.stringify(body))
    })
  })
  yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve())))
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => {
      server.closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    })
  )
  const address = server.address() as { readonly port: number }
  return {
    url: `http://127.0.0.1:${address.port}`,
    requests,
    received: Deferred.await(received),
    aborted: Deferred.await(aborted)
  }
})

const withEnvironment = (variables: Record<string, string>) =>
  Effect.acquireRelease(
    Effect.sync(() => Object.entries(variables).forEach(([name, value]) => vi.stubEnv(name, value))),
    () => Effect.sync(() => vi.unstubAllEnvs())
  )

function recordedErrors(): ReadonlyArray<readonly [number, unknown]> | undefined {
  const folder = process.env.HOLDFAST_RECORDINGS
  if (folder === undefined) return undefined
  return Fs.readdirSync(folder).filter((file) => /^anthropic-.*-\d{3}--|anthropic-claude.*auth-error/.test(file))
    .flatMap(
      (file) => {
        const { exchanges } = JSON.parse(Fs.readFileSync(Path.join(folder, file), "utf8")) as {
          exchanges: Array<{ response: { status: number; body: unknown } }>
        }
        return exchanges.map(({ response: { body, status } }) => [status, body] as const)
      }
    )
}
