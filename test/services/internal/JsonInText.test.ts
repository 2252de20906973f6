import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { candidatesOf } from "../../../src/services/internal/JsonInText.ts"
import { valuesOf } from "../../../src/services/internal/JsonSpans.ts"

describe("JsonInText.candidatesOf", () => {
  it.effect.prop(
    "finds any object or list after any words without keys",
    { words: Schema.String, marks: Marks, value: Value, indent: Schema.Literals([0, 2]) },
    ({ indent, marks, value, words }) =>
      Effect.sync(() => {
        const json = JSON.stringify(value, undefined, indent)
        const text = `${words.replaceAll(":", "")}${marks.join("")}.\n${json}\nDone.`

        assert.include(
          Array.from(candidatesOf(text), (candidate) => JSON.stringify(candidate.value)),
          JSON.stringify(JSON.parse(json))
        )
      }),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "yields nothing of an object that is cut anywhere",
    {
      value: Schema.Record(Schema.String, Value),
      at: Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))
    },
    ({ at, value }) =>
      Effect.sync(() => {
        const json = JSON.stringify(value)

        assert.deepStrictEqual([...candidatesOf(json.slice(0, Math.floor(at * (json.length - 1))))], [])
      }),
    { arbitrary: { runs: 500 } }
  )
})

describe("JsonSpans.valuesOf", () => {
  it.effect.prop(
    "takes the same texts for JSON as JSON.parse does",
    {
      pieces: Schema.Array(
        Schema.Literals([...`[]{}",:1-.e\\ u\n\t`, "\"a\":", "0", "true", "null", "\\u00e9", "\\\"", "1.5e-3"])
      )
    },
    ({ pieces }) =>
      Effect.sync(() => {
        const text = `[${pieces.join("")}]`
        const [first] = valuesOf(text, [])

        assert.strictEqual(first?.isJson === true && first.start === 0 && first.end === text.length, isJson(text))
      }),
    { arbitrary: { runs: 2000 } }
  )
})

const isJson = (text: string): boolean => {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const Marks = Schema.Array(Schema.Literals([..."[]{}()<>\"',;\n", "```\n", "<think>", "[0, 1)", "{x}", "[\"", "[{"]))

const Value = Schema.Union([Schema.Record(Schema.String, Schema.Json), Schema.Array(Schema.Json)])
