/**
 * Reads the cost that a provider's `usage` states.
 */
import { countOf, type Fields, fieldsOf, isFields } from "./JsonBody.ts"

/**
 * Returns the cost that a `usage` states, in nano-dollars; `undefined` when it states none in US dollars.
 *
 * **Details**
 *
 * | field | host |
 * | --- | --- |
 * | `cost`, in credits of one US dollar | OpenRouter, and gateways that copy it |
 * | `cost.total_cost` | Perplexity |
 * | `cost_in_usd_ticks`, 10¹⁰ a US dollar | xAI |
 * | `estimated_cost` | DeepInfra |
 *
 * With a key of the caller's own (`is_byok`), OpenRouter's `cost` is its fee alone, and the upstream provider bills
 * `cost_details.upstream_inference_cost` beside it. Otherwise that is a part of `cost`, and never more than it.
 *
 * **Source**
 *
 * OpenRouter, "Usage Accounting", "Cost Breakdown"; Perplexity API reference, "Chat Completions"; xAI, "Cost Tracking";
 * DeepInfra OpenAPI, `UsageInfo`.
 */
export const nanoUsdOf = (usage: Fields): number | undefined => {
  const ticks = countOf(usage.cost_in_usd_ticks)
  if (ticks !== undefined) return Math.round(ticks / 10)
  const { cost } = usage
  if (isFields(cost)) {
    return cost.currency === undefined || cost.currency === "USD" ? toNano(cost.total_cost) : undefined
  }
  const charged = toNano(cost)
  return charged === undefined ? toNano(usage.estimated_cost) : charged + upstreamOf(usage, charged)
}

const upstreamOf = (usage: Fields, charged: number): number => {
  const upstream = toNano(fieldsOf(usage.cost_details).upstream_inference_cost) ?? 0
  const isOwnKey = typeof usage.is_byok === "boolean" ? usage.is_byok : upstream > charged
  return isOwnKey ? upstream : 0
}

const toNano = (usd: unknown): number | undefined =>
  typeof usd === "number" && usd >= 0 ? countOf(Math.round(usd * 1e9)) : undefined
