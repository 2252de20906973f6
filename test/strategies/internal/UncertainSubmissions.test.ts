import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Providers, Schedules, SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { StoredJournal } from "../../../src/strategies/internal/Journal.ts"
import * as Running from "../../../src/strategies/internal/Runs.ts"
import { acceptedAs, submitting, write } from "../Journals.ts"
import { paris } from "../Verdicts.ts"

describe("UncertainSubmissions", () => {
  it.effect.each([
    { what: "its job is known", entries: [acceptedAs("sub-1", "job-1")] },
    { what: "another submission has settled its session", entries: [submitting("sub-2"), acceptedAs("sub-2", "job-2")] }
  ])("are forgotten when $what", ({ entries }) =>
    Effect.gen(function*() {
      const store = yield* SessionStore.makeMemory
      const provider = yield* ScriptedProvider.make({ retrieve: [ScriptedProvider.ended(paris)] })
      const { enter, shared } = yield* Effect.flatMap(
        Providers.Providers,
        (providers) => Running.make(providers, "", Effect.succeed)
      ).pipe(Effect.provide(provider.layer))
      const call = {
        spec: {
          key: "s",
          fingerprint: undefined,
          journal: new StoredJournal(store, "s"),
          onInterrupt: "detach" as const,
          retry: Schedules.retrySchedule(),
          poll: Schedules.pollSchedule(),
          queuedDeadline: undefined
        },
        order: undefined,
        deadline: Duration.infinity,
        startedAt: 0
      }
      yield* write(store, [submitting("sub-1")])
      const first = yield* Effect.forkChild(Effect.flip(enter(call)), { startImmediately: true })
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(first)
      const before = [...shared.uncertain.lost.keys()]
      yield* write(store, entries)
      const { content } = yield* enter(call)

      assert.deepStrictEqual(before, ["sub-1"])
      assert.strictEqual(content, "Paris")
      assert.deepStrictEqual([...shared.uncertain.lost.keys(), ...shared.uncertain.seen.keys()], [])
    }))
})
