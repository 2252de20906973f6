import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Scheduler, Stream } from "effect"
import { Schedules } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import type { StreamEvent } from "../../../src/services/Provider.ts"
import * as Journaling from "../../../src/strategies/internal/Journaling.ts"
import { read } from "../../../src/strategies/internal/Reading.ts"
import { Run } from "../../../src/strategies/internal/Run.ts"
import { Reader } from "../../../src/strategies/internal/Transcript.ts"

describe("Reading", () => {
  it.live("goes on when the only watcher catches up while the provider is about to wait for it", () =>
    Effect.gen(function*() {
      const run = new Run({
        key: undefined,
        fingerprint: undefined,
        journal: new Journaling.EphemeralJournal(),
        onInterrupt: "cancel",
        retry: Schedules.retrySchedule(),
        poll: Schedules.pollSchedule(),
        queuedDeadline: undefined
      })
      const reader = new Reader()
      run.admit({ deadlineAt: Infinity, reader, done: () => {} })
      const { transcript } = run
      if (transcript === undefined) return assert.fail("nobody watches")
      const text = (n: number): StreamEvent => ({ _tag: "Text", delta: "x".repeat(300_000), cursor: `${n}` })
      const events = Stream.make<[StreamEvent, StreamEvent, StreamEvent, StreamEvent]>(
        text(0),
        text(1),
        text(2),
        { _tag: "Ended", outcome: ScriptedProvider.succeeded("") }
      ).pipe(Stream.rechunk(1))
      const patience = { firstEvent: 60_000, idle: 60_000 }
      const over = yield* read(events, { run, transcript, patience }).pipe(
        Effect.provideService(Scheduler.Scheduler, new Standing(() => !transcript.hasRoom && reader.take())),
        Effect.timeoutOption(Duration.seconds(10))
      )

      assert.strictEqual(over._tag === "Some" ? over.value._tag : "silent", "Ended")
      assert.strictEqual(reader.read, 900_000)
    }))
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
