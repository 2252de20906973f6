import * as GenaiPackage from "@pydantic/genai-prices"
import { assert, describe, it } from "@effect/vitest"
import { Effect, type Layer, Logger, Option, References, Schema } from "effect"
import { PriceCatalog, Usage } from "holdfast"
import * as GenaiPrices from "../../src/services/internal/GenaiPrices.ts"

// The prices in the comments are in US dollars per million tokens: input / cache read / output.
describe("PriceCatalog", () => {
  describe("the published prices", () => {
    it.effect.each<readonly [title: string, query: Asked, usd: number]>([
      // gpt-5: 1.25 / 0.125 / 10, OpenAI's price list of 2026-11. 20k * 1.25 + 80k * 0.125 + 10k * 10
      ["input, cached input and output of gpt-5", { model: "gpt-5", usage: cached }, 0.135],
      // o3: 2 / 0.5 / 8. 20k * 2 + 80k * 0.5 + 10k * 8
      ["o3", { model: "o3", usage: cached }, 0.16],
      // o3 until 2025-06-10: 10 and 40. 10k * 10 + 10k * 40
      [
        "o3 at its former price",
        { model: "o3", usage: usage({ inputTokens: 10_000, outputTokens: 10_000 }), at: Date.UTC(2025, 4, 1) },
        0.5
      ],
      // claude-opus-5-5: 4 / 0.2 / 20, cache writes 5 (five minutes) and 8 (one hour), Anthropic's price list of 2026-11.
      ["cache reads of claude-opus-5-5", { provider: "anthropic", model: "claude-opus-5-5", usage: cached }, 0.296],
      // 10k * 4 + 80k * 0.2 + 10k * 5 + 10k * 20
      ["cache writes of claude-opus-5-5", { provider: "anthropic", model: "claude-opus-5-5", usage: written }, 0.306],
      // 10k * 4 + 80k * 0.2 + 4k * 5 + 6k * 8 + 10k * 20
      [
        "cache writes that are kept for an hour",
        { provider: "anthropic", model: "claude-opus-5-5", usage: written, cacheWrite1hTokens: 6000 },
        0.324
      ],
      // gemini-2.5-pro: 1.25 / 0.125 / 10 to 200k of input, above it 2.5 / 0.25 / 15. 300k * 2.5 + 1k * 15
      [
        "the tier for long contexts of gemini-2.5-pro",
        { provider: "gemini", model: "gemini-2.5-pro", usage: usage({ inputTokens: 300_000, outputTokens: 1000 }) },
        0.765
      ],
      // 200k * 1.25 + 1k * 10: the limit itself is below it
      [
        "a context at the limit of the lower tier",
        { provider: "gemini", model: "gemini-2.5-pro", usage: usage({ inputTokens: 200_000, outputTokens: 1000 }) },
        0.26
      ],
      // 1k * 2.5 + 200k * 0.25: cached input counts for the tier
      [
        "a long context that is mostly cached",
        { provider: "gemini", model: "gemini-2.5-pro", usage: usage({ inputTokens: 1000, cacheReadTokens: 200_000 }) },
        0.0525
      ],
      // 10k * 10: reasoning is billed as output
      ["reasoning as output", { model: "gpt-5", usage: usage({ outputTokens: 4000, reasoningTokens: 6000 }) }, 0.1],
      // sonar-pro: 3 / – / 15, and 6, 10 or 14 per thousand requests. 1k * 3 + 1k * 15 + 0.006
      ["a request with little search context", sonar("sonar-pro", "low"), 0.024],
      ["a request with some search context", sonar("sonar-pro", "medium"), 0.028],
      ["a request with much search context", sonar("sonar-pro", "high"), 0.032],
      // sonar: 1 / – / 1, and 5, 8 or 12 per thousand requests
      ["a request to another model", sonar("sonar", "low"), 0.007],
      // mistral-large: 2 / – / 6, cached tokens at a tenth of the input. 20k * 2 + 80k * 0.2 + 10k * 6
      ["Mistral's cached tokens", { provider: "mistral", model: "mistral-large-latest", usage: cached }, 0.116],
      // 10 per thousand searches, in a batch too: 3 * 0.01 + (20k * 4 + 80k * 0.2 + 10k * 20) / 2
      [
        "Anthropic's web searches",
        { provider: "anthropic", model: "claude-opus-5-5", usage: searched(3), batch: true },
        0.178
      ],
      // 2 * 0.01 + 0.135
      ["OpenAI's web searches", { model: "gpt-5", usage: searched(2) }, 0.155],
      ["nothing for no tokens", { model: "gpt-5", usage: usage({}) }, 0],
      ["the factor of batches", { model: "gpt-5", usage: cached, batch: true }, 0.0675],
      ["the factor of flex", { model: "gpt-5", usage: cached, serviceTier: "flex" }, 0.0675],
      [
        "the factor of US-only inference",
        { provider: "anthropic", model: "claude-opus-5-5", usage: cached, inferenceGeo: "us" },
        0.3256
      ],
      ["the standard tier", { model: "gpt-5", usage: cached, serviceTier: "default" }, 0.135]
    ])("bills %s", ([, asked, usd]) =>
      Effect.gen(function*() {
        const price = yield* known(asked)

        assert.strictEqual(price.usd, usd)
        assert.strictEqual(price.nanoUsd, Math.round(usd * 1e9))
      }))

    // OpenAI, "Priority processing", 2026-11: 20k of input, 80k of cached input and 10k of output.
    it.effect.each<readonly [model: string, rates: string, usd: number]>([
      ["gpt-5.5", "12.50 / 1.25 / 75", 1.1],
      ["gpt-5.4", "5 / 0.50 / 30", 0.44],
      ["gpt-5.4-mini-2026-03-17", "1.50 / 0.15 / 9", 0.132],
      ["gpt-5.2-2025-12-11", "3.50 / 0.35 / 28", 0.378],
      ["gpt-5.1", "2.50 / 0.25 / 20", 0.27],
      ["gpt-5-2025-08-07", "2.50 / 0.25 / 20", 0.27],
      ["gpt-5-codex", "2.50 / 0.25 / 20", 0.27],
      ["gpt-5-mini", "0.45 / 0.045 / 3.60", 0.0486],
      ["gpt-4.1", "3.50 / 0.875 / 14", 0.28],
      ["gpt-4.1-mini", "0.70 / 0.175 / 2.80", 0.056],
      ["gpt-4.1-nano", "0.20 / 0.05 / 0.80", 0.016],
      ["gpt-4o-2024-08-06", "4.25 / 2.125 / 17", 0.425],
      ["gpt-4o-mini", "0.25 / 0.125 / 1", 0.025],
      ["o3", "3.50 / 0.875 / 14", 0.28],
      ["o4-mini", "2 / 0.50 / 8", 0.16]
    ])("bills %s in the priority tier at %s", ([model, , usd]) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* known({ model, usage: cached, serviceTier: "priority" })).usd, usd)
      }))

    // Anthropic, "Fast mode", 2026-11: 20k of input, 80k of cached input and 10k of output.
    it.effect.each<readonly [model: string, rates: string, usd: number | undefined]>([
      ["claude-opus-5", "10 / 1 / 50", 0.78],
      ["claude-opus-5-20260723", "10 / 1 / 50", 0.78],
      ["claude-opus-4-8", "10 / 1 / 50", 0.78],
      ["claude-opus-4-7", "30 / 3 / 150", 2.34],
      ["claude-opus-4-6", "30 / 3 / 150", 2.34],
      ["claude-opus-5-5", "rates that are not known here", undefined],
      ["claude-sonnet-4-6", "no rates, as it has no fast mode", undefined]
    ])("bills the fast mode of %s at %s", ([model, , usd]) =>
      Effect.gen(function*() {
        const found = yield* price({ provider: "anthropic", model, usage: cached, serviceTier: "fast" })

        assert.strictEqual(Option.getOrUndefined(found)?.usd, usd)
      }))

    it.effect("says what each part costs, in nano-dollars", () =>
      Effect.gen(function*() {
        const price = yield* known({ provider: "anthropic", model: "claude-opus-5-5", usage: written, batch: true })

        assert.deepStrictEqual({ ...price }, {
          usd: 0.153,
          nanoUsd: 153_000_000,
          matchedModel: "claude-opus-5-5",
          matchedBy: "exact",
          source: "prices",
          priceSource: "genai-prices/anthropic",
          factor: 0.5,
          parts: {
            input: 20_000_000,
            cacheRead: 8_000_000,
            cacheWrite: 25_000_000,
            output: 100_000_000,
            reasoning: 0,
            request: 0,
            webSearch: 0
          }
        })
      }))

    it.effect("leaves no float noise in a sum", () =>
      Effect.gen(function*() {
        // 0.1 + 0.2 is 0.30000000000000004: 100k of claude-haiku-4-5 (1) and 40k of its output (5)
        const price = yield* known({
          provider: "anthropic",
          model: "claude-haiku-4-5",
          usage: usage({ inputTokens: 100_000, outputTokens: 40_000 })
        })

        assert.strictEqual(price.usd, 0.3)
        assert.strictEqual(String(price.usd), "0.3")
      }))

    it.effect.each<readonly [provider: string, model: string, matchedModel: string, source: string]>([
      ["openai", "gpt-5-2025-08-07", "gpt-5", "openai"],
      ["openai", "GPT-5", "gpt-5", "openai"],
      ["azure", "gpt-5-2025-08-07", "gpt-5", "azure"],
      ["azure_ai", "gpt-5", "gpt-5", "azure"],
      ["anthropic", "claude-haiku-4-5-20251001", "claude-haiku-4-5", "anthropic"],
      ["gemini", "models/gemini-2.5-pro", "gemini-2.5-pro", "google"],
      ["vertex_ai", "google/gemini-2.5-pro", "gemini-2.5-pro", "google"],
      ["xai", "grok-4", "grok-4-0709", "x-ai"],
      ["together_ai", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "meta-llama/Llama-3.3-70B-Instruct-Turbo", "together"],
      ["fireworks_ai", "accounts/fireworks/models/gpt-oss-120b", "gpt-oss-120b", "fireworks"],
      ["moonshot", "kimi-k2", "kimi-k2", "moonshotai"],
      ["groq", "llama-3.3-70b-versatile", "llama-3.3-70b-versatile", "groq"],
      ["openrouter", "openai/gpt-5", "openai/gpt-5", "openrouter"]
    ])("knows %s/%s exactly", ([provider, model, matchedModel, source]) =>
      Effect.gen(function*() {
        const price = yield* known({ provider, model, usage: cached })

        assert.strictEqual(price.matchedModel, matchedModel)
        assert.strictEqual(price.matchedBy, "exact")
        assert.strictEqual(price.priceSource, `genai-prices/${source}`)
      }))

    it.effect.each<readonly [provider: string, model: string, matchedModel: string]>([
      ["anthropic", "claude-sonnet-5-5", "claude-sonnet-5"],
      ["anthropic", "claude-sonnet-5-5-20260901", "claude-sonnet-5"],
      ["openai", "ft:gpt-4o-2024-08-06:acme::abc", "ft:gpt-4o"],
      ["bedrock", "us.anthropic.claude-haiku-4-5-20251001-v1:0", "regional.anthropic.claude-haiku-4-5-20251001-v1:0"]
    ])("marks that it knows %s/%s by a pattern only", ([provider, model, matchedModel]) =>
      Effect.gen(function*() {
        const price = yield* known({ provider, model, usage: cached })

        assert.strictEqual(price.matchedModel, matchedModel)
        assert.strictEqual(price.matchedBy, "prefix")
      }))

    it.effect.each<readonly [title: string, query: Asked]>([
      ["an unknown model", { model: "gpt-6.1-sol", usage: cached }],
      ["a model of another provider", { model: "claude-opus-5-5", usage: cached }],
      ["a deployment's name", { provider: "azure", model: "my-deployment", usage: cached }],
      ["a provider without prices", { provider: "ollama", model: "gpt-oss-120b", usage: cached }],
      ["a provider whose name contains another's", { provider: "my-openai", model: "gpt-5", usage: cached }],
      ["an empty name", { model: "", usage: cached }],
      ["the priority tier of an unlisted model", { model: "gpt-5-nano", usage: cached, serviceTier: "priority" }],
      ["the priority tier at Azure", { provider: "azure", model: "gpt-5", usage: cached, serviceTier: "priority" }],
      [
        "the priority tier with a long context",
        { model: "gpt-4.1", usage: usage({ inputTokens: 128_001 }), serviceTier: "priority" }
      ],
      ["Anthropic's priority tier", { provider: "anthropic", model: "claude-opus-5-5", serviceTier: "priority" }],
      ["a tier that was only asked for", { model: "gpt-5", usage: cached, serviceTier: "auto" }],
      ["flex where its factor is not known", { provider: "azure", model: "gpt-5", serviceTier: "flex" }],
      ["a batch where its factor is not known", { provider: "mistral", model: "mistral-large-latest", batch: true }],
      ["an unknown region", { provider: "anthropic", model: "claude-opus-5-5", usage: cached, inferenceGeo: "moon" }],
      ["output of a model that has no output rate", { model: "text-embedding-3-small", usage: cached }],
      [
        "cache writes for an hour without a rate for them",
        { model: "gpt-5.6-sol", usage: written, cacheWrite1hTokens: 1000 }
      ],
      ["a request whose search context is not known", { provider: "perplexity", model: "sonar-pro", usage: cached }],
      ["an unknown size of search context", sonar("sonar-pro", "huge")],
      ["web searches without a rate for them", { model: "gpt-5.3-codex", usage: searched(1) }],
      ["a model that bills tokens which are not told", { provider: "perplexity", model: "sonar-deep-research" }],
      ["an entry without any price", { provider: "gemini", model: "gemma-4-31b-it", usage: cached }],
      ["an impossible time", { model: "o3", usage: cached, at: Number.NaN }]
    ])("has no price for %s", ([, asked]) =>
      Effect.gen(function*() {
        assert.isTrue(Option.isNone(yield* price(asked)))
      }))

    it.effect("takes OpenRouter's free models for free", () =>
      Effect.gen(function*() {
        const free = yield* known({
          provider: "openrouter",
          model: "meta-llama/llama-3.3-70b-instruct:free",
          usage: cached
        })

        assert.strictEqual(free.nanoUsd, 0)
      }))

    it.effect.prop(
      "adds up to the sum of its parts, and to what the package says",
      { model: Model, usage: Tokens },
      ({ model: named, usage: tokens }) =>
        Effect.gen(function*() {
          const [provider, id, model] = named.split(" ") as [string, string, string]
          const price = yield* known({ provider, model, usage: usage(tokens) })
          const { cacheReadTokens, cacheWriteTokens, inputTokens, outputTokens, reasoningTokens } = tokens
          const expected = GenaiPackage.calcPrice(
            {
              input_tokens: inputTokens + cacheReadTokens + cacheWriteTokens,
              cache_read_tokens: cacheReadTokens,
              cache_write_tokens: cacheWriteTokens,
              output_tokens: outputTokens + reasoningTokens
            },
            model,
            { providerId: id, timestamp: today }
          )

          const parts = Object.values(price.parts ?? {}).reduce((sum, part) => sum + part, 0)
          assert.strictEqual(price.nanoUsd, parts)
          assert.strictEqual(price.usd, price.nanoUsd / 1e9)
          // Five roundings of half a nano-dollar at most.
          assert.closeTo(price.usd, expected!.total_price, 2.6e-9)
        })
    )

    it.effect.prop(
      "never falls when more tokens are used",
      { model: Model, usage: Tokens, more: Tokens },
      ({ model: named, more, usage: tokens }) =>
        Effect.gen(function*() {
          const [provider, , model] = named.split(" ") as [string, string, string]
          const less = yield* known({ provider, model, usage: usage(tokens) })
          const all = yield* known({
            provider,
            model,
            usage: usage({
              inputTokens: tokens.inputTokens + more.inputTokens,
              cacheReadTokens: tokens.cacheReadTokens + more.cacheReadTokens,
              cacheWriteTokens: tokens.cacheWriteTokens + more.cacheWriteTokens,
              outputTokens: tokens.outputTokens + more.outputTokens,
              reasoningTokens: tokens.reasoningTokens + more.reasoningTokens
            })
          })

          assert.isAtLeast(all.nanoUsd, less.nanoUsd)
        })
    )
  })

  describe("layer", () => {
    it.effect.each<readonly [provider: string, model: string, matchedModel: string, usd: number]>([
      ["my", "model", "my/model", 0.06],
      ["My", "Model-2026-01-31", "my/model", 0.06],
      ["anywhere", "bare", "Bare", 0.006],
      ["my", "bare", "Bare", 0.006],
      ["openai", "gpt-5", "openai/gpt-5", 0.000001],
      ["openai", "gpt-5-2025-08-07", "openai/gpt-5", 0.000001]
    ])("prices %s/%s by an override", ([provider, model, matchedModel, usd]) =>
      Effect.gen(function*() {
        const found = yield* known({ provider, model, usage: usage({ inputTokens: 20_000, outputTokens: 10_000 }) })

        assert.strictEqual(found.usd, usd)
        assert.strictEqual(found.matchedModel, matchedModel)
        assert.strictEqual(found.matchedBy, "override")
        assert.strictEqual(found.priceSource, "override")
      }).pipe(Effect.provide(overridden)))

    it.effect("asks the published prices for all other models", () =>
      Effect.gen(function*() {
        const other = yield* known({ provider: "openai", model: "o3", usage: cached })
        const elsewhere = yield* known({ provider: "openrouter", model: "openai/gpt-5", usage: cached })

        assert.strictEqual(other.usd, 0.16)
        assert.strictEqual(elsewhere.priceSource, "genai-prices/openrouter")
      }).pipe(Effect.provide(overridden)))

    it.effect("takes cached tokens for input, unless they have a rate of their own", () =>
      Effect.gen(function*() {
        const tokens = usage({ inputTokens: 1000, cacheReadTokens: 1000, cacheWriteTokens: 1000 })
        const without = yield* known({ provider: "my", model: "model", usage: tokens })
        const having = yield* known({ provider: "my", model: "cached", usage: tokens, cacheWrite1hTokens: 400 })

        assert.deepInclude(without.parts, { input: 1_000_000, cacheRead: 1_000_000, cacheWrite: 1_000_000 })
        // 1000 * 0.1, and 600 * 1.25 + 400 * 2
        assert.deepInclude(having.parts, { input: 1_000_000, cacheRead: 100_000, cacheWrite: 1_550_000 })
      }).pipe(Effect.provide(overridden)))

    it.effect("knows the factors of tiers that it was given, and the published ones", () =>
      Effect.gen(function*() {
        const tokens = usage({ inputTokens: 1000 })
        const priority = yield* known({ model: "tiered", usage: tokens, serviceTier: "Priority" })
        const flex = yield* known({ model: "tiered", usage: tokens, serviceTier: "flex" })
        const scale = yield* price({ model: "tiered", usage: tokens, serviceTier: "scale" })

        assert.strictEqual(priority.factor, 1.7)
        assert.strictEqual(priority.nanoUsd, 1_700_000)
        assert.strictEqual(flex.factor, 0.5)
        assert.isTrue(Option.isNone(scale))
      }).pipe(Effect.provide(overridden)))

    it("refuses rates and factors that are negative or not finite", () => {
      assert.throws(
        () => PriceCatalog.layer({ overrides: { "my/model": { inputPerMillion: -1, outputPerMillion: 1 } } }),
        RangeError,
        "inputPerMillion of \"my/model\" must be a finite number, 0 or more, got -1"
      )
      assert.throws(
        () =>
          PriceCatalog.make({
            overrides: { m: { inputPerMillion: 1, outputPerMillion: 1, serviceTiers: { flex: Number.NaN } } }
          }),
        RangeError,
        "flex of \"m\""
      )
    })
  })

  describe("layerNone", () => {
    it.effect("knows no price", () =>
      Effect.gen(function*() {
        assert.isTrue(Option.isNone(yield* price({ model: "gpt-5", usage: cached })))
      }).pipe(Effect.provide(PriceCatalog.layerNone)))
  })

  describe("without the package", () => {
    it.effect("has no prices, says so once, and does not try again", () =>
      Effect.gen(function*() {
        let loads = 0
        const logs: Array<string> = []
        const logger = Logger.make((entry) => logs.push(`${entry.logLevel} ${JSON.stringify(entry.message)}`))
        const find = GenaiPrices.make(() => {
          loads++
          return Promise.reject(new Error("ERR_MODULE_NOT_FOUND"))
        })
        const ask = find({ provider: "openai", model: "gpt-5", inputTokens: 1, at: now })
        const found = yield* Effect.all([ask, ask, Effect.andThen(Effect.yieldNow, ask)]).pipe(
          Effect.provide(Logger.layer([logger])),
          Effect.provideService(References.MinimumLogLevel, "All")
        )

        assert.isTrue(found.every(Option.isNone))
        assert.strictEqual(loads, 1)
        assert.lengthOf(logs, 1)
        assert.match(logs[0]!, /^Debug .*@pydantic\/genai-prices cannot be loaded/)
      }))

    it.effect("has no prices when the package is something else", () =>
      Effect.gen(function*() {
        const find = GenaiPrices.make(() => Promise.resolve({} as GenaiPrices.Package))

        assert.isTrue(
          Option.isNone(yield* find({ provider: "openai", model: "gpt-5", inputTokens: 1, at: now }))
        )
      }))
  })
})

type Asked = Partial<PriceCatalog.Query>

const now = Date.UTC(2026, 10, 1)

const today = new Date(now)

const price = (asked: Asked) =>
  Effect.flatMap(
    PriceCatalog.PriceCatalog,
    (catalog) => catalog.price({ provider: "openai", model: "gpt-5", usage: cached, at: now, ...asked })
  )

const known = (asked: Asked) => Effect.flatMap(price(asked), Effect.fromOption)

const bucket = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 400_000 }))

const Tokens = Schema.Struct({
  inputTokens: bucket,
  cacheReadTokens: bucket,
  cacheWriteTokens: bucket,
  outputTokens: bucket,
  reasoningTokens: bucket
})

/** Our prefix, the package's id of the provider, and a model. */
const Model = Schema.Literals([
  "openai openai gpt-5",
  "openai openai gpt-5.6-sol",
  "openai openai gpt-5-nano",
  "anthropic anthropic claude-opus-5-5",
  "anthropic anthropic claude-sonnet-4-5",
  "gemini google gemini-2.5-pro",
  "gemini google gemini-3.8-flash",
  "bedrock aws us.anthropic.claude-opus-5-5-v1:0",
  "xai x-ai grok-4",
  "openrouter openrouter google/gemini-3.5-flash",
  "perplexity perplexity sonar-pro-search"
])

const usage = (buckets: Partial<typeof Tokens.Type>): Usage.Usage => {
  const all = {
    inputTokens: 0,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    ...buckets
  }
  return new Usage.Usage({ ...all, totalTokens: Object.values(all).reduce((sum, count) => sum + count, 0) })
}

const cached = usage({ inputTokens: 20_000, cacheReadTokens: 80_000, outputTokens: 10_000 })

const searched = (webSearches: number): Usage.Usage => new Usage.Usage({ ...cached, webSearches })

const sonar = (model: string, searchContextSize: string): Asked => ({
  provider: "perplexity",
  model,
  usage: new Usage.Usage({ ...usage({ inputTokens: 1000, outputTokens: 1000 }), searchContextSize })
})

const written = usage({
  inputTokens: 10_000,
  cacheReadTokens: 80_000,
  cacheWriteTokens: 10_000,
  outputTokens: 10_000
})

const overridden: Layer.Layer<never> = PriceCatalog.layer({
  overrides: {
    "my/model": { inputPerMillion: 1, outputPerMillion: 4 },
    "my/cached": {
      inputPerMillion: 1,
      outputPerMillion: 4,
      cacheReadPerMillion: 0.1,
      cacheWritePerMillion: 1.25,
      cacheWrite1hPerMillion: 2
    },
    "Bare": { inputPerMillion: 0.1, outputPerMillion: 0.4 },
    "openai/gpt-5": { inputPerMillion: 0, outputPerMillion: 0.0001 },
    "tiered": { inputPerMillion: 1, outputPerMillion: 4, serviceTiers: { Priority: 1.7 } }
  }
})
