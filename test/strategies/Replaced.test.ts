import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Session } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { acceptedAs, submitting, write } from "./Journals.ts"
import { begin, factsOf, request, start, withoutJitter } from "./Processes.ts"
import { incomplete, jobFailed, overloaded, paris } from "./Verdicts.ts"

const refusedThere = Session.NotSubmitted.make({ at: 0, submissionId: "sub-2", reason: overloaded.reason })

describe("a caller whose job failed, and was replaced by a submission of another process", () => {
  it.effect.each([
    { what: "was refused", entries: [submitting("sub-2"), refusedThere] },
    { what: "is refused later", entries: [submitting("sub-2")], later: [refusedThere] },
    { what: "has no outcome", entries: [submitting("sub-2")] }
  ])(
    "is told of the failure when the submission $what",
    ({ entries, later = [] }) =>
      withoutJitter(Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [ScriptedProvider.accepted()],
          retrieve: [ScriptedProvider.ended(ScriptedProvider.failed(jobFailed))]
        })
        const holdfast = yield* start(provider)
        const caller = yield* begin(Effect.flip(holdfast.execute(request())))
        yield* TestClock.adjust("100 millis")
        const { submissions } = Session.fold((yield* holdfast.store.load("s")).entries)
        yield* write(holdfast.store, [
          Session.Ended.make({ at: 0, submissionId: submissions[0]?.id ?? "", reason: jobFailed.reason }),
          ...entries
        ])
        yield* TestClock.adjust("2 seconds")
        yield* write(holdfast.store, later)
        yield* TestClock.adjust("5 minutes")

        assert.deepInclude(factsOf(yield* Fiber.join(caller)), { _tag: "Retryable", reason: "JobFailed" })
      }))
  )

  it.effect("is told of an end for good, too", () =>
    withoutJitter(Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [ScriptedProvider.accepted()],
        retrieve: [ScriptedProvider.ended(ScriptedProvider.failed(incomplete))]
      })
      const holdfast = yield* start(provider)
      const caller = yield* begin(Effect.flip(holdfast.execute(request())))
      yield* TestClock.adjust("100 millis")
      const { submissions } = Session.fold((yield* holdfast.store.load("s")).entries)
      // A call of the same request with another model in reserve goes over to it.
      yield* write(holdfast.store, [
        Session.Ended.make({ at: 0, submissionId: submissions[0]?.id ?? "", reason: incomplete.reason }),
        submitting("sub-2")
      ])
      yield* TestClock.adjust("2 seconds")
      yield* write(holdfast.store, [refusedThere])
      yield* TestClock.adjust("1 minute")

      assert.deepInclude(factsOf(yield* Fiber.join(caller)), { _tag: "NonRetryable", reason: "Incomplete" })
    })))

  it.effect("gets the answer of the other process's job", () =>
    withoutJitter(Effect.gen(function*() {
      const provider = yield* ScriptedProvider.make({
        submit: [ScriptedProvider.accepted()],
        retrieve: [
          ({ jobId }) => ScriptedProvider.ended(jobId === "job-2" ? paris : ScriptedProvider.failed(jobFailed))
        ]
      })
      const holdfast = yield* start(provider)
      const caller = yield* begin(holdfast.execute(request()))
      yield* TestClock.adjust("100 millis")
      const { submissions } = Session.fold((yield* holdfast.store.load("s")).entries)
      yield* write(holdfast.store, [
        Session.Ended.make({ at: 0, submissionId: submissions[0]?.id ?? "", reason: jobFailed.reason }),
        submitting("sub-2")
      ])
      yield* TestClock.adjust("2 seconds")
      yield* write(holdfast.store, [acceptedAs("sub-2", "job-2")])
      yield* TestClock.adjust("1 minute")

      assert.strictEqual((yield* Fiber.join(caller)).content, "Paris")
    })))
})
