import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { getEventListeners, once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo } from "node:net"
import * as Net from "node:net"
import * as Zlib from "node:zlib"
import OpenAI from "openai"
import { Agent } from "undici"
import * as Transport from "../../../src/services/providers/Transport.ts"

describe("Transport", () => {
  describe("requests", () => {
    it.live("sends method, headers and body, and returns status, headers and text", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve(echo)

        const response = yield* promise(() =>
          fetch(`${url}/a?b=c`, { method: "POST", headers: { "X-Test": "yes" }, body: "häuser" })
        )

        assert.deepStrictEqual(
          [response.ok, response.status, response.statusText, response.url, response.redirected],
          [true, 201, "Made", `${url}/a?b=c`, false]
        )
        assert.strictEqual(response.headers.get("X-Reply"), "one")
        assert.deepStrictEqual(response.headers.getSetCookie(), ["a=1", "b=2"])
        const seen = yield* promise(() => response.json() as Promise<Seen>)
        assert.deepStrictEqual([seen.method, seen.url, seen.body], ["POST", "/a?b=c", "häuser"])
        assert.strictEqual(seen.headers["x-test"], "yes")
        assert.strictEqual(seen.headers["accept-encoding"], undefined)
      }))

    it.live.each([
      ["bytes", () => new TextEncoder().encode("body")],
      ["an ArrayBuffer", () => new TextEncoder().encode("body").buffer],
      ["a DataView", () => new DataView(new TextEncoder().encode("xbody").buffer, 1)],
      ["URLSearchParams", () => new URLSearchParams("body")],
      ["a ReadableStream", () => new Blob(["body"]).stream()],
      ["an async iterable", async function*() {
        yield new TextEncoder().encode("bo")
        yield new TextEncoder().encode("dy")
      }]
    ] as ReadonlyArray<readonly [string, () => NonNullable<RequestInit["body"]>]>)(
      "sends %s",
      ([, body]) =>
        Effect.gen(function*() {
          const { fetch } = yield* Transport.make()
          const { url } = yield* serve(echo)

          const response = yield* promise(() => fetch(url, { method: "POST", body: body() }))

          const seen = yield* promise(() => response.json() as Promise<Seen>)
          assert.strictEqual(seen.body.replace(/=$/, ""), "body")
        })
    )

    it.live("sends a Request", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve(echo)

        const response = yield* promise(() =>
          fetch(new Request(url, { method: "PUT", headers: { "x-test": "yes" }, body: "body" }))
        )

        const seen = yield* promise(() => response.json() as Promise<Seen>)
        assert.deepStrictEqual([seen.method, seen.body, seen.headers["x-test"]], ["PUT", "body", "yes"])
      }))

    it.live("refuses form data and URLs with credentials", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()

        const form = yield* failure(() => fetch("http://127.0.0.1:9", { method: "POST", body: new FormData() }))
        const credentials = yield* failure(() => fetch("http://user:secret@127.0.0.1:9"))

        assert.instanceOf(form, TypeError)
        assert.include(String(form), "must be a string, bytes")
        assert.instanceOf(credentials, TypeError)
        assert.notInclude(String(credentials), "secret")
      }))

    it.live("returns a redirect as it is", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { requests, url } = yield* serve((_, response) => response.writeHead(307, { location: "/other" }).end())

        const response = yield* promise(() => fetch(url))

        assert.deepStrictEqual([response.status, response.headers.get("location"), requests()], [307, "/other", 1])
      }))
  })

  describe("bodies", () => {
    it.live("returns no body for 204 and for HEAD", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve((request, response) =>
          response.writeHead(request.method === "HEAD" ? 200 : 204, { "content-encoding": "gzip" }).end()
        )

        const head = yield* promise(() => fetch(url, { method: "HEAD" }))
        const empty = yield* promise(() => fetch(url))

        assert.deepStrictEqual([head.body, empty.body], [null, null])
        assert.strictEqual(yield* promise(() => empty.text()), "")
      }))

    it.live("keeps a status that the standard Response refuses", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve((_, response) => response.writeHead(799).end("odd"))

        const response = yield* promise(() => fetch(url))

        assert.deepStrictEqual([response.status, response.ok], [799, false])
        assert.strictEqual(yield* promise(() => response.clone().text()), "odd")
        assert.strictEqual(yield* promise(() => response.text()), "odd")
      }))

    it.live("reads a body once, whichever member reads it", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve((_, response) => response.end("\ufeff{\"a\":1}"))
        const get = promise(() => fetch(url))

        const text = yield* get
        assert.isFalse(text.bodyUsed)
        assert.isFalse(text.body?.locked)
        assert.strictEqual(yield* promise(() => text.text()), "{\"a\":1}")
        assert.isTrue(text.bodyUsed)
        assert.isTrue(text.body?.locked)
        assert.instanceOf(yield* failure(() => text.text()), TypeError)
        assert.instanceOf(yield* failure(() => text.arrayBuffer()), TypeError)

        assert.deepStrictEqual(yield* Effect.flatMap(get, (response) => promise(() => response.json())), { a: 1 })
        const bytes = yield* Effect.flatMap(get, (response) => promise(() => response.bytes()))
        assert.strictEqual(bytes.byteLength, 10)
        const blob = yield* Effect.flatMap(get, (response) => promise(() => response.blob()))
        assert.strictEqual(blob.size, 10)

        const stream = yield* get
        const chunks = yield* promise(() => collect(stream.body!))
        assert.strictEqual(Buffer.concat(chunks).byteLength, 10)
        assert.isTrue(stream.bodyUsed)
        assert.instanceOf(yield* failure(() => stream.text()), TypeError)
      }))

    it.live("clones a response, and reads both", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve((_, response) => response.end("twice"))

        const response = yield* promise(() => fetch(url))
        const clone = response.clone()

        assert.deepStrictEqual([clone.url, clone.status], [response.url, 200])
        assert.strictEqual(yield* promise(() => clone.text()), "twice")
        assert.strictEqual(yield* promise(() => response.text()), "twice")
        assert.throws(() => response.clone(), TypeError)
      }))

    it.live("pauses the socket when nobody reads, and loses nothing", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const total = 32 * 1024 * 1024
        const { server, url } = yield* serve((_, response) => response.end(Buffer.alloc(total, "x")))
        const socket = promise(() => once(server, "connection") as Promise<[Net.Socket]>)

        const [[connection], response] = yield* Effect.all([socket, promise(() => fetch(url))], { concurrency: 2 })
        yield* Effect.sleep("200 millis")
        const sent = connection.bytesWritten - connection.writableLength
        let received = 0
        yield* promise(async () => {
          for await (const chunk of response.body!) received += chunk.byteLength
        })

        assert.isBelow(sent, total)
        assert.strictEqual(received, total)
        const again = yield* promise(() => fetch(url))
        yield* Effect.sleep("50 millis")
        assert.strictEqual((yield* promise(() => again.text())).length, total)
      }))

    it.live.each(
      [
        ["gzip", Zlib.gzipSync],
        ["deflate", Zlib.deflateSync],
        ["br", Zlib.brotliCompressSync],
        ["zstd", Zlib.zstdCompressSync]
      ] as const
    )("decodes %s", ([coding, compress]) =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const text = "compressed ".repeat(50_000)
        const { url } = yield* serve((_, response) =>
          response.writeHead(200, { "content-encoding": coding }).end(compress(text))
        )

        const whole = yield* promise(() => fetch(url))
        const streamed = yield* promise(() => fetch(url))

        assert.strictEqual(yield* promise(() => whole.text()), text)
        assert.strictEqual(yield* promise(() => new Response(streamed.body).text()), text)
      }))

    it.live("takes an empty body for one, whatever its coding", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve((_, response) => response.writeHead(200, { "content-encoding": "gzip" }).end())

        const response = yield* promise(() => fetch(url))

        assert.strictEqual(yield* promise(() => response.text()), "")
      }))

    it.live("fails on a compressed body that is cut or garbage", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve((request, response) => {
          const body = request.url === "/cut" ? Zlib.gzipSync("compressed ".repeat(100)).subarray(0, 20) : "garbage"
          response.writeHead(200, { "content-encoding": "gzip" }).end(body)
        })

        for (const path of ["/cut", "/garbage"]) {
          const response = yield* promise(() => fetch(url + path))
          const error = yield* failure(() => response.text())

          assert.instanceOf(error, TypeError)
          assert.strictEqual(error.message, "terminated")
        }
      }))
  })

  describe("connections", () => {
    it.live("fetch reuses a connection, fetchFresh never does", () =>
      Effect.gen(function*() {
        const { fetch, fetchFresh } = yield* Transport.make()
        const { connections, openConnections, url } = yield* serve((_, response) => response.end("ok"))
        // undici gives a connection back one turn of the event loop after its response.
        const get = (via: Transport.Fetch) =>
          promise(async () => {
            await (await via(url)).text()
          }).pipe(Effect.andThen(Effect.sleep("5 millis")))

        yield* get(fetch)
        yield* get(fetch)
        assert.strictEqual(connections(), 1)

        yield* get(fetchFresh)
        yield* get(fetchFresh)
        yield* get(fetchFresh)
        assert.strictEqual(connections(), 4)

        yield* until(() => openConnections() === 1)
        yield* get(fetch)
        assert.strictEqual(connections(), 4)
      }))

    it.live("opens no more connections than the option says", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make({ connections: 2 })
        const { connections, url } = yield* serve((_, response) => setTimeout(() => response.end("ok"), 20))

        yield* Effect.forEach(Array.from({ length: 6 }), () => promise(async () => (await fetch(url)).text()), {
          concurrency: "unbounded"
        })

        assert.strictEqual(connections(), 2)
      }))

    it.live("closes idle connections when the scope closes, and then refuses requests", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { fetch } = yield* Transport.make().pipe(Scope.provide(scope))
        const { openConnections, url } = yield* serve((_, response) => response.end("ok"))
        yield* promise(async () => (await fetch(url)).text())

        yield* Scope.close(scope, Exit.void)

        yield* until(() => openConnections() === 0)
        const error = yield* failure(() => fetch(url))
        assert.isTrue(Transport.isNotSent(error))
      }))

    it.effect("gives a request in flight one second when the scope closes, under a test's clock too", () =>
      Effect.gen(function*() {
        const scope = yield* Scope.make()
        const { fetch } = yield* Transport.make().pipe(Scope.provide(scope))
        const { requests, url } = yield* serve(() => {})
        const pending = yield* Effect.forkChild(failure(() => fetch(url)), { startImmediately: true })
        yield* TestClock.withLive(until(() => requests() === 1))
        const started = performance.now()
        yield* Scope.close(scope, Exit.void)
        const waited = performance.now() - started
        const error = yield* Fiber.join(pending)

        assert.strictEqual(error.message, "fetch failed")
        assert.isFalse(Transport.isNotSent(error))
        assert.isAbove(waited, 900)
        assert.isBelow(waited, 9000)
      }))

    it.live("uses a given dispatcher, and leaves it open", () =>
      Effect.gen(function*() {
        const agent = yield* Effect.acquireRelease(
          Effect.sync(() => new Agent()),
          (agent) => promise(() => agent.destroy())
        )
        const { url } = yield* serve((_, response) => response.end("ok"))

        yield* Effect.scoped(Effect.gen(function*() {
          const { fetch, fetchFresh } = yield* Transport.make({ dispatcher: agent })
          assert.strictEqual(yield* promise(async () => (await fetch(url)).text()), "ok")
          assert.strictEqual(yield* promise(async () => (await fetchFresh(url)).text()), "ok")
        }))

        assert.isFalse(agent.closed)
      }))

    it.effect("refuses impossible options when it is built", () =>
      Effect.gen(function*() {
        for (
          const options of [{ connections: 0 }, { connections: 1.5 }, { connectTimeout: 0 }, {
            keepAliveTimeout: "Infinity" as const
          }]
        ) {
          const exit = yield* Effect.exit(Effect.scoped(Transport.make(options)))
          assert.include(String(Exit.isFailure(exit) ? exit.cause : exit), "RangeError")
        }
      }))
  })

  describe("failures", () => {
    it.live("says fetch failed with the code of a refused connection, which was not sent", () =>
      Effect.gen(function*() {
        const { fetch, fetchFresh } = yield* Transport.make()
        const url = closedPort

        for (const via of [fetch, fetchFresh]) {
          const error = yield* failure(() => via(url, { method: "POST", body: "x" }))

          assert.instanceOf(error, TypeError)
          assert.strictEqual(error.message, "fetch failed")
          assert.strictEqual(codeOf(error.cause), "ECONNREFUSED")
          assert.isTrue(Transport.isNotSent(error))
        }
      }))

    it.live("says that a failed name look-up was not sent", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()

        const error = yield* failure(() => fetch("http://nowhere.invalid/"))

        assert.include(["ENOTFOUND", "EAI_AGAIN"], codeOf(error.cause))
        assert.isTrue(Transport.isNotSent(error))
      }))

    it.live("says that a failed or cut TLS handshake was not sent", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const plain = yield* listen((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
        const cut = yield* listen((socket) => socket.once("data", () => socket.resetAndDestroy()))

        const wrong = yield* failure(() => fetch(plain.url.replace("http:", "https:")))
        const reset = yield* failure(() => fetch(cut.url.replace("http:", "https:")))

        assert.match(codeOf(wrong.cause) ?? "", /^(ERR_SSL|EPROTO)/)
        assert.isTrue(Transport.isNotSent(wrong))
        assert.strictEqual(codeOf(reset.cause), "ECONNRESET")
        assert.isTrue(Transport.isNotSent(reset))
      }))

    it.live("says that a connection which takes too long was not sent", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make({ connectTimeout: "100 millis" })
        // A TLS handshake that nobody answers.
        const { url } = yield* listen(() => {})

        const error = yield* failure(() => fetch(url.replace("http:", "https:")))

        assert.strictEqual(codeOf(error.cause), "UND_ERR_CONNECT_TIMEOUT")
        assert.isTrue(Transport.isNotSent(error))
      }))

    it.live("says that a reset or a close after the request may have been sent", () =>
      Effect.gen(function*() {
        const { fetch, fetchFresh } = yield* Transport.make()
        const reset = yield* listen((socket) => socket.once("data", () => socket.resetAndDestroy()))
        const close = yield* listen((socket) => socket.once("data", () => socket.end()))

        for (const via of [fetch, fetchFresh]) {
          const first = yield* failure(() => via(reset.url))
          const second = yield* failure(() => via(close.url))

          assert.deepStrictEqual([first.message, codeOf(first.cause)], ["fetch failed", "ECONNRESET"])
          assert.deepStrictEqual([second.message, codeOf(second.cause)], ["fetch failed", "UND_ERR_SOCKET"])
          assert.isFalse(Transport.isNotSent(first))
          assert.isFalse(Transport.isNotSent(second))
        }
        assert.deepStrictEqual([reset.connections(), close.connections()], [2, 2])
      }))

    it.live("says that bytes which are not HTTP may have answered a sent request", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* listen((socket) => socket.once("data", () => socket.end("garbage\r\n\r\n")))

        const error = yield* failure(() => fetch(url))

        assert.strictEqual(error.message, "fetch failed")
        assert.strictEqual((error.cause as Error).name, "HTTPParserError")
        assert.isFalse(Transport.isNotSent(error))
      }))

    it.live("delivers what came of a body that is cut, and then says terminated", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* listen((socket) =>
          socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npartial"))
        )

        const whole = yield* promise(() => fetch(url))
        const streamed = yield* promise(() => fetch(url))
        const error = yield* failure(() => whole.text())
        yield* Effect.sleep("20 millis")
        const reader = streamed.body!.getReader()
        const first = yield* promise(() => reader.read())
        const second = yield* failure(() => reader.read())

        assert.instanceOf(error, TypeError)
        assert.deepStrictEqual([error.message, codeOf(error.cause)], ["terminated", "UND_ERR_SOCKET"])
        assert.strictEqual(Buffer.from(first.value ?? []).toString(), "partial")
        assert.strictEqual(second.message, "terminated")
      }))

    it.live("honours headersTimeout and bodyTimeout of a call", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve((request, response) => {
          if (request.url === "/body") response.writeHead(200, { "content-length": 10 }).write("x")
        })

        const [headers, body] = yield* Effect.all([
          failure(() => fetch(url, { headersTimeout: 50 })),
          failure(async () => (await fetch(`${url}/body`, { bodyTimeout: 50 })).text())
        ], { concurrency: 2 })

        assert.strictEqual(codeOf(headers.cause), "UND_ERR_HEADERS_TIMEOUT")
        assert.deepStrictEqual([body.message, codeOf(body.cause)], ["terminated", "UND_ERR_BODY_TIMEOUT"])
      }))

    it.live("rejects an invalid header without sending", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { requests, url } = yield* serve(echo)

        const error = yield* failure(() => fetch(url, { headers: { "transfer-encoding": "x" } }))

        assert.isTrue(Transport.isNotSent(error))
        assert.strictEqual(codeOf(error.cause), "UND_ERR_INVALID_ARG")
        assert.strictEqual(requests(), 0)
      }))
  })

  describe("aborts", () => {
    it.live("rejects with the signal's reason before it connects", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { connections, url } = yield* serve(echo)
        const reason = new Error("mine")

        const first = yield* failure(() => fetch(url, { signal: AbortSignal.abort(reason) }))
        const second = yield* failure(() => fetch(url, { signal: AbortSignal.abort() }))

        assert.strictEqual(first, reason)
        assert.strictEqual(second.name, "AbortError")
        assert.strictEqual(connections(), 0)
      }))

    it.live("rejects while it connects, and never sends the request", () =>
      Effect.gen(function*() {
        const { fetch, fetchFresh } = yield* Transport.make()
        // A TLS handshake that nobody answers.
        const { received, url } = yield* listen(() => {})

        for (const via of [fetch, fetchFresh]) {
          const before = received().length
          const error = yield* abortedOnce(
            () => received().length > before,
            (signal) => via(url.replace("http:", "https:"), { signal })
          )

          assert.strictEqual(error.name, "AbortError")
        }
        assert.isNotEmpty(received())
        assert.notInclude(received(), "GET /")
      }))

    it.live("rejects while it waits for a free connection, and never sends the request", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make({ connections: 2 })
        const held: Array<Http.ServerResponse> = []
        const { requests, url } = yield* serve((_, response) => held.push(response))
        const busy = [fetch(url), fetch(url)]
        yield* until(() => held.length === 2)

        const error = yield* abortedAfter(20, (signal) => fetch(`${url}/late`, { signal }))
        for (const response of held) response.end("ok")
        yield* promise(() => Promise.all(busy.map(async (response) => (await response).text())))
        yield* Effect.sleep("50 millis")

        assert.strictEqual(error.name, "AbortError")
        assert.strictEqual(requests(), 2)
        const next = promise(async () => (await fetch(url)).text())
        const release = Effect.andThen(until(() => held.length === 3), Effect.sync(() => held[2]?.end("next")))
        assert.strictEqual((yield* Effect.all([next, release], { concurrency: 2 }))[0], "next")
      }))

    it.live("rejects while it waits for headers, and closes the connection", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { openConnections, requests, url } = yield* serve(() => {})

        const error = yield* abortedOnce(() => requests() === 1, (signal) => fetch(url, { signal }))

        assert.strictEqual(error.name, "AbortError")
        yield* until(() => openConnections() === 0)
      }))

    it.live("rejects while the body is read, and closes the connection", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { openConnections, url } = yield* serve((_, response) => response.writeHead(200).write("part"))
        let bodies = 0
        const reading = async (signal: AbortSignal): Promise<Response> => {
          const response = await fetch(url, { signal })
          bodies++
          return response
        }

        const whole = yield* abortedOnce(() => bodies === 1, async (signal) => (await reading(signal)).text())
        const streamed = yield* abortedOnce(() => bodies === 2, async (signal) => {
          for await (const _ of (await reading(signal)).body!) { /* until it fails */ }
        })

        assert.deepStrictEqual([whole.name, streamed.name], ["AbortError", "AbortError"])
        yield* until(() => openConnections() === 0)
      }))

    it.live("closes the connection when the body is cancelled", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { openConnections, url } = yield* serve((_, response) => response.writeHead(200).write("part"))
        const { signal } = makeController()

        const response = yield* promise(() => fetch(url, { signal }))
        yield* promise(() => response.body!.cancel())

        yield* until(() => openConnections() === 0)
        assert.strictEqual(getEventListeners(signal, "abort").length, 0)
        assert.isTrue(response.bodyUsed)
      }))

    it.live("leaves no listener on a signal after a thousand calls", () =>
      Effect.gen(function*() {
        const { fetch } = yield* Transport.make()
        const { url } = yield* serve((request, response) => {
          if (request.url === "/reset") request.socket.resetAndDestroy()
          else response.end("ok")
        })
        const refused = closedPort
        const { signal } = makeController()
        const call = (index: number) =>
          promise(() =>
            fetch(index % 100 === 0 ? refused : index % 50 === 0 ? `${url}/reset` : url, { signal })
              .then((response) => index % 2 === 0 ? response.text() : undefined, () => undefined)
          )

        yield* Effect.forEach(Array.from({ length: 1000 }, (_, index) => index), call, { concurrency: 5 })

        yield* until(() => getEventListeners(signal, "abort").length === 0)
      }))
  })

  describe.each(["fetch", "fetchFresh"] as const)("SDKs through %s", (kind) => {
    it.live("return JSON, the request id and the raw response", () =>
      Effect.gen(function*() {
        const { anthropic, openai } = yield* clients(kind, (request, response) => {
          request.resume()
          response.writeHead(200, { "content-type": "application/json", "x-request-id": "o1", "request-id": "a1" })
          response.end(JSON.stringify({ id: "x", output: [], content: [{ type: "text", text: "hi" }] }))
        })

        const first = yield* promise(() => openai.responses.create({ model: "m", input: "i" }))
        const second = yield* promise(() => anthropic.messages.create(message))
        const raw = yield* promise(() => openai.responses.create({ model: "m", input: "i" }).asResponse())
        const both = yield* promise(() => anthropic.messages.create(message).withResponse())

        assert.deepStrictEqual([first.id, first._request_id], ["x", "o1"])
        assert.deepStrictEqual([second.id, second._request_id], ["x", "a1"])
        assert.strictEqual((yield* promise(() => raw.json() as Promise<{ id: string }>)).id, "x")
        assert.deepStrictEqual([both.data.id, both.response.status, both.request_id], ["x", 200, "a1"])
      }))

    it.live("throw the fields of a JSON error and the text of another", () =>
      Effect.gen(function*() {
        let isJson = true
        const { anthropic, openai } = yield* clients(kind, (_, response) => {
          response.writeHead(429, { "content-type": isJson ? "application/json" : "text/html", "retry-after": "7" })
          response.end(isJson ? JSON.stringify({ error: { type: "t", code: "c", message: "m" } }) : "<html>busy</html>")
        })

        const first = yield* failure(() => openai.responses.create({ model: "m", input: "i" }))
        const second = yield* failure(() => anthropic.messages.create(message))
        isJson = false
        const third = yield* failure(() => openai.responses.create({ model: "m", input: "i" }))

        assert.instanceOf(first, OpenAI.RateLimitError)
        assert.deepStrictEqual([first.status, first.code, first.type], [429, "c", "t"])
        assert.strictEqual(first.headers.get("retry-after"), "7")
        assert.instanceOf(second, Anthropic.RateLimitError)
        assert.deepStrictEqual(second.error, { error: { type: "t", code: "c", message: "m" } })
        assert.include(third.message, "<html>busy</html>")
      }))

    it.live("see HTML, truncated JSON and a cut body as they see them with the global fetch", () =>
      Effect.gen(function*() {
        let answer: Http.RequestListener = () => {}
        const handler: Http.RequestListener = (request, response) => answer(request, response)
        const { anthropic, openai, url } = yield* clients(kind, handler)
        const native = new Anthropic({ apiKey: "k", baseURL: url, maxRetries: 0 })
        const call = (client: Anthropic) => Effect.exit(promise(() => client.messages.create(message)))

        for (
          const one of [
            (_, response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>"),
            (_, response) => response.writeHead(200, { "content-type": "application/json" }).end("{\"id\":"),
            (_, response) => {
              response.writeHead(200, { "content-type": "application/json", "content-length": 99 }).write("{\"id\":")
              setTimeout(() => response.destroy(), 20)
            }
          ] satisfies ReadonlyArray<Http.RequestListener>
        ) {
          answer = one
          assert.strictEqual(describeExit(yield* call(anthropic)), describeExit(yield* call(native)))
        }
        const cut = yield* failure(() => openai.responses.create({ model: "m", input: "i" }))
        assert.deepStrictEqual([cut.name, cut.message], ["TypeError", "terminated"])
      }))

    it.live("iterate an event stream", () =>
      Effect.gen(function*() {
        const { anthropic, openai } = yield* clients(kind, (request, response) => {
          request.resume()
          response.writeHead(200, { "content-type": "text/event-stream" })
          sendSlowly(response, [
            "event: message_start\ndata: {\"type\":\"message_start\",\"n\":1}\n\nevent: mess",
            "age_stop\ndata: {\"type\":\"message_stop\",\"n\":2}\n\n"
          ])
        })

        const first = yield* promise(() => openai.responses.create({ model: "m", input: "i", stream: true }))
        const second = yield* promise(() => anthropic.messages.create({ ...message, stream: true }))
        const events = yield* promise(() => collect(first))
        const messages = yield* promise(() => collect(second))

        assert.deepStrictEqual(events.map((event) => event.type), ["message_start", "message_stop"])
        assert.deepStrictEqual(messages.map((event) => event.type), ["message_start", "message_stop"])
      }))

    it.live("end an event stream that is aborted or left, and close its connection", () =>
      Effect.gen(function*() {
        const { anthropic, openConnections, openai } = yield* clients(kind, (request, response) => {
          request.resume()
          response.writeHead(200, { "content-type": "text/event-stream" })
          response.write("event: message_start\ndata: {\"type\":\"message_start\"}\n\n")
        })
        const controller = makeController()
        const { signal } = controller
        let events = 0
        const read = async (stream: AsyncIterable<unknown>): Promise<number> => {
          let own = 0
          for await (const _ of stream) {
            own++
            // Both streams wait for their second event then.
            if (++events === 2) setTimeout(() => controller.abort(), 50)
          }
          return own
        }

        const seen = yield* promise(async () => {
          const streams: ReadonlyArray<AsyncIterable<unknown>> = [
            await openai.responses.create({ model: "m", input: "i", stream: true }, { signal }),
            await anthropic.messages.create({ ...message, stream: true }, { signal })
          ]
          return Promise.all(streams.map(read))
        })
        yield* promise(async () => {
          for await (const _ of await anthropic.messages.create({ ...message, stream: true })) break
          for await (const _ of await openai.responses.create({ model: "m", input: "i", stream: true })) break
        })

        assert.deepStrictEqual(seen, [1, 1])
        yield* until(() => openConnections() === 0)
      }))

    it.live("throw their abort and timeout errors", () =>
      Effect.gen(function*() {
        const { anthropic, openai, openConnections, requests } = yield* clients(kind, () => {})

        const first = yield* abortedOnce(
          () => requests() === 1,
          (signal) => openai.responses.create({ model: "m", input: "i" }, { signal })
        )
        const second = yield* abortedOnce(
          () => requests() === 2,
          (signal) => anthropic.messages.create(message, { signal })
        )
        const third = yield* failure(() => openai.responses.create({ model: "m", input: "i" }, { timeout: 30 }))
        const fourth = yield* failure(() => anthropic.messages.create(message, { timeout: 30 }))

        assert.instanceOf(first, OpenAI.APIUserAbortError)
        assert.instanceOf(second, Anthropic.APIUserAbortError)
        assert.instanceOf(third, OpenAI.APIConnectionTimeoutError)
        assert.instanceOf(fourth, Anthropic.APIConnectionTimeoutError)
        yield* until(() => openConnections() === 0)
      }))

    it.live("keep what is known about a failed connection", () =>
      Effect.gen(function*() {
        const transport = yield* Transport.make({ connectTimeout: "100 millis" })
        const refused = closedPort
        const silent = (yield* listen(() => {})).url.replace("http:", "https:")
        const reset = (yield* listen((socket) => socket.once("data", () => socket.resetAndDestroy()))).url

        for (
          const [baseURL, code, isNotSent] of [
            [refused, "ECONNREFUSED", true],
            [silent, "UND_ERR_CONNECT_TIMEOUT", true],
            [reset, "ECONNRESET", false]
          ] as const
        ) {
          const options = { apiKey: "k", baseURL, maxRetries: 0, fetch: transport[kind] }
          const [first, second] = yield* Effect.all([
            failure(() => new OpenAI(options).responses.create({ model: "m", input: "i" })),
            failure(() => new Anthropic(options).messages.create(message))
          ], { concurrency: 2 })

          assert.instanceOf(first, OpenAI.APIConnectionError)
          assert.instanceOf(second, Anthropic.APIConnectionError)
          for (const error of [first, second]) {
            assert.strictEqual(codeOf((error.cause as Error).cause), code)
            assert.strictEqual(Transport.isNotSent(error), isNotSent)
          }
        }
      }))
  })
})

interface Seen {
  readonly method: string
  readonly url: string
  readonly headers: Record<string, string>
  readonly body: string
}

const message = {
  model: "m",
  max_tokens: 5,
  messages: [{ role: "user", content: "hi" }]
} satisfies Anthropic.MessageCreateParamsNonStreaming

const promise = <A>(run: () => PromiseLike<A>): Effect.Effect<A> => Effect.promise(() => run())

const failure = (run: () => PromiseLike<unknown>): Effect.Effect<Error> =>
  Effect.promise(() =>
    Promise.resolve(run()).then(
      (value) => Promise.reject(new Error(`expected a failure, got ${String(value)}`)),
      (error: Error) => error
    )
  )

const makeController = () => new AbortController()

const abortedAfter = (millis: number, run: (signal: AbortSignal) => PromiseLike<unknown>): Effect.Effect<Error> =>
  Effect.suspend(() => {
    const controller = new AbortController()
    setTimeout(() => controller.abort(), millis)
    return failure(() => run(controller.signal))
  })

const abortedOnce = (
  predicate: () => boolean,
  run: (signal: AbortSignal) => PromiseLike<unknown>
): Effect.Effect<Error> =>
  Effect.suspend(() => {
    const controller = new AbortController()
    return Effect.map(
      Effect.all([
        failure(() => run(controller.signal)),
        Effect.andThen(until(predicate), Effect.sync(() => controller.abort()))
      ], { concurrency: 2 }),
      ([error]) => error
    )
  })

const until = (predicate: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() => predicate() ? Effect.void : Effect.andThen(Effect.sleep("5 millis"), until(predicate)))

const collect = async <A>(iterable: AsyncIterable<A>): Promise<Array<A>> => {
  const all: Array<A> = []
  for await (const one of iterable) all.push(one)
  return all
}

const codeOf = (error: unknown): string | undefined => (error as { readonly code?: string } | undefined)?.code

const describeExit = (exit: Exit.Exit<unknown>): string => {
  if (Exit.isSuccess(exit)) return `success ${JSON.stringify(exit.value)}`
  const error = Cause.squash(exit.cause) as Error
  return `${error.name}: ${error.message}`
}

const echo: Http.RequestListener = (request, response) => {
  const chunks: Array<Buffer> = []
  request.on("data", (chunk: Buffer) => chunks.push(chunk))
  request.on("end", () => {
    const { headers, method, url } = request
    response.writeHead(201, "Made", { "x-reply": "one", "set-cookie": ["a=1", "b=2"] })
    response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }))
  })
}

const sendSlowly = (response: Http.ServerResponse, parts: ReadonlyArray<string>): void => {
  const [part, ...rest] = parts
  if (part === undefined) {
    response.end()
  } else {
    response.write(part)
    setTimeout(() => sendSlowly(response, rest), 10)
  }
}

const listening = <S extends Net.Server>(server: S) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const sockets = new Set<Net.Socket>()
      let connections = 0
      server.on("connection", (socket: Net.Socket) => {
        connections++
        sockets.add(socket)
        socket.on("error", () => {}).on("close", () => sockets.delete(socket))
      })
      server.listen(0, "127.0.0.1")
      await once(server, "listening")
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
      return { server, url, sockets, connections: () => connections, openConnections: () => sockets.size }
    }),
    ({ sockets }) =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
  )

const serve = (handler: Http.RequestListener) =>
  Effect.suspend(() => {
    let requests = 0
    // Connections stay open however long the process is kept from running.
    const server = Http.createServer({ keepAliveTimeout: 0 }, (request, response) => {
      requests++
      handler(request, response)
    })
    return Effect.map(listening(server), (running) => ({ ...running, requests: () => requests }))
  })

const listen = (handler: (socket: Net.Socket) => void) =>
  Effect.suspend(() => {
    let received = ""
    const server = Net.createServer((socket) => {
      socket.on("data", (chunk) => {
        received += String(chunk)
      })
      handler(socket)
    })
    return Effect.map(listening(server), (running) => ({ ...running, received: () => received }))
  })

// The port of tcpmux: one that was free a moment ago may be somebody's by now.
const closedPort = "http://127.0.0.1:1"

const clients = Effect.fnUntraced(function*(kind: "fetch" | "fetchFresh", handler: Http.RequestListener) {
  const transport = yield* Transport.make()
  const server = yield* serve(handler)
  const options = { apiKey: "k", baseURL: server.url, maxRetries: 0, fetch: transport[kind] }
  return { ...server, openai: new OpenAI(options), anthropic: new Anthropic(options) }
})
