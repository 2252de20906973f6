import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Option } from "effect"
import { TestClock } from "effect/testing"
import { ScriptedProvider } from "holdfast/testing"
import { begin, request, start, withoutJitter } from "./Processes.ts"
import { endedNow, paris } from "./Verdicts.ts"

const Caller = Context.Reference<string>("test/strategies/RunContext/Caller", { defaultValue: () => "none" })

interface Exchange {
  readonly name: string
  readonly caller: string
  readonly parent: string
}

/** Makes steps that note the span and the context in which they are taken. */
const makeNoted = () => {
  const exchanges: Array<Exchange> = []
  const noted = <A, E>(name: string, step: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.gen(function*() {
      const span = yield* Effect.orDie(Effect.currentSpan)
      const parent = Option.match(span.parent, {
        onNone: () => "none",
        onSome: (parent) => parent._tag === "Span" ? parent.name : "external"
      })
      exchanges.push({ name, parent, caller: yield* Caller })
      return yield* step
    }).pipe(Effect.withSpan(name))
  return { exchanges, noted }
}

const as = (name: string) => <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  call.pipe(Effect.withSpan(`${name} caller`), Effect.provideService(Caller, name))

describe("a run", () => {
  it.effect("keeps neither the span nor the context of its first caller", () =>
    withoutJitter(Effect.gen(function*() {
      const { exchanges, noted } = makeNoted()
      const provider = yield* ScriptedProvider.make({
        submit: [noted("submit", ScriptedProvider.accepted())],
        retrieve: [
          noted("poll", ScriptedProvider.pending()),
          noted("poll", ScriptedProvider.pending()),
          noted("poll", Effect.succeed(endedNow))
        ]
      })
      const holdfast = yield* start(provider)
      const first = yield* begin(as("first")(holdfast.execute(request({ onInterrupt: "detach" }))))
      yield* TestClock.adjust("1 second")
      const second = yield* begin(as("second")(holdfast.execute(request({ onInterrupt: "detach" }))))
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 minute")
      const { content } = yield* Fiber.join(second)

      assert.strictEqual(content, "Paris")
      assert.deepStrictEqual(
        exchanges,
        ["submit", "poll", "poll", "poll"].map((name) => ({ name, parent: "none", caller: "none" }))
      )
    })))

  it.effect("keeps neither of them in a held call, nor in the attempt after it", () =>
    withoutJitter(Effect.gen(function*() {
      const { exchanges, noted } = makeNoted()
      const provider = yield* ScriptedProvider.make({
        create: [noted("call", ScriptedProvider.fails()), noted("call", Effect.succeed(paris))]
      })
      const holdfast = yield* start(provider)
      const caller = yield* begin(as("first")(holdfast.execute(request({ strategy: "sync", session: undefined }))))
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(caller)

      assert.deepStrictEqual(exchanges, [
        { name: "call", parent: "none", caller: "none" },
        { name: "call", parent: "none", caller: "none" }
      ])
    })))

  it.effect("cancels its job in a context of its own", () =>
    Effect.gen(function*() {
      const { exchanges, noted } = makeNoted()
      const provider = yield* ScriptedProvider.make({
        submit: [ScriptedProvider.accepted()],
        cancel: [noted("cancel", ScriptedProvider.pending())]
      })
      const holdfast = yield* start(provider)
      const caller = yield* begin(as("first")(holdfast.execute(request({ onInterrupt: "cancel" }))))
      yield* TestClock.adjust("500 millis")
      yield* Fiber.interrupt(caller)
      yield* TestClock.adjust("1 second")

      assert.deepStrictEqual(exchanges, [{ name: "cancel", parent: "none", caller: "none" }])
    }))
})
