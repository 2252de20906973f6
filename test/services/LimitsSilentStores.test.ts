import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { TestClock } from "effect/testing"
import { Holdfast, type Limits, Providers, Reason, type ResponseRequest, SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import type { Provider } from "../../src/services/Provider.ts"
import { withoutJitter } from "../strategies/Processes.ts"

const { accepted, ended, pending, refuses, succeeded } = ScriptedProvider

describe("Limits whose stores never answer", () => {
  it.effect.each<[string, Partial<ResponseRequest.RequestInput>]>([
    ["a background job", { strategy: "background" }],
    ["a held call", { strategy: "sync" }],
    ["completions", { strategy: "completions" }]
  ])("delay %s by 250 ms, and its answer not at all", ([, input]) =>
    Effect.gen(function*() {
      const { execute } = yield* start()
      const first = yield* begin(Effect.andThen(execute(input), Clock.currentTimeMillis))
      yield* TestClock.adjust("2 seconds")

      // A job is polled after a second.
      assert.strictEqual(yield* Fiber.join(first), input.strategy === "background" ? 1250 : 250)
    }).pipe(withoutJitter))

  it.effect("delay a stream by 250 ms, and its end not at all", () =>
    Effect.gen(function*() {
      const { stream } = yield* start()
      const watching = yield* begin(Effect.andThen(
        Stream.runDrain(stream({ ...call, strategy: "completions" })),
        Clock.currentTimeMillis
      ))
      yield* TestClock.adjust("2 seconds")

      assert.strictEqual(yield* Fiber.join(watching), 250)
    }))

  it.effect("leave a job's id in the journal, and return a paid answer, when they fall silent in flight", () =>
    Effect.gen(function*() {
      const isSilent = { now: false }
      const { execute, load } = yield* start(
        {
          submit: [() => Effect.andThen(Effect.sync(() => isSilent.now = true), accepted("job-1"))],
          retrieve: [pending()],
          complete: [() =>
            Effect.sync(() => {
              isSilent.now = true
              return succeeded("paid")
            })]
        },
        {},
        makeStores(isSilent)
      )
      yield* begin(execute({ strategy: "background", session: "s" }))
      yield* settleDown
      const { entries } = yield* load("s")
      isSilent.now = false
      const answer = yield* begin(execute({ strategy: "completions" }))
      yield* settleDown

      assert.include(entries.map(({ _tag }) => _tag), "Accepted")
      assert.strictEqual((yield* Fiber.join(answer)).content, "paid")
    }))

  it.effect("leave the phase of a Timeout true, and the layer's close short", () =>
    Effect.gen(function*() {
      const { close, execute } = yield* start({ retrieve: [pending()] })
      const running = yield* begin(Effect.flip(execute({ strategy: "background", deadline: "9 seconds" })))
      yield* TestClock.adjust("9 seconds")
      const error = yield* Fiber.join(running)
      const closing = yield* begin(close)
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)

      assert.deepInclude(error, { _tag: "Timeout", phase: "running", jobId: "job-1" })
    }))

  it.effect("do not make a failure of the call another one", () =>
    Effect.gen(function*() {
      const { execute } = yield* start({
        complete: [refuses({ _tag: "NonRetryable", reason: new Reason.InvalidRequest({ message: "no" }) })]
      })
      const failing = yield* begin(Effect.flip(execute({ strategy: "completions" })))
      yield* TestClock.adjust("1 second")
      const error = yield* Fiber.join(failing)

      assert.strictEqual("reason" in error ? error.reason._tag : undefined, "InvalidRequest")
    }))

  it.effect("are the retry budget of a provider's own too", () =>
    Effect.gen(function*() {
      const retryBudget = { take: () => Effect.never, giveBack: Effect.uninterruptible(Effect.never) }
      const { execute } = yield* start({
        complete: [
          refuses({ _tag: "Retryable", reason: new Reason.Overloaded({ message: "busy" }) }),
          Effect.succeed(succeeded("ok"))
        ]
      }, { retryBudget })
      const answer = yield* begin(execute({ strategy: "completions" }))
      yield* TestClock.adjust("10 seconds")

      assert.strictEqual((yield* Fiber.join(answer)).content, "ok")
    }))

  it.effect("free a circuit for the next probe when they answer late", () =>
    Effect.gen(function*() {
      const recorded: Array<unknown> = []
      const store = CircuitBreaker.CircuitBreakerStore.of({
        state: (key) => Effect.succeed({ _tag: "Closed", key }),
        admit: () =>
          Effect.as(Effect.sleep("3 seconds"), {
            generation: 7,
            probe: true,
            consecutiveOpenings: 1,
            transition: undefined
          }),
        record: (outcome) => Effect.as(Effect.sync(() => recorded.push(outcome)), undefined)
      })
      const { execute } = yield* start(
        {},
        {},
        makeStores({ now: false }).pipe(
          Layer.merge(Layer.succeed(CircuitBreaker.CircuitBreakerStore, store))
        )
      )
      const answer = yield* begin(execute({ strategy: "completions" }))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(answer)
      const early = recorded.length
      yield* TestClock.adjust("3 seconds")

      assert.strictEqual(early, 0)
      assert.isNotEmpty(recorded)
      for (const one of recorded) assert.deepInclude(one, { generation: 7, outcome: "Ignored" })
    }))
})

const call = { model: "test/m", prompt: "Hi" } as const

/** Everything that asks a store. */
const limits: Limits.Options = { requestsPerMinute: 1000, tokensPerMinute: 1_000_000, circuitBreaker: true }

const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

const settleDown = Effect.repeat(Effect.yieldNow, { times: 100 })

/** Stores that let everything pass, or, while `now` is true, never answer, not even an interruption. */
const makeStores = (isSilent: { now: boolean }) => {
  const answer = <A>(value: A): Effect.Effect<A> =>
    Effect.suspend(() => isSilent.now ? Effect.uninterruptible(Effect.never) : Effect.succeed(value))
  const admission = { generation: 1, probe: false, consecutiveOpenings: 0, transition: undefined }
  return Layer.mergeAll(
    Layer.succeed(RateLimiter.RateLimiterStore, {
      fixedWindow: () => answer([1, 1] as const),
      tokenBucket: () => answer([100, 0] as const),
      adaptiveConsume: () => answer({ delay: Duration.zero, epoch: 0, phase: "inactive" } as const),
      adaptiveFeedback: () => answer(undefined)
    }),
    Layer.succeed(CircuitBreaker.CircuitBreakerStore, {
      admit: () => answer(admission),
      record: () => answer(undefined),
      state: (key) => answer({ _tag: "Closed", key } as const)
    })
  )
}

/** A `Holdfast` within limits, that ends with the test or with `close`. */
const start = Effect.fnUntraced(function*(
  script: ScriptedProvider.Script = {},
  ports: Partial<Provider> = {},
  stores: ReturnType<typeof makeStores> = makeStores({ now: true })
) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const scripted = yield* ScriptedProvider.make({
    submit: [accepted("job-1")],
    retrieve: [ended(succeeded("ok"))],
    create: [Effect.succeed(succeeded("ok"))],
    complete: [Effect.succeed(succeeded("ok"))],
    completeStream: [Stream.succeed({ _tag: "Ended", outcome: succeeded("ok") })],
    ...script
  })
  const provider = (model: string): Provider => ({ ...scripted.provider(model), ...ports })
  const context = yield* Layer.buildWithScope(
    Layer.fresh(Holdfast.layer.pipe(
      Layer.provideMerge(SessionStore.layerMemory),
      Layer.provideMerge(Providers.layer({ test: provider }, { limits }).pipe(Layer.provide(stores)))
    )),
    scope
  )
  // The limits are made, and Effect's modules loaded, for the first call.
  yield* Context.get(context, Providers.Providers).resolve("test/m")
  const { execute, stream } = Context.get(context, Holdfast.Holdfast)
  return {
    execute: (input: Partial<ResponseRequest.RequestInput>) => {
      const request: ResponseRequest.RequestInput = { ...call, ...input }
      return execute(request)
    },
    stream,
    load: Context.get(context, SessionStore.SessionStore).load,
    close: Scope.close(scope, Exit.void)
  }
})
