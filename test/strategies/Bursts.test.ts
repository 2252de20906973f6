import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import * as SessionRuns from "../../src/strategies/SessionRuns.ts"
import { begin, makeFaultyStore, request, settleDown, start, withoutJitter } from "./Processes.ts"
import { overloaded, paris } from "./Verdicts.ts"

/** Notes how many submissions are in the journals at the same time of which nothing more is known. */
const watchStore = (store: SessionStore.SessionStore["Service"]) => {
  const open = new Set<string>()
  let most = 0
  const watched: SessionStore.SessionStore["Service"] = {
    ...store,
    append: (key, entry, expected) =>
      Effect.tap(store.append(key, entry, expected), () =>
        Effect.sync(() => {
          if (entry._tag === "Submitting") open.add(entry.submissionId)
          if (entry._tag === "Accepted" || entry._tag === "NotSubmitted") open.delete(entry.submissionId)
          most = Math.max(most, open.size)
        }))
  }
  return { watched, most: () => most }
}

const keys = Array.from({ length: 200 }, (_, index) => `s-${index}`)

const answering = ScriptedProvider.make({
  submit: [(call) => Effect.delay(ScriptedProvider.accepted(`job-${call.number}`), "100 millis")],
  retrieve: [ScriptedProvider.ended(paris)]
})

describe("a burst of 200 background calls", () => {
  it.effect.each([
    { what: "that are accepted", isRefused: false, isSlowStore: false },
    { what: "that are accepted, on a slow store", isRefused: false, isSlowStore: true },
    { what: "of which every third is refused once", isRefused: true, isSlowStore: false }
  ])(
    "leaves at most 16 submissions uncertain at any time: calls $what",
    ({ isRefused, isSlowStore }) =>
      withoutJitter(Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        if (isSlowStore) faulty.before = ({ _tag }) => _tag === "Accepted" ? Effect.sleep("300 millis") : Effect.void
        const { most, watched } = watchStore(faulty.store)
        const provider = yield* ScriptedProvider.make({
          submit: [(call) => {
            const delay = Duration.millis(50 + call.number * 7 % 100)
            return Effect.delay(
              isRefused && call.number <= 200 && call.number % 3 === 0
                ? ScriptedProvider.refuses(overloaded)
                : ScriptedProvider.accepted(`job-${call.number}`),
              delay
            )
          }],
          retrieve: [ScriptedProvider.ended(paris)]
        })
        const holdfast = yield* start(provider, watched)
        const calls = yield* Effect.forEach(keys, (session) => begin(holdfast.execute(request({ session }))))
        for (let second = 0; second < 120; second++) yield* TestClock.adjust("500 millis")
        const answers = yield* Fiber.joinAll(calls)

        assert.lengthOf(answers, 200)
        assert.strictEqual(most(), 16)
      }))
  )

  it.effect("goes on when calls are interrupted, refused or fail to be written down", () =>
    withoutJitter(Effect.gen(function*() {
      const faulty = yield* makeFaultyStore
      const { most, watched } = watchStore(faulty.store)
      let announced = 0
      faulty.fails = (operation, entry) =>
        operation === "append" && entry?._tag === "Submitting" && ++announced % 5 === 0
      const provider = yield* answering
      const holdfast = yield* start(provider, watched)
      const calls = yield* Effect.forEach(
        keys,
        (session) => begin(Effect.exit(holdfast.execute(request({ session, onInterrupt: "detach" }))))
      )
      for (const [index, call] of calls.entries()) if (index % 7 === 0) call.interruptUnsafe()
      for (let second = 0; second < 60; second++) yield* TestClock.adjust("500 millis")
      yield* settleDown
      // All permits are free again: the last call is sent at once.
      faulty.fails = () => false
      const submits = provider.calls("submit").length
      const last = yield* begin(holdfast.execute(request({ session: "last" })))
      yield* settleDown

      assert.isTrue(calls.every((call) => call.pollUnsafe() !== undefined))
      assert.isAtMost(most(), 16)
      assert.lengthOf(provider.calls("submit"), submits + 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual((yield* Fiber.join(last)).content, "Paris")
    })))

  it.effect("leaves as many uncertain as `SubmitConcurrency` says", () =>
    withoutJitter(Effect.gen(function*() {
      const { most, watched } = watchStore((yield* makeFaultyStore).store)
      const holdfast = yield* start(yield* answering, watched).pipe(
        Effect.provideService(SessionRuns.SubmitConcurrency, 3)
      )
      const calls = yield* Effect.forEach(
        keys.slice(0, 20),
        (session) => begin(holdfast.execute(request({ session })))
      )
      for (let second = 0; second < 20; second++) yield* TestClock.adjust("500 millis")
      yield* Fiber.joinAll(calls)

      assert.strictEqual(most(), 3)
    })))
})
