import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Stream } from "effect"
import { Holdfast, Providers, type ResponseRequest, Schedules, SessionStore } from "holdfast"
import * as AnsweringServer from "../fixtures/AnsweringServer.ts"

const lost: ReadonlyArray<AnsweringServer.Answer> = [
  { status: 500, body: { error: { message: "Server disconnected", type: "None", param: "None", code: "500" } } },
  { status: 500, body: { error: { message: "OpenAIException - Connection error.", type: null, code: "500" } } },
  { status: 503, body: { error: { message: "Response payload is not completed", type: "server_error" } } },
  { status: 503, body: "upstream connect error or disconnect/reset before headers" },
  { status: 500, body: { message: "Internal server error" } },
  { status: 500, body: { errors: [{ message: "Words", code: 1 }] } },
  { status: 503, body: { timestamp: 1, status: 503, error: "Service Unavailable", message: "Words" } }
]

const refusal: AnsweringServer.Answer = {
  status: 500,
  body: { error: { message: "The server had an error while processing your request", type: "server_error" } }
}

describe("a gateway that lost its upstream", () => {
  it.live.each(lost)("leaves a background submission of a session uncertain: %o", (answer) =>
    Effect.gen(function*() {
      for (const isStreamed of [false, true]) {
        const { asked, error } = yield* call(answer, { session: "s", strategy: "background" }, isStreamed)

        assert.strictEqual(error._tag, "NonRetryable")
        assert.strictEqual(error._tag === "Timeout" ? "" : error.reason._tag, "SubmissionUncertain")
        assert.strictEqual(asked, 1)
      }
    }))

  it.live.each(lost)("has a held call made again, as the policy allows: %o", (answer) =>
    Effect.gen(function*() {
      for (const strategy of ["sync", "completions"] as const) {
        const { asked, error } = yield* call(answer, { session: "s", strategy }, false)

        assert.strictEqual(error._tag, "Retryable")
        assert.strictEqual(asked, 3)
      }
    }))

  it.live("is not one that refuses in the provider's own words: the submission is made again", () =>
    Effect.gen(function*() {
      const { asked, error } = yield* call(refusal, { session: "s", strategy: "background" }, false)

      assert.strictEqual(error._tag, "Retryable")
      assert.strictEqual(asked, 3)
    }))
})

const call = Effect.fnUntraced(
  function*(answer: AnsweringServer.Answer, more: Partial<ResponseRequest.RequestInput>, isStreamed: boolean) {
    const { asked, url } = yield* AnsweringServer.make(() => answer)
    const acme = { baseUrl: `${url}/v1`, apiKey: Redacted.make("sk-test-0000"), responses: true, background: true }
    const retry = Schedules.retrySchedule({ initial: "1 millis", attempts: 3 })
    const request = { model: "acme/m", prompt: "x", retry, ...more }
    const layer = Holdfast.layer.pipe(Layer.provide([SessionStore.layerMemory, Providers.layer({ acme })]))
    const calling = isStreamed ? Stream.runDrain(Holdfast.stream(request)) : Effect.asVoid(Holdfast.execute(request))
    const error = yield* Effect.flip(Effect.provide(calling, layer))
    return { asked: asked.length, error }
  }
)
