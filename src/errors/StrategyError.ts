/**
 * The three errors of every strategy. The tag says what to do, the reason
 * says what happened.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { NonRetryableReason, RetryableReason } from "./Reason.ts"

/** The session and the provider's job that the error speaks of, if any. */
const about = {
  /** The session key of the request. */
  session: Schema.optional(Schema.String),
  /** The provider's id of the job. */
  jobId: Schema.optional(Schema.String)
}

/**
 * Error for a call that may succeed later as it is.
 *
 * **Details**
 *
 * Holdfast has already retried within its bounds. `retryAfter` is what the
 * server asked for, when it asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class Retryable extends Schema.TaggedError<Retryable>("holdfast/errors/StrategyError/Retryable")("Retryable", {
  reason: RetryableReason,
  /** How long the server asked to wait, from the moment of its answer. */
  retryAfter: Schema.optional(Schema.Duration),
  /** Submissions and held calls sent by this call, the first included; 0 when nothing was sent. */
  attempts: Schema.Natural,
  ...about
}) {
  override get message(): string {
    return `${this.reason._tag}: ${this.reason.message}`
  }
}

/**
 * Error for a call that will fail again until something changes.
 *
 * @category errors
 * @since 0.1.0
 */
export class NonRetryable extends Schema.TaggedError<NonRetryable>("holdfast/errors/StrategyError/NonRetryable")(
  "NonRetryable",
  { reason: NonRetryableReason, ...about }
) {
  override get message(): string {
    return `${this.reason._tag}: ${this.reason.message}`
  }
}

/**
 * Schema for what a call was doing when its deadline passed.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Phase = Schema.Literals(["submit", "queued", "running", "stream"])

/**
 * What a call was doing when its deadline passed.
 *
 * @category models
 * @since 0.1.0
 */
export type Phase = typeof Phase.Type

/**
 * Error for a call whose own deadline passed; with a session, the job can be
 * resumed.
 *
 * @category errors
 * @since 0.1.0
 */
export class Timeout extends Schema.TaggedError<Timeout>("holdfast/errors/StrategyError/Timeout")("Timeout", {
  deadline: Schema.Duration,
  elapsed: Schema.Duration,
  phase: Phase,
  ...about
}) {
  override get message(): string {
    return `Not finished within ${Duration.format(this.deadline)}, still in phase ${this.phase}`
  }
}

/**
 * Schema for the errors of every strategy.
 *
 * @category schemas
 * @since 0.1.0
 */
export const StrategyError = Schema.Union([Retryable, NonRetryable, Timeout])

/**
 * The errors of every strategy.
 *
 * @category errors
 * @since 0.1.0
 */
export type StrategyError = typeof StrategyError.Type
