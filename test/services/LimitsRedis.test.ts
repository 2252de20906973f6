import { assert, describe, it } from "@effect/vitest"
import { Clock, ConfigProvider, Context, Duration, Effect, Exit, Fiber, Layer, Logger, Schema, Scope } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { Holdfast, Providers, Reason, ResponseRequest, SessionStore } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import type * as Limits from "../../src/services/Limits.ts"
import * as example from "../examples/redis.ts"
import * as RedisServer from "../fixtures/RedisServer.ts"

const { accepted, pending, succeeded } = ScriptedProvider

const outages: ReadonlyArray<[string, (server: RedisServer.RedisServer["Service"]) => Effect.Effect<void>]> = [
  ["frozen", ({ freeze }) => freeze],
  ["killed", ({ kill }) => kill]
]

// Where redis-server is missing, the tests are skipped, and their title says so.
describe.skipIf(!RedisServer.isInstalled)(
  `Limits in Redis${RedisServer.isInstalled ? "" : " (skipped: redis-server is not on the PATH)"}`,
  () => {
    it.live("hold two processes to one rate", () =>
      withServer(Effect.gen(function*() {
        const one = yield* start({ complete: answers }, { requestsPerMinute: 2 })
        const other = yield* start({ complete: answers }, { requestsPerMinute: 2 })
        yield* one.execute(held)
        yield* one.execute(held)
        const waiting = yield* Effect.forkScoped(other.execute(held))
        yield* Effect.sleep("500 millis")

        assert.isUndefined(waiting.pollUnsafe())
      })))

    it.live("share an open circuit between two processes", () =>
      withServer(Effect.gen(function*() {
        const down = yield* start(
          { complete: [ScriptedProvider.refuses({ _tag: "Retryable", reason: serverError })] },
          { circuitBreaker: { failures: 1 } }
        )
        const other = yield* start({ complete: answers }, { circuitBreaker: { failures: 1 } })
        yield* Effect.exit(down.execute({ ...held, deadline: "1 second" }))
        // The outcome is told behind the call.
        yield* Effect.sleep("50 millis")
        const error = yield* Effect.flip(other.execute({ ...held, deadline: "1 second" }))

        assert.lengthOf(other.calls(), 0)
        assert.strictEqual("reason" in error ? error.reason._tag : error._tag, "CircuitOpen")
      })))

    it.live.each(outages)(
      "let calls pass after 250 ms, and then at once, when Redis was %s before",
      ([, outage]) =>
        withServer(Effect.gen(function*() {
          const process = yield* start({ complete: answers }, everything)
          yield* process.execute(held)
          const hundred = millisOf(Effect.all(times(100, process.execute(held))))
          const usual = yield* hundred
          yield* outage(yield* RedisServer.RedisServer)
          const first = yield* millisOf(process.execute(held))
          const after = yield* hundred

          assert.isBelow(first, 250 + slack)
          assert.isBelow(after, 2 * usual + slack)
          assert.lengthOf(process.warnings(), 2)
        }))
    )

    it.live.each(outages)(
      "let a thousand calls at once wait for 250 ms together when Redis is %s",
      ([, outage]) =>
        withServer(Effect.gen(function*() {
          const process = yield* start({ complete: answers }, { ...everything, concurrency: undefined })
          const thousand = millisOf(Effect.all(times(1000, process.execute(held)), { concurrency: "unbounded" }))
          const usual = yield* thousand
          yield* outage(yield* RedisServer.RedisServer)
          const took = yield* thousand
          // The second store is noticed a little later, without a call that waits for it.
          yield* Effect.sleep(250 + slack)

          assert.isBelow(took, 250 + 2 * usual + slack)
          assert.lengthOf(process.warnings(), 2)
        }))
    )

    it.live.each(outages)("journal an accepted job's id at once when Redis is %s while its POST is in flight", (
      [, outage]
    ) =>
      withServer(Effect.gen(function*() {
        const server = yield* RedisServer.RedisServer
        const process = yield* start({
          submit: [() => Effect.andThen(outage(server), accepted("job-1"))],
          retrieve: [pending()]
        }, everything)
        const running = yield* Effect.forkScoped(process.execute({ ...held, strategy: "background", session: "s" }))
        yield* Effect.sleep(slack)
        const { entries } = yield* process.load("s")
        yield* Fiber.interrupt(running)

        assert.include(entries.map(({ _tag }) => _tag), "Accepted")
      })))

    it.live.each(outages)(
      "return a held call's answer at once when Redis is %s while it is in flight",
      ([, outage]) =>
        withServer(Effect.gen(function*() {
          const server = yield* RedisServer.RedisServer
          let answeredAt = 0
          const process = yield* start({
            complete: [() =>
              Effect.gen(function*() {
                yield* outage(server)
                answeredAt = yield* Clock.currentTimeMillis
                return succeeded("paid")
              })]
          }, everything)
          const answer = yield* process.execute(held)
          const late = (yield* Clock.currentTimeMillis) - answeredAt

          assert.strictEqual(answer.content, "paid")
          assert.isBelow(late, slack)
        }))
    )

    it.live.each(outages)(
      "let the layer close when Redis is %s, before and behind a call",
      ([, outage]) =>
        withServer(Effect.gen(function*() {
          const server = yield* RedisServer.RedisServer
          const process = yield* start({
            complete: [() => Effect.andThen(outage(server), Effect.succeed(succeeded("paid")))]
          }, everything)
          yield* process.execute(held)
          const took = yield* millisOf(process.close)

          assert.isBelow(took, 500 + slack)
        }))
    )

    it.live("are those of the example, which closes when Redis is frozen", () =>
      withServer(Effect.gen(function*() {
        const { freeze, port } = yield* RedisServer.RedisServer
        const scope = yield* Scope.fork(yield* Effect.scope)
        const context = yield* Layer.buildWithScope(Layer.fresh(example.providers), scope).pipe(
          Effect.provideService(
            ConfigProvider.ConfigProvider,
            ConfigProvider.fromUnknown({ REDIS_URL: `redis://127.0.0.1:${port}`, OPENAI_API_KEY: "any" })
          )
        )
        const { admit = () => Effect.die("no limits") } = yield* Context.get(context, Providers.Providers)
          .resolve("openai/m")
        const request = yield* Schema.decodeEffect(ResponseRequest.ResponseRequest)({ model: "openai/m", prompt: "Hi" })
        yield* admit(request)
        yield* freeze
        const passed = yield* millisOf(admit(request))
        const closed = yield* millisOf(Scope.close(scope, Exit.void))

        assert.isBelow(passed, 250 + slack)
        assert.isBelow(closed, 250 + slack)
      })).pipe(Effect.provide(Logger.layer([]))))

    it.live("keep to the limits again when Redis goes on", () =>
      withServer(Effect.gen(function*() {
        const { freeze, thaw } = yield* RedisServer.RedisServer
        const process = yield* start({ complete: answers }, { requestsPerMinute: 3, followServer: false })
        yield* process.execute(held)
        yield* freeze
        yield* Effect.all(times(5, process.execute(held)))
        yield* thaw
        yield* Effect.sleep("100 millis")
        const waiting = yield* Effect.forkScoped(Effect.all(times(4, process.execute(held))))
        yield* Effect.sleep("500 millis")

        assert.isUndefined(waiting.pollUnsafe())
        assert.lengthOf(process.warnings(), 1)
      })))

    it.live("keep to the limits again when Redis was started anew", () =>
      withServer(
        Effect.gen(function*() {
          const { kill, restart } = yield* RedisServer.RedisServer
          const process = yield* start({ complete: answers }, { requestsPerMinute: 3, followServer: false })
          yield* process.execute(held)
          yield* kill
          yield* Effect.all(times(5, process.execute(held)))
          yield* restart
          // The client connects again within two seconds, and sends the question that had no answer.
          yield* Effect.sleep("3 seconds")
          const waiting = yield* Effect.forkScoped(Effect.all(times(4, process.execute(held))))
          yield* Effect.sleep("500 millis")

          assert.isUndefined(waiting.pollUnsafe())
        })
      ), 20_000)
  }
)

/** What a busy machine may add to a time, in milliseconds. */
const slack = 1_000

/** Everything that asks a store. */
const everything: Limits.Options = {
  requestsPerMinute: 10_000,
  tokensPerMinute: 100_000_000,
  circuitBreaker: true,
  concurrency: 50
}

const held = { model: "test/m", prompt: "Hi", strategy: "completions" } as const

const serverError = new Reason.ServerError({ message: "Oops", status: 500 })

const answers = [Effect.succeed(succeeded("ok"))]

const times = <A>(n: number, value: A): ReadonlyArray<A> => Array.from({ length: n }, () => value)

const millisOf = <E, R>(effect: Effect.Effect<unknown, E, R>) =>
  Effect.map(Effect.timed(effect), ([duration]) => Duration.toMillis(duration))

const withServer = <A, E>(test: Effect.Effect<A, E, RedisServer.RedisServer | Scope.Scope>) =>
  Effect.scoped(test).pipe(Effect.provide(RedisServer.layer))

/** A `Holdfast` with a connection of its own, which ends with the test or with `close`. */
const start = Effect.fnUntraced(function*(script: ScriptedProvider.Script, limits: Limits.Options) {
  const scope = yield* Scope.fork(yield* Effect.scope)
  const scripted = yield* ScriptedProvider.make(script)
  const warnings: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => {
    if (logLevel === "Warn") warnings.push(String(message))
  })
  const stores = Layer.merge(RateLimiter.layerStoreRedis(), CircuitBreaker.layerStoreRedis()).pipe(
    Layer.provide(RedisServer.layerClient)
  )
  const context = yield* Layer.buildWithScope(
    Layer.fresh(Holdfast.layer.pipe(
      Layer.provideMerge(SessionStore.layerMemory),
      Layer.provide(Providers.layer({ test: scripted.provider }, { limits }).pipe(Layer.provide(stores)))
    )),
    scope
  ).pipe(Effect.provide(Logger.layer([logger])))
  const { execute } = Context.get(context, Holdfast.Holdfast)
  return {
    execute: (request: ResponseRequest.RequestInput) => Effect.provide(execute(request), Logger.layer([logger])),
    load: Context.get(context, SessionStore.SessionStore).load,
    calls: scripted.calls,
    close: Scope.close(scope, Exit.void),
    warnings: () => warnings.filter((warning) => warning.includes("calls pass without it"))
  }
})
