import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { Reason, SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { acceptedAs, submitting, write } from "./Journals.ts"
import { begin, factsOf, makeFaultyStore, request, settleDown, start, tagsOf, withoutJitter } from "./Processes.ts"
import { cancelled, paris } from "./Verdicts.ts"

const { accepted, ended, failed, pending, refuses, succeeded } = ScriptedProvider

describe("start", () => {
  it.effect("returns once the job is accepted, and its run goes on to settle the session", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [Effect.delay(accepted("job-1"), "1 second")],
        retrieve: [pending(), ended(paris)]
      })
      const process = yield* start(provider)
      const starting = yield* begin(process.start(request()))
      yield* TestClock.adjust("900 millis")
      const early = starting.pollUnsafe()
      yield* TestClock.adjust("100 millis")
      const info = yield* Fiber.join(starting)
      const tags = yield* tagsOf(process.store)
      yield* TestClock.adjust("10 seconds")

      assert.isUndefined(early)
      assert.strictEqual(info.submissions[0]?.jobId, "job-1")
      assert.deepStrictEqual(tags, ["Prepared", "Submitting", "Accepted"])
      assert.deepStrictEqual((yield* tagsOf(process.store)).at(-1), "Settled")
    }).pipe(withoutJitter))

  it.effect("fails as execute does when nothing is accepted", () =>
    Effect.gen(function*() {
      const quota = refuses({ _tag: "NonRetryable", reason: new Reason.QuotaExceeded({ message: "No credit" }) })
      const provider = yield* ScriptedProvider.make({ submit: [quota] })
      const process = yield* start(provider)

      assert.deepInclude(factsOf(yield* Effect.flip(process.start(request()))), {
        _tag: "NonRetryable",
        reason: "QuotaExceeded"
      })
    }))

  it.effect("refuses a request without a session before anything is sent", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1")] })
      const process = yield* start(provider)

      assert.deepInclude(factsOf(yield* Effect.flip(process.start(request({ session: undefined })))), {
        reason: "InvalidRequest"
      })
      assert.deepStrictEqual(provider.calls(), [])
    }))

  it.effect("returns at once for a session whose job is known, and for a settled one", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1")], retrieve: [ended(paris)] })
      const process = yield* start(provider)
      yield* process.start(request())
      yield* process.start(request())
      yield* TestClock.adjust("10 seconds")
      const info = yield* process.start(request())

      assert.strictEqual(provider.calls("submit").length, 1)
      assert.strictEqual(info.settlement?._tag, "Answered")
    }).pipe(withoutJitter))
})

describe("poll", () => {
  it.effect("looks at the job once, does not wait, and settles the session when the job has ended", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ retrieve: [pending(), ended(paris)] })
      const process = yield* start(provider)
      yield* write(process.store, [submitting("sub-1"), acceptedAs("sub-1", "job-1")])
      const first = yield* process.poll("s")
      const polls = provider.calls("retrieve").length
      const second = yield* process.poll("s")
      const third = yield* process.poll("s")

      assert.strictEqual(polls, 1)
      assert.isUndefined(first.settlement)
      assert.strictEqual(second.settlement?._tag, "Answered")
      assert.strictEqual(third.settlement?._tag, "Answered")
      assert.strictEqual(provider.calls("retrieve").length, 2)
    }))

  it.effect("leaves a session without a known job as it is, and fails for one that there is not", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({})
      const process = yield* start(provider)
      yield* write(process.store, [submitting("sub-1")])
      const info = yield* process.poll("s")

      assert.strictEqual(info.submissions[0]?.state, "open")
      assert.deepStrictEqual(provider.calls(), [])
      assert.deepInclude(factsOf(yield* Effect.flip(process.poll("other"))), { reason: "SessionNotFound" })
    }))

  it.effect("has a run of this process look at once, and does not wait for it", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [accepted("job-1")],
        retrieve: [pending({ pollAfter: "1 hour" }), ended(paris)]
      })
      const process = yield* start(provider)
      const running = yield* begin(process.execute(request()))
      yield* TestClock.adjust("2 seconds")
      yield* process.poll("s")
      const answer = yield* Fiber.join(running)

      assert.strictEqual(answer.content, "Paris")
      assert.strictEqual(provider.calls("retrieve").length, 2)
    }).pipe(withoutJitter))
})

describe("resubmit", () => {
  it.effect("allows another submission in place of an uncertain one", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [accepted("job-2")], retrieve: [ended(paris)] })
      const process = yield* start(provider)
      yield* write(process.store, [submitting("sub-1")])
      yield* TestClock.adjust("2 minutes")
      const before = yield* process.inspect("s")
      const info = yield* process.resubmit("s")
      const running = yield* begin(process.execute(request()))
      yield* TestClock.adjust("10 seconds")

      assert.deepStrictEqual([before.status, info.status], ["uncertain", "retrying"])
      assert.strictEqual(info.submissions[0]?.state, "refused")
      assert.strictEqual((yield* Fiber.join(running)).content, "Paris")
      assert.strictEqual(provider.calls("submit").length, 1)
    }).pipe(withoutJitter))

  it.effect("is refused while the sender may still be waiting, and where nothing is uncertain", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({})
      const process = yield* start(provider)
      yield* write(process.store, [submitting("sub-1")])
      yield* TestClock.adjust("59 seconds")
      const early = yield* Effect.flip(process.resubmit("s"))
      yield* write(process.store, [acceptedAs("sub-1", "job-1")])
      yield* TestClock.adjust("2 minutes")
      const known = yield* Effect.flip(process.resubmit("s"))

      assert.deepInclude(factsOf(early), { _tag: "Retryable", reason: "Conflict" })
      assert.deepInclude(factsOf(known), { _tag: "NonRetryable", reason: "InvalidRequest" })
    }))
})

describe("recover", () => {
  it.effect("looks at a few sessions at a time, and waits for all of them together", () =>
    Effect.gen(function*() {
      let looking = 0
      let most = 0
      const retrieve = () =>
        Effect.suspend(() => {
          most = Math.max(most, ++looking)
          return Effect.andThen(Effect.sleep("1 second"), pending({ pollAfter: "1 hour" }))
        }).pipe(Effect.ensuring(Effect.sync(() => looking--)))
      const provider = yield* ScriptedProvider.make({ retrieve: [retrieve] })
      const process = yield* start(provider)
      for (let n = 0; n < 20; n++) {
        yield* write(process.store, [submitting("sub-1"), acceptedAs("sub-1", `job-${n}`)], `session ${n}`)
      }
      yield* begin(Stream.runDrain(process.recover({ concurrency: 4 })))
      yield* TestClock.adjust("6 seconds")

      assert.strictEqual(most, 4)
      assert.strictEqual(new Set(provider.calls("retrieve").map(({ jobId }) => jobId)).size, 20)
    }))

  it.effect("leaves an answer that may have to be repaired to a run with the request", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [accepted("job-1"), accepted("job-2")],
        retrieve: [
          ({ jobId }) => jobId === "job-1" ? ended(succeeded("no number")) : ended(succeeded("{\"value\":4}"))
        ]
      })
      const store = yield* SessionStore.makeMemory
      const asked = { ...request(), schema: Schema.Struct({ value: Schema.Number }), repair: 1 }
      const first = yield* start(provider, store)
      const leaving = yield* begin(first.execute(asked))
      yield* settleDown
      yield* Fiber.interrupt(leaving)
      yield* first.close
      const second = yield* start(provider, store)
      const [recovered] = yield* Stream.runCollect(second.recover())
      const tags = yield* tagsOf(store)
      const running = yield* begin(second.execute(asked))
      yield* TestClock.adjust("10 seconds")

      assert.deepInclude(factsOf(recovered?.result._tag === "Failure" ? recovered.result.failure : undefined), {
        reason: "RequestNeeded"
      })
      assert.deepStrictEqual(tags, ["Prepared", "Submitting", "Accepted"])
      assert.deepStrictEqual((yield* Fiber.join(running)).value, { value: 4 })
    }).pipe(withoutJitter))
})

describe("cancel", () => {
  it.effect("wakes the caller that waits for the job at once", () =>
    Effect.gen(function*() {
      const over = ended(failed(cancelled))
      let isCancelled = false
      const provider = yield* ScriptedProvider.make({
        submit: [accepted("job-1")],
        retrieve: [() => Effect.suspend(() => isCancelled ? over : pending({ pollAfter: "1 hour" }))],
        cancel: [
          Effect.suspend(() => {
            isCancelled = true
            return pending()
          })
        ]
      })
      const process = yield* start(provider)
      const running = yield* begin(Effect.flip(process.execute(request())))
      yield* TestClock.adjust("5 seconds")
      yield* process.cancel("s")
      yield* settleDown
      const error = running.pollUnsafe()

      assert.isDefined(error)
      assert.deepInclude(factsOf(yield* Fiber.join(running)), { reason: "JobCancelled" })
    }))

  it.effect("ends a held call although its renewal is being written", () =>
    Effect.gen(function*() {
      const faulty = yield* makeFaultyStore
      let renewals = 0
      faulty.before = (entry) =>
        entry._tag === "Submitting" && ++renewals === 2 ? Effect.sleep(Duration.seconds(3)) : Effect.void
      const provider = yield* ScriptedProvider.make({ create: [Effect.never] })
      const process = yield* start(provider, faulty.store)
      const running = yield* begin(Effect.flip(process.execute(request({ strategy: "sync" }))))
      yield* TestClock.adjust("31 seconds")
      yield* begin(process.cancel("s"))
      yield* TestClock.adjust("3 seconds")
      yield* settleDown
      const error = running.pollUnsafe()

      assert.isDefined(error)
      assert.deepInclude(factsOf(yield* Fiber.join(running)), { reason: "JobCancelled" })
    }))
})

describe("a submission", () => {
  it.effect("is announced once its key is read, and sent with nothing slow in between", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1")], retrieve: [ended(paris)] })
      const store = yield* SessionStore.makeMemory
      const process = yield* start(provider, store, Effect.sleep("10 seconds"))
      const running = yield* begin(process.execute(request()))
      yield* TestClock.adjust("9 seconds")
      const before = yield* tagsOf(store)
      yield* TestClock.adjust("1 second")
      const after = yield* tagsOf(store)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(running)

      assert.deepStrictEqual(before, [])
      assert.deepStrictEqual(after.slice(0, 3), ["Prepared", "Submitting", "Accepted"])
    }).pipe(withoutJitter))

  it.effect.each([["fails", 1], ["does not answer", 6]] as const)(
    "logs the id of an accepted job when the store %s",
    ([what, seconds]) =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        if (what === "fails") faulty.fails = (_, entry) => entry?._tag === "Accepted"
        else faulty.before = (entry) => entry._tag === "Accepted" ? Effect.never : Effect.void
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1")] })
        const process = yield* start(provider, faulty.store)
        yield* begin(process.execute(request()))
        yield* TestClock.adjust(Duration.seconds(seconds))
        const logs = JSON.stringify(yield* TestConsole.logLines)
        yield* begin(process.close)
        yield* TestClock.adjust("1 minute")

        assert.include(logs, "job-1")
      })
  )
})
