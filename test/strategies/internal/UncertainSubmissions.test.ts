import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Providers, ResponseRequest, Schedules, SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { StoredJournal } from "../../../src/strategies/internal/Journal.ts"
import * as Running from "../../../src/strategies/internal/Runs.ts"
import { acceptedAs, submitting, write } from "../Journals.ts"
import { makeFaultyStore, request } from "../Processes.ts"
import { paris } from "../Verdicts.ts"
import { planOf } from "./Decisions.ts"

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

  it.effect("are forgotten in the end when the store stays away", () =>
    Effect.gen(function*() {
      const faulty = yield* makeFaultyStore
      faulty.fails = (operation) => operation === "append"
      const provider = yield* ScriptedProvider.make({ submit: [ScriptedProvider.accepted()] })
      const { enter, shared } = yield* Effect.flatMap(
        Providers.Providers,
        (providers) => Running.make(providers, "", Effect.succeed)
      ).pipe(Effect.provide(provider.layer))
      const callOf = (key: string) => ({
        spec: {
          key,
          fingerprint: undefined,
          journal: new StoredJournal(faulty.store, key),
          onInterrupt: "detach" as const,
          retry: Schedules.retrySchedule(),
          poll: Schedules.pollSchedule(),
          queuedDeadline: undefined
        },
        order: {
          request: Schema.decodeSync(ResponseRequest.ResponseRequest)(request({ session: key })),
          plan: planOf("anything")
        },
        deadline: Duration.infinity,
        startedAt: 0
      })
      const { _tag } = yield* Effect.flip(enter(callOf("first")))
      const one = shared.uncertain.unsent.size
      for (let index = 0; index < 10_100; index++) yield* Effect.exit(enter(callOf(`s-${index}`)))

      assert.strictEqual(_tag, "Retryable")
      assert.strictEqual(one, 1)
      assert.strictEqual(shared.uncertain.unsent.size, 10_000)
      assert.lengthOf(provider.calls(), 0)
    }))
})
