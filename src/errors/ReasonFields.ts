/**
 * What every reason carries of a provider's words.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * The longest text that a reason keeps of what a provider said, in characters.
 *
 * @category models
 * @since 0.1.0
 */
export const maxMessageLength = 2000

/**
 * Schemas for what a provider said of a failure. All but `message` may be absent.
 *
 * @category schemas
 * @since 0.1.0
 */
export const reasonFields = {
  /** One statement, without keys, at most 2,000 characters. */
  message: Schema.String,
  /** HTTP status. */
  status: Schema.optional(Schema.Int),
  /** The provider's error code; a number is written in decimal. */
  code: Schema.optional(Schema.String),
  /** The provider's error type, or gRPC status. */
  type: Schema.optional(Schema.String),
  /** The request field that the provider names. */
  param: Schema.optional(Schema.String),
  /** The provider's id of the request, to quote in a support ticket. */
  requestId: Schema.optional(Schema.String),
  /** The provider's name, its prefix in a model name. */
  provider: Schema.optional(Schema.String),
  /** `true` when only a text pattern led to this reason, no code, type or status. */
  inferred: Schema.optional(Schema.Boolean)
}

/**
 * What every reason carries of the provider's words.
 *
 * @category models
 * @since 0.1.0
 */
export interface ReasonFields extends Schema.Struct.Type<typeof reasonFields> {}
