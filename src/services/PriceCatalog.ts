/**
 * Knows what tokens cost.
 *
 * **Example** (A price of your own)
 *
 * ```ts
 * PriceCatalog.layer({ overrides: { "acme/model": { inputPerMillion: 1, outputPerMillion: 4 } } })
 * ```
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Usage } from "../errors/Usage.ts"
import * as GenaiPrices from "./internal/GenaiPrices.ts"
import { cacheReadShareOf, factorOf, requestFeeOf } from "./internal/PriceFactors.ts"
import * as ModelCatalog from "./ModelCatalog.ts"

/**
 * Schema for what an answer cost.
 *
 * **Details**
 *
 * Amounts are whole nano-dollars (10⁻⁹ US dollars): each part is rounded once,
 * to the nearest, and `nanoUsd` is exactly the sum of the parts.
 *
 * A cost that the provider states has no parts, entry or factor.
 *
 * @category schemas
 * @since 0.1.0
 */
export class Price extends Schema.Class<Price>("holdfast/services/PriceCatalog/Price")({
  /** The same in US dollars: `nanoUsd / 1e9`. Add up `nanoUsd`, not this. */
  usd: Schema.Finite,
  nanoUsd: Schema.Natural,
  /**
   * - `provider`: the provider states this cost in its answer
   * - `prices`: the tokens and calls by the catalogue's prices
   */
  source: Schema.Literals(["provider", "prices"]),
  /** The catalogue's entry, or the key of the override; of several models, that of the first pass. */
  matchedModel: Schema.optionalKey(Schema.String),
  /**
   * - `exact`: the entry is for this model, or for the model that this is a dated snapshot of
   * - `prefix`: only a pattern of the entry fits, such as how the name begins; a model newer than the catalogue may get
   *   its elder's price
   * - `override`
   */
  matchedBy: Schema.optionalKey(Schema.Literals(["exact", "prefix", "override"])),
  /** `override`, or `genai-prices/` and whose prices they are. */
  priceSource: Schema.optionalKey(Schema.String),
  /** What the rates of tokens were multiplied with: 1, or 0.5 for a batch, … Absent when passes have several. */
  factor: Schema.optionalKey(Schema.Finite),
  /** In nano-dollars. */
  parts: Schema.optionalKey(Schema.Struct({
    input: Schema.Natural,
    cacheRead: Schema.Natural,
    cacheWrite: Schema.Natural,
    output: Schema.Natural,
    reasoning: Schema.Natural,
    /** What the provider takes per request. */
    request: Schema.Natural,
    /** What the provider takes for the web searches that it ran. */
    webSearch: Schema.Natural
  }))
}) {}

/**
 * What a price is asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Query {
  /** The provider's prefix in a model name: `openai`, `gemini`, … */
  readonly provider: string
  /** The model as the provider names it, without the prefix. */
  readonly model: string
  readonly usage: Usage
  /**
   * The tier that the provider says it has used.
   *
   * @default usage.serviceTier
   */
  readonly serviceTier?: string | undefined
  /**
   * Whether it was one request of a batch.
   *
   * @default false
   */
  readonly batch?: boolean | undefined
  /**
   * Anthropic's `inference_geo`.
   *
   * @default usage.inferenceGeo
   */
  readonly inferenceGeo?: string | undefined
  /**
   * How many of `usage.cacheWriteTokens` are kept for longer than usual, as `Usage` has it.
   *
   * @default usage.cacheWrite1hTokens
   */
  readonly cacheWrite1hTokens?: number | undefined
  /**
   * When the tokens were used, Unix time in milliseconds.
   *
   * @default now
   */
  readonly at?: number | undefined
}

/**
 * A price of your own, in US dollars per million tokens, 0 or more.
 *
 * @category options
 * @since 0.1.0
 */
export interface Override {
  readonly inputPerMillion: number
  /** Also for reasoning. */
  readonly outputPerMillion: number
  /** @default inputPerMillion */
  readonly cacheReadPerMillion?: number | undefined
  /** @default inputPerMillion */
  readonly cacheWritePerMillion?: number | undefined
  /** Without it, an answer with such tokens has no price. */
  readonly cacheWrite1hPerMillion?: number | undefined
  /** Web searches that the provider bills by the call. Without it, an answer with such searches has no price. */
  readonly webSearchPerThousand?: number | undefined
  /**
   * What a service tier multiplies the rates with: `{ priority: 2 }`.
   *
   * @default the published factors
   */
  readonly serviceTiers?: Readonly<Record<string, number>> | undefined
}

/**
 * Options for `make` and `layer`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Prices that win over the catalogue's. A key is `provider/model`, tried
   * first, or a model's name at any provider; each also stands for its dated
   * snapshots, and letter case is ignored.
   *
   * @default {}
   */
  readonly overrides?: Readonly<Record<string, Override>> | undefined
}

/**
 * Reference that holds what tokens cost.
 *
 * **Details**
 *
 * Nobody has to provide it. The default is `@pydantic/genai-prices`, loaded by
 * the first question: published list prices, with their history, cache rates
 * and tiers for long contexts.
 *
 * `answer.cost` is by the catalogue of the caller, or else by the one that
 * `Holdfast.layer` was given; `Cost.of` and `Cost.ofSession` ask the caller's.
 *
 * @see {@link layer} for prices of your own
 *
 * @category services
 * @since 0.1.0
 */
export class PriceCatalog extends Context.Reference<PriceCatalog.Service>("holdfast/services/PriceCatalog", {
  defaultValue: () => defaults
}) {}

/**
 * Types of the `PriceCatalog` reference.
 *
 * @since 0.1.0
 */
export declare namespace PriceCatalog {
  /**
   * What a catalogue of prices can do.
   *
   * @category models
   * @since 0.1.0
   */
  export interface Service {
    /**
     * Returns what tokens cost; `None`, and not zero, when that is not known. Of `usage`, `passes` and
     * `reportedNanoUsd` do not count: `Cost.of` asks for each pass, and takes what the provider states.
     */
    readonly price: (query: Query) => Effect.Effect<Option.Option<Price>>
  }
}

/**
 * Creates a catalogue of the published prices and of prices of your own.
 *
 * **Details**
 *
 * The price is the provider's list price of the tokens, with Perplexity's fee
 * per request and the fees of web searches. There is none for an unknown model
 * or provider, for tokens or searches without a rate, for a Perplexity model
 * whose `searchContextSize` is not known, and for a service tier or region
 * whose factor is not published. Known factors, which multiply no fee:
 *
 * | provider | factor |
 * | --- | --- |
 * | `openai` | flex and batch 0.5; priority 1.67 to 2.5 by model, to 128,000 input tokens |
 * | `anthropic` | batch 0.5; `inference_geo` of `us` 1.1; fast mode 2 for Opus 4.8 and 5, 6 for Opus 4.6 and 4.7 |
 * | `gemini` | flex and batch 0.5 |
 * | `groq` | flex 1 |
 *
 * **Gotchas**
 *
 * - Not in it: other tools that are billed by the call (file search, code
 *   execution), the higher rates of audio tokens, surcharges of regional
 *   endpoints, discounts of your contract, taxes.
 * - A search by `web_search_preview` counts as one by `web_search`, though
 *   OpenAI takes more for it at models that do not reason.
 * - Throws a `RangeError` for a rate or factor that is negative or not finite.
 *
 * **Source**
 *
 * OpenAI, "Flex processing", "Batch API" and "Priority processing"; Anthropic,
 * "Pricing" (batch processing, data residency) and "Fast mode"; Google, "Gemini
 * API optimization"; Groq, "Flex processing"; Mistral, "Prompt caching"; Perplexity,
 * "Pricing".
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): PriceCatalog.Service => {
  const overrideOf = overridesOf(options)
  return {
    price: Effect.fnUntraced(function*(query) {
      const override = overrideOf(query)
      const { usage } = query
      const inputTokens = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens
      const factor = factorOf({
        ...query,
        serviceTier: query.serviceTier ?? usage.serviceTier,
        inferenceGeo: query.inferenceGeo ?? usage.inferenceGeo,
        inputTokens
      }, override?.tiers)
      if (factor === undefined) return Option.none()
      if (override !== undefined) return bill(override, query, factor)
      const found = yield* published({
        provider: keyOf(query.provider),
        model: query.model.trim(),
        // The context of one run, and not of all, has to be long.
        inputTokens: inputTokens / Math.max(usage.modelRuns ?? 1, 1),
        at: query.at ?? (yield* Clock.currentTimeMillis)
      })
      return Option.flatMap(
        found,
        ({ isListed, model, rates, source }) =>
          bill({ rates, model, matchedBy: isListed ? "exact" : "prefix", source }, query, factor)
      )
    })
  }
}

/**
 * Provides `PriceCatalog`, built by `make`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options?: Options): Layer.Layer<never> => Layer.succeed(PriceCatalog, make(options))

/**
 * A `PriceCatalog` that knows no price, and loads nothing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const none: PriceCatalog.Service = { price: () => Effect.succeedNone }

/**
 * Provides a `PriceCatalog` that knows no price, and loads nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNone: Layer.Layer<never> = Layer.succeed(PriceCatalog, none)

interface Entry {
  readonly rates: GenaiPrices.Rates
  readonly model: string
  readonly matchedBy: NonNullable<Price["matchedBy"]>
  readonly source: string
  readonly tiers?: ReadonlyMap<string, number> | undefined
}

const published = GenaiPrices.make()

const keyOf = (text: string): string => text.trim().toLowerCase()

const overridesOf = ({ overrides = {} }: Options): (query: Query) => Entry | undefined => {
  const entries = Object.entries(overrides).map(([model, override]) => {
    validate(model, override)
    const entry: Entry = {
      rates: {
        input: override.inputPerMillion,
        cacheRead: override.cacheReadPerMillion,
        cacheWrite: override.cacheWritePerMillion,
        cacheWrite1h: override.cacheWrite1hPerMillion,
        webSearches: override.webSearchPerThousand,
        output: override.outputPerMillion
      },
      model,
      matchedBy: "override",
      source: "override",
      tiers: new Map(Object.entries(override.serviceTiers ?? {}).map(([tier, factor]) => [keyOf(tier), factor]))
    }
    return [keyOf(model), entry] as const
  })
  if (entries.length === 0) return () => undefined
  const byModel = new Map(entries)
  // At OpenRouter `openai/gpt-5` is a name: a key with a known provider is none.
  const byName = new Map(entries.filter(([model]) => !ModelCatalog.parse(model).explicit))
  return ({ model, provider }) => {
    const name = keyOf(model)
    const snapshotOf = GenaiPrices.undated(name)
    const prefix = keyOf(provider)
    return byModel.get(`${prefix}/${name}`) ?? byName.get(name) ??
      byModel.get(`${prefix}/${snapshotOf}`) ?? byName.get(snapshotOf)
  }
}

const validate = (model: string, { serviceTiers = {}, ...rates }: Override): void => {
  for (const [name, value] of [...Object.entries(rates), ...Object.entries(serviceTiers)]) {
    if (value !== undefined && !(Number.isFinite(value) && value >= 0)) {
      throw new RangeError(
        `PriceCatalog.make: ${name} of ${JSON.stringify(model)} must be a finite number, 0 or more, got ${value}`
      )
    }
  }
}

const bill = (
  { matchedBy, model, rates, source }: Entry,
  { cacheWrite1hTokens, provider, usage }: Query,
  factor: number
): Option.Option<Price> => {
  const inputRate = rates.input
  const share = cacheReadShareOf(keyOf(provider))
  const cacheReadRate = rates.cacheRead ?? (
    matchedBy === "override" || inputRate === undefined || share === undefined ? inputRate : inputRate * share
  )
  const amount = (tokens: number, perMillion: number | undefined): number =>
    // Tokens without a rate make the whole sum unknown.
    tokens === 0 ? 0 : perMillion === undefined ? Number.NaN : Math.round(tokens * perMillion * factor * 1000)
  const fee = (calls: number, perThousand: number | undefined): number =>
    calls === 0 ? 0 : perThousand === undefined ? Number.NaN : Math.round(calls * perThousand * 1e6)
  const kept1h = Math.min(cacheWrite1hTokens ?? usage.cacheWrite1hTokens ?? 0, usage.cacheWriteTokens)
  const parts = {
    input: amount(usage.inputTokens, inputRate),
    cacheRead: amount(usage.cacheReadTokens, cacheReadRate),
    cacheWrite: amount(usage.cacheWriteTokens - kept1h, rates.cacheWrite ?? inputRate) +
      amount(kept1h, rates.cacheWrite1h),
    output: amount(usage.outputTokens, rates.output),
    reasoning: amount(usage.reasoningTokens, rates.reasoning ?? rates.output),
    request: rates.requests === undefined ? 0 : fee(1, requestFeeOf(rates.requests, usage.searchContextSize)),
    webSearch: fee(usage.webSearches ?? 0, rates.webSearches)
  }
  const nanoUsd = Object.values(parts).reduce((sum, part) => sum + part, 0)
  return Number.isSafeInteger(nanoUsd)
    ? Option.some(
      new Price({
        usd: nanoUsd / 1e9,
        nanoUsd,
        source: "prices",
        matchedModel: model,
        matchedBy,
        priceSource: source,
        factor,
        parts
      })
    )
    : Option.none()
}

const defaults = make()
