import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schedule } from "effect"
import { ResponseRequest, ResponseStrategy } from "holdfast"
import { expectTypeOf } from "vitest"

const SECRET_OBJECT = { SECRET: "SECRET", type: "SECRET" }

const { decodeRequest } = ResponseStrategy

describe("ResponseRequest", () => {
  it("takes what its interface names, and no more", () => {
    expectTypeOf<ResponseRequest.RequestInput>().toEqualTypeOf<typeof ResponseRequest.ResponseRequest.Encoded>()
  })

  it.effect("needs a model and a prompt, and keeps what it is given", () =>
    Effect.gen(function*() {
      const retry = Schedule.recurs(1)
      const full = {
        model: "openai/gpt-5",
        prompt: [{ type: "text", text: "Hello" }],
        messages: [{ role: "user", content: "a" }, { role: "assistant", content: [{ type: "text", text: "b" }] }],
        instructions: "Be brief",
        session: "s",
        strategy: "background",
        maxOutputTokens: 1,
        temperature: 2,
        topP: 0,
        reasoningEffort: "high",
        stop: ["a"],
        metadata: { a: "b" },
        store: false,
        providerOptions: { user: "u", nested: [1, null, { a: true }] },
        onInterrupt: "cancel",
        onUncertainSubmit: "resubmit",
        journal: "ids-only",
        retry,
        poll: retry
      } as const

      assert.deepStrictEqual({ ...(yield* decodeRequest({ model: "m", prompt: "p" })) }, { model: "m", prompt: "p" })
      assert.deepStrictEqual<unknown>({ ...(yield* decodeRequest(full)) }, full)
    }))

  it.effect("reads durations in all their forms", () =>
    Effect.gen(function*() {
      for (const deadline of ["90 seconds", 90_000, { seconds: 90 }, Duration.seconds(90)] as const) {
        const request = yield* decodeRequest({ model: "m", prompt: "p", deadline })

        assert.strictEqual(request.deadline && Duration.toMillis(request.deadline), 90_000)
      }
    }))

  it.effect.each<[string, unknown]>([
    ["model", ""],
    ["model", 1],
    ["prompt", SECRET_OBJECT],
    ["prompt", [SECRET_OBJECT]],
    ["prompt", [{ type: "text", text: { SECRET: "SECRET" } }]],
    ["prompt", [{ type: "image", data: "SECRET*", mediaType: "image/png" }]],
    ["prompt", [{ type: "image", url: "data:SECRET" }]],
    ["prompt", ["SECRET"]],
    ["messages", [{ role: "SECRET", content: "SECRET" }]],
    ["messages", [{ role: "system", content: "SECRET" }]],
    ["messages", "SECRET"],
    ["instructions", ["SECRET"]],
    ["session", ""],
    ["session", 5],
    ["strategy", "SECRET"],
    ["maxOutputTokens", 0],
    ["maxOutputTokens", 1.5],
    ["maxOutputTokens", "SECRET"],
    ["temperature", -0.1],
    ["temperature", 2.1],
    ["temperature", NaN],
    ["topP", 1.1],
    ["topP", -0.1],
    ["reasoningEffort", "SECRET"],
    ["stop", [1]],
    ["metadata", { a: 1 }],
    ["metadata", { a: `SECRET${"x".repeat(512)}` }],
    ["metadata", { ["x".repeat(65)]: "SECRET" }],
    ["metadata", Object.fromEntries(Array.from({ length: 15 }, (_, n) => [`k${n}`, "v"]))],
    ["store", "SECRET"],
    ["providerOptions", { user: undefined, fn: () => "SECRET" }],
    ["providerOptions", { a: new Date(0) }],
    ["deadline", 0],
    ["deadline", -1],
    ["deadline", "SECRET"],
    ["deadline", SECRET_OBJECT],
    ["queuedDeadline", 0],
    ["submitTimeout", 0],
    ["onInterrupt", "SECRET"],
    ["onUncertainSubmit", "SECRET"],
    ["journal", "SECRET"],
    ["retry", "SECRET"],
    ["poll", { SECRET: 1 }]
  ])("refuses a wrong %s by name and quotes none of it", ([field, value]) =>
    Effect.gen(function*() {
      const input = { model: "m", prompt: "p", [field]: value } as never
      const { reason } = yield* Effect.flip(decodeRequest(input))

      assert.strictEqual(reason._tag, "InvalidRequest")
      assert.match(reason.message, new RegExp(`(^|; )${field}`))
      assert.notInclude(reason.message, "SECRET")
      assert.isAtMost(reason.message.length, 2000)
    }))

  it.effect.each(["model", "input", "messages", "background", "stream", "store"])(
    "refuses the reserved provider option %s",
    (key) =>
      Effect.gen(function*() {
        const input = { model: "m", prompt: "p", providerOptions: { [key]: "SECRET" } }
        const { reason } = yield* Effect.flip(decodeRequest(input))

        assert.include(reason.message, "providerOptions")
        assert.include(reason.message, key)
        assert.notInclude(reason.message, "SECRET")
      })
  )

  it.effect("refuses a key that it does not know, without its value", () =>
    Effect.gen(function*() {
      const { reason } = yield* Effect.flip(decodeRequest({ model: "m", prompt: "p", maxTokens: "SECRET" } as never))

      assert.include(reason.message, "maxTokens")
      assert.notInclude(reason.message, "SECRET")
    }))

  it.effect("names every wrong field", () =>
    Effect.gen(function*() {
      const { reason } = yield* Effect.flip(decodeRequest({ model: "", prompt: 1, topP: 7 } as never))

      for (const field of ["model", "prompt", "topP"]) assert.include(reason.message, field)
    }))

  it.effect.each([undefined, null, "SECRET", 5, []])(
    "refuses what is no request: %s",
    (input) =>
      Effect.gen(function*() {
        const { reason } = yield* Effect.flip(decodeRequest(input as never))

        assert.strictEqual(reason._tag, "InvalidRequest")
        assert.notInclude(reason.message, "SECRET")
      })
  )
})
