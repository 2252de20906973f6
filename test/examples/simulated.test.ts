import { assert, it } from "@effect/vitest"
import { Effect, Layer, Redacted } from "effect"
import { Holdfast, Providers, Schedules, SessionStore } from "holdfast"
import { Simulator } from "holdfast/testing"

const Live = Layer.unwrap(Effect.map(Simulator.Simulator, ({ openAiBaseUrl }) =>
  Holdfast.layer.pipe(Layer.provide([
    SessionStore.layerMemory,
    Providers.layer({ openai: { apiKey: Redacted.make("any"), baseUrl: openAiBaseUrl } })
  ])))).pipe(Layer.provideMerge(Simulator.layer({ completeAfterPolls: 2 })))

it.live("gets through a rate limit and a failed poll with one job", () =>
  Effect.gen(function*() {
    const simulator = yield* Simulator.Simulator
    yield* simulator.script([
      { on: "responses.create", do: { _tag: "Error", error: "rateLimit", headers: { "retry-after-ms": "20" } } },
      { on: "responses.retrieve", do: { _tag: "Html", status: 502 } }
    ])

    const answer = yield* Holdfast.execute({
      model: "openai/gpt-5.5-pro",
      prompt: "Hello",
      poll: Schedules.pollSchedule({ initial: "20 millis" })
    })

    const { jobs } = yield* simulator.ledger
    assert.strictEqual(jobs.length, 1)
    assert.strictEqual(answer.attempts, 2)
  }).pipe(Effect.provide(Live)))
