import { assert, describe, it } from "@effect/vitest"
import { Config, ConfigProvider, Effect, Layer, Schema } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import * as ModelCatalog from "../../src/services/ModelCatalog.ts"

const dataDirectory = process.env.HOLDFAST_DATA

describe("ModelCatalog", () => {
  describe("parse", () => {
    it.each<[model: string, provider: string | undefined, explicit: boolean, name: string]>([
      ["openai/gpt-5.5-pro", "openai", true, "gpt-5.5-pro"],
      ["azure/my-deployment", "azure", true, "my-deployment"],
      ["azure/eu/gpt-4o-2024-08-06", "azure", true, "eu/gpt-4o-2024-08-06"],
      ["azure_ai/gpt-5", "azure_ai", true, "gpt-5"],
      ["anthropic/claude-opus-5-5", "anthropic", true, "claude-opus-5-5"],
      ["gemini/gemini-2.5-pro", "gemini", true, "gemini-2.5-pro"],
      ["bedrock_mantle/openai.gpt-5.6-sol", "bedrock_mantle", true, "openai.gpt-5.6-sol"],
      ["openrouter/openai/gpt-5", "openrouter", true, "openai/gpt-5"],
      ["together_ai/meta-llama/Llama-3.3-70B-Instruct", "together_ai", true, "meta-llama/Llama-3.3-70B-Instruct"],
      ["huggingface/org/model", "huggingface", true, "org/model"],
      ["ollama/llama3.2:1b", "ollama", true, "llama3.2:1b"],
      ["hosted_vllm/Qwen/Qwen3-32B", "hosted_vllm", true, "Qwen/Qwen3-32B"],
      ["OpenAI/GPT-5", "openai", true, "GPT-5"],
      ["  openai / gpt-5\n", "openai", true, "gpt-5"],
      ["openai/", "openai", true, ""],
      ["gpt-5", "openai", false, "gpt-5"],
      ["GPT-4o", "openai", false, "GPT-4o"],
      ["gpt-3.5-turbo", "openai", false, "gpt-3.5-turbo"],
      ["o3", "openai", false, "o3"],
      ["o4-mini-deep-research", "openai", false, "o4-mini-deep-research"],
      ["codex-mini-latest", "openai", false, "codex-mini-latest"],
      ["computer-use-preview", "openai", false, "computer-use-preview"],
      ["gpt-sol-latest", "openai", false, "gpt-sol-latest"],
      ["daybreak-blue-latest", "openai", false, "daybreak-blue-latest"],
      ["gpt-oss-latest", undefined, false, "gpt-oss-latest"],
      ["gpt-neo-latest", undefined, false, "gpt-neo-latest"],
      ["chatgpt-4o-latest", "openai", false, "chatgpt-4o-latest"],
      ["text-embedding-3-small", "openai", false, "text-embedding-3-small"],
      ["ft:gpt-4o-mini-2024-07-18:acme::abc", "openai", false, "ft:gpt-4o-mini-2024-07-18:acme::abc"],
      ["claude-opus-5-5", "anthropic", false, "claude-opus-5-5"],
      ["gemini-2.5-pro", "gemini", false, "gemini-2.5-pro"],
      ["gpt-oss-120b", undefined, false, "gpt-oss-120b"],
      ["gpt4all-j", undefined, false, "gpt4all-j"],
      ["gpt-neox-20b", undefined, false, "gpt-neox-20b"],
      ["olmo-2", undefined, false, "olmo-2"],
      ["llama-3", undefined, false, "llama-3"],
      ["meta-llama/Llama-3", undefined, false, "meta-llama/Llama-3"],
      ["acme/gpt-5", undefined, false, "acme/gpt-5"],
      ["gpt-5/acme", undefined, false, "gpt-5/acme"],
      ["/gpt-5", undefined, false, "/gpt-5"],
      ["__proto__/gpt-5", undefined, false, "__proto__/gpt-5"],
      ["constructor", undefined, false, "constructor"],
      ["", undefined, false, ""],
      [" \t\n ", undefined, false, ""]
    ])("takes %j apart", (model, provider, explicit, name) => {
      assert.deepStrictEqual(ModelCatalog.parse(model), { provider, explicit, asksForResponses: false, name })
      assert.strictEqual(ModelCatalog.providerOf(model), provider)
      assert.strictEqual(ModelCatalog.bareName(model), name)
    })

    it.each<[model: string, asksForResponses: boolean, name: string]>([
      ["openai/responses/gpt-x", true, "gpt-x"],
      ["azure/Responses/my-deployment", true, "my-deployment"],
      ["openrouter/responses/openai/gpt-5", true, "openai/gpt-5"],
      ["deepseek/responses/deepseek-flash", true, "deepseek-flash"],
      ["anthropic/responses/claude-opus-5-5", false, "responses/claude-opus-5-5"],
      ["openai/responses", false, "responses"]
    ])("reads the API asked for by %j", (model, asksForResponses, name) => {
      const parsed = ModelCatalog.parse(model)

      assert.strictEqual(parsed.asksForResponses, asksForResponses)
      assert.strictEqual(parsed.name, name)
    })
  })

  describe("apiType", () => {
    it.each([
      "gpt-4",
      "gpt-4-32k",
      "gpt-4o",
      "gpt-4o-mini-2024-07-18",
      "gpt-4.1-nano",
      "gpt-5",
      "GPT-5",
      "gpt-5.1-mini",
      "gpt-6.1-sol",
      "gpt-12",
      "chatgpt-4o-latest",
      "gpt-chat-latest",
      "o1",
      "o1-2024-12-17",
      "o3-mini",
      "o4-mini",
      "o10",
      "codex-auto-review",
      "gpt-daybreak-blue-latest",
      "daybreak-red-latest",
      "daybreak-green-2027-01-15",
      "gpt-latest",
      "gpt-astra-latest",
      "gpt-luna-latest",
      "gpt-mini-latest",
      "gpt-sol-latest",
      "gpt-terra-latest",
      "gpt-nova-latest",
      "gpt-sol-mini-latest",
      "gpt-sol-2026-12-01",
      "gpt-6.1-sol-2026-12",
      "gpt-6.2-nova-2027-01-15",
      "gpt-7-astra-preview",
      "gpt-7o-mini",
      "o5-mini-2027-01-15",
      "chatgpt-latest",
      "ft:gpt-luna-latest:acme::abc",
      "azure/eu/gpt-mini-latest",
      "azure/team-a-gpt-sol-latest",
      "bedrock_mantle/openai.gpt-sol-latest",
      "bedrock_mantle/openai.daybreak-blue-latest",
      "ft:gpt-4o-2024-08-06:acme:image-captions:abc",
      "ft:o4-mini-2025-04-16:acme::abc",
      "openai/gpt-4o",
      "openai/responses/my-finetune",
      "azure/gpt-5",
      "azure/eu/gpt-5.1-codex",
      "azure/team-a-gpt-5-prod",
      "azure/gpt4o",
      "azure/responses/my-deployment",
      "azure_ai/gpt-5-mini",
      "bedrock_mantle/openai.gpt-5.6-sol",
      "bedrock_mantle/openai.gpt-oss-120b",
      "xai/responses/grok-4"
    ])("is responses for %s", (model) => {
      assert.strictEqual(ModelCatalog.apiType(model), "responses")
      assert.isTrue(ModelCatalog.supportsResponsesApi(model))
    })

    it.each([
      "gpt-3.5-turbo",
      "gpt-35-turbo",
      "azure/gpt-35-turbo-16k",
      "gpt-3.5-turbo-instruct",
      "ft:gpt-3.5-turbo-0125:acme::gpt-5",
      "gpt-4o-audio-preview",
      "gpt-4o-realtime-preview",
      "gpt-4o-search-preview-2025-03-11",
      "gpt-5-search-api",
      "gpt-4o-transcribe-diarize",
      "gpt-4o-mini-tts",
      "gpt-audio-mini",
      "gpt-realtime-2.1",
      "gpt-image-1",
      "gpt-5.4-image-2",
      "gpt-image-latest",
      "gpt-realtime-latest",
      "gpt-audio-mini-latest",
      "gpt-mini-transcribe-latest",
      "gpt-mini-tts-2026-12-01",
      "gpt-voice-latest",
      "gpt-live-latest",
      "gpt-video-latest",
      "gpt-embedding-latest",
      "gpt-6-voice",
      "gpt-6-live",
      "gpt-6-search",
      "gpt-search-latest",
      "gpt-3.5-turbo-latest",
      "gpt-oss-latest",
      "gpt-oss-mini-2027-01-15",
      "gpt-neo-latest",
      "gpt-neox-latest",
      "gpt-j-latest",
      "gpt-nova",
      "gpt-sol-latestish",
      "daybreak-blue",
      "sol-latest",
      "grok-latest",
      "openrouter/~openai/gpt-sol-latest",
      "groq/gpt-sol-latest",
      "azure/my-deployment-latest",
      "o1-mini",
      "o1-preview-2024-09-12",
      "text-embedding-3-large",
      "omni-moderation-latest",
      "whisper-1",
      "dall-e-3",
      "sora-2",
      "gpt2",
      "openai/gpt4all-j",
      "openai/gpt-oss-120b",
      "openai/gemini-2.5-computer-use-preview-10-2025",
      "openai/llama3.2",
      "openai/",
      "azure/my-deployment",
      "azure/command-r-plus",
      "gemini-2.5-computer-use-preview-10-2025",
      "gemini/gemini-3.5-flash",
      "claude-opus-5-5",
      "anthropic/claude-sonnet-5-5",
      "anthropic/responses/gpt-5",
      "openrouter/openai/gpt-5",
      "bedrock/us.openai.gpt-5.6-sol",
      "together_ai/meta-llama/Llama-3.3-70B-Instruct",
      "groq/openai/gpt-oss-120b",
      "xai/grok-4",
      "perplexity/sonar-pro",
      "perplexity/openai/gpt-5",
      "litellm_proxy/gpt-5",
      "meta-llama/Llama-3",
      "acme/gpt-5",
      "gpt-4all",
      "o1x",
      "fo3",
      "",
      "   ",
      "/",
      "\u0000",
      "💥",
      "\ud800"
    ])("is completions for %j", (model) => {
      assert.strictEqual(ModelCatalog.apiType(model), "completions")
      assert.isFalse(ModelCatalog.supportsResponsesApi(model))
      assert.isFalse(ModelCatalog.supportsBackground(model))
      assert.isFalse(ModelCatalog.isResponsesOnly(model))
    })
  })

  describe("isResponsesOnly", () => {
    it.each([
      "o1-pro",
      "o3-pro-2025-06-10",
      "o3-deep-research",
      "o4-mini-deep-research-2025-06-26",
      "computer-use-preview",
      "codex-mini-latest",
      "gpt-5-codex",
      "gpt-5.1-codex-max",
      "gpt-5.3-codex-spark",
      "gpt-5-pro",
      "gpt-5.5-pro-2026-04-23",
      "gpt-6-cyber",
      "gpt-6-rosalind",
      "gpt-rosalind-research",
      "gpt-daybreak-red-latest",
      "daybreak-red-latest",
      "daybreak-blue-latest",
      "gpt-pro-latest",
      "gpt-astra-pro-latest",
      "gpt-codex-latest",
      "gpt-cyber-2027-01-15",
      "gpt-6.1-sol-pro",
      "azure/gpt-5.4-pro",
      "azure/eu/gpt-5.1-codex"
    ])("is true for %s", (model) => {
      assert.isTrue(ModelCatalog.isResponsesOnly(model))
    })

    it.each([
      "gpt-5",
      "gpt-5.5",
      "gpt-4o",
      "o3",
      "o4-mini",
      "codex-auto-review",
      "gpt-sol-latest",
      "gpt-mini-latest",
      "openrouter/openai/gpt-5-pro",
      "openai/responses/my-finetune",
      "gemini/deep-research-pro-preview-12-2025"
    ])("is false for %s", (model) => {
      assert.isFalse(ModelCatalog.isResponsesOnly(model))
    })
  })

  describe("supportsBackground", () => {
    it.each<[model: string, expected: boolean]>([
      ["openai/gpt-5.5-pro", true],
      ["gpt-5.5-pro", true],
      ["azure/gpt-5", true],
      ["bedrock_mantle/openai.gpt-5.6-sol", true],
      ["perplexity/responses/openai/gpt-5", true],
      ["azure_ai/gpt-5", false],
      ["bedrock/responses/us.openai.gpt-5.6-sol", false],
      ["xai/responses/grok-4", false],
      ["litellm_proxy/responses/gpt-5", false],
      ["anthropic/claude-opus-5-5", false],
      ["gemini/gemini-2.5-pro", false],
      ["openai/gpt-3.5-turbo", false]
    ])("of %s is %s", (model, expected) => {
      assert.strictEqual(ModelCatalog.supportsBackground(model), expected)
    })
  })

  describe("responsesApiModels", () => {
    it("has each model bare and with the openai and azure prefixes", () => {
      const bare = [...ModelCatalog.responsesApiModels].filter((model) => !model.includes("/"))

      assert.isAtLeast(bare.length, 50)
      assert.strictEqual(ModelCatalog.responsesApiModels.size, bare.length * 3)
      for (const model of bare) {
        assert.isTrue(ModelCatalog.responsesApiModels.has(`openai/${model}`))
        assert.isTrue(ModelCatalog.responsesApiModels.has(`azure/${model}`))
      }
    })

    it("has only models that the rule calls Responses models", () => {
      assert.deepStrictEqual(
        [...ModelCatalog.responsesApiModels].filter((model) => !ModelCatalog.supportsResponsesApi(model)),
        []
      )
    })
  })

  describe("totality", () => {
    it.effect.prop(
      "answers for every string",
      {
        text: Schema.String,
        prefix: Schema.Literals(["", "openai/", "azure/", "gpt-", "ft:", "o3-", "xai/responses/"])
      },
      ({ prefix, text }) => Effect.sync(() => assertConsistent(prefix + text)),
      { arbitrary: { runs: 500 } }
    )

    it.each([
      ["digits", "gpt-" + "9".repeat(200_000) + "x"],
      ["families", "gpt-5o".repeat(50_000)],
      ["unnumbered families", "gpt-".repeat(50_000)],
      ["words", "gpt" + "-a".repeat(100_000)],
      ["slashes", "openai" + "/".repeat(200_000)],
      ["colons", "ft" + ":".repeat(200_000)],
      ["spaces", " ".repeat(200_000) + "gpt-5"]
    ])("answers for a very long string of %s at once", (_, model) => {
      assertConsistent(model)
      // Squares of these lengths would take longer.
    }, 10_000)
  })

  describe("make", () => {
    it("lets apis win over the rule, by the whole string before the name", () => {
      const catalog = ModelCatalog.make({
        apis: {
          "gpt-5": "completions",
          "azure/gpt-5": "responses",
          "xai/grok-4": "responses",
          "my-model": "responses",
          "openai/responses/gpt-x": "completions"
        }
      })

      assert.strictEqual(catalog.apiType("gpt-5"), "completions")
      assert.strictEqual(catalog.apiType("openai/gpt-5"), "completions")
      assert.strictEqual(catalog.apiType(" OpenAI/GPT-5 "), "completions")
      assert.strictEqual(catalog.apiType("azure/gpt-5"), "responses")
      assert.strictEqual(catalog.apiType("xai/grok-4"), "responses")
      assert.strictEqual(catalog.apiType("grok-4"), "completions")
      assert.strictEqual(catalog.apiType("hosted_vllm/my-model"), "responses")
      assert.strictEqual(catalog.apiType("openai/responses/gpt-x"), "completions")
      assert.strictEqual(catalog.apiType("openai/gpt-4o"), "responses")
    })

    it("derives every answer from the overridden API", () => {
      const catalog = ModelCatalog.make({
        apis: { "gpt-5.5-pro": "completions", "perplexity/sonar": "responses", "groq/x": "responses" }
      })

      assert.isFalse(catalog.isResponsesOnly("openai/gpt-5.5-pro"))
      assert.isFalse(catalog.supportsBackground("openai/gpt-5.5-pro"))
      assert.isTrue(catalog.supportsBackground("perplexity/sonar"))
      assert.isTrue(catalog.supportsResponsesApi("groq/x"))
      assert.isFalse(catalog.supportsBackground("groq/x"))
    })

    it("does not take a key with a provider for the name of a routed model", () => {
      const catalog = ModelCatalog.make({ apis: { "openai/acme": "responses" } })

      assert.strictEqual(catalog.apiType("openai/acme"), "responses")
      assert.strictEqual(catalog.apiType("openrouter/openai/acme"), "completions")
    })

    it("treats a declared deployment as the model it holds", () => {
      const catalog = ModelCatalog.make({
        deployments: {
          "my-dep": "gpt-5.5-pro",
          "azure/Other": "openai/gpt-4o",
          "gpt-5": "whisper-1",
          "old": "gpt-35-turbo"
        }
      })

      assert.strictEqual(catalog.apiType("azure/my-dep"), "responses")
      assert.isTrue(catalog.isResponsesOnly("azure/my-dep"))
      assert.isTrue(catalog.supportsBackground("azure/my-dep"))
      assert.strictEqual(catalog.apiType("azure_ai/my-dep"), "responses")
      assert.strictEqual(catalog.apiType("azure/other"), "responses")
      assert.isFalse(catalog.isResponsesOnly("azure/other"))
      assert.strictEqual(catalog.apiType("azure/gpt-5"), "completions")
      assert.strictEqual(catalog.apiType("azure/old"), "completions")
      assert.strictEqual(catalog.apiType("openai/my-dep"), "completions")
      assert.strictEqual(catalog.apiType("my-dep"), "completions")
      assert.strictEqual(catalog.apiType("openai/gpt-5"), "responses")
    })

    it("looks for a deployment's API under its own name, then under its model's", () => {
      const catalog = ModelCatalog.make({
        apis: { "gpt-4o": "completions", "first": "responses" },
        deployments: { first: "gpt-4o", second: "gpt-4o" }
      })

      assert.strictEqual(catalog.apiType("azure/first"), "responses")
      assert.strictEqual(catalog.apiType("azure/second"), "completions")
    })

    it("throws a RangeError for an unknown API", () => {
      const apis = JSON.parse(`{"gpt-5":"chat"}`) as Record<string, ModelCatalog.ApiType>

      assert.throws(() => ModelCatalog.make({ apis }), RangeError, `apis["gpt-5"] must be "responses" or "completions"`)
    })

    it("is not confused by names of object members", () => {
      const catalog = ModelCatalog.make({ apis: {}, deployments: {} })

      for (const name of ["constructor", "__proto__", "toString", "azure/constructor", "azure/__proto__"]) {
        assert.strictEqual(catalog.apiType(name), "completions")
      }
    })
  })

  describe("layers", () => {
    it.effect("needs no layer", () =>
      Effect.gen(function*() {
        const catalog = yield* ModelCatalog.ModelCatalog

        assert.strictEqual(catalog.apiType("openai/gpt-5"), "responses")
        assert.strictEqual(catalog.apiType("openai/my-model"), "completions")
      }))

    it.effect("takes options", () =>
      Effect.gen(function*() {
        const catalog = yield* ModelCatalog.ModelCatalog

        assert.strictEqual(catalog.apiType("openai/my-model"), "responses")
      }).pipe(Effect.provide(ModelCatalog.layer({ apis: { "my-model": "responses" } }))))

    it.effect("reads the environment", () =>
      Effect.gen(function*() {
        const catalog = yield* fromEnvironment({
          HOLDFAST_MODEL_APIS: " my-model=responses, azure/other = completions,",
          HOLDFAST_AZURE_DEPLOYMENTS: "my-dep=gpt-5.5-pro"
        })

        assert.strictEqual(catalog.apiType("openai/my-model"), "responses")
        assert.strictEqual(catalog.apiType("azure/other"), "completions")
        assert.isTrue(catalog.isResponsesOnly("azure/my-dep"))
      }))

    it.effect.each<Record<string, string>>([{}, { HOLDFAST_MODEL_APIS: "" }, { HOLDFAST_AZURE_DEPLOYMENTS: " , " }])(
      "uses the rule when the environment is %j",
      (env) =>
        Effect.gen(function*() {
          const catalog = yield* fromEnvironment(env)

          assert.strictEqual(catalog.apiType("openai/gpt-5"), "responses")
        })
    )

    it.effect.each<Record<string, string>>([
      { HOLDFAST_MODEL_APIS: "my-model" },
      { HOLDFAST_MODEL_APIS: "my-model=chat" },
      { HOLDFAST_MODEL_APIS: "my-model=" },
      { HOLDFAST_MODEL_APIS: "=responses" },
      { HOLDFAST_MODEL_APIS: "a=responses=completions" },
      { HOLDFAST_MODEL_APIS: "a=responses,A=completions" },
      { HOLDFAST_MODEL_APIS: "a=responses,b" },
      { HOLDFAST_AZURE_DEPLOYMENTS: "my-dep" },
      { HOLDFAST_AZURE_DEPLOYMENTS: "my-dep= " },
      { HOLDFAST_MODEL_APIS: "a=responses", HOLDFAST_AZURE_DEPLOYMENTS: "=gpt-5" }
    ])("fails with ConfigError when the environment is %j", (env) =>
      Effect.gen(function*() {
        const error = yield* Effect.flip(fromEnvironment(env))

        assert.instanceOf(error, Config.ConfigError)
        assert.match(error.message, /HOLDFAST_(MODEL_APIS|AZURE_DEPLOYMENTS)/)
      }))
  })

  describe("agreement", () => {
    it("agrees with the known endpoints of each provider's models", () => {
      const rows = Object.entries(JSON.parse(readFileSync(fixture, "utf8")) as Record<string, boolean>)
      const measured = measure(rows)

      assert.strictEqual(rows.length, 257)
      assert.deepStrictEqual(measured.falsePositives, [])
      assert.deepStrictEqual(measured.falseNegatives, [
        "azure/gpt-3.5-turbo-0125",
        "openai/gpt-3.5-turbo-0125",
        "openai/gpt-3.5-turbo-1106"
      ])
    })

    it.skipIf(dataDirectory === undefined).each<[source: string, truth: (row: Row) => Array<[string, boolean]>]>([
      ["OpenAI's model pages", pagesTruth],
      ["LiteLLM's openai entries", (row) => liteLlmTruth(row, "openai")],
      ["LiteLLM's azure entries", (row) => liteLlmTruth(row, "azure")],
      ["LiteLLM's gemini entries", (row) => liteLlmTruth(row, "gemini")]
    ])("agrees with %s in HOLDFAST_DATA (skipped when it is not set)", (_, truth) => {
      const data = JSON.parse(readFileSync(join(dataDirectory!, "model-endpoints.json"), "utf8")) as {
        readonly models: ReadonlyArray<Row>
      }
      const measured = measure([...new Map(data.models.flatMap(truth))])

      assert.isAbove(measured.total, 20)
      assert.deepStrictEqual(measured.falsePositives, [])
      assert.isAtLeast(1 - measured.falseNegatives.length / measured.total, 0.94, String(measured.falseNegatives))
    })
  })
})

// Facts gathered on 2026-11-22. True: the model answers a text request at the Responses endpoint. OpenAI's model page
// decides (the page of a snapshot stands for its alias), then LiteLLM's map; for models of other modes LiteLLM comes
// first, because the pages also list the endpoint where a model is only a tool's engine (gpt-image-1).
const fixture = new URL("fixtures/model-apis.json", import.meta.url)

interface Row {
  readonly model: string
  readonly provider: string
  readonly responses_per_litellm: boolean | null
  readonly openai_docs_endpoints: ReadonlyArray<string> | null
}

const measure = (rows: ReadonlyArray<[model: string, expected: boolean]>) => ({
  total: rows.length,
  falsePositives: rows.filter(([model, expected]) => !expected && ModelCatalog.supportsResponsesApi(model)).map(first),
  falseNegatives: rows.filter(([model, expected]) => expected && !ModelCatalog.supportsResponsesApi(model)).map(first)
})

const first = ([model]: [string, boolean]) => model

function pagesTruth(row: Row): Array<[string, boolean]> {
  const name = row.model.slice(row.model.lastIndexOf("/") + 1)
  return row.openai_docs_endpoints === null ? [] : [[`openai/${name}`, row.openai_docs_endpoints.includes("responses")]]
}

function liteLlmTruth(row: Row, provider: string): Array<[string, boolean]> {
  if (row.provider !== provider || row.responses_per_litellm === null) return []
  return [[row.model.startsWith(`${provider}/`) ? row.model : `${provider}/${row.model}`, row.responses_per_litellm]]
}

const assertConsistent = (model: string) => {
  const { explicit, name, provider } = ModelCatalog.parse(model)
  const api = ModelCatalog.apiType(model)

  assert.isTrue(model.includes(name))
  assert.isTrue(!explicit || provider !== undefined)
  assert.include(["responses", "completions"], api)
  assert.strictEqual(ModelCatalog.supportsResponsesApi(model), api === "responses")
  assert.isTrue(api === "responses" || !ModelCatalog.supportsBackground(model))
  assert.isTrue(api === "responses" || !ModelCatalog.isResponsesOnly(model))
  assert.isTrue(api === "completions" || provider !== undefined)
}

const fromEnvironment = (env: Record<string, string>) =>
  ModelCatalog.ModelCatalog.pipe(
    Effect.provide(ModelCatalog.layerConfig.pipe(
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
    ))
  )
