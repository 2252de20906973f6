import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Deferred, Duration, Effect, Exit, Fiber, Layer, Random, Schedule } from "effect"
import { TestClock, TestConsole } from "effect/testing"
import { Providers, Reason, Schedules, SessionStore, SessionStoreError } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { begin, factsOf, makeFaultyStore, request, settleDown, start, tagsOf, withoutJitter } from "./Processes.ts"
import {
  cancelled,
  corrupt,
  denied,
  endedNow,
  finals,
  invalidRequest,
  jobFailed,
  missing,
  overloaded,
  paris,
  running,
  serverError,
  unauthenticated
} from "./Verdicts.ts"

const { accepted, ended, failed, fails, pending, refuses, unknown } = ScriptedProvider

describe("BackgroundJob", () => {
  describe("a job that succeeds", () => {
    it.effect("is submitted once, polled to its end and settled", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1")],
          retrieve: [pending({ phase: "queued" }), pending(), ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("10 seconds")
        const answer = yield* Fiber.join(fiber)

        assert.strictEqual(answer.content, "Paris")
        assert.deepInclude(answer, {
          provider: "test",
          strategy: "background",
          session: "s",
          submissions: 1,
          attempts: 1,
          polls: 3,
          resumed: false,
          settled: true
        })
        // 1 + 1.25 + 1.5625 seconds, to the millisecond.
        assert.strictEqual(Duration.toMillis(answer.elapsed), 3813)
        assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted", "Settled"])
        assert.deepStrictEqual(provider.calls().map(({ operation }) => operation), [
          "submit",
          "retrieve",
          "retrieve",
          "retrieve"
        ])
      }).pipe(withoutJitter))

    it.effect("is answered from the journal the second time, without a request", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", endedNow)] })
        const process = yield* start(provider)
        const first = yield* process.execute(request())
        yield* TestClock.adjust("1 hour")
        const again = yield* process.execute(request())

        assert.deepInclude(first, { content: "Paris", attempts: 1, polls: 0, resumed: false, settled: true })
        assert.deepInclude(again, { content: "Paris", attempts: 0, polls: 0, resumed: true, settled: true })
        assert.deepInclude(again, {
          submissions: 1,
          model: first.model,
          response: first.response,
          strategy: "background"
        })
        assert.strictEqual(Duration.toMillis(again.elapsed), 0)
        assert.strictEqual(provider.calls().length, 1)
      }))

    it.effect("is journaled before it is polled", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        const order: Array<string> = []
        faulty.before = (entry) => Effect.sync(() => order.push(entry._tag))
        const provider = yield* ScriptedProvider.make({
          submit: [() => Effect.map(accepted("job-1", running), (job) => (order.push("submit"), job))],
          retrieve: [() => Effect.map(ended(paris), (state) => (order.push("retrieve"), state))]
        })
        const process = yield* start(provider, faulty.store)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(fiber)

        assert.deepStrictEqual(order, ["Prepared", "Submitting", "submit", "Accepted", "retrieve", "Settled"])
      }).pipe(withoutJitter))

    it.effect("carries the hash of its session, and an id of the submission that the journal has", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", endedNow)] })
        const process = yield* start(provider)
        yield* process.execute(request())
        yield* process.execute(request({ session: undefined }))
        const info = yield* process.inspect("s")
        const [first, second] = provider.calls("submit")

        assert.match(first?.sessionHash ?? "", /^[0-9a-f]{32}$/)
        assert.strictEqual(first?.submissionId, info.submissions[0]?.submissionId)
        assert.isUndefined(second?.sessionHash)
      }))

    it.effect("works with wall-clock times that are no whole milliseconds", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [refuses(overloaded), accepted("job-1", running)],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("10 seconds")
        const answer = yield* Fiber.join(fiber)

        assert.strictEqual(answer.content, "Paris")
      }).pipe(Effect.provideService(Random.Random, { nextDoubleUnsafe: () => 0.1234567, nextIntUnsafe: () => 0 })))

    it.effect("keeps its fields without a session, where nothing is settled", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request({ session: undefined })))
        yield* TestClock.adjust("1 second")
        const answer = yield* Fiber.join(fiber)

        assert.deepInclude(answer, {
          content: "Paris",
          attempts: 1,
          submissions: 1,
          polls: 1,
          settled: false,
          resumed: false
        })
        assert.notProperty(answer, "session")
      }).pipe(withoutJitter))
  })

  describe("retries", () => {
    it.effect("sends exactly five submissions, then fails with the last error", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [refuses(overloaded)] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request())))
        yield* TestClock.adjust("1 hour")
        const error = yield* Fiber.join(fiber)

        assert.deepStrictEqual(factsOf(error), { _tag: "Retryable", reason: "Overloaded", attempts: 5, session: "s" })
        assert.deepStrictEqual(provider.calls("submit").map(({ at }) => at), [0, 500, 1500, 3500, 7500])
        assert.deepStrictEqual((yield* tagsOf(process.store)).slice(0, 4), [
          "Prepared",
          "Submitting",
          "NotSubmitted",
          "Submitting"
        ])
        assert.strictEqual((yield* process.inspect("s")).state, "prepared")
      }).pipe(withoutJitter))

    it.effect("counts the submissions of earlier calls, and the attempts of this one", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [refuses(overloaded), refuses(overloaded), refuses(overloaded), accepted("job-1", endedNow)]
        })
        const process = yield* start(provider)
        const once = { retry: Schedules.retrySchedule({ attempts: 1 }) }
        yield* Effect.flip(process.execute(request(once)))
        yield* Effect.flip(process.execute(request(once)))
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("1 second")
        const answer = yield* Fiber.join(fiber)

        assert.deepInclude(answer, { submissions: 4, attempts: 2, resumed: false })
      }).pipe(withoutJitter))

    it.effect("does not retry what a retry cannot cure", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [refuses(invalidRequest)] })
        const process = yield* start(provider)
        const error = yield* Effect.flip(process.execute(request()))
        const again = yield* Effect.flip(process.execute(request()))

        assert.deepStrictEqual(factsOf(error), { _tag: "NonRetryable", reason: "InvalidRequest", session: "s" })
        assert.deepStrictEqual(factsOf(again), factsOf(error))
        assert.strictEqual(provider.calls("submit").length, 2)
      }))

    it.effect("waits at least as long as Retry-After says", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [refuses({ ...overloaded, retryAfter: Duration.seconds(90) }), accepted("job-1", endedNow)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("2 minutes")
        yield* Fiber.join(fiber)

        assert.deepStrictEqual(provider.calls("submit").map(({ at }) => at), [0, 90_000])
      }).pipe(withoutJitter))

    it.effect("fails at once with the server's retryAfter when the wait would pass the deadline", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [refuses({ ...overloaded, retryAfter: Duration.seconds(90) })]
        })
        const process = yield* start(provider)
        const error = yield* Effect.flip(process.execute(request({ deadline: "1 minute" })))

        assert.deepStrictEqual(factsOf(error), { _tag: "Retryable", reason: "Overloaded", attempts: 1, session: "s" })
        assert.strictEqual(error._tag === "Retryable" && Duration.toMillis(error.retryAfter ?? 0), 90_000)
        assert.strictEqual((error as Error).message, "Overloaded: Busy")
        assert.instanceOf(error, Error)
      }).pipe(withoutJitter))

    it.effect("fails at once with the delay it would have waited, when the server said nothing", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [refuses(overloaded)] })
        const process = yield* start(provider)
        const error = yield* Effect.flip(process.execute(request({ deadline: "400 millis" })))

        assert.strictEqual(error._tag === "Retryable" && Duration.toMillis(error.retryAfter ?? 0), 500)
        assert.strictEqual(provider.calls("submit").length, 1)
      }).pipe(withoutJitter))

    it.effect("takes RetryPolicy and PollPolicy when the call starts, and the request's own first", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [refuses(overloaded), accepted("job-1", running), refuses(overloaded), accepted("job-2", running)],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider)
        const first = yield* begin(
          process.execute(request()).pipe(
            Effect.provideService(Schedules.RetryPolicy, Schedules.retrySchedule({ initial: "3 seconds" })),
            Effect.provideService(Schedules.PollPolicy, Schedules.pollSchedule({ initial: "4 seconds" }))
          )
        )
        yield* TestClock.adjust("1 minute")
        const byProgram = yield* Fiber.join(first)
        const second = yield* begin(process.execute(request({
          session: "other",
          retry: Schedules.retrySchedule({ initial: "5 seconds" }),
          poll: Schedules.pollSchedule({ initial: "6 seconds" })
        })))
        yield* TestClock.adjust("1 minute")
        const byRequest = yield* Fiber.join(second)

        assert.strictEqual(Duration.toMillis(byProgram.elapsed), 7000)
        assert.strictEqual(Duration.toMillis(byRequest.elapsed), 11_000)
      }).pipe(withoutJitter))
  })

  describe("polling", () => {
    it.effect("waits out every failure of a poll", () =>
      Effect.gen(function*() {
        const kinds = [
          fails(),
          fails(serverError),
          refuses({
            _tag: "Retryable",
            reason: new Reason.RateLimited({ message: "slow" }),
            retryAfter: Duration.seconds(7)
          }),
          fails({ _tag: "Retryable", reason: new Reason.InvalidResponse({ message: "HTML" }) }),
          refuses(invalidRequest),
          refuses({ _tag: "NonRetryable", reason: new Reason.QuotaExceeded({ message: "no money" }) }),
          refuses(denied),
          refuses(missing),
          Effect.never
        ]
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [...kinds, ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("10 minutes")
        const answer = yield* Fiber.join(fiber)

        assert.deepInclude(answer, { content: "Paris", polls: kinds.length + 1, submissions: 1 })
        const at = provider.calls("retrieve").map((call) => call.at)
        assert.strictEqual((at[3] ?? 0) - (at[2] ?? 0), 7000)
        // A poll that is never answered is given up after 30 seconds.
        assert.isAtLeast((at[9] ?? 0) - (at[8] ?? 0), 30_000)
        assert.isAtMost((at[9] ?? 0) - (at[8] ?? 0), 45_000)
      }).pipe(withoutJitter))

    it.effect("follows the server's hint", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [pending({ pollAfter: "42 seconds" }), pending({ pollAfter: 0 }), ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("2 minutes")
        yield* Fiber.join(fiber)

        assert.deepStrictEqual(provider.calls("retrieve").map(({ at }) => at), [1000, 43_000, 43_100])
      }).pipe(withoutJitter))

    it.effect("uses a terminal answer of the submission without a poll", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", endedNow)] })
        const process = yield* start(provider)
        const answer = yield* process.execute(request())

        assert.deepInclude(answer, { content: "Paris", polls: 0, settled: true })
        assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted", "Settled"])
      }))

    it.effect.each([
      { name: "a submission", script: { submit: [accepted("job-1", { _tag: "Unknown", status: "paused" })] } },
      { name: "a poll", script: { submit: [accepted("job-1", running)], retrieve: [unknown("paused")] } }
    ])(
      "ends the run when $name has a status that nobody knows, and leaves the session open",
      ({ script }) =>
        Effect.gen(function*() {
          const provider = yield* ScriptedProvider.make(script)
          const process = yield* start(provider)
          const fiber = yield* begin(Effect.flip(process.execute(request())))
          yield* TestClock.adjust("1 second")
          const error = yield* Fiber.join(fiber)

          assert.deepStrictEqual(factsOf(error), {
            _tag: "Retryable",
            reason: "InvalidResponse",
            attempts: 1,
            jobId: "job-1",
            session: "s"
          })
          assert.strictEqual((yield* process.inspect("s")).state, "running")
        }).pipe(withoutJitter)
    )

    it.effect.each([denied, unauthenticated])(
      "ends the run when polls are refused for five minutes, and leaves the session open",
      (verdict) =>
        Effect.gen(function*() {
          const provider = yield* ScriptedProvider.make({
            submit: [accepted("job-1", running)],
            retrieve: [refuses(verdict)]
          })
          const process = yield* start(provider)
          const fiber = yield* begin(Effect.flip(process.execute(request())))
          yield* TestClock.adjust("299 seconds")
          const stillRunning = fiber.pollUnsafe() === undefined
          yield* TestClock.adjust("20 seconds")
          const error = yield* Fiber.join(fiber)

          assert.isTrue(stillRunning)
          assert.deepStrictEqual(factsOf(error), {
            _tag: "NonRetryable",
            reason: verdict.reason._tag,
            jobId: "job-1",
            session: "s"
          })
          assert.strictEqual((yield* process.inspect("s")).state, "running")
        }).pipe(withoutJitter)
    )

    it.effect("looks for a lost job for 60 seconds while the provider should keep it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [refuses(missing)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request())))
        yield* TestClock.adjust("60 seconds")
        const stillRunning = fiber.pollUnsafe() === undefined
        yield* TestClock.adjust("20 seconds")
        const error = yield* Fiber.join(fiber)

        assert.isTrue(stillRunning)
        assert.deepStrictEqual(factsOf(error), {
          _tag: "NonRetryable",
          reason: "NotFound",
          jobId: "job-1",
          session: "s"
        })
        assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted", "Accepted"])
      }).pipe(withoutJitter))

    it.effect.each([{ store: true, kept: "30 days" }, { store: false, kept: "3 days" }] as const)(
      "settles a job as expired when it is missing after $kept",
      ({ kept, store }) =>
        Effect.gen(function*() {
          const provider = yield* ScriptedProvider.make({
            submit: [accepted("job-1", running)],
            retrieve: [refuses(missing)],
            retention: "30 days"
          })
          const process = yield* start(provider)
          const first = yield* begin(Effect.flip(process.execute(request({ store, deadline: "1 second" }))))
          yield* TestClock.adjust("1 second")
          yield* Fiber.join(first)
          yield* TestClock.adjust(kept)
          const error = yield* Effect.flip(process.execute(request({ store })))
          const polls = provider.calls("retrieve").length
          const again = yield* Effect.flip(process.execute(request({ store })))

          assert.include((error as Error).message, `keeps a job for ${kept.replace(" days", "d")}`)
          assert.deepStrictEqual(factsOf(error), {
            _tag: "NonRetryable",
            reason: "JobExpired",
            jobId: "job-1",
            session: "s"
          })
          assert.deepStrictEqual(factsOf(again), factsOf(error))
          assert.strictEqual(provider.calls("retrieve").length, polls)
          assert.strictEqual((yield* process.inspect("s")).state, "settled")
        }).pipe(withoutJitter)
    )

    it.effect("does not take a job for expired that the provider has just known", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [...Array.from({ length: 60 }, () => pending()), refuses(missing), pending(), ended(paris)],
          retention: "10 minutes"
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("20 minutes")
        const answer = yield* Fiber.join(fiber)

        // It was missing when it was older than the provider keeps one that has ended.
        assert.isAbove(provider.calls("retrieve")[60]?.at ?? 0, 600_000)
        assert.deepInclude(answer, { content: "Paris", polls: 63, settled: true })
      }).pipe(withoutJitter))

    it.effect("ends as a Timeout in phase queued when queuedDeadline passes", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1")],
          retrieve: [pending({ phase: "queued" })]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request({ queuedDeadline: "10 seconds" }))))
        yield* TestClock.adjust("9999 millis")
        const stillRunning = fiber.pollUnsafe() === undefined
        yield* TestClock.adjust("1 millis")
        const error = yield* Fiber.join(fiber)

        assert.isTrue(stillRunning)
        assert.deepStrictEqual(factsOf(error), { _tag: "Timeout", phase: "queued", jobId: "job-1", session: "s" })
        assert.deepStrictEqual(provider.calls("cancel"), [])
      }).pipe(withoutJitter))

    it.effect("does not hold a running job to queuedDeadline", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1")],
          retrieve: [pending({ phase: "queued" }), pending(), pending(), pending(), pending(), ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request({ queuedDeadline: "3 seconds" })))
        yield* TestClock.adjust("1 minute")

        assert.strictEqual((yield* Fiber.join(fiber)).content, "Paris")
      }).pipe(withoutJitter))

    it.effect("gives a job that was sent back to the queue the whole of queuedDeadline again", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1")],
          retrieve: [pending(), pending(), pending(), pending({ phase: "queued" })]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request({ queuedDeadline: "5 seconds" }))))
        yield* TestClock.adjust("1 minute")
        const error = yield* Fiber.join(fiber)

        assert.deepInclude(factsOf(error), { _tag: "Timeout", phase: "queued" })
        // Running at 1, 2.25 and 3.81 seconds, queued again at 5.77 and last seen so 5 seconds later.
        assert.strictEqual(error._tag === "Timeout" && Math.round(Duration.toMillis(error.elapsed)), 10_766)
      }).pipe(withoutJitter))

    it.effect("cancels a job that nobody can come back to when queuedDeadline passes", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1")],
          retrieve: [pending({ phase: "queued" })],
          cancel: [ended(failed(cancelled))]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(
          Effect.flip(process.execute(request({ session: undefined, queuedDeadline: "10 seconds" })))
        )
        yield* TestClock.adjust("20 seconds")
        const error = yield* Fiber.join(fiber)

        assert.deepStrictEqual(factsOf(error), { _tag: "Timeout", phase: "queued", jobId: "job-1" })
        assert.deepStrictEqual(provider.calls("cancel").map(({ jobId }) => jobId), ["job-1"])
      }).pipe(withoutJitter))
  })

  describe("the end of a job", () => {
    it.effect.each(finals)(
      "settles $reason._tag and gives it again without a request",
      (verdict) =>
        Effect.gen(function*() {
          const provider = yield* ScriptedProvider.make({
            submit: [accepted("job-1", running)],
            retrieve: [ended(failed(verdict))]
          })
          const process = yield* start(provider)
          const fiber = yield* begin(Effect.flip(process.execute(request())))
          yield* TestClock.adjust("10 seconds")
          const error = yield* Fiber.join(fiber)
          const calls = provider.calls().length
          const again = yield* Effect.flip(process.execute(request()))

          assert.deepStrictEqual(factsOf(error), {
            _tag: "NonRetryable",
            reason: verdict.reason._tag,
            jobId: "job-1",
            session: "s"
          })
          assert.deepStrictEqual(JSON.stringify(again), JSON.stringify(error))
          assert.strictEqual(provider.calls().length, calls)
          assert.deepStrictEqual((yield* tagsOf(process.store)).at(-1), "Settled")
        }).pipe(withoutJitter)
    )

    it.effect("ends this call when a new job could cure it, and the next call submits again", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running), accepted("job-2", running)],
          retrieve: [ended(failed(jobFailed)), ended(paris)]
        })
        const process = yield* start(provider)
        const first = yield* begin(Effect.flip(process.execute(request())))
        yield* TestClock.adjust("1 second")
        const error = yield* Fiber.join(first)
        const between = yield* process.inspect("s")
        const second = yield* begin(process.execute(request()))
        yield* TestClock.adjust("1 second")
        const answer = yield* Fiber.join(second)

        assert.deepStrictEqual(factsOf(error), {
          _tag: "Retryable",
          reason: "JobFailed",
          attempts: 1,
          jobId: "job-1",
          session: "s"
        })
        assert.deepInclude(between, { state: "ended" })
        assert.strictEqual(between.submissions[0]?.state, "ended")
        assert.deepInclude(answer, { content: "Paris", submissions: 2, attempts: 1, resumed: false })
        assert.deepStrictEqual(yield* tagsOf(process.store), [
          "Prepared",
          "Submitting",
          "Accepted",
          "Ended",
          "Submitting",
          "Accepted",
          "Settled"
        ])
      }).pipe(withoutJitter))
  })

  describe("deadlines", () => {
    it.effect.each(
      [
        { phase: "submit", script: { submit: [Effect.never] } },
        { phase: "queued", script: { submit: [accepted("job-1")], retrieve: [pending({ phase: "queued" })] } },
        { phase: "running", script: { submit: [accepted("job-1")], retrieve: [pending()] } }
      ] as const
    )("ends the call to the millisecond in phase $phase", ({ phase, script }) =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make(script)
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request({ deadline: "12345 millis" }))))
        yield* TestClock.adjust("12344 millis")
        const stillRunning = fiber.pollUnsafe() === undefined
        yield* TestClock.adjust("1 millis")
        const exit = fiber.pollUnsafe()

        assert.isTrue(stillRunning)
        assert.isTrue(exit !== undefined && Exit.isSuccess(exit))
        const error = yield* Fiber.join(fiber)
        assert.deepStrictEqual(factsOf(error), {
          _tag: "Timeout",
          phase,
          session: "s",
          ...(phase === "submit" ? {} : { jobId: "job-1" })
        })
        assert.strictEqual(error._tag === "Timeout" && Duration.toMillis(error.deadline), 12_345)
        assert.strictEqual(error._tag === "Timeout" && Duration.toMillis(error.elapsed), 12_345)
        yield* begin(process.close)
        yield* TestClock.adjust("10 seconds")
      }).pipe(withoutJitter))

    it.effect("lets a submission that is on its way reach the journal", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Effect.sleep("5 seconds"), accepted("job-1", running))],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request({ deadline: "2 seconds" }))))
        yield* TestClock.adjust("2 seconds")
        const error = yield* Fiber.join(fiber)
        const before = yield* tagsOf(process.store)
        yield* TestClock.adjust("3 seconds")
        const after = yield* tagsOf(process.store)

        assert.deepStrictEqual(factsOf(error), { _tag: "Timeout", phase: "submit", session: "s" })
        assert.deepStrictEqual([before, after], [
          ["Prepared", "Submitting"],
          ["Prepared", "Submitting", "Accepted"]
        ])
        assert.deepInclude(yield* process.execute(request()), { content: "Paris", submissions: 1, resumed: true })
      }))

    it.effect("leaves the job running, and the next call goes on with it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [pending(), pending(), ended(paris)]
        })
        const process = yield* start(provider)
        const first = yield* begin(Effect.flip(process.execute(request({ deadline: "3 seconds" }))))
        yield* TestClock.adjust("3 seconds")
        yield* Fiber.join(first)
        yield* TestClock.adjust("1 minute")
        const polls = provider.calls("retrieve").length
        const answer = yield* process.execute(request())

        assert.strictEqual(polls, 2)
        assert.deepInclude(answer, {
          content: "Paris",
          resumed: true,
          attempts: 0,
          submissions: 1,
          polls: 1,
          settled: true
        })
        assert.deepStrictEqual(provider.calls("cancel"), [])
      }).pipe(withoutJitter))

    it.effect("cancels the job where the request says so, and where nobody can come back to it", () =>
      Effect.gen(function*() {
        for (const change of [{ onInterrupt: "cancel" }, { session: undefined }] as const) {
          const provider = yield* ScriptedProvider.make({
            submit: [accepted("job-1", running)],
            retrieve: [pending()],
            cancel: [ended(failed(cancelled))]
          })
          const process = yield* start(provider)
          const fiber = yield* begin(Effect.flip(process.execute(request({ deadline: "3 seconds", ...change }))))
          yield* TestClock.adjust("3 seconds")
          const error = yield* Fiber.join(fiber)
          yield* settleDown

          assert.strictEqual(error._tag, "Timeout")
          assert.strictEqual(provider.calls("cancel").length, 1)
        }
      }).pipe(withoutJitter))

    it.effect("may be infinite, as may submitTimeout", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Effect.sleep("2 hours"), accepted("job-1", running))],
          retrieve: [pending(), ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(
          process.execute(request({ deadline: Duration.infinity, submitTimeout: Duration.infinity }))
        )
        yield* TestClock.adjust("3 hours")

        assert.strictEqual((yield* Fiber.join(fiber)).content, "Paris")
      }).pipe(withoutJitter))

    it.effect("is 60 minutes where the request does not say", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1")], retrieve: [pending()] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request())))
        yield* TestClock.adjust("3599999 millis")
        const stillRunning = fiber.pollUnsafe() === undefined
        yield* TestClock.adjust("1 millis")

        assert.isTrue(stillRunning)
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "Timeout")
      }))
  })

  describe("interruption", () => {
    it.effect("detaches from a job of a session", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [pending(), ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("1 second")
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("1 minute")
        const polls = provider.calls("retrieve").length
        const answer = yield* process.execute(request())

        assert.strictEqual(polls, 1)
        assert.deepStrictEqual(provider.calls("cancel"), [])
        assert.deepInclude(answer, { content: "Paris", resumed: true, submissions: 1 })
      }).pipe(withoutJitter))

    it.effect("cancels a job without a session", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          cancel: [ended(failed(cancelled))]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request({ session: undefined })))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.interrupt(fiber)
        yield* settleDown

        assert.deepStrictEqual(provider.calls("cancel").map(({ jobId }) => jobId), ["job-1"])
      }).pipe(withoutJitter))

    it.effect("cancels and settles a job of a session where the request says so", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          cancel: [ended(failed(cancelled))]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request({ onInterrupt: "cancel" })))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.interrupt(fiber)
        yield* settleDown
        const error = yield* Effect.flip(process.execute(request()))

        assert.deepStrictEqual(factsOf(error), {
          _tag: "NonRetryable",
          reason: "JobCancelled",
          jobId: "job-1",
          session: "s"
        })
        assert.deepStrictEqual(yield* tagsOf(process.store), [
          "Prepared",
          "Submitting",
          "Accepted",
          "CancelRequested",
          "Settled"
        ])
        assert.strictEqual(provider.calls("cancel").length, 1)
      }).pipe(withoutJitter))

    it.effect("keeps an answer that was there before the cancel", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)], cancel: [ended(paris)] })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request({ onInterrupt: "cancel" })))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.interrupt(fiber)
        yield* settleDown

        assert.deepInclude(yield* process.execute(request()), { content: "Paris", resumed: true, polls: 0 })
      }).pipe(withoutJitter))

    it.effect("lets a submission that is on its way reach the journal", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Deferred.await(gate), accepted("job-1", running))],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request()))
        yield* settleDown
        yield* Fiber.interrupt(fiber)
        const before = yield* tagsOf(process.store)
        yield* Deferred.succeed(gate, undefined)
        yield* settleDown
        const answer = yield* process.execute(request())

        assert.deepStrictEqual(before, ["Prepared", "Submitting"])
        assert.strictEqual(provider.interrupted("submit"), 0)
        assert.deepInclude(answer, { content: "Paris", submissions: 1, attempts: 0, resumed: true })
      }))

    it.effect("cancels a job without a session that was on its way", () =>
      Effect.gen(function*() {
        const gate = yield* Deferred.make<void>()
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Deferred.await(gate), accepted("job-1", running))]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request({ session: undefined })))
        yield* settleDown
        yield* Fiber.interrupt(fiber)
        yield* Deferred.succeed(gate, undefined)
        yield* settleDown

        assert.deepStrictEqual(provider.calls("cancel").map(({ jobId }) => jobId), ["job-1"])
        assert.deepStrictEqual(provider.calls("retrieve"), [])
      }))

    it.effect("leaves no job behind, at whatever moment it comes", () =>
      Effect.gen(function*() {
        for (let steps = 0; steps < 60; steps++) {
          const faulty = yield* makeFaultyStore
          faulty.before = () => Effect.yieldNow
          const provider = yield* ScriptedProvider.make({
            submit: [Effect.andThen(yields(3), accepted("job-1", running))],
            retrieve: [Effect.andThen(yields(3), pending({ pollAfter: "1 hour" }))],
            cancel: [ended(failed(cancelled))]
          })
          const process = yield* start(provider, faulty.store)
          const detached = yield* begin(process.execute(request()))
          const sessionless = yield* begin(process.execute(request({ session: undefined })))
          yield* yields(steps)
          yield* Fiber.interruptAll([detached, sessionless])
          yield* yields(100)
          const ids = new Set(provider.calls("submit").map(({ sessionHash }) => sessionHash))
          const tags = yield* tagsOf(process.store)

          assert.strictEqual(provider.calls("cancel").length, ids.has(undefined) ? 1 : 0, `after ${steps} steps`)
          assert.strictEqual(
            tags.includes("Submitting"),
            tags.includes("Accepted") || tags.includes("NotSubmitted"),
            `after ${steps} steps`
          )
          yield* process.close
        }
      }))
  })

  it.effect("cancels a job whose provider takes its time to be found, at whatever moment the caller leaves", () =>
    Effect.gen(function*() {
      for (let steps = 0; steps < 40; steps++) {
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(yields(2), accepted("job-1", running))],
          cancel: [ended(failed(cancelled))]
        })
        const slow = Layer.effect(
          Providers.Providers,
          Effect.map(Providers.Providers, (providers) => ({
            ...providers,
            resolve: (model) => Effect.andThen(yields(5), providers.resolve(model))
          }))
        ).pipe(Layer.provide(provider.layer))
        const process = yield* start({ ...provider, layer: slow })
        const fiber = yield* begin(process.execute(request({ session: undefined })))
        yield* yields(steps)
        yield* Fiber.interrupt(fiber)
        yield* yields(100)

        assert.strictEqual(provider.calls("cancel").length, provider.calls("submit").length, `after ${steps} steps`)
        yield* process.close
      }
    }))

  describe("the end of the layer", () => {
    it.effect("waits for a submission that is on its way", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Effect.sleep("9 seconds"), accepted("job-1", running))]
        })
        const process = yield* start(provider)
        yield* begin(Effect.exit(process.execute(request())))
        yield* settleDown
        const closing = yield* begin(process.close)
        yield* TestClock.adjust("8999 millis")
        const closed = closing.pollUnsafe() !== undefined
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(closing)

        assert.isFalse(closed)
        assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted"])
      }))

    it.effect("waits 10 seconds at most", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [Effect.never] })
        const process = yield* start(provider)
        yield* begin(Effect.exit(process.execute(request())))
        yield* settleDown
        const closing = yield* begin(process.close)
        yield* TestClock.adjust("9999 millis")
        const closed = closing.pollUnsafe() !== undefined
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(closing)

        assert.isFalse(closed)
        assert.strictEqual(provider.interrupted("submit"), 1)
      }))

    it.effect("waits 15 seconds at most for a store that never answers", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.before = () => Effect.never
        const process = yield* start(yield* ScriptedProvider.make({ submit: [accepted()] }), faulty.store)
        yield* begin(Effect.exit(process.execute(request())))
        yield* settleDown
        const closing = yield* begin(process.close)
        yield* TestClock.adjust("14999 millis")
        const closed = closing.pollUnsafe() !== undefined
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(closing)

        assert.isFalse(closed)
      }))

    it.effect("waits for a submission that is about to be sent", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.before = (entry) => entry._tag === "Submitting" ? Effect.sleep("1 second") : Effect.void
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Effect.sleep("1 second"), accepted("job-1", running))]
        })
        const process = yield* start(provider, faulty.store)
        yield* begin(Effect.exit(process.execute(request())))
        yield* settleDown
        const closing = yield* begin(process.close)
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(closing)

        assert.strictEqual(provider.interrupted("submit"), 0)
        assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted"])
      }))

    it.effect("does not cancel the job of a session", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)] })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.exit(process.execute(request())))
        yield* settleDown
        yield* process.close
        const exit = yield* Fiber.join(fiber)

        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        assert.deepStrictEqual(provider.calls("cancel"), [])
      }))

    it.effect("interrupts who comes after it", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)] })
        const process = yield* start(provider)
        yield* process.close
        const exit = yield* Effect.exit(process.execute(request()))

        assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
        assert.deepStrictEqual(provider.calls(), [])
      }))
  })

  describe("a store that fails", () => {
    it.effect("keeps the submission from being sent", () =>
      Effect.gen(function*() {
        for (const operation of ["load", "Prepared", "Submitting"]) {
          const faulty = yield* makeFaultyStore
          faulty.fails = (what, entry) => what === operation || entry?._tag === operation
          const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", endedNow)] })
          const process = yield* start(provider, faulty.store)
          const error = yield* Effect.flip(process.execute(request()))

          assert.deepStrictEqual(factsOf(error), {
            _tag: "Retryable",
            reason: "SessionUnavailable",
            attempts: 0,
            session: "s"
          })
          assert.strictEqual(error._tag === "Retryable" && error.reason.code, "ENOSPC")
          assert.deepStrictEqual(provider.calls(), [])
        }
      }))

    it.effect("is not in doubt about a submission that it did not send, though its entry was written", () =>
      Effect.gen(function*() {
        const memory = yield* SessionStore.makeMemory
        let lies = true
        const store = SessionStore.SessionStore.of({
          ...memory,
          append: (key, entry, expected) =>
            Effect.tap(
              memory.append(key, entry, expected),
              () => lies && entry._tag === "Submitting" ? Effect.fail(unavailable) : Effect.void
            )
        })
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", endedNow)] })
        const process = yield* start(provider, store)
        const error = yield* Effect.flip(process.execute(request()))
        lies = false
        const answer = yield* process.execute(request())

        assert.strictEqual(factsOf(error)["reason"], "SessionUnavailable")
        assert.deepStrictEqual([answer.content, answer.attempts], ["Paris", 1])
        assert.strictEqual(provider.calls("submit").length, 1)
        assert.deepStrictEqual(yield* tagsOf(store), [
          "Prepared",
          "Submitting",
          "NotSubmitted",
          "Submitting",
          "Accepted",
          "Settled"
        ])
      }))

    it.effect("fails as SessionCorrupt when the journal is damaged", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.error = corrupt
        faulty.fails = (what) => what === "load"
        const provider = yield* ScriptedProvider.make({ submit: [accepted()] })
        const process = yield* start(provider, faulty.store)
        const error = yield* Effect.flip(process.execute(request()))

        assert.deepStrictEqual(factsOf(error), { _tag: "NonRetryable", reason: "SessionCorrupt", session: "s" })
        assert.deepStrictEqual(provider.calls(), [])
      }))

    it.effect("does not lose a job whose id it could not take", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.fails = (_, entry) => entry?._tag === "Accepted" || entry?._tag === "Settled"
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider, faulty.store)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("2 minutes")
        const answer = yield* Fiber.join(fiber)
        const logs = JSON.stringify(yield* TestConsole.logLines)

        assert.deepInclude(answer, { content: "Paris", settled: false, attempts: 1 })
        assert.include(logs, "job-1")
      }).pipe(withoutJitter))

    it.effect("writes the job's id as soon as it is back", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.fails = (_, entry) => entry?._tag === "Accepted"
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider, faulty.store)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("20 seconds")
        faulty.fails = () => false
        yield* TestClock.adjust("10 seconds")
        const answer = yield* Fiber.join(fiber)

        assert.deepInclude(answer, { content: "Paris", settled: true })
        assert.deepStrictEqual(yield* tagsOf(process.store), ["Prepared", "Submitting", "Accepted", "Settled"])
      }).pipe(withoutJitter))

    it.effect("writes the job's id when it is back after a longer time, so that a crash does not lose the job", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.fails = (_, entry) => entry?._tag === "Accepted"
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [pending()]
        })
        const process = yield* start(provider, faulty.store)
        const fiber = yield* begin(Effect.exit(process.execute(request({ deadline: "1 minute" }))))
        yield* TestClock.adjust("10 minutes")
        yield* Fiber.join(fiber)
        const before = yield* tagsOf(process.store)
        faulty.fails = () => false
        yield* TestClock.adjust("2 seconds")
        const after = yield* tagsOf(process.store)

        assert.deepStrictEqual(before, ["Prepared", "Submitting"])
        assert.deepStrictEqual(after, ["Prepared", "Submitting", "Accepted"])
        assert.strictEqual((yield* process.inspect("s")).submissions[0]?.jobId, "job-1")
      }).pipe(withoutJitter))

    it.effect("is tried for 30 seconds, though the wall clock is set meanwhile", () =>
      Effect.clockWith((clock) => {
        let offset = 0
        const wall = () => clock.currentTimeMillisUnsafe() + offset
        return Effect.gen(function*() {
          for (const jump of [3_600_000, -3_600_000]) {
            offset = 0
            const faulty = yield* makeFaultyStore
            faulty.fails = (_, entry) => entry?._tag === "Settled"
            const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", endedNow)] })
            const process = yield* start(provider, faulty.store)
            const fiber = yield* begin(process.execute(request()))
            yield* TestClock.adjust("5 seconds")
            offset = jump
            yield* TestClock.adjust("24 seconds")
            const stillRunning = fiber.pollUnsafe() === undefined
            yield* TestClock.adjust("3 seconds")

            assert.isTrue(stillRunning)
            assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", settled: false })
          }
        }).pipe(
          Effect.provideService(Clock.Clock, {
            ...clock,
            currentTimeMillisUnsafe: wall,
            currentTimeMillis: Effect.sync(wall)
          })
        )
      }).pipe(withoutJitter))

    it.effect("does not keep the answer from its caller when it never answers", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.before = (entry) => entry._tag === "Settled" ? Effect.never : Effect.void
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", endedNow)] })
        const process = yield* start(provider, faulty.store)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("32 seconds")
        const answer = yield* Fiber.join(fiber)
        const logs = JSON.stringify(yield* TestConsole.logLines)

        assert.deepInclude(answer, { content: "Paris", settled: false })
        assert.include(logs, "job-1")
      }))

    it.effect.each(["Prepared", "Submitting"])(
      "does not keep the layer from its end when it never answers to %s",
      (tag) =>
        Effect.gen(function*() {
          const faulty = yield* makeFaultyStore
          faulty.before = (entry) => entry._tag === tag ? Effect.never : Effect.void
          const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1", running)] })
          const process = yield* start(provider, faulty.store)
          const fiber = yield* begin(Effect.flip(process.execute(request({ deadline: "1 minute" }))))
          yield* TestClock.adjust("1 minute")
          const error = yield* Fiber.join(fiber)
          const closing = yield* begin(process.close)
          yield* TestClock.adjust("15 seconds")

          assert.deepInclude(factsOf(error), { _tag: "Timeout", phase: "submit" })
          assert.isDefined(closing.pollUnsafe())
          assert.deepStrictEqual(provider.calls(), [])
        })
    )

    it.effect("does not keep a job from being cancelled", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [pending()],
          cancel: [ended(failed(cancelled))]
        })
        const process = yield* start(provider, faulty.store)
        const fiber = yield* begin(process.execute(request({ onInterrupt: "cancel" })))
        yield* TestClock.adjust("1 second")
        faulty.fails = () => true
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust("5 seconds")
        const cancels = provider.calls("cancel").map(({ jobId }) => jobId)
        // What came of it is tried to be written for 30 seconds.
        yield* TestClock.adjust("30 seconds")

        assert.deepStrictEqual(cancels, ["job-1"])
      }).pipe(withoutJitter))

    it.effect("returns the answer unsettled after 30 seconds", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.fails = (_, entry) => entry?._tag === "Settled"
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", endedNow)],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider, faulty.store)
        const fiber = yield* begin(process.execute(request()))
        yield* TestClock.adjust("29 seconds")
        const stillRunning = fiber.pollUnsafe() === undefined
        yield* TestClock.adjust("5 seconds")
        const answer = yield* Fiber.join(fiber)
        const logs = JSON.stringify(yield* TestConsole.logLines)
        faulty.fails = () => false
        const again = yield* process.execute(request())

        assert.isTrue(stillRunning)
        assert.deepInclude(answer, { content: "Paris", settled: false })
        assert.include(logs, "job-1")
        assert.deepInclude(again, { content: "Paris", settled: true, resumed: true, submissions: 1 })
      }).pipe(withoutJitter))

    it.effect("does not keep an answer from a caller whose deadline passes meanwhile", () =>
      Effect.gen(function*() {
        for (const strategy of ["background", "sync"] as const) {
          const faulty = yield* makeFaultyStore
          faulty.fails = (_, entry) => entry?._tag === "Settled"
          const provider = yield* ScriptedProvider.make({
            submit: [accepted("job-1", endedNow)],
            create: [Effect.succeed(paris)]
          })
          const process = yield* start(provider, faulty.store)
          const fiber = yield* begin(process.execute(request({ strategy, deadline: "5 seconds" })))
          yield* TestClock.adjust("5 seconds")

          assert.deepInclude(yield* Fiber.join(fiber), { content: "Paris", settled: false, submissions: 1 })
          // The journal is tried for 2 seconds more, when nobody waits.
          yield* TestClock.adjust("2 seconds")
        }
      }).pipe(withoutJitter))

    it.effect("counts what was sent when it fails later", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        const provider = yield* ScriptedProvider.make({
          submit: [Effect.andThen(Effect.sync(() => (faulty.fails = (what) => what === "load")), refuses(overloaded))]
        })
        const process = yield* start(provider, faulty.store)
        const fiber = yield* begin(Effect.flip(process.execute(request())))
        yield* TestClock.adjust("2 minutes")

        assert.deepStrictEqual(factsOf(yield* Fiber.join(fiber)), {
          _tag: "Retryable",
          reason: "SessionUnavailable",
          attempts: 1,
          session: "s"
        })
      }).pipe(withoutJitter))
  })

  describe("what the journal keeps", () => {
    it.effect("holds neither the prompt nor anything else of the request", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [refuses(overloaded), accepted("job-1", endedNow)] })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request({
          prompt: "SECRET-prompt",
          instructions: "SECRET-instructions",
          messages: [{ role: "user", content: "SECRET-turn" }],
          metadata: { a: "SECRET-metadata" },
          providerOptions: { user: "SECRET-option" }
        })))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(fiber)
        const journal = JSON.stringify((yield* process.store.load("s")).entries)

        assert.include(journal, "Paris")
        assert.notInclude(journal, "SECRET")
      }).pipe(withoutJitter))

    it.effect("is the job's id alone with ids-only, and the answer is fetched again", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [ended(paris)]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute(request({ journal: "ids-only" })))
        yield* TestClock.adjust("1 second")
        const answer = yield* Fiber.join(fiber)
        const again = yield* process.execute(request({ journal: "ids-only" }))
        const journal = JSON.stringify((yield* process.store.load("s")).entries)

        assert.deepInclude(answer, { content: "Paris", settled: true })
        assert.deepInclude(again, { content: "Paris", settled: true, resumed: true, attempts: 0, polls: 1 })
        assert.notInclude(journal, "Paris")
        assert.strictEqual(provider.calls("submit").length, 1)
      }).pipe(withoutJitter))

    it.effect("stays expired with ids-only, without another request, when the provider dropped the job before its end", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [refuses(missing), ended(paris)],
          retention: "1 minute"
        })
        const process = yield* start(provider)
        const ids = request({ journal: "ids-only", poll: Schedule.spaced("2 minutes") })
        const fiber = yield* begin(Effect.flip(process.execute(ids)))
        yield* TestClock.adjust("2 minutes")
        const error = yield* Fiber.join(fiber)
        const again = yield* Effect.flip(process.execute(ids))

        assert.deepInclude(factsOf(error), { _tag: "NonRetryable", reason: "JobExpired" })
        assert.deepStrictEqual(factsOf(again), factsOf(error))
        assert.strictEqual(provider.calls("retrieve").length, 1)
      }))

    it.effect("is expired with ids-only when the provider no longer has the answer", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", endedNow)],
          retrieve: [refuses(missing)],
          retention: "1 day"
        })
        const process = yield* start(provider)
        yield* process.execute(request({ journal: "ids-only" }))
        yield* TestClock.adjust("2 days")
        const error = yield* Effect.flip(process.execute(request({ journal: "ids-only" })))

        assert.deepStrictEqual(factsOf(error), {
          _tag: "NonRetryable",
          reason: "JobExpired",
          jobId: "job-1",
          session: "s"
        })
        assert.strictEqual(provider.calls("submit").length, 1)
      }))
  })

  it.effect("does not let a wall clock that jumps change deadlines, delays and what is known of a job", () =>
    Effect.clockWith((clock) => {
      let offset = 0
      const wall = () => clock.currentTimeMillisUnsafe() + offset
      return Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", running)],
          retrieve: [refuses(missing), pending(), pending({ pollAfter: "20 seconds" }), pending()],
          retention: "1 hour"
        })
        const process = yield* start(provider)
        const fiber = yield* begin(Effect.flip(process.execute(request({ deadline: "1 minute" }))))
        offset = -1_000_000_000_000
        yield* TestClock.adjust("4 seconds")
        offset = 1_000_000_000_000
        yield* TestClock.adjust("55999 millis")
        const before = fiber.pollUnsafe()
        yield* TestClock.adjust("1 millis")
        const polls = provider.calls("retrieve").length

        assert.isUndefined(before)
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "Timeout")
        // At 1, 2.25, 3.81, 23.81 (the hint), 26.25, 29.30, 33.12, 37.89, 43.85 and 51.30 seconds.
        assert.strictEqual(polls, 10)
      }).pipe(
        Effect.provideService(Clock.Clock, {
          ...clock,
          currentTimeMillisUnsafe: wall,
          currentTimeMillis: Effect.sync(wall)
        })
      )
    }).pipe(withoutJitter))

  it.effect("keeps nothing of a thousand calls", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [fails(), accepted("job-1", running)],
        retrieve: [ended(paris)]
      })
      const process = yield* start(provider)
      const fibers = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, n) => n),
        (n) =>
          begin(
            process.execute(request(n % 2 === 0 ? { session: `s-${n}` } : { session: undefined })).pipe(Effect.exit)
          )
      )
      yield* TestClock.adjust("1 hour")
      yield* Effect.forEach(fibers, Fiber.join)
      const closing = yield* begin(process.close)
      yield* settleDown

      // Nothing is left that the layer's end would have to wait for.
      assert.isDefined(closing.pollUnsafe())
    }).pipe(withoutJitter))

  it.effect("refuses a provider without jobs before anything is sent", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({ create: [Effect.succeed(paris)] })
      const process = yield* start(provider)
      const error = yield* Effect.flip(process.execute(request()))

      assert.deepStrictEqual(factsOf(error), { _tag: "NonRetryable", reason: "InvalidRequest", session: "s" })
      assert.deepStrictEqual(yield* tagsOf(process.store), [])
    }))
})

/** Gives way `n` times. */
const yields = (n: number) => Effect.forEach(Array.from({ length: n }), () => Effect.yieldNow, { discard: true })

const unavailable = new SessionStoreError.StoreUnavailable({ operation: "append", message: "The disk is slow" })
