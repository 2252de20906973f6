import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Redacted, Schedule, Scope } from "effect"
import { TestClock } from "effect/testing"
import { Holdfast, Schedules, Session, SessionStore, SessionStoreError, Webhooks } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"

import { acceptedAs, settledWith, submitting } from "./Journals.ts"
import { begin, settleDown, withoutJitter } from "./Processes.ts"
import { endedNow } from "./Verdicts.ts"

/** How often journals are looked at. */
const tick = "2 seconds"

/** Only the journals tell that a job has ended. */
const seldom = Schedule.spaced("10 minutes")

const sessions = Array.from({ length: 100 }, (_, index) => `s-${index}`)

/** Counts what a store is asked. */
const makeCounted = Effect.map(SessionStore.makeMemory, (store) => {
  const asked = { loads: new Array<string>(), questions: new Array<number>() }
  const versions = (keys: ReadonlyArray<string>) => {
    asked.questions.push(keys.length)
    return store.versions?.(keys) ?? Effect.die("The store has no versions")
  }
  const load = (key: string) => {
    asked.loads.push(key)
    return store.load(key)
  }
  const forget = Effect.sync(() => {
    asked.loads.length = 0
    asked.questions.length = 0
  })
  return { asked, forget, store, counted: { ...store, load, versions } }
})

const append = Effect.fnUntraced(function*(
  store: SessionStore.SessionStore["Service"],
  key: string,
  entries: ReadonlyArray<Session.Entry>
) {
  for (const entry of entries) yield* store.append(key, entry, (yield* store.load(key)).version)
})

/** A process that takes webhooks, and waits for a job of each session. */
const waiting = Effect.fnUntraced(function*(
  store: SessionStore.SessionStore["Service"],
  keys: ReadonlyArray<string>,
  isPolledSeldom = true
) {
  const ended = new Set<string>()
  const provider = yield* ScriptedProvider.make({
    retrieve: [({ jobId = "" }) => ended.has(jobId) ? Effect.succeed(endedNow) : ScriptedProvider.pending()]
  })
  const scope = yield* Scope.fork(yield* Effect.scope)
  const context = yield* Layer.buildWithScope(
    Layer.fresh(Layer.merge(Holdfast.layer, Webhooks.layer({ secrets: Redacted.make("a secret of the test") }))).pipe(
      Layer.provide([provider.layer, Layer.succeed(SessionStore.SessionStore, store)])
    ),
    scope
  )
  const holdfast = Context.get(context, Holdfast.Holdfast)
  const callers = new Map<string, Fiber.Fiber<unknown, unknown>>()
  for (const key of keys) {
    yield* append(store, key, [submitting(`submission of ${key}`), acceptedAs(`submission of ${key}`, `job of ${key}`)])
    const call = Effect.exit(holdfast.resume(key))
    callers.set(
      key,
      yield* begin(isPolledSeldom ? Effect.provideService(call, Schedules.PollPolicy, seldom) : call)
    )
  }
  /** Another process settles a session, as its job has ended. */
  const settle = (key: string) =>
    Effect.suspend(() => {
      ended.add(`job of ${key}`)
      return append(store, key, [settledWith(`submission of ${key}`, "Paris", key)])
    })
  return { callers, settle, close: Scope.close(scope, Exit.void) }
})

describe("journals of jobs that are waited for, where webhooks are taken", () => {
  it.effect("are not loaded between their jobs' polls", () =>
    withoutJitter(Effect.gen(function*() {
      const { asked, counted, forget } = yield* makeCounted
      const { close } = yield* waiting(counted, sessions, false)
      yield* TestClock.adjust(tick)
      yield* forget
      for (let index = 0; index < 30; index++) yield* TestClock.adjust(tick)

      assert.lengthOf(asked.loads, 0)
      assert.deepStrictEqual(asked.questions, Array.from({ length: 30 }, () => 100))
      yield* close
    })))

  it.effect("cost one question a tick, and are loaded only when they have changed", () =>
    withoutJitter(Effect.gen(function*() {
      const { asked, counted, forget } = yield* makeCounted
      const { callers, close, settle } = yield* waiting(counted, sessions)
      yield* TestClock.adjust(tick)
      yield* forget
      for (let index = 0; index < 10; index++) yield* TestClock.adjust(tick)
      const { loads, questions } = { loads: [...asked.loads], questions: [...asked.questions] }
      yield* settle("s-7")
      yield* forget
      yield* TestClock.adjust(tick)
      yield* settleDown

      assert.deepStrictEqual({ loads, questions }, { loads: [], questions: Array.from({ length: 10 }, () => 100) })
      assert.deepStrictEqual([...new Set(asked.loads)], ["s-7"])
      assert.deepStrictEqual(
        [...callers].filter(([, caller]) => caller.pollUnsafe() !== undefined).map(([key]) => key),
        ["s-7"]
      )
      yield* close
    })))

  it.effect("are loaded once when a change does not end the job", () =>
    withoutJitter(Effect.gen(function*() {
      const { asked, counted, forget, store } = yield* makeCounted
      const { callers, close } = yield* waiting(counted, ["s-1", "s-2"])
      yield* TestClock.adjust(tick)
      yield* forget
      yield* append(store, "s-1", [submitting("another")])
      for (let index = 0; index < 5; index++) yield* TestClock.adjust(tick)

      assert.deepStrictEqual(asked.loads, ["s-1"])
      assert.isTrue([...callers.values()].every((caller) => caller.pollUnsafe() === undefined))
      yield* close
    })))

  it.effect("are looked at again after the store could not be read", () =>
    withoutJitter(Effect.gen(function*() {
      const { counted } = yield* makeCounted
      let isAway = true
      const { callers, close, settle } = yield* waiting({
        ...counted,
        versions: (keys) =>
          isAway
            ? Effect.fail(new SessionStoreError.StoreUnavailable({ operation: "load", message: "The store is away" }))
            : counted.versions(keys)
      }, ["s-1"])
      yield* settle("s-1")
      yield* TestClock.adjust(tick)
      yield* settleDown
      const isWaiting = callers.get("s-1")?.pollUnsafe() === undefined
      isAway = false
      yield* TestClock.adjust(tick)
      yield* settleDown

      assert.isTrue(isWaiting)
      assert.isDefined(callers.get("s-1")?.pollUnsafe())
      yield* close
    })))

  it.effect("are all loaded when the store has no versions", () =>
    withoutJitter(Effect.gen(function*() {
      const { asked, counted, forget } = yield* makeCounted
      const { callers, close, settle } = yield* waiting({ ...counted, versions: undefined }, ["s-1", "s-2"])
      yield* TestClock.adjust(tick)
      yield* settle("s-2")
      yield* forget
      yield* TestClock.adjust(tick)
      yield* settleDown

      assert.deepStrictEqual([...new Set(asked.loads)].toSorted(), ["s-1", "s-2"])
      assert.isUndefined(callers.get("s-1")?.pollUnsafe())
      assert.isDefined(callers.get("s-2")?.pollUnsafe())
      yield* close
    })))
})
