/**
 * Token counts of OpenAI and compatible servers, in disjoint buckets.
 *
 * @since 0.1.0
 */
import { Usage } from "../../../errors/Usage.ts"
import { countOf, fieldsOf, isFields } from "./JsonBody.ts"
import * as ServedAs from "./ServedAs.ts"

/**
 * Returns the tokens that a `usage` object counts, or `undefined` when it
 * counts neither input nor output.
 *
 * **Details**
 *
 * Reads the names of the Responses API and of Chat Completions. Cached tokens
 * are part of the input. Reasoning is part of the output, unless the total says
 * that it stands beside it (xAI), or has a surplus that nothing else explains
 * (Gemini): then the surplus is reasoning. Numbers that are no counts are taken
 * for absent, and no bucket is negative. `tier` is the body's `service_tier`.
 *
 * **Source**
 *
 * OpenAI `ResponseUsage`, with its `cache_write_tokens_details`, and `CompletionUsage`; DeepSeek, "Context Caching"
 * (`prompt_cache_hit_tokens`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const usageOf = (value: unknown, tier?: unknown): Usage | undefined => {
  if (!isFields(value)) return undefined
  const input = countOf(value.input_tokens) ?? countOf(value.prompt_tokens)
  const output = countOf(value.output_tokens) ?? countOf(value.completion_tokens)
  if (input === undefined && output === undefined) return undefined
  const inputDetails = { ...fieldsOf(value.prompt_tokens_details), ...fieldsOf(value.input_tokens_details) }
  const outputDetails = { ...fieldsOf(value.completion_tokens_details), ...fieldsOf(value.output_tokens_details) }
  return bucketsOf({
    input: input ?? 0,
    cacheRead: countOf(inputDetails.cached_tokens) ?? countOf(value.prompt_cache_hit_tokens) ?? 0,
    cacheWrite: countOf(inputDetails.cache_write_tokens) ?? 0,
    cacheWriteLong: countOf(fieldsOf(inputDetails.cache_write_tokens_details).ttl_12h_tokens) ?? 0,
    output: output ?? 0,
    reasoning: countOf(outputDetails.reasoning_tokens) ?? 0,
    total: countOf(value.total_tokens) ?? 0,
    tier
  })
}

const bucketsOf = (counted: {
  readonly input: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly cacheWriteLong: number
  readonly output: number
  readonly reasoning: number
  readonly total: number
  readonly tier: unknown
}): Usage | undefined => {
  const { input, output, reasoning } = counted
  const cacheReadTokens = Math.min(counted.cacheRead, input)
  const cacheWriteTokens = Math.min(counted.cacheWrite, input - cacheReadTokens)
  const cacheWrite1hTokens = Math.min(counted.cacheWriteLong, cacheWriteTokens)
  const surplus = counted.total - input - output
  const isBeside = surplus > 0 && surplus >= reasoning
  const reasoningTokens = isBeside ? surplus : Math.min(reasoning, output)
  const outputTokens = isBeside ? output : output - reasoningTokens
  const totalTokens = input + outputTokens + reasoningTokens
  if (!Number.isSafeInteger(totalTokens)) return undefined
  return new Usage({
    inputTokens: input - cacheReadTokens - cacheWriteTokens,
    cacheReadTokens,
    cacheWriteTokens,
    outputTokens,
    reasoningTokens,
    totalTokens,
    ...(cacheWrite1hTokens === 0 ? undefined : { cacheWrite1hTokens }),
    ...ServedAs.tierOf(counted.tier)
  })
}
