import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schedule, Schema } from "effect"
import { Holdfast, Providers, SessionStore } from "holdfast"
import { Simulator } from "holdfast/testing"

interface Part {
  readonly count: number
  readonly parts: ReadonlyArray<Part>
}

const Part = Schema.Struct({
  count: Schema.Int.check(Schema.isGreaterThan(99)),
  parts: Schema.Array(Schema.suspend((): Schema.Codec<Part> => Part))
})

const Invoice = Schema.Struct({
  number: Schema.NonEmptyString,
  state: Schema.Literals(["open", "paid"]),
  cents: Schema.Int,
  isUrgent: Schema.Boolean,
  note: Schema.optional(Schema.String),
  discount: Schema.NullOr(Schema.Finite),
  sender: Schema.Union([
    Schema.TaggedStruct("Person", { name: Schema.String }),
    Schema.TaggedStruct("Company", { vat: Schema.String })
  ]),
  items: Schema.NonEmptyArray(Schema.Struct({ name: Schema.String })),
  place: Schema.Tuple([Schema.Finite, Schema.Finite])
})

describe("Simulator, asked for a schema", () => {
  it.live.each(
    [
      ["openai/gpt-5.5", "background"],
      ["openai/gpt-5.5", "sync"],
      ["openai/gpt-5.5", "completions"],
      ["anthropic/claude-opus-5-5", "completions"],
      ["anthropic/claude-opus-5-5", "background"],
      ["gemini/gemini-3.8-flash", "background"],
      ["gemini/gemini-3.8-flash", "completions"]
    ] as const
  )("answers what fits it: %s, %s", ([model, strategy]) =>
    Effect.gen(function*() {
      const { value } = yield* Holdfast.execute({ ...asked, model, strategy, schema: Invoice })

      assert.isTrue(Schema.is(Invoice)(value))
    }).pipe(Effect.provide(layer()), Effect.scoped))

  it.live("answers what fits a schema with bounds that refers to itself", () =>
    Effect.gen(function*() {
      const { value } = yield* Holdfast.execute({ ...asked, model: "openai/gpt-5.5", schema: Part })

      assert.isTrue(Schema.is(Part)(value))
    }).pipe(Effect.provide(layer()), Effect.scoped))

  it.live("gives the user's own answer as it is", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(
        Holdfast.execute({ ...asked, model: "openai/gpt-5.5", schema: Invoice })
      )

      assert.strictEqual(error._tag === "NonRetryable" && error.reason._tag, "InvalidOutput")
    }).pipe(Effect.provide(layer({ answer: () => "No." })), Effect.scoped))
})

const asked = { prompt: "Read this.", poll: Schedule.spaced("10 millis") }

const layer = (options: Simulator.Options = {}) =>
  Holdfast.layer.pipe(
    Layer.provide([
      SessionStore.layerMemory,
      Layer.unwrap(Effect.map(Simulator.Simulator, ({ anthropicBaseUrl, openAiBaseUrl, url }) => {
        const apiKey = Redacted.make("any")
        return Providers.layer({
          openai: { baseUrl: openAiBaseUrl, apiKey },
          anthropic: { baseUrl: anthropicBaseUrl, apiKey },
          gemini: { baseUrl: `${url}/v1beta/openai`, apiKey }
        })
      }))
    ]),
    Layer.provide(Simulator.layer({ completeAfterPolls: 1, ...options }))
  )
