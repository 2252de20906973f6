/**
 * What went wrong in one exchange with a provider, and whether the provider
 * may have accepted the request all the same.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { NonRetryableReason, RetryableReason } from "./Reason.ts"

/**
 * Schema for what is known of a request that failed.
 *
 * **Details**
 *
 * - `NotSent`: no connection was made, so no provider can have seen it.
 * - `Refused`: the provider answered that it did not take it.
 * - `Uncertain`: it was sent, and the provider may be working on it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Evidence = Schema.Literals(["NotSent", "Refused", "Uncertain"])

/**
 * What is known of a request that failed.
 *
 * @category models
 * @since 0.1.0
 */
export type Evidence = typeof Evidence.Type

/**
 * Error of one exchange with a provider, already classified.
 *
 * **Details**
 *
 * The ports of `services/Provider` fail with it. Strategies turn it into
 * `Retryable` or `NonRetryable`, by `verdict`.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProviderError extends Schema.TaggedError<ProviderError>("holdfast/errors/ProviderError")(
  "ProviderError",
  {
    verdict: Schema.Union([
      Schema.TaggedStruct("Retryable", {
        reason: RetryableReason,
        /** How long the server asked to wait, in a header, a field or words: the longest of them. */
        retryAfter: Schema.optional(Schema.Duration),
        /** A weaker hint, the time until a rate limit is full again; a retry policy may cap it. */
        retryHint: Schema.optional(Schema.Duration)
      }),
      Schema.TaggedStruct("NonRetryable", { reason: NonRetryableReason })
    ]),
    evidence: Evidence
  }
) {
  /** Whether the same request may succeed later. */
  get isRetryable(): boolean {
    return this.verdict._tag === "Retryable"
  }

  override get message(): string {
    return `${this.verdict.reason._tag}: ${this.verdict.reason.message}`
  }
}

/**
 * What `ProviderError` says of the failure.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = ProviderError["verdict"]
