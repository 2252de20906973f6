import { assert, describe, it } from "@effect/vitest"
import { Result, Schema } from "effect"
import * as AnthropicBatches from "../../../src/services/providers/AnthropicBatches.ts"
import * as AnthropicMessages from "../../../src/services/providers/AnthropicMessages.ts"
import * as ChatCompletions from "../../../src/services/providers/ChatCompletions.ts"
import * as GeminiInput from "../../../src/services/providers/internal/GeminiInput.ts"
import * as OpenAiResponses from "../../../src/services/providers/OpenAiResponses.ts"
import { providerTable } from "../../../src/services/providers/ProviderTable.ts"
import { type RequestInput, ResponseRequest } from "../../../src/services/ResponseRequest.ts"
import * as StructuredOutput from "../../../src/services/StructuredOutput.ts"
import { anthropicValidator } from "./AnthropicPublishedSchemas.ts"
import { publishedValidator } from "./OpenAiPublishedSchemas.ts"

describe("A request with a schema", () => {
  describe("to Responses", () => {
    it("has it in text.format, beside what the user puts into text", () => {
      const body = responses({ providerOptions: { text: { verbosity: "low" } } })

      assert.deepStrictEqual<unknown>(body["text"], {
        format: { type: "json_schema", name: "answer", strict: true, schema: cityIn("openai") },
        verbosity: "low"
      })
      assert.notProperty(body, "instructions")
    })

    it("has the user's own format instead, where there is one", () => {
      const body = responses({ providerOptions: { text: { format: { type: "text" } } } })

      assert.deepStrictEqual<unknown>(body["text"], { format: { type: "text" } })
    })

    it("is not strict where the schema leaves something open", () => {
      const body = responses({ schema: Schema.Struct({ a: Schema.Json }) })

      assert.nestedPropertyVal(body, "text.format.strict", false)
    })

    it("has it in response_format at Perplexity", () => {
      const body = responses({}, { provider: "perplexity", model: "sonar" })

      assert.notProperty(body, "text")
      assert.nestedPropertyVal(body, "response_format.json_schema.name", "answer")
    })

    it.each([
      ["ollama", "qwen3:8b"],
      ["hosted_vllm", "Qwen/Qwen3-32B"],
      ["xai", "grok-5"]
    ])("has it in text.format at %s for %s", (provider, model) => {
      const body = responses({}, { provider, model })

      assert.nestedPropertyVal(body, "text.format.type", "json_schema")
      assert.notProperty(body, "instructions")
    })

    it.each([
      ["deepseek", "deepseek-flash"],
      ["groq", "llama-4"],
      ["openrouter", "openai/gpt-5"],
      ["acme", "own-model"],
      ["openai", "gpt-4-turbo"],
      ["openai", "gpt-5.4-pro"],
      ["azure", "gpt-35-turbo"],
      ["openai", "o3-deep-research"]
    ])("has it in words at %s for %s", (provider, model) => {
      const body = responses({ instructions: "Be brief." }, { provider, model })

      assert.notProperty(body, "text")
      assert.strictEqual(body["instructions"], `Be brief.\n\n${inWords}`)
    })

    it.each(["gpt-4o", "gpt-4.1-mini", "gpt-5.5-pro", "o3-pro", "gpt-6-astra", "o4-mini", "my-deployment"])(
      "has it natively for %s",
      (model) => {
        assert.property(responses({}, { provider: "openai", model }), "text")
      }
    )
  })

  describe("to Chat Completions", () => {
    it("has it in response_format", () => {
      const body = chat({}, { provider: "openai", model: "gpt-5" })

      assert.deepStrictEqual<unknown>(body["response_format"], {
        type: "json_schema",
        json_schema: { name: "answer", strict: true, schema: cityIn("openai") }
      })
      assert.deepStrictEqual<unknown>(body["messages"], [{ role: "user", content: "Which city?" }])
    })

    it("has no bounds of lists at Cerebras, and a recursive schema in words", () => {
      const about = { provider: "cerebras", model: "gpt-oss-120b" }
      const bounded = Schema.Struct({ tags: Schema.Array(Schema.String).check(Schema.isMinLength(1)) })

      assert.nestedProperty(
        chat({ schema: bounded }, openai),
        "response_format.json_schema.schema.properties.tags.minItems"
      )
      assert.notNestedProperty(
        chat({ schema: bounded }, about),
        "response_format.json_schema.schema.properties.tags.minItems"
      )
      assert.nestedPropertyVal(chat({ schema: bounded }, about), "response_format.json_schema.strict", true)
      assert.notProperty(chat({ schema: Tree }, about), "response_format")
      assert.include(JSON.stringify(chat({ schema: Tree }, about)["messages"]), "JSON Schema")
    })

    it("has nothing of it in a format of the user's own", () => {
      const body = chat({ providerOptions: { response_format: { type: "text" } } }, {
        provider: "xai",
        model: "grok-5"
      })

      assert.deepStrictEqual<unknown>(body["response_format"], { type: "text" })
    })

    it("has it in words beside a JSON mode", () => {
      const body = chat({}, { provider: "deepseek", model: "deepseek-chat" })

      assert.deepStrictEqual<unknown>(body["response_format"], { type: "json_object" })
      assert.deepStrictEqual<unknown>(body["messages"], [
        { role: "system", content: inWords },
        { role: "user", content: "Which city?" }
      ])
    })

    it("has it in words alone elsewhere", () => {
      const body = chat({}, { provider: "minimax", model: "m" })

      assert.notProperty(body, "response_format")
      assert.nestedPropertyVal(body, "messages[0].content", inWords)
    })

    it("is native where the host documents it for all of its models", () => {
      const native = providerTable.filter((row) => row.structuredOutput === "json_schema").map(({ prefix }) => prefix)

      assert.includeMembers(native, [
        "openai",
        "azure",
        "gemini",
        "mistral",
        "xai",
        "cerebras",
        "hosted_vllm",
        "ollama"
      ])
      assert.notIncludeMembers(native, ["anthropic", "deepseek", "groq"])
    })
  })

  describe("to Anthropic", () => {
    it.each([
      "claude-opus-5-5",
      "claude-sonnet-4-5-20250929",
      "claude-haiku-4-5",
      "claude-opus-4-7",
      "claude-fable-5-2"
    ])(
      "has it in output_config.format, beside the effort, for %s",
      (model) => {
        const body = messages({ reasoningEffort: "high" }, model)

        assert.deepStrictEqual<unknown>(body["output_config"], {
          effort: "high",
          format: { type: "json_schema", schema: cityIn("anthropic") }
        })
        assert.notProperty(body, "system")
      }
    )

    it.each([
      "claude-3-7-sonnet-latest",
      "claude-sonnet-4-20250514",
      "claude-sonnet-4-0",
      "claude-opus-4-1-20250805",
      "claude-opus-4",
      "claude-opus-4@20250514",
      "deepseek-chat"
    ])("has it in words for %s", (model) => {
      const body = messages({ instructions: "Be brief." }, model)

      assert.notProperty(body, "output_config")
      assert.strictEqual(body["system"], `Be brief.\n\n${inWords}`)
    })

    it("has a recursive schema in words, as its format takes none", () => {
      const body = messages({ schema: Tree, reasoningEffort: "low" }, "claude-opus-5-5")

      assert.deepStrictEqual<unknown>(body["output_config"], { effort: "low" })
      assert.match(String(body["system"]), /JSON Schema/)
    })

    it("keeps the user's own format", () => {
      const body = messages({ providerOptions: { output_config: { format: null } } }, "claude-opus-5-5")

      assert.deepStrictEqual<unknown>(body["output_config"], { format: null })
    })

    it("is the same in a batch", () => {
      const batch = AnthropicBatches.toBody(request({}), { submissionId: "sub-1" }, opus)

      assert.deepStrictEqual<unknown>(Result.getOrThrow(batch).requests, [
        { custom_id: "sub-1", params: messages({}, opus.model) }
      ])
    })
  })

  it("has it in response_format of Gemini's interactions, unless the user has one there", () => {
    const body = gemini({})
    const own = gemini({ providerOptions: { response_format: { type: "text" } } })

    assert.deepStrictEqual<unknown>(body["response_format"], {
      type: "text",
      mime_type: "application/json",
      schema: cityIn("openai")
    })
    assert.deepStrictEqual<unknown>(own["response_format"], { type: "text" })
  })

  it.each<[string, () => Result.Result<unknown, unknown>]>([
    ["Responses", () => OpenAiResponses.toPayload(request(unsendable), { ...openai, alwaysStore: true })],
    ["Chat Completions", () => ChatCompletions.toPayload(request(unsendable), openai)],
    ["batches", () => AnthropicBatches.toBody(request(unsendable), { submissionId: "sub-1" }, opus)],
    [
      "interactions",
      () => GeminiInput.toPayload(request(unsendable), { provider: "gemini", model: "gemini-3.8-flash" })
    ]
  ])("is refused, and not sent, to %s when it is no JSON Schema", (_, make) => {
    const error = Result.getOrThrow(Result.flip(make()))

    assert.containSubset(error, {
      evidence: "NotSent",
      verdict: { _tag: "NonRetryable", reason: { _tag: "InvalidRequest", param: "schema" } }
    })
  })

  it("is refused to Messages when it is no JSON Schema", () => {
    const error = Result.getOrThrow(Result.flip(AnthropicMessages.toBody(request(unsendable), opus)))

    assert.containSubset(error, { _tag: "InvalidRequest", param: "schema", provider: "anthropic" })
  })

  it.skipIf(process.env.HOLDFAST_SPECS === undefined)(
    "is what the providers' published schemas take (skipped without HOLDFAST_SPECS)",
    () => {
      const createResponse = publishedValidator("CreateResponse")
      const createChat = publishedValidator("CreateChatCompletionRequest")
      const createMessage = anthropicValidator("CreateMessageParams")
      const createBatch = anthropicValidator("CreateMessageBatchParams")

      for (const schema of [City, Tree, Schema.Array(City), Schema.Record(Schema.String, City), Schema.Unknown]) {
        assert.deepStrictEqual(createResponse?.(responses({ schema })), [])
        assert.deepStrictEqual(createChat?.(chat({ schema }, openai)), [])
        assert.deepStrictEqual(createMessage?.(messages({ schema, reasoningEffort: "low" }, opus.model)), [])
        assert.deepStrictEqual(
          createBatch?.(
            Result.getOrThrow(AnthropicBatches.toBody(request({ schema }), { submissionId: "sub-1" }, opus))
          ),
          []
        )
      }
    }
  )
})

const City = Schema.Struct({ name: Schema.String, mayor: Schema.optionalKey(Schema.String) })

interface Tree {
  readonly kids: ReadonlyArray<Tree>
}

const Tree: Schema.Codec<Tree> = Schema.Struct({
  kids: Schema.Array(Schema.suspend((): Schema.Codec<Tree> => Tree))
})

const unsendable = { schema: Schema.Struct({ [Symbol.for("a")]: Schema.String }) }

const openai = { provider: "openai", model: "gpt-5" }

const opus = { provider: "anthropic", model: "claude-opus-5-5" }

const cityIn = (dialect: StructuredOutput.Dialect) => Result.getOrThrow(StructuredOutput.jsonSchema(City, dialect))

const inWords = Result.getOrThrow(StructuredOutput.instruction(City))

const request = (change: Partial<RequestInput>): ResponseRequest =>
  Schema.decodeSync(ResponseRequest)({ model: "m", prompt: "Which city?", schema: City, ...change })

type Body = Readonly<Record<string, unknown>>

const responses = (change: Partial<RequestInput>, about = openai): Body =>
  Result.getOrThrow(OpenAiResponses.toPayload(request(change), { ...about, alwaysStore: true }))

const chat = (change: Partial<RequestInput>, about: typeof openai): Body =>
  Result.getOrThrow(ChatCompletions.toPayload(request(change), about))

const messages = (change: Partial<RequestInput>, model: string): Body =>
  Result.getOrThrow(AnthropicMessages.toBody(request(change), { provider: "anthropic", model }))

const gemini = (change: Partial<RequestInput>): Body =>
  Result.getOrThrow(GeminiInput.toPayload(request(change), { provider: "gemini", model: "gemini-3.8-flash" }))
