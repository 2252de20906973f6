import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, Exit, Fiber, Logger, Option, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as LimitStore from "../../../src/services/internal/LimitStore.ts"

describe("LimitStore", () => {
  it.effect("gives the answers of a store, and its rejections", () =>
    Effect.gen(function*() {
      const { ask } = yield* watched()

      assert.deepStrictEqual(yield* ask(Effect.succeed(1)), Option.some(1))
      assert.deepStrictEqual(yield* Effect.flip(ask(Effect.fail("limit"))), "limit")
    }))

  it.effect.each<[string, Effect.Effect<never, string>]>([
    ["fails", Effect.fail("down")],
    ["dies", Effect.die("bug")],
    ["is interrupted", Effect.interrupt]
  ])(
    "goes on at once when a question %s, asks the next one too, and warns once",
    ([, question]) =>
      Effect.gen(function*() {
        const { ask, logs } = yield* watched()
        const answers = [
          yield* ask(question),
          yield* ask(question),
          yield* ask(Effect.succeed(1)),
          yield* ask(question)
        ]

        assert.deepStrictEqual(answers, [Option.none(), Option.none(), Option.some(1), Option.none()])
        assert.deepStrictEqual(logs, [
          "Warn The store of tests failed: calls pass without it",
          "Info The store of tests answers again",
          "Warn The store of tests failed: calls pass without it"
        ])
      })
  )

  it.effect.each<[string, Effect.Effect<never>]>([
    ["interruptible", Effect.never],
    ["uninterruptible", Effect.uninterruptible(Effect.never)]
  ])(
    "waits for 250 ms for a store that does not answer, then for none of a thousand questions (%s)",
    ([, question]) =>
      Effect.gen(function*() {
        const { ask, logs } = yield* watched()
        let asked = 0
        const counted = Effect.suspend(() => {
          asked++
          return question
        })
        const first = yield* begin(Effect.uninterruptible(Effect.timed(ask(counted))))
        yield* TestClock.adjust("249 millis")
        const early = first.pollUnsafe()
        yield* TestClock.adjust("1 millis")
        const [took, answer] = yield* Fiber.join(first)
        yield* Effect.replicateEffect(ask(counted), 1000)

        assert.isUndefined(early)
        assert.deepStrictEqual(answer, Option.none())
        assert.strictEqual(Duration.toMillis(took), 250)
        assert.strictEqual(asked, 1)
        assert.deepStrictEqual(logs, ["Warn The store of tests has not answered for 250 ms: calls pass without it"])
      })
  )

  it.effect("asks one of the questions again after five seconds, and all when that is answered", () =>
    Effect.gen(function*() {
      const { ask, logs } = yield* watched()
      yield* timesOut(ask(Effect.never))
      yield* TestClock.adjust("5 seconds")
      const trial = yield* begin(ask(Effect.never))
      const beside = yield* ask(Effect.succeed(1))
      yield* TestClock.adjust("250 millis")
      yield* Fiber.join(trial)
      const quiet = yield* ask(Effect.succeed(2))
      yield* TestClock.adjust("5 seconds")

      assert.deepStrictEqual(beside, Option.none())
      assert.deepStrictEqual(quiet, Option.none())
      assert.deepStrictEqual(yield* ask(Effect.succeed(3)), Option.some(3))
      assert.deepStrictEqual(yield* ask(Effect.succeed(4)), Option.some(4))
      assert.lengthOf(logs.filter((log) => log.startsWith("Warn")), 1)
    }))

  it.effect("asks again as soon as a late answer comes, and hands that on", () =>
    Effect.gen(function*() {
      const { ask } = yield* watched()
      const answer = yield* Deferred.make<number>()
      const late: Array<number> = []
      yield* timesOut(ask(Deferred.await(answer), (value) => Effect.sync(() => late.push(value))))
      yield* Deferred.succeed(answer, 7)
      yield* Effect.yieldNow

      assert.deepStrictEqual(late, [7])
      assert.deepStrictEqual(yield* ask(Effect.succeed(1)), Option.some(1))
    }))

  it.effect("lets a call wait for one silent store only", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* watched(), yield* watched()]
      const call = yield* begin(LimitStore.withPatience(Effect.gen(function*() {
        yield* one.ask(Effect.never)
        yield* other.ask(Effect.never)
        yield* other.ask(Effect.succeed(1))
        return yield* Clock.currentTimeMillis
      })))
      yield* TestClock.adjust("1 second")

      assert.strictEqual(yield* Fiber.join(call), 250)
      assert.lengthOf(other.logs, 1)
    }))

  it.effect("is one for all that use the same store", () =>
    Effect.gen(function*() {
      const store = {}
      const [one, other] = [yield* watched(store), yield* watched(store)]
      yield* timesOut(one.ask(Effect.never))

      assert.deepStrictEqual(yield* other.ask(Effect.succeed(1)), Option.none())
    }))

  it.effect("does not wait for what the store is told, and waits for it shortly at the end", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { tell } = yield* Scope.provide(watched(), scope)
      let isTold = false
      yield* tell(Effect.promise(async () => {
        await new Promise((resolve) => setTimeout(resolve, 20))
        isTold = true
      }))
      const before = isTold
      yield* Scope.close(scope, Exit.void)

      assert.isFalse(before)
      assert.isTrue(isTold)
    }))

  it.live("lets its scope close within 250 ms when the store is never told", () =>
    Effect.gen(function*() {
      const scope = yield* Scope.make()
      const { tell } = yield* Scope.provide(watched(), scope)
      yield* tell(Effect.uninterruptible(Effect.never))
      const closing = yield* Effect.timeoutOption(Scope.close(scope, Exit.void), "2 seconds")

      assert.isTrue(Option.isSome(closing))
    }))
})

const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const timesOut = Effect.fnUntraced(function*(question: Effect.Effect<unknown, unknown>) {
  const fiber = yield* begin(question)
  yield* TestClock.adjust("250 millis")
  yield* Fiber.join(fiber)
})

/** A store whose only rejection is the error "limit", and what is logged of it. */
const watched = Effect.fnUntraced(function*(store: object = {}) {
  const logs: Array<string> = []
  const logger = Logger.layer([Logger.make(({ logLevel, message }) => {
    logs.push(`${logLevel} ${Array.isArray(message) ? message[0] : message}`)
  })])
  const { ask, tell } = yield* LimitStore.of(store, "store of tests")
  return {
    logs,
    tell,
    ask: <A, E>(question: Effect.Effect<A, E>, onLate?: (answer: A) => Effect.Effect<unknown>) =>
      Effect.provide(ask(question, { isAnswer: (error) => error === "limit", onLate }), logger)
  }
})
