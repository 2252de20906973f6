/**
 * Tokens of one answer, in disjoint buckets, and what their price depends on.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Schema for the tokens of one answer, in disjoint buckets.
 *
 * **Details**
 *
 * Providers count in three ways: cached tokens within the input (OpenAI) or
 * beside it (Anthropic), reasoning within the output (OpenAI, Anthropic) or
 * beside it (Gemini). Here no token is in two buckets, and
 * `totalTokens` is the sum of the other five. A bucket that the provider does
 * not report is 0.
 *
 * @category schemas
 * @since 0.1.0
 */
export class Usage extends Schema.Class<Usage>("holdfast/errors/Usage")({
  /** Input tokens that were neither read from nor written to a cache. */
  inputTokens: Schema.Natural,
  /** Input tokens read from the provider's prompt cache. */
  cacheReadTokens: Schema.Natural,
  /** Input tokens written to the provider's prompt cache. */
  cacheWriteTokens: Schema.Natural,
  /** Output tokens without reasoning. */
  outputTokens: Schema.Natural,
  /** Reasoning ("thinking") tokens, billed as output. */
  reasoningTokens: Schema.Natural,
  /** The sum of the five buckets. */
  totalTokens: Schema.Natural,
  /** How many of `cacheWriteTokens` are kept for an hour instead of five minutes; absent: none, or not known. */
  cacheWrite1hTokens: Schema.optionalKey(Schema.Natural),
  /** The service tier or speed that the provider says it has used; absent: its standard one, or not known. */
  serviceTier: Schema.optionalKey(Schema.String),
  /** Anthropic's `inference_geo`; absent: anywhere, or not known. */
  inferenceGeo: Schema.optionalKey(Schema.String)
}) {}
