import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schedule, Stream } from "effect"
import { Holdfast, Providers, SessionStore } from "holdfast"
import { Simulator } from "holdfast/testing"
import type { Socket } from "node:net"
import * as Transport from "../../src/services/providers/Transport.ts"
import { outcomeOf, requestOf } from "../fixtures/proof/Job.ts"
import * as Sockets from "../fixtures/proof/Sockets.ts"

describe("the evidence of a failed background submission", () => {
  describe("says that nothing was sent after", () => {
    it.live("a refused connection", () =>
      Effect.gen(function*() {
        const found = yield* submit(`http://127.0.0.1:${Sockets.closedPort}/v1`)

        assert.deepStrictEqual(found, notSubmitted("Retryable Network"))
      }))

    it.live("a name that cannot be resolved", () =>
      Effect.gen(function*() {
        const found = yield* submit("http://nonexistent.invalid/v1")

        assert.deepStrictEqual(found, notSubmitted("Retryable Network"))
      }))

    it.live("TLS with a port that speaks none", () =>
      Effect.gen(function*() {
        const bad = yield* Sockets.closingIdle(1000, () => ({}))
        const found = yield* submit(`https://127.0.0.1:${bad.port}/v1`)

        assert.deepStrictEqual(found, notSubmitted("Retryable Network"))
      }))

    it.live("a connection that ends inside the TLS handshake", () =>
      Effect.gen(function*() {
        const bad = yield* Sockets.accepting((socket) => socket.once("data", () => socket.resetAndDestroy()))
        const found = yield* submit(`https://127.0.0.1:${bad.port}/v1`)

        assert.deepStrictEqual(found, notSubmitted("Retryable Network"))
        // One of each call.
        assert.strictEqual(bad.connections(), 2)
      }))

    it.live("a reset before the request was written", () =>
      Effect.gen(function*() {
        const bad = yield* Sockets.accepting((socket) => socket.resetAndDestroy())
        const found = yield* submit(`http://127.0.0.1:${bad.port}/v1`)

        assert.deepStrictEqual(found, notSubmitted("Retryable Network"))
        assert.strictEqual(bad.connections(), 2)
      }))

    it.live("a certificate that cannot be verified", (context) =>
      Effect.gen(function*() {
        const bad = yield* Sockets.selfSigned
        if (bad === undefined) return context.skip("openssl is not there to make a certificate")
        const found = yield* submit(`https://localhost:${bad.port}/v1`)

        assert.deepStrictEqual(found, notSubmitted("NonRetryable Network"))
        assert.strictEqual(bad.requests(), 0)
      }))

    it.live("a connection that did not come to be in time", (context) =>
      Effect.gen(function*() {
        if (process.platform !== "linux") return context.skip("only Linux ignores connections beyond a full queue")
        const port = yield* Sockets.fullPort
        const startedAt = performance.now()
        const found = yield* submit(`http://127.0.0.1:${port}/v1`, {
          connectTimeout: "300 millis"
        })

        assert.deepStrictEqual(found, notSubmitted("Retryable Network"))
        assert.isAbove(performance.now() - startedAt, 290)
      }))
  })

  describe("leaves the submission open after", () => {
    it.live("a reset before the request was read", () =>
      Effect.gen(function*() {
        // Nothing is read before somebody listens for data; by then the request waits in the kernel. Several turns of the
        // event loop, as the first timer may fire before anything else when the process was stopped.
        const resetAfter = (socket: Socket, turns: number): unknown =>
          setTimeout(() => turns === 0 ? socket.resetAndDestroy() : resetAfter(socket, turns - 1), 10)
        const bad = yield* Sockets.accepting((socket) => resetAfter(socket, 5))
        const found = yield* submit(`http://127.0.0.1:${bad.port}/v1`)

        assert.deepStrictEqual(found, open)
        assert.strictEqual(bad.connections(), 1)
      }))

    it.live("a reset after the request was read", () =>
      Effect.gen(function*() {
        const bad = yield* Sockets.accepting((socket, sawRequest) =>
          socket.once("data", () => {
            sawRequest()
            socket.resetAndDestroy()
          })
        )
        const found = yield* submit(`http://127.0.0.1:${bad.port}/v1`)

        assert.deepStrictEqual(found, open)
        assert.deepStrictEqual([bad.connections(), bad.requests()], [1, 1])
      }))

    it.live("an orderly end of the connection without an answer", () =>
      Effect.gen(function*() {
        const bad = yield* Sockets.accepting((socket) => socket.once("data", () => socket.end()))
        const found = yield* submit(`http://127.0.0.1:${bad.port}/v1`)

        assert.deepStrictEqual(found, open)
      }))

    it.live("bytes that are no HTTP", () =>
      Effect.gen(function*() {
        const bad = yield* Sockets.accepting((socket) => socket.once("data", () => socket.end("SSH-2.0-OpenSSH\r\n")))
        const found = yield* submit(`http://127.0.0.1:${bad.port}/v1`)

        assert.deepStrictEqual(found, open)
      }))

    it.live.each([
      ["a server that does not answer", { _tag: "Hang", accepted: false }],
      ["a server that accepts and does not answer", { _tag: "Hang", accepted: true }],
      ["a reset before acceptance", { _tag: "Reset", accepted: false }],
      ["a reset after acceptance", { _tag: "Reset", accepted: true }],
      ["408", { _tag: "Error", error: "requestTimeout" }],
      ["500 without the provider's JSON", { _tag: "Html", status: 500 }],
      ["500 without a body", { _tag: "Status", status: 500, body: "" }],
      ["502 with the provider's JSON", { _tag: "Status", status: 502, body: providersError }],
      ["502 without it", { _tag: "Html", status: 502 }],
      ["503 without it", { _tag: "Html", status: 503 }],
      ["504 with the provider's JSON", { _tag: "Status", status: 504, body: providersError }],
      ["504 without it", { _tag: "Html", status: 504 }],
      ["520 of a proxy", { _tag: "Status", status: 520, body: "error code: 520" }],
      ["529 without the provider's JSON", { _tag: "Html", status: 529 }],
      ["200 with HTML", { _tag: "Html", status: 200, accepted: true }],
      ["half a body", { _tag: "Corrupt", how: "half" }],
      ["a body that is cut by a reset", { _tag: "Corrupt", how: "short" }],
      ["a garbled body", { _tag: "Corrupt", how: "garbage" }],
      ["an empty body", { _tag: "Corrupt", how: "empty" }]
    ] as ReadonlyArray<readonly [string, Simulator.Action]>)("%s", ([, action]) =>
      Effect.gen(function*() {
        const { openAiBaseUrl } = yield* Simulator.Simulator
        const found = yield* submit(openAiBaseUrl, action._tag === "Hang" ? { submitMillis: 1000 } : {})

        assert.deepStrictEqual(found, open)
        // The first call and the second one, together.
        assert.strictEqual(yield* requests, 1)
      }).pipe(Effect.provide(Simulator.layer({ script: [{ on: "responses.create", times: "always", do: action }] }))))
  })

  describe("says that the provider has refused it after", () => {
    it.live.each([
      ["400", { _tag: "Error", error: "invalidRequest" }, "NonRetryable InvalidRequest", 1],
      ["401", { _tag: "Error", error: "authentication" }, "NonRetryable AuthenticationFailed", 1],
      ["403", { _tag: "Error", error: "permission" }, "NonRetryable PermissionDenied", 1],
      ["403 of a proxy", { _tag: "Html", status: 403 }, "NonRetryable PermissionDenied", 1],
      ["404", { _tag: "Error", error: "notFound" }, "NonRetryable NotFound", 1],
      ["409", { _tag: "Error", error: "conflict" }, "Retryable Conflict", 3],
      ["429", { _tag: "Error", error: "rateLimit", headers: { "retry-after-ms": "5" } }, "Retryable RateLimited", 3],
      ["429 for the quota", { _tag: "Error", error: "quota" }, "NonRetryable QuotaExceeded", 1],
      ["500 with the provider's JSON", { _tag: "Error", error: "serverError" }, "Retryable ServerError", 3],
      ["503 with it", { _tag: "Status", status: 503, body: providersError }, "Retryable ServerError", 3],
      ["529 with it", { _tag: "Status", status: 529, body: providersError }, "Retryable Overloaded", 3]
    ] as ReadonlyArray<readonly [string, Simulator.Action, string, number]>)(
      "%s",
      ([, action, error, attempts]) =>
        Effect.gen(function*() {
          const { openAiBaseUrl } = yield* Simulator.Simulator
          const found = yield* submit(openAiBaseUrl, { retries: 2 })

          assert.deepStrictEqual(found, {
            entries: ["Prepared", ...Array.from({ length: attempts }, () => ["Submitting", "NotSubmitted"]).flat()],
            first: error,
            again: error
          })
          // Both calls may try again: each time it was certain that nothing had been accepted.
          assert.strictEqual(yield* requests, 2 * attempts)
        }).pipe(Effect.provide(Simulator.layer({ script: [{ on: "responses.create", times: "always", do: action }] })))
    )
  })

  describe("is the same when the job is streamed:", () => {
    it.live("nothing was sent after a refused connection", () =>
      Effect.gen(function*() {
        const found = yield* submit(`http://127.0.0.1:${Sockets.closedPort}/v1`, { isStreamed: true })

        assert.deepStrictEqual(found, notSubmitted("Retryable Network"))
      }))

    it.live.each([
      ["a server that accepts and does not answer", { _tag: "Hang", accepted: true }],
      ["a reset before acceptance", { _tag: "Reset", accepted: false }],
      ["a reset after acceptance", { _tag: "Reset", accepted: true }],
      ["408", { _tag: "Error", error: "requestTimeout" }],
      ["500 without the provider's JSON", { _tag: "Html", status: 500 }],
      ["504 with the provider's JSON", { _tag: "Status", status: 504, body: providersError }],
      ["200 with HTML", { _tag: "Html", status: 200, accepted: true }],
      ["a garbled stream", { _tag: "Corrupt", how: "garbage" }],
      ["an empty stream", { _tag: "Corrupt", how: "empty" }]
    ] as ReadonlyArray<readonly [string, Simulator.Action]>)(
      "the submission is open after %s",
      ([, action]) =>
        Effect.gen(function*() {
          const { openAiBaseUrl } = yield* Simulator.Simulator
          const found = yield* submit(openAiBaseUrl, {
            isStreamed: true,
            ...(action._tag === "Hang" ? { submitMillis: 1000 } : {})
          })

          assert.deepStrictEqual(found, open)
          assert.strictEqual(yield* requests, 1)
        }).pipe(Effect.provide(Simulator.layer({ script: [{ on: "responses.create", times: "always", do: action }] })))
    )

    it.live("it was refused after 500 with the provider's JSON", () =>
      Effect.gen(function*() {
        const { openAiBaseUrl } = yield* Simulator.Simulator
        const found = yield* submit(openAiBaseUrl, { isStreamed: true })

        assert.deepStrictEqual(found, notSubmitted("Retryable ServerError"))
      }).pipe(Effect.provide(Simulator.layer({
        script: [{ on: "responses.create", times: "always", do: { _tag: "Error", error: "serverError" } }]
      }))))
  })

  it.live("is never needed because the process was stopped when the answer arrived", () =>
    Effect.gen(function*() {
      // Loads what a first submission needs.
      yield* submit(`http://127.0.0.1:${Sockets.closedPort}/v1`)
      const submitMillis = 1500
      const port = yield* Sockets.stopping(submitMillis)
      const outcome = yield* Holdfast.Holdfast.use((holdfast) =>
        outcomeOf("s", holdfast.execute(requestOf({ session: "s", submitMillis })))
      ).pipe(Effect.provide(world(`http://127.0.0.1:${port}/v1`)))

      assert.deepInclude(outcome, { _tag: "Answered", responseId: "resp_1", submissions: 1 })
    }))

  it.live("is never needed because of an idle connection that the server has closed", () =>
    Effect.gen(function*() {
      const rounds = 40
      const seen: Array<{ readonly port: number | undefined; readonly isSubmission: boolean }> = []
      const bad = yield* Sockets.closingIdle(8, ({ method, socket }) => {
        seen.push({ port: socket.remotePort, isSubmission: method === "POST" })
        const polls = seen.length - 1 - seen.findLastIndex(({ isSubmission }) => isSubmission)
        return {
          id: `resp_${seen.length}`,
          object: "response",
          created_at: 1,
          status: polls < 2 ? "in_progress" : "completed",
          background: true,
          model: "gpt-4o",
          output: polls < 2 ? [] : [{
            id: "msg_1",
            type: "message",
            role: "assistant",
            status: "completed",
            content: [{ type: "output_text", text: "Paris", annotations: [] }]
          }]
        }
      })
      const outcomes = yield* Effect.gen(function*() {
        const holdfast = yield* Holdfast.Holdfast
        return yield* Effect.forEach(
          Array.from({ length: rounds }, (_, round) => `round ${round}`),
          (session, round) =>
            // Just before, while and just after the server closes what was idle.
            Effect.delay(
              outcomeOf(session, holdfast.execute(requestOf({ session, submitMillis: 20_000 }))),
              4 + round % 8
            )
        )
      }).pipe(Effect.provide(world(`http://127.0.0.1:${bad.port}/v1`)))

      assert.deepStrictEqual(
        outcomes.map((outcome) => outcome._tag === "Answered" ? outcome.submissions : outcome.reason),
        outcomes.map(() => 1)
      )
      const submissions = seen.filter(({ isSubmission }) => isSubmission)
      assert.strictEqual(submissions.length, rounds)
      assert.isTrue(
        submissions.every(({ port }) => seen.filter((one) => one.port === port).length === 1),
        "each submission had a connection of its own"
      )
    }))
})

const providersError = { error: { message: "It did not work.", type: "server_error", code: null, param: null } }

const notSubmitted = (error: string) => ({
  entries: ["Prepared", "Submitting", "NotSubmitted"],
  first: error,
  again: error
})

const open = {
  entries: ["Prepared", "Submitting"],
  first: "NonRetryable SubmissionUncertain",
  again: "NonRetryable SubmissionUncertain"
}

const world = (baseUrl: string, transport: Transport.Options = {}) =>
  Holdfast.layer.pipe(
    Layer.provideMerge(SessionStore.layerMemory),
    Layer.provide(Providers.layer({ openai: { baseUrl, apiKey: Redacted.make("simulated") } })),
    Layer.provide(Transport.layer(transport))
  )

/** Runs a job twice. Tells how both calls ended, and what the first one has left in the journal. */
const submit = (
  baseUrl: string,
  { isStreamed = false, retries = 0, submitMillis = 20_000, ...transport }: Transport.Options & {
    readonly isStreamed?: boolean
    readonly retries?: number
    readonly submitMillis?: number
  } = {}
) =>
  Effect.gen(function*() {
    const holdfast = yield* Holdfast.Holdfast
    const store = yield* SessionStore.SessionStore
    const request = {
      ...requestOf({ session: "s", submitMillis }),
      retry: Schedule.max([Schedule.recurs(retries), Schedule.spaced("5 millis")])
    }
    const call = Effect.map(
      Effect.flip(isStreamed ? Stream.runDrain(holdfast.stream(request)) : holdfast.execute(request)),
      (error) => `${error._tag} ${"reason" in error ? error.reason._tag : ""}`
    )
    const first = yield* call
    const { entries } = yield* store.load("s")
    const again = yield* call
    return { entries: entries.map(({ _tag }) => _tag), first, again }
  }).pipe(Effect.provide(world(baseUrl, transport), { local: true }))

const requests = Simulator.Simulator.use(({ ledger }) => Effect.map(ledger, ({ submissions }) => submissions.length))
