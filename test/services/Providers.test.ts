import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Duration, Effect, Layer, Redacted, Schema } from "effect"
import { inspect } from "node:util"
import type { ProviderError } from "../../src/errors/ProviderError.ts"
import type { Provider } from "../../src/services/Provider.ts"
import * as Providers from "../../src/services/Providers.ts"
import * as Transport from "../../src/services/providers/Transport.ts"
import { ResponseRequest } from "../../src/services/ResponseRequest.ts"
import { Simulator } from "../../src/testing/index.ts"
import { documented } from "./ProvidersDocumented.ts"

describe("Providers.layerConfig", () => {
  describe.each(documented())("for $prefix", ({ baseUrl, environment, jobs, key, prefix, responses }) => {
    it.effect("finds the documented address, with a key alone", () =>
      Effect.gen(function*() {
        const provider = yield* resolve(`${prefix}/some/model`, { ...environment, ...keyed(key) })

        assert.strictEqual(provider.name, prefix)
        assert.strictEqual(provider.model, "some/model")
        assert.strictEqual(provider.baseUrl, baseUrl)
        assert.isDefined(provider.completions)
        assert.strictEqual(provider.responses !== undefined, responses)
        assert.strictEqual(provider.jobs !== undefined, jobs)
      }))

    if (key !== undefined) {
      it.effect("names the variable of a missing key", () =>
        Effect.gen(function*() {
          const reason = yield* refusal(`${prefix}/some-model`, environment)

          assert.strictEqual(reason.variable, key)
          assert.include(reason.message, key)
          assert.strictEqual(reason.provider, prefix)
        }))
    }

    it.effect("takes another address from its variables, with the key optional on this machine", () =>
      Effect.gen(function*() {
        for (const suffix of ["BASE_URL", "API_BASE"]) {
          const variable = `${prefix.toUpperCase()}_${suffix}`
          const provider = yield* resolve(`${prefix}/m`, { [variable]: " http://127.0.0.1:8000/custom/v1/ " })

          assert.strictEqual(provider.baseUrl, "http://127.0.0.1:8000/custom/v1")
        }
      }))
  })

  it.effect.each<[string, string]>([
    ["azure", "AZURE_API_BASE"],
    ["azure_ai", "AZURE_AI_API_BASE"],
    ["hosted_vllm", "HOSTED_VLLM_API_BASE"],
    ["databricks", "DATABRICKS_API_BASE"],
    ["litellm_proxy", "LITELLM_PROXY_API_BASE"],
    ["bedrock", "AWS_REGION"],
    ["bedrock_mantle", "BEDROCK_MANTLE_REGION"]
  ])("names the variable of %s that has no address: %s", ([prefix, variable]) =>
    Effect.gen(function*() {
      const reason = yield* refusal(`${prefix}/m`, { AWS_BEARER_TOKEN_BEDROCK: secret, AZURE_API_KEY: secret })

      assert.strictEqual(reason.variable, variable)
      assert.include(reason.message, variable)
    }))

  it.effect("takes the first key that is set", () =>
    Effect.gen(function*() {
      const azure = { AZURE_API_BASE: "https://r.openai.azure.com" }
      const { describe } = yield* service({ ...azure, AZURE_API_KEY: " ", AZURE_OPENAI_API_KEY: secret })

      assert.deepInclude(describe("azure/d"), {
        configured: true,
        hasKey: true,
        keyVariables: ["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"]
      })
    }))

  it.effect("counts an empty key as missing", () =>
    Effect.gen(function*() {
      for (const key of ["", "  ", "\n"]) {
        assert.strictEqual((yield* refusal("openai/gpt-5", { OPENAI_API_KEY: key })).variable, "OPENAI_API_KEY")
      }
    }))

  it.effect("refuses a key that no header can carry, without quoting it", () =>
    Effect.gen(function*() {
      const reason = yield* refusal("openai/gpt-5", { OPENAI_API_KEY: `${secret}\nsecond line` })

      assert.strictEqual(reason.variable, "OPENAI_API_KEY")
      assert.notInclude(reason.message, secret)
    }))

  it.effect.each([
    "no url",
    "localhost:8080",
    "ftp://example.com/v1",
    "https://user:sk-0123456789abcdef@example.com/v1",
    "https://example.com/v1?key=sk-0123456789abcdef",
    "https://example.com/v1#sk-0123456789abcdef"
  ])("refuses the address %s, without quoting it", (url) =>
    Effect.gen(function*() {
      const reason = yield* refusal("groq/m", { GROQ_BASE_URL: url, GROQ_API_KEY: secret })

      assert.strictEqual(reason.variable, "GROQ_BASE_URL")
      assert.notInclude(JSON.stringify(reason), url)
      assert.notInclude(JSON.stringify(reason), secret)
    }))

  it.effect("needs the key at the vendor's address, also when a variable names it", () =>
    Effect.gen(function*() {
      const reason = yield* refusal("openai/gpt-5", { OPENAI_BASE_URL: "https://api.openai.com/v1" })

      assert.strictEqual(reason.variable, "OPENAI_API_KEY")
    }))

  it.effect.each<[Record<string, string>, string]>([
    [{ AZURE_API_BASE: "https://r.openai.azure.com/" }, "https://r.openai.azure.com/openai/v1"],
    [{ AZURE_OPENAI_ENDPOINT: "https://r.openai.azure.com" }, "https://r.openai.azure.com/openai/v1"],
    [{ AZURE_API_BASE: "https://r.openai.azure.com/openai/" }, "https://r.openai.azure.com/openai/v1"],
    [{ AZURE_BASE_URL: "https://r.openai.azure.com/openai/v1/" }, "https://r.openai.azure.com/openai/v1"],
    [{ AZURE_API_BASE: "https://r.openai.azure.com", AZURE_API_VERSION: "v1" }, "https://r.openai.azure.com/openai/v1"],
    [
      { AZURE_API_BASE: "https://r.openai.azure.com", AZURE_API_VERSION: "2024-10-21" },
      "https://r.openai.azure.com/openai"
    ],
    [
      { AZURE_API_BASE: "https://r.openai.azure.com/openai", OPENAI_API_VERSION: "2024-10-21" },
      "https://r.openai.azure.com/openai"
    ]
  ])("finds Azure's surface for %j", ([environment, expected]) =>
    Effect.gen(function*() {
      const provider = yield* resolve("azure/deployment", { ...environment, AZURE_API_KEY: secret })

      assert.strictEqual(provider.baseUrl, expected)
    }))

  it.effect.each<[string, string, string, string]>([
    ["ollama", "OLLAMA_API_BASE", "http://10.0.0.1:11434", "http://10.0.0.1:11434/v1"],
    ["hosted_vllm", "HOSTED_VLLM_API_BASE", "http://vllm:8000/v1", "http://vllm:8000/v1"],
    ["databricks", "DATABRICKS_API_BASE", "https://w.databricks.com", "https://w.databricks.com/serving-endpoints"]
  ])("completes an address of %s that has no path", ([prefix, variable, url, expected]) =>
    Effect.gen(function*() {
      const provider = yield* resolve(`${prefix}/m`, { [variable]: url, DATABRICKS_API_KEY: secret })

      assert.strictEqual(provider.baseUrl, expected)
    }))

  it.effect("reads OpenAI's organization and project", () =>
    Effect.gen(function*() {
      const provider = yield* resolve("openai/gpt-5", {
        OPENAI_API_KEY: secret,
        OPENAI_ORG_ID: "org-1",
        OPENAI_PROJECT_ID: "proj_1"
      })

      assert.strictEqual(provider.organization, "org-1")
      assert.strictEqual(provider.project, "proj_1")
    }))

  it.effect("says that Vertex AI needs a token", () =>
    Effect.gen(function*() {
      const reason = yield* refusal("vertex_ai/gemini-3", {})

      assert.include(reason.message, "Providers.layer({ vertex_ai:")
    }))

  it.effect.each<[string, string]>([
    ["gpt-5.5", "openai"],
    ["o3", "openai"],
    ["claude-opus-5-5", "anthropic"],
    ["gemini-3-flash", "gemini"]
  ])("gives the bare name %s to %s", ([model, provider]) =>
    Effect.gen(function*() {
      const keys = { OPENAI_API_KEY: secret, ANTHROPIC_API_KEY: secret, GEMINI_API_KEY: secret }

      assert.deepInclude(yield* resolve(model, keys), { name: provider, model })
    }))

  it.effect("drops the mark of a Responses model from its name", () =>
    Effect.gen(function*() {
      const provider = yield* resolve("groq/responses/some-model", { GROQ_API_KEY: secret })

      assert.strictEqual(provider.model, "some-model")
    }))

  it.effect.each<[string, string]>([
    ["llama-4", "openai/llama-4"],
    ["meta-llama/Llama-4", "openrouter/meta-llama/Llama-4"]
  ])("says what to write for %s, which is nobody's", ([model, advice]) =>
    Effect.gen(function*() {
      const reason = yield* refusal(model, { OPENAI_API_KEY: secret })

      assert.include(reason.message, advice)
      assert.isUndefined(reason.variable)
    }))

  it.effect("refuses a prefix without a model", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(resolve("openai/", { OPENAI_API_KEY: secret }))

      assert.strictEqual(error.verdict.reason._tag, "InvalidRequest")
      assert.strictEqual(error.evidence, "NotSent")
    }))

  it.effect("captures the environment when it is built", () =>
    Effect.gen(function*() {
      const environment: Record<string, string> = { OPENAI_API_KEY: secret }
      const { describe, resolve } = yield* service(environment)
      delete environment["OPENAI_API_KEY"]

      yield* resolve("openai/gpt-5").pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({})))
      )
      assert.isTrue(describe("openai/gpt-5").configured)
    }))

  it.effect("names a variable that the ConfigProvider cannot read", () =>
    Effect.gen(function*() {
      const empty = ConfigProvider.fromEnvRecord({})
      const broken = ConfigProvider.make((path) =>
        path.join("_") === "OPENAI_API_KEY"
          ? Effect.fail(new ConfigProvider.SourceError({ message: `vault says ${secret}` }))
          : empty.load(path)
      )
      const { resolve } = yield* built(Providers.layerConfig.pipe(Layer.provide(ConfigProvider.layer(broken))))
      const error = yield* Effect.flip(resolve("openai/gpt-5"))

      assert.include(error.message, "OPENAI_API_KEY cannot be read")
      assert.notInclude(inspect(error, { depth: 9 }), secret)
    }))

  it.effect("shows no key in anything", () =>
    Effect.gen(function*() {
      const environment = Object.assign(
        {},
        ...documented().map(({ environment, key }) => ({ ...environment, ...keyed(key) }))
      )
      const providers = yield* service(environment)
      for (const { prefix } of documented()) {
        const shown: Array<unknown> = [
          providers,
          providers.describe(`${prefix}/m`),
          yield* providers.resolve(`${prefix}/m`)
        ]
        for (const value of shown) {
          assert.notInclude(JSON.stringify(value), secret)
          assert.notInclude(inspect(value, { depth: 9, showHidden: true }), secret)
        }
      }
    }))
})

describe("Providers.layer", () => {
  it.effect("knows only what it was given, and not the environment", () =>
    Effect.gen(function*() {
      const { resolve } = yield* built(
        Providers.layer({ groq: { apiKey: Redacted.make(secret) }, openai: {} }).pipe(
          Layer.provide(
            ConfigProvider.layer(ConfigProvider.fromEnvRecord({ OPENAI_API_KEY: secret, XAI_API_KEY: secret }))
          )
        )
      )
      const missing = yield* notConfigured(resolve("openai/gpt-5"))
      const absent = yield* notConfigured(resolve("xai/grok-4"))

      assert.strictEqual((yield* resolve("groq/m")).baseUrl, "https://api.groq.com/openai/v1")
      assert.include(missing.message, "Providers.layer")
      assert.isUndefined(missing.variable)
      assert.include(absent.message, "xai is not configured")
    }))

  it.effect("takes a provider of one's own", () =>
    Effect.gen(function*() {
      const { resolve } = yield* built(Providers.layer({
        acme: { baseUrl: "https://llm.acme.test/v1" },
        other: { baseUrl: "https://other.test", responses: true, background: true, completions: false },
        local: { baseUrl: "http://localhost:1", protocol: "anthropic", background: true }
      }))
      const acme = yield* resolve("Acme/org/model")
      const other = yield* resolve("other/m")
      const local = yield* resolve("local/m")

      assert.deepInclude(acme, { name: "acme", model: "org/model", baseUrl: "https://llm.acme.test/v1" })
      assert.deepStrictEqual(offersOf(acme), { jobs: false, responses: false, completions: true })
      assert.deepStrictEqual(offersOf(other), { jobs: true, responses: true, completions: false })
      assert.deepStrictEqual(offersOf(local), { jobs: true, responses: false, completions: true })
    }))

  it.effect.each<[string, Providers.ProviderSettings, boolean]>([
    ["anthropic", {}, true],
    ["anthropic", { background: false }, false],
    ["anthropic", { protocol: "openai" }, false],
    ["gemini", {}, true],
    ["gemini", { background: false }, false],
    ["gemini", { responses: true }, true],
    ["gemini", { completions: false }, true]
  ])("offers jobs of %s with %j: %s", ([prefix, settings, jobs]) =>
    Effect.gen(function*() {
      const { describe, resolve } = yield* built(
        Providers.layer({ [prefix]: { apiKey: Redacted.make(secret), ...settings } })
      )

      assert.strictEqual((yield* resolve(`${prefix}/m`)).jobs !== undefined, jobs)
      assert.strictEqual(describe(`${prefix}/m`).offers.jobs, jobs)
    }))

  it.live.each<[string, string]>([
    ["https://generativelanguage.googleapis.com/v1beta/openai", "https://generativelanguage.googleapis.com/v1beta"],
    ["http://127.0.0.1:1/v1beta/openai/", "http://127.0.0.1:1/v1beta"],
    ["http://127.0.0.1:1/gemini", "http://127.0.0.1:1/gemini"]
  ])("finds Gemini's interactions from %s at %s", ([baseUrl, expected]) =>
    Effect.gen(function*() {
      const urls: Array<string> = []
      const fetch: Transport.Fetch = (input) => {
        urls.push(input.toString())
        return Promise.resolve(Response.json({ id: "i", status: "in_progress" }))
      }
      const { resolve } = yield* built(
        Providers.layer({ gemini: { baseUrl, apiKey: Redacted.make(secret) } }).pipe(
          Layer.provide(Layer.succeed(Transport.Transport, { fetch, fetchFresh: fetch }))
        )
      )
      const { jobs } = yield* resolve("gemini/m")
      yield* jobs?.retrieve("i") ?? Effect.void

      assert.deepStrictEqual(urls, [`${expected}/interactions/i`])
    }))

  it.effect("takes a function that makes the provider", () =>
    Effect.gen(function*() {
      const make = (model: string): Provider => ({ name: "fake", model, completions: { complete: () => Effect.never } })
      const { describe, resolve } = yield* built(Providers.layer({ fake: make, openai: make }))

      assert.strictEqual((yield* resolve("fake/m/1")).model, "m/1")
      assert.strictEqual((yield* resolve("gpt-5")).model, "gpt-5")
      assert.deepInclude(describe("fake/m"), {
        configured: true,
        offers: { jobs: false, responses: false, completions: true }
      })
    }))

  it.effect("takes Vertex AI with a token", () =>
    Effect.gen(function*() {
      const baseUrl = "https://eu-aiplatform.googleapis.com/v1/projects/p/locations/eu/endpoints/openapi"
      const { resolve } = yield* built(
        Providers.layer({ vertex_ai: { baseUrl, apiKey: Effect.succeed(Redacted.make(secret)) } })
      )

      assert.strictEqual((yield* resolve("vertex_ai/gemini-3")).baseUrl, baseUrl)
    }))

  it.effect("takes the region of Amazon Bedrock", () =>
    Effect.gen(function*() {
      const { resolve } = yield* built(
        Providers.layer({ bedrock: { region: "eu-west-1", apiKey: Redacted.make(secret) } })
      )

      assert.strictEqual(
        (yield* resolve("bedrock/m")).baseUrl,
        "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1"
      )
    }))

  it.effect.each<[string, Effect.Effect<Redacted.Redacted<string>, Error>]>([
    ["fails", Effect.suspend(() => Effect.fail(new NoToken({ said: "not sk-0123456789abcdef" })))],
    ["is empty", Effect.succeed(Redacted.make(" "))],
    ["holds a line break", Effect.succeed(Redacted.make("sk-0123456789abcdef\nx"))]
  ])("is AuthenticationFailed when the token %s, and sends nothing", ([, apiKey]) =>
    Effect.gen(function*() {
      const { resolve } = yield* built(Providers.layer({
        acme: { baseUrl: "http://127.0.0.1:1/v1", apiKey },
        claude: { baseUrl: "http://127.0.0.1:1", apiKey, protocol: "anthropic" }
      }))
      for (const model of ["acme/m", "claude/m"]) {
        const error = yield* Effect.flip(complete(yield* resolve(model)))

        assert.strictEqual(error.verdict.reason._tag, "AuthenticationFailed")
        assert.strictEqual(error.evidence, "NotSent")
        assert.notInclude(inspect(error, { depth: 9 }), secret)
      }
    }))

  it.effect("knows how long each provider keeps a job, unless an account says otherwise", () =>
    Effect.gen(function*() {
      const retentions = Effect.fnUntraced(function*(retention?: "10 minutes" | "55 days") {
        const own = { apiKey: Redacted.make(secret), retention }
        const { resolve } = yield* built(Providers.layer({
          openai: own,
          azure: { ...own, baseUrl: "https://r.openai.azure.com" },
          gemini: own,
          anthropic: own
        }))
        return yield* Effect.forEach(["openai/m", "azure/m", "gemini/m", "anthropic/m"], (model) =>
          Effect.map(resolve(model), ({ jobs }) => {
            const { stored = Duration.zero, unstored = Duration.zero } = jobs?.retention ?? {}
            return [Duration.format(stored), Duration.format(unstored)]
          }))
      })

      assert.deepStrictEqual(yield* retentions(), [["30d", "10m"], ["30d", "10m"], ["1d", "1d"], ["29d", "29d"]])
      assert.deepStrictEqual(yield* retentions("10 minutes"), Array.from({ length: 4 }, () => ["10m", "10m"]))
      assert.deepStrictEqual(yield* retentions("55 days"), [
        ["55d", "10m"],
        ["55d", "10m"],
        ["55d", "55d"],
        ["55d", "55d"]
      ])
    }))

  it.effect("wins over the environment, which keeps the rest", () =>
    Effect.gen(function*() {
      const { resolve } = yield* built(
        Providers.layerConfigWith({
          openai: { organization: "org-2", baseUrl: undefined },
          groq: { apiKey: Redacted.make(`${secret}\nx`) }
        }).pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord({
          OPENAI_API_KEY: secret,
          OPENAI_ORG_ID: "org-1",
          OPENAI_PROJECT_ID: "proj_1",
          OPENAI_BASE_URL: "https://gateway.test/v1",
          GROQ_API_KEY: secret
        }))))
      )
      const openai = yield* resolve("openai/gpt-5")
      const groq = yield* notConfigured(resolve("groq/m"))

      assert.deepInclude(openai, { organization: "org-2", project: "proj_1", baseUrl: "https://gateway.test/v1" })
      assert.strictEqual(groq.message, "groq has a key that holds characters that no header can carry")
      assert.isUndefined(groq.variable)
    }))

  it.each<[string, Providers.Settings, RegExp]>([
    ["a provider of one's own without an address", { acme: {} }, /acme\.baseUrl must be given/],
    ["an upper-case prefix", { Acme: { baseUrl: "https://a.test" } }, /lower case/],
    ["a prefix with a slash", { "a/b": { baseUrl: "https://a.test" } }, /slash/],
    ["a retention that is no time", { openai: { retention: 0 } }, /openai\.retention must/],
    ["headers that no request can carry", { openai: { headers: { a: `${secret}\n` + "b" } } }, /openai\.headers must/]
  ])("throws for %s", (_, settings, message) => {
    for (const use of [Providers.layer, Providers.layerConfigWith, Providers.make]) {
      assert.throws(() => use(settings), RangeError, message)
    }
  })

  it.effect("asks a provider's Responses API at its own address, unless another one is given", () =>
    Effect.gen(function*() {
      const urls: Array<string> = []
      const fetch: Transport.Fetch = (input) => {
        urls.push(String(input))
        return Promise.resolve(Response.json({ error: { message: "No" } }, { status: 401 }))
      }
      const asked = Effect.fnUntraced(function*(settings: Providers.ProviderSettings) {
        const { resolve } = yield* built(
          Providers.layer({ perplexity: { apiKey: Redacted.make(secret), ...settings } }).pipe(
            Layer.provide(Layer.succeed(Transport.Transport, { fetch, fetchFresh: fetch }))
          )
        )
        const provider = yield* resolve("perplexity/sonar")
        yield* Effect.flip(complete(provider))
        yield* Effect.flip(provider.responses?.create(minimal) ?? Effect.void)
        yield* Effect.flip(provider.jobs?.submit(minimal, { submissionId: "s" }) ?? Effect.void)
        return urls.splice(0)
      })

      assert.deepStrictEqual(yield* asked({}), [
        "https://api.perplexity.ai/chat/completions",
        "https://api.perplexity.ai/v1/responses",
        "https://api.perplexity.ai/v1/responses"
      ])
      assert.deepStrictEqual(yield* asked({ baseUrl: "https://proxy.test/p" }), [
        "https://proxy.test/p/chat/completions",
        "https://proxy.test/p/responses",
        "https://proxy.test/p/responses"
      ])
    }))

  it.live("talks to a server through one client per provider and one transport", () =>
    Effect.gen(function*() {
      const simulator = yield* Simulator.Simulator
      let requests = 0
      const { fetch, fetchFresh } = yield* Transport.make()
      const counted = Layer.succeed(Transport.Transport, {
        fetch: (...request) => (requests++, fetch(...request)),
        fetchFresh: (...request) => (requests++, fetchFresh(...request))
      })
      const { resolve } = yield* built(
        Providers.layerConfigWith({ acme: { baseUrl: simulator.openAiBaseUrl, apiKey: Redacted.make("sim") } }).pipe(
          Layer.provide([
            counted,
            ConfigProvider.layer(ConfigProvider.fromEnvRecord({
              OPENAI_BASE_URL: simulator.openAiBaseUrl,
              OPENAI_API_KEY: "sim\n",
              ANTHROPIC_BASE_URL: simulator.anthropicBaseUrl,
              ANTHROPIC_API_KEY: "sim"
            }))
          ])
        )
      )
      const contents: Array<string> = []
      for (const model of ["openai/gpt-5.5", "anthropic/claude-opus-5-5", "acme/gpt-5.5"]) {
        const outcome = yield* complete(yield* resolve(model))
        if (outcome._tag === "Succeeded") contents.push(outcome.answer.content)
      }

      assert.lengthOf(contents, 3)
      assert.isFalse(contents.includes(""))
      assert.strictEqual(requests, 3)
    }).pipe(Effect.provide(Simulator.layer())))
})

class NoToken extends Schema.TaggedError<NoToken>()("NoToken", { said: Schema.String }) {}

const secret = "sk-0123456789abcdef"

const keyed = (key: string | undefined): Record<string, string> => key === undefined ? {} : { [key]: secret }

const built = (layer: Layer.Layer<Providers.Providers>) =>
  Effect.map(Layer.build(layer), Context.get(Providers.Providers))

const service = (environment: Record<string, string>) =>
  built(Providers.layerConfig.pipe(Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(environment)))))

const resolve = (model: string, environment: Record<string, string>) =>
  Effect.flatMap(service(environment), ({ resolve }) => resolve(model))

const notConfigured = (resolved: Effect.Effect<Provider, ProviderError>) =>
  Effect.map(Effect.flip(resolved), ({ evidence, verdict }) => {
    assert.strictEqual(evidence, "NotSent")
    if (verdict.reason._tag === "ProviderNotConfigured") return verdict.reason
    throw new Error(`expected ProviderNotConfigured, got ${verdict.reason._tag}`)
  })

const refusal = (model: string, environment: Record<string, string>) =>
  Effect.flatMap(service(environment), ({ resolve }) => notConfigured(resolve(model)))

const offersOf = ({ completions, jobs, responses }: Provider) => ({
  jobs: jobs !== undefined,
  responses: responses !== undefined,
  completions: completions !== undefined
})

const minimal = Schema.decodeSync(ResponseRequest)({ model: "m", prompt: "Hi" })

const complete = (provider: Provider) =>
  provider.completions === undefined ? Effect.die("no completions") : provider.completions.complete(minimal)
