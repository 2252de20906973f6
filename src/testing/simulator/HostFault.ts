/**
 * What hosts and gateways were seen to do to answers: actions of a script.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Millis = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))

/**
 * The schemas of the actions, told apart by `_tag`. An action does nothing to an answer that it cannot apply to.
 *
 * **Details**
 *
 * What is answered in another form than the one that was asked for:
 *
 * - `AsEvents`: a plain call gets an event stream, under `contentType` (default `"text/event-stream"`). A submission
 *   or a poll of the Responses API gets the whole stream of its job.
 * - `AsJson`: a call for a stream gets JSON; `done` adds `data: [DONE]` to it, also for a plain call.
 *
 * What an answer says, and its last event does not:
 *
 * - `EmptyEnd`: the `output` of a Response that has ended is `[]`, in the last event of a stream and in bodies.
 * - `InventedFailure`: after `after` events a stream of a Response ends with `response.failed`, whatever its job does.
 *   Streams of other APIs end with an error event.
 * - `RepeatItems`: the items of a Response come twice, with the same ids; `message_start` of the Messages API as well.
 *
 * Chat Completions only:
 *
 * - `ToolCalls`: the tool call of an answer becomes `calls` of them (default 2), with ids of their own. `index` is
 *   `"own"`, or the same 0 (`"zero"`), `null` (`"null"`) or nothing at all (`"none"`) for each.
 * - `Cumulative`: chunks carry a `message` beside `delta`: the text so far (`"whole"`, Perplexity), or the same piece
 *   (`"piece"`, Writer).
 * - `UsageAs`: tokens and costs where `host` puts them: `mistral` (`num_cached_tokens`), `moonshot` (`cached_tokens`),
 *   `choice` (usage in the last choice), `litellm` (`cache_creation_input_tokens`, 0), and with the cost `usd` (US
 *   dollars, default 0.001) `openrouter` (`cost`) and `perplexity` (`cost.total_cost`). `xai` puts
 *   `cost_in_usd_ticks` (10⁻¹⁰ US dollars) into the usage of the Responses API too.
 *
 * What happens on the wire:
 *
 * - `CutAfterEnd`: the answer is whole, but the connection is reset before its formal end: before `[DONE]`,
 *   `message_stop`, or the end of a chunked body (`"reset"`), or of one that is shorter than its content-length says
 *   (`"length"`).
 * - `Comments`: after `after` events a stream sends nothing but comments, 20 milliseconds apart, for `millis`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const actions = [
  Schema.TaggedStruct("AsEvents", { contentType: Schema.optional(Schema.String) }),
  Schema.TaggedStruct("AsJson", { done: Schema.optional(Schema.Boolean) }),
  Schema.TaggedStruct("EmptyEnd", {}),
  Schema.TaggedStruct("InventedFailure", { after: Count, message: Schema.optional(Schema.String) }),
  Schema.TaggedStruct("RepeatItems", {}),
  Schema.TaggedStruct("ToolCalls", {
    calls: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
    index: Schema.Literals(["own", "zero", "null", "none"])
  }),
  Schema.TaggedStruct("Cumulative", { message: Schema.Literals(["whole", "piece"]) }),
  Schema.TaggedStruct("UsageAs", {
    host: Schema.Literals(["mistral", "moonshot", "choice", "litellm", "openrouter", "perplexity", "xai"]),
    usd: Schema.optional(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))
  }),
  Schema.TaggedStruct("CutAfterEnd", { how: Schema.Literals(["reset", "length"]) }),
  Schema.TaggedStruct("Comments", { after: Count, millis: Millis })
] as const

/**
 * What a host or a gateway does to an answer.
 *
 * @category models
 * @since 0.1.0
 */
export type HostFault = typeof actions[number]["Type"]

/**
 * Returns the action of a tag, or `undefined` when there is none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const find = <Tag extends HostFault["_tag"]>(
  actions: ReadonlyArray<{ readonly _tag: string }>,
  tag: Tag
): Extract<HostFault, { readonly _tag: Tag }> | undefined =>
  actions.find((action): action is Extract<HostFault, { readonly _tag: Tag }> => action._tag === tag)
