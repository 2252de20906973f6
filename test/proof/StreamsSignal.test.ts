import { assert, describe, it } from "@effect/vitest"
import { Effect, ManagedRuntime, Stream } from "effect"
import { Holdfast } from "holdfast"
import { getEventListeners } from "node:events"

describe("an AbortSignal", () => {
  it("has no listener left after 10,000 calls and streams, and none of those that it ended", async () => {
    const runtime = ManagedRuntime.make(Holdfast.layerTest(({ prompt }) => `The answer to: ${String(prompt)}`))
    const { signal } = new AbortController()
    const stopped = new AbortController()
    const request = { model: "openai/gpt-4o", prompt: "Which one?", strategy: "sync" } as const
    const answer = Effect.yieldNow.pipe(
      Effect.andThen(Holdfast.execute(request)),
      Effect.map(({ content }) => content)
    )
    const told = Effect.andThen(
      Effect.yieldNow,
      Stream.runFold(
        Holdfast.stream(request),
        () => "",
        (text, event) => event._tag === "TextDelta" ? text + event.delta : text
      )
    )
    let right = 0
    let most = 0
    for (let call = 0; call < calls; call += 2) {
      const both = [runtime.runPromise(answer, { signal }), runtime.runPromise(told, { signal })]
      most = Math.max(most, getEventListeners(signal, "abort").length)
      for (const text of await Promise.all(both)) if (text === "The answer to: Which one?") right++
    }
    const waiting = Array.from(
      { length: 100 },
      () => runtime.runPromise(Effect.andThen(answer, Effect.never), { signal: stopped.signal })
    )
    const ends = Promise.allSettled(waiting)
    stopped.abort()
    await ends
    await runtime.dispose()

    assert.strictEqual(right, calls)
    assert.isAtLeast(most, 2)
    assert.deepStrictEqual(getEventListeners(signal, "abort"), [])
    assert.deepStrictEqual(getEventListeners(stopped.signal, "abort"), [])
  })
})

const calls = 10_000
