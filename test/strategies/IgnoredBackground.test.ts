import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted, Schedule, Stream } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { Providers, type ResponseRequest } from "holdfast"
import { ScriptedProvider, Simulator } from "holdfast/testing"
import { begin, factsOf, request, start, tagsOf, withoutJitter } from "./Processes.ts"
import { jobFailed, missing, paris } from "./Verdicts.ts"

const { accepted, ended, failed, pending, refuses } = ScriptedProvider

describe("a provider that takes background jobs and does not run them", () => {
  describe("over HTTP", () => {
    it.live("gives its answer, nothing is sent again, and the journal says so", () =>
      simulated([ignored], ({ ledger }, { execute, inspect, process }) =>
        Effect.gen(function*() {
          const answer = yield* execute()
          const again = yield* execute()
          const info = yield* inspect("s")
          const { entries } = yield* process.store.load("s")

          assert.deepInclude(answer, { content: "Paris", polls: 0, attempts: 1, settled: true })
          assert.deepInclude(again, { content: "Paris", attempts: 0 })
          assert.deepStrictEqual((yield* ledger).requests, { "responses.create": 1 })
          assert.isTrue(info.submissions[0]?.ignoredBackground)
          assert.containSubset(entries.at(-1), { _tag: "Settled", ignoredBackground: true })
        })))

    it.live("is noticed by its stream too", () =>
      simulated([ignored], ({ ledger }, { inspect, process }) =>
        Effect.gen(function*() {
          const events = yield* Stream.runCollect(process.stream(job))

          assert.containSubset(events.at(-1), { _tag: "Completed", response: { content: "Paris", settled: true } })
          assert.deepStrictEqual((yield* ledger).requests, { "responses.create": 1 })
          assert.isTrue((yield* inspect("s")).submissions[0]?.ignoredBackground)
        })))

    it.live("may also answer by what is no answer", () =>
      simulated(
        [{ on: "responses.create", do: [{ _tag: "IgnoreBackground" }, { _tag: "Job", outcome: "refused" }] }],
        ({ ledger }, { execute, inspect }) =>
          Effect.gen(function*() {
            const error = yield* Effect.flip(execute())

            assert.strictEqual(factsOf(error).reason, "Refusal")
            assert.isTrue((yield* inspect("s")).submissions[0]?.ignoredBackground)
            assert.deepStrictEqual((yield* ledger).requests, { "responses.create": 1 })
          })
      ))

    it.live("is not suspected when it runs the job", () =>
      simulated([], (_, { execute, inspect }) =>
        Effect.gen(function*() {
          yield* execute()

          assert.notProperty((yield* inspect("s")).submissions[0], "ignoredBackground")
        })))
  })

  it.effect("is warned of once for each model", () =>
    Effect.gen(function*() {
      const outcome = { ...paris, ignoredBackground: true }
      const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", { _tag: "Ended", outcome })] })
      const process = yield* start(provider)
      yield* process.execute(request())
      yield* process.execute(request({ session: "t" }))
      yield* process.execute(request({ session: undefined, model: "test/other" }))
      const lines = (yield* TestConsole.logLines).map(String).filter((line) => line.includes("does not run them"))

      assert.strictEqual(lines.length, 2)
    }))

  it.effect("is noticed when it never knew the job, and nothing is sent again", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1")], retrieve: [refuses(missing)] })
      const process = yield* start(provider)
      const fiber = yield* begin(Effect.flip(process.execute(request())))
      yield* TestClock.adjust("2 minutes")
      const error = yield* Fiber.join(fiber)
      const again = yield* begin(Effect.flip(process.execute(request())))
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(again)
      const info = yield* process.inspect("s")

      assert.strictEqual(factsOf(error).reason, "NotFound")
      assert.deepInclude(info.submissions[0], { ignoredBackground: true, state: "accepted", jobId: "job-1" })
      assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted", "Accepted"])
      assert.strictEqual(provider.calls("submit").length, 1)
    }).pipe(withoutJitter))

  it.effect("is not suspected when a job that it knew is gone", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [accepted("job-1")],
        retrieve: [pending(), refuses(missing)]
      })
      const process = yield* start(provider)
      const fiber = yield* begin(Effect.flip(process.execute(request())))
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(fiber)

      assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted"])
    }).pipe(withoutJitter))

  it.effect("is found late: a job that was missing at first is polled to its end", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [accepted("job-1")],
        retrieve: [refuses(missing), refuses(missing), ended(paris)]
      })
      const process = yield* start(provider)
      const fiber = yield* begin(process.execute(request()))
      yield* TestClock.adjust("1 minute")

      assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", polls: 3 })
      assert.notProperty((yield* process.inspect("s")).submissions[0], "ignoredBackground")
    }).pipe(withoutJitter))

  it.effect("ends the submission like any other when the next call may cure it", () =>
    Effect.gen(function*() {
      const outcome = { ...failed(jobFailed), ignoredBackground: true }
      const provider = yield* ScriptedProvider.make({ submit: [accepted("", { _tag: "Ended", outcome })] })
      const process = yield* start(provider)
      const error = yield* Effect.flip(process.execute(request({ retry: Schedule.recurs(0) })))

      assert.deepInclude(factsOf(error), { _tag: "Retryable", reason: "JobFailed" })
      assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Ended"])
    }))
})

const job: ResponseRequest.RequestInput = {
  model: "openai/gpt-5.5-pro",
  prompt: "Name the capital of France.",
  strategy: "background",
  session: "s",
  poll: Schedule.spaced("10 millis")
}

const ignored: Simulator.Rule = {
  on: "responses.create",
  do: [{ _tag: "IgnoreBackground" }, { _tag: "Job", outcome: "completed", text: "Paris" }]
}

/** A process over a simulated OpenAI. */
const simulated = <A, E>(
  script: ReadonlyArray<Simulator.Rule>,
  use: (
    simulator: Simulator.Simulator["Service"],
    means: ReturnType<typeof meansOf>
  ) => Effect.Effect<A, E>
) =>
  Effect.gen(function*() {
    const simulator = yield* Simulator.Simulator
    const layer = Layer.fresh(
      Providers.layer({ openai: { baseUrl: simulator.openAiBaseUrl, apiKey: Redacted.make("sk-test") } })
    )
    const scripted = yield* ScriptedProvider.make({})
    const process = yield* start({ ...scripted, layer })
    return yield* use(simulator, meansOf(process))
  }).pipe(
    Effect.scoped,
    Effect.provide(Simulator.layer({ script, completeAfterPolls: 1 }))
  )

const meansOf = (process: Effect.Success<ReturnType<typeof start>>) => ({
  process,
  execute: () => process.execute(job),
  inspect: process.inspect
})
