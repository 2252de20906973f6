import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Stream } from "effect"
import { TestClock } from "effect/testing"
import { LlmResponse, Session, SessionStore, SessionStoreError } from "holdfast"
import * as Duration from "effect/Duration"

describe("SessionStore.prune", () => {
  it.effect("removes settled sessions that are old enough, and no other", () =>
    Effect.gen(function*() {
      yield* sessions
      yield* TestClock.setTime(day * 10)

      const removed = yield* SessionStore.prune({ olderThan: "5 days" })

      assert.strictEqual(removed, 1)
      assert.deepStrictEqual(yield* keys, ["old running", "young settled"])
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("removes unsettled sessions when it is told to", () =>
    Effect.gen(function*() {
      yield* sessions
      yield* TestClock.setTime(day * 10)

      const removed = yield* SessionStore.prune({ olderThan: "5 days", statuses: ["answered", "running"] })

      assert.strictEqual(removed, 2)
      assert.deepStrictEqual(yield* keys, ["young settled"])
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("counts age to the millisecond, exclusive", () =>
    Effect.gen(function*() {
      yield* sessions
      yield* TestClock.setTime(day * 5)

      assert.strictEqual(yield* SessionStore.prune({ olderThan: "5 days" }), 0)

      yield* TestClock.adjust(1)

      assert.strictEqual(yield* SessionStore.prune({ olderThan: "5 days" }), 1)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("removes nothing when the age is not a number", () =>
    Effect.gen(function*() {
      yield* sessions
      const before = yield* keys
      yield* TestClock.setTime(day * 10)

      const exit = yield* Effect.exit(SessionStore.prune({ olderThan: Number("30 days") }))

      assert.isTrue(Exit.hasDies(exit))
      assert.deepStrictEqual(yield* keys, before)
    }).pipe(Effect.provide(SessionStore.layerMemory)))

  it.effect("leaves a session that changes meanwhile, and one that cannot be read", () =>
    Effect.gen(function*() {
      const store = yield* SessionStore.makeMemory
      for (const key of ["changing", "damaged", "old"]) yield* store.append(key, settled(0), Session.noVersion)
      yield* TestClock.setTime(day * 10)

      const removed = yield* SessionStore.prune({ olderThan: "5 days" }).pipe(
        Effect.provideService(SessionStore.SessionStore, {
          ...store,
          load: (key) =>
            key === "damaged"
              ? Effect.fail(new SessionStoreError.StoreCorrupt({ message: "damaged" }))
              : Effect.tap(
                store.load(key),
                ({ version }) =>
                  key === "changing" ? Effect.orDie(store.append(key, settled(day * 10), version)) : Effect.void
              )
        })
      )

      assert.strictEqual(removed, 1)
      assert.sameMembers(yield* Stream.runCollect(store.list), ["changing", "damaged"])
    }))

  it.effect("fails when the store does", () =>
    Effect.gen(function*() {
      const store = yield* SessionStore.makeMemory
      yield* store.append("old", settled(0), Session.noVersion)
      yield* TestClock.setTime(day * 10)
      const unavailable = Effect.fail(new SessionStoreError.StoreUnavailable({ operation: "any", message: "gone" }))
      const pruned = (change: Partial<SessionStore.SessionStore["Service"]>) =>
        Effect.flip(SessionStore.prune({ olderThan: "5 days" })).pipe(
          Effect.provideService(SessionStore.SessionStore, { ...store, ...change })
        )

      const errors = [
        yield* pruned({ list: Stream.fromEffect(unavailable) }),
        yield* pruned({ load: () => unavailable }),
        yield* pruned({ remove: () => unavailable })
      ]

      assert.deepStrictEqual(errors.map(({ _tag }) => _tag), errors.map(() => "StoreUnavailable"))
      assert.deepStrictEqual(yield* Stream.runCollect(store.list), ["old"])
    }))
})

const day = Duration.toMillis("1 day")

const keys = Effect.gen(function*() {
  const store = yield* SessionStore.SessionStore
  return [...yield* Stream.runCollect(store.list)].sort()
})

const sessions = Effect.gen(function*() {
  const store = yield* SessionStore.SessionStore
  yield* store.append("old settled", settled(0), Session.noVersion)
  yield* store.append("young settled", settled(day * 9), Session.noVersion)
  const version = yield* store.append("old running", submitting, Session.noVersion)
  yield* store.append(
    "old running",
    Session.Accepted.make({ at: 0, submissionId: "s", jobId: "job" }),
    version
  )
})

const submitting = Session.Submitting.make({
  at: 0,
  submissionId: "s",
  purpose: "answer",
  provider: "test",
  model: "test/anything",
  strategy: "background",
  submitTimeout: 60_000,
  store: true
})

const settled = (at: number) =>
  Session.Settled.make({
    at,
    submissionId: "s",
    settlement: {
      _tag: "Answered",
      answer: new LlmResponse.LlmResponse({
        content: "42",
        finishReason: "stop",
        response: {},
        model: "anything",
        provider: "test",
        strategy: "background",
        submissions: 1,
        attempts: 1,
        polls: 0,
        elapsed: Duration.zero,
        resumed: false,
        settled: true
      })
    }
  })
