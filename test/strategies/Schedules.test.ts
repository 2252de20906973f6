import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Pull, Random, Schedule } from "effect"
import { type Provider, ProviderError, Reason, Schedules } from "holdfast"

describe("Schedules", () => {
  describe("retrySchedule", () => {
    it.effect.each([
      { random: 0, expected: [500, 1000, 2000, 4000] },
      { random: 0.5, expected: [525, 1050, 2100, 4200] },
      { random: 1, expected: [550, 1100, 2200, 4400] }
    ])("waits four times with random $random, then ends", ({ expected, random }) =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* delays(Schedules.retrySchedule(), many(overloaded())), expected)
      }).pipe(pinned(random)))

    it.effect.each([
      { random: 0, expected: [1000, 2000, 4000, 5000, 5000] },
      { random: 1, expected: [1100, 2200, 4400, 5500, 5500] }
    ])("caps before it adds jitter, with random $random", ({ expected, random }) =>
      Effect.gen(function*() {
        const schedule = Schedules.retrySchedule({ initial: "1 second", max: "5 seconds", attempts: 6 })

        assert.deepStrictEqual(yield* delays(schedule, many(overloaded())), expected)
      }).pipe(pinned(random)))

    it.effect("caps at 30 seconds by default", () =>
      Effect.gen(function*() {
        const schedule = Schedules.retrySchedule({ attempts: 10 })

        assert.deepStrictEqual((yield* delays(schedule, many(overloaded()))).slice(5), [16_000, 30_000, 30_000, 30_000])
      }).pipe(pinned(0)))

    it.effect.each([
      { random: 0, expected: [90_000, 1000] },
      { random: 1, expected: [99_000, 1100] }
    ])(
      "takes Retry-After as a floor with jitter above it, beyond the cap too, with random $random",
      ({ expected, random }) =>
        Effect.gen(function*() {
          const errors = [
            overloaded({ retryAfter: Duration.seconds(90) }),
            overloaded({ retryAfter: Duration.millis(10) })
          ]

          assert.deepStrictEqual(yield* delays(Schedules.retrySchedule(), errors), expected)
        }).pipe(pinned(random))
    )

    it.effect("caps a reset hint, and prefers Retry-After to it", () =>
      Effect.gen(function*() {
        const errors = [
          overloaded({ retryHint: Duration.seconds(7) }),
          overloaded({ retryHint: Duration.minutes(7) }),
          overloaded({ retryHint: Duration.minutes(7), retryAfter: Duration.seconds(40) })
        ]

        assert.deepStrictEqual(yield* delays(Schedules.retrySchedule(), errors), [7000, 30_000, 40_000])
      }).pipe(pinned(0)))

    it.effect("ends for an error that no retry can cure", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual(yield* delays(Schedules.retrySchedule(), [overloaded(), invalid, overloaded()]), [500])
      }).pipe(pinned(0)))

    it.effect("ends for an open circuit, which is there so that nobody waits", () =>
      Effect.gen(function*() {
        const open = new ProviderError.ProviderError({
          verdict: {
            _tag: "Retryable",
            reason: new Reason.CircuitOpen({ message: "Open" }),
            retryAfter: Duration.seconds(30)
          },
          evidence: "NotSent"
        })

        assert.deepStrictEqual(yield* delays(Schedules.retrySchedule(), [overloaded(), open]), [500])
      }).pipe(pinned(0)))

    it.effect("counts attempts, the first one included", () =>
      Effect.gen(function*() {
        for (const attempts of [1, 2, 3]) {
          const schedule = Schedules.retrySchedule({ attempts })

          assert.strictEqual((yield* delays(schedule, many(overloaded()))).length, attempts - 1)
        }
      }).pipe(pinned(0)))

    it("throws a RangeError for attempts that are no count", () => {
      for (const attempts of [0, -1, 1.5, NaN, Infinity]) {
        assert.throws(
          () => Schedules.retrySchedule({ attempts }),
          RangeError,
          "attempts must be an integer of 1 or more"
        )
      }
    })
  })

  describe("pollSchedule", () => {
    it.effect.each([
      {
        random: 0,
        expected: [1000, 1250, 1563, 1953, 2441, 3052, 3815, 4768, 5960, 7451, 9313, 11_642, 14_552, 15_000, 15_000]
      },
      {
        random: 0.5,
        expected: [1050, 1313, 1641, 2051, 2563, 3204, 4005, 5007, 6258, 7823, 9779, 12_224, 15_280, 15_750, 15_750]
      },
      {
        random: 1,
        expected: [1100, 1375, 1719, 2148, 2686, 3357, 4196, 5245, 6557, 8196, 10_245, 12_806, 16_007, 16_500, 16_500]
      }
    ])("grows by 1.25 to 15 seconds with random $random", ({ expected, random }) =>
      Effect.gen(function*() {
        const found = yield* delays(Schedules.pollSchedule(), many(pending(), 15))

        assert.deepStrictEqual(found.map(Math.round), expected)
      }).pipe(pinned(random)))

    it.effect("never ends", () =>
      Effect.gen(function*() {
        assert.strictEqual((yield* delays(Schedules.pollSchedule(), many(pending(), 5000))).length, 5000)
      }).pipe(pinned(0)))

    it.effect.each([
      { random: 0, expected: [60_000, 1250, 100, 200, 60_000] },
      { random: 1, expected: [66_000, 1375, 110, 220, 66_000] }
    ])(
      "follows the server's hint, from 100 milliseconds to 1 minute, times jitter, with random $random",
      ({ expected, random }) =>
        Effect.gen(function*() {
          const states = [pending("1 minute"), pending(), pending(0), pending("200 millis"), pending("1 day")]

          assert.deepStrictEqual(yield* delays(Schedules.pollSchedule(), states), expected)
        }).pipe(pinned(random))
    )

    it.effect("takes initial, factor and max", () =>
      Effect.gen(function*() {
        const schedule = Schedules.pollSchedule({ initial: "20 millis", factor: 2, max: "50 millis" })

        assert.deepStrictEqual(yield* delays(schedule, many(pending(), 4)), [20, 40, 50, 50])
        assert.deepStrictEqual(yield* delays(Schedules.pollSchedule({ factor: 1 }), many(pending(), 3)), [
          1000,
          1000,
          1000
        ])
      }).pipe(pinned(0)))

    it("throws a RangeError for a factor below 1", () => {
      for (const factor of [0.99, 0, -1, NaN]) {
        assert.throws(() => Schedules.pollSchedule({ factor }), RangeError, "factor must be 1 or more")
      }
    })
  })
})

const pinned = (random: number) =>
  Effect.provideService(Random.Random, { nextDoubleUnsafe: () => random, nextIntUnsafe: () => 0 })

const many = <A>(value: A, times = 10): ReadonlyArray<A> => Array.from({ length: times }, () => value)

const overloaded = (
  told: { readonly retryAfter?: Duration.Duration; readonly retryHint?: Duration.Duration } = {}
): ProviderError.ProviderError =>
  new ProviderError.ProviderError({
    verdict: { _tag: "Retryable", reason: new Reason.Overloaded({ message: "Busy" }), ...told },
    evidence: "Refused"
  })

const invalid = new ProviderError.ProviderError({
  verdict: { _tag: "NonRetryable", reason: new Reason.InvalidRequest({ message: "No" }) },
  evidence: "Refused"
})

const pending = (pollAfter?: Duration.Input): Provider.Pending => ({
  _tag: "Pending",
  status: "queued",
  phase: "queued",
  ...(pollAfter === undefined ? {} : { pollAfter: Duration.fromInputUnsafe(pollAfter) })
})

/** The delays, in milliseconds, that a schedule gives for the inputs, until it ends. */
const delays = Effect.fnUntraced(function*<I>(schedule: Schedule.Schedule<unknown, I>, inputs: ReadonlyArray<I>) {
  const step = yield* Schedule.toStep(schedule)
  const found: Array<number> = []
  for (const input of inputs) {
    const next = yield* step(0, input).pipe(
      Effect.map(([, delay]) => Duration.toMillis(delay)),
      Pull.catchDone(() => Effect.undefined)
    )
    if (next === undefined) break
    found.push(next)
  }
  return found
})
