import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schedule } from "effect"
import { Holdfast, Providers, type ResponseRequest, Schedules, SessionStore } from "holdfast"
import { Simulator } from "holdfast/testing"

describe("Amazon Bedrock", () => {
  it.live("runs background jobs on Mantle", () =>
    withSimulator(({ ledger }) =>
      Effect.gen(function*() {
        const answer = yield* Holdfast.execute({ ...request, model: "bedrock_mantle/gpt-5.6-sol" })

        assert.deepInclude(answer, { provider: "bedrock_mantle", strategy: "background", polls: 1, settled: true })
        assert.deepStrictEqual((yield* ledger).requests, { "responses.create": 1, "responses.retrieve": 1 })
      })
    ))

  it.live("has none of its runtime, whose Responses API answers at once", () =>
    withSimulator(({ ledger }) =>
      Effect.gen(function*() {
        const model = "bedrock/us.openai.gpt-5.6-sol"
        const error = yield* Effect.flip(Holdfast.execute({ ...request, model }))
        const before = (yield* ledger).requests
        const answer = yield* Holdfast.execute({ ...request, model, strategy: "sync" })

        assert.containSubset(error, { _tag: "NonRetryable", reason: { _tag: "InvalidRequest", provider: "bedrock" } })
        assert.deepStrictEqual(before, {})
        assert.deepInclude(answer, { provider: "bedrock", strategy: "sync", settled: true })
      })
    ))
})

const request: Omit<ResponseRequest.RequestInput, "model"> = {
  prompt: "Name the capital of France.",
  strategy: "background",
  session: "s"
}

const withSimulator = <A, E>(
  use: (simulator: Simulator.Simulator["Service"]) => Effect.Effect<A, E, Holdfast.Holdfast>
) =>
  Simulator.Simulator.use((simulator) => {
    const settings = { baseUrl: simulator.openAiBaseUrl, apiKey: Redacted.make("bedrock-key") }
    const live = Holdfast.layer.pipe(
      Layer.provide([Providers.layer({ bedrock: settings, bedrock_mantle: settings }), SessionStore.layerMemory])
    )
    return Effect.provide(use(simulator), Layer.fresh(live))
  }).pipe(
    Effect.provide(Simulator.layer({ completeAfterPolls: 1 }), { local: true }),
    Effect.provideService(Schedules.PollPolicy, Schedule.spaced("10 millis"))
  )
