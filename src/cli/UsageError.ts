/**
 * What a user of the command got wrong.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Error for a command that cannot be carried out as it was given. Nothing was
 * sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class UsageError extends Schema.TaggedError<UsageError>("holdfast/cli/UsageError")("UsageError", {
  message: Schema.String
}) {}
