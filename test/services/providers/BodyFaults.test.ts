import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Result, Schedule, Stream } from "effect"
import { Holdfast, Providers, type ResponseRequest, SessionStore } from "holdfast"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

describe("A held call", () => {
  const bodies = [
    ["HTML", "text/html; charset=utf-8", "<html><body>Bad gateway sk-acme-0123456789</body></html>"],
    ["plain text", "text/plain", "upstream connect error"],
    ["JSON that is cut", "application/json", "{\"id\": \"x\", \"choices\": [{\"mess"],
    ["JSON of something else", "application/json", "{\"hello\":\"world\"}"],
    ["nothing", "application/json", ""],
    ["comments", "text/event-stream", ": one\n\n: two\n\n"]
  ] as const

  for (const [name, type, text] of bodies) {
    it.live.each(held)(
      `is made twice at most when the answer is ${name}: %s`,
      ([_name, strategy, how]) =>
        Effect.gen(function*() {
          const { failure, paths } = yield* play(strategy, how, (response) => {
            response.writeHead(200, { "content-type": type })
            response.end(text)
          })

          assert.strictEqual(paths.length, 2)
          assert.deepInclude(failure, { _tag: "Retryable", reason: "InvalidResponse", attempts: 2 })
          assert.include(failure?.message, `HTTP 200 with a body that cannot be read: ${type}, `)
          assert.include(failure?.message, text === "" ? "empty" : `${text.length} characters: `)
          assert.notInclude(failure?.message, "0123456789")
        })
    )
  }

  it.live("is made again after other failures all the same, and with another model after two such answers", () =>
    Effect.gen(function*() {
      let count = 0
      const { failure, paths } = yield* play("sync", "execute", (response) => {
        count++
        response.writeHead(count % 2 === 1 ? 500 : 200, { "content-type": "text/plain" })
        response.end("oops")
      }, { fallback: ["acme/other"] })

      // 500, garbage, 500, garbage; the same of the other model.
      assert.strictEqual(paths.length, 8)
      assert.strictEqual(failure?.reason, "InvalidResponse")
    }))
})

describe("A job", () => {
  it.live("is uncertain when the answer to its submission cannot be read", () =>
    Effect.gen(function*() {
      const { failure, paths } = yield* play("background", "execute", (response) => response.end("<html>"), {
        session: "s"
      })

      assert.strictEqual(paths.length, 1)
      assert.strictEqual(failure?.reason, "SubmissionUncertain")
    }))

  it.live("is polled on when a poll cannot be read", () =>
    Effect.gen(function*() {
      let polls = 0
      const { answer, paths } = yield* play("background", "execute", (response, path) => {
        const bodies = ["<html>", "", "{\"id\": \"resp_1\", \"stat", ": comment\n\n", "data: {\"half", "42"]
        if (path.startsWith("GET")) response.end(bodies[polls++] ?? JSON.stringify(job("completed")))
        else response.end(JSON.stringify(job("queued")))
      })

      assert.strictEqual(answer, "Hello")
      assert.strictEqual(paths.length, 8)
    }))

  it.live("whose submission is answered by events is polled, unless they hold its answer", () =>
    Effect.gen(function*() {
      const created = event("response.created", job("in_progress"))
      const tails = {
        "nothing more": "",
        "a cut event": "event: response.in_progress\ndata: {\"type\":\"respon",
        "an error":
          "event: error\ndata: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"upstream died\"}\n\n",
        "an invented failure": event("response.failed", {
          ...job("failed"),
          error: { code: "server_error", message: "Response payload is not completed" }
        })
      }
      for (const [name, tail] of Object.entries(tails)) {
        for (const isReset of [false, true]) {
          const { answer, paths } = yield* play("background", "execute", (response, path) => {
            if (path.startsWith("GET")) response.end(JSON.stringify(job("completed")))
            else response.write(created + tail, () => isReset ? resetSoon(response) : response.end())
          })

          assert.deepStrictEqual([answer, paths.length], ["Hello", 2], `${name}, ${isReset ? "reset" : "end"}`)
        }
      }
    }))
})

describe("A response without end", () => {
  it.live.each(
    [
      ["whole JSON", `${JSON.stringify(job("completed"))}`],
      ["whole JSON before [DONE]", `${JSON.stringify(job("completed"))}\n\ndata: [DONE]\n\n`],
      ["an event stream with [DONE]", event("response.completed", job("completed")) + "data: [DONE]\n\n"],
      ["an event stream with its last event", event("response.completed", job("completed"))],
      ["events without names", event("response.completed", job("completed")).replace(/event:.*\n/, "")]
    ] as const
  )("is an answer a second after %s", ([_name, text]) =>
    Effect.gen(function*() {
      const startedAt = performance.now()
      const { answer, paths } = yield* play("sync", "execute", (response) => {
        response.writeHead(200, { "content-length": String(text.length + 100) })
        response.write(text)
      })

      assert.deepStrictEqual([answer, paths.length], ["Hello", 1])
      assert.isBelow(performance.now() - startedAt, 4000)
    }))

  it.live.each(
    [
      ["reset", (response: ServerResponse) => resetSoon(response)],
      ["silent", () => {}]
    ] as const
  )("is an error by its status, its body whole: %s", ([_name, after]) =>
    Effect.gen(function*() {
      const { failure, paths } = yield* play("sync", "execute", (response) => {
        response.writeHead(400, { "content-type": "application/json" })
        response.write(
          JSON.stringify({ error: { message: "Too long", code: "context_length_exceeded" } }),
          () => void after(response)
        )
      })

      assert.strictEqual(paths.length, 1)
      assert.deepInclude(failure, { _tag: "NonRetryable", reason: "ContextLengthExceeded" })
    }))

  it.live.each(held)(
    "is an error by its status, its body an event: %s",
    ([_name, strategy, how]) =>
      Effect.gen(function*() {
        const error = { error: { type: "invalid_request_error", code: "context_length_exceeded", message: "Too long" } }
        const { failure, paths } = yield* play(strategy, how, (response) => {
          response.writeHead(400, { "content-type": "text/event-stream" })
          response.end(`event: error\ndata: ${JSON.stringify(error)}\n\ndata: [DONE]\n\n`)
        })

        assert.strictEqual(paths.length, 1)
        assert.deepInclude(failure, { _tag: "NonRetryable", reason: "ContextLengthExceeded", message: "Too long" })
      })
  )

  it.live.each(held)(
    "keeps the text of an error that is not JSON: %s",
    ([_name, strategy, how]) =>
      Effect.gen(function*() {
        const { failure, paths } = yield* play(strategy, how, (response) => {
          response.writeHead(400, { "content-type": "text/plain" })
          response.end("prompt is too long: 210000 tokens > 200000 maximum")
        })

        assert.strictEqual(paths.length, 1)
        assert.deepInclude(failure, {
          reason: "ContextLengthExceeded",
          message: "prompt is too long: 210000 tokens > 200000 maximum"
        })
      })
  )

  it.live("is read on when it pauses within its last event", () =>
    Effect.gen(function*() {
      const text = event("response.completed", job("completed"))
      const { answer, paths } = yield* play("sync", "execute", (response) => {
        response.write(text.slice(0, text.length / 2))
        setTimeout(() => response.end(text.slice(text.length / 2)), 2500)
      })

      assert.deepStrictEqual([answer, paths.length], ["Hello", 1])
    }))

  it.live.each(held)(
    "is an error by its status, its JSON endless: %s",
    ([_name, strategy, how]) =>
      Effect.gen(function*() {
        let sent = 0
        const { failure, paths } = yield* play(strategy, how, (response) => {
          response.writeHead(400, { "content-type": "application/json" })
          response.write("{\"error\": {\"message\": \"")
          flood(response, "x".repeat(65_536), (length) => sent += length)
        })

        assert.strictEqual(paths.length, 1)
        assert.deepInclude(failure, { _tag: "NonRetryable", reason: "InvalidRequest" })
        assert.isBelow(sent, 32 * mebibyte)
      })
  )

  it.live.each(
    held.flatMap(([name, strategy, how], index) =>
      [
        ["JSON", "{\"id\": \"", "x".repeat(65_536)],
        ["an event", "data: {\"id\": \"", "x".repeat(65_536)],
        ["white space", "", " ".repeat(65_536)],
        ["lines of one event", "", "data:\n".repeat(10_000)],
        ["comments after an event", "data: {\"beat\":1}\n\n", `: ${"x".repeat(65_536)}\n\n`],
        ["events of which nothing is emitted", "", `event: beat\ndata: {"b":"${"x".repeat(65_000)}"}\n\n`]
      ].slice(0, index < 2 ? 6 : 2).map(([what = "", start = "", piece = ""]) =>
        [`${name}, ${what}`, strategy, how, start, piece] as const
      )
    )
  )("is too large, and not asked for again: %s", ([_name, strategy, how, start, piece]) =>
    Effect.gen(function*() {
      let sent = 0
      const { failure, paths } = yield* play(strategy, how, (response) => {
        response.writeHead(200, { "content-type": "application/json" })
        response.write(start)
        flood(response, piece, (length) => sent += length)
      })

      assert.strictEqual(paths.length, 1)
      assert.deepInclude(failure, { _tag: "NonRetryable", reason: "ResponseTooLarge", limit: 64 * mebibyte })
      assert.include(failure?.message, "64 MiB")
      assert.isBelow(sent, 96 * mebibyte)
    }))

  it.live("is not polled for ever", () =>
    Effect.gen(function*() {
      const { failure, paths } = yield* play("background", "execute", (response, path) => {
        if (path.startsWith("GET")) flood(response, "x".repeat(65_536), () => {})
        else response.end(JSON.stringify(job("queued")))
      })

      assert.strictEqual(paths.length, 2)
      assert.strictEqual(failure?.reason, "ResponseTooLarge")
    }))
})

const mebibyte = 1024 * 1024

const held = [
  ["a Responses call", "sync", "execute"],
  ["a Responses stream", "sync", "stream"],
  ["a Chat call", "completions", "execute"],
  ["a Chat stream", "completions", "stream"],
  ["a Messages call", "messages", "execute"],
  ["a Messages stream", "messages", "stream"]
] as const

function job(status: string) {
  const content = [{ type: "output_text", text: "Hello", annotations: [] }]
  const output = [{ id: "msg_1", type: "message", status: "completed", role: "assistant", content }]
  return {
    id: "resp_1",
    object: "response",
    model: "m",
    background: true,
    status,
    output: status === "completed" ? output : []
  }
}

function event(type: string, response: object): string {
  return `event: ${type}\ndata: ${JSON.stringify({ type, response })}\n\n`
}

const resetSoon = (response: ServerResponse): void => void setTimeout(() => response.destroy(), 5)

const flood = (response: ServerResponse, piece: string, onSent: (length: number) => void): void => {
  const next = () => {
    if (response.destroyed) return
    onSent(piece.length)
    response.write(piece, next)
  }
  next()
}

/** Runs one call against a server on loopback. */
const play = (
  strategy: "sync" | "completions" | "messages" | "background",
  how: "execute" | "stream",
  reply: (response: ServerResponse, path: string) => unknown,
  options: Partial<ResponseRequest.RequestInput> = {}
) =>
  Effect.scoped(Effect.gen(function*() {
    const paths: Array<string> = []
    const server = createServer((request, response) => {
      request.resume().on("end", () => {
        const path = `${request.method} ${request.url}`
        paths.push(path)
        reply(response, path)
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))),
      () => Effect.sync(() => server.closeAllConnections()).pipe(Effect.andThen(Effect.sync(() => server.close())))
    )
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
    const apiKey = Redacted.make("sk-acme-0123456789")
    const providers = Providers.layer({
      acme: { baseUrl: `${url}/v1`, apiKey, responses: true },
      openai: { baseUrl: `${url}/v1`, apiKey },
      anthropic: { baseUrl: url, apiKey }
    })
    const request = {
      model: { sync: "acme/m", completions: "acme/m", messages: "anthropic/m", background: "openai/gpt-5.5" }[strategy],
      prompt: "Hi",
      maxOutputTokens: 100,
      strategy: strategy === "messages" ? "completions" as const : strategy,
      deadline: "20 seconds" as const,
      retry: Schedule.spaced("5 millis").pipe(Schedule.upTo({ times: 4 })),
      poll: Schedule.spaced("5 millis"),
      ...options
    }
    const run = how === "execute"
      ? Effect.map(Holdfast.execute(request), ({ content }) => content)
      : Stream.runFold(Holdfast.stream(request), () =>
        "", (text, event) =>
        event._tag === "TextDelta" ? text + event.delta : text)
    const layer = Holdfast.layer.pipe(Layer.provide([providers, SessionStore.layerMemory]))
    const result = yield* Effect.result(run.pipe(Effect.provide(layer, { local: true })))
    if (Result.isSuccess(result)) {
      return { paths, answer: result.success, failure: undefined }
    }
    const error = result.failure
    const reason = "reason" in error ? error.reason : undefined
    return {
      paths,
      answer: undefined,
      failure: {
        _tag: error._tag,
        message: reason?.message ?? error.message,
        reason: reason?._tag,
        attempts: "attempts" in error ? error.attempts : undefined,
        limit: reason !== undefined && "limit" in reason ? reason.limit : undefined
      }
    }
  }))
