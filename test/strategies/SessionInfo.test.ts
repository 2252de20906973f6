import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { type ProviderError, Reason, Schedules, Session, Sessions } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { acceptedAs, journals, submitting, write } from "./Journals.ts"
import { begin, request, start, withoutJitter } from "./Processes.ts"
import { cancelled, finals, jobFailed, overloaded, paris, running, unauthenticated } from "./Verdicts.ts"

const { accepted, ended, failed, pending, refuses } = ScriptedProvider

describe("SessionInfo", () => {
  it.effect("gives the time of each step, the model, the attempts and the outcome", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [refuses(overloaded), Effect.delay(accepted("job-1", running), "250 millis")],
        retrieve: [pending(), ended(paris)],
        retention: "10 days"
      })
      const process = yield* start(provider)
      yield* TestClock.setTime(1000)
      const fiber = yield* begin(process.execute(request()))
      yield* TestClock.adjust("100 millis")
      const waiting = yield* process.inspect("s")
      yield* TestClock.adjust("1 second")
      const inFlight = yield* process.inspect("s")
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      const info = yield* process.inspect("s")

      assert.deepStrictEqual(factsOf(waiting), {
        status: "retrying",
        model: "test/anything",
        attempts: 1,
        createdAt: 1000,
        updatedAt: 1000,
        settledAt: undefined,
        keptUntil: undefined,
        settlement: undefined,
        lastFailure: "Overloaded",
        submissions: [{ sentAt: 1000, acceptedAt: undefined, endedAt: 1000, state: "refused" }]
      })
      assert.deepInclude(factsOf(inFlight), {
        status: "running",
        attempts: 2,
        updatedAt: 1750,
        lastFailure: "Overloaded"
      })
      assert.strictEqual(factsOf(inFlight).keptUntil, inFlight.submissions[1]?.keptUntil?.epochMilliseconds)
      assert.deepStrictEqual({ ...factsOf(info), keptUntil: 0 }, {
        status: "answered",
        model: "test/anything",
        attempts: 2,
        createdAt: 1000,
        updatedAt: 4000,
        settledAt: 4000,
        keptUntil: 0,
        settlement: "Answered",
        lastFailure: undefined,
        submissions: [
          { sentAt: 1000, acceptedAt: undefined, endedAt: 1000, state: "refused" },
          { sentAt: 1500, acceptedAt: 1750, endedAt: 4000, state: "accepted" }
        ]
      })
      assert.strictEqual(info.keptUntil?.epochMilliseconds, Duration.toMillis("10 days") + 1750)
    }).pipe(withoutJitter))

  it.effect.each<readonly [string, ProviderError.Verdict, Session.SessionStatus]>([
    ["a quota", nonRetryable(new Reason.QuotaExceeded({ message: "Pay first", status: 429 })), "failed"],
    ["a bad key", unauthenticated, "failed"],
    ["a certificate that is not valid", nonRetryable(new Reason.Network({ message: "Expired" })), "failed"],
    ["a busy provider", overloaded, "retrying"],
    ["a connection that fails", { _tag: "Retryable", reason: new Reason.Network({ message: "Reset" }) }, "retrying"]
  ])(
    "is not settled after a refusal for %s, and the next call sends again",
    ([, verdict, status]) =>
      Effect.gen(function*() {
        for (const strategy of ["background", "sync"] as const) {
          const provider = yield* ScriptedProvider.make({
            submit: [refuses(verdict), accepted("job-1", { _tag: "Ended", outcome: paris })],
            create: [refuses(verdict), Effect.succeed(paris)]
          })
          const process = yield* start(provider)
          const asked = request({ strategy, retry: once })
          yield* Effect.flip(process.execute(asked))
          const info = yield* process.inspect("s")
          const answer = yield* process.execute(asked)

          assert.deepInclude(factsOf(info), {
            status,
            attempts: 1,
            settlement: undefined,
            settledAt: undefined,
            lastFailure: verdict.reason._tag
          })
          assert.strictEqual(answer.content, "Paris")
          assert.strictEqual((yield* process.inspect("s")).status, "answered")
        }
      })
  )

  it.effect("is about the model that was asked last, or whose job it waits for", () =>
    Effect.gen(function*() {
      const process = yield* start(yield* ScriptedProvider.make({ retrieve: [pending()] }))
      const model = (submissionId: string, model: string): Session.Entry =>
        Session.Submitting.make({ ...(submitting(submissionId) as typeof Session.Submitting.Type), model })
      const refusal = Session.NotSubmitted.make({ at: 0, submissionId: "a", reason: overloaded.reason })
      yield* write(process.store, [model("a", "test/one")])
      const one = yield* process.inspect("s")
      yield* write(process.store, [refusal, model("b", "test/two"), acceptedAs("b", "job-b")])
      const two = yield* process.inspect("s")
      yield* write(process.store, [model("c", "test/three"), acceptedAs("c", "job-c"), acceptedAs("b", "job-d")])
      const still = yield* process.inspect("s")

      assert.deepStrictEqual([one, two, still].map(({ attempts, model }) => [model, attempts]), [
        ["test/one", 1],
        ["test/two", 2],
        ["test/two", 3]
      ])
      assert.strictEqual(still.submissions.length, 4)
    }))

  it.effect("has no model before anything is sent", () =>
    Effect.gen(function*() {
      const process = yield* start(yield* ScriptedProvider.make({}))
      yield* write(process.store, journals[0].entries)

      const { attempts, model, status } = yield* process.inspect("s")

      assert.deepStrictEqual({ attempts, model, status }, { attempts: 0, model: undefined, status: "prepared" })
    }))

  it.effect("shows a time that no date can have as the furthest one", () =>
    Effect.gen(function*() {
      const process = yield* start(yield* ScriptedProvider.make({}))
      yield* write(process.store, [Session.Prepared.make({ at: Number.MAX_SAFE_INTEGER, fingerprint: "f" })])

      assert.strictEqual((yield* process.inspect("s")).createdAt.epochMilliseconds, 8.64e15)
    }))

  it.effect.each(
    finals.map(({ reason }) => ({
      reason,
      status: reason._tag === "JobCancelled" ? "cancelled" : "failed"
    }))
  )(
    "tells that a job ended as $reason._tag, also where only its id is kept",
    ({ reason, status }) =>
      Effect.gen(function*() {
        for (const journal of ["full", "ids-only"] as const) {
          const provider = yield* ScriptedProvider.make({
            submit: [accepted("job-1", running)],
            retrieve: [ended(failed(nonRetryable(reason)))]
          })
          const process = yield* start(provider)
          const fiber = yield* begin(Effect.flip(process.execute(request({ journal }))))
          yield* TestClock.adjust("1 minute")
          yield* Fiber.join(fiber)
          const info = yield* process.inspect("s")
          const entries = JSON.stringify((yield* process.store.load("s")).entries)

          assert.strictEqual(info.status, status)
          assert.isDefined(info.settledAt)
          assert.strictEqual(Session.failureOf(info.settlement!)?._tag, reason._tag)
          if (journal === "ids-only") assert.notInclude(entries, "TEXT")
        }
      }).pipe(withoutJitter)
  )

  it.effect("is cancelled when a cancel comes between two attempts, until the next call", () =>
    Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [refuses(overloaded), accepted("job-2", { _tag: "Ended", outcome: paris })]
      })
      const process = yield* start(provider)
      const fiber = yield* begin(Effect.flip(process.execute(request())))
      const info = yield* process.cancel("s")
      yield* Fiber.join(fiber)
      yield* process.execute(request())

      assert.deepInclude(factsOf(info), { status: "cancelled", settlement: undefined, lastFailure: "Overloaded" })
      assert.strictEqual((yield* process.inspect("s")).status, "answered")
    }).pipe(withoutJitter))

  describe("after a kill during the submission", () => {
    it.effect("is uncertain from submitTimeout on, until a call has sent again or an operator has named the job", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ retrieve: [pending()] }))
        yield* write(process.store, journals[1].entries)
        yield* TestClock.setTime(59_999)
        const before = yield* process.inspect("s")
        yield* TestClock.adjust(1)
        const after = yield* process.inspect("s")
        const adopted = yield* process.adopt("s", "job-1")

        assert.deepStrictEqual([before, after, adopted].map(({ status }) => status), [
          "submitting",
          "uncertain",
          "running"
        ])
        assert.deepInclude(factsOf(after), { attempts: 1, lastFailure: undefined, settlement: undefined })
      }))

    it.effect("can be told from a held call that was lost, which another call repeats", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ create: [Effect.succeed(paris)] }))
        const held = { ...(submitting("sub-1") as typeof Session.Submitting.Type), strategy: "sync" as const }
        yield* write(process.store, [held, { ...held, at: 30_000 }])
        yield* TestClock.setTime(89_999)
        const before = yield* process.inspect("s")
        yield* TestClock.adjust(1)

        assert.deepStrictEqual([before.status, (yield* process.inspect("s")).status], ["submitting", "retrying"])
      }))

    it.effect("is as pending as before for forget and recover, whatever the clock says", () =>
      Effect.gen(function*() {
        for (const strategy of ["background", "sync"] as const) {
          const process = yield* start(yield* ScriptedProvider.make({}))
          yield* write(process.store, [{ ...(submitting("sub-1") as typeof Session.Submitting.Type), strategy }])
          yield* TestClock.adjust("1 day")
          const error = yield* Effect.flip(process.forget("s"))
          const fiber = yield* begin(Stream.runCollect(process.recover({ deadline: "5 minutes" })))
          yield* TestClock.adjust("5 minutes")

          assert.strictEqual(error._tag, "Retryable")
          assert.deepStrictEqual((yield* Fiber.join(fiber)).map(({ session }) => session), ["s"])
        }
      }).pipe(withoutJitter))

    it.effect("is followed by who watches it, who sees it become uncertain and running", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* ScriptedProvider.make({ retrieve: [pending()] }))
        yield* write(process.store, journals[1].entries)
        const seen: Array<string> = []
        const watcher = yield* begin(
          process.watch("s").pipe(
            Stream.tap(({ status }) => Effect.sync(() => seen.push(status))),
            Stream.runDrain
          )
        )
        yield* TestClock.adjust("2 minutes")
        yield* write(process.store, [acceptedAs("sub-1", "job-1")])
        yield* TestClock.adjust("2 seconds")
        yield* write(process.store, [
          Session.Ended.make({ at: 0, submissionId: "sub-1", reason: jobFailed.reason })
        ])
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(watcher)

        assert.deepStrictEqual(seen, ["submitting", "uncertain", "running", "retrying"])
      }))
  })

  describe("SessionInfoJson", () => {
    it.effect("carries the info of each status through JSON text and back", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [refuses(overloaded)],
          retrieve: [pending()],
          cancel: [ended(failed(cancelled))],
          retention: "10 days"
        })
        const seen: Array<Session.SessionStatus> = []
        for (const { entries } of journals) {
          const process = yield* start(provider)
          yield* write(process.store, entries)
          const info = yield* process.inspect("s")
          const text = JSON.stringify(yield* Schema.encodeEffect(Sessions.SessionInfoJson)(info))
          const back = yield* Schema.decodeUnknownEffect(Sessions.SessionInfoJson)(JSON.parse(text))
          seen.push(info.status)

          assert.deepStrictEqual(back, info)
          assert.instanceOf(back, Sessions.SessionInfo)
          assert.strictEqual(JSON.parse(text).createdAt, 0)
        }

        assert.deepStrictEqual(seen, ["prepared", "submitting", "running", "retrying", "answered"])
      }))
  })
})

function nonRetryable(reason: Reason.NonRetryableReason): ProviderError.Verdict {
  return { _tag: "NonRetryable", reason }
}

const once = Schedules.retrySchedule({ attempts: 1 })

const factsOf = (info: Sessions.SessionInfo) => ({
  status: info.status,
  model: info.model,
  attempts: info.attempts,
  createdAt: info.createdAt.epochMilliseconds,
  updatedAt: info.updatedAt.epochMilliseconds,
  settledAt: info.settledAt?.epochMilliseconds,
  keptUntil: info.keptUntil?.epochMilliseconds,
  settlement: info.settlement?._tag,
  lastFailure: info.lastFailure?._tag,
  submissions: info.submissions.map(({ acceptedAt, endedAt, sentAt, state }) => ({
    sentAt: sentAt.epochMilliseconds,
    acceptedAt: acceptedAt?.epochMilliseconds,
    endedAt: endedAt?.epochMilliseconds,
    state
  }))
})
