/**
 * What a simulated provider should do wrong: rules, their actions, and the matching of requests to them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as HostFault from "./HostFault.ts"

/**
 * Schema for the names of the endpoints which a rule can be limited to.
 *
 * **Details**
 *
 * `responses.create` and `chat.create`, `messages.create` cover plain and streamed calls; `responses.stream` is
 * only `GET /responses/{id}?stream=true`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Endpoint = Schema.Literals([
  "responses.create",
  "responses.retrieve",
  "responses.stream",
  "responses.cancel",
  "responses.delete",
  "chat.create",
  "messages.create",
  "batches.create",
  "batches.retrieve",
  "batches.results",
  "batches.cancel",
  "batches.delete",
  "batches.list",
  "interactions.create",
  "interactions.retrieve",
  "interactions.cancel",
  "interactions.delete",
  "models.list",
  "unknown"
])

/**
 * The name of an endpoint.
 *
 * @category models
 * @since 0.1.0
 */
export type Endpoint = typeof Endpoint.Type

/**
 * Schema for the errors whose status and body the simulator knows in the shape of each API.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CannedError = Schema.Literals([
  "rateLimit",
  "tokensPerMinute",
  "quota",
  "overloaded",
  "serverError",
  "gatewayTimeout",
  "requestTimeout",
  "conflict",
  "contextLength",
  "contentFilter",
  "authentication",
  "permission",
  "notFound",
  "requestTooLarge",
  "invalidRequest"
])

/**
 * The name of a known provider error.
 *
 * @category models
 * @since 0.1.0
 */
export type CannedError = typeof CannedError.Type

/**
 * Schema for the ways in which a job or a call can end.
 *
 * **Details**
 *
 * - `completed`: an answer with text.
 * - `failed`: status `failed` with `code` and `message`; an HTTP 500 from Chat Completions and Messages, `errored`
 *   in a batch.
 * - `incomplete`: cut at a limit (`reason`), with the text so far.
 * - `cancelled`: ended by the provider without an answer.
 * - `refused`: a refusal instead of text.
 * - `empty`: completed without any text.
 * - `toolCall`: completed with a function call only.
 * - `stuck-queued`, `stuck-in-progress`: never ends by itself. A synchronous call is then never answered.
 * - `expired`: later GETs are 404; `polls` or `durationMillis` say from when (default: at once). In a batch: the
 *   batch ends and its results are `expired`.
 * - `unknown-status`: ends in the status named by `status`, which no client knows.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Outcome = Schema.Literals([
  "completed",
  "failed",
  "incomplete",
  "cancelled",
  "refused",
  "empty",
  "toolCall",
  "stuck-queued",
  "stuck-in-progress",
  "expired",
  "unknown-status"
])

/**
 * The way in which a job or a call ends.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome = typeof Outcome.Type

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Millis = Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0))
const Status = Schema.Int.check(Schema.isBetween({ minimum: 200, maximum: 599 }))
const Headers = Schema.Record(Schema.String, Schema.String)

/**
 * Schema for token counts that replace the simulator's own; a missing field keeps it.
 *
 * **Details**
 *
 * `inputTokens` is the whole input (cached tokens included), `outputTokens` the whole output (reasoning included).
 *
 * @category schemas
 * @since 0.1.0
 */
export const UsageOverride = Schema.Struct({
  inputTokens: Schema.optional(Count),
  cachedTokens: Schema.optional(Count),
  outputTokens: Schema.optional(Count),
  reasoningTokens: Schema.optional(Count)
})

/**
 * Schema for the actions of a rule: plain JSON values, told apart by `_tag`.
 *
 * **Details**
 *
 * `accepted: false` means that the request has no effect at the provider (no job, no entry among the jobs);
 * `accepted: true` that it takes effect first and only its answer is lost or replaced.
 *
 * - `Delay`: waits `millis` before the request takes effect, or before its answer is sent.
 * - `Error`: a known provider error, in the shape of the API that was called.
 * - `Status`: any status with any body (a string is sent as it is, anything else as JSON).
 * - `Html`: an error page, as a proxy sends it.
 * - `Headers`: adds headers to the normal answer.
 * - `Reset`: ends the connection with a TCP reset before the first byte of the answer.
 * - `Hang`: never answers.
 * - `Corrupt`: the normal answer, damaged: `half` of it and a clean end, `short` of its Content-Length and then a
 *   reset, `garbage`, or `empty`.
 * - `SlowBody`: the normal answer in `chunks` pieces, `millis` apart.
 * - `CutStream`: ends a stream after `after` events, cleanly (`end`) or by a reset.
 * - `StallStream`: sends nothing more after `after` events, and keeps the connection.
 * - `StreamError`: an error event in the stream after `after` events, then the end of it.
 * - `Job`: how the job or the call ends.
 * - `IgnoreBackground`: answers a background request at once, without `background: true`; its id is not found later.
 * - `Webhook`: how the webhook of the background job goes wrong: `late` by `millis` (default 1000), `twice` with the
 *   same id, `early`, before the job has ended, `forged` with another secret, `stale`, signed ten minutes ago, or
 *   `never` sent. Webhooks out of order are `late` ones.
 *
 * What hosts and gateways were seen to do besides is in `HostFault`, with the actions `AsEvents`, `AsJson`,
 * `EmptyEnd`, `InventedFailure`, `RepeatItems`, `ToolCalls`, `Cumulative`, `UsageAs`, `CutAfterEnd` and `Comments`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Action = Schema.Union([
  Schema.TaggedStruct("Delay", { millis: Millis, accepted: Schema.optional(Schema.Boolean) }),
  Schema.TaggedStruct("Error", {
    error: CannedError,
    message: Schema.optional(Schema.String),
    headers: Schema.optional(Headers),
    accepted: Schema.optional(Schema.Boolean)
  }),
  Schema.TaggedStruct("Status", {
    status: Status,
    body: Schema.optional(Schema.Unknown),
    headers: Schema.optional(Headers),
    accepted: Schema.optional(Schema.Boolean)
  }),
  Schema.TaggedStruct("Html", {
    status: Status,
    headers: Schema.optional(Headers),
    accepted: Schema.optional(Schema.Boolean)
  }),
  Schema.TaggedStruct("Headers", { headers: Headers }),
  Schema.TaggedStruct("Reset", { accepted: Schema.Boolean }),
  Schema.TaggedStruct("Hang", { accepted: Schema.Boolean }),
  Schema.TaggedStruct("Corrupt", { how: Schema.Literals(["half", "short", "garbage", "empty"]) }),
  Schema.TaggedStruct("SlowBody", { chunks: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)), millis: Millis }),
  Schema.TaggedStruct("CutStream", { after: Count, how: Schema.Literals(["end", "reset"]) }),
  Schema.TaggedStruct("StallStream", { after: Count }),
  Schema.TaggedStruct("StreamError", {
    after: Count,
    error: Schema.optional(CannedError),
    message: Schema.optional(Schema.String)
  }),
  Schema.TaggedStruct("Job", {
    outcome: Outcome,
    text: Schema.optional(Schema.String),
    durationMillis: Schema.optional(Millis),
    queuedMillis: Schema.optional(Millis),
    polls: Schema.optional(Count),
    usage: Schema.optional(Schema.NullOr(UsageOverride)),
    code: Schema.optional(Schema.String),
    message: Schema.optional(Schema.String),
    reason: Schema.optional(Schema.String),
    status: Schema.optional(Schema.String)
  }),
  Schema.TaggedStruct("IgnoreBackground", {}),
  Schema.TaggedStruct("Webhook", {
    how: Schema.Literals(["late", "twice", "early", "forged", "stale", "never"]),
    millis: Schema.optional(Millis)
  }),
  ...HostFault.actions
])

/**
 * What the simulator does to a request.
 *
 * @category models
 * @since 0.1.0
 */
export type Action = typeof Action.Type

/**
 * How a job or a call ends: the `Job` action.
 *
 * @category models
 * @since 0.1.0
 */
export type JobAction = Extract<Action, { readonly _tag: "Job" }>

/**
 * What goes wrong with a webhook: the `Webhook` action.
 *
 * @category models
 * @since 0.1.0
 */
export type WebhookAction = Extract<Action, { readonly _tag: "Webhook" }>

/**
 * Schema for one rule of a script.
 *
 * **Details**
 *
 * The first rule that fits a request acts on it, all its actions together, and is used up by one of its `times`
 * (default 1; `"always"` or `Infinity` never runs out). A rule fits when the endpoint is in `on` (default: any), the
 * request contains `match` (in its body or path, or in the id or the prompt of its job; default: any), `skip`
 * fitting requests went by before (default 0), and a seeded draw is below `probability` (in [0, 1], default 1).
 *
 * @category schemas
 * @since 0.1.0
 */
export const Rule = Schema.Struct({
  on: Schema.optional(Schema.Union([Endpoint, Schema.Array(Endpoint)])),
  match: Schema.optional(Schema.String),
  skip: Schema.optional(Count),
  times: Schema.optional(
    Schema.Union([Schema.Literal("always"), Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))])
  ),
  probability: Schema.optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  do: Schema.Union([Action, Schema.Array(Action)])
})

/**
 * One rule of a script.
 *
 * @category models
 * @since 0.1.0
 */
export type Rule = typeof Rule.Type

/**
 * Returns a rule with `times: Infinity` written as `"always"`, because JSON has no infinity.
 *
 * @category combinators
 * @since 0.1.0
 */
export const portable = (rule: Rule): Rule => rule.times === Infinity ? { ...rule, times: "always" } : rule

/**
 * Schema for a script: rules in the order in which they are tried.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Rules = Schema.Array(Rule)
