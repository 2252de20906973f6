import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted, Schedule, Stream } from "effect"
import { Holdfast, Providers, type ResponseRequest, SessionStore, type StrategyError } from "holdfast"
import * as AnsweringServer from "../fixtures/AnsweringServer.ts"

const limit = {
  type: "usage_limit_reached",
  message: "The usage limit has been reached",
  resets_in_seconds: 13_872
}

const failed = { id: "resp_1", object: "response", status: "failed", error: { ...limit, code: limit.type }, output: [] }

const answers: ReadonlyArray<readonly [string, AnsweringServer.Answer]> = [
  ["429", { status: 429, body: { error: limit } }],
  ["429 with the wait in a header of the upstream", {
    status: 429,
    headers: { "retry-after": "1", "llm_provider-retry-after": "13872" },
    body: { error: { message: "Words", type: "throttling_error", code: "429" } }
  }],
  ["an error under 200", { body: { error: limit } }],
  ["an error event", { events: [{ type: "error", status_code: 429, error: limit, headers: { a: "1" } }] }]
]

describe("a limit that ends after the deadline", () => {
  for (const strategy of ["background", "sync", "completions"] as const) {
    for (const [name, answer] of answers) {
      for (const isStreamed of "events" in answer ? [true] : [false, true]) {
        for (const session of [undefined, "s"]) {
          it.live(`ends a call by ${strategy}, ${isStreamed ? "watched" : "plain"}, ${session ?? "no session"}: ${name}`, () =>
            Effect.gen(function*() {
              const server = yield* AnsweringServer.make(() => answer)
              const error = yield* failure(server.url, { strategy, session }, isStreamed)

              assert.deepInclude(factsOf(error), { _tag: "Retryable", reason: "RateLimited", seconds: 13_872 })
              assert.strictEqual(server.asked.length, 1)
            }))
        }
      }
    }
  }

  it.live.each([false, true])(
    "ends a held call whose response failed for it, watched: %s",
    (isStreamed) =>
      Effect.gen(function*() {
        const server = yield* AnsweringServer.make(() =>
          isStreamed ? { events: [{ type: "response.failed", response: failed }] } : { body: failed }
        )
        const error = yield* failure(server.url, { strategy: "sync" }, isStreamed)

        assert.deepInclude(factsOf(error), { _tag: "Retryable", reason: "JobFailed RateLimited", seconds: 13_872 })
        assert.strictEqual(server.asked.length, 1)
      })
  )

  it.live("ends a job that failed for it", () =>
    Effect.gen(function*() {
      const server = yield* AnsweringServer.make(({ method }) => ({
        body: method === "POST" ? { ...failed, status: "queued", error: null } : failed
      }))
      const error = yield* failure(server.url, { strategy: "background" }, false)

      assert.deepInclude(factsOf(error), { _tag: "Retryable", reason: "JobFailed RateLimited", seconds: 13_872 })
      assert.deepStrictEqual(server.asked.map(({ method }) => method), ["POST", "GET"])
    }))

  it.live("ends a call whose own retry schedule would not wait for it", () =>
    Effect.gen(function*() {
      const server = yield* AnsweringServer.make(() => ({ status: 429, body: { error: limit } }))
      const error = yield* failure(server.url, { retry: Schedule.recurs(3) }, false)

      assert.strictEqual(factsOf(error).seconds, 13_872)
      assert.strictEqual(server.asked.length, 1)
    }))

  it.live.each(["background", "sync", "completions"] as const)(
    "ends the next call at once where the account follows its provider, and nothing is sent: %s",
    (strategy) =>
      Effect.gen(function*() {
        const server = yield* AnsweringServer.make(() => ({ status: 429, body: { error: limit } }))
        const call = Effect.flip(Holdfast.execute({ model: "acme/m", prompt: "x", strategy, deadline: "2 hours" }))
        const startedAt = performance.now()
        const errors = yield* Effect.provide(
          Effect.all([call, call, call]),
          layerOf({ ...acmeOf(server.url), limits: { followServer: true } })
        )

        for (const error of errors) {
          assert.deepInclude(factsOf(error), { _tag: "Retryable", reason: "RateLimited" })
          assert.closeTo(factsOf(error).seconds ?? 0, 13_872, 30)
        }
        assert.strictEqual(server.asked.length, 1)
        assert.isBelow(performance.now() - startedAt, 5000)
      })
  )

  it.live("is waited for where the deadline allows it", () =>
    Effect.gen(function*() {
      let calls = 0
      const server = yield* AnsweringServer.make(() =>
        ++calls === 1
          ? { status: 429, body: { error: { ...limit, resets_in_seconds: 0.05 } } }
          : { status: 400, body: { error: { message: "Words" } } }
      )
      const error = yield* failure(server.url, {}, false)

      assert.strictEqual(factsOf(error).reason, "InvalidRequest")
      assert.strictEqual(server.asked.length, 2)
    }))

  it.live("does not end a job that is polled: it is polled on", () =>
    Effect.gen(function*() {
      let polls = 0
      const server = yield* AnsweringServer.make(({ method }) => {
        if (method === "POST") return { body: { ...failed, status: "queued", error: null } }
        polls++
        return polls === 1
          ? { status: 429, body: { error: limit } }
          : { body: { ...failed, error: { message: "Words" } } }
      })
      const error = yield* failure(server.url, { strategy: "background", poll: Schedule.spaced("10 millis") }, false)

      assert.strictEqual(factsOf(error).reason, "JobFailed InvalidRequest")
      assert.strictEqual(polls, 2)
    }))
})

const acmeOf = (url: string): Providers.ProviderSettings => ({
  baseUrl: `${url}/v1`,
  apiKey: Redacted.make("sk-test-0000"),
  responses: true,
  background: true
})

const layerOf = (acme: Providers.ProviderSettings) =>
  Holdfast.layer.pipe(Layer.provide([SessionStore.layerMemory, Providers.layer({ acme })]))

const failure = (url: string, more: Partial<ResponseRequest.RequestInput>, isStreamed: boolean) => {
  const request = { model: "acme/m", prompt: "x", ...more }
  const call = isStreamed ? Stream.runDrain(Holdfast.stream(request)) : Effect.asVoid(Holdfast.execute(request))
  return Effect.flip(Effect.provide(call, layerOf(acmeOf(url))))
}

const factsOf = (error: StrategyError.StrategyError) => {
  if (error._tag === "Timeout") return { _tag: error._tag }
  const { reason } = error
  return {
    _tag: error._tag,
    reason: reason._tag === "JobFailed" ? `JobFailed ${reason.reason._tag}` : reason._tag,
    seconds: error._tag === "Retryable" && error.retryAfter !== undefined
      ? Duration.toSeconds(error.retryAfter)
      : undefined
  }
}
