import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Random, Schedule, Schema, Stream } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { ProviderError, type Verdict } from "../../src/errors/ProviderError.ts"
import {
  AuthenticationFailed,
  InvalidRequest,
  Network,
  Overloaded,
  QuotaExceeded,
  RateLimited,
  ServerError
} from "../../src/errors/Reason.ts"
import { Usage } from "../../src/errors/Usage.ts"
import * as Holdfast from "../../src/Holdfast.ts"
import * as Limits from "../../src/services/Limits.ts"
import type { Outcome, Provider, StreamEvent } from "../../src/services/Provider.ts"
import * as Providers from "../../src/services/Providers.ts"
import * as Transport from "../../src/services/providers/Transport.ts"
import { ResponseRequest } from "../../src/services/ResponseRequest.ts"
import * as SessionStore from "../../src/services/SessionStore.ts"
import { ScriptedProvider } from "../../src/testing/index.ts"

describe("Limits", () => {
  describe("retry budget", () => {
    it.effect("is on, and lets a hundred retries or fifty after no answer pass", () =>
      Effect.gen(function*() {
        const afterErrors = yield* budget()
        const afterTimeouts = yield* budget()
        const spend = (budget: Budget, error: ProviderError) =>
          Effect.map(Effect.replicateEffect(budget.take(error), 150), (taken) =>
            taken.filter((isTaken) => isTaken).length)

        assert.strictEqual(yield* spend(afterErrors, failure(serverError)), 100)
        assert.strictEqual(yield* spend(afterTimeouts, failure(network)), 50)
      }))

    it.effect("gets one token back from a success, and never more than it had", () =>
      Effect.gen(function*() {
        const { giveBack, take } = yield* budget({ size: 5 })
        yield* giveBack
        const before = [yield* take(failure(serverError)), yield* take(failure(serverError))]
        yield* Effect.replicateEffect(giveBack, 4)
        const four = yield* take(failure(serverError))
        yield* giveBack

        assert.deepStrictEqual(before, [true, false])
        assert.isFalse(four)
        assert.isTrue(yield* take(failure(serverError)))
      }))

    it.effect("takes nothing for a rate limit whose wait the account keeps to, only for one that names none", () =>
      Effect.gen(function*() {
        const paced = yield* Limits.make(account, { requestsPerMinute: 60, retryBudget: { size: 0 } })
        const plain = yield* Limits.make(account, { retryBudget: { size: 0 } })
        const takes = (limits: Limits.Limits, verdict: Verdict) =>
          limits.apply({ name: "acme", model: "m" }).retryBudget?.take(failure(verdict)) ?? Effect.die("no budget")

        assert.isTrue(yield* takes(paced, limitedFor("1 second")))
        assert.isTrue(yield* takes(paced, limitedAbout("1 second")))
        assert.isFalse(yield* takes(paced, limitedFor()))
        assert.isFalse(yield* takes(paced, limitedFor(0)))
        assert.isFalse(yield* takes(paced, serverError))
        assert.isFalse(yield* takes(plain, limitedFor("1 second")))
      }))

    it.effect.each<[string, Limits.Options]>([
      ["the server's rates", { followServer: true }],
      ["rates of the user's", { requestsPerMinute: 600 }]
    ])(
      "bounds the attempts of calls that keep to %s too, when nothing says how long to wait",
      ([, limits]) =>
        Effect.gen(function*() {
          const { attempts, unended } = yield* offered(300, [ScriptedProvider.refuses(limitedFor())], limits)

          assert.isAtMost(attempts, 460)
          assert.strictEqual(unended, 0)
        })
    )

    it.effect("is not needed where the server says how long to wait: all calls wait together", () =>
      Effect.gen(function*() {
        const { inTheMinute } = yield* offered(300, [ScriptedProvider.refuses(limitedFor("1 second"))], {
          followServer: true
        })

        assert.isAtMost(inTheMinute, 61)
      }))

    it.effect("takes nothing for a call that Holdfast itself held back", () =>
      Effect.gen(function*() {
        const { take } = yield* budget({ size: 0 })
        const held = { _tag: "Retryable", reason: new RateLimited({ message: "" }) } as const

        assert.isTrue(yield* take(failure(held, "NotSent")))
        assert.isFalse(yield* take(failure(held, "Refused")))
      }))

    it.effect("is shared by the models of an account, and can be off", () =>
      Effect.gen(function*() {
        const { resolve } = yield* providers({ size: 5 })
        const off = yield* providers(false)
        const [one, other] = [yield* resolve("test/a"), yield* resolve("test/b")]
        yield* one.retryBudget?.take(failure(serverError)) ?? Effect.void

        assert.isFalse(yield* other.retryBudget?.take(failure(serverError)) ?? Effect.succeed(true))
        assert.isUndefined((yield* off.resolve("test/a")).retryBudget)
      }))

    it.effect("is the provider's own before the one of all providers", () =>
      Effect.gen(function*() {
        const own = { retryBudget: { size: 5 }, concurrency: undefined }
        const { resolve } = yield* Providers.make({
          one: { baseUrl: "http://one.test", limits: own },
          other: { baseUrl: "http://other.test" }
        }, { limits: { retryBudget: false, concurrency: 1 } })

        assert.isDefined((yield* resolve("one/m")).retryBudget)
        assert.isUndefined((yield* resolve("other/m")).retryBudget)
      }))

    it.effect.each([{ share: 0, atMost: 400 }, { share: 0.5, atMost: 460 }])(
      "bounds the attempts of 300 calls in a minute to 1.2 for each and the burst, with $share of them answered",
      ({ atMost, share }) =>
        Effect.gen(function*() {
          const { attempts, unended } = yield* offered(300, [
            ({ number }) => number % 10 < share * 10 ? answered(1) : ScriptedProvider.refuses(serverError)
          ])

          assert.isAtMost(attempts, atMost)
          assert.strictEqual(unended, 0)
        })
    )
  })

  describe("rates", () => {
    it.effect("let a minute's worth pass at once, and the rest evenly", () =>
      Effect.gen(function*() {
        const { calls, complete } = yield* limited({ requestsPerMinute: 6 }, { complete: [answered(10)] })
        yield* Effect.forkChild(Effect.all(times(9, complete()), { concurrency: "unbounded" }))
        yield* TestClock.adjust("1 minute")

        assert.deepStrictEqual(calls().map(({ at }) => at), [0, 0, 0, 0, 0, 0, 10_000, 20_000, 30_000])
      }))

    it.effect("count each model by itself", () =>
      Effect.gen(function*() {
        const { bare, limits, provider } = yield* limited({ requestsPerMinute: 1 }, { complete: [answered(10)] })
        const other = limits.apply({ ...bare, model: "other" })
        yield* callOf(provider)
        yield* callOf(other)
        const third = yield* Effect.forkChild(callOf(other), { startImmediately: true })
        yield* TestClock.adjust("59 seconds")
        const before = third.pollUnsafe()
        yield* TestClock.adjust("1 second")

        assert.isUndefined(before)
        assert.isDefined(third.pollUnsafe())
      }))

    it.effect("reserve the estimate of the tokens, and settle what was used", () =>
      Effect.gen(function*() {
        const { calls, complete } = yield* limited({ tokensPerMinute: 600 }, { complete: [answered(60)] })
        const wanted = { prompt: "x".repeat(400), maxOutputTokens: 200 }
        // 300 are reserved and 240 come back: 600, 540, 480, 420, 360, 300; the seventh finds 240.
        yield* Effect.forkChild(Effect.forEach(times(7, complete(wanted)), (call) => call, { discard: true }))
        yield* TestClock.adjust("1 minute")

        assert.deepStrictEqual(calls().map(({ at }) => at), [0, 0, 0, 0, 0, 0, 6000])
      }))

    it.effect("count a thousand tokens for an answer without a bound, and for an image", () =>
      Effect.gen(function*() {
        const { calls, complete } = yield* limited(
          { tokensPerMinute: 6000, followServer: false },
          { complete: [ScriptedProvider.fails()] }
        )
        const image = { type: "image", data: "A".repeat(40_000), mediaType: "image/png" } as const
        const call = Effect.exit(complete({ prompt: [image] }))
        yield* Effect.forkChild(Effect.all(times(4, call)))
        yield* TestClock.adjust("1 minute")

        assert.deepStrictEqual(calls().map(({ at }) => at), [0, 0, 0, 20_000])
      }))

    it.effect("give back what was interrupted while it waited for its turn", () =>
      Effect.gen(function*() {
        const { calls, complete } = yield* limited(
          { requestsPerMinute: 2, concurrency: 1 },
          { complete: [Effect.delay(answered(1), "10 seconds")] }
        )
        yield* Effect.forkChild(complete(), { startImmediately: true })
        const waiting = yield* Effect.forkChild(complete(), { startImmediately: true })
        yield* Fiber.interrupt(waiting)
        yield* Effect.forkChild(complete(), { startImmediately: true })
        yield* TestClock.adjust("10 seconds")

        assert.deepStrictEqual(calls().map(({ at }) => at), [0, 10_000])
      }))

    it.effect("let a request pass that is bigger than the limit, once the whole limit is there", () =>
      Effect.gen(function*() {
        const { calls, complete } = yield* limited({ tokensPerMinute: 100 }, { complete: [ScriptedProvider.fails()] })
        yield* Effect.forkChild(Effect.all(times(2, Effect.exit(complete({ maxOutputTokens: 5000 })))))
        yield* TestClock.adjust("1 minute")

        assert.deepStrictEqual(calls().map(({ at }) => at), [0, 60_000])
      }))

    it.effect("give back what was not sent, and the tokens of what was refused", () =>
      Effect.gen(function*() {
        const { calls, complete } = yield* limited(
          { requestsPerMinute: 2, tokensPerMinute: 100 },
          { complete: [ScriptedProvider.fails(network, "NotSent"), ScriptedProvider.refuses(invalid), answered(100)] }
        )
        const call = Effect.exit(complete({ maxOutputTokens: 100 }))
        yield* Effect.forkChild(Effect.all(times(4, call)))
        yield* TestClock.adjust("2 minutes")

        assert.deepStrictEqual(calls().map(({ at }) => at), [0, 0, 0, 60_000])
      }))

    it.effect("send nothing after a 429 until its wait is over", () =>
      Effect.gen(function*() {
        const { calls, complete } = yield* limited(
          { followServer: true },
          { complete: [ScriptedProvider.refuses(limitedFor("7 seconds")), answered(10)] }
        )
        yield* Effect.exit(complete())
        yield* Effect.forkChild(Effect.all(times(2, complete()), { concurrency: "unbounded" }))
        yield* TestClock.adjust("7 seconds")

        assert.deepStrictEqual(calls().map(({ at }) => at), [0, 7000, 7000])
      }))

    it.effect.each<[string, Record<string, string>]>([
      ["OpenAI's", {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "59s"
      }],
      ["LiteLLM's, of its upstream,", {
        "llm_provider-x-ratelimit-limit-requests": "60",
        "llm_provider-x-ratelimit-remaining-requests": "1"
      }],
      ["Anthropic's", {
        "anthropic-ratelimit-requests-limit": "60",
        "anthropic-ratelimit-requests-remaining": "1",
        "anthropic-ratelimit-requests-reset": "2026-11-22T12:00:00Z"
      }]
    ])("follow %s headers down, and never up", ([, headers]) =>
      Effect.gen(function*() {
        const { calls, complete, limits } = yield* limited({ requestsPerMinute: 600 }, { complete: [answered(10)] })
        yield* complete()
        yield* hear(limits, headers)
        // One is left, and then one comes each second.
        yield* Effect.forkChild(Effect.all(times(3, complete()), { concurrency: "unbounded" }))
        yield* TestClock.adjust("2 seconds")
        const slow = calls().map(({ at }) => at)
        yield* hear(limits, { "x-ratelimit-limit-requests": "100000", "x-ratelimit-remaining-requests": "99999" })
        yield* Effect.forkChild(Effect.all(times(2, complete()), { concurrency: "unbounded" }))
        yield* TestClock.adjust("1 second")

        assert.deepStrictEqual(slow, [0, 0, 1000, 2000])
        assert.deepStrictEqual(calls().slice(4).map(({ at }) => at), [2100, 2200])
      }))

    it.effect("ignore headers that say nothing, such as Azure's, and those of polls", () =>
      Effect.gen(function*() {
        const { calls, complete, limits } = yield* limited({ requestsPerMinute: 60 }, { complete: [answered(10)] })
        yield* hear(limits, { "x-ratelimit-limit-requests": "-1", "x-ratelimit-remaining-requests": "-1" })
        yield* hear(limits, { "x-ratelimit-remaining-requests": "many" })
        yield* hear(limits, { "x-ratelimit-limit-requests": "1", "x-ratelimit-remaining-requests": "0" }, "GET")
        yield* Effect.all(times(3, complete()))

        assert.lengthOf(calls(), 3)
      }))

    it.effect("are shared through the store of the context", () =>
      Effect.gen(function*() {
        const one = yield* limited({ requestsPerMinute: 1 }, { complete: [answered(10)] })
        const other = yield* limited({ requestsPerMinute: 1 }, { complete: [answered(10)] })
        yield* one.complete()
        const waiting = yield* Effect.forkChild(other.complete(), { startImmediately: true })
        yield* TestClock.adjust("59 seconds")
        const before = other.calls().length
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(waiting)

        assert.strictEqual(before, 0)
        assert.strictEqual(other.calls()[0]?.at, 60_000)
      }).pipe(Effect.provide(RateLimiter.layerStoreMemory)))

    it.effect("let requests pass when the store fails", () =>
      Effect.gen(function*() {
        const { calls, complete } = yield* limited(
          { requestsPerMinute: 1, tokensPerMinute: 1 },
          { complete: [answered(10)] }
        )
        yield* Effect.all(times(3, complete()))

        assert.lengthOf(calls(), 3)
      }).pipe(Effect.provideService(RateLimiter.RateLimiterStore, brokenStore)))

    it.effect("hold a submission back for half of its timeout, then say that it was not sent", () =>
      Effect.gen(function*() {
        const { calls, provider } = yield* limited({ requestsPerMinute: 1 }, {})
        const submit = (submitTimeout?: Duration.Input) => submitOf(provider, { submitTimeout })
        yield* submit()
        const refused = yield* Effect.forkChild(Effect.flip(submit()), { startImmediately: true })
        yield* TestClock.adjust("1 second")
        const error = yield* Fiber.join(refused)
        const patient = yield* Effect.forkChild(submit("2 minutes"), { startImmediately: true })
        yield* TestClock.adjust("59 seconds")
        yield* Fiber.join(patient)

        assert.strictEqual(error.evidence, "NotSent")
        assert.strictEqual(error.verdict.reason._tag, "RateLimited")
        assert.deepStrictEqual(calls("submit").map(({ at }) => at), [0, 60_000])
      }))

    it.effect("are not waited for again by a request that was admitted", () =>
      Effect.gen(function*() {
        const { calls, provider } = yield* limited({ requestsPerMinute: 1 }, {})
        const request = decode({})
        yield* provider.admit?.(decode({})) ?? Effect.void
        yield* Effect.forkChild(provider.admit?.(request) ?? Effect.void)
        yield* TestClock.adjust("1 minute")
        yield* provider.jobs?.submit(request, { submissionId: "s" }) ?? Effect.void

        assert.strictEqual(calls("submit")[0]?.at, 60_000)
      }))
  })

  describe("concurrency", () => {
    it.effect("holds calls back beyond the limit, over all models, but no polls", () =>
      Effect.gen(function*() {
        const slow = Effect.delay(Effect.succeed(success(10)), "10 seconds")
        const { bare, calls, limits, provider } = yield* limited({ concurrency: 2 }, { complete: [slow] })
        const other = limits.apply({ ...bare, model: "other" })
        yield* Effect.forkChild(
          Effect.all([callOf(provider), callOf(other), callOf(provider), callOf(other)], { concurrency: "unbounded" })
        )
        yield* TestClock.adjust("5 seconds")
        yield* provider.jobs?.retrieve("job-1") ?? Effect.void
        yield* provider.jobs?.cancel("job-1") ?? Effect.void
        yield* TestClock.adjust("15 seconds")

        assert.deepStrictEqual(calls("complete").map(({ at }) => at), [0, 0, 10_000, 10_000])
        assert.strictEqual(calls("retrieve")[0]?.at, 5000)
        assert.strictEqual(calls("cancel")[0]?.at, 5000)
      }))

    it.effect("holds a stream's place until the stream is over", () =>
      Effect.gen(function*() {
        const { calls, provider } = yield* limited({ concurrency: 1 }, { complete: [answered(10)] }, {
          completions: {
            complete: () => Effect.die("unused"),
            stream: () =>
              Stream.fromEffectSchedule(Effect.succeed(text), everySecond).pipe(
                Stream.take(3),
                Stream.concat(Stream.succeed(ended(10)))
              )
          }
        })
        const watching = yield* Effect.forkChild(Stream.runCollect(streamOf(provider)), { startImmediately: true })
        yield* Effect.forkChild(provider.responses?.create(decode({})) ?? Effect.void)
        yield* TestClock.adjust("1 minute")

        assert.deepStrictEqual((yield* Fiber.join(watching)).map(({ _tag }) => _tag), ["Text", "Text", "Text", "Ended"])
        assert.strictEqual(calls("create")[0]?.at, 2000)
      }))

    it.effect("gives places back after failures, of calls, submissions and streams", () =>
      Effect.gen(function*() {
        const { bare, complete, limits, provider } = yield* limited(
          { concurrency: 2 },
          { complete: [ScriptedProvider.fails()], submit: [ScriptedProvider.fails()] },
          { responses: { create: () => Effect.die("Broken"), stream: () => Stream.fail(failure(network)) } }
        )
        const watch = Stream.runDrain(provider.responses?.stream?.(decode({})) ?? Stream.empty)
        const broken = Effect.suspend(() => provider.responses?.create(decode({})) ?? Effect.void)
        yield* Effect.forEach([complete(), submitOf(provider, {}), watch, broken], (call) =>
          Effect.exit(Effect.asVoid(call)))

        assert.strictEqual(yield* simultaneous(limits, bare), 2)
      }))

    it.live("leaves no permit behind, wherever ten thousand calls are interrupted", () =>
      Effect.gen(function*() {
        const { bare, limits, provider } = yield* limited(
          { concurrency: 3, circuitBreaker: true, requestsPerMinute: 1_000_000_000 },
          { complete: [Effect.andThen(yields(4), Effect.succeed(success(1)))] },
          {
            responses: {
              create: () => Effect.die("unused"),
              stream: () => Stream.make(text, text, ended(1)).pipe(Stream.tap(() => yields(1)))
            }
          }
        )
        const watch = Stream.runDrain(provider.responses?.stream?.(decode({})) ?? Stream.empty)
        yield* Effect.forEach(Array.from({ length: 10_000 }, (_, n) => n), (n) =>
          Effect.gen(function*() {
            const fiber = yield* Effect.forkChild(n % 2 === 0 ? callOf(provider) : watch, {
              startImmediately: n % 3 === 0
            })
            yield* yields(yield* Random.nextIntBetween(0, 12))
            yield* Fiber.interrupt(fiber)
          }), { concurrency: 8, discard: true })

        // Three at a time, all of them at once.
        const together = yield* simultaneous(limits, bare)
        assert.strictEqual(together, 3)
      }))
  })

  describe("circuit breaker", () => {
    it.effect("opens for a model after five failures in a row, and lets one call try after 30 seconds", () =>
      Effect.gen(function*() {
        const { bare, calls, complete, limits } = yield* limited({ circuitBreaker: true }, {
          complete: [...times(6, ScriptedProvider.refuses(serverError)), answered(10)]
        })
        const tags = yield* Effect.forEach(times(6, complete()), tagOf)
        const open = yield* Effect.flip(complete())
        const other = yield* tagOf(callOf(limits.apply({ ...bare, model: "other" })))
        yield* TestClock.adjust("30 seconds")

        assert.deepStrictEqual(tags, [...times(5, "ServerError"), "CircuitOpen"])
        assert.strictEqual(open.evidence, "NotSent")
        assert.strictEqual(waitOf(open), 30_000)
        assert.strictEqual(other, "ServerError")
        assert.strictEqual(yield* tagOf(complete()), "Answered")
        assert.strictEqual(yield* tagOf(complete()), "Answered")
        assert.lengthOf(calls(), 8)
      }))

    it.effect("that is open ends a call at once, and says how long to wait", () =>
      Effect.gen(function*() {
        const scripted = yield* ScriptedProvider.make({ complete: [ScriptedProvider.refuses(serverError)] })
        const layer = Layer.provide(Holdfast.layer, [
          within(scripted, { circuitBreaker: { failures: 1, openFor: "10 seconds" } }),
          SessionStore.layerMemory
        ])
        const error = yield* Effect.gen(function*() {
          yield* Effect.exit(Holdfast.execute({ ...call, retry: Schedule.recurs(0) }))
          return yield* Effect.flip(Holdfast.execute(call))
        }).pipe(Effect.provide(layer))

        assert.containSubset(error, {
          _tag: "Retryable",
          reason: { _tag: "CircuitOpen" },
          retryAfter: Duration.seconds(10),
          attempts: 0
        })
        assert.lengthOf(scripted.calls("complete"), 1)
      }))

    it.effect("stays open twice as long when the try fails", () =>
      Effect.gen(function*() {
        const { complete } = yield* limited({ circuitBreaker: { failures: 2, openFor: "10 seconds" } }, {
          complete: [ScriptedProvider.refuses(overloaded)]
        })
        yield* Effect.forEach(times(2, complete()), tagOf)
        const waits: Array<number | undefined> = []
        for (let n = 0; n < 6; n++) {
          const wait = waitOf(yield* Effect.flip(complete()))
          waits.push(wait)
          yield* TestClock.adjust(wait ?? 0)
          yield* tagOf(complete())
        }

        assert.deepStrictEqual(waits, [10_000, 20_000, 40_000, 80_000, 100_000, 100_000])
      }))

    it.effect("takes a success, a refusal of the request and a rate limit for no failure", () =>
      Effect.gen(function*() {
        const { complete } = yield* limited({ circuitBreaker: { failures: 2 } }, {
          complete: [
            ScriptedProvider.refuses(serverError),
            ScriptedProvider.refuses(invalid),
            ScriptedProvider.refuses(serverError),
            ScriptedProvider.refuses(limitedFor("1 second")),
            answered(10),
            ScriptedProvider.refuses(serverError)
          ]
        })

        assert.notInclude(yield* Effect.forEach(times(6, complete()), tagOf), "CircuitOpen")
      }))

    it.effect.each<[string, Verdict]>([
      ["QuotaExceeded", { _tag: "NonRetryable", reason: new QuotaExceeded({ message: "" }) }],
      ["AuthenticationFailed", { _tag: "NonRetryable", reason: new AuthenticationFailed({ message: "" }) }]
    ])("opens for the whole account at the first %s", ([, verdict]) =>
      Effect.gen(function*() {
        const { bare, complete, limits } = yield* limited({ circuitBreaker: true }, {
          complete: [ScriptedProvider.refuses(verdict), answered(10)]
        })
        const other = callOf(limits.apply({ ...bare, model: "other" }))
        yield* tagOf(complete())
        const open = [yield* tagOf(complete()), yield* tagOf(other)]
        yield* TestClock.adjust("30 seconds")

        assert.deepStrictEqual(open, ["CircuitOpen", "CircuitOpen"])
        assert.strictEqual(yield* tagOf(other), "Answered")
        assert.strictEqual(yield* tagOf(complete()), "Answered")
      }))

    it.effect("keeps others out while one call tries, and lets polls pass", () =>
      Effect.gen(function*() {
        const { calls, complete, provider } = yield* limited({ circuitBreaker: { failures: 1 } }, {
          complete: [ScriptedProvider.refuses(serverError), Effect.delay(Effect.succeed(success(1)), "5 seconds")]
        })
        yield* tagOf(complete())
        yield* provider.jobs?.retrieve("job-1") ?? Effect.void
        yield* TestClock.adjust("30 seconds")
        const probe = yield* Effect.forkChild(tagOf(complete()), { startImmediately: true })
        const meanwhile = yield* Effect.flip(complete())
        yield* TestClock.adjust("5 seconds")

        assert.strictEqual(meanwhile.verdict.reason._tag, "CircuitOpen")
        assert.strictEqual(waitOf(meanwhile), 1000)
        assert.strictEqual(yield* Fiber.join(probe), "Answered")
        assert.lengthOf(calls("retrieve"), 1)
      }))

    it.effect("is shared by processes through the store of the context", () =>
      Effect.gen(function*() {
        const scripted = yield* ScriptedProvider.make({
          complete: [ScriptedProvider.refuses({ _tag: "NonRetryable", reason: new QuotaExceeded({ message: "" }) })]
        })
        const process = Effect.map(
          Layer.build(within(scripted, { circuitBreaker: true })),
          (context) => Context.get(context, Providers.Providers)
        )
        const [one, other] = [yield* process, yield* process]
        yield* tagOf(callOf(yield* one.resolve("test/m")))

        assert.strictEqual(yield* tagOf(callOf(yield* other.resolve("test/n"))), "CircuitOpen")
        assert.lengthOf(scripted.calls("complete"), 1)
      }).pipe(Effect.provide(CircuitBreaker.layerStoreMemory())))

    it.effect("lets calls pass when the store fails", () =>
      Effect.gen(function*() {
        const { complete } = yield* limited({ circuitBreaker: { failures: 1 } }, {
          complete: [ScriptedProvider.refuses(serverError), answered(1)]
        })

        assert.deepStrictEqual(yield* Effect.forEach(times(2, complete()), tagOf), ["ServerError", "Answered"])
      }).pipe(Effect.provideService(CircuitBreaker.CircuitBreakerStore, brokenCircuits)))

    it.effect("learns nothing from a stream that was left before its end", () =>
      Effect.gen(function*() {
        const { complete, provider } = yield* limited(
          { circuitBreaker: { failures: 1 }, concurrency: 1 },
          { complete: [answered(1)] },
          {
            responses: {
              create: () => Effect.die("unused"),
              stream: () => Stream.make(text, text, ended(1)).pipe(Stream.rechunk(1))
            }
          }
        )
        yield* Stream.runDrain(Stream.take(provider.responses?.stream?.(decode({})) ?? Stream.empty, 1))

        assert.strictEqual(yield* tagOf(complete()), "Answered")
      }))

    it.effect("learns from streams: their failures, their cuts and their ends", () =>
      Effect.gen(function*() {
        const scripts: Array<Stream.Stream<StreamEvent, ProviderError>> = [
          Stream.make(text),
          Stream.make(text, ended(1)),
          Stream.make(text),
          Stream.concat(Stream.make(text), Stream.fail(failure(network))),
          Stream.make(text, ended(1))
        ]
        const { provider } = yield* limited({ circuitBreaker: { failures: 2 } }, {}, {
          completions: {
            complete: () => Effect.die("unused"),
            stream: () => scripts.shift() ?? Stream.die("no more")
          }
        })
        const watch = Effect.match(Stream.runCount(streamOf(provider)), {
          onFailure: ({ verdict }) => verdict.reason._tag,
          onSuccess: (count) => count
        })
        const seen = yield* Effect.all(times(5, watch))
        yield* TestClock.adjust("30 seconds")

        assert.deepStrictEqual(seen, [1, 2, 1, "Network", "CircuitOpen"])
        assert.strictEqual(yield* watch, 2)
      }))
  })

  it.effect("are told of what responses to one model say", () =>
    Effect.gen(function*() {
      let requests = 0
      const fetch: Transport.Fetch = () => {
        requests++
        return Promise.resolve(Response.json(chatAnswer, {
          headers: { "x-ratelimit-limit-requests": "60", "x-ratelimit-remaining-requests": "0" }
        }))
      }
      const { resolve } = yield* Effect.map(
        Layer.build(
          Providers.layer({ acme: { baseUrl: "http://acme.test/v1", limits: { requestsPerMinute: 600 } } }).pipe(
            Layer.provide(Layer.succeed(Transport.Transport, { fetch, fetchFresh: fetch }))
          )
        ),
        (context) => Context.get(context, Providers.Providers)
      )
      yield* callOf(yield* resolve("acme/m"))
      yield* callOf(yield* resolve("acme/other"))
      const waiting = yield* Effect.forkChild(callOf(yield* resolve("acme/m")), { startImmediately: true })
      yield* TestClock.adjust("999 millis")
      const before = requests
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(waiting)

      assert.strictEqual(before, 2)
      assert.strictEqual(requests, 3)
    }))

  it.each<[string, Limits.Options]>([
    ["requestsPerMinute", { requestsPerMinute: 0 }],
    ["tokensPerMinute", { tokensPerMinute: 1.5 }],
    ["expectedOutputTokens", { expectedOutputTokens: -1 }],
    ["concurrency", { concurrency: Infinity }],
    ["retryBudget.size", { retryBudget: { size: -1 } }],
    ["circuitBreaker.failures", { circuitBreaker: { failures: 0 } }],
    ["circuitBreaker.openFor", { circuitBreaker: { openFor: 0 } }]
  ])("throw for %s out of its range", (name, limits) => {
    assert.throws(() => Limits.make(account, limits), RangeError, `Limits.make: ${name} must`)
    assert.throws(() => Providers.layer({}, { limits }), RangeError, `Providers.layer: limits: ${name} must`)
    assert.throws(() => Providers.make({ openai: { limits } }), RangeError, `openai.limits: ${name} must`)
  })
})

const call = { model: "test/m", prompt: "Hi", strategy: "completions" } as const

type Budget = NonNullable<Provider["retryBudget"]>

const account: Limits.AccountName = { provider: "test", key: "holdfast/test" }

const serverError: Verdict = { _tag: "Retryable", reason: new ServerError({ message: "" }) }
const overloaded: Verdict = { _tag: "Retryable", reason: new Overloaded({ message: "" }) }
const network: Verdict = { _tag: "Retryable", reason: new Network({ message: "" }) }
const invalid: Verdict = { _tag: "NonRetryable", reason: new InvalidRequest({ message: "" }) }

const limitedFor = (retryAfter?: Duration.Input): Verdict => ({
  _tag: "Retryable",
  reason: new RateLimited({ message: "" }),
  ...(retryAfter === undefined ? {} : { retryAfter: Duration.fromInputUnsafe(retryAfter) })
})

const limitedAbout = (retryHint: Duration.Input): Verdict => ({
  _tag: "Retryable",
  reason: new RateLimited({ message: "" }),
  retryHint: Duration.fromInputUnsafe(retryHint)
})

const failure = (verdict: Verdict, evidence: ProviderError["evidence"] = "Refused"): ProviderError =>
  new ProviderError({ verdict, evidence })

const times = <A>(n: number, value: A): ReadonlyArray<A> => Array.from({ length: n }, () => value)

const yields = (n: number) => Effect.repeat(Effect.yieldNow, { times: n })

const everySecond = Schedule.spaced("1 second")

const usage = (tokens: number) =>
  new Usage({
    inputTokens: tokens,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    totalTokens: tokens
  })

const success = (tokens: number): Outcome => ScriptedProvider.succeeded("ok", { usage: usage(tokens) })

const answered = (tokens: number) => Effect.succeed(success(tokens))

const text: StreamEvent = { _tag: "Text", delta: "a" }

const ended = (tokens: number): StreamEvent => ({ _tag: "Ended", outcome: success(tokens) })

const decode = (input: Partial<typeof ResponseRequest.Encoded>) =>
  Schema.decodeSync(ResponseRequest)({ model: "test/m", prompt: "Hi", ...input })

const callOf = (provider: Provider, input: Partial<typeof ResponseRequest.Encoded> = {}) =>
  Effect.suspend(() => provider.completions?.complete(decode(input)) ?? Effect.die("no completions"))

const submitOf = (provider: Provider, input: Partial<typeof ResponseRequest.Encoded>) =>
  Effect.suspend(() => provider.jobs?.submit(decode(input), { submissionId: "s" }) ?? Effect.die("no jobs"))

const streamOf = (provider: Provider) => provider.completions?.stream?.(decode({})) ?? Stream.die("no stream")

const tagOf = (call: Effect.Effect<Outcome, ProviderError>) =>
  Effect.match(call, { onFailure: ({ verdict }) => verdict.reason._tag, onSuccess: () => "Answered" })

const waitOf = ({ verdict }: ProviderError) =>
  verdict._tag === "Retryable" && verdict.retryAfter !== undefined ? Duration.toMillis(verdict.retryAfter) : undefined

const budget = (options: Limits.RetryBudgetOptions | undefined = undefined) =>
  Effect.flatMap(
    Limits.make(account, options === undefined ? {} : { retryBudget: options }),
    ({ apply }) => Effect.fromNullishOr(apply({ name: "test", model: "m" }).retryBudget)
  )

const providers = (retryBudget: Limits.Options["retryBudget"]) =>
  Providers.make({ test: (model) => ({ name: "test", model }) }, { limits: { retryBudget } })

/** A scripted provider within limits. */
const limited = Effect.fnUntraced(function*(
  options: Limits.Options,
  script: ScriptedProvider.Script,
  ports: Partial<Provider> = {}
) {
  const scripted = yield* ScriptedProvider.make({
    submit: [ScriptedProvider.accepted()],
    create: [answered(1)],
    ...script
  })
  const limits = yield* Limits.make(account, options)
  const bare = { ...scripted.provider("m"), ...ports }
  const provider = limits.apply(bare)
  return {
    limits,
    provider,
    bare,
    calls: scripted.calls,
    complete: (input: Partial<typeof ResponseRequest.Encoded> = {}) => callOf(provider, input)
  }
})

const hear = ({ observe }: Limits.Limits, headers: Record<string, string>, method = "POST") =>
  Effect.promise(async () => {
    await observe?.("m", () => Promise.resolve(new Response("", { headers })))("http://test", { method })
  })

/** How many of ten calls are in flight together. */
const simultaneous = Effect.fnUntraced(function*(limits: Limits.Limits, provider: Provider) {
  let inFlight = 0
  let most = 0
  const held = limits.apply({
    ...provider,
    model: "probe",
    completions: {
      complete: Effect.fnUntraced(function*() {
        most = Math.max(most, ++inFlight)
        yield* yields(10)
        inFlight--
        return success(1)
      })
    }
  })
  yield* Effect.all(times(10, callOf(held)), { concurrency: "unbounded" })
  return most
})

const storeError = Effect.fail(
  new RateLimiter.RateLimiterError({ reason: new RateLimiter.RateLimitStoreError({ message: "down" }) })
)

const brokenStore = RateLimiter.RateLimiterStore.of({
  fixedWindow: () => storeError,
  tokenBucket: () => storeError,
  adaptiveConsume: () => storeError,
  adaptiveFeedback: () => storeError
})

const circuitsError = Effect.fail(
  new CircuitBreaker.CircuitBreakerError({
    reason: new CircuitBreaker.CircuitBreakerStoreError({ message: "down" })
  })
)

const brokenCircuits = CircuitBreaker.CircuitBreakerStore.of({
  admit: () => circuitsError,
  record: () => circuitsError,
  state: () => circuitsError
})

const chatAnswer = {
  id: "c",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hi", refusal: null } }]
}

/** What comes of calls that a minute offers evenly. */
const offered = Effect.fnUntraced(function*(
  calls: number,
  complete: NonNullable<ScriptedProvider.Script["complete"]>,
  limits: Limits.Options = {}
) {
  const scripted = yield* ScriptedProvider.make({ complete })
  return yield* Effect.gen(function*() {
    const fibers = yield* Effect.forEach(
      times(calls, Effect.exit(Holdfast.execute(call))),
      (one) => Effect.tap(Effect.forkChild(one), TestClock.adjust(60_000 / calls))
    )
    yield* TestClock.adjust("5 minutes")
    const sent = scripted.calls("complete")
    return {
      attempts: sent.length,
      inTheMinute: sent.filter(({ at }) => at < 60_000).length,
      unended: fibers.filter((fiber) => fiber.pollUnsafe() === undefined).length
    }
  }).pipe(Effect.provide(Holdfast.layer.pipe(Layer.provide([within(scripted, limits), SessionStore.layerMemory]))))
})

/** The scripted provider's models, within limits. */
const within = ({ provider }: ScriptedProvider.ScriptedProvider, limits: Limits.Options) =>
  Layer.fresh(Providers.layer({ test: provider }, { limits }))
