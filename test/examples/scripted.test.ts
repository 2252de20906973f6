import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import { Holdfast } from "holdfast"

it.effect("answers once per session", () =>
  Effect.gen(function*() {
    const first = yield* Holdfast.execute({ model: "gpt-5.5", prompt: "Hello", session: "greeting" })
    const again = yield* Holdfast.execute({ model: "gpt-5.5", prompt: "Hello", session: "greeting" })

    assert.strictEqual(first.content, "Hello from gpt-5.5")
    assert.isTrue(again.resumed)
  }).pipe(Effect.provide(Holdfast.layerTest((request) => `Hello from ${request.model}`))))
