/**
 * What the list prices do not say: the factors of service tiers, batches and
 * regions, the share of cached tokens, and fees by the size of a search.
 *
 * @since 0.1.0
 */

/**
 * How a request was served.
 *
 * @category models
 * @since 0.1.0
 */
export interface Serving {
  /** Our prefix of the provider. */
  readonly provider: string
  readonly model: string
  /** All input tokens, cached ones included. */
  readonly inputTokens: number
  readonly serviceTier?: string | undefined
  readonly batch?: boolean | undefined
  readonly inferenceGeo?: string | undefined
}

/**
 * Returns what the list price is multiplied with; `undefined` when that is not
 * published. `own` wins, by lower-case names of tiers.
 *
 * **Source**
 *
 * OpenAI, "Flex processing", "Batch API" and "Priority processing"; Anthropic,
 * "Pricing" (batch processing, data residency) and "Fast mode"; Google, "Gemini
 * API optimization"; Groq, "Flex processing".
 *
 * @category combinators
 * @since 0.1.0
 */
export const factorOf = (serving: Serving, own: ReadonlyMap<string, number> = new Map()): number | undefined => {
  const { batch = false, inferenceGeo, provider, serviceTier } = serving
  const tier = batch ? "batch" : serviceTier === undefined ? "standard" : serviceTier.trim().toLowerCase()
  const ofTier = own.get(tier) ??
    (standardTiers.has(tier) ? 1 : tierFactors.get(provider)?.get(tier) ?? factorOfModel(tier, serving))
  const ofGeo = inferenceGeo === undefined ? 1 : geoFactors.get(inferenceGeo)
  return ofTier === undefined || ofGeo === undefined ? undefined : ofTier * ofGeo
}

/**
 * Returns what a provider's cached tokens cost, as a share of its other input,
 * where the lists have no rate for them; `undefined` when that is not published.
 *
 * **Source**
 *
 * Mistral, "Prompt caching": 10% of the standard input token price.
 *
 * @category combinators
 * @since 0.1.0
 */
export const cacheReadShareOf = (provider: string): number | undefined => provider === "mistral" ? 0.1 : undefined

/**
 * Returns Perplexity's fee for 1,000 requests in US dollars, by the size of the
 * search context and the fee of the highest size, which is all that the lists
 * have; `undefined` when the size is not known, or the lists have another fee.
 *
 * **Source**
 *
 * Perplexity, "Pricing", "Sonar API": low, medium and high are 5, 8 and 12 for Sonar and Sonar Reasoning, 6, 10 and 14
 * for Sonar Pro and Sonar Reasoning Pro.
 *
 * @category combinators
 * @since 0.1.0
 */
export const requestFeeOf = (highest: number, size: string | undefined): number | undefined =>
  requestFees.get(highest)?.get(size?.toLowerCase() ?? "")

const requestFees: ReadonlyMap<number, ReadonlyMap<string, number>> = new Map([
  [12, new Map([["low", 5], ["medium", 8], ["high", 12]])],
  [14, new Map([["low", 6], ["medium", 10], ["high", 14]])]
])

// `auto` is not among them: it is what was asked for, and not what was used.
const standardTiers: ReadonlySet<string> = new Set(["default", "standard", "on_demand"])

const tierFactors: ReadonlyMap<string, ReadonlyMap<string, number>> = new Map([
  ["openai", new Map([["flex", 0.5], ["batch", 0.5]])],
  ["anthropic", new Map([["batch", 0.5]])],
  ["gemini", new Map([["flex", 0.5], ["batch", 0.5]])],
  ["groq", new Map([["flex", 1]])]
])

// Anthropic's. A model that cannot be asked for by region answers with `not_available`.
const geoFactors: ReadonlyMap<string, number> = new Map([["global", 1], ["not_available", 1], ["us", 1.1]])

// OpenAI's published priority rates, by the published standard ones. Input, cached input and output have one factor.
const priorityFactors: ReadonlyArray<readonly [model: RegExp, factor: number]> = [
  [/^gpt-5\.5(?:-20|$)/, 2.5],
  [/^gpt-5\.4(?:-mini)?(?:-20|$)/, 2],
  [/^gpt-5(?:\.[12])?(?:-20|$)/, 2],
  [/^gpt-5(?:\.1)?-codex$/, 2],
  [/^gpt-5-mini(?:-20|$)/, 1.8],
  [/^gpt-4\.1(?:-mini)?(?:-20|$)/, 1.75],
  [/^gpt-4\.1-nano(?:-20|$)/, 2],
  [/^gpt-4o(?:-2024-08-06|-2024-11-20|$)/, 1.7],
  [/^gpt-4o-mini(?:-20|$)/, 5 / 3],
  [/^o3(?:-20|$)/, 1.75],
  [/^o4-mini(?:-20|$)/, 20 / 11]
]

// Anthropic's fast mode.
const fastFactors: ReadonlyArray<readonly [model: RegExp, factor: number]> = [
  [/^claude-opus-4-[67](?!\d)/, 6],
  [/^claude-opus-(?:4-8|5(?!-\d(?!\d)))(?!\d)/, 2]
]

const factorOfModel = (tier: string, { inputTokens, model, provider }: Serving): number | undefined => {
  const name = model.trim().toLowerCase()
  const find = (factors: typeof fastFactors) => factors.find(([pattern]) => pattern.test(name))?.[1]
  switch (`${provider}/${tier}`) {
    case "openai/priority":
      // The rates are those without long contexts, above 128k tokens.
      return inputTokens <= 128_000 ? find(priorityFactors) : undefined
    case "anthropic/fast":
      return find(fastFactors)
  }
  return undefined
}
