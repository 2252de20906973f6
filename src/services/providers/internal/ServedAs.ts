/**
 * How a provider says that it has served a request, as far as its price depends
 * on it.
 *
 * @since 0.1.0
 */
import type { Usage } from "../../../errors/Usage.ts"

/**
 * Returns the service tier that a body names, unless it is the standard one.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tierOf = (tier: unknown): { readonly serviceTier?: string } =>
  isWord(tier) && !standardTiers.has(tier.toLowerCase()) ? { serviceTier: tier } : {}

/**
 * Returns what Anthropic's `usage` says beside the counts of tokens; a speed
 * other than the standard one stands for the tier.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofAnthropic = (
  usage: { readonly [key: string]: unknown }
): { readonly serviceTier?: string; readonly inferenceGeo?: string } => {
  const { inference_geo: geo, service_tier: tier, speed } = usage
  const { serviceTier } = tierOf(speed)
  return {
    ...(serviceTier === undefined ? tierOf(tier) : { serviceTier }),
    ...(isWord(geo) && !anywhere.has(geo) ? { inferenceGeo: geo } : undefined)
  }
}

/**
 * Returns what the usage of two turns together says beside the sums of its
 * buckets. Turns that were served differently have no price together: their
 * tier is `mixed`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const summed = (
  first: Usage,
  second: Usage
): Pick<Usage, "cacheWrite1hTokens" | "serviceTier" | "inferenceGeo"> => {
  const { cacheWrite1hTokens, inferenceGeo, serviceTier } = second
  const for1h = (first.cacheWrite1hTokens ?? 0) + (cacheWrite1hTokens ?? 0)
  const isMixed = first.serviceTier !== serviceTier || first.inferenceGeo !== inferenceGeo
  return {
    ...(for1h === 0 ? undefined : { cacheWrite1hTokens: for1h }),
    ...(isMixed ? { serviceTier: "mixed" } : serviceTier === undefined ? undefined : { serviceTier }),
    ...(isMixed || inferenceGeo === undefined ? undefined : { inferenceGeo })
  }
}

const standardTiers: ReadonlySet<string> = new Set(["default", "standard", "on_demand"])

// A model that cannot be asked for by region answers with `not_available`.
const anywhere: ReadonlySet<string> = new Set(["global", "not_available"])

// Nothing of any length is kept, and nothing as long as a key: this ends in errors and journals.
const isWord = (value: unknown): value is string => typeof value === "string" && /^[\w.-]{1,24}$/.test(value)
