/**
 * A webhook that cannot be trusted, or says nothing.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Error for a webhook that is not taken.
 *
 * **Details**
 *
 * - `headers`: one of the three headers is missing, or not what the standard wants
 * - `timestamp`: it was signed too long ago, or too far ahead
 * - `signature`: no secret made any of its signatures
 * - `malformed`: it is signed, and is no event
 *
 * It holds nothing of the body, the signatures and the secrets.
 *
 * @category errors
 * @since 0.1.0
 */
export class WebhookRejected extends Schema.TaggedError<WebhookRejected>("holdfast/errors/WebhookRejected")(
  "WebhookRejected",
  {
    reason: Schema.Literals(["headers", "timestamp", "signature", "malformed"]),
    message: Schema.String
  }
) {}
