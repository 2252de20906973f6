import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Latch, Stream, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { Providers, Reason, Schedules, SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { inspect } from "node:util"
import { acceptedAs, journals, submitting, write } from "./Journals.ts"
import { begin, factsOf, makeFaultyStore, request, settleDown, start, tagsOf, withoutJitter } from "./Processes.ts"
import { cancelled, endedNow, jobFailed, missing, overloaded, paris, running } from "./Verdicts.ts"

const { accepted, ended, failed, fails, pending, refuses, succeeded } = ScriptedProvider

describe("Sessions", () => {
  describe("callers of one process", () => {
    it.effect("share one run and one submission", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Effect.sleep("1 second"), accepted("job-1", running))],
          retrieve: [pending(), ended(paris)]
        })
        const process = yield* start(provider)
        const fibers = yield* Effect.forEach([1, 2, 3, 4], () => begin(process.execute(request())))
        yield* TestClock.adjust("10 seconds")
        const answers = yield* Effect.forEach(fibers, Fiber.join)

        assert.deepStrictEqual(answers.map(({ content }) => content), ["Paris", "Paris", "Paris", "Paris"])
        assert.strictEqual(provider.calls("submit").length, 1)
        assert.strictEqual(provider.calls("retrieve").length, 2)
      }).pipe(withoutJitter))

    it.effect("do not suffer from each other's deadlines and interruptions", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [pending(), pending(), pending(), ended(paris)],
          cancel: [ended(failed(cancelled))]
        })
        const process = yield* start(provider)
        const first = yield* begin(
          Effect.flip(process.execute(request({ deadline: "2 seconds", onInterrupt: "cancel" })))
        )
        const second = yield* begin(process.execute(request()))
        const third = yield* begin(process.execute(request()))
        yield* TestClock.adjust("2 seconds")
        const timeout = yield* Fiber.join(first)
        yield* Fiber.interrupt(second)
        yield* TestClock.adjust("10 seconds")
        const answer = yield* Fiber.join(third)

        assert.deepStrictEqual(factsOf(timeout), { _tag: "Timeout", phase: "running", jobId: "job-1", session: "s" })
        assert.deepInclude(answer, { content: "Paris", submissions: 1, polls: 4 })
        assert.deepStrictEqual(provider.calls("cancel"), [])
      }).pipe(withoutJitter))

    it.effect("keep their deadlines and leave although the store does not answer", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)] })
        const store = yield* SessionStore.makeMemory
        const answers = yield* Latch.make(true)
        const process = yield* start(provider, {
          ...store,
          load: (key) => Effect.uninterruptible(Effect.andThen(answers.await, store.load(key)))
        })
        yield* begin(process.execute(request()))
        yield* settleDown
        yield* answers.close
        const second = yield* begin(Effect.flip(process.execute(request({ deadline: "5 seconds" }))))
        const third = yield* begin(process.execute(request()))
        yield* begin(Fiber.interrupt(third))
        yield* TestClock.adjust("5 seconds")
        const ends = [second, third].map((fiber) => fiber.pollUnsafe()?._tag)
        yield* answers.open

        assert.deepStrictEqual(ends, ["Success", "Failure"])
      }))

    it.effect("cancel only when the last of them has left", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          cancel: [ended(failed(cancelled))]
        })
        const process = yield* start(provider)
        const first = yield* begin(process.execute(request({ onInterrupt: "cancel" })))
        const second = yield* begin(process.execute(request({ onInterrupt: "cancel" })))
        yield* settleDown
        yield* Fiber.interrupt(first)
        yield* settleDown
        const before = provider.calls("cancel").length
        yield* Fiber.interrupt(second)
        yield* settleDown

        assert.strictEqual(before, 0)
        assert.strictEqual(provider.calls("cancel").length, 1)
      }))

    it.effect.each(
      [
        ["cancel", "detach"],
        ["detach", "cancel"]
      ] as const
    )("leave the job running when one of them detaches: %s, then %s", ([one, other]) =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)] })
        const process = yield* start(provider)
        const first = yield* begin(process.execute(request({ onInterrupt: one })))
        const second = yield* begin(process.execute(request({ onInterrupt: other })))
        yield* settleDown
        yield* Fiber.interrupt(first)
        yield* Fiber.interrupt(second)
        yield* settleDown

        assert.strictEqual(provider.calls("cancel").length, 0)
      }))

    it.effect("wait for a retry as long as the last deadline allows", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [
            Effect.andThen(Effect.sleep("1 second"), refuses({ ...overloaded, retryAfter: Duration.seconds(30) })),
            accepted("job-1", endedNow)
          ]
        })
        const process = yield* start(provider)
        const short = yield* begin(Effect.flip(process.execute(request({ deadline: "10 seconds" }))))
        const long = yield* begin(process.execute(request({ deadline: "1 minute" })))
        yield* TestClock.adjust("40 seconds")

        assert.strictEqual((yield* Fiber.join(short))._tag, "Timeout")
        assert.strictEqual((yield* Fiber.join(long)).content, "Paris")
      }).pipe(withoutJitter))
  })

  describe("another request under the same key", () => {
    const other = request({ prompt: "Name the capital of Italy." })

    it.effect("is a mismatch while the first one runs", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)] })
        const process = yield* start(provider)
        yield* begin(process.execute(request()))
        const error = yield* Effect.flip(process.execute(other))

        assert.deepStrictEqual(factsOf(error), mismatch)
        assert.strictEqual(provider.calls("submit").length, 1)
      }))

    it.effect.each(journals)(
      "is a mismatch when the session is $state",
      ({ entries, state }) =>
        Effect.gen(function*() {
          const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", endedNow)] })
          const process = yield* start(provider)
          yield* write(process.store, entries)
          const before = yield* tagsOf(process.store)
          const error = yield* Effect.flip(process.execute(other))

          assert.strictEqual((yield* process.inspect("s")).state, state)
          assert.deepStrictEqual(factsOf(error), mismatch)
          assert.deepStrictEqual(provider.calls(), [])
          assert.deepStrictEqual(yield* tagsOf(process.store), before)
        })
    )

    it.effect("is a mismatch for a run that only resumes", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ retrieve: [pending()] })
        const process = yield* start(provider)
        yield* write(process.store, journals[2].entries)
        yield* begin(Effect.exit(process.resume("s")))
        yield* settleDown

        assert.deepStrictEqual(factsOf(yield* Effect.flip(process.execute(other))), mismatch)
      }))
  })

  describe("two processes over one store", () => {
    it.effect("submit once: one wins, the other waits for its outcome, and both return it", () =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const script = {
          submit: [Effect.andThen(Effect.sleep("20 seconds"), accepted("job-1", running))],
          retrieve: [pending(), pending(), ended(paris)]
        }
        const one = yield* ScriptedProvider.make(script)
        const two = yield* ScriptedProvider.make(script)
        const first = yield* begin((yield* start(one, store)).execute(request()))
        const second = yield* begin((yield* start(two, store)).execute(request()))
        yield* TestClock.adjust("2 minutes")
        const answers = [yield* Fiber.join(first), yield* Fiber.join(second)]

        assert.deepStrictEqual([one.calls("submit").length, two.calls("submit").length], [1, 0])
        assert.deepStrictEqual(answers.map(({ content, submissions }) => [content, submissions]), [
          ["Paris", 1],
          ["Paris", 1]
        ])
        assert.deepStrictEqual(answers.map(({ attempts, resumed }) => [attempts, resumed]), [[1, false], [0, true]])
        assert.strictEqual((yield* tagsOf(store)).filter((tag) => tag === "Settled").length, 1)
      }).pipe(withoutJitter))

    it.effect("return the end that was settled first", () =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const one = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)], retrieve: [ended(paris)] })
        const two = yield* ScriptedProvider.make({
          retrieve: [Effect.andThen(Effect.sleep("20 seconds"), ended(succeeded("Lyon")))]
        })
        const first = yield* begin((yield* start(one, store)).execute(request()))
        yield* settleDown
        const second = yield* begin((yield* start(two, store)).execute(request()))
        yield* TestClock.adjust("1 minute")

        assert.strictEqual((yield* Fiber.join(first)).content, "Paris")
        assert.deepInclude(yield* Fiber.join(second), { content: "Paris", resumed: true, settled: true })
      }).pipe(withoutJitter))

    it.effect("go on with the same job after one was killed", () =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const one = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)], retrieve: [pending()] })
        const two = yield* ScriptedProvider.make({ retrieve: [ended(paris)] })
        const killed = yield* start(one, store)
        const first = yield* begin(Effect.exit(killed.execute(request())))
        yield* TestClock.adjust("5 seconds")
        yield* killed.close
        yield* Fiber.join(first)
        const answer = yield* (yield* start(two, store)).execute(request())

        assert.deepInclude(answer, { content: "Paris", resumed: true, attempts: 0, submissions: 1, polls: 1 })
        assert.deepStrictEqual(two.calls("retrieve").map(({ jobId }) => jobId), ["job-1"])
      }).pipe(withoutJitter))

    it.effect("survive a storm of conflicts with one submission", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.before = () => Effect.yieldNow
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [ended(paris)]
        })
        const fibers = yield* Effect.forEach(
          Array.from({ length: 20 }),
          () => Effect.flatMap(start(provider, faulty.store), (process) => begin(process.execute(request())))
        )
        yield* TestClock.adjust("1 minute")
        const answers = yield* Effect.forEach(fibers, Fiber.join)

        assert.deepStrictEqual(new Set(answers.map(({ content }) => content)), new Set(["Paris"]))
        assert.strictEqual(provider.calls("submit").length, 1)
        assert.deepStrictEqual(yield* tagsOf(faulty.store), ["Prepared", "Submitting", "Accepted", "Settled"])
      }).pipe(withoutJitter))

    it.effect("do not submit beside a held call that is longer than submitTimeout", () =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const script = { create: [Effect.andThen(Effect.sleep("10 minutes"), Effect.succeed(paris))] }
        const one = yield* ScriptedProvider.make(script)
        const two = yield* ScriptedProvider.make(script)
        const sync = request({ strategy: "sync" })
        const first = yield* begin((yield* start(one, store)).execute(sync))
        const second = yield* begin((yield* start(two, store)).execute(sync))
        yield* TestClock.adjust("11 minutes")

        assert.deepInclude(yield* Fiber.join(first), { content: "Paris", resumed: false })
        assert.deepInclude(yield* Fiber.join(second), { content: "Paris", resumed: true, attempts: 0, submissions: 1 })
        assert.deepStrictEqual([one.calls("create").length, two.calls("create").length], [1, 0])
        // Nobody goes on to renew what is settled.
        const entries = (yield* store.load("s")).entries.length
        yield* TestClock.adjust("10 minutes")
        assert.strictEqual((yield* store.load("s")).entries.length, entries)
      }).pipe(withoutJitter))
  })

  describe("a submission without an outcome", () => {
    it.effect("is waited for during submitTimeout, then uncertain", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-2", endedNow)] })
        const process = yield* start(provider)
        yield* write(process.store, journals[1].entries)
        yield* TestClock.adjust("5 minutes")
        const fiber = yield* begin(Effect.flip(process.execute(request())))
        yield* TestClock.adjust("59999 millis")
        const stillWaiting = fiber.pollUnsafe() === undefined
        yield* TestClock.adjust("1 millis")
        const error = yield* Fiber.join(fiber)
        const again = yield* Effect.flip(process.execute(request()))

        assert.isTrue(stillWaiting)
        assert.deepStrictEqual(factsOf(error), uncertain)
        assert.strictEqual(
          error._tag === "NonRetryable" && error.reason._tag === "SubmissionUncertain" && error.reason.submissionId,
          "sub-1"
        )
        assert.deepStrictEqual(factsOf(again), uncertain)
        assert.deepStrictEqual(provider.calls(), [])
      }).pipe(withoutJitter))

    it.effect("is submitted again where the request allows it, and counted", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-2", endedNow)] })
        const process = yield* start(provider)
        yield* write(process.store, journals[1].entries)
        const fiber = yield* begin(process.execute(request({ onUncertainSubmit: "resubmit" })))
        yield* TestClock.adjust("1 minute")

        assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", submissions: 2, attempts: 1, resumed: false })
      }).pipe(withoutJitter))

    it.effect("fails at once when this process saw it fail, and is not sent again", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [fails()] })
        const process = yield* start(provider)
        const error = yield* Effect.flip(process.execute(request()))
        const again = yield* Effect.flip(process.execute(request()))
        const resumed = yield* Effect.flip(process.resume("s"))

        assert.deepStrictEqual([error, again, resumed].map(factsOf), [uncertain, uncertain, uncertain])
        assert.include((error as Error).message, "The connection was reset")
        assert.strictEqual(provider.calls("submit").length, 1)
        assert.strictEqual((yield* process.inspect("s")).state, "submitting")
      }))

    it.effect("is sent again without a session, within the bounds of the retry schedule", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [fails()] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request({ session: undefined }))))
        yield* TestClock.adjust("1 minute")

        assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), { _tag: "Retryable", reason: "Network", attempts: 5 })
        assert.strictEqual(provider.calls("submit").length, 5)
      }).pipe(withoutJitter))

    it.effect("is bounded with a session, too", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [fails()] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request({ onUncertainSubmit: "resubmit" }))))
        yield* TestClock.adjust("1 hour")

        assert.strictEqual((yield* Fiber.join(fiber))._tag, "Retryable")
        assert.strictEqual(provider.calls("submit").length, 5)
      }).pipe(withoutJitter))

    it.effect("that is not answered within submitTimeout is uncertain", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [Effect.never] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request({ submitTimeout: "7 seconds" }))))
        yield* TestClock.adjust("7 seconds")

        assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), uncertain)
        assert.strictEqual(provider.interrupted("submit"), 1)
      }))

    it.effect("is looked up, and gone on with when it is found", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [fails()],
          find: [Effect.succeed({ _tag: "Found", jobId: "job-1" })],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider)
        const answer = yield* process.execute(request())

        assert.deepInclude(answer, { content: "Paris", submissions: 1, attempts: 1 })
        assert.deepStrictEqual(
          provider.calls("find").map(({ submissionId }) => submissionId),
          provider.calls("submit").map(({ submissionId }) => submissionId)
        )
        assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted", "Settled"])
      }))

    it.effect("is sent again when the provider certainly does not have it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [fails(), accepted("job-1", endedNow)],
          find: [Effect.succeed({ _tag: "Absent" })]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("1 minute")

        assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", submissions: 2, attempts: 2 })
        assert.deepStrictEqual((yield* tagsOf(process.store)).slice(0, 4), [
          "Prepared",
          "Submitting",
          "NotSubmitted",
          "Submitting"
        ])
      }).pipe(withoutJitter))

    it.effect("is bounded when the provider never has it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [fails()], find: [Effect.succeed({ _tag: "Absent" })] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request())))
        yield* TestClock.adjust("1 hour")

        assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), {
          _tag: "Retryable",
          reason: "Network",
          attempts: 5,
          session: "s"
        })
        assert.strictEqual(provider.calls("submit").length, 5)
      }).pipe(withoutJitter))

    it.effect("is looked up again while the provider cannot tell yet", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [fails()],
          find: [undecided, undecided, Effect.succeed({ _tag: "Found", jobId: "job-1" })],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider)
        const patient = yield* begin(process.execute(request()))
        yield* TestClock.adjust("119 seconds")

        assert.isUndefined(patient.pollUnsafe())

        yield* TestClock.adjust("1 second")

        assert.deepInclude(yield* Fiber.join(patient), { content: "Paris", submissions: 1, attempts: 1 })
        assert.deepStrictEqual(provider.calls("find").map(({ at }) => at), [0, 60_000, 120_000])
      }).pipe(withoutJitter))

    it.effect("is found by a lookup that has many results to read, and not waited for when it does not end", () =>
      Effect.gen(function*() {
        for (const [time, found] of [["90 seconds", true], ["3 minutes", false]] as const) {
          const provider = yield* ScriptedProvider.make({
            submit: [fails()],
            find: [Effect.delay(Effect.succeed({ _tag: "Found", jobId: "job-1" }), time)],
            retrieve: [ended(paris)]
          })
          const process = yield* start(provider)
          const fiber = yield* begin(Effect.result(process.execute(request())))
          yield* TestClock.adjust("2 minutes")
          const result = yield* Fiber.join(fiber)

          assert.strictEqual(result._tag, found ? "Success" : "Failure")
          if (result._tag === "Failure") assert.deepStrictEqual(factsOf(result.failure), uncertain)
        }
      }))

    it.effect("ends as Timeout when the provider cannot tell before the deadline", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [fails()], find: [undecided] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request({ deadline: "5 minutes" }))))
        yield* TestClock.adjust("5 minutes")

        assert.deepInclude(factsOf(yield* Fiber.join(fiber)), { _tag: "Timeout", phase: "submit" })
        assert.strictEqual(provider.calls("submit").length, 1)
      }).pipe(withoutJitter))

    it.effect("is sent again where it may be, though the provider cannot tell yet", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [fails(), accepted("job-2", endedNow)],
          find: [undecided]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request({ onUncertainSubmit: "resubmit" })))
        yield* TestClock.adjust("30 seconds")

        assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", submissions: 2 })
      }).pipe(withoutJitter))

    it.effect("stays uncertain when the lookup does not know or fails", () =>
      Effect.gen(function*() {
        for (const find of [Effect.succeed({ _tag: "Unknown" as const }), fails()]) {
          const provider = yield* ScriptedProvider.make({ submit: [fails()], find: [find] })
          const process = yield* start(provider)

          assert.deepStrictEqual(factsOf(yield* Effect.flip(process.execute(request()))), uncertain)
        }
      }))

    it.effect("that is accepted after the session was settled is journaled, shown and cancelled", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        const late = yield* ScriptedProvider.make({
          submit: [accepted("job-late", running)],
          cancel: [ended(failed(cancelled))]
        })
        const fast = yield* ScriptedProvider.make({ submit: [accepted("job-fast", endedNow)] })
        const gate = yield* Deferred.make<void>()
        faulty.before = (entry) =>
          entry._tag === "Accepted" && entry.jobId === "job-late" ? Deferred.await(gate) : Effect.void
        const one = yield* start(late, faulty.store)
        const first = yield* begin(one.execute(request()))
        yield* settleDown
        const two = yield* start(fast, faulty.store)
        const second = yield* begin(two.execute(request({ onUncertainSubmit: "resubmit" })))
        yield* TestClock.adjust("1 minute")
        const winner = yield* Fiber.join(second)
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("1 minute")
        const loser = yield* Fiber.join(first)
        const info = yield* one.inspect("s")

        assert.strictEqual(winner.content, "Paris")
        assert.deepInclude(loser, { content: "Paris", resumed: true, submissions: 2 })
        assert.deepStrictEqual(late.calls("cancel").map(({ jobId }) => jobId), ["job-late"])
        assert.deepStrictEqual(
          info.submissions.map(({ cancelRequested, jobId, state }) => ({ cancelRequested, jobId, state })),
          [
            { jobId: "job-late", state: "surplus", cancelRequested: true },
            { jobId: "job-fast", state: "accepted", cancelRequested: false }
          ]
        )
        assert.strictEqual(info.state, "settled")
      }).pipe(withoutJitter))
  })

  describe("resume", () => {
    it.effect("does not know a session that is not there", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ submit: [accepted()] }))

        assert.deepStrictEqual(factsOf(yield* Effect.flip(process.resume("s"))), {
          _tag: "NonRetryable",
          reason: "SessionNotFound",
          session: "s"
        })
      }))

    it.effect("needs the request when no job is known", () =>
      Effect.gen(function*() {
        for (const entries of [journals[0].entries, journals[3].entries]) {
          const provider = yield* ScriptedProvider.make({ submit: [accepted()] })
          const process = yield* start(provider)
          yield* write(process.store, entries)

          assert.deepStrictEqual(factsOf(yield* Effect.flip(process.resume("s"))), {
            _tag: "NonRetryable",
            reason: "RequestNeeded",
            session: "s"
          })
          assert.deepStrictEqual(provider.calls(), [])
        }
      }))

    it.effect("waits for an uncertain submission, and says that it is uncertain", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ submit: [accepted()] }))
        yield* write(process.store, journals[1].entries)
        const fiber = yield* begin(Effect.flip(process.resume("s")))
        yield* TestClock.adjust("1 minute")

        assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), uncertain)
      }).pipe(withoutJitter))

    it.effect("polls a known job to its end and settles it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ retrieve: [pending(), ended(paris)] })
        const process = yield* start(provider)
        yield* write(process.store, journals[2].entries)
        const fiber = yield* begin(process.resume("s"))
        yield* TestClock.adjust("5 seconds")
        const answer = yield* Fiber.join(fiber)
        const again = yield* process.resume("s")

        assert.deepInclude(answer, {
          content: "Paris",
          resumed: true,
          settled: true,
          attempts: 0,
          polls: 2,
          session: "s"
        })
        assert.deepInclude(again, { content: "Paris", resumed: true, polls: 0 })
        assert.strictEqual(provider.calls("retrieve").length, 2)
      }).pipe(withoutJitter))

    it.effect("has a deadline of its own", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ retrieve: [pending()] }))
        yield* write(process.store, journals[2].entries)
        const fiber = yield* begin(Effect.flip(process.resume("s", { deadline: "3 seconds" })))
        yield* TestClock.adjust("3 seconds")

        assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), {
          _tag: "Timeout",
          phase: "running",
          jobId: "job-1",
          session: "s"
        })
      }))

    it.effect("joins a run of this process", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider)
        const first = yield* begin(process.execute(request()))
        yield* settleDown
        const second = yield* begin(process.resume("s"))
        yield* TestClock.adjust("1 second")

        assert.strictEqual((yield* Fiber.join(first)).content, "Paris")
        assert.strictEqual((yield* Fiber.join(second)).content, "Paris")
        assert.strictEqual(provider.calls("retrieve").length, 1)
      }).pipe(withoutJitter))

    it.effect("is joined by an execute, which submits when there turns out to be no job", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-2", endedNow)] })
        const process = yield* start(provider)
        yield* write(process.store, journals[1].entries)
        const resumed = yield* begin(Effect.flip(process.resume("s")))
        yield* settleDown
        const executed = yield* begin(
          process.execute(request({ onUncertainSubmit: "resubmit", deadline: "61 seconds" }))
        )
        yield* TestClock.adjust("60 seconds")
        const answer = yield* Fiber.join(executed)

        assert.deepStrictEqual(factsOf(yield* Fiber.join(resumed)), uncertain)
        assert.deepInclude(answer, { content: "Paris", submissions: 2 })
        assert.strictEqual(Duration.toMillis(answer.elapsed), 60_000)
      }).pipe(withoutJitter))

    it.effect("does not add its wait to the deadline of an execute that joined it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-2", running)], retrieve: [pending()] })
        const process = yield* start(provider)
        yield* write(process.store, journals[1].entries)
        yield* begin(Effect.exit(process.resume("s")))
        yield* settleDown
        const executed = yield* begin(
          Effect.flip(process.execute(request({ onUncertainSubmit: "resubmit", deadline: "70 seconds" })))
        )
        yield* TestClock.adjust("69999 millis")
        const before = executed.pollUnsafe()
        yield* TestClock.adjust("1 millis")

        assert.isUndefined(before)
        assert.strictEqual((yield* Fiber.join(executed))._tag, "Timeout")
      }).pipe(withoutJitter))

    it.effect("that ends while an execute looks at the journal does not leave it waiting", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        const provider = yield* ScriptedProvider.make({ retrieve: [ended(paris)] })
        yield* write(faulty.store, journals[2].entries)
        let loads = 0
        const slow = SessionStore.SessionStore.of({
          ...faulty.store,
          // The third load is the execute's: it takes longer than the run that it is about to join.
          load: (key) =>
            Effect.suspend(() =>
              ++loads === 3 ? Effect.delay(faulty.store.load(key), "5 seconds") : faulty.store.load(key)
            )
        })
        faulty.before = (entry) => entry._tag === "Settled" ? Effect.sleep("1 second") : Effect.void
        const process = yield* start(provider, slow)
        const resumed = yield* begin(process.resume("s"))
        yield* settleDown
        const executed = yield* begin(process.execute(request()))
        yield* TestClock.adjust("6 seconds")

        assert.strictEqual((yield* Fiber.join(resumed)).content, "Paris")
        assert.isDefined(executed.pollUnsafe())
        assert.strictEqual((yield* Fiber.join(executed)).content, "Paris")
      }).pipe(withoutJitter))
  })

  describe("a job that another process has found to have failed", () => {
    it.effect("does not settle the session, whatever is said of it later", () =>
      Effect.gen(function*() {
        const filtered = { _tag: "NonRetryable", reason: new Reason.ContentFiltered({ message: "" }) } as const
        const slow = yield* ScriptedProvider.make({ retrieve: [pending(), ended(failed(filtered))] })
        const fast = yield* ScriptedProvider.make({ retrieve: [ended(failed(jobFailed))] })
        const one = yield* start(slow)
        yield* write(one.store, journals[2].entries)
        const two = yield* start(fast, one.store)
        const late = yield* begin(Effect.flip(one.execute(request())))
        const early = yield* Effect.flip(two.execute(request()))
        yield* TestClock.adjust("2 seconds")

        assert.deepInclude(factsOf(early), { _tag: "Retryable", reason: "JobFailed" })
        assert.deepInclude(factsOf(yield* Fiber.join(late)), { reason: "ContentFiltered" })
        assert.strictEqual((yield* tagsOf(one.store)).at(-1), "Ended")
      }).pipe(withoutJitter))
  })

  describe("cancel", () => {
    it.effect("stops a running job, and the run with it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [pending(), ended(failed(cancelled))],
          cancel: [ended(failed(cancelled))]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request())))
        yield* TestClock.adjust("1 second")
        const info = yield* process.cancel("s")
        yield* TestClock.adjust("10 seconds")

        assert.strictEqual(info.state, "settled")
        assert.isTrue(info.submissions[0]?.cancelRequested)
        assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), {
          _tag: "NonRetryable",
          reason: "JobCancelled",
          jobId: "job-1",
          session: "s"
        })
      }).pipe(withoutJitter))

    it.effect("is journaled before the provider is asked", () =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const seen: Array<string> = []
        const provider = yield* ScriptedProvider.make({
          cancel: [
            () => Effect.andThen(Effect.map(Effect.orDie(tagsOf(store)), (tags) => seen.push(...tags)), pending())
          ]
        })
        yield* write(store, journals[2].entries)
        const process = yield* start(provider, store)
        const info = yield* process.cancel("s")

        assert.strictEqual(seen.at(-1), "CancelRequested")
        assert.strictEqual(info.state, "running")
      }))

    it.effect("keeps a completion that wins", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ cancel: [ended(paris)] })
        const process = yield* start(provider)
        yield* write(process.store, journals[2].entries)
        const info = yield* process.cancel("s")

        assert.strictEqual(info.state, "settled")
        assert.strictEqual(info.settlement?._tag, "Answered")
        assert.deepInclude(yield* process.execute(request()), { content: "Paris", resumed: true })
      }))

    it.effect("of a submission without a job id stops the job as soon as it has one", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Deferred.await(gate), accepted("job-1", running))],
          retrieve: [ended(failed(cancelled))],
          cancel: [ended(failed(cancelled))]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request())))
        yield* settleDown
        const info = yield* process.cancel("s")
        yield* Deferred.succeed(gate, undefined)
        yield* TestClock.adjust("5 seconds")

        assert.strictEqual(info.state, "submitting")
        assert.isTrue(info.submissions[0]?.cancelRequested)
        assert.strictEqual(provider.calls("cancel").length, 1)
        assert.deepInclude(factsOf(yield* Fiber.join(fiber)), { reason: "JobCancelled" })
      }).pipe(withoutJitter))

    it.effect("that does not get through is tried again by the next run", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          retrieve: [pending()],
          cancel: [fails(), ended(failed(cancelled))]
        })
        const process = yield* start(provider)
        yield* write(process.store, journals[2].entries)
        const info = yield* process.cancel("s")
        const error = yield* Effect.flip(process.execute(request()))

        assert.strictEqual(info.state, "running")
        assert.isTrue(info.submissions[0]?.cancelRequested)
        assert.deepInclude(factsOf(error), { reason: "JobCancelled" })
        assert.strictEqual(provider.calls("cancel").length, 2)
        assert.deepStrictEqual(provider.calls("retrieve"), [])
      }))

    it.effect("that does not get through leaves what the provider says out of spans, which keep logs", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          cancel: [
            fails({ _tag: "Retryable", reason: new Reason.ServerError({ message: "The prompt was: Hi", status: 500 }) })
          ]
        })
        const process = yield* start(provider)
        yield* write(process.store, journals[2].entries)
        const spans: Array<Tracer.NativeSpan> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            spans.push(span)
            return span
          }
        })
        yield* process.cancel("s").pipe(Effect.withSpan("a caller's"), Effect.provideService(Tracer.Tracer, tracer))
        const kept = inspect(spans.map(({ events, status }) => ({ events, status })), { depth: 20 })

        assert.include(kept, "The job could not be cancelled")
        assert.notInclude(kept, "The prompt was")
      }))

    it.effect.each(["background", "sync"] as const)(
      "ends a run at once that waits to send again: %s",
      (strategy) =>
        Effect.gen(function*() {
          const patience = { _tag: "Retryable", reason: overloaded.reason, retryAfter: Duration.minutes(10) } as const
          const provider = yield* ScriptedProvider.make({
            submit: [refuses(patience), accepted("job-2", endedNow)],
            create: [refuses(patience), Effect.succeed(paris)]
          })
          const process = yield* start(provider)
          const fiber = yield* begin(Effect.flip(process.execute(request({ strategy }))))
          const info = yield* process.cancel("s")
          const error = yield* Fiber.join(fiber)
          const again = yield* process.execute(request({ strategy }))

          assert.isTrue(info.submissions[0]?.cancelRequested)
          assert.deepStrictEqual(factsOf(error), { _tag: "NonRetryable", reason: "JobCancelled", session: "s" })
          assert.deepInclude(again, { content: "Paris", submissions: 2, attempts: 1 })
        }).pipe(withoutJitter)
    )

    it.effect("keeps a run of another process from sending again, and no later one", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [refuses(overloaded), accepted("job-2", endedNow)] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request())))
        yield* (yield* start(provider, process.store)).cancel("s")
        yield* TestClock.adjust("1 minute")
        const error = yield* Fiber.join(fiber)

        assert.deepInclude(factsOf(error), { _tag: "NonRetryable", reason: "JobCancelled" })
        assert.strictEqual(provider.calls("submit").length, 1)
        assert.deepInclude(yield* process.execute(request()), { content: "Paris", submissions: 2 })
      }).pipe(withoutJitter))

    it.effect("takes 5 seconds at most", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ cancel: [Effect.never] })
        const process = yield* start(provider)
        yield* write(process.store, journals[2].entries)
        const fiber = yield* begin(process.cancel("s"))
        yield* TestClock.adjust("5 seconds")

        assert.strictEqual((yield* Fiber.join(fiber)).state, "running")
      }))

    it.effect("changes nothing of a session that is settled, prepared or ended", () =>
      Effect.gen(function*() {
        for (const { entries, state } of [journals[0], journals[3], journals[4]]) {
          const provider = yield* ScriptedProvider.make({ cancel: [fails()] })
          const process = yield* start(provider)
          yield* write(process.store, entries)
          const before = yield* tagsOf(process.store)

          assert.strictEqual((yield* process.cancel("s")).state, state)
          assert.deepStrictEqual(yield* tagsOf(process.store), before)
          assert.deepStrictEqual(provider.calls(), [])
        }
      }))

    it.effect("of a surplus job does not settle the session", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          retrieve: [ended(paris)],
          cancel: [fails(), ended(failed(cancelled))]
        })
        const process = yield* start(provider)
        yield* write(process.store, [...journals[2].entries, submitting("sub-2"), acceptedAs("sub-2", "job-2")])
        const info = yield* process.cancel("s")

        assert.deepStrictEqual(provider.calls("cancel").map(({ jobId }) => jobId), ["job-1", "job-2"])
        assert.strictEqual(info.state, "running")
      }))

    it.effect("does not know a session that is not there", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ cancel: [fails()] }))

        assert.deepInclude(factsOf(yield* Effect.flip(process.cancel("s"))), { reason: "SessionNotFound" })
      }))
  })

  describe("adopt", () => {
    it.effect("gives an uncertain submission its job, and the run goes on", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [fails()], retrieve: [pending(), ended(paris)] })
        const process = yield* start(provider)
        yield* Effect.flip(process.execute(request()))
        const info = yield* process.adopt("s", "job-1")
        const answer = yield* process.execute(request())

        assert.strictEqual(info.state, "running")
        assert.strictEqual(info.submissions[0]?.jobId, "job-1")
        assert.deepInclude(answer, { content: "Paris", submissions: 1, attempts: 0, resumed: true })
      }))

    it.effect.each(["when it has ended", "at any time"] as const)(
      "refuses another session's job where the provider tells whose it is %s",
      (when) =>
        Effect.gen(function*() {
          const provider = yield* ScriptedProvider.make({
            submit: [fails()],
            retrieve: [when === "at any time" ? pending() : ended(carrying("sub of another"))]
          })
          const process = yield* start(when === "at any time" ? telling(provider, "sub of another") : provider)
          yield* Effect.flip(process.execute(request()))
          const error = yield* Effect.flip(process.adopt("s", "job-x"))

          assert.deepStrictEqual(factsOf(error), {
            _tag: "NonRetryable",
            reason: "InvalidRequest",
            jobId: "job-x",
            session: "s"
          })
          assert.strictEqual((yield* process.inspect("s")).state, "submitting")
        })
    )

    it.effect("takes a status that nobody knows for no word of the submission, unless the job carries it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          retrieve: [Effect.succeed({ _tag: "Unknown", status: "odd" })]
        })
        const process = yield* start(provider)
        const sure = yield* start(telling(provider, "sub-1"), process.store)
        yield* write(process.store, [submitting("sub-1")])
        const error = yield* Effect.flip(process.adopt("s", "job-1"))
        const { state } = yield* sure.adopt("s", "job-1")

        assert.deepInclude(factsOf(error), { _tag: "Retryable", reason: "InvalidResponse", jobId: "job-1" })
        assert.strictEqual(state, "running")
      }))

    it.effect("gives a job to the submission that it carries, not to the last one", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ retrieve: [pending(), ended(paris)] })
        const process = yield* start(telling(provider, "sub-1"))
        yield* write(process.store, [submitting("sub-1"), submitting("sub-2")])
        const { submissions } = yield* process.adopt("s", "job-1")

        assert.deepStrictEqual(submissions.map(({ jobId, state }) => [jobId, state]), [
          ["job-1", "accepted"],
          [undefined, "open"]
        ])
      }))

    it.effect("refuses an id that the provider does not know", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [fails()], retrieve: [refuses(missing)] })
        const process = yield* start(provider)
        yield* Effect.flip(process.execute(request()))
        const error = yield* Effect.flip(process.adopt("s", "job-x"))

        assert.deepStrictEqual(factsOf(error), {
          _tag: "NonRetryable",
          reason: "NotFound",
          jobId: "job-x",
          session: "s"
        })
        assert.strictEqual((yield* process.inspect("s")).state, "submitting")
      }))

    it.effect("succeeds for a job that the session has, and refuses when nothing is uncertain", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ retrieve: [pending()] })
        const process = yield* start(provider)
        yield* write(process.store, journals[2].entries)
        const info = yield* process.adopt("s", "job-1")
        const error = yield* Effect.flip(process.adopt("s", "job-2"))

        assert.strictEqual(info.state, "running")
        assert.deepInclude(factsOf(error), { reason: "InvalidRequest" })
        assert.deepStrictEqual(provider.calls(), [])
      }))
  })

  describe("forget", () => {
    it.effect("is refused while a job may be running", () =>
      Effect.gen(function*() {
        for (const { entries } of [journals[1], journals[2]]) {
          const process = yield* start(yield* ScriptedProvider.make({ submit: [accepted()] }))
          yield* write(process.store, entries)

          assert.deepInclude(factsOf(yield* Effect.flip(process.forget("s"))), {
            _tag: "Retryable",
            reason: "Conflict"
          })
          yield* process.forget("s", { force: true })
          assert.deepInclude(factsOf(yield* Effect.flip(process.inspect("s"))), { reason: "SessionNotFound" })
        }
      }))

    it.effect("lets the key run again, with another request", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", endedNow), accepted("job-2", { _tag: "Ended", outcome: succeeded("Rome") })]
        })
        const process = yield* start(provider)
        yield* process.execute(request())
        yield* process.forget("s")
        const answer = yield* process.execute(request({ prompt: "Name the capital of Italy." }))

        assert.deepInclude(answer, { content: "Rome", submissions: 1, resumed: false })
      }))

    it.effect("lets the key run again while its answer is being fetched again", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", endedNow), accepted("job-2", { _tag: "Ended", outcome: succeeded("Lyon") })],
          retrieve: [Effect.andThen(Effect.sleep("10 seconds"), ended(paris))]
        })
        const process = yield* start(provider)
        const ids = request({ journal: "ids-only" })
        yield* process.execute(ids)
        const before = yield* begin(process.execute(ids))
        yield* settleDown
        yield* process.forget("s")
        const after = yield* begin(process.execute(ids))
        yield* TestClock.adjust("10 seconds")

        assert.deepInclude(yield* Fiber.join(before), { content: "Paris", resumed: true })
        assert.deepInclude(yield* Fiber.join(after), { content: "Lyon", submissions: 1, resumed: false })
      }).pipe(withoutJitter))

    it.effect("by force keeps a run that goes on from writing to the session that comes after", () =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const old = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [Effect.andThen(Effect.sleep("10 seconds"), ended(paris))]
        })
        const fresh = yield* ScriptedProvider.make({
          submit: [accepted("job-2", running)],
          retrieve: [Effect.andThen(Effect.sleep("20 seconds"), ended(succeeded("Rome")))]
        })
        const first = yield* begin((yield* start(old, store)).execute(request()))
        yield* settleDown
        const process = yield* start(fresh, store)
        yield* process.forget("s", { force: true })
        const italy = request({ prompt: "Name the capital of Italy." })
        const second = yield* begin(process.execute(italy))
        yield* TestClock.adjust("1 minute")

        assert.deepInclude(yield* Fiber.join(first), { content: "Paris", settled: false })
        assert.deepInclude(yield* Fiber.join(second), { content: "Rome", settled: true, submissions: 1 })
        assert.deepInclude(yield* process.execute(italy), { content: "Rome" })
      }).pipe(withoutJitter))

    it.effect("by force leaves nothing behind, whatever was on its way", () =>
      Effect.gen(function*() {
        for (const strategy of ["background", "sync"] as const) {
          const provider = yield* ScriptedProvider.make({
            submit: [Effect.andThen(Effect.sleep("50 seconds"), accepted("job-1", running))],
            retrieve: [ended(paris)],
            create: [Effect.andThen(Effect.sleep("50 seconds"), Effect.succeed(paris))]
          })
          const process = yield* start(provider)
          const fiber = yield* begin(process.execute(request({ strategy })))
          yield* settleDown
          yield* process.forget("s", { force: true })
          yield* TestClock.adjust("2 minutes")
          const answer = yield* Fiber.join(fiber)

          assert.deepInclude(answer, { content: "Paris", settled: false, submissions: 1 })
          assert.deepStrictEqual(yield* tagsOf(process.store), [])
          assert.strictEqual(provider.calls("submit").length + provider.calls("create").length, 1)
        }
      }).pipe(withoutJitter))
  })

  describe("watch", () => {
    it.effect("follows a run of this process to its end", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1")],
          retrieve: [pending(), ended(paris)]
        })
        const process = yield* start(provider)
        const run = yield* begin(process.execute(request()))
        yield* TestClock.adjust("500 millis")
        const watcher = yield* begin(Stream.runCollect(process.watch("s")))
        yield* TestClock.adjust("10 seconds")
        yield* Fiber.join(run)
        const seen = yield* Fiber.join(watcher)

        assert.deepStrictEqual(seen[0], {
          session: "s",
          status: "queued",
          jobId: "job-1",
          elapsed: Duration.zero,
          polls: 0
        })
        assert.deepStrictEqual([...new Set(seen.map(({ status }) => status))], ["queued", "in_progress"])
        assert.strictEqual(seen.at(-1)?.polls, 2)
        assert.strictEqual(Duration.toMillis(seen.at(-1)?.elapsed ?? 0), 1750)
      }).pipe(withoutJitter))

    it.effect("reads the journal of another process's session", () =>
      Effect.gen(function*() {
        const store = yield* SessionStore.makeMemory
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Effect.sleep("3 seconds"), accepted("job-1", running))],
          retrieve: [pending(), pending(), ended(paris)]
        })
        const run = yield* begin((yield* start(provider, store)).execute(request()))
        yield* settleDown
        const process = yield* start(provider, store)
        const watcher = yield* begin(Stream.runCollect(process.watch("s")))
        yield* TestClock.adjust("30 seconds")
        yield* Fiber.join(run)
        const seen = yield* Fiber.join(watcher)

        assert.deepStrictEqual(seen.map(({ jobId, status }) => [status, jobId]), [
          ["submitting", undefined],
          ["running", "job-1"],
          ["settled", "job-1"]
        ])
      }).pipe(withoutJitter))

    it.effect("ends at once where there is nothing to wait for, and fails where there is no session", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ submit: [accepted()] }))
        const error = yield* Effect.flip(Stream.runCollect(process.watch("s")))
        yield* write(process.store, journals[4].entries)
        const seen = yield* Stream.runCollect(process.watch("s"))

        assert.deepInclude(factsOf(error), { reason: "SessionNotFound" })
        assert.deepStrictEqual(seen.map(({ status }) => status), ["settled"])
      }))
  })

  it.effect("shows until when the provider keeps a job", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ retrieve: [pending()], retention: "10 days" })
      const process = yield* start(provider)
      yield* write(process.store, journals[2].entries)
      const { submissions } = yield* process.inspect("s")

      assert.strictEqual(submissions[0]?.keptUntil?.epochMilliseconds, 864_000_000)
    }))

  it.effect.each(["Infinity", "1000000000 days"] as const)(
    "shows no end where the provider keeps a job for %s",
    (retention) =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ retrieve: [pending()], retention })
        const process = yield* start(provider)
        yield* write(process.store, journals[2].entries)
        const { submissions } = yield* process.inspect("s")

        assert.strictEqual(submissions.length, 1)
        assert.isUndefined(submissions[0]?.keptUntil)
      })
  )

  it.effect("shows until when the provider keeps a job that was adopted long after it was sent", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [fails()],
        retrieve: [pending()],
        retention: "10 days"
      })
      const process = yield* start(provider)
      yield* Effect.flip(process.execute(request()))
      yield* TestClock.adjust("4 days")
      const { submissions } = yield* process.adopt("s", "job-1")

      // A minute at most may have passed between sending it and its acceptance.
      assert.strictEqual(submissions[0]?.keptUntil?.epochMilliseconds, 864_060_000)
    }))

  it.effect("does not count attempts of a schedule that is replaced by one that ends at once", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ submit: [refuses(overloaded)] })
      const process = yield* start(provider)
      const retry = Schedules.retrySchedule({ attempts: 1 })
      const error = yield* Effect.flip(process.execute(request({ retry })))

      assert.deepInclude(factsOf(error), { attempts: 1 })
      assert.strictEqual(provider.calls("submit").length, 1)
    }))
})

const mismatch = { _tag: "NonRetryable", reason: "SessionMismatch", session: "s" }

const undecided = Effect.succeed({ _tag: "Undecided" as const, again: Duration.minutes(1) })

const uncertain = { _tag: "NonRetryable", reason: "SubmissionUncertain", session: "s" }

/** A provider whose jobs tell that they came of a submission. */
const telling = (provider: ScriptedProvider.ScriptedProvider, submissionId: string) => ({
  ...provider,
  layer: Providers.layer({
    test: (model) => {
      const { jobs, ...rest } = provider.provider(model)
      return jobs === undefined
        ? rest
        : { ...rest, jobs: { ...jobs, submissionOf: () => Effect.succeed(submissionId) } }
    }
  })
})

/** An answer that tells so when it is there. */
const carrying = (submissionId: string) =>
  succeeded("Rome", { response: { metadata: { holdfast_submission: submissionId } } })
