/**
 * What a stream of a response tells, piece by piece.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Usage } from "../errors/Usage.ts"
import { LlmResponse } from "./LlmResponse.ts"

const common = {
  /**
   * Whether it may have been told before: it comes from a stored answer, from a stream that was opened anew at its
   * beginning, or from before this watcher came.
   */
  replayed: Schema.Boolean
}

const piece = {
  ...common,
  delta: Schema.String,
  /** Where the piece begins in the text of its kind, in UTF-16 code units. */
  offset: Schema.Natural
}

/**
 * Schema for one event of a stream.
 *
 * **Details**
 *
 * - `Started`: the provider has the request. A call that is retried starts again.
 * - `TextDelta`: a piece of the answer's `content`. All of them together are the content.
 * - `ReasoningDelta`, `RefusalDelta`: pieces of what the model thinks, and of why it declines.
 * - `ToolCall`: a call that the caller must answer, with its arguments as the model wrote them; each call comes once.
 *   `id` is what the answer to the call refers to. OpenAI's own tools are named `apply_patch`, `computer`,
 *   `local_shell`, `shell` and `tool_search`, and their arguments are the JSON of the call's action, operation or
 *   arguments; the arguments of a custom tool are its input, which is plain text.
 * - `Status`: the provider's word for the job's status.
 * - `Usage`: what was used so far.
 * - `Completed`: the whole answer; always the last event of a stream that succeeds, and only there.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ResponseEvent = Schema.Union([
  Schema.TaggedStruct("Started", { ...common, responseId: Schema.String }),
  Schema.TaggedStruct("TextDelta", piece),
  Schema.TaggedStruct("ReasoningDelta", piece),
  Schema.TaggedStruct("RefusalDelta", piece),
  Schema.TaggedStruct("ToolCall", { ...common, id: Schema.String, name: Schema.String, arguments: Schema.String }),
  Schema.TaggedStruct("Status", {
    ...common,
    status: Schema.String,
    phase: Schema.Literals(["queued", "running"])
  }),
  Schema.TaggedStruct("Usage", { ...common, usage: Usage }),
  Schema.TaggedStruct("Completed", { ...common, response: LlmResponse })
])

/**
 * One event of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export type ResponseEvent = typeof ResponseEvent.Type
