/**
 * What service tiers, batches and regions multiply list prices with.
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
  readonly serviceTier?: string | undefined
  readonly batch?: boolean | undefined
  readonly inferenceGeo?: string | undefined
}

/**
 * Returns what the list price is multiplied with; `undefined` when that is not
 * published, or differs by model. `own` wins, by lower-case names of tiers.
 *
 * **Source**
 *
 * OpenAI, "Flex processing" and "Batch API"; Anthropic, "Pricing" (batch
 * processing, data residency); Google, "Gemini API optimization"; Groq, "Flex
 * processing".
 *
 * @category combinators
 * @since 0.1.0
 */
export const factorOf = (
  { batch = false, inferenceGeo, provider, serviceTier }: Serving,
  own: ReadonlyMap<string, number> = new Map()
): number | undefined => {
  const tier = batch ? "batch" : serviceTier === undefined ? "standard" : serviceTier.trim().toLowerCase()
  const ofTier = own.get(tier) ?? (standardTiers.has(tier) ? 1 : tierFactors.get(provider)?.get(tier))
  const ofGeo = inferenceGeo === undefined ? 1 : geoFactors.get(inferenceGeo)
  return ofTier === undefined || ofGeo === undefined ? undefined : ofTier * ofGeo
}

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
