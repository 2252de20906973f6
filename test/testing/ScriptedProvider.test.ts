import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Holdfast, Providers, SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"

const { accepted, ended, fails, pending, succeeded } = ScriptedProvider

describe("ScriptedProvider", () => {
  it.effect("answers in order, and with the last step from then on", () =>
    Effect.gen(function*() {
      const scripted = yield* ScriptedProvider.make({ retrieve: [pending(), ended(succeeded("Paris"))] })
      const { jobs } = scripted.provider("m")
      const states = yield* Effect.forEach([1, 2, 3], () => jobs?.retrieve("job-1") ?? Effect.die("no jobs"))

      assert.deepStrictEqual(states.map(({ _tag }) => _tag), ["Pending", "Ended", "Ended"])
    }))

  it.effect("records every call: what, when and how often", () =>
    Effect.gen(function*() {
      const scripted = yield* ScriptedProvider.make({ cancel: [fails()] })
      const { jobs } = scripted.provider("m")
      yield* TestClock.adjust("5 seconds")
      yield* Effect.exit(jobs?.cancel("job-1") ?? Effect.void)
      yield* Effect.exit(jobs?.retrieve("job-2") ?? Effect.void)

      assert.deepStrictEqual(scripted.calls(), [
        { operation: "cancel", jobId: "job-1", number: 1, at: 5000 },
        { operation: "retrieve", jobId: "job-2", number: 1, at: 5000 }
      ])
      assert.strictEqual(scripted.calls("retrieve").length, 1)
    }))

  it.effect("offers the ports that it has steps for", () =>
    Effect.gen(function*() {
      const none = (yield* ScriptedProvider.make({})).provider("m")
      const held = (yield* ScriptedProvider.make({ create: [], complete: [] })).provider("m")
      const jobs = (yield* ScriptedProvider.make({ submit: [], find: [], retention: "10 days" })).provider("m").jobs

      assert.deepStrictEqual([none.jobs, none.responses, none.completions], [undefined, undefined, undefined])
      assert.deepStrictEqual([held.jobs === undefined, held.responses === undefined], [true, false])
      assert.isDefined(jobs?.find)
      assert.deepStrictEqual(jobs?.retention, { stored: Duration.days(10), unstored: Duration.days(1) })
    }))

  it.effect("holds a call open, and counts one that is interrupted", () =>
    Effect.gen(function*() {
      const gate = yield* Deferred.make<void>()
      const scripted = yield* ScriptedProvider.make({
        complete: [Effect.never, Effect.andThen(Deferred.await(gate), Effect.succeed(succeeded("Paris")))]
      })
      yield* Effect.gen(function*() {
        const ask = Holdfast.execute({ model: "test/anything", prompt: "Hello" })
        const first = yield* Effect.forkChild(ask, { startImmediately: true })
        yield* Fiber.interrupt(first)
        const second = yield* Effect.forkChild(ask, { startImmediately: true })
        yield* Deferred.succeed(gate, undefined)

        assert.strictEqual((yield* Fiber.join(second)).content, "Paris")
        assert.strictEqual(scripted.interrupted("complete"), 1)
      }).pipe(
        Effect.provide(Holdfast.layer.pipe(
          Layer.provide([SessionStore.layerMemory, Providers.layer({ test: scripted.provider })])
        ))
      )
    }))

  it.effect("makes a step of a call", () =>
    Effect.gen(function*() {
      const scripted = yield* ScriptedProvider.make({ submit: [(call) => accepted(`job of ${call.submissionId}`)] })
      const { jobs } = scripted.provider("m")
      const request = { model: "m", prompt: "p" }
      const submitted = yield* jobs?.submit(request, { submissionId: "sub-1" }) ?? Effect.die("no jobs")

      assert.strictEqual(submitted.jobId, "job of sub-1")
      assert.deepStrictEqual(submitted.state, { _tag: "Pending", status: "queued", phase: "queued" })
    }))
})
