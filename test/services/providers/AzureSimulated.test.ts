import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Schedule, type Scope } from "effect"
import { Holdfast, ModelCatalog, Providers, type ResponseRequest, Schedules, SessionStore } from "holdfast"
import { Simulator } from "holdfast/testing"

describe("Azure", () => {
  it.live("is asked with a new Entra token for each request, polls included", () =>
    withSimulator(
      { completeAfterPolls: 2, apiKeys: ["token-1", "token-2", "token-3"] },
      (sim) =>
        Effect.gen(function*() {
          let count = 0
          const apiKey = Effect.sync(() => Redacted.make(`token-${++count}`))
          const process = yield* start(sim, { apiKey, authHeader: "bearer" })
          const answer = yield* process.execute(request)

          assert.deepInclude(answer, { provider: "azure", strategy: "background", polls: 2, settled: true })
          assert.strictEqual(count, 3)
        })
    ))

  it.live("is asked with its key where that is all there is", () =>
    withSimulator({ completeAfterPolls: 1, apiKeys: ["azure-key"] }, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim, {})
        const right = yield* process.execute(request)
        const wrong = yield* start(sim, { apiKey: Redacted.make("other-key") })
        const error = yield* Effect.flip(wrong.execute({ ...request, session: undefined }))

        assert.deepInclude(right, { settled: true })
        assert.strictEqual(reasonOf(error), "NonRetryable AuthenticationFailed")
      })))

  it.live.each(["background", "sync", "completions"] as const)(
    "answers on its older surface too, by the strategy %s",
    (strategy) =>
      withSimulator({ completeAfterPolls: 1 }, (sim) =>
        Effect.gen(function*() {
          const process = yield* start(sim, { apiVersion: "2025-04-01-preview" }, { path: "/openai" })
          const answer = yield* process.execute({ ...request, strategy })

          assert.deepInclude(answer, { strategy, settled: true, finishReason: "stop" })
        }))
  )

  it.live("takes a deployment for the model that it is declared to hold", () =>
    withSimulator({ completeAfterPolls: 1 }, (sim) =>
      Effect.gen(function*() {
        const process = yield* start(sim, {}, { deployments: { "our-pro": "gpt-5.5-pro", "our-old": "gpt-35-turbo" } })
        const pro = yield* process.execute({ ...request, session: "pro", model: "azure/our-pro" })
        const old = yield* process.execute({ ...request, session: "old", model: "azure/our-old" })
        const models = (yield* sim.ledger).submissions.map(({ body }) => (body as { readonly model?: string }).model)

        assert.strictEqual(pro.strategy, "background")
        assert.strictEqual(old.strategy, "completions")
        assert.deepStrictEqual(models, ["our-pro", "our-old"])
      })))

  it.live.each(["background", "sync", "completions"] as const)(
    "is ContentFiltered when the filter refuses the prompt, by the strategy %s",
    (strategy) =>
      withSimulator({ script: [{ do: { _tag: "Error", error: "contentFilter" } }] }, (sim) =>
        Effect.gen(function*() {
          const process = yield* start(sim, {})
          const error = yield* Effect.flip(process.execute({ ...request, strategy }))

          assert.strictEqual(reasonOf(error), "NonRetryable ContentFiltered")
          assert.deepStrictEqual(Object.values((yield* sim.ledger).requests), [1])
        }))
  )

  it.live.each(["background", "sync", "completions"] as const)(
    "is ContentFiltered, with the text so far, when the filter stops the answer, by the strategy %s",
    (strategy) =>
      withSimulator(
        {
          completeAfterPolls: 1,
          script: [{ do: { _tag: "Job", outcome: "incomplete", reason: "content_filter", text: "So far" } }]
        },
        (sim) =>
          Effect.gen(function*() {
            const process = yield* start(sim, {})
            const error = yield* Effect.flip(process.execute({ ...request, strategy }))

            assert.strictEqual(reasonOf(error), "NonRetryable ContentFiltered")
            assert.containSubset(error, { reason: { content: "So far" } })
            assert.strictEqual((yield* process.inspect("s")).status, "failed")
          })
      )
  )
})

const request: ResponseRequest.RequestInput = {
  model: "azure/gpt-5",
  prompt: "Name the capital of France.",
  session: "s"
}

const withSimulator = <A, E>(
  options: Simulator.Options,
  use: (simulator: Simulator.Simulator["Service"]) => Effect.Effect<A, E, Scope.Scope>
) =>
  Simulator.Simulator.use(use).pipe(
    Effect.provide(Simulator.layer(options), { local: true }),
    Effect.provideService(Schedules.PollPolicy, Schedule.spaced("10 millis")),
    Effect.scoped
  )

/** A process with Azure alone, at the simulator. */
const start = Effect.fnUntraced(function*(
  simulator: Simulator.Simulator["Service"],
  settings: Providers.ProviderSettings,
  options: { readonly path?: string; readonly deployments?: Readonly<Record<string, string>> } = {}
) {
  const { deployments = {}, path = "/openai/v1" } = options
  const azure = {
    apiKey: Redacted.make("azure-key"),
    baseUrl: simulator.openAiBaseUrl.replace(/\/v1$/, path),
    ...settings
  }
  const live = Holdfast.layer.pipe(
    Layer.provide([Providers.layer({ azure }), SessionStore.layerMemory, ModelCatalog.layer({ deployments })])
  )
  return Context.get(yield* Layer.build(Layer.fresh(live)), Holdfast.Holdfast)
})

const reasonOf = (error: unknown): string => {
  const { _tag, reason } = error as { readonly _tag: string; readonly reason?: { readonly _tag: string } }
  return `${_tag} ${reason?._tag}`
}
