import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Schema } from "effect"
import { TestClock } from "effect/testing"
import { monotonicMillis } from "../../../src/strategies/internal/MonotonicTime.ts"
import * as TimerQueue from "../../../src/strategies/internal/TimerQueue.ts"

const Plan = Schema.Struct({
  at: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 })),
  isTakenBack: Schema.Boolean
})

describe("TimerQueue", () => {
  it.effect.prop(
    "calls each deadline once, in order and in time, and none that was taken back",
    { plans: Schema.Array(Plan).check(Schema.isMaxLength(60)) },
    ({ plans }) =>
      Effect.scoped(Effect.gen(function*() {
        const deadlines = yield* TimerQueue.make
        const start = yield* monotonicMillis
        const passed: Array<number> = []
        const late: Array<number> = []
        const registered = plans.map(({ at }, index) =>
          register(deadlines, start + at, () => {
            passed.push(index)
          })
        )
        plans.forEach(({ isTakenBack }, index) => isTakenBack && registered[index]?.())
        for (let now = 0; now <= 50; now++) {
          const before = passed.length
          if (now > 0) yield* TestClock.adjust(1)
          for (const index of passed.slice(before)) if (plans[index]?.at !== now) late.push(index)
        }
        registered.forEach((takeBack) => takeBack())
        const due = plans.map(({ at, isTakenBack }, index) => ({ at, index, isTakenBack }))
          .filter(({ isTakenBack }) => !isTakenBack)

        assert.deepStrictEqual(late, [])
        assert.deepStrictEqual(passed.toSorted((a, b) => a - b), due.map(({ index }) => index))
        assert.deepStrictEqual(
          passed.map((index) => plans[index]?.at),
          due.map(({ at }) => at).toSorted((a, b) => a - b)
        )
      })),
    { arbitrary: { runs: 100 } }
  )

  it.effect("takes a deadline that comes before the one it waits for", () =>
    Effect.gen(function*() {
      const deadlines = yield* TimerQueue.make
      const passed: Array<string> = []
      register(deadlines, Infinity, () => passed.push("never"))
      register(deadlines, 10_000, () => passed.push("late"))
      yield* TestClock.adjust("1 second")
      register(deadlines, 2000, () => passed.push("early"))
      yield* TestClock.adjust("1 second")
      const early = [...passed]
      yield* TestClock.adjust("8 seconds")

      assert.deepStrictEqual(early, ["early"])
      assert.deepStrictEqual(passed, ["early", "late"])
    }))

  it.effect("keeps its order when one from the middle is taken back", () =>
    Effect.gen(function*() {
      const deadlines = yield* TimerQueue.make
      const passed: Array<number> = []
      // The last one, 8, takes the place of 101, below 100.
      const takeBack = [1, 100, 2, 101, 102, 3, 4, 103, 104, 105, 106, 5, 6, 7, 8].map((at) =>
        register(deadlines, at, () => passed.push(at))
      )
      takeBack[3]?.()
      yield* TestClock.adjust(8)

      assert.deepStrictEqual(passed, [1, 2, 3, 4, 5, 6, 7, 8])
    }))

  it.effect("calls for deadlines that have passed already", () =>
    Effect.gen(function*() {
      const deadlines = yield* TimerQueue.make
      const passed: Array<string> = []
      yield* TestClock.adjust("1 second")
      register(deadlines, 1000, () => passed.push("now"))
      register(deadlines, -Infinity, () => passed.push("long ago"))
      yield* TestClock.adjust(0)

      assert.deepStrictEqual(passed, ["now", "long ago"])
    }))

  it.effect("allows deadlines to be registered and taken back while others pass", () =>
    Effect.gen(function*() {
      const deadlines = yield* TimerQueue.make
      const passed: Array<string> = []
      const takeBack = register(deadlines, 1000, () => passed.push("taken back"))
      register(deadlines, 500, () => {
        passed.push("first")
        takeBack()
        register(deadlines, 0, () => passed.push("past"))
        register(deadlines, 2000, () => passed.push("second"))
      })
      yield* TestClock.adjust("500 millis")
      const then = [...passed]
      yield* TestClock.adjust("10 seconds")

      assert.deepStrictEqual(then, ["first", "past"])
      assert.deepStrictEqual(passed, ["first", "past", "second"])
    }))

  it.effect("has no timer where nobody waits, which would keep the process alive", () =>
    Effect.gen(function*() {
      const clock = yield* Clock.Clock
      let timers = 0
      const counting: Clock.Clock = Object.create(clock, {
        sleep: {
          value: (duration: Parameters<Clock.Clock["sleep"]>[0]) =>
            Effect.acquireUseRelease(
              Effect.sync(() => timers++),
              () => clock.sleep(duration),
              () => Effect.sync(() => timers--)
            )
        }
      })
      const deadlines = yield* Effect.provideService(TimerQueue.make, Clock.Clock, counting)
      const counts = [timers]
      const takeBack = register(deadlines, 1000, () => {})
      const takeBackToo = register(deadlines, 500, () => {})
      counts.push(timers)
      takeBack()
      takeBackToo()
      counts.push(timers)
      register(deadlines, 2000, () => {})
      counts.push(timers)
      yield* TestClock.adjust("2 seconds")
      counts.push(timers)

      assert.deepStrictEqual(counts, [0, 1, 0, 1, 0])
    }))
})

/** Adds a deadline; returns what takes it back. */
const register = ({ add, remove }: TimerQueue.TimerQueue, dueAt: number, fire: () => void): () => void => {
  const entry: TimerQueue.Entry = { dueAt, fire, position: -1 }
  add(entry)
  return () => remove(entry)
}
