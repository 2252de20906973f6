import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import * as StructuredOutput from "../../src/services/StructuredOutput.ts"

const fence = (text: string, marks = "```", language = "json") => `${marks}${language}\n${text}\n${marks}`

const json = (name: string) => JSON.stringify({ name })

describe("StructuredOutput.decode finds the answer", () => {
  describe("in the whole text", () => {
    it.each<[string, string]>([
      ["JSON that has a fence in a string", JSON.stringify({ name: fence(json("inner")) })],
      ["JSON that has tags of thoughts in a string", JSON.stringify({ name: `<think>a</think>${json("inner")}` })],
      ["JSON after a byte order mark", `\uFEFF${json("Oslo")}`]
    ])("takes %s as it is", (_, text) => {
      assert.deepStrictEqual(nameIn(text), JSON.parse(text.replace("\uFEFF", "")).name)
    })

    it("takes nothing else when the text is JSON that does not fit", () => {
      assert.isUndefined(nameIn(`[${json("Oslo")}]`))
    })
  })

  describe("after thoughts", () => {
    it.each<[string, string]>([
      ["without brackets", "I see several claims."],
      ["with open brackets and quotes", "It is [ {name}, … and it starts with \"[\" and one {"],
      ["with an object that is never closed", `First {"name": "Ber… and so on, [1, 2`],
      ["with a draft", `First ${json("draft")}. No.`],
      ["with a draft in a fence", fence(json("draft"))],
      ["with a fence that is never closed", "```json\n{\"name\": \"draft\""],
      ["with a string that is never closed", `So {"name": "Ber`]
    ])("%s", (_, thoughts) => {
      for (const answer of [json("Oslo"), fence(json("Oslo")), `It is ${json("Oslo")}.`]) {
        assert.strictEqual(nameIn(`<think>${thoughts}</think>\n\n${answer}`), "Oslo")
        assert.strictEqual(nameIn(`${thoughts}\n</think>\n\n${answer}`), "Oslo")
      }
    })

    it.each<[string, string]>([
      ["<thinking>", "</thinking>"],
      ["<THINK>", "</THINK>"],
      ["<thought>", "</thought>"],
      ["<reasoning>", "</reasoning>"],
      ["<reflection>", "</reflection>"],
      ["<seed:think>", "</seed:think>"],
      ["<think:opensource>", "</think:opensource>"],
      ["[THINK]", "[/THINK]"],
      ["◁think▷", "◁/think▷"],
      ["<|START_THINKING|>", "<|END_THINKING|>"],
      ["<|begin_of_thought|>", "<|end_of_thought|>"],
      ["<|channel>thought\n", "<channel|>"],
      ["<|open|>think<|sep|>", "<|close|>think<|sep|>"],
      ["<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final<|message|>"],
      ["analysis", "assistantfinal"],
      ["", "[BEGIN FINAL RESPONSE]"]
    ])("between %s and %s", (begin, end) => {
      assert.strictEqual(nameIn(`${begin}Perhaps ${fence(json("draft"))}${end}So ${json("Oslo")}`), "Oslo")
    })

    it("that come several times", () => {
      const text = `<think>${json("a")}</think> Not ${json("b")}. <think>${json("c")}</think> ${json("Oslo")}`

      assert.strictEqual(nameIn(text), "Oslo")
    })

    it("although the answer has an end of thoughts in a string", () => {
      assert.strictEqual(nameIn(`<think>${fence(json("draft"))}</think>${json("</think>")}`), "</think>")
      assert.strictEqual(nameIn(`<think>${json("draft")}</think>\n${fence(json("</think>"))}`), "</think>")
    })

    it.each<[string, Schema.Decoder<unknown>, string, unknown]>([
      ["a number", Schema.Finite, "42", 42],
      ["a text", Schema.String, "\"yes\"", "yes"],
      ["a boolean", Schema.Boolean, "false", false],
      ["null", Schema.NullOr(Schema.String), "null", null]
    ])("%s", (_, schema, text, expected) => {
      assert.deepStrictEqual(
        StructuredOutput.decode(schema, `<think>2, or "no"?</think>\n${text}\n`),
        succeed(expected)
      )
    })

    it.each<[string, string]>([
      ["does not fit", `{"nom":"Oslo"}`],
      ["does not fit, in a fence", fence(`{"name":7}`)],
      ["is cut", `{"name":"Os`],
      ["is cut in a key", `{"na`],
      ["is cut at its beginning", "{"],
      ["is cut in a fence", "```json\n{\"name\":"],
      ["is broken", `{"name":"Oslo","more":[1,2,]}`]
    ])("and takes no draft for an answer that %s", (_, answer) => {
      assert.isUndefined(nameIn(`<think>${json("draft")}</think>\n${answer}`))
    })
  })

  describe("elsewhere, when nothing stands after the thoughts", () => {
    it.each<[string, string]>([
      ["before them", `${json("Oslo")}\n<think>Or ${json("Bergen")}? No.</think>`],
      ["before them, with words after them", `${json("Oslo")}<think>Or ${json("Bergen")}?</think> See [1].`],
      ["before thoughts that never end", `${json("Oslo")}\n<think>Or ${json("Bergen")}?`],
      ["between them", `<think>${json("a")}</think>${json("Oslo")}<think>Or ${json("Bergen")}?</think>`],
      ["in them", `<think>${json("Bergen")} or ${json("Oslo")}</think> Done.`],
      ["in thoughts that never end", `<think>So it is ${json("Oslo")}`]
    ])("%s", (_, text) => {
      assert.strictEqual(nameIn(text), "Oslo")
    })
  })

  describe("in fenced blocks", () => {
    it.each<[string, string]>([
      ["of JSON", fence(json("Oslo"))],
      ["without a language", fence(json("Oslo"), "```", "")],
      ["of another language", fence(json("Oslo"), "```", "python")],
      ["of tildes", fence(json("Oslo"), "~~~")],
      ["of many backticks", fence(json("Oslo"), "`````")],
      ["that are indented", `  - The city:\n    \`\`\`json\n    ${json("Oslo")}\n    \`\`\``],
      ["in a list", `1. \`\`\`json\n   ${json("Oslo")}\n   \`\`\``],
      ["with carriage returns", fence(json("Oslo")).replaceAll("\n", "\r\n")],
      ["that are not closed", `\`\`\`json\n${json("Oslo")}\n`],
      ["within a line", `\`\`\`json ${json("Oslo")} \`\`\``],
      ["in a block of Markdown", fence(`Here:\n${fence(json("Oslo"))}`, "````", "markdown")]
    ])("%s", (_, block) => {
      assert.strictEqual(nameIn(`Scores lie in [0, 1), so:\n${block}`), "Oslo")
    })

    it.each<[string, string]>([
      ["the last one of several", `${fence(json("a"))}\nBetter:\n${fence(json("Oslo"))}`],
      ["the last one that fits", `${fence(json("Oslo"))}\nIts schema:\n${fence(`{"type":"object"}`)}`],
      ["the one that is JSON", `${fence(json("Oslo"))}\n${fence(`print(${json("a")})`, "```", "python")}`],
      ["not what stands around them", `Not ${json("a")}.\n${fence(json("Oslo"))}\nNor ${json("b")}.`]
    ])("takes %s", (_, text) => {
      assert.strictEqual(nameIn(text), "Oslo")
    })

    it("as a number or a text, too", () => {
      assert.deepStrictEqual(StructuredOutput.decode(Schema.Finite, `It is 1:\n${fence("42")}`), succeed(42))
      assert.deepStrictEqual(StructuredOutput.decode(Schema.String, `It is:\n${fence("\"yes\"")}`), succeed("yes"))
    })
  })

  describe("in prose", () => {
    it.each<[string, string]>([
      ["with a half-open interval", `All lie in [0, 1). ${json("Oslo")}`],
      ["with another one after it", `${json("Oslo")} is in (0, 1] and [2, 3).`],
      ["with brackets of other kinds", `If {x} or [y or "z: ${json("Oslo")} :-]`],
      ["with quotes in brackets", `See ["foo] and ${json("Oslo")}.`],
      ["with a form of it", `The form {"name": …} is asked for: ${json("Oslo")}`],
      ["with a form that is never closed", `The form {"name": … is asked for: ${json("Oslo")}`],
      ["with the schema before it", `{"type":"object","properties":{"name":{"type":"string"}}} gives ${json("Oslo")}`],
      ["with references after it", `${json("Oslo")} See [1] and [2].`],
      ["that says it twice, in another order of keys", `{"x":1,"name":"Oslo"}, so {"name":"Oslo","x":1}`],
      ["that corrects itself", `${json("Bergen")}. No: ${json("Oslo")}`]
    ])("%s", (_, text) => {
      assert.strictEqual(nameIn(text), "Oslo")
    })

    it("by the last of two that fit, with the object of the key value or without", () => {
      const schema = Schema.Array(Schema.Int)

      assert.deepStrictEqual(StructuredOutput.decode(schema, `{"value":[1]} or rather [2]`), succeed([2]))
      assert.deepStrictEqual(StructuredOutput.decode(schema, `[1] or rather {"value":[2]}`), succeed([2]))
    })

    it.each(["The answer is 42.", "42 of 43", "true or false", "It is \"42\"."])("not as a number in %j", (text) => {
      assert.isTrue(Result.isFailure(StructuredOutput.decode(Schema.Union([Schema.Finite, Schema.Boolean]), text)))
    })
  })

  describe("but no piece of an object", () => {
    it.each<[string, string]>([
      ["that is cut", `{"city":{"name":"Oslo"}`],
      ["that is cut in a list", `[{"name":"Oslo"},{"name":"Ber`],
      ["that is cut in a string", `{"city":{"name":"Oslo"},"note":"see [1] and ${"{"}`],
      ["that has a comma too many", `{"list":[1,],"city":{"name":"Oslo"}}`],
      ["that has a comma too few", `{"a":1 "city":{"name":"Oslo"}}`],
      ["that has comments", `{"a":1, // one\n"city":{"name":"Oslo"}}`],
      ["whose string has quotes", `{"note":"see {"name":"Oslo"} there"}`],
      ["whose string has a line break", `{"note":"a }\nb","city":{"name":"Oslo"}}`]
    ])("%s", (_, text) => {
      assert.isUndefined(nameIn(text))
    })

    it("of a recursive schema, whose every part would fit", () => {
      const cut = `{"name":"root","kids":[{"name":"kid","kids":[]}`
      const broken = `{"name":"root","kids":[{"name":"a","kids":[]},],"more":[{"name":"b","kids":[]}]}`

      assert.isTrue(Result.isFailure(StructuredOutput.decode(Tree, cut)))
      assert.isTrue(Result.isFailure(StructuredOutput.decode(Tree, broken)))
    })
  })

  describe("where all keys may be missing", () => {
    it.each<[string, string, unknown]>([
      ["not as {} beside a better one", `{"name":"Oslo"} and not {}`, { name: "Oslo" }],
      ["not as {} in a fence beside a better one", `{"name":"Oslo"}, or\n${fence("{}")}`, { name: "Oslo" }],
      ["not as an object of other keys", `{"name":"Oslo"} but not {"mayor":"unknown"}`, { name: "Oslo" }],
      ["as {} when there is no other", "Nothing is known: {}", {}],
      ["as {} when only a draft says more", `<think>${json("draft")}</think>\n{}`, {}],
      ["as {} when that is the whole text", "{}", {}]
    ])("%s", (_, text, expected) => {
      assert.deepStrictEqual(StructuredOutput.decode(Optional, text), succeed(expected))
    })

    it("not as an object of other keys beside defaults", () => {
      assert.deepStrictEqual(
        StructuredOutput.decode(WithDefault, `{"name":"Oslo"} but not {"mayor":"unknown"}`),
        succeed({ name: "Oslo" })
      )
    })

    it.each<[string, unknown]>([
      ["[1,2], and not []", [1, 2]],
      [`{"value":[1,2]}, and not {"value":[]}`, [1, 2]],
      ["There are none: []", []]
    ])("as a list: %s", (text, expected) => {
      assert.deepStrictEqual(StructuredOutput.decode(Schema.Array(Schema.Int), text), succeed(expected))
    })
  })

  describe("or says what does not fit", () => {
    it.each<[string, string, string]>([
      ["in what comes nearest", `[1] {} {"name":7} {"a":1}`, "name: Expected string"],
      ["in the object that has the keys", `{"name":[1,"a",{}]} {}`, "name: Expected string"],
      ["in the object rather than in a list", `{"name":7} [1]`, "name: Expected string"],
      ["in the answer rather than in a draft", `<think>{"name":7}</think>{"nom":"Oslo"}`, "name: Missing key"]
    ])("%s", (_, text, issues) => {
      assert.deepStrictEqual(StructuredOutput.decode(Named, text), Result.fail(issues))
    })
  })

  it("among the last 1,000 values", () => {
    assert.strictEqual(nameIn(`${json("Oslo")}${"[1]".repeat(999)}`), "Oslo")
    assert.isUndefined(nameIn(`${json("Oslo")}${"[1]".repeat(1000)}`))
  })

  it.each([
    "[",
    "[]",
    "]}",
    "[1,",
    "{\"a\":",
    "{\"a\":x",
    "{\"a\":1}x",
    "[\"",
    "[\"[",
    "[\"a[\",",
    "[[\"",
    "{\"a\":\"{\" \"b",
    "{\"k\":{\"k\":\"}\"x",
    "[\"</think>\",",
    "{\"a\":\"</think>",
    "<think>",
    "</think>",
    "<think>[</think>",
    "[THINK]",
    "```\n",
    "```\n1\n```\n",
    "\\\"",
    "  "
  ])("in time in proportion to the length, in 1 MB of %j", (piece) => {
    const text = piece.repeat(1_000_000 / piece.length)
    const started = performance.now()
    const result = StructuredOutput.decode(Named, text)

    assert.isTrue(Result.isFailure(result))
    // It takes a fraction of a second on a machine with nothing else to do. Squares of this length would take many minutes.
    assert.isBelow(performance.now() - started, 15_000)
  }, 30_000)
})

const Named = Schema.Struct({ name: Schema.String })

const Optional = Schema.Struct({ name: Schema.optionalKey(Schema.String) })

const WithDefault = Schema.Struct({
  name: Schema.String.pipe(Schema.withDecodingDefaultKey(Effect.succeed("nobody")))
})

interface Tree {
  readonly name: string
  readonly kids: ReadonlyArray<Tree>
}

const Tree: Schema.Codec<Tree> = Schema.Struct({
  name: Schema.String,
  kids: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

const succeed = (value: unknown) => Result.succeed(value)

const nameIn = (text: string): string | undefined => {
  const result = StructuredOutput.decode(Named, text)
  return Result.isSuccess(result) ? (result.success as typeof Named.Type).name : undefined
}
