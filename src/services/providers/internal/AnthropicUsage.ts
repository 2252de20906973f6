/**
 * Token counts of Anthropic's Messages API, in disjoint buckets.
 *
 * @since 0.1.0
 */
import { Usage } from "../../../errors/Usage.ts"
import { countOf, fieldsOf, isFields } from "./JsonBody.ts"
import * as ServedAs from "./ServedAs.ts"

/**
 * Returns the tokens that a `usage` object counts, or `undefined` when it is
 * none.
 *
 * **Details**
 *
 * Cached tokens stand beside the input, thinking is part of the output. Numbers
 * that are no counts are taken for 0, and no bucket is negative.
 *
 * @category constructors
 * @since 0.1.0
 */
export const usageOf = (value: unknown): Usage | undefined => {
  if (!isFields(value)) return undefined
  const output = countOf(value.output_tokens) ?? 0
  const thinking = Math.min(countOf(fieldsOf(value.output_tokens_details).thinking_tokens) ?? 0, output)
  const cacheWriteTokens = countOf(value.cache_creation_input_tokens) ?? 0
  const for1h = Math.min(countOf(fieldsOf(value.cache_creation).ephemeral_1h_input_tokens) ?? 0, cacheWriteTokens)
  return make({
    inputTokens: countOf(value.input_tokens) ?? 0,
    cacheReadTokens: countOf(value.cache_read_input_tokens) ?? 0,
    cacheWriteTokens,
    outputTokens: output - thinking,
    reasoningTokens: thinking,
    ...(for1h === 0 ? undefined : { cacheWrite1hTokens: for1h }),
    ...ServedAs.ofAnthropic(value)
  })
}

/**
 * Returns the tokens of two turns together; one that does not count any adds
 * nothing.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sum = (first: Usage | undefined, second: Usage | undefined): Usage | undefined => {
  if (first === undefined || second === undefined) return first ?? second
  return make({
    inputTokens: first.inputTokens + second.inputTokens,
    cacheReadTokens: first.cacheReadTokens + second.cacheReadTokens,
    cacheWriteTokens: first.cacheWriteTokens + second.cacheWriteTokens,
    outputTokens: first.outputTokens + second.outputTokens,
    reasoningTokens: first.reasoningTokens + second.reasoningTokens,
    ...ServedAs.summed(first, second)
  })
}

// Counts whose sum no number can hold are none.
const make = (buckets: Omit<Usage, "totalTokens">): Usage | undefined => {
  const totalTokens = buckets.inputTokens + buckets.cacheReadTokens + buckets.cacheWriteTokens +
    buckets.outputTokens + buckets.reasoningTokens
  return Number.isSafeInteger(totalTokens) ? new Usage({ ...buckets, totalTokens }) : undefined
}
