import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Scheduler, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Schedules } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import type { StreamEvent } from "../../../src/services/Provider.ts"
import * as Journaling from "../../../src/strategies/internal/Journal.ts"
import { read } from "../../../src/strategies/internal/StreamReader.ts"
import { Run } from "../../../src/strategies/internal/Run.ts"
import { Reader } from "../../../src/strategies/internal/Transcript.ts"

describe("StreamReader", () => {
  it.live("goes on when the only watcher catches up while the provider is about to wait for it", () =>
    Effect.gen(function*() {
      const run = makeRun()
      const reader = new Reader()
      run.admit({ dueAt: Infinity, onInterrupt: "detach", reader, done: () => {} })
      const { transcript } = run
      if (transcript === undefined) return assert.fail("nobody watches")
      const text = (n: number): StreamEvent => ({ _tag: "Text", delta: "x".repeat(300_000), cursor: `${n}` })
      const events = Stream.make<[StreamEvent, StreamEvent, StreamEvent, StreamEvent]>(
        text(0),
        text(1),
        text(2),
        { _tag: "Ended", outcome: ScriptedProvider.succeeded("") }
      ).pipe(Stream.rechunk(1))
      const timeouts = { firstEvent: 60_000, idle: 60_000 }
      const over = yield* read(events, { run, transcript, timeouts }).pipe(
        Effect.provideService(Scheduler.Scheduler, new Standing(() => !transcript.hasRoom && reader.take())),
        Effect.timeoutOption(Duration.seconds(10))
      )

      assert.strictEqual(over._tag === "Some" ? over.value._tag : "silent", "Ended")
      assert.strictEqual(reader.read, 900_000)
    }))

  it.effect.each([["Ended", 500], ["Cut", 1500]] as const)(
    "does not take the time that the process was stopped for silence, but what comes after it: %s",
    ([expected, millis]) =>
      Effect.gen(function*() {
        const run = makeRun()
        run.admit({ dueAt: Infinity, onInterrupt: "detach", reader: new Reader(), done: () => {} })
        const { transcript } = run
        if (transcript === undefined) return assert.fail("nobody watches")
        const clock = yield* Clock.Clock
        let isStopped = true
        const stopped: Clock.Clock = Object.create(clock, {
          sleep: {
            value: (duration: Duration.Duration) => {
              const late = isStopped ? Duration.hours(1) : Duration.zero
              isStopped = false
              return clock.sleep(Duration.sum(duration, late))
            }
          }
        })
        const arrives = Duration.sum(Duration.hours(1), Duration.millis(60_000 + millis))
        const events = Stream.fromEffect(Effect.as(
          clock.sleep(arrives),
          { _tag: "Ended", outcome: ScriptedProvider.succeeded("late") } as const satisfies StreamEvent
        ))
        const timeouts = { firstEvent: 60_000, idle: 60_000 }
        const reading = yield* read(events, { run, transcript, timeouts }).pipe(
          Effect.provideService(Clock.Clock, stopped),
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust("2 hours")

        assert.strictEqual((yield* Fiber.join(reading))._tag, expected)
      })
  )

  it.effect.each(
    [
      ["idle", ["Text", "Alive", "Alive", "Alive", "Alive"], "The stream was silent for 1m", 320],
      ["firstEvent", ["Alive", "Alive", "Alive"], "The stream was silent for 2m, from its beginning", 120]
    ] as const
  )(
    "takes any byte as life for idle, and only an event for firstEvent: %s",
    ([_name, tags, message, seconds]) =>
      Effect.gen(function*() {
        const run = makeRun()
        run.admit({ dueAt: Infinity, onInterrupt: "detach", reader: new Reader(), done: () => {} })
        const { transcript } = run
        if (transcript === undefined) return assert.fail("nobody watches")
        const events = Stream.fromIterable(tags).pipe(
          Stream.rechunk(1),
          Stream.mapEffect((_tag) =>
            Effect.delay(
              Effect.succeed<StreamEvent>(_tag === "Text" ? { _tag, delta: "Hi" } : { _tag }),
              _tag === "Text" ? "100 seconds" : "40 seconds"
            )
          ),
          Stream.concat(Stream.never)
        )
        const reading = yield* read(events, { run, transcript, timeouts: { firstEvent: 120_000, idle: 60_000 } }).pipe(
          Effect.zipWith(Clock.currentTimeMillis, (over, at) => ({ over, at })),
          Effect.forkChild({ startImmediately: true })
        )
        yield* TestClock.adjust("1 hour")
        const { at, over } = yield* Fiber.join(reading)

        assert.strictEqual(over._tag === "Cut" ? over.error.verdict.reason.message : over._tag, message)
        assert.strictEqual(at, seconds * 1000)
      })
  )
})

const makeRun = (): Run =>
  new Run({
    key: undefined,
    fingerprint: undefined,
    journal: new Journaling.EphemeralJournal(),
    onInterrupt: "cancel",
    retry: Schedules.retrySchedule(),
    poll: Schedules.pollSchedule(),
    queuedDeadline: undefined
  })

/** Lets fibers stand still at every third operation, and something else happen there. */
class Standing extends Scheduler.MixedScheduler {
  private readonly meanwhile: () => unknown

  constructor(meanwhile: () => unknown) {
    super()
    this.meanwhile = meanwhile
  }

  override shouldYield(fiber: Parameters<Scheduler.MixedScheduler["shouldYield"]>[0]): boolean {
    if (fiber.currentOpCount < 3) return false
    this.meanwhile()
    return true
  }
}
