import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Holdfast, Session, SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import * as SqliteClient from "../../src/services/SqliteClient.ts"

describe("Recovery", () => {
  it.effect("takes every unsettled session to its end and leaves the settled ones alone", () =>
    Effect.gen(function*() {
      const scripted = yield* ScriptedProvider.make({
        retrieve: [ScriptedProvider.ended(ScriptedProvider.succeeded("done"))]
      })
      const recovered = yield* Effect.gen(function*() {
        yield* running("a", "job-a", 0)
        yield* running("b", "job-b", 0)
        yield* prepared("never sent")
        const first = yield* Stream.runCollect(Holdfast.recover())
        const again = yield* Stream.runCollect(Holdfast.recover())
        return { first, again }
      }).pipe(Effect.provide(layer(scripted)))

      assert.deepStrictEqual(
        recovered.first.map(({ result, session }) => [session, result._tag === "Success" && result.success.content]),
        [["a", "done"], ["b", "done"]]
      )
      assert.deepStrictEqual(recovered.again, [])
      assert.strictEqual(scripted.calls("submit").length, 0)
    }))

  it.effect("takes the job that its provider drops first, first", () =>
    Effect.gen(function*() {
      const scripted = yield* ScriptedProvider.make({
        retention: "10 hours",
        retrieve: [ScriptedProvider.ended(ScriptedProvider.succeeded("done"))]
      })
      yield* Effect.gen(function*() {
        yield* running("late", "job-late", 3_000)
        yield* running("unstored", "job-unstored", 2_000, { store: false })
        yield* running("early", "job-early", 1_000)
        yield* Stream.runDrain(Holdfast.recover({ concurrency: 1 }))
      }).pipe(Effect.provide(layer(scripted)))

      assert.deepStrictEqual(
        scripted.calls("retrieve").map(({ jobId }) => jobId),
        ["job-unstored", "job-early", "job-late"]
      )
    }))

  it.effect("waits for no more sessions at a time than it was told", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const scripted = yield* ScriptedProvider.make({
        retrieve: [
          Effect.andThen(Deferred.await(gate), ScriptedProvider.ended(ScriptedProvider.succeeded("done")))
        ]
      })
      yield* Effect.gen(function*() {
        for (let n = 0; n < 10; n++) yield* running(`session ${n}`, `job ${n}`, 0)
        const fiber = yield* Effect.forkChild(Stream.runCount(Holdfast.recover({ concurrency: 3 })))
        yield* pass(10)

        assert.strictEqual(scripted.calls("retrieve").length, 3)

        yield* Deferred.succeed(gate, undefined)

        assert.strictEqual(yield* Fiber.join(fiber), 10)
      }).pipe(Effect.provide(layer(scripted)))
    }))

  it.effect("reads no session that the store knows to be settled", () =>
    Effect.gen(function*() {
      const scripted = yield* ScriptedProvider.make({
        retrieve: [ScriptedProvider.ended(ScriptedProvider.succeeded("done"))]
      })
      const loaded: Array<string> = []
      const spied = Layer.effect(
        SessionStore.SessionStore,
        Effect.map(SessionStore.SessionStore, (store) => ({
          ...store,
          load: (key: string) => {
            loaded.push(key)
            return store.load(key)
          }
        }))
      ).pipe(Layer.provideMerge(SessionStore.layerSql()), Layer.provide(SqliteClient.layer({ filename: ":memory:" })))
      const [first, again] = yield* Effect.gen(function*() {
        yield* running("a", "job-a", 0)
        yield* running("b", "job-b", 0)
        const first = yield* Stream.runCollect(Holdfast.recover())
        loaded.length = 0
        return [first, yield* Stream.runCollect(Holdfast.recover())]
      }).pipe(Effect.provide(
        Holdfast.layer.pipe(Layer.provideMerge(spied), Layer.provide(scripted.layer))
      ))

      assert.strictEqual(first?.length, 2)
      assert.deepStrictEqual(again, [])
      assert.deepStrictEqual(loaded, [])
    }))

  it.effect("tells what went wrong with one session and goes on with the others", () =>
    Effect.gen(function*() {
      const scripted = yield* ScriptedProvider.make({
        retrieve: [(call) =>
          call.jobId === "job-odd"
            ? ScriptedProvider.unknown("dreaming")
            : ScriptedProvider.ended(ScriptedProvider.succeeded("done"))]
      })
      const results = yield* Effect.gen(function*() {
        yield* running("odd", "job-odd", 0)
        yield* running("fine", "job-fine", 0)
        yield* submitting("uncertain", 60_000)
        const fiber = yield* Effect.forkChild(Stream.runCollect(Holdfast.recover()))
        yield* pass(120)
        return yield* Fiber.join(fiber)
      }).pipe(Effect.provide(layer(scripted)))

      const outcome = Object.fromEntries(results.map(({ result, session }) => [
        session,
        result._tag === "Success"
          ? result.success.content
          : result.failure._tag === "Timeout"
          ? "Timeout"
          : `${result.failure._tag} ${result.failure.reason._tag}`
      ]))
      assert.deepStrictEqual(outcome, {
        odd: "Retryable InvalidResponse",
        fine: "done",
        uncertain: "NonRetryable SubmissionUncertain"
      })
    }))

  it.effect("throws for a concurrency of less than 1", () =>
    Effect.gen(function*() {
      const holdfast = yield* Holdfast.Holdfast

      for (const concurrency of [0, NaN]) {
        assert.throws(() => holdfast.recover({ concurrency }), RangeError, "1 or more")
      }
    }).pipe(Effect.provide(Holdfast.layerTest(() => "Hello"))))
})

// Seconds one by one: what a step wakes must have fallen asleep again before the next.
const pass = (seconds: number) =>
  Effect.forEach(
    Array.from({ length: seconds }),
    () => Effect.andThen(TestClock.withLive(Effect.sleep("1 millis")), TestClock.adjust("1 second")),
    { discard: true }
  )

const layer = (scripted: ScriptedProvider.ScriptedProvider) =>
  Holdfast.layer.pipe(Layer.provideMerge(SessionStore.layerMemory), Layer.provide(scripted.layer))

const append = Effect.fnUntraced(function*(session: string, entry: Session.Entry) {
  const store = yield* SessionStore.SessionStore
  const { version } = yield* store.load(session)
  yield* store.append(session, entry, version)
})

const prepared = (session: string) => append(session, Session.Prepared.make({ at: 0, fingerprint: `of ${session}` }))

const submitting = Effect.fnUntraced(function*(
  session: string,
  submitTimeout: number,
  options: { readonly store?: boolean } = {}
) {
  yield* prepared(session)
  yield* append(
    session,
    Session.Submitting.make({
      at: 0,
      submissionId: `submission of ${session}`,
      purpose: "answer",
      provider: "test",
      model: "test/anything",
      strategy: "background",
      submitTimeout,
      store: options.store ?? true,
      baseUrl: "https://scripted.test/v1"
    })
  )
})

const running = Effect.fnUntraced(function*(
  session: string,
  jobId: string,
  at: number,
  options: { readonly store?: boolean } = {}
) {
  yield* submitting(session, 60_000, options)
  yield* append(session, Session.Accepted.make({ at, submissionId: `submission of ${session}`, jobId }))
})
