import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { ScriptedProvider } from "holdfast/testing"
import { begin, factsOf, request, settleDown, start, tagsOf, withoutJitter } from "./Processes.ts"
import { overloaded, paris } from "./Verdicts.ts"

const { refuses, succeeded } = ScriptedProvider

describe("Completions", () => {
  it.effect("is what a model of any other provider is asked through", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ complete: [Effect.succeed(paris)] })
      const process = yield* start(provider)
      const answer = yield* process.execute({ model: "test/anything", prompt: "Hello" })

      assert.deepInclude(answer, { content: "Paris", strategy: "completions", attempts: 1, submissions: 1 })
      assert.deepInclude(answer, { settled: false, resumed: false, polls: 0, provider: "test" })
      assert.strictEqual(provider.calls("complete").length, 1)
    }))

  it.effect("retries, journals and answers again from the journal", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ complete: [refuses(overloaded), Effect.succeed(paris)] })
      const process = yield* start(provider)
      const fiber = yield* begin(process.execute(completions))
      yield* TestClock.adjust("1 second")
      const answer = yield* Fiber.join(fiber)
      const again = yield* process.execute(completions)

      assert.deepInclude(answer, { content: "Paris", attempts: 2, submissions: 2, settled: true })
      assert.deepInclude(again, { content: "Paris", attempts: 0, submissions: 2, resumed: true })
      assert.deepStrictEqual(yield* tagsOf(process.store), [
        "Prepared",
        "Submitting",
        "NotSubmitted",
        "Submitting",
        "Settled"
      ])
    }).pipe(withoutJitter))

  it.effect("cannot give an answer again that it must not journal", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        complete: [Effect.succeed(succeeded("TEXT", { responseId: "chatcmpl-1" }))],
        retrieve: [ScriptedProvider.pending()]
      })
      const process = yield* start(provider)
      yield* process.execute(request({ strategy: "completions", journal: "ids-only" }))
      const error = yield* Effect.flip(process.execute(request({ strategy: "completions", journal: "ids-only" })))

      assert.deepInclude(factsOf(error), { _tag: "NonRetryable", reason: "JobExpired", jobId: "chatcmpl-1" })
      assert.deepStrictEqual(provider.calls("retrieve"), [])
      assert.notInclude(JSON.stringify((yield* process.store.load("s")).entries), "TEXT")
    }))

  it.effect("shares one call among the callers of a key", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        complete: [Effect.andThen(Effect.sleep("1 minute"), Effect.succeed(paris))]
      })
      const process = yield* start(provider)
      const fibers = yield* Effect.forEach([1, 2, 3], () => begin(process.execute(completions)))
      yield* settleDown
      yield* TestClock.adjust("1 minute")
      const answers = yield* Effect.forEach(fibers, Fiber.join)

      assert.deepStrictEqual(answers.map(({ content }) => content), ["Paris", "Paris", "Paris"])
      assert.strictEqual(provider.calls("complete").length, 1)
    }))

  it.effect("refuses a provider without completions before anything is sent", () =>
    Effect.gen(function*() {
      const process = yield* start(yield* ScriptedProvider.make({ create: [Effect.succeed(paris)] }))

      assert.deepInclude(factsOf(yield* Effect.flip(process.execute(completions))), { reason: "InvalidRequest" })
    }))
})

const completions = request({ strategy: "completions" })
