/**
 * What a user asks of a model.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import type { ProviderError } from "../errors/ProviderError.ts"
import { ContentPartFromInput, type ContentPartInput } from "./Content.ts"
import { PositiveDuration } from "./DurationInput.ts"
import type { Pending } from "./Pending.ts"
import { StrategyName } from "./StrategyName.ts"

export { StrategyName } from "./StrategyName.ts"

const Content = Schema.Union([Schema.String, Schema.Array(ContentPartFromInput)])

/** Keys of a provider's payload that Holdfast alone sets. */
const reservedOptions: ReadonlySet<string> = new Set(["model", "input", "messages", "background", "stream", "store"])

const ProviderOptions = Schema.Record(Schema.String, Schema.Json).check(
  Schema.makeFilter((options) => {
    const reserved = Object.keys(options).filter((key) => reservedOptions.has(key))
    return reserved.length === 0 ? undefined : `no reserved key (${reserved.join(", ")})`
  })
)

// Two of the sixteen pairs that providers take are Holdfast's own.
const Metadata = Schema.Record(
  Schema.String.check(Schema.isMaxLength(64)),
  Schema.String.check(Schema.isMaxLength(512))
).check(
  Schema.makeFilter((metadata) => Object.keys(metadata).length <= 14 ? undefined : "at most 14 pairs")
)

/**
 * The reasons for which the next model of `fallback` is asked, unless the request names its own.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultFallbackReasons = [
  "RateLimited",
  "Overloaded",
  "ServerError",
  "Network",
  "InvalidResponse",
  "CircuitOpen",
  "QuotaExceeded",
  "AuthenticationFailed",
  "PermissionDenied",
  "NotFound",
  "ProviderNotConfigured",
  "ContextLengthExceeded",
  "ContentFiltered",
  "EmptyContent",
  "JobFailed"
] as const

/** What can make another model the better one to ask. */
const fallbackReasons = [
  ...defaultFallbackReasons,
  "Queued",
  "InvalidRequest",
  "InvalidOutput",
  "Refusal",
  "Incomplete"
] as const

/**
 * How long a submission may take before its fate counts as unknown, unless the
 * request says otherwise: 60 seconds.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultSubmitTimeout: Duration.Duration = Duration.seconds(60)

/** A schema that decodes without services. */
const OutputSchema = Schema.declare(
  (u: unknown): u is Schema.Decoder<unknown> => Schema.isSchema(u),
  { expected: "a Schema" }
)

const isSchedule = <Input>() =>
  Schema.declare(
    (u: unknown): u is Schedule.Schedule<unknown, Input> => Schedule.isSchedule(u),
    { expected: "a Schedule" }
  )

/**
 * Schema for a request.
 *
 * **Details**
 *
 * `RequestInput` describes each key. Only `model` and `prompt` are required. A
 * key that is not listed here is an error, so that a misspelt option is not
 * silently ignored.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ResponseRequest = Schema.Struct({
  model: Schema.NonEmptyString,
  prompt: Content,
  messages: Schema.optional(Schema.Array(Schema.Struct({
    role: Schema.Literals(["user", "assistant"]),
    content: Content
  }))),
  instructions: Schema.optional(Schema.String),
  session: Schema.optional(Schema.NonEmptyString),
  strategy: Schema.optional(StrategyName),
  maxOutputTokens: Schema.optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))),
  temperature: Schema.optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 2 }))),
  topP: Schema.optional(Schema.Finite.check(Schema.isBetween({ minimum: 0, maximum: 1 }))),
  reasoningEffort: Schema.optional(Schema.Literals(["none", "minimal", "low", "medium", "high", "xhigh", "max"])),
  stop: Schema.optional(Schema.Union([Schema.String, Schema.Array(Schema.String)])),
  metadata: Schema.optional(Metadata),
  store: Schema.optional(Schema.Boolean),
  schema: Schema.optional(OutputSchema),
  repair: Schema.optional(Schema.Natural),
  providerOptions: Schema.optional(ProviderOptions),
  deadline: Schema.optional(PositiveDuration),
  queuedDeadline: Schema.optional(PositiveDuration),
  onInterrupt: Schema.optional(Schema.Literals(["cancel", "detach"])),
  onUncertainSubmit: Schema.optional(Schema.Literals(["fail", "resubmit"])),
  submitTimeout: Schema.optional(PositiveDuration),
  journal: Schema.optional(Schema.Literals(["full", "ids-only"])),
  streamTimeouts: Schema.optional(Schema.Struct({
    firstEvent: Schema.optional(PositiveDuration),
    idle: Schema.optional(PositiveDuration)
  })),
  fallback: Schema.optional(Schema.Array(Schema.NonEmptyString)),
  fallbackOn: Schema.optional(Schema.Array(Schema.Literals(fallbackReasons))),
  retry: Schema.optional(isSchedule<ProviderError>()),
  poll: Schema.optional(isSchedule<Pending>())
})

/**
 * A decoded request.
 *
 * @category models
 * @since 0.1.0
 */
export type ResponseRequest = typeof ResponseRequest.Type

/**
 * A request as users write it.
 *
 * @category models
 * @since 0.1.0
 */
export interface RequestInput {
  /** `provider/model`, or a bare name. */
  readonly model: Input["model"]
  /** The last user turn: text, or parts, in the forms that {@link ContentPartFromInput} lists. */
  readonly prompt: string | ReadonlyArray<ContentPartInput>
  /** Earlier turns, oldest first. */
  readonly messages?: Input["messages"]
  /** The system prompt. */
  readonly instructions?: Input["instructions"]
  /** The session key; without one nothing is journaled, and a crash loses the job. */
  readonly session?: Input["session"]
  /** Overrides the choice that `StrategySelector` makes by model. */
  readonly strategy?: Input["strategy"]
  /** Most output tokens, reasoning included, 1 or more. */
  readonly maxOutputTokens?: Input["maxOutputTokens"]
  /** Sampling temperature, 0 to 2. */
  readonly temperature?: Input["temperature"]
  /** Nucleus sampling, 0 to 1. */
  readonly topP?: Input["topP"]
  /** How long a reasoning model thinks. */
  readonly reasoningEffort?: Input["reasoningEffort"]
  /** Texts at which the model stops; the Responses API has none. */
  readonly stop?: Input["stop"]
  /** Pairs kept with the response: at most 14, keys to 64 and values to 512 characters. */
  readonly metadata?: Input["metadata"]
  /**
   * Whether the provider keeps the response. `false` makes resuming a matter of minutes.
   *
   * @default true
   */
  readonly store?: Input["store"]
  /**
   * What the answer must be: it is asked for as JSON, in the provider's native way where there is one, and decoded into
   * the answer's `value`. An answer that does not fit is `InvalidOutput`. The schema may need no services.
   */
  readonly schema?: Input["schema"]
  /**
   * How often an answer that does not fit `schema` is sent back with what is wrong with it; each counts as an attempt.
   * An answer that `resume`, `recover` or a webhook has settled is not: they have no schema to check it by.
   *
   * @default 0
   */
  readonly repair?: Input["repair"]
  /** Merged into the provider's payload; `model`, `input`, `messages`, `background`, `stream` and `store` are refused. */
  readonly providerOptions?: Input["providerOptions"]
  /**
   * Longest time that this call waits.
   *
   * @default 60 minutes for a background job, 15 minutes for the others
   */
  readonly deadline?: Input["deadline"]
  /** Longest time that a job may stay queued; then the call ends as `Timeout` in phase `queued`. */
  readonly queuedDeadline?: Input["queuedDeadline"]
  /**
   * What becomes of the job when the last caller leaves: it is cancelled, or goes on.
   *
   * @default "detach" with a session, "cancel" without one
   */
  readonly onInterrupt?: Input["onInterrupt"]
  /**
   * What to do when a submission may or may not have been accepted: fail with
   * `SubmissionUncertain`, or submit again and perhaps pay twice.
   *
   * @default "fail" for a background job with a session, else "resubmit"
   */
  readonly onUncertainSubmit?: Input["onUncertainSubmit"]
  /**
   * How long a submission may take before its fate counts as unknown.
   *
   * @default {@link defaultSubmitTimeout}: 60 seconds
   */
  readonly submitTimeout?: Input["submitTimeout"]
  /**
   * What the journal keeps of the answer: all of it, or only the job's id.
   *
   * @default "full"
   */
  readonly journal?: Input["journal"]
  /**
   * Longest waits for a stream: `firstEvent` for its first event, `idle` for the next byte after that. Comments, pings and
   * other bytes that are no event end the wait of `idle`, not that of `firstEvent`. A background job's stream that is
   * silent for longer is only opened again. Another call is cut: before the first piece of its answer it is made again, by the retry
   * schedule, and may be paid for again.
   *
   * @default 5 minutes each; 1 minute each for a background job
   */
  readonly streamTimeouts?: Input["streamTimeouts"]
  /**
   * Models to ask when the one before could not answer, for a reason of `fallbackOn`. They are checked before anything is
   * sent: one that has no key, or that Holdfast itself refuses the request for, is passed over whatever `fallbackOn` says;
   * a name whose provider is unknown is an error, and so are models none of which can be asked.
   */
  readonly fallback?: Input["fallback"]
  /**
   * The reasons for which the next model of `fallback` is asked: after the retries of the one before, but at once when a
   * circuit is open, and when the provider had taken the request. `Queued` stands for a job that waited longer than
   * `queuedDeadline`: it is cancelled first, and the next model is asked once the provider has said that it is. While a
   * paid job may be running, and once a stream has told something, no other model is asked. When all have failed, the
   * call fails as the last one did, and its `passedOver` names the others. All of them share the call's deadline.
   *
   * @default {@link defaultFallbackReasons}: all but `Queued`, `InvalidRequest`, `InvalidOutput`, `Refusal`, `Incomplete`
   */
  readonly fallbackOn?: Input["fallbackOn"]
  /** Replaces `RetryPolicy` for this request. */
  readonly retry?: Input["retry"]
  /** Replaces `PollPolicy` for this request. */
  readonly poll?: Input["poll"]
}

// `RequestInput` is written out, because editors show no docs of a type that is derived from a schema.
type Input = typeof ResponseRequest.Encoded
