import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { type Limits, type Provider, Providers, type ResponseRequest } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { begin, factsOf, request, start, withoutJitter } from "./Processes.ts"
import { cancelled, jobFailed, overloaded, paris, serverError } from "./Verdicts.ts"

const { accepted, ended, failed, fails, pending, refuses } = ScriptedProvider

const held = request({ strategy: "sync", session: undefined })
const answers = Effect.succeed(paris)

describe("the retry budget", () => {
  it.effect("keeps the attempts of an outage to 1.2 times the calls, and a burst, and every call ends", () =>
    Effect.gen(function*() {
      const outage = 60_000
      const provider = yield* ScriptedProvider.make({
        create: [({ at }) => at < outage ? refuses(serverError) : answers]
      })
      const process = yield* start(limited(provider))
      const calls: Array<Fiber.Fiber<string>> = []
      for (let at = 0; at < outage; at += 100) {
        calls.push(
          yield* begin(Effect.match(process.execute(held), {
            onFailure: (error) => `${factsOf(error).reason}`,
            onSuccess: ({ content }) => content
          }))
        )
        yield* TestClock.adjust("100 millis")
      }
      yield* TestClock.adjust("1 minute")
      const attempts = provider.calls("create").filter(({ at }) => at < outage).length
      const ends = yield* Fiber.joinAll(calls)

      assert.isAtMost(attempts, 1.2 * calls.length + 100)
      assert.isAbove(attempts, calls.length)
      assert.strictEqual(ends.length, 600)
      assert.sameMembers([...new Set(ends)], ["ServerError"])
    }).pipe(withoutJitter))

  it.effect("lets calls retry again once others have succeeded", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        create: [
          refuses(overloaded),
          refuses(overloaded),
          ...Array.from({ length: 5 }, () => answers),
          refuses(overloaded)
        ]
      })
      const process = yield* start(limited(provider, { size: 5 }))
      const spent = yield* execute(process, held)
      for (let call = 0; call < 5; call++) yield* process.execute(held)
      const again = yield* execute(process, held)

      assert.deepInclude(spent, { reason: "Overloaded", attempts: 2 })
      assert.deepInclude(again, { reason: "Overloaded", attempts: 2 })
    }).pipe(withoutJitter))

  it.effect("that is empty ends a call at once with its last error", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [refuses(overloaded)] })
      const process = yield* start(limited(provider, { size: 0 }))
      const error = yield* Effect.flip(process.execute(held))

      assert.deepStrictEqual(factsOf(error), { _tag: "Retryable", reason: "Overloaded", attempts: 1 })
    }))

  it.effect("is drawn on twice as much after no answer came, and not for what cannot be retried", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [fails()], submit: [refuses(cancelled)] })
      const process = yield* start(limited(provider, { size: 19 }))
      const lost = yield* execute(process, held)

      assert.deepInclude(lost, { reason: "Network", attempts: 2 })
    }).pipe(withoutJitter))

  it.effect("is not drawn on by polls and cancels", () =>
    Effect.gen(function*() {
      const recorded = recorder()
      const provider = yield* ScriptedProvider.make({
        submit: [refuses(overloaded), accepted("job-1")],
        retrieve: [fails(), refuses(overloaded), refuses(serverError), fails(), pending()],
        cancel: [fails()]
      })
      const process = yield* start(recorded.over(provider))
      const fiber = yield* begin(process.execute(request({ onInterrupt: "cancel" })))
      yield* TestClock.adjust("1 minute")
      yield* process.cancel("s")
      yield* begin(Fiber.interrupt(fiber))
      yield* TestClock.adjust("10 seconds")

      assert.strictEqual(provider.calls("cancel").length, 2)
      assert.isAbove(provider.calls("retrieve").length, 5)
      assert.deepStrictEqual(recorded.asked, ["take Overloaded", "give back"])
    }).pipe(withoutJitter))

  it.effect("is given back for an answer, also for one that will not do", () =>
    Effect.gen(function*() {
      const recorded = recorder()
      const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(failed(jobFailed)), answers] })
      const process = yield* start(recorded.over(provider))
      const fiber = yield* begin(process.execute(held))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(fiber)

      assert.deepStrictEqual(recorded.asked, ["give back", "take JobFailed", "give back"])
    }).pipe(withoutJitter))

  it.effect("of one account leaves that of another alone", () =>
    Effect.gen(function*() {
      const a = yield* ScriptedProvider.make({ create: [refuses(overloaded)] })
      const b = yield* ScriptedProvider.make({ create: [refuses(overloaded)] })
      const layer = Layer.fresh(
        Providers.layer({ a: a.provider, b: b.provider }, { limits: { retryBudget: { size: 10 } } })
      )
      const process = yield* start({ ...a, layer })
      yield* execute(process, { ...held, model: "a/one" })
      const spent = yield* execute(process, { ...held, model: "a/one" })
      const other = yield* execute(process, { ...held, model: "b/two" })

      assert.deepInclude(spent, { attempts: 1 })
      assert.deepInclude(other, { attempts: 3 })
    }).pipe(withoutJitter))

  it.effect("that is empty makes the next model the better one", () =>
    Effect.gen(function*() {
      const a = yield* ScriptedProvider.make({ create: [refuses(overloaded)] })
      const b = yield* ScriptedProvider.make({ create: [answers] })
      const layer = Layer.fresh(
        Providers.layer({ a: a.provider, b: b.provider }, { limits: { retryBudget: { size: 0 } } })
      )
      const process = yield* start({ ...a, layer })
      const answer = yield* process.execute({ ...held, model: "a/one", fallback: ["b/two"] })

      assert.deepInclude(answer, { content: "Paris", attempts: 2 })
      assert.strictEqual(a.calls("create").length, 1)
    }))

  it.effect("bounds the submissions of background jobs too", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [refuses(overloaded), refuses(overloaded), accepted("job-1")],
        retrieve: [ended(paris)]
      })
      const process = yield* start(limited(provider, { size: 5 }))
      const error = yield* execute(process, request())

      assert.deepInclude(error, { reason: "Overloaded", attempts: 2 })
    }).pipe(withoutJitter))
})

type Process = Effect.Success<ReturnType<typeof start>>

/** Makes a call that fails, with the time that it needs. */
const execute = Effect.fnUntraced(function*(process: Process, asked: ResponseRequest.RequestInput) {
  const fiber = yield* begin(Effect.flip(process.execute(asked)))
  yield* TestClock.adjust("1 minute")
  return factsOf(yield* Fiber.join(fiber))
})

const limited = (
  scripted: ScriptedProvider.ScriptedProvider,
  retryBudget: Limits.RetryBudgetOptions = {}
): ScriptedProvider.ScriptedProvider => ({
  ...scripted,
  layer: Layer.fresh(Providers.layer({ test: scripted.provider }, { limits: { retryBudget } }))
})

/** A budget without a bound that tells what it was asked. */
const recorder = () => {
  const asked: Array<string> = []
  const retryBudget: NonNullable<Provider.Provider["retryBudget"]> = {
    take: ({ verdict: { reason } }) => Effect.sync(() => asked.push(`take ${reason._tag}`) > 0),
    giveBack: Effect.sync(() => void asked.push("give back"))
  }
  return {
    asked,
    over: (scripted: ScriptedProvider.ScriptedProvider): ScriptedProvider.ScriptedProvider => ({
      ...scripted,
      layer: Layer.fresh(
        Providers.layer({ test: (model) => ({ ...scripted.provider(model), retryBudget }) })
      )
    })
  }
}
