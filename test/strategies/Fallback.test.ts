import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  Cost,
  type LlmResponse,
  PriceCatalog,
  type Provider,
  type ProviderError,
  Providers,
  Reason,
  type ResponseRequest,
  Usage
} from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { begin, factsOf, makeFaultyStore, request, settleDown, start, tagsOf, withoutJitter } from "./Processes.ts"
import {
  cancelled,
  denied,
  incomplete,
  invalidRequest,
  jobFailed,
  missing,
  overloaded,
  paris,
  serverError,
  unauthenticated
} from "./Verdicts.ts"

type Verdict = ProviderError.Verdict

const { accepted, ended, failed, fails, pending, refuses, unknown } = ScriptedProvider

const rateLimited: Verdict = { _tag: "Retryable", reason: new Reason.RateLimited({ message: "Slow", status: 429 }) }
const network: Verdict = { _tag: "Retryable", reason: new Reason.Network({ message: "Connection refused" }) }
const garbage: Verdict = { _tag: "Retryable", reason: new Reason.InvalidResponse({ message: "HTML" }) }
const circuitOpen: Verdict = {
  _tag: "Retryable",
  reason: new Reason.CircuitOpen({ message: "The circuit is open" }),
  retryAfter: Duration.seconds(30)
}
const quota: Verdict = { _tag: "NonRetryable", reason: new Reason.QuotaExceeded({ message: "No money", status: 429 }) }
const tooLong: Verdict = { _tag: "NonRetryable", reason: new Reason.ContextLengthExceeded({ message: "Too long" }) }
const filtered: Verdict = { _tag: "NonRetryable", reason: new Reason.ContentFiltered({ message: "Filtered" }) }
const empty: Verdict = { _tag: "NonRetryable", reason: new Reason.EmptyContent({ message: "Nothing" }) }
const refusal: Verdict = { _tag: "NonRetryable", reason: new Reason.Refusal({ message: "I will not" }) }
const misfit: Verdict = { _tag: "NonRetryable", reason: new Reason.InvalidOutput({ message: "No JSON", content: "x" }) }
const badImage: Verdict = {
  _tag: "NonRetryable",
  reason: new Reason.JobFailed({ message: "Failed", reason: new Reason.InvalidRequest({ message: "Bad image" }) })
}

const ends = (verdict: Verdict) => accepted("job-a", { _tag: "Ended", outcome: failed(verdict) })
const answers = accepted("job-b", { _tag: "Ended", outcome: paris })

describe("fallback", () => {
  describe("the reason", () => {
    it.effect.each([quota, unauthenticated, denied, missing, tooLong])(
      "asks the next model at once when the request is refused for good",
      (verdict) =>
        Effect.gen(function*() {
          const { a, b, process } = yield* begun({ submit: [refuses(verdict)] }, { submit: [answers] })
          const answer = yield* process.execute(twoModels)

          assert.strictEqual(a.calls("submit").length, 1)
          assert.strictEqual(b.calls("submit").length, 1)
          assert.deepInclude(answer, { content: "Paris", provider: "b", attempts: 2, submissions: 2, settled: true })
          assert.deepStrictEqual(passedOver(answer), [["a/one", verdict.reason._tag]])
          assert.deepStrictEqual(yield* tagsOf(process.store), [
            "Prepared",
            "Submitting",
            "NotSubmitted",
            "Submitting",
            "Accepted",
            "Settled"
          ])
        })
    )

    it.effect.each([rateLimited, overloaded, serverError, network, garbage])(
      "asks the next model after the retries of the one before",
      (verdict) =>
        Effect.gen(function*() {
          const { a, b, process } = yield* begun({ submit: [fails(verdict, "NotSent")] }, { submit: [answers] })
          const fiber = yield* begin(process.execute(twoModels))
          yield* TestClock.adjust("10 seconds")
          const answer = yield* Fiber.join(fiber)

          assert.deepStrictEqual(a.calls("submit").map(({ at }) => at), [0, 500, 1500, 3500, 7500])
          assert.deepStrictEqual(b.calls("submit").map(({ at }) => at), [7500])
          assert.deepInclude(answer, { attempts: 6, submissions: 6 })
          assert.deepStrictEqual(passedOver(answer), [["a/one", verdict.reason._tag]])
        }).pipe(withoutJitter)
    )

    it.effect("does not wait for an open circuit", () =>
      Effect.gen(function*() {
        const { a, process } = yield* begun({ submit: [fails(circuitOpen, "NotSent")] }, { submit: [answers] })
        const answer = yield* process.execute(twoModels)

        assert.strictEqual(a.calls("submit").length, 1)
        assert.deepStrictEqual(passedOver(answer), [["a/one", "CircuitOpen"]])
      }))

    it.effect("gives each model its own retries", () =>
      Effect.gen(function*() {
        const { b, process } = yield* begun(
          { submit: [refuses(overloaded)] },
          { submit: [refuses(overloaded), refuses(overloaded), answers] }
        )
        const fiber = yield* begin(process.execute(twoModels))
        yield* TestClock.adjust("20 seconds")
        const answer = yield* Fiber.join(fiber)

        assert.deepStrictEqual(b.calls("submit").map(({ at }) => at), [7500, 8000, 9000])
        assert.deepInclude(answer, { attempts: 8 })
      }).pipe(withoutJitter))

    it.effect.each([filtered, empty, jobFailed, badImage])(
      "asks the next model when a job ends without an answer",
      (verdict) =>
        Effect.gen(function*() {
          const { a, process } = yield* begun(
            { submit: [accepted("job-a")], retrieve: [ended(failed(verdict))] },
            { submit: [answers] }
          )
          const fiber = yield* begin(process.execute(twoModels))
          yield* TestClock.adjust("10 seconds")
          const answer = yield* Fiber.join(fiber)

          assert.strictEqual(a.calls("submit").length, 1)
          assert.deepStrictEqual(passedOver(answer), [["a/one", verdict.reason._tag]])
          assert.deepStrictEqual(yield* tagsOf(process.store), [
            "Prepared",
            "Submitting",
            "Accepted",
            "Ended",
            "Submitting",
            "Accepted",
            "Settled"
          ])
        }).pipe(withoutJitter)
    )

    it.effect.each([refusal, incomplete, misfit])(
      "settles what no other model is asked for by default",
      (verdict) =>
        Effect.gen(function*() {
          const { b, process } = yield* begun({ submit: [ends(verdict)] }, { submit: [answers] })
          const error = yield* Effect.flip(process.execute(twoModels))

          assert.strictEqual(factsOf(error).reason, verdict.reason._tag)
          assert.strictEqual((yield* process.inspect("s")).state, "settled")
          assert.strictEqual(b.calls().length, 0)
        })
    )

    it.effect.each([
      { verdict: refusal, step: ends(refusal) },
      { verdict: incomplete, step: ends(incomplete) },
      { verdict: misfit, step: ends(misfit) },
      { verdict: invalidRequest, step: refuses(invalidRequest) }
    ])("is one of fallbackOn, where the request has it", ({ step, verdict }) =>
      Effect.gen(function*() {
        const { process } = yield* begun({ submit: [step] }, { submit: [answers] })
        const answer = yield* process.execute({ ...twoModels, fallbackOn: [fallbackReason(verdict)] })

        assert.deepStrictEqual(passedOver(answer), [["a/one", verdict.reason._tag]])
      }))

    it.effect("that fallbackOn does not have is the call's", () =>
      Effect.gen(function*() {
        const { b, process } = yield* begun({ submit: [refuses(quota)] }, { submit: [answers] })
        const error = yield* Effect.flip(process.execute({ ...twoModels, fallbackOn: ["Overloaded"] }))

        assert.deepStrictEqual(factsOf(error), { _tag: "NonRetryable", reason: "QuotaExceeded", session: "s" })
        assert.strictEqual(b.calls().length, 0)
      }))

    it.effect("can be that a provider is not configured: then nothing is sent to it", () =>
      Effect.gen(function*() {
        const { process } = yield* begun({}, { submit: [answers] })
        const answer = yield* process.execute({ ...twoModels, model: "groq/llama" })

        assert.deepStrictEqual(passedOver(answer), [["groq/llama", "ProviderNotConfigured"]])
        assert.deepInclude(answer, { attempts: 1, submissions: 1 })
      }))
  })

  describe("the models", () => {
    it.effect("are asked in order, and the answer says why the earlier ones did not give it", () =>
      Effect.gen(function*() {
        const { a, process } = yield* begun(
          { submit: [refuses(quota), ends(filtered), answers] },
          {}
        )
        const answer = yield* process.execute({ ...twoModels, fallback: ["a/two", "a/three", "b/four"] })

        assert.deepStrictEqual(a.calls("submit").map(({ request }) => request?.model), ["a/one", "a/two", "a/three"])
        assert.deepStrictEqual(passedOver(answer), [["a/one", "QuotaExceeded"], ["a/two", "ContentFiltered"]])
      }))

    it.effect("say so in the journal too", () =>
      Effect.gen(function*() {
        const { a, b, process } = yield* begun({ submit: [ends(filtered)] }, { submit: [answers] })
        yield* process.execute(twoModels)
        const again = yield* process.execute(twoModels)
        const resumed = yield* process.resume("s")

        assert.deepInclude(again, { resumed: true, provider: "b", attempts: 0, submissions: 2 })
        assert.deepStrictEqual(passedOver(again), [["a/one", "ContentFiltered"]])
        assert.deepStrictEqual(passedOver(resumed), [["a/one", "ContentFiltered"]])
        assert.strictEqual(a.calls("submit").length + b.calls("submit").length, 2)
      }))

    it.effect("leave no trace in an answer of the first one", () =>
      Effect.gen(function*() {
        const { process } = yield* begun({ submit: [answers] }, { submit: [] })

        assert.notProperty(yield* process.execute(twoModels), "passedOver")
      }))

    it.effect("are asked by the strategy that suits each", () =>
      Effect.gen(function*() {
        const { a, b, openai, process } = yield* begun(
          { complete: [Effect.succeed(failed(filtered))] },
          { create: [], complete: [Effect.succeed(paris)] },
          { submit: [ends(filtered)], complete: [] }
        )
        const answer = yield* process.execute({
          ...twoModels,
          strategy: undefined,
          model: "openai/gpt-5.5-pro",
          fallback: ["a/two", "b/three"]
        })

        assert.deepStrictEqual(
          [openai, a, b].map((provider) => provider.calls().map(({ operation }) => operation)),
          [["submit"], ["complete"], ["complete"]]
        )
        assert.deepInclude(answer, { provider: "b", strategy: "completions", submissions: 3 })
      }))

    it.effect("work without a session", () =>
      Effect.gen(function*() {
        const { process } = yield* begun({ submit: [ends(filtered)] }, { submit: [answers] })
        const answer = yield* process.execute({ ...twoModels, session: undefined })

        assert.deepStrictEqual(passedOver(answer), [["a/one", "ContentFiltered"]])
        assert.deepInclude(answer, { attempts: 2, settled: false, resumed: false })
      }))

    it.effect("that all fail end the call with the error of the last one", () =>
      Effect.gen(function*() {
        const { process } = yield* begun({ submit: [refuses(quota)] }, { submit: [refuses(overloaded)] })
        const fiber = yield* begin(Effect.flip(process.execute(twoModels)))
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(fiber)

        assert.deepStrictEqual(factsOf(error), { _tag: "Retryable", reason: "Overloaded", attempts: 6, session: "s" })
        assert.strictEqual((yield* process.inspect("s")).state, "prepared")
      }).pipe(withoutJitter))

    it.effect("that all end settle the session with the end of the last one", () =>
      Effect.gen(function*() {
        const { a, b, process } = yield* begun({ submit: [ends(filtered)] }, { submit: [ends(badImage)] })
        const error = yield* Effect.flip(process.execute(twoModels))
        const again = yield* Effect.flip(process.execute(twoModels))

        assert.strictEqual(factsOf(error).reason, "JobFailed")
        assert.deepStrictEqual(factsOf(again), factsOf(error))
        assert.strictEqual(a.calls("submit").length + b.calls("submit").length, 2)
      }))

    it.effect("share one deadline", () =>
      Effect.gen(function*() {
        const slow: Verdict = { ...overloaded, retryAfter: Duration.seconds(90) }
        const { a, process } = yield* begun({ submit: [refuses(slow)] }, { submit: [accepted("job-b")] })
        const fiber = yield* begin(Effect.flip(process.execute({ ...twoModels, deadline: "1 minute" })))
        yield* TestClock.adjust("59 seconds")
        const waits = fiber.pollUnsafe() === undefined
        yield* TestClock.adjust("1 second")
        const error = yield* Fiber.join(fiber)

        assert.strictEqual(a.calls("submit").length, 1)
        assert.isTrue(waits)
        assert.deepStrictEqual(factsOf(error), { _tag: "Timeout", phase: "running", jobId: "job-b", session: "s" })
      }).pipe(withoutJitter))
  })

  describe("a job that may be running", () => {
    it.effect.each(["fail", "resubmit"] as const)(
      "keeps the next model from being asked when a submission is uncertain, by policy %s",
      (onUncertainSubmit) =>
        Effect.gen(function*() {
          const { b, process } = yield* begun({ submit: [fails()] }, { submit: [answers] })
          const fiber = yield* begin(Effect.flip(process.execute({ ...twoModels, onUncertainSubmit })))
          yield* TestClock.adjust("5 minutes")
          const error = yield* Fiber.join(fiber)

          assert.strictEqual(factsOf(error).reason, onUncertainSubmit === "fail" ? "SubmissionUncertain" : "Network")
          assert.strictEqual(b.calls().length, 0)
        }).pipe(withoutJitter)
    )

    it.effect("does not keep the next model from being asked when a held call is lost", () =>
      Effect.gen(function*() {
        const { a, process } = yield* begun({ complete: [fails()] }, { complete: [Effect.succeed(paris)] })
        const fiber = yield* begin(process.execute({ ...twoModels, strategy: "completions" }))
        yield* TestClock.adjust("5 minutes")
        const answer = yield* Fiber.join(fiber)

        assert.strictEqual(a.calls("complete").length, 5)
        assert.deepStrictEqual(passedOver(answer), [["a/one", "Network"]])
      }).pipe(withoutJitter))

    it.effect.each([
      { name: "is in a status that nobody knows", retrieve: unknown("paused"), reason: "InvalidResponse" },
      { name: "cannot be polled", retrieve: refuses(denied), reason: "PermissionDenied" },
      { name: "cannot be found", retrieve: refuses(missing), reason: "NotFound" }
    ])("keeps the next model from being asked when it $name", ({ reason, retrieve }) =>
      Effect.gen(function*() {
        const { b, process } = yield* begun({ submit: [accepted("job-a")], retrieve: [retrieve] }, {
          submit: [answers]
        })
        const fiber = yield* begin(Effect.flip(process.execute(twoModels)))
        yield* TestClock.adjust("10 minutes")
        const error = yield* Fiber.join(fiber)

        assert.strictEqual(factsOf(error).reason, reason)
        assert.strictEqual((yield* process.inspect("s")).state, "running")
        assert.strictEqual(b.calls().length, 0)
      }).pipe(withoutJitter))

    it.effect("keeps the next model from being asked when its end cannot be journaled", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        faulty.fails = (operation, entry) => operation === "append" && entry?._tag === "Ended"
        const { a, b, process } = yield* begun({ submit: [ends(filtered)] }, { submit: [answers] }, {}, faulty.store)
        const fiber = yield* begin(Effect.flip(process.execute(twoModels)))
        yield* TestClock.adjust("1 minute")
        const error = yield* Fiber.join(fiber)

        assert.strictEqual(factsOf(error).reason, "SessionUnavailable")
        assert.strictEqual(a.calls("submit").length, 1)
        assert.strictEqual(b.calls().length, 0)
      }).pipe(withoutJitter))
  })

  describe("a job that is queued for too long", () => {
    const impatient = { ...twoModelsOf(), queuedDeadline: "5 seconds", fallbackOn: ["Queued"] } as const
    const queued = { submit: [accepted("job-a")], retrieve: [pending({ phase: "queued" })] }

    it.effect("is cancelled, and then the next model is asked", () =>
      Effect.gen(function*() {
        const { a, b, process } = yield* begun(
          { ...queued, cancel: [ended(failed(cancelled))] },
          { submit: [answers] }
        )
        const fiber = yield* begin(process.execute(impatient))
        yield* TestClock.adjust("5 seconds")
        const answer = yield* Fiber.join(fiber)

        assert.deepStrictEqual(a.calls("cancel").map(({ at }) => at), [5000])
        assert.deepStrictEqual(b.calls("submit").map(({ at }) => at), [5000])
        assert.deepStrictEqual(passedOver(answer), [["a/one", "JobCancelled"]])
        assert.deepStrictEqual(yield* tagsOf(process.store), [
          "Prepared",
          "Submitting",
          "Accepted",
          "CancelRequested",
          "Ended",
          "Submitting",
          "Accepted",
          "Settled"
        ])
      }).pipe(withoutJitter))

    it.effect("is waited for until the provider has said that it is cancelled", () =>
      Effect.gen(function*() {
        const { b, process } = yield* begun(
          {
            submit: [accepted("job-a")],
            retrieve: [...Array.from({ length: 6 }, () => pending({ phase: "queued" })), ended(failed(cancelled))],
            cancel: [pending({ phase: "queued" })]
          },
          { submit: [answers] }
        )
        const fiber = yield* begin(process.execute(impatient))
        yield* TestClock.adjust("6 seconds")
        const before = b.calls("submit").length
        yield* TestClock.adjust("1 minute")
        const answer = yield* Fiber.join(fiber)

        assert.strictEqual(before, 0)
        assert.deepInclude(answer, { provider: "b", content: "Paris" })
        assert.deepStrictEqual(passedOver(answer), [["a/one", "JobCancelled"]])
      }).pipe(withoutJitter))

    it.effect("gives the answer when it completes before it is cancelled", () =>
      Effect.gen(function*() {
        const { b, process } = yield* begun({ ...queued, cancel: [ended(paris)] }, { submit: [answers] })
        const fiber = yield* begin(process.execute(impatient))
        yield* TestClock.adjust("5 seconds")
        const answer = yield* Fiber.join(fiber)

        assert.deepInclude(answer, { provider: "a", content: "Paris", settled: true })
        assert.notProperty(answer, "passedOver")
        assert.strictEqual(b.calls().length, 0)
      }).pipe(withoutJitter))

    it.effect("keeps the next model from being asked when the cancel does not get through", () =>
      Effect.gen(function*() {
        const { b, process } = yield* begun({ ...queued, cancel: [fails()] }, { submit: [answers] })
        const fiber = yield* begin(Effect.flip(process.execute(impatient)))
        yield* TestClock.adjust("5 seconds")
        const error = yield* Fiber.join(fiber)

        assert.deepStrictEqual(factsOf(error), { _tag: "Timeout", phase: "queued", jobId: "job-a", session: "s" })
        assert.strictEqual(b.calls().length, 0)
      }).pipe(withoutJitter))

    it.effect("goes over to the next model when a later call gets the cancel through", () =>
      Effect.gen(function*() {
        const { a, process } = yield* begun(
          { ...queued, cancel: [fails(), ended(failed(cancelled))] },
          { submit: [answers] }
        )
        const first = yield* begin(Effect.flip(process.execute(impatient)))
        yield* TestClock.adjust("5 seconds")
        yield* Fiber.join(first)
        const answer = yield* process.execute(impatient)

        assert.strictEqual(a.calls("submit").length, 1)
        assert.deepStrictEqual(passedOver(answer), [["a/one", "JobCancelled"]])
      }).pipe(withoutJitter))

    it.effect("is not asked for again by another process", () =>
      Effect.gen(function*() {
        const { a, process, restart } = yield* begun(
          { ...queued, cancel: [ended(failed(cancelled))] },
          { submit: [Effect.never, answers] }
        )
        yield* begin(Effect.exit(process.execute(impatient)))
        yield* TestClock.adjust("5 seconds")
        const next = yield* restart()
        const answer = yield* next.execute({ ...impatient, onUncertainSubmit: "resubmit" }).pipe(begin)
        yield* TestClock.adjust("2 minutes")

        assert.deepInclude(yield* Fiber.join(answer), { provider: "b" })
        assert.strictEqual(a.calls("submit").length, 1)
      }).pipe(withoutJitter))

    it.effect("is left alone without Queued in fallbackOn", () =>
      Effect.gen(function*() {
        const { a, b, process } = yield* begun(queued, { submit: [answers] })
        const fiber = yield* begin(Effect.flip(process.execute({ ...impatient, fallbackOn: undefined })))
        yield* TestClock.adjust("5 seconds")
        const error = yield* Fiber.join(fiber)

        assert.strictEqual(factsOf(error)._tag, "Timeout")
        assert.strictEqual(a.calls("cancel").length + b.calls().length, 0)
      }).pipe(withoutJitter))

    it.effect("stays cancelled when somebody has cancelled the session", () =>
      Effect.gen(function*() {
        const { b, process } = yield* begun(
          { submit: [accepted("job-a")], retrieve: [pending(), ended(failed(cancelled))], cancel: [fails()] },
          { submit: [answers] }
        )
        const fiber = yield* begin(Effect.flip(process.execute(impatient)))
        yield* TestClock.adjust("1 second")
        yield* process.cancel("s")
        yield* TestClock.adjust("5 seconds")
        const error = yield* Fiber.join(fiber)

        assert.strictEqual(factsOf(error).reason, "JobCancelled")
        assert.strictEqual(b.calls().length, 0)
      }).pipe(withoutJitter))
  })

  describe("another process", () => {
    it.effect("goes on with the next model, and does not pay the first one again", () =>
      Effect.gen(function*() {
        const faulty = yield* makeFaultyStore
        let submissions = 0
        faulty.fails = (_, entry) => entry?._tag === "Submitting" && ++submissions === 2
        const { a, b, process, restart } = yield* begun(
          { submit: [ends(filtered)] },
          { submit: [answers] },
          {},
          faulty.store
        )
        const error = yield* Effect.flip(process.execute(twoModels))
        const next = yield* restart()
        const answer = yield* next.execute(twoModels)

        assert.strictEqual(factsOf(error).reason, "SessionUnavailable")
        assert.strictEqual(a.calls("submit").length, 1)
        assert.strictEqual(b.calls("submit").length, 1)
        assert.deepInclude(answer, { provider: "b", attempts: 1, submissions: 2 })
        assert.deepStrictEqual(passedOver(answer), [["a/one", "ContentFiltered"]])
      }))

    it.effect("waits for the next model's job, and knows why the first one did not answer", () =>
      Effect.gen(function*() {
        const { a, b, process, restart } = yield* begun(
          { submit: [ends(filtered)] },
          { submit: [accepted("job-b")], retrieve: [ended(paris)] }
        )
        yield* begin(Effect.exit(process.execute(twoModels)))
        yield* settleDown
        const next = yield* restart()
        const fiber = yield* begin(next.execute(twoModels))
        yield* TestClock.adjust("1 second")
        const answer = yield* Fiber.join(fiber)
        const again = yield* next.execute(twoModels)

        assert.deepInclude(answer, { provider: "b", resumed: true, attempts: 0 })
        assert.deepStrictEqual(passedOver(answer), [["a/one", "ContentFiltered"]])
        assert.deepStrictEqual(passedOver(again), [["a/one", "ContentFiltered"]])
        assert.strictEqual(a.calls("submit").length + b.calls("submit").length, 2)
      }).pipe(withoutJitter))

    it.effect("knows it also without the request", () =>
      Effect.gen(function*() {
        const { process, restart } = yield* begun(
          { submit: [refuses(quota)] },
          { submit: [accepted("job-b")], retrieve: [ended(paris)] }
        )
        yield* begin(Effect.exit(process.execute(twoModels)))
        yield* settleDown
        const next = yield* restart()
        const fiber = yield* begin(next.resume("s"))
        yield* TestClock.adjust("1 second")

        assert.deepStrictEqual(passedOver(yield* Fiber.join(fiber)), [["a/one", "QuotaExceeded"]])
      }).pipe(withoutJitter))

    it.effect("asks neither model again when the next model's job ends without an answer", () =>
      Effect.gen(function*() {
        const { a, b, process, restart } = yield* begun(
          { submit: [ends(filtered)] },
          { submit: [accepted("job-b")], retrieve: [ended(failed(empty))] }
        )
        yield* begin(Effect.exit(process.execute(twoModels)))
        yield* settleDown
        const next = yield* restart()
        const fiber = yield* begin(Effect.flip(next.execute(twoModels)))
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(fiber)

        assert.strictEqual(factsOf(error).reason, "EmptyContent")
        assert.strictEqual((yield* next.inspect("s")).state, "settled")
        assert.strictEqual(a.calls("submit").length, 1)
        assert.strictEqual(b.calls("submit").length, 1)
      }).pipe(withoutJitter))

    it.effect("asks a model that its call names, after those that the session has asked", () =>
      Effect.gen(function*() {
        const { a, b, openai, process, restart } = yield* begun(
          { submit: [ends(filtered)] },
          { submit: [accepted("job-b")], retrieve: [ended(failed(empty))] },
          { submit: [answers] }
        )
        yield* begin(Effect.exit(process.execute(twoModels)))
        yield* settleDown
        const next = yield* restart()
        const fiber = yield* begin(next.execute({ ...twoModels, fallback: ["openai/gpt-5"] }))
        yield* TestClock.adjust("10 seconds")
        const answer = yield* Fiber.join(fiber)

        assert.deepStrictEqual(passedOver(answer), [["a/one", "ContentFiltered"], ["b/two", "EmptyContent"]])
        assert.deepStrictEqual([a, b, openai].map((provider) => provider.calls("submit").length), [1, 1, 1])
      }).pipe(withoutJitter))

    it.effect.each([
      { asked: twoModels, verdict: filtered },
      { asked: { ...twoModels, fallback: undefined }, verdict: filtered },
      { asked: twoModels, verdict: jobFailed }
    ])(
      "that learns of the first job's end late waits for the next model's job",
      ({ asked, verdict }) =>
        Effect.gen(function*() {
          // The other process polls first, and hears last.
          const late = Effect.delay(ended(failed(verdict)), "5 seconds")
          const { a, b, other, process } = yield* beside(
            { submit: [accepted("job-a")], retrieve: [late, ended(failed(verdict))] },
            { submit: [accepted("job-b")], retrieve: [...Array.from({ length: 12 }, () => pending()), ended(paris)] }
          )
          const one = yield* begin(process.execute(twoModels))
          yield* TestClock.adjust("500 millis")
          const another = yield* begin(other.execute(asked))
          yield* TestClock.adjust("1 minute")
          const answers = [yield* Fiber.join(one), yield* Fiber.join(another)]

          for (const answer of answers) {
            assert.deepInclude(answer, { provider: "b", content: "Paris", settled: true })
            assert.deepStrictEqual(passedOver(answer), [["a/one", verdict.reason._tag]])
          }
          assert.deepStrictEqual([a, b].map(({ calls }) => calls("submit").length), [1, 1])
        }).pipe(withoutJitter)
    )

    it.effect.each([{ verdict: filtered }, { verdict: jobFailed }])(
      "that has no request leaves it to the one that has it to ask the next model",
      ({ verdict }) =>
        Effect.gen(function*() {
          const { b, other, process } = yield* beside(
            { submit: [accepted("job-a")], retrieve: [ended(failed(verdict))] },
            { submit: [accepted("job-b")], retrieve: [ended(paris)] }
          )
          const one = yield* begin(process.execute(twoModels))
          yield* settleDown
          const resumed = yield* Effect.flip(other.resume("s"))
          const state = (yield* other.inspect("s")).state
          yield* TestClock.adjust("5 seconds")
          const answer = yield* Fiber.join(one)

          assert.deepStrictEqual([factsOf(resumed).reason, state], ["RequestNeeded", "ended"])
          assert.deepInclude(answer, { provider: "b", content: "Paris", settled: true })
          assert.deepStrictEqual(passedOver(answer), [["a/one", verdict.reason._tag]])
          assert.strictEqual(b.calls("submit").length, 1)
        }).pipe(withoutJitter)
    )

    it.effect("that has no request settles what no other model is asked for, and the end of the last one", () =>
      Effect.gen(function*() {
        const first = yield* beside(
          { submit: [accepted("job-a")], retrieve: [ended(failed(incomplete))] },
          { submit: [] }
        )
        yield* begin(Effect.exit(first.process.execute(twoModels)))
        yield* settleDown
        const second = yield* beside({ submit: [ends(filtered)] }, {
          submit: [accepted("job-b")],
          retrieve: [ended(failed(filtered))]
        })
        yield* begin(Effect.exit(second.process.execute(twoModels)))
        yield* settleDown
        const errors = [yield* Effect.flip(first.other.resume("s")), yield* Effect.flip(second.other.resume("s"))]

        assert.deepStrictEqual(errors.map((error) => factsOf(error).reason), ["Incomplete", "ContentFiltered"])
        assert.strictEqual((yield* first.other.inspect("s")).state, "settled")
        assert.strictEqual((yield* second.other.inspect("s")).state, "settled")
      }).pipe(withoutJitter))

    it.effect("that resumes without the request lets who comes with it ask the next model", () =>
      Effect.gen(function*() {
        const late = Effect.delay(ended(failed(filtered)), "5 seconds")
        const { b, process, restart } = yield* begun(
          { submit: [accepted("job-a")], retrieve: [late] },
          { submit: [accepted("job-b")], retrieve: [ended(paris)] }
        )
        yield* begin(Effect.exit(process.execute(twoModels)))
        yield* settleDown
        const next = yield* restart()
        const resumed = yield* begin(Effect.flip(next.resume("s")))
        const joined = yield* begin(next.execute(twoModels))
        yield* TestClock.adjust("10 seconds")

        assert.strictEqual(factsOf(yield* Fiber.join(resumed)).reason, "RequestNeeded")
        assert.deepInclude(yield* Fiber.join(joined), { provider: "b", content: "Paris" })
        assert.strictEqual(b.calls("submit").length, 1)
      }).pipe(withoutJitter))

    it.effect("needs no fallback to get what the next model answers", () =>
      Effect.gen(function*() {
        const { a, process, restart } = yield* begun(
          { submit: [ends(filtered)] },
          { submit: [accepted("job-b")], retrieve: [ended(paris)] }
        )
        yield* begin(Effect.exit(process.execute(twoModels)))
        yield* settleDown
        const next = yield* restart()
        const fiber = yield* begin(next.execute({ ...twoModels, fallback: undefined }))
        yield* TestClock.adjust("1 second")
        const answer = yield* Fiber.join(fiber)

        assert.deepInclude(answer, { provider: "b", content: "Paris", submissions: 2 })
        assert.strictEqual(a.calls("submit").length, 1)
      }).pipe(withoutJitter))
  })

  it.effect("goes with a schema, a repair, retries, a crash and a stream, and the journal tells what all of it cost", () =>
    Effect.gen(function*() {
      const schema = Schema.Struct({ capital: Schema.String })
      const told = (content: string, inputTokens: number) =>
        ScriptedProvider.succeeded(content, { model: "two", usage: usageOf(inputTokens) })
      const { a, b, process, restart } = yield* begun(
        {
          submit: [1000, 2000].map((tokens, index) =>
            accepted(`job-a${index}`, { _tag: "Ended", outcome: told("Paris", tokens) })
          )
        },
        {
          submit: [refuses(overloaded), accepted("job-b")],
          retrieve: [pending(), ended(told(`{"capital":"Paris"}`, 4000))]
        }
      )
      const asked = { ...twoModels, schema, repair: 1, fallbackOn: ["InvalidOutput", "Overloaded"] } as const
      yield* begin(Effect.exit(process.execute(asked)))
      yield* TestClock.adjust("1 second")
      const next = yield* restart()
      const fiber = yield* begin(Stream.runCollect(next.stream(asked)))
      yield* TestClock.adjust("10 seconds")
      const events = yield* Fiber.join(fiber)
      const answer = lastOf(events)
      const cost = yield* Effect.provide(
        Effect.flatMap(next.inspect("s"), Cost.ofSession),
        PriceCatalog.layer({
          overrides: {
            "a/one": { inputPerMillion: 1, outputPerMillion: 1 },
            "b/two": { inputPerMillion: 3, outputPerMillion: 1 }
          }
        })
      )

      assert.containSubset(answer, { provider: "b", value: { capital: "Paris" }, resumed: true, submissions: 4 })
      assert.deepStrictEqual(passedOver(answer), [["a/one", "InvalidOutput"]])
      assert.strictEqual(textOf(events), `{"capital":"Paris"}`)
      assert.deepStrictEqual([a, b].map(({ calls }) => calls("submit").length), [2, 2])
      assert.deepStrictEqual(
        cost.submissions.map(({ cost }) => typeof cost === "string" ? cost : cost.nanoUsd),
        [1_000_000, 2_000_000, "none", 12_000_000]
      )
      assert.isTrue(cost.total.complete)
    }).pipe(withoutJitter))

  describe("of a stream", () => {
    it.effect("tells the whole answer of the next model when the first one told none", () =>
      Effect.gen(function*() {
        const { process } = yield* begun(
          { submit: [], submitStream: [told([], failed(filtered), "job-a")], retrieve: [ended(failed(filtered))] },
          { submit: [], submitStream: [told(["Par", "is"], paris, "job-b")] }
        )
        const events = yield* Stream.runCollect(process.stream(twoModels))

        assert.strictEqual(textOf(events), "Paris")
        assert.deepStrictEqual(passedOver(lastOf(events)), [["a/one", "ContentFiltered"]])
      }))

    it.effect("does not happen once the first one told something", () =>
      Effect.gen(function*() {
        const { b, process } = yield* begun(
          { submit: [], submitStream: [told(["Lon"], failed(filtered), "job-a")], retrieve: [ended(failed(filtered))] },
          { submit: [], submitStream: [told(["Paris"], paris, "job-b")] }
        )
        const error = yield* Effect.flip(Stream.runCollect(process.stream(twoModels)))

        assert.strictEqual(factsOf(error).reason, "ContentFiltered")
        assert.strictEqual(b.calls().length, 0)
      }))

    it.effect("that failed after something was told is not sent again either", () =>
      Effect.gen(function*() {
        const { a, b, process } = yield* begun(
          { completeStream: [told(["Lon"], failed(jobFailed), "call-a")] },
          { completeStream: [told(["Paris"], paris, "call-b")] }
        )
        const fiber = yield* begin(
          Effect.flip(Stream.runCollect(process.stream({ ...twoModels, strategy: "completions" })))
        )
        yield* TestClock.adjust("1 minute")
        const error = yield* Fiber.join(fiber)

        assert.deepInclude(factsOf(error), { _tag: "Retryable", reason: "JobFailed", attempts: 1 })
        assert.strictEqual(a.calls("completeStream").length, 1)
        assert.strictEqual(b.calls().length, 0)
      }))

    it.effect("closes the stream of a job that was queued for too long", () =>
      Effect.gen(function*() {
        const closed = yield* Deferred.make<void>()
        const waits = Stream.concat(
          Stream.make<[Provider.StreamEvent, Provider.StreamEvent]>(
            { _tag: "Started", responseId: "job-a", cursor: "0" },
            { _tag: "Status", status: "queued", phase: "queued", cursor: "7" }
          ),
          Stream.never
        ).pipe(Stream.ensuring(Deferred.succeed(closed, undefined)))
        const { process } = yield* begun(
          {
            submit: [],
            submitStream: [waits],
            retrieve: [pending({ phase: "queued" })],
            cancel: [ended(failed(cancelled))]
          },
          { submit: [], submitStream: [told(["Paris"], paris, "job-b")] }
        )
        const fiber = yield* begin(
          Stream.runCollect(process.stream({ ...twoModels, queuedDeadline: "5 seconds", fallbackOn: ["Queued"] }))
        )
        yield* TestClock.adjust("30 seconds")
        const events = yield* Fiber.join(fiber)
        yield* settleDown

        assert.strictEqual(textOf(events), "Paris")
        assert.isTrue(yield* Deferred.isDone(closed))
      }).pipe(withoutJitter))
  })
})

function twoModelsOf(): ResponseRequest.RequestInput {
  return request({ model: "a/one", fallback: ["b/two"] })
}

const twoModels = twoModelsOf()

const usageOf = (inputTokens: number) =>
  new Usage.Usage({
    inputTokens,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    totalTokens: inputTokens
  })

const passedOver = ({ passedOver = [] }: LlmResponse.LlmResponse) =>
  passedOver.map(({ model, reason }) => [model, reason._tag])

const fallbackReason = ({ reason }: Verdict) =>
  reason._tag as NonNullable<ResponseRequest.RequestInput["fallbackOn"]>[number]

/** A process over the providers `a`, `b` and `openai`, and what starts another one over the same store. */
const begun = Effect.fnUntraced(function*(
  forA: ScriptedProvider.Script,
  forB: ScriptedProvider.Script,
  forOpenAi: ScriptedProvider.Script = {},
  store?: Parameters<typeof start>[1]
) {
  const a = yield* ScriptedProvider.make(forA)
  const b = yield* ScriptedProvider.make(forB)
  const openai = yield* ScriptedProvider.make(forOpenAi)
  const named = (name: string, { provider }: ScriptedProvider.ScriptedProvider) => (model: string) => ({
    ...provider(model),
    name
  })
  const all = {
    ...a,
    layer: Layer.fresh(
      Providers.layer({ a: named("a", a), b: named("b", b), openai: named("openai", openai) })
    )
  }
  const process = yield* start(all, store)
  const beside = start(all, process.store)
  const restart = () => Effect.andThen(Effect.forkChild(process.close), beside)
  return { a, b, openai, process, beside, restart }
})

/** Two processes over the same providers and the same store. */
const beside = Effect.fnUntraced(function*(forA: ScriptedProvider.Script, forB: ScriptedProvider.Script) {
  const { beside, ...rest } = yield* begun(forA, forB)
  return { ...rest, other: yield* beside }
})

/** A stream from its first event to its last, each with a cursor. */
const told = (
  deltas: ReadonlyArray<string>,
  outcome: Provider.Outcome,
  responseId: string
): Stream.Stream<Provider.StreamEvent> => {
  const events: ReadonlyArray<Provider.StreamEvent> = [
    { _tag: "Started", responseId },
    ...deltas.map((delta): Provider.StreamEvent => ({ _tag: "Text", delta })),
    { _tag: "Ended", outcome }
  ]
  return Stream.fromIterable(events.map((event, index) => ({ ...event, cursor: String(index) })))
}

type Event = Stream.Success<ReturnType<Effect.Success<ReturnType<typeof start>>["stream"]>>

const textOf = (events: ReadonlyArray<Event>): string =>
  events.map((event) => event._tag === "TextDelta" ? event.delta : "").join("")

const lastOf = (events: ReadonlyArray<Event>): LlmResponse.LlmResponse => {
  const last = events.at(-1)
  if (last?._tag !== "Completed") throw new Error("The stream has no last event")
  return last.response
}
