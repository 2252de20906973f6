import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Session } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { begin, factsOf, makeFaultyStore, request, settleDown, start, tagsOf, withoutJitter } from "./Processes.ts"
import { acceptedAs, submitting, write } from "./Journals.ts"
import { cancelled, overloaded } from "./Verdicts.ts"

const isCancelled = { _tag: "NonRetryable", reason: "JobCancelled", session: "s" }

describe("a cancel in the same process", () => {
  it.effect.each([
    {
      what: "at once, when the provider has ended the job",
      cancel: ScriptedProvider.ended(ScriptedProvider.failed(cancelled)),
      polls: 3
    },
    { what: "at once, when the next poll says so", cancel: ScriptedProvider.pending(), polls: 3 }
  ])("ends all callers that wait for the job, $what", ({ cancel, polls }) =>
    withoutJitter(Effect.gen(function*() {
      let isEnded = false
      const provider = yield* ScriptedProvider.make({
        submit: [ScriptedProvider.accepted()],
        retrieve: [
          () => isEnded ? ScriptedProvider.ended(ScriptedProvider.failed(cancelled)) : ScriptedProvider.pending()
        ],
        cancel: [() => {
          isEnded = true
          return cancel
        }]
      })
      const holdfast = yield* start(provider)
      const first = yield* begin(Effect.flip(holdfast.execute(request())))
      const second = yield* begin(Effect.flip(holdfast.resume("s")))
      // Polls at 1 s, 2.25 s and 3.8 s; the next one would come at 5.8 s.
      yield* TestClock.adjust("4 seconds")
      const before = provider.calls("retrieve").length
      yield* holdfast.cancel("s")
      yield* settleDown

      assert.strictEqual(before, polls)
      for (const fiber of [first, second]) {
        const exit = fiber.pollUnsafe()
        assert.isDefined(exit, "the caller waits for the next poll")
        assert.deepInclude(factsOf(yield* Fiber.join(fiber)), isCancelled)
      }
      assert.strictEqual((yield* tagsOf(holdfast.store)).at(-1), "Settled")
    })))

  it.effect("ends a caller at once that waits to send again", () =>
    withoutJitter(Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [ScriptedProvider.refuses(overloaded)] })
      const holdfast = yield* start(provider)
      const caller = yield* begin(Effect.flip(holdfast.execute(request())))
      yield* TestClock.adjust("100 millis")
      yield* holdfast.cancel("s")
      yield* settleDown

      assert.isDefined(caller.pollUnsafe(), "the caller waits for its next attempt")
      assert.deepInclude(factsOf(yield* Fiber.join(caller)), isCancelled)
      assert.lengthOf(provider.calls("submit"), 1)
    })))

  it.effect("is not lost while a poll is on its way", () =>
    withoutJitter(Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const isEnded = ScriptedProvider.ended(ScriptedProvider.failed(cancelled))
      const provider = yield* ScriptedProvider.make({
        submit: [ScriptedProvider.accepted()],
        retrieve: [Effect.andThen(Deferred.await(gate), ScriptedProvider.pending()), isEnded],
        cancel: [ScriptedProvider.pending()]
      })
      const holdfast = yield* start(provider)
      const caller = yield* begin(Effect.flip(holdfast.execute(request())))
      yield* TestClock.adjust("1 second")
      yield* holdfast.cancel("s")
      yield* Deferred.succeed(gate, undefined)
      yield* settleDown

      assert.isDefined(caller.pollUnsafe(), "the caller waits for the next poll")
      assert.deepInclude(factsOf(yield* Fiber.join(caller)), isCancelled)
    })))
})

describe("a cancel while a held call says that it is held", () => {
  it.effect.each([
    { where: "before the entry is written", isBefore: true },
    { where: "after the entry is written", isBefore: false }
  ])("ends the call at once, $where", ({ isBefore }) =>
    Effect.gen(function*() {
      const faulty = yield* makeFaultyStore
      const gate = yield* Deferred.make<void>()
      let written = 0
      const store = {
        ...faulty.store,
        append: (key: string, entry: Session.Entry, expected: Session.Version) => {
          const append = faulty.store.append(key, entry, expected)
          // The second entry of a submission is the first renewal.
          if (entry._tag !== "Submitting" || ++written !== 2) return append
          return isBefore
            ? Effect.andThen(Deferred.await(gate), append)
            : Effect.tap(append, () => Deferred.await(gate))
        }
      }
      const provider = yield* ScriptedProvider.make({ create: [Effect.never] })
      const holdfast = yield* start(provider, store)
      const caller = yield* begin(
        Effect.flip(holdfast.execute(request({ strategy: "sync", submitTimeout: "60 seconds" })))
      )
      yield* TestClock.adjust("30 seconds")
      const renewals = written
      yield* holdfast.cancel("s")
      yield* Deferred.succeed(gate, undefined)
      yield* settleDown

      assert.strictEqual(renewals, 2)
      assert.isDefined(caller.pollUnsafe(), "the call is held on")
      assert.deepInclude(factsOf(yield* Fiber.join(caller)), isCancelled)
      assert.strictEqual(provider.interrupted("create"), 1)
    }))
})

describe("a cancel of another process's submission", () => {
  it.effect("leaves a caller waiting for the submission's outcome", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        retrieve: [ScriptedProvider.ended(ScriptedProvider.failed(cancelled))],
        cancel: [ScriptedProvider.pending()]
      })
      const holdfast = yield* start(provider)
      yield* write(holdfast.store, [submitting("sub-1")])
      const caller = yield* begin(Effect.flip(holdfast.resume("s")))
      yield* TestClock.adjust("1 second")
      yield* holdfast.cancel("s")
      yield* settleDown
      const isWaiting = caller.pollUnsafe() === undefined
      yield* write(holdfast.store, [acceptedAs("sub-1", "job-1")])
      yield* TestClock.adjust("20 seconds")

      assert.isTrue(isWaiting)
      assert.deepInclude(factsOf(yield* Fiber.join(caller)), isCancelled)
    }))
})
