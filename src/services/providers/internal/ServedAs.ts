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
 * **Details**
 *
 * `auto` leaves the choice to the provider, which takes the standard tier unless the project is set up otherwise. A
 * body that answers it to a request for another tier does not say which was used: then `auto` is kept, which has no
 * price.
 *
 * **Source**
 *
 * OpenAI API reference, "Create a model response", `service_tier`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const tierOf = (tier: unknown, asked?: unknown): { readonly serviceTier?: string } => {
  if (!isWord(tier) || isStandard(tier)) return {}
  const isOpen = tier.toLowerCase() === "auto"
  return isOpen && (!isWord(asked) || isStandard(asked) || asked.toLowerCase() === "auto") ? {} : { serviceTier: tier }
}

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
 * Returns how several passes were served. Passes that were served differently have the tier `mixed`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const together = (
  passes: ReadonlyArray<Pick<Usage, "serviceTier" | "inferenceGeo">>
): Pick<Usage, "serviceTier" | "inferenceGeo"> => {
  const [first, ...others] = passes
  if (first === undefined) return {}
  const { inferenceGeo, serviceTier } = first
  if (others.some((other) => other.serviceTier !== serviceTier || other.inferenceGeo !== inferenceGeo)) {
    return { serviceTier: "mixed" }
  }
  return {
    ...(serviceTier === undefined ? undefined : { serviceTier }),
    ...(inferenceGeo === undefined ? undefined : { inferenceGeo })
  }
}

const standardTiers: ReadonlySet<string> = new Set(["default", "standard", "on_demand"])

const isStandard = (tier: string): boolean => standardTiers.has(tier.toLowerCase())

// A model that cannot be asked for by region answers with `not_available`.
const anywhere: ReadonlySet<string> = new Set(["global", "not_available"])

// Nothing of any length is kept, and nothing as long as a key: this ends in errors and journals.
const isWord = (value: unknown): value is string => typeof value === "string" && /^[\w.-]{1,24}$/.test(value)
