/**
 * The three errors of every strategy. The tag says what to do, the reason
 * says what happened.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { NonRetryableReason, RetryableReason } from "./Reason.ts"

/**
 * Schema for a model of a request that could not answer, and why.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PassedOver = Schema.Struct({
  /** As the request names it. */
  model: Schema.String,
  reason: Schema.Union([RetryableReason, NonRetryableReason])
})

/**
 * A model of a request that could not answer, and why.
 *
 * @category models
 * @since 0.1.0
 */
export type PassedOver = typeof PassedOver.Type

// The fields are written out beside their classes, because editors show no docs of a schema's fields.
interface About {
  /** The session key of the request. */
  readonly session?: string | undefined
  /** The provider's id of the job. */
  readonly jobId?: string | undefined
  /**
   * With `fallback`, the models of the request before the one that the error is of, in that order, and why each could not
   * answer; absent when there are none.
   */
  readonly passedOver?: ReadonlyArray<PassedOver> | undefined
}

/** The session, the provider's job and the models before, if any. */
const about = {
  session: Schema.optional(Schema.String),
  jobId: Schema.optional(Schema.String),
  passedOver: Schema.optional(Schema.Array(PassedOver))
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
  retryAfter: Schema.optional(Schema.Duration),
  attempts: Schema.Natural,
  ...about
}) {
  override get message(): string {
    return `${this.reason._tag}: ${this.reason.message}`
  }
}

/**
 * What is known of a call that may succeed later.
 *
 * @category models
 * @since 0.1.0
 */
export interface Retryable extends About {
  readonly reason: RetryableReason
  /** How long the server asked to wait, from the moment of its answer. */
  readonly retryAfter?: Duration.Duration | undefined
  /** Submissions and held calls sent by this call, the first included; 0 when nothing was sent. */
  readonly attempts: number
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
 * What is known of a call that will fail again.
 *
 * @category models
 * @since 0.1.0
 */
export interface NonRetryable extends About {
  readonly reason: NonRetryableReason
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
 * What is known of a call whose deadline passed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Timeout extends About {
  /** The longest time that the call was to wait. */
  readonly deadline: Duration.Duration
  /** How long it has waited. */
  readonly elapsed: Duration.Duration
  /** What it was doing then. */
  readonly phase: Phase
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
