/**
 * A job that has not ended, as poll schedules see it.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"

/**
 * A job that has not ended. Each adapter lists its own pending statuses.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pending {
  readonly _tag: "Pending"
  /** The provider's word for it. */
  readonly status: string
  readonly phase: "queued" | "running"
  /** How long the server asks to wait before the next poll. */
  readonly pollAfter?: Duration.Duration | undefined
}
