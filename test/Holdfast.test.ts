import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted } from "effect"
import { TestClock } from "effect/testing"
import {
  BackgroundJob,
  Holdfast,
  ModelCatalog,
  Providers,
  Reason,
  Schedules,
  SessionStore,
  StrategyError
} from "holdfast"
import { ScriptedProvider, Simulator } from "holdfast/testing"
import { begin, factsOf, request, start, withoutJitter } from "./strategies/Processes.ts"
import { endedNow, paris, running } from "./strategies/Verdicts.ts"
// What a first call loads is loaded before, so that short deadlines are about the wire alone.
import "../src/services/providers/OpenAi.ts"
import "openai/client"
import "undici"

const { accepted, ended } = ScriptedProvider

describe("Holdfast", () => {
  describe("execute", () => {
    it.effect("takes the strategy of the request, else the selector's", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", endedNow)],
          create: [Effect.succeed(paris)],
          complete: [Effect.succeed(paris)]
        })
        const process = yield* start(provider)
        const strategies = yield* Effect.forEach(
          ["background", "sync", "completions", undefined] as const,
          (strategy) =>
            Effect.map(process.execute({ model: "test/m", prompt: "p", strategy }), (answer) => answer.strategy)
        )

        assert.deepStrictEqual(strategies, ["background", "sync", "completions", "completions"])
      }))

    it.effect.each([
      undefined,
      null,
      "text",
      {},
      { prompt: "p" },
      { model: 5, prompt: "p" },
      { model: "m", prompt: "p", strategy: "toString" },
      { model: "m", prompt: "p", strategy: "batch" },
      { model: "m", prompt: "p", session: "" },
      { model: "m", prompt: "p", deadline: "soon" }
    ])("fails with InvalidRequest for %j", (input) =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ complete: [Effect.succeed(paris)] }))

        assert.deepStrictEqual(factsOf(yield* Effect.flip(process.execute(input as never))), {
          _tag: "NonRetryable",
          reason: "InvalidRequest"
        })
      }))

    it.effect("takes the strategy by the ModelCatalog that its layer was given, not by the program's", () =>
      Effect.gen(function*() {
        const { provider } = yield* ScriptedProvider.make({
          submit: [accepted("job-1", endedNow)],
          complete: [Effect.succeed(paris)]
        })
        const apis = ModelCatalog.layer({ apis: { "openai/acme": "responses" } })
        const layer = Holdfast.layer.pipe(
          Layer.provide([SessionStore.layerMemory, Providers.layer({ openai: provider })])
        )
        const strategy = Effect.map(
          Holdfast.execute({ model: "openai/acme", prompt: "p" }),
          (answer) => answer.strategy
        )

        assert.strictEqual(yield* Effect.provide(strategy, Layer.provide(layer, apis)), "background")
        assert.strictEqual(yield* Effect.provide(strategy, Layer.merge(layer, apis)), "completions")
      }))

    it.effect("fails with ProviderNotConfigured for a model of nobody, before anything is journaled", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ complete: [Effect.succeed(paris)] }))
        const error = yield* Effect.flip(
          process.execute(request({ model: "nobody/anything", strategy: "completions" }))
        )

        assert.deepInclude(factsOf(error), { _tag: "NonRetryable", reason: "ProviderNotConfigured" })
        assert.deepStrictEqual((yield* process.store.load("s")).entries, [])
      }))
  })

  it.effect("shares one run per key between execute and a strategy used by itself", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)], retrieve: [ended(paris)] })
      const layer = Holdfast.layer.pipe(Layer.provide([SessionStore.layerMemory, provider.layer]))
      yield* Effect.gen(function*() {
        const one = yield* begin(Holdfast.execute(request()))
        const two = yield* begin(BackgroundJob.BackgroundJob.use((strategy) => strategy.execute(request())))
        yield* TestClock.adjust("2 seconds")

        assert.strictEqual((yield* Fiber.join(one)).content, "Paris")
        assert.strictEqual((yield* Fiber.join(two)).content, "Paris")
      }).pipe(Effect.provide(layer))

      assert.strictEqual(provider.calls("submit").length, 1)
      assert.strictEqual(provider.calls("retrieve").length, 1)
    }).pipe(withoutJitter))

  it.effect("gives a call no time whose deadline is over before it starts", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)] })
      const process = yield* start(provider)
      yield* Effect.flip(process.execute(request({ deadline: "1 nanos" }))).pipe(begin)
      yield* TestClock.adjust("1 millis")
      const error = yield* Effect.flip(process.resume("s", { deadline: 0 }))

      assert.deepInclude(factsOf(error), { _tag: "Timeout", phase: "submit" })
      assert.deepStrictEqual(provider.calls("retrieve"), [])
    }))

  describe("layerTest", () => {
    it.effect("answers from a script, by every strategy, and keeps sessions", () =>
      Effect.gen(function*() {
        const asked: Array<string> = []
        const layer = Holdfast.layerTest((request) => {
          asked.push(String(request.prompt))
          return request.prompt === "parts" ? { content: "", finishReason: "tool-calls" } : `You said ${request.prompt}`
        })
        yield* Effect.gen(function*() {
          for (const strategy of ["background", "sync", "completions"] as const) {
            const input = { model: "openai/gpt-5", prompt: strategy, session: strategy, strategy }
            const answer = yield* Holdfast.execute(input)
            const again = yield* Holdfast.execute(input)

            assert.deepInclude(answer, { content: `You said ${strategy}`, strategy, resumed: false, settled: true })
            assert.deepInclude(again, { content: `You said ${strategy}`, strategy, resumed: true })
            assert.strictEqual((yield* Holdfast.inspect(strategy)).status, "answered")
          }
          const parts = yield* Holdfast.execute({ model: "m", prompt: "parts" })

          assert.deepInclude(parts, { content: "", finishReason: "tool-calls", model: "m", provider: "test" })
        }).pipe(Effect.provide(layer))

        assert.deepStrictEqual(asked, ["background", "sync", "completions", "parts"])
      }))

    it.effect.each([
      new StrategyError.Retryable({
        reason: new Reason.RateLimited({ message: "Slow down" }),
        retryAfter: Duration.seconds(7),
        attempts: 1
      }),
      new StrategyError.NonRetryable({ reason: new Reason.Refusal({ message: "No" }) }),
      new StrategyError.NonRetryable({ reason: new Reason.InvalidRequest({ message: "No" }) }),
      new StrategyError.NonRetryable({
        reason: new Reason.JobFailed({ message: "No", reason: new Reason.InvalidRequest({ message: "No" }) })
      })
    ])("fails at once as the script says: $reason._tag", (scripted) =>
      Effect.gen(function*() {
        for (const strategy of ["background", "sync", "completions"] as const) {
          const error = yield* Effect.flip(Holdfast.execute({ model: "m", prompt: "p", strategy }))

          assert.strictEqual(error._tag, scripted._tag)
          assert.deepInclude(factsOf(error), { reason: scripted.reason._tag })
          assert.strictEqual((error as Error).message, scripted.message)
          if (scripted._tag === "Retryable") assert.deepInclude(error, { retryAfter: scripted.retryAfter, attempts: 1 })
        }
      }).pipe(Effect.provide(Holdfast.layerTest(() => scripted))))

    it.effect("never ends after a Timeout of the script, so that the call's own deadline passes", () =>
      Effect.gen(function*() {
        const scripted = new StrategyError.Timeout({
          deadline: Duration.zero,
          elapsed: Duration.zero,
          phase: "running"
        })
        yield* Effect.gen(function*() {
          for (const strategy of ["background", "sync", "completions"] as const) {
            const input = { model: "m", prompt: "p", session: strategy, strategy, deadline: "5 minutes" } as const
            const fiber = yield* begin(Effect.flip(Holdfast.execute(input)))
            yield* TestClock.adjust("5 minutes")

            assert.deepInclude(factsOf(yield* Fiber.join(fiber)), {
              _tag: "Timeout",
              phase: "running",
              session: strategy
            })
          }
        }).pipe(Effect.provide(Holdfast.layerTest(() => scripted)))
      }))
  })

  describe("over HTTP", () => {
    it.live("submits, polls and settles a job, and goes on with it after a restart", () =>
      simulated({}, (simulator, store) =>
        Effect.gen(function*() {
          const job = { _tag: "Job", outcome: "completed", text: "Paris", polls: 3 } as const
          yield* simulator.script([{ on: "responses.create", do: job }])
          const first = yield* Effect.flip(
            run(simulator, store, Holdfast.execute(live({ deadline: "1 second", poll: slowly })))
          )
          const answer = yield* run(simulator, store, Holdfast.execute(live()))
          const again = yield* run(simulator, store, Holdfast.execute(live()))
          const { submissions } = yield* simulator.ledger

          assert.deepInclude(factsOf(first), { _tag: "Timeout", session: "live" })
          assert.deepInclude(answer, {
            provider: "openai",
            strategy: "background",
            submissions: 1,
            settled: true,
            resumed: true
          })
          assert.strictEqual(answer.content, "Paris")
          assert.strictEqual(again.content, "Paris")
          assert.deepInclude(again, { polls: 0, attempts: 0, resumed: true })
          assert.strictEqual(submissions.length, 1)
          const journal = JSON.stringify((yield* store.load("live")).entries)
          assert.notInclude(journal, "Name the capital")
          assert.notInclude(journal, "sk-secret")
        })))

    it.live("retries a refusal, and does not repeat a submission that was cut", () =>
      simulated({ completeAfterPolls: 1 }, (simulator, store) =>
        Effect.gen(function*() {
          yield* simulator.script([
            { on: "responses.create", do: { _tag: "Error", error: "overloaded" } },
            { on: "responses.create", do: { _tag: "Reset", accepted: true } }
          ])
          const error = yield* Effect.flip(run(simulator, store, Holdfast.execute(live())))
          const { jobs } = yield* simulator.ledger
          const resumed = yield* run(
            simulator,
            store,
            Effect.andThen(Holdfast.adopt("live", jobs[0]?.id ?? ""), Holdfast.resume("live"))
          )
          const { submissions } = yield* simulator.ledger

          assert.deepInclude(factsOf(error), { _tag: "NonRetryable", reason: "SubmissionUncertain" })
          assert.deepInclude(resumed, { submissions: 2, attempts: 0, resumed: true, settled: true })
          assert.strictEqual(submissions.length, 2)
        })))

    it.live("cancels the job of a caller that leaves without a session", () =>
      simulated({}, (simulator, store) =>
        Effect.gen(function*() {
          yield* simulator.script([{ on: "responses.create", do: { _tag: "Job", outcome: "stuck-in-progress" } }])
          yield* run(
            simulator,
            store,
            Effect.exit(Holdfast.execute(live({ session: undefined, deadline: "1 second" })))
          )
          const [job] = yield* simulator.jobs

          assert.strictEqual(job?.status, "cancelled")
        })))

    it.live("holds a sync call open and answers from the journal afterwards", () =>
      simulated({}, (simulator, store) =>
        Effect.gen(function*() {
          const sync = live({ strategy: "sync" })
          const answer = yield* run(simulator, store, Holdfast.execute(sync))
          const again = yield* run(simulator, store, Holdfast.execute(sync))

          assert.deepInclude(answer, { strategy: "sync", settled: true, resumed: false })
          assert.deepInclude(again, { content: answer.content, resumed: true })
          assert.deepStrictEqual((yield* simulator.ledger).requests, { "responses.create": 1 })
        })))
  })
})

const quickly = Schedules.pollSchedule({ initial: "20 millis", max: "50 millis" })

const slowly = Schedules.pollSchedule({ initial: "10 seconds" })

const live = (change: Parameters<typeof request>[0] = {}) =>
  request({
    model: "openai/gpt-5",
    session: "live",
    poll: quickly,
    retry: Schedules.retrySchedule({ initial: "10 millis" }),
    ...change
  })

/** Runs an effect in a process of its own, which ends with it. */
const run = <A, E>(
  simulator: Simulator.Simulator["Service"],
  store: SessionStore.SessionStore["Service"],
  effect: Effect.Effect<A, E, Holdfast.Holdfast>
): Effect.Effect<A, E> =>
  Effect.provide(
    effect,
    Holdfast.layer.pipe(
      Layer.provide([
        Layer.succeed(SessionStore.SessionStore, store),
        Providers.layer({ openai: { baseUrl: simulator.openAiBaseUrl, apiKey: Redacted.make("sk-secret-key") } })
      ]),
      Layer.fresh
    )
  )

const simulated = <A, E>(
  options: Simulator.Options,
  test: (
    simulator: Simulator.Simulator["Service"],
    store: SessionStore.SessionStore["Service"]
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    return yield* test(yield* Simulator.Simulator, yield* SessionStore.makeMemory)
  }).pipe(Effect.provide(Simulator.layer(options)))
