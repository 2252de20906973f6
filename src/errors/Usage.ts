/**
 * Tokens of one answer, in disjoint buckets, and what their price depends on.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const buckets = {
  inputTokens: Schema.Natural,
  cacheReadTokens: Schema.Natural,
  cacheWriteTokens: Schema.Natural,
  outputTokens: Schema.Natural,
  reasoningTokens: Schema.Natural
}

const facts = {
  cacheWrite1hTokens: Schema.optionalKey(Schema.Natural),
  serviceTier: Schema.optionalKey(Schema.String),
  inferenceGeo: Schema.optionalKey(Schema.String),
  webSearches: Schema.optionalKey(Schema.Natural),
  modelRuns: Schema.optionalKey(Schema.Natural),
  reportedNanoUsd: Schema.optionalKey(Schema.Natural)
}

/**
 * Schema for one of several passes of a model whose tokens a `Usage` adds up.
 *
 * @category schemas
 * @since 0.1.0
 */
export const UsagePass = Schema.Struct({
  ...buckets,
  ...facts,
  /** The model of this pass, as the provider names it. */
  model: Schema.String
})

/**
 * One of several passes of a model whose tokens a `Usage` adds up: a turn of
 * the answer, a compaction of its context, a question to an advisor.
 *
 * @category models
 * @since 0.1.0
 */
export type UsagePass = typeof UsagePass.Type

/**
 * Schema for the tokens of one answer, in disjoint buckets.
 *
 * **Details**
 *
 * Providers count in three ways: cached tokens within the input (OpenAI) or
 * beside it (Anthropic), reasoning within the output (OpenAI, Anthropic) or
 * beside it (Gemini, Perplexity). Here no token is in two buckets, and
 * `totalTokens` is the sum of the other five. A bucket that the provider does
 * not report is 0. Counts that are all 0 say nothing: then there is no `Usage`.
 *
 * @category schemas
 * @since 0.1.0
 */
export class Usage extends Schema.Class<Usage>("holdfast/errors/Usage")({
  ...buckets,
  totalTokens: Schema.Natural,
  ...facts,
  searchContextSize: Schema.optionalKey(Schema.String),
  passes: Schema.optionalKey(Schema.Array(UsagePass))
}) {}

/**
 * The tokens of one answer.
 *
 * @category models
 * @since 0.1.0
 */
// Written out beside its class, because editors show no docs of a schema's fields.
export interface Usage {
  /** Input tokens that were neither read from nor written to a cache. */
  readonly inputTokens: number
  /** Input tokens read from the provider's prompt cache. */
  readonly cacheReadTokens: number
  /** Input tokens written to the provider's prompt cache. */
  readonly cacheWriteTokens: number
  /** Output tokens without reasoning. */
  readonly outputTokens: number
  /** Reasoning ("thinking") tokens, billed as output. */
  readonly reasoningTokens: number
  /** The sum of the five buckets. */
  readonly totalTokens: number
  /**
   * How many of `cacheWriteTokens` are kept for longer than usual, which may cost more: for an hour instead of five
   * minutes (Anthropic), for twelve hours instead of thirty minutes (OpenAI). Absent: none, or not known.
   */
  readonly cacheWrite1hTokens?: number
  /** Web searches that the provider ran and bills by the call (OpenAI, Anthropic). Absent: none, or not known. */
  readonly webSearches?: number
  /**
   * How often the model ran for these counts, where the provider ran tools in between and does not count each run: at
   * Anthropic one more than the calls of tools. Their mean input chooses the price of long contexts. Absent: once, or
   * not known.
   */
  readonly modelRuns?: number
  /** Perplexity's `search_context_size`, on which its fee per request depends. */
  readonly searchContextSize?: string
  /** The service tier or speed that the provider says it has used; absent: its standard one, or not known. */
  readonly serviceTier?: string
  /** Anthropic's `inference_geo`; absent: anywhere, or not known. */
  readonly inferenceGeo?: string
  /**
   * What the provider says that this costs, in nano-dollars (10⁻⁹ US dollars), rounded to the nearest: OpenRouter,
   * Perplexity, xAI. Absent: it does not say.
   */
  readonly reportedNanoUsd?: number
  /**
   * The passes that the counts add up, where there are several: each is priced by itself, at its own model. Absent: one
   * pass, or not known.
   */
  readonly passes?: ReadonlyArray<UsagePass>
}
