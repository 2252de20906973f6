import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema, SchemaTransformation } from "effect"
import { AnthropicStructuredOutput, OpenAiStructuredOutput } from "effect/ai"
import { Answer } from "../../src/services/LlmResponse.ts"
import type { Outcome } from "../../src/services/Provider.ts"
import { ResponseRequest } from "../../src/services/ResponseRequest.ts"
import * as StructuredOutput from "../../src/services/StructuredOutput.ts"
import { usageOf } from "../../src/services/providers/internal/OpenAiUsage.ts"

describe("StructuredOutput.jsonSchema", () => {
  it("is the subset of strict mode in the openai dialect: all keys required, nothing more allowed", () => {
    assert.deepStrictEqual<unknown>(jsonSchemaOf(City, "openai"), {
      type: "object",
      properties: {
        name: { type: "string" },
        people: { type: "integer", minimum: -9007199254740991, maximum: 9007199254740991 },
        mayor: { anyOf: [{ type: "string" }, { type: "null" }] }
      },
      required: ["name", "people", "mayor"],
      additionalProperties: false
    })
  })

  it("has no limits of numbers in the anthropic dialect", () => {
    const { properties } = jsonSchemaOf(City, "anthropic")

    assert.nestedPropertyVal(properties, "people.type", "integer")
    assert.notNestedProperty(properties, "people.minimum")
  })

  it.each<[string, Schema.Decoder<unknown>]>([
    ["a list", Schema.Array(Schema.String)],
    ["a text", Schema.String],
    ["a literal", Schema.Literals(["yes", "no"])],
    ["a union", Schema.Union([Schema.Struct({ a: Schema.String }), Schema.Struct({ b: Schema.String })])],
    ["a record", Schema.Record(Schema.String, Schema.Finite)],
    ["anything", Schema.Unknown]
  ])("puts %s into an object, in every dialect", (_, schema) => {
    for (const dialect of ["openai", "anthropic", "plain"] as const) {
      const { properties, required, type } = jsonSchemaOf(schema, dialect)

      assert.deepStrictEqual([type, Object.keys(properties as object), required], ["object", ["value"], ["value"]])
    }
  })

  it("is worked out once per schema", () => {
    const once = jsonSchemaOf(City, "openai")
    const same = jsonSchemaOf(City, "openai")
    const other = jsonSchemaOf(Schema.Struct({ name: Schema.String }), "openai")

    assert.strictEqual(once, same)
    assert.notStrictEqual(once, other)
  })

  it("has recursion, but not for Anthropic", () => {
    assert.isTrue(StructuredOutput.isStrict(jsonSchemaOf(Tree, "openai")))
    assert.isTrue(Result.isFailure(StructuredOutput.jsonSchema(Tree, "anthropic")))
    assert.property(jsonSchemaOf(Tree, "plain"), "$defs")
  })

  it("tells why a schema is no JSON Schema", () => {
    const failure = Result.getOrThrow(Result.flip(StructuredOutput.jsonSchema(WithSymbol, "plain")))

    assert.include(failure, "property names")
    assert.deepStrictEqual(Result.flip(StructuredOutput.instruction(WithSymbol)), Result.succeed(failure))
  })

  it.each<[string, Schema.Decoder<unknown>, boolean]>([
    ["a struct", City, true],
    ["a list of structs", Schema.Array(City), true],
    ["a record", Schema.Record(Schema.String, City), true],
    ["a tuple", Schema.Struct({ t: Schema.Tuple([Schema.String, Schema.Int]) }), true],
    ["a class", Place, true],
    ["what may be anything", Schema.Struct({ a: Schema.Unknown }), false],
    ["anything deep inside", Schema.Array(Schema.Union([City, Schema.Struct({ a: Schema.Json })])), false]
  ])("is strict for %s only where everything has a type", (_, schema, isStrict) => {
    assert.strictEqual(StructuredOutput.isStrict(jsonSchemaOf(schema, "openai")), isStrict)
  })
})

describe("StructuredOutput.decode", () => {
  it.each<[string, Schema.Decoder<unknown>, string, unknown]>([
    ["strict JSON, where null is left out", City, `{"name":"Oslo","people":7,"mayor":null}`, {
      name: "Oslo",
      people: 7
    }],
    ["plain JSON, where it is not there", City, `{"name":"Oslo","people":7}`, { name: "Oslo", people: 7 }],
    ["what more is said", City, `{"name":"Oslo","people":7,"more":1}`, { name: "Oslo", people: 7 }],
    ["a Markdown fence", City, "```json\n{\"name\":\"Oslo\",\"people\":7}\n```\n", { name: "Oslo", people: 7 }],
    ["a fence without a language", Schema.String, "```\n\"yes\"\n```", "yes"],
    [
      "text around it",
      City,
      "Sure [1]: here is {it}:\n```\n{\"name\":\"Os}lo\\\"\",\"people\":7}\n```\nIs it right?",
      { name: "Os}lo\"", people: 7 }
    ],
    ["the same value twice", City, `{"name":"A","people":1}, so {"name":"A","people":1}`, { name: "A", people: 1 }],
    ["a wrapped list", Schema.Array(Schema.Int), `{"value":[1,2]}`, [1, 2]],
    ["a bare list", Schema.Array(Schema.Int), `[1,2]`, [1, 2]],
    ["a bare list in text", Schema.Array(Schema.Int), `The list: [1,2].`, [1, 2]],
    ["a wrapped text", Schema.String, `{"value":"a"}`, "a"],
    ["a bare text", Schema.String, `"a"`, "a"],
    ["a record as pairs", Schema.Record(Schema.String, Schema.Int), `{"value":[{"0":"a","1":1}]}`, { a: 1 }],
    ["a wrapped record", Schema.Record(Schema.String, Schema.Int), `{"value":{"a":1}}`, { a: 1 }],
    ["a bare record", Schema.Record(Schema.String, Schema.Int), `{"a":1}`, { a: 1 }],
    ["a tuple as an object", WithTuple, `{"t":{"0":"a","1":1}}`, { t: ["a", 1] }],
    ["a tuple as a list", WithTuple, `{"t":["a",1]}`, { t: ["a", 1] }],
    ["a union whose member has the key value", OwnValue, `{"value":{"value":"a"}}`, { value: "a" }],
    ["the same without the object around it", OwnValue, `{"value":"a"}`, { value: "a" }],
    ["a class", Place, `{"at":"2026-11-22T00:00:00.000Z"}`, new Place({ at: new Date("2026-11-22T00:00:00.000Z") })],
    ["a transformation", Schema.Struct({ n: Schema.FiniteFromString }), `{"n":"7"}`, { n: 7 }]
  ])("reads %s", (_, schema, text, expected) => {
    assert.deepStrictEqual(StructuredOutput.decode(schema, text), Result.succeed(expected))
  })

  for (const [what, schema] of Object.entries(written)) {
    it.effect.prop(
      `reads back ${what}, as each provider's codec writes it`,
      { value: schema },
      ({ value }) =>
        Effect.gen(function*() {
          for (const codec of codecsOf(schema)) {
            const text = JSON.stringify(yield* Schema.encodeUnknownEffect(codec)({ value }))

            assert.deepStrictEqual(
              StructuredOutput.decode(Schema.Struct({ value: schema }), text),
              Result.succeed({ value })
            )
          }
        })
    )
  }

  it.each<[string, Schema.Decoder<unknown>, string, string]>([
    ["every issue with its path", City, `{"name":1,"people":"many"}`, "name: Expected string\npeople: Expected number"],
    [
      "the path in lists and of odd keys",
      Schema.Struct({ "a b": Schema.Array(City) }),
      `{"a b":[{"name":"A","people":1,"mayor":null},{"people":1,"mayor":null}]}`,
      `["a b"][1].name: Missing key`
    ],
    ["issues of a bare list", Schema.Array(Schema.Int), `["a","b"]`, "[0]: Expected number\n[1]: Expected number"],
    ["a rule of the whole, and not of another dialect", Pair, `{"a":null,"b":null}`, "One of them must be there"],
    ["a missing value", Schema.Array(Schema.Int), `{"value":["a"]}`, "value[0]: Expected number"],
    ["that there is no JSON", City, "I cannot say.", "The answer holds no JSON value, or one that is cut"],
    [
      "that it is cut",
      Schema.Struct({ a: Schema.optional(Schema.Json) }),
      `{"b":{"a":1}`,
      "The answer holds no JSON value, or one that is cut"
    ],
    ["a filter's words", Even, `{"n":1}`, "n: Expected an even number"],
    ["what a filter throws", throwing("Boom"), `{"value":"a"}`, "The schema failed: Boom"],
    ["a filter that throws nothing", throwing(undefined), `{"value":"a"}`, "The schema failed: it threw"],
    ["nothing at all", City, "", "The answer holds no JSON value, or one that is cut"]
  ])("tells %s", (_, schema, text, issues) => {
    assert.deepStrictEqual(StructuredOutput.decode(schema, text), Result.fail(issues))
  })

  it("tells that a schema does not decode synchronously", () => {
    assert.match(issuesOf(Slow, `{"value":"a"}`), /^The schema failed: .+/)
  })

  it("caps what it tells at 2,000 characters", () => {
    const issues = issuesOf(Schema.Array(Schema.String), JSON.stringify(Array.from({ length: 10_000 }, () => 1)))

    assert.strictEqual(issues.length, 2000)
    assert.match(issues, /^\[0\]: Expected string\n[^]*…$/)
  })

  it.each<[string, string]>([
    ["brackets that are never closed", "[".repeat(1_000_000)],
    ["brackets that are closed at last", "[".repeat(200_000) + "]".repeat(200_000)],
    ["brackets that are only closed", "]}".repeat(500_000)],
    ["quotes", `{"${"\\\"".repeat(500_000)}`],
    ["fences", "```\n".repeat(300_000)],
    ["a tree without an end", `{"v":"a","kids":[`.repeat(50_000) + "]}".repeat(50_000)]
  ])("ends soon, without a defect, on %s", (_, text) => {
    assert.isTrue(Result.isFailure(StructuredOutput.decode(Tree, text)))
  })
})

describe("StructuredOutput.check", () => {
  it("lets pass what fits, and what is not to be checked", () => {
    const fitting = answered(`{"name":"Oslo","people":7}`)
    const other = answered("Hello")
    const calling = answered("Hello", "tool-calls")
    const failed: Outcome = StructuredOutput.check({ schema: City }, other)

    assert.strictEqual(StructuredOutput.check({ schema: City }, fitting), fitting)
    assert.strictEqual(StructuredOutput.check({}, other), other)
    assert.strictEqual(StructuredOutput.check({ schema: City }, calling), calling)
    assert.strictEqual(StructuredOutput.check({ schema: City }, failed), failed)
  })

  it("makes InvalidOutput of what does not fit, with text, issues and usage", () => {
    const outcome = StructuredOutput.check({ schema: City }, answered(`{"name":"Oslo"}`))

    assert.containSubset(outcome, {
      _tag: "Failed",
      verdict: {
        _tag: "NonRetryable",
        reason: {
          _tag: "InvalidOutput",
          message: "The answer does not fit the schema: people: Missing key",
          content: `{"name":"Oslo"}`,
          issues: "people: Missing key",
          usage: { inputTokens: 3, outputTokens: 4 }
        }
      }
    })
  })
})

describe("StructuredOutput.repaired", () => {
  it("asks again, after the faulty answer, with what does not fit", () => {
    const request = decodeRequest({
      model: "m",
      messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }],
      prompt: "Which city?",
      session: "s",
      schema: City
    })
    const again = StructuredOutput.repaired(request, "Oslo", "It is no JSON")

    assert.deepStrictEqual(again.messages, [
      { role: "user", content: "Hi" },
      { role: "assistant", content: "Hello" },
      { role: "user", content: "Which city?" },
      { role: "assistant", content: "Oslo" }
    ])
    assert.strictEqual(again.prompt, StructuredOutput.repairPrompt("It is no JSON"))
    assert.include(again.prompt, "It is no JSON")
    assert.strictEqual(again.schema, City)
    assert.strictEqual(again.session, "s")
  })

  it("has no turn of the assistant when nothing was answered", () => {
    const request = decodeRequest({ model: "m", prompt: "Which city?", schema: City })

    assert.deepStrictEqual(StructuredOutput.repaired(request, " ", "It is cut").messages, [
      { role: "user", content: "Which city?" }
    ])
  })
})

describe("StructuredOutput.valueOf", () => {
  it("is undefined without a schema", () => {
    assert.deepStrictEqual(StructuredOutput.valueOf({}, "Hello"), Result.succeed(undefined))
  })
})

describe("StructuredOutput.instruction", () => {
  it("asks for nothing but JSON of the schema", () => {
    const instruction = Result.getOrThrow(StructuredOutput.instruction(City))

    assert.match(instruction, /JSON/)
    assert.include(instruction, JSON.stringify(jsonSchemaOf(City, "plain")))
  })
})

const City = Schema.Struct({ name: Schema.String, people: Schema.Int, mayor: Schema.optionalKey(Schema.String) })

class Place extends Schema.Class<Place>("Place")({ at: Schema.DateFromString }) {}

interface Tree {
  readonly v: string
  readonly kids: ReadonlyArray<Tree>
}

const Tree: Schema.Codec<Tree> = Schema.Struct({
  v: Schema.String,
  kids: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

// Without backslashes: after a key that is one, `JSON.parse` of Node 24 takes others, such as "\t", for the same key.
const Key = Schema.String.check(Schema.isPattern(/^[^\\]*$/))

/** What models are asked for beyond plain values. */
const written: Readonly<Record<string, Schema.Codec<unknown, unknown>>> = {
  "dates": Schema.Struct({ at: Schema.DateTimeUtcFromString, until: Schema.optionalKey(Schema.DateFromString) }),
  "what may be missing": Schema.Struct({
    a: Schema.optionalKey(Schema.String),
    b: Schema.optionalKey(Schema.Struct({ c: Schema.OptionFromNullOr(Schema.Boolean) })),
    d: Schema.NullOr(Schema.String)
  }),
  "unions": Schema.Union([
    Schema.TaggedStruct("A", { n: Schema.BigIntFromString }),
    Schema.TaggedStruct("B", { n: Schema.String }),
    Schema.Literals(["a", "b"])
  ]),
  "records": Schema.Record(Key, Schema.Record(Key, Schema.DateFromString)),
  "recursion": Tree,
  "classes": Schema.Struct({ place: Place, places: Schema.Array(Place) }),
  "tuples": Schema.TupleWithRest(Schema.Tuple([Schema.String, Schema.DateFromString]), [Schema.Boolean])
}

const codecsOf = (schema: Schema.Codec<unknown, unknown>) => {
  const asked = Schema.Struct({ value: schema })
  const codecs = [OpenAiStructuredOutput.toCodecOpenAI(asked).codec, Schema.toCodecJson(asked)]
  return Result.isSuccess(StructuredOutput.jsonSchema(asked, "anthropic"))
    ? [...codecs, AnthropicStructuredOutput.toCodecAnthropic(asked).codec]
    : codecs
}

const WithSymbol = Schema.Struct({ [Symbol.for("a")]: Schema.String })

const WithTuple = Schema.Struct({ t: Schema.Tuple([Schema.String, Schema.Int]) })

const OwnValue = Schema.Union([Schema.Struct({ value: Schema.String }), Schema.Struct({ other: Schema.Int })])

const Even = Schema.Struct({
  n: Schema.Finite.check(Schema.makeFilter((n) => n % 2 === 0 ? undefined : "Expected an even number"))
})

const Pair = Schema.Struct({ a: Schema.optionalKey(Schema.Int), b: Schema.optionalKey(Schema.Int) }).check(
  Schema.makeFilter(({ a, b }) => a === undefined && b === undefined ? "One of them must be there" : undefined)
)

const throwing = (thrown: unknown) =>
  Schema.String.check(Schema.makeFilter(() => {
    throw thrown === undefined ? thrown : new Error(String(thrown))
  }))

const Slow = Schema.String.pipe(Schema.decodeTo(
  Schema.String,
  SchemaTransformation.transformEffect<string, string>({
    decode: (text) => Effect.as(Effect.sleep("1 second"), text),
    encode: Effect.succeed
  })
))

const decodeRequest = Schema.decodeSync(ResponseRequest)

const jsonSchemaOf = (schema: Schema.Decoder<unknown>, dialect: StructuredOutput.Dialect) =>
  Result.getOrThrow(StructuredOutput.jsonSchema(schema, dialect))

const issuesOf = (schema: Schema.Decoder<unknown>, text: string) =>
  Result.getOrThrow(Result.flip(StructuredOutput.decode(schema, text)))

const answered = (content: string, finishReason: "stop" | "tool-calls" = "stop"): Outcome => {
  const usage = usageOf({ input_tokens: 3, output_tokens: 4 })
  return {
    _tag: "Succeeded",
    answer: new Answer({
      content,
      finishReason,
      response: {},
      model: "m",
      ...(usage === undefined ? {} : { usage })
    })
  }
}
