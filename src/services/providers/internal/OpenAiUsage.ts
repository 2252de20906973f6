/**
 * Token counts of OpenAI and compatible servers, in disjoint buckets.
 *
 * @since 0.1.0
 */
import { Usage } from "../../../errors/Usage.ts"
import { countOf, type Fields, fieldsOf, isFields, itemsOf, textOf } from "./JsonBody.ts"
import * as ReportedCost from "./ReportedCost.ts"
import * as ServedAs from "./ServedAs.ts"

/**
 * Returns the tokens that the body of an answer counts, or `undefined` when it
 * counts none: no `usage`, or one of zeros.
 *
 * **Details**
 *
 * Takes the bodies of the Responses API and of Chat Completions. `usage` stands
 * at the root, in `x_groq` (Groq), or in a choice (Moonshot). `askedTier` is
 * the request's `service_tier`.
 *
 * Web searches are `tool_usage.web_search.num_requests`, which counts those
 * that are billed, or else the `web_search_call` items that searched: opening
 * a page and finding a text in it are free. xAI counts its own, with those of X.
 *
 * **Source**
 *
 * OpenAI API reference, `Response.tool_usage`; OpenAI, "Web search", "Output and citations".
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofBody = (body: Fields, askedTier?: unknown): Usage | undefined => {
  const counted = [body.usage, fieldsOf(body.x_groq).usage, ...itemsOf(body.choices).map((one) => fieldsOf(one).usage)]
  for (const value of counted) {
    const usage = usageOf(value, { ...ServedAs.tierOf(body.service_tier, askedTier), ...searchesOf(body) })
    if (usage !== undefined) return usage
  }
  return undefined
}

/**
 * Returns the tokens that a `usage` object counts, or `undefined` when it
 * counts neither input nor output, or zeros alone.
 *
 * **Details**
 *
 * Reads the names of the Responses API and of Chat Completions. Cached tokens
 * are part of the input, wherever a host puts them, and never more than it.
 * Reasoning is part of the output, unless the total says that it stands beside
 * it (xAI), or has a surplus that nothing else explains (Gemini): then the
 * surplus is reasoning. Perplexity's stands beside it, and the total leaves it
 * out. Numbers that are no counts are taken for absent, and no bucket is
 * negative.
 *
 * **Source**
 *
 * OpenAI `ResponseUsage`, with its `cache_write_tokens_details`, and `CompletionUsage`; DeepSeek, "Context Caching"
 * (`prompt_cache_hit_tokens`); Mistral, "Prompt caching" (`num_cached_tokens`); Moonshot, "Chat" (`cached_tokens`);
 * LiteLLM, "Prompt Caching" (`cache_creation_input_tokens`); Perplexity, "Sonar Deep Research" (`reasoning_tokens`).
 *
 * @category constructors
 * @since 0.1.0
 */
export const usageOf = (
  value: unknown,
  served: Pick<Usage, "serviceTier" | "webSearches"> = {}
): Usage | undefined => {
  if (!isFields(value)) return undefined
  const input = countOf(value.input_tokens) ?? countOf(value.prompt_tokens)
  const output = countOf(value.output_tokens) ?? countOf(value.completion_tokens)
  const reportedNanoUsd = ReportedCost.nanoUsdOf(value)
  if (input === undefined && output === undefined) return undefined
  const buckets = bucketsOf({ input: input ?? 0, output: output ?? 0, ...cachedOf(value), ...reasoningOf(value) })
  if (!Number.isSafeInteger(buckets.totalTokens)) return undefined
  // A host that does not count writes zeros; no answer has neither input nor output.
  if (buckets.totalTokens === 0 && (reportedNanoUsd ?? 0) === 0) return undefined
  const searchContextSize = textOf(value.search_context_size)
  return new Usage({
    ...buckets,
    ...served,
    ...(/^\w{1,24}$/.test(searchContextSize) ? { searchContextSize } : undefined),
    ...(reportedNanoUsd === undefined ? undefined : { reportedNanoUsd })
  })
}

const largest = (...values: ReadonlyArray<unknown>): number =>
  values.reduce((max: number, value) => Math.max(max, countOf(value) ?? 0), 0)

// Some hosts fill several of these places, and leave zeros in the others.
const cachedOf = (value: Fields) => {
  const details = { ...fieldsOf(value.prompt_tokens_details), ...fieldsOf(value.input_tokens_details) }
  return {
    cacheRead: largest(
      details.cached_tokens,
      details.cache_read_input_tokens,
      value.prompt_cache_hit_tokens,
      value.num_cached_tokens,
      value.cached_tokens,
      value.cache_read_input_tokens
    ),
    cacheWrite: largest(
      details.cache_write_tokens,
      details.cache_creation_tokens,
      details.cache_creation_input_tokens,
      value.cache_creation_input_tokens
    ),
    cacheWriteLong: largest(
      fieldsOf(details.cache_write_tokens_details).ttl_12h_tokens,
      fieldsOf(details.cache_creation_token_details).ephemeral_1h_input_tokens,
      fieldsOf(details.cache_creation).ephemeral_1h_input_tokens,
      fieldsOf(value.cache_creation).ephemeral_1h_input_tokens
    )
  }
}

const reasoningOf = (value: Fields) => {
  const details = { ...fieldsOf(value.completion_tokens_details), ...fieldsOf(value.output_tokens_details) }
  const within = countOf(details.reasoning_tokens)
  return {
    total: countOf(value.total_tokens) ?? 0,
    reasoning: within ?? countOf(value.reasoning_tokens) ?? 0,
    isPerplexity: within === undefined && ["citation_tokens", "num_search_queries", "search_context_size"]
      .some((name) => name in value)
  }
}

const bucketsOf = (counted: {
  readonly input: number
  readonly cacheRead: number
  readonly cacheWrite: number
  readonly cacheWriteLong: number
  readonly output: number
  readonly reasoning: number
  readonly total: number
  readonly isPerplexity: boolean
}) => {
  const { input, isPerplexity, output, reasoning } = counted
  const cacheReadTokens = Math.min(counted.cacheRead, input)
  const cacheWriteTokens = Math.min(counted.cacheWrite, input - cacheReadTokens)
  const cacheWrite1hTokens = Math.min(counted.cacheWriteLong, cacheWriteTokens)
  const surplus = counted.total - input - output
  const beside = surplus > 0 && surplus >= reasoning ? surplus : isPerplexity ? reasoning : undefined
  const reasoningTokens = beside ?? Math.min(reasoning, output)
  const outputTokens = beside === undefined ? output - reasoningTokens : output
  return {
    inputTokens: input - cacheReadTokens - cacheWriteTokens,
    cacheReadTokens,
    cacheWriteTokens,
    outputTokens,
    reasoningTokens,
    totalTokens: input + outputTokens + reasoningTokens,
    ...(cacheWrite1hTokens === 0 ? undefined : { cacheWrite1hTokens })
  }
}

const searchesOf = (body: Fields): { readonly webSearches?: number } => {
  const webSearches = countOf(fieldsOf(fieldsOf(body.tool_usage).web_search).num_requests) ??
    xaiSearchesOf(fieldsOf(body.usage).server_side_tool_usage_details) ??
    itemsOf(body.output).map(fieldsOf).filter(isSearch).length
  return webSearches === 0 ? {} : { webSearches }
}

const xaiSearchesOf = (calls: unknown): number | undefined =>
  isFields(calls) ? largest(calls.web_search_calls) + largest(calls.x_search_calls) : undefined

// Items of former versions have no action: each of them is a search.
const isSearch = ({ action, status, type }: Fields): boolean =>
  type === "web_search_call" && status !== "failed" && (textOf(fieldsOf(action).type) || "search") === "search"
