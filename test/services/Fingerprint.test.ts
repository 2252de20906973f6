import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Schema } from "effect"
import { ResponseRequest } from "holdfast"
import { createHash } from "node:crypto"
import * as Fingerprint from "../../src/services/Fingerprint.ts"

const bytes = new Uint8Array([137, 80, 78, 71, 255, 0])

const City = Schema.Struct({ name: Schema.String, people: Schema.Int })

const base64 = Buffer.from(bytes).toString("base64")

describe("Fingerprint", () => {
  it("is a versioned SHA-256 that does not change from release to release", () => {
    assert.match(of({ model: "m", prompt: "p" }), /^v1:[0-9a-f]{64}$/)
    assert.strictEqual(
      of({ model: "m", prompt: "p" }),
      "v1:33d0bfbc50f8ed860355e197e13236db8c0511ac5de13c789141327a54fa6284"
    )
  })

  it.each<[string, Partial<Input>, Partial<Input>]>([
    ["the session's key in the request", { session: "a" }, {}],
    ["the strategy", { strategy: "sync" }, { strategy: "background" }],
    ["deadlines", { deadline: "1 second", queuedDeadline: "1 second", submitTimeout: "1 second" }, {}],
    ["the policies", { onInterrupt: "cancel", onUncertainSubmit: "resubmit" }, {}],
    ["what the journal keeps", { journal: "ids-only" }, { journal: "full" }],
    ["repairs, fallbacks and the timeouts of streams", {
      repair: 2,
      fallback: ["n"],
      streamTimeouts: { idle: "1 second" }
    }, {}],
    ["the class of a schema", { schema: City }, { schema: Schema.Struct(City.fields) }],
    ["the schedules", { retry: Schedule.recurs(1), poll: Schedule.recurs(1) }, {}],
    ["a default", { store: true, metadata: {}, messages: [], providerOptions: {} }, {}],
    ["an undefined field", { instructions: undefined, temperature: undefined }, {}],
    ["the order of keys", { metadata: { a: "1", b: "2" } }, { metadata: { b: "2", a: "1" } }],
    [
      "the order of keys deep inside",
      { providerOptions: { x: { a: 1, b: [{ c: 1, d: 2 }] } } },
      { providerOptions: { x: { b: [{ d: 2, c: 1 }], a: 1 } } }
    ],
    ["one stop text as a list", { stop: "END" }, { stop: ["END"] }],
    ["a text as one part", { prompt: "Hello" }, { prompt: [{ type: "text", text: "Hello" }] }],
    [
      "the form of an image",
      { prompt: [{ type: "image", url: `data:image/PNG;base64,${base64}` }] },
      { prompt: [{ type: "image", data: bytes, mediaType: "image/png" }] }
    ],
    [
      "the Chat Completions form of an image",
      { prompt: [{ type: "image_url", image_url: { url: "https://a.test/x.png", detail: "low" } }] },
      { prompt: [{ type: "image", url: "https://a.test/x.png", detail: "low" }] }
    ],
    [
      "padding and alphabet of base64",
      { prompt: [{ type: "file", data: "-_-_AQ", mediaType: "application/pdf" }] },
      { prompt: [{ type: "file", data: "+/+/AQ==", mediaType: "application/pdf" }] }
    ]
  ])("does not change with %s", (_, a, b) => {
    assert.strictEqual(of({ model: "m", prompt: "p", ...a }), of({ model: "m", prompt: "p", ...b }))
  })

  it.each<[string, Partial<Input>]>([
    ["the model", { model: "n" }],
    ["the prompt", { prompt: "P" }],
    ["the letter case of the prompt", { prompt: "p " }],
    ["parts of the prompt", { prompt: [{ type: "text", text: "p" }, { type: "text", text: "" }] }],
    ["instructions", { instructions: "Be brief" }],
    ["empty instructions", { instructions: "" }],
    ["earlier turns", { messages: [{ role: "user", content: "p" }] }],
    ["maxOutputTokens", { maxOutputTokens: 10 }],
    ["temperature", { temperature: 1 }],
    ["topP", { topP: 1 }],
    ["reasoningEffort", { reasoningEffort: "low" }],
    ["stop", { stop: "END" }],
    ["metadata", { metadata: { a: "1" } }],
    ["store", { store: false }],
    ["providerOptions", { providerOptions: { user: "u" } }],
    ["a schema", { schema: City }],
    ["a schema of anything", { schema: Schema.Unknown }],
    ["a schema that is no JSON Schema", { schema: Schema.Struct({ [Symbol.for("a")]: Schema.String }) }]
  ])("changes with %s", (_, change) => {
    assert.notStrictEqual(of({ model: "m", prompt: "p", ...change }), of({ model: "m", prompt: "p" }))
  })

  it.each<[string, Partial<Input>, Partial<Input>]>([
    [
      "who said something",
      { messages: [{ role: "user", content: "x" }] },
      { messages: [{ role: "assistant", content: "x" }] }
    ],
    ["a number and its text", { providerOptions: { a: 1 } }, { providerOptions: { a: "1" } }],
    ["null and nothing", { providerOptions: { a: null } }, {}],
    ["the order of a list", { stop: ["a", "b"] }, { stop: ["b", "a"] }],
    [
      "a remote url and its bytes",
      { prompt: [{ type: "image", url: "https://a.test/x.png" }] },
      { prompt: [{ type: "image", data: bytes, mediaType: "image/png" }] }
    ],
    [
      "remote urls",
      { prompt: [{ type: "image", url: "https://a.test/x.png" }] },
      { prompt: [{ type: "image", url: "https://a.test/y.png" }] }
    ],
    [
      "an image and a file",
      { prompt: [{ type: "image", data: bytes, mediaType: "image/png" }] },
      { prompt: [{ type: "file", data: bytes, mediaType: "image/png" }] }
    ],
    [
      "detail",
      { prompt: [{ type: "image", url: "https://a.test/x.png", detail: "low" }] },
      { prompt: [{ type: "image", url: "https://a.test/x.png", detail: "high" }] }
    ],
    ["schemas", { schema: City }, { schema: Schema.Array(City) }],
    ["optional keys", { schema: City }, {
      schema: Schema.Struct({ ...City.fields, people: Schema.optionalKey(Schema.Int) })
    }],
    ["lone surrogates", { prompt: "\ud800" }, { prompt: "\ud801" }]
  ])("tells apart %s", (_, a, b) => {
    assert.notStrictEqual(of({ model: "m", prompt: "p", ...a }), of({ model: "m", prompt: "p", ...b }))
  })

  it.each([262_142, 262_143, 262_144, 262_145, 600_000])(
    "is that of the whole JSON for a text of %i units",
    (length) => {
      for (const unit of ["\ud83d\ude80", "\ud83d", "\"\n", "a"]) {
        const text = unit.repeat(length).slice(0, length)
        const content = { messages: [], metadata: {}, model: "m", prompt: [{ text, type: "text" }] }
        const json = JSON.stringify(["s", { ...content, providerOptions: {}, store: true }])

        assert.strictEqual(of({ model: "m", prompt: text }), `v1:${createHash("sha256").update(json).digest("hex")}`)
      }
    }
  )

  it("depends on the key, and cannot be moved between key and request", () => {
    const request = decode({ model: "m", prompt: "p" })

    assert.notStrictEqual(Effect.runSync(Fingerprint.of("a", request)), Effect.runSync(Fingerprint.of("b", request)))
    assert.notStrictEqual(Fingerprint.ofSession("a", "bc"), Fingerprint.ofSession("ab", "c"))
    assert.match(Fingerprint.ofSession("", "s"), /^[0-9a-f]{32}$/)
  })
})

type Input = ResponseRequest.RequestInput

const decode = Schema.decodeUnknownSync(ResponseRequest.ResponseRequest)

const of = (input: Input): string => Effect.runSync(Fingerprint.of("s", decode(input)))
