import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type Provider, Providers, Reason } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { submitting, write } from "./Journals.ts"
import { begin, factsOf, makeFaultyStore, request, settleDown, start, tagsOf, withoutJitter } from "./Processes.ts"
import { finals, incomplete, invalidRequest, overloaded, paris, serverError } from "./Verdicts.ts"

const { failed, fails, refuses, succeeded } = ScriptedProvider

const sync = request({ strategy: "sync" })

describe("SyncRetry", () => {
  it.effect("holds one call open and settles its answer", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        create: [Effect.andThen(Effect.sleep("20 seconds"), Effect.succeed(paris))]
      })
      const process = yield* start(provider)
      const fiber = yield* begin(process.execute(sync))
      yield* TestClock.adjust("20 seconds")
      const answer = yield* Fiber.join(fiber)
      const again = yield* process.execute(sync)

      assert.deepInclude(answer, {
        content: "Paris",
        strategy: "sync",
        submissions: 1,
        attempts: 1,
        polls: 0,
        resumed: false,
        settled: true
      })
      assert.strictEqual(Duration.toMillis(answer.elapsed), 20_000)
      assert.deepInclude(again, { content: "Paris", attempts: 0, submissions: 1, resumed: true })
      assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Settled"])
      assert.strictEqual(provider.calls("create").length, 1)
    }))

  it.effect("retries refusals and lost calls by the schedule, five calls in all", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [refuses(overloaded), fails(), fails(serverError)] })
      const process = yield* start(provider)
      const fiber = yield* begin(Effect.flip(process.execute(sync)))
      yield* TestClock.adjust("1 hour")

      assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), {
        _tag: "Retryable",
        reason: "ServerError",
        attempts: 5,
        session: "s"
      })
      assert.deepStrictEqual(provider.calls("create").map(({ at }) => at), [0, 500, 1500, 3500, 7500])
      const tags = yield* tagsOf(process.store)
      assert.deepStrictEqual(tags.slice(1, 5), ["Submitting", "NotSubmitted", "Submitting", "Ended"])
      assert.strictEqual((yield* process.inspect("s")).state, "ended")
    }).pipe(withoutJitter))

  it.effect("retries an answer that cannot be read", () =>
    Effect.gen(function*() {
      const garbage = failed({ _tag: "Retryable", reason: new Reason.InvalidResponse({ message: "HTML" }) })
      const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(garbage), Effect.succeed(paris)] })
      const process = yield* start(provider)
      const fiber = yield* begin(process.execute(sync))
      yield* TestClock.adjust("1 second")

      assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", attempts: 2, submissions: 2 })
    }).pipe(withoutJitter))

  it.effect("asks once more for an answer that cannot be read, whatever the schedule allows", () =>
    Effect.gen(function*() {
      const garbage = new Reason.InvalidResponse({ message: "HTML", status: 200 })
      const provider = yield* ScriptedProvider.make({
        create: [fails({ _tag: "Retryable", reason: garbage }, "Uncertain")]
      })
      const process = yield* start(provider)
      const fiber = yield* begin(Effect.flip(process.execute(sync)))
      yield* TestClock.adjust("1 hour")

      assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), {
        _tag: "Retryable",
        reason: "InvalidResponse",
        attempts: 2,
        session: "s"
      })
      assert.deepStrictEqual(provider.calls("create").map(({ at }) => at), [0, 500])
    }).pipe(withoutJitter))

  it.effect("does not retry what a retry cannot cure", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [refuses(invalidRequest)] })
      const process = yield* start(provider)

      assert.deepStrictEqual(factsOf(yield* Effect.flip(process.execute(sync))), {
        _tag: "NonRetryable",
        reason: "InvalidRequest",
        session: "s"
      })
      assert.strictEqual(provider.calls("create").length, 1)
    }))

  it.effect.each(finals)("settles $reason._tag and gives it again without a call", (verdict) =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(failed(verdict))] })
      const process = yield* start(provider)
      const error = yield* Effect.flip(process.execute(sync))
      const again = yield* Effect.flip(process.execute(sync))

      assert.deepStrictEqual(factsOf(error), { _tag: "NonRetryable", reason: verdict.reason._tag, session: "s" })
      assert.strictEqual(JSON.stringify(again), JSON.stringify(error))
      assert.strictEqual(provider.calls("create").length, 1)
    }))

  it.effect("has a deadline of 15 minutes, in which the call is not cut", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.never] })
      const process = yield* start(provider)
      const fiber = yield* begin(Effect.flip(process.execute(sync)))
      yield* TestClock.adjust("899999 millis")
      const before = fiber.pollUnsafe()
      const calls = provider.calls("create").length
      yield* TestClock.adjust("1 millis")

      assert.isUndefined(before)
      assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), { _tag: "Timeout", phase: "running", session: "s" })
      assert.strictEqual(calls, 1)
      assert.strictEqual(provider.interrupted("create"), 1)
    }).pipe(withoutJitter))

  it.effect("is in phase submit while it waits for a retry", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        create: [refuses({ ...overloaded, retryAfter: Duration.minutes(1) }), Effect.never]
      })
      const process = yield* start(provider)
      const long = yield* begin(Effect.exit(process.execute(request({ strategy: "sync", deadline: "2 minutes" }))))
      yield* settleDown
      const short = yield* begin(Effect.flip(process.execute(request({ strategy: "sync", deadline: "50 seconds" }))))
      yield* TestClock.adjust("50 seconds")
      const error = yield* Fiber.join(short)
      yield* Fiber.interrupt(long)

      assert.deepStrictEqual(factsOf(error), { _tag: "Timeout", phase: "submit", session: "s" })
    }).pipe(withoutJitter))

  it.effect("aborts the call and closes its submission when the caller leaves", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.never, Effect.succeed(paris)] })
      const process = yield* start(provider)
      const fiber = yield* begin(process.execute(sync))
      yield* settleDown
      yield* Fiber.interrupt(fiber)
      yield* settleDown
      const tags = yield* tagsOf(process.store)
      const answer = yield* process.execute(sync)

      assert.strictEqual(provider.interrupted("create"), 1)
      assert.deepStrictEqual(tags, ["Prepared", "Submitting", "Ended"])
      assert.deepInclude(answer, { content: "Paris", submissions: 2, attempts: 1, resumed: false })
    }))

  it.effect("journals an answer that is there, though the caller leaves", () =>
    Effect.gen(function*() {
      const faulty = yield* makeFaultyStore
      faulty.before = (entry) => entry._tag === "Settled" ? Effect.sleep("1 second") : Effect.void
      const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(paris)] })
      const process = yield* start(provider, faulty.store)
      const fiber = yield* begin(process.execute(sync))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("2 seconds")

      assert.deepInclude(yield* process.execute(sync), { content: "Paris", resumed: true, attempts: 0 })
      assert.strictEqual(provider.calls("create").length, 1)
    }))

  it.effect("says every half of submitTimeout that the call is still held", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.never] })
      const process = yield* start(provider)
      const fiber = yield* begin(Effect.exit(process.execute(sync)))
      yield* TestClock.adjust("95 seconds")
      const tags = yield* tagsOf(process.store)
      const { state, submissions } = yield* process.inspect("s")
      yield* Fiber.interrupt(fiber)

      assert.deepStrictEqual(tags, ["Prepared", "Submitting", "Submitting", "Submitting", "Submitting"])
      assert.deepStrictEqual([state, submissions.length], ["submitting", 1])
    }))

  it.effect("makes the call of a process that died again, after submitTimeout", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(paris)] })
      const process = yield* start(provider)
      yield* write(process.store, [{ ...submitting("sub-1"), strategy: "sync" } as never])
      const fiber = yield* begin(process.execute(sync))
      yield* TestClock.adjust("59999 millis")
      const before = provider.calls("create").length
      yield* TestClock.adjust("1 millis")

      assert.strictEqual(before, 0)
      assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", submissions: 2, attempts: 1 })
    }).pipe(withoutJitter))

  it.effect("makes no call again where onUncertainSubmit is fail", () =>
    Effect.gen(function*() {
      for (const session of ["s", undefined]) {
        const provider = yield* ScriptedProvider.make({ create: [fails()] })
        const process = yield* start(provider)
        const careful = request({ strategy: "sync", onUncertainSubmit: "fail", session })
        const error = yield* Effect.flip(process.execute(careful))
        if (session !== undefined) yield* Effect.flip(process.execute(careful))

        assert.deepInclude(factsOf(error), { _tag: "NonRetryable", reason: "SubmissionUncertain" })
        assert.strictEqual(provider.calls("create").length, 1)
      }
    }))

  it.effect("aborts a call that is cancelled, at once in its own process", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.never] })
      const process = yield* start(provider)
      const fiber = yield* begin(Effect.flip(process.execute(sync)))
      yield* settleDown
      yield* process.cancel("s")
      const error = yield* Fiber.join(fiber)

      assert.deepStrictEqual(factsOf(error), { _tag: "NonRetryable", reason: "JobCancelled", session: "s" })
      assert.strictEqual(provider.interrupted("create"), 1)
      assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "CancelRequested", "Settled"])
    }))

  it.effect("aborts a call that another process cancels within half of submitTimeout", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.never] })
      const process = yield* start(provider)
      const other = yield* start(provider, process.store)
      const fiber = yield* begin(Effect.flip(process.execute(sync)))
      yield* TestClock.adjust("40 seconds")
      yield* other.cancel("s")
      yield* TestClock.adjust("19999 millis")
      const before = provider.interrupted("create")
      yield* TestClock.adjust("1 millis")

      assert.deepInclude(factsOf(yield* Fiber.join(fiber)), { _tag: "NonRetryable", reason: "JobCancelled" })
      assert.strictEqual(before, 0)
      assert.strictEqual(provider.interrupted("create"), 1)
      assert.strictEqual(provider.calls("create").length, 1)
      assert.deepInclude(factsOf(yield* Effect.flip(other.execute(sync))), { reason: "JobCancelled" })
    }))

  it.effect("keeps an answer that was there before the cancel was seen", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.delay(Effect.succeed(paris), "10 seconds")] })
      const process = yield* start(provider)
      const other = yield* start(provider, process.store)
      const fiber = yield* begin(process.execute(sync))
      yield* TestClock.adjust("5 seconds")
      yield* other.cancel("s")
      yield* TestClock.adjust("5 seconds")

      assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", settled: true })
    }))

  it.effect.each(["leaves", "ends"] as const)(
    "lets nobody wait for a call that was announced while its process %s",
    (end) =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(paris)] })
        const { store } = yield* makeFaultyStore
        // As a disk does: what is being written cannot be taken back.
        const process = yield* start(provider, {
          ...store,
          append: (key, entry, expected) =>
            Effect.uninterruptible(Effect.tap(store.append(key, entry, expected), () => Effect.sleep("1 second")))
        })
        const other = yield* start(provider, store)
        const first = yield* begin(process.execute(sync))
        yield* TestClock.adjust("1500 millis")
        const leaving = yield* begin(end === "leaves" ? Fiber.interrupt(first) : process.close)
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(leaving)
        const before = yield* tagsOf(store)
        const { content } = yield* other.execute(sync)

        assert.deepStrictEqual(before.slice(0, 2), ["Prepared", "Submitting"])
        assert.lengthOf(before, 3)
        assert.strictEqual(content, "Paris")
        assert.strictEqual(provider.calls("create").length, 1)
      })
  )

  it.effect("leaves an interrupted call open where onUncertainSubmit is fail", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.never] })
      const process = yield* start(provider)
      const careful = request({ strategy: "sync", onUncertainSubmit: "fail" })
      const first = yield* begin(process.execute(careful))
      yield* settleDown
      yield* Fiber.interrupt(first)
      yield* settleDown
      const second = yield* begin(Effect.flip(process.execute(careful)))
      yield* TestClock.adjust("1 minute")

      assert.deepInclude(factsOf(yield* Fiber.join(second)), { reason: "SubmissionUncertain" })
      assert.strictEqual(provider.calls("create").length, 1)
    }).pipe(withoutJitter))

  it.effect("returns its answer unsettled when the journal fails, and counts its submission", () =>
    Effect.gen(function*() {
      const faulty = yield* makeFaultyStore
      faulty.fails = (_, entry) => entry?._tag === "Settled"
      const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(paris)] })
      const process = yield* start(provider, faulty.store)
      const fiber = yield* begin(process.execute(sync))
      yield* TestClock.adjust("40 seconds")

      assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", settled: false, submissions: 1 })
    }).pipe(withoutJitter))

  describe("with ids-only", () => {
    const idsOnly = request({ strategy: "sync", journal: "ids-only" })

    it.effect("journals the response's id alone, and fetches the answer again", () =>
      Effect.gen(function*() {
        const withId = succeeded("TEXT", { responseId: "resp-1" })
        const provider = yield* ScriptedProvider.make({
          create: [Effect.succeed(withId)],
          retrieve: [ScriptedProvider.ended(withId)]
        })
        const process = yield* start(provider)
        yield* process.execute(idsOnly)
        const again = yield* process.execute(idsOnly)

        assert.deepInclude(again, { content: "TEXT", resumed: true, polls: 1 })
        assert.deepStrictEqual(provider.calls("retrieve").map(({ jobId }) => jobId), ["resp-1"])
        assert.notInclude(JSON.stringify((yield* process.store.load("s")).entries), "TEXT")
      }))

    it.effect("journals no text of an answer without an id", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(succeeded("TEXT"))] })
        const process = yield* start(provider)
        const answer = yield* process.execute(idsOnly)
        const again = yield* Effect.flip(process.execute(idsOnly))

        assert.deepInclude(answer, { content: "TEXT", settled: true })
        assert.deepInclude(factsOf(again), { _tag: "NonRetryable", reason: "JobExpired" })
        assert.strictEqual(provider.calls("create").length, 1)
        assert.notInclude(JSON.stringify((yield* process.store.load("s")).entries), "TEXT")
      }))

    it.effect.each(finals)("journals no text of $reason._tag", (verdict) =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(failed(verdict))] })
        const process = yield* start(provider)
        const error = yield* Effect.flip(process.execute(idsOnly))
        const again = yield* Effect.flip(process.execute(idsOnly))

        assert.strictEqual(error._tag === "NonRetryable" && error.reason.message, verdict.reason.message)
        assert.deepStrictEqual(factsOf(again), factsOf(error))
        assert.notInclude(JSON.stringify((yield* process.store.load("s")).entries), "TEXT")
      }))
  })

  it.effect("gives the partial text of an incomplete answer", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(failed(incomplete))] })
      const process = yield* start(provider)
      const error = yield* Effect.flip(process.execute(sync))

      assert.strictEqual(
        error._tag === "NonRetryable" && error.reason._tag === "Incomplete" && error.reason.content,
        "TEXT so far"
      )
    }))

  it.effect("makes no stream of a call that nobody watches", () =>
    Effect.gen(function*() {
      const scripted = yield* ScriptedProvider.make({})
      const streams: Array<string | undefined> = []
      const responses: Provider.ResponsesApi = {
        create: () => Effect.succeed(paris),
        stream: ({ session }) => {
          streams.push(session)
          return Stream.succeed({ _tag: "Ended", outcome: paris })
        }
      }
      const test = (model: string) => ({ ...scripted.provider(model), responses })
      const process = yield* start({ ...scripted, layer: Providers.layer({ test }) })
      yield* process.execute(sync)
      yield* Stream.runDrain(process.stream({ ...sync, session: "watched" }))

      assert.deepStrictEqual(streams, ["watched"])
    }))

  it.effect("refuses a provider without a Responses API before anything is sent", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ complete: [Effect.succeed(paris)] })
      const process = yield* start(provider)

      assert.deepInclude(factsOf(yield* Effect.flip(process.execute(sync))), { reason: "InvalidRequest" })
      assert.deepStrictEqual(yield* tagsOf(process.store), [])
    }))
})
