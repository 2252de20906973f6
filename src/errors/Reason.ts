/**
 * What happened: the closed unions of reasons that `Retryable` and
 * `NonRetryable` carry.
 *
 * **Details**
 *
 * Every reason is a Schema error and carries what the provider said, as far as
 * it said it. Reasons encode to JSON and back, so that a journal, a queue or
 * an RPC can carry them.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { reasonFields } from "./ReasonFields.ts"
import { Usage } from "./Usage.ts"

export { maxMessageLength, type ReasonFields } from "./ReasonFields.ts"

/**
 * Error reason for a request or token rate limit; a quota is `QuotaExceeded`.
 *
 * @category errors
 * @since 0.1.0
 */
export class RateLimited extends Schema.TaggedError<RateLimited>("holdfast/errors/Reason/RateLimited")(
  "RateLimited",
  reasonFields
) {}

/**
 * Error reason for a provider that has no capacity now (529, "overloaded").
 *
 * @category errors
 * @since 0.1.0
 */
export class Overloaded extends Schema.TaggedError<Overloaded>("holdfast/errors/Reason/Overloaded")(
  "Overloaded",
  reasonFields
) {}

/**
 * Error reason for a failure of the provider's server: 5xx, 408, 504.
 *
 * @category errors
 * @since 0.1.0
 */
export class ServerError extends Schema.TaggedError<ServerError>("holdfast/errors/Reason/ServerError")(
  "ServerError",
  reasonFields
) {}

/**
 * Error reason for a connection that failed or a transport timeout.
 *
 * **Details**
 *
 * `code` is the system's or undici's error code. A certificate that cannot be
 * verified is a `Network` reason of `NonRetryable`.
 *
 * @category errors
 * @since 0.1.0
 */
export class Network extends Schema.TaggedError<Network>("holdfast/errors/Reason/Network")("Network", reasonFields) {}

/**
 * Error reason for a request that collides with another one (409, 412), or a
 * session that is busy.
 *
 * @category errors
 * @since 0.1.0
 */
export class Conflict
  extends Schema.TaggedError<Conflict>("holdfast/errors/Reason/Conflict")("Conflict", reasonFields)
{}

/**
 * Error reason for an answer that cannot be read: HTML, truncated JSON, an
 * unknown status, a shape that is not the API's.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidResponse extends Schema.TaggedError<InvalidResponse>("holdfast/errors/Reason/InvalidResponse")(
  "InvalidResponse",
  reasonFields
) {}

/**
 * Error reason for a stream that ended before its terminal event.
 *
 * @category errors
 * @since 0.1.0
 */
export class StreamInterrupted
  extends Schema.TaggedError<StreamInterrupted>("holdfast/errors/Reason/StreamInterrupted")(
    "StreamInterrupted",
    {
      ...reasonFields,
      /** The text that arrived before the cut. */
      content: Schema.String,
      usage: Schema.optional(Usage)
    }
  )
{}

/**
 * Error reason for a call that was not sent, because the circuit to its
 * provider is open.
 *
 * @category errors
 * @since 0.1.0
 */
export class CircuitOpen extends Schema.TaggedError<CircuitOpen>("holdfast/errors/Reason/CircuitOpen")(
  "CircuitOpen",
  reasonFields
) {}

/**
 * Error reason for a session store that could not be read or written.
 *
 * @category errors
 * @since 0.1.0
 */
export class SessionUnavailable
  extends Schema.TaggedError<SessionUnavailable>("holdfast/errors/Reason/SessionUnavailable")(
    "SessionUnavailable",
    reasonFields
  )
{}

/**
 * Error reason for an account whose money or quota is used up.
 *
 * @category errors
 * @since 0.1.0
 */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>("holdfast/errors/Reason/QuotaExceeded")(
  "QuotaExceeded",
  reasonFields
) {}

/**
 * Error reason for a key that is wrong, revoked or missing in the request.
 *
 * @category errors
 * @since 0.1.0
 */
export class AuthenticationFailed
  extends Schema.TaggedError<AuthenticationFailed>("holdfast/errors/Reason/AuthenticationFailed")(
    "AuthenticationFailed",
    reasonFields
  )
{}

/**
 * Error reason for a key that may not do this.
 *
 * @category errors
 * @since 0.1.0
 */
export class PermissionDenied extends Schema.TaggedError<PermissionDenied>("holdfast/errors/Reason/PermissionDenied")(
  "PermissionDenied",
  reasonFields
) {}

/**
 * Error reason for a model, deployment or job that the provider does not know.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotFound
  extends Schema.TaggedError<NotFound>("holdfast/errors/Reason/NotFound")("NotFound", reasonFields)
{}

/**
 * Error reason for a request that the provider, or Holdfast before it, refuses
 * as it stands.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidRequest extends Schema.TaggedError<InvalidRequest>("holdfast/errors/Reason/InvalidRequest")(
  "InvalidRequest",
  reasonFields
) {}

/**
 * Error reason for a prompt that is longer than the model's context.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContextLengthExceeded
  extends Schema.TaggedError<ContextLengthExceeded>("holdfast/errors/Reason/ContextLengthExceeded")(
    "ContextLengthExceeded",
    reasonFields
  )
{}

/**
 * Error reason for a prompt or an answer that a content filter or a usage
 * policy stopped.
 *
 * @category errors
 * @since 0.1.0
 */
export class ContentFiltered extends Schema.TaggedError<ContentFiltered>("holdfast/errors/Reason/ContentFiltered")(
  "ContentFiltered",
  {
    ...reasonFields,
    /** The text that came before the filter, or the empty string. */
    content: Schema.optional(Schema.String),
    usage: Schema.optional(Usage)
  }
) {}

/**
 * Error reason for a model that declined to answer. `message` is its refusal.
 *
 * @category errors
 * @since 0.1.0
 */
export class Refusal extends Schema.TaggedError<Refusal>("holdfast/errors/Reason/Refusal")("Refusal", {
  ...reasonFields,
  /** Text that came beside the refusal, or the empty string. */
  content: Schema.optional(Schema.String),
  usage: Schema.optional(Usage)
}) {}

/**
 * Error reason for an answer that ended normally and holds neither text nor a
 * tool call.
 *
 * @category errors
 * @since 0.1.0
 */
export class EmptyContent extends Schema.TaggedError<EmptyContent>("holdfast/errors/Reason/EmptyContent")(
  "EmptyContent",
  { ...reasonFields, usage: Schema.optional(Usage) }
) {}

/**
 * Error reason for an answer that stopped before its end.
 *
 * @category errors
 * @since 0.1.0
 */
export class Incomplete extends Schema.TaggedError<Incomplete>("holdfast/errors/Reason/Incomplete")("Incomplete", {
  ...reasonFields,
  /** The text so far, or the empty string. */
  content: Schema.String,
  usage: Schema.optional(Usage),
  /** What stopped it, in the provider's word: `max_output_tokens`, `length`, `max_tokens`, …; `unknown` where it gives none. */
  limit: Schema.String
}) {}

/**
 * Error reason for an answer that does not fit the schema that was asked for, as
 * we or the host find. `usage` is absent where the host refused the answer.
 *
 * @category errors
 * @since 0.1.0
 */
export class InvalidOutput extends Schema.TaggedError<InvalidOutput>("holdfast/errors/Reason/InvalidOutput")(
  "InvalidOutput",
  {
    ...reasonFields,
    /**
     * The whole answer; the empty string when it comes from a journal with `journal: "ids-only"`, and when the host does
     * not quote it.
     */
    content: Schema.String,
    /**
     * What does not fit, one line each with its path, at most 2,000 characters; absent where `content` is left out, and
     * where only the host knows.
     */
    issues: Schema.optional(Schema.String),
    usage: Schema.optional(Usage)
  }
) {}

/**
 * Error reason for a job, or a held call, that somebody cancelled.
 *
 * @category errors
 * @since 0.1.0
 */
export class JobCancelled extends Schema.TaggedError<JobCancelled>("holdfast/errors/Reason/JobCancelled")(
  "JobCancelled",
  { ...reasonFields, content: Schema.optional(Schema.String), usage: Schema.optional(Usage) }
) {}

/**
 * Error reason for a job that the provider no longer keeps.
 *
 * @category errors
 * @since 0.1.0
 */
export class JobExpired extends Schema.TaggedError<JobExpired>("holdfast/errors/Reason/JobExpired")(
  "JobExpired",
  reasonFields
) {}

/**
 * Error reason for a response, or one event of a stream, that is longer than
 * 64 MiB after decompression. The rest of it is not read.
 *
 * @category errors
 * @since 0.1.0
 */
export class ResponseTooLarge extends Schema.TaggedError<ResponseTooLarge>("holdfast/errors/Reason/ResponseTooLarge")(
  "ResponseTooLarge",
  {
    ...reasonFields,
    /** The longest response that is read, in bytes. */
    limit: Schema.Natural
  }
) {}

/**
 * Error reason for a request that was sent and whose fate is unknown.
 *
 * **Details**
 *
 * Nothing more is sent for this session until `Holdfast.adopt` names the job,
 * or `onUncertainSubmit: "resubmit"` allows another submission.
 *
 * @category errors
 * @since 0.1.0
 */
export class SubmissionUncertain
  extends Schema.TaggedError<SubmissionUncertain>("holdfast/errors/Reason/SubmissionUncertain")(
    "SubmissionUncertain",
    {
      ...reasonFields,
      /** The submission's id; the job carries it as metadata `holdfast_submission`. */
      submissionId: Schema.String
    }
  )
{}

/**
 * Error reason for a session key that already belongs to another request.
 *
 * @category errors
 * @since 0.1.0
 */
export class SessionMismatch extends Schema.TaggedError<SessionMismatch>("holdfast/errors/Reason/SessionMismatch")(
  "SessionMismatch",
  reasonFields
) {}

/**
 * Error reason for a session key that the store does not have.
 *
 * @category errors
 * @since 0.1.0
 */
export class SessionNotFound extends Schema.TaggedError<SessionNotFound>("holdfast/errors/Reason/SessionNotFound")(
  "SessionNotFound",
  reasonFields
) {}

/**
 * Error reason for a session that cannot be resumed without its request,
 * because no provider has accepted it yet, or because the request has another
 * model asked behind the one whose job has ended.
 *
 * @category errors
 * @since 0.1.0
 */
export class RequestNeeded extends Schema.TaggedError<RequestNeeded>("holdfast/errors/Reason/RequestNeeded")(
  "RequestNeeded",
  reasonFields
) {}

/**
 * Error reason for a session whose journal cannot be read.
 *
 * @category errors
 * @since 0.1.0
 */
export class SessionCorrupt extends Schema.TaggedError<SessionCorrupt>("holdfast/errors/Reason/SessionCorrupt")(
  "SessionCorrupt",
  reasonFields
) {}

/**
 * Error reason for a model whose provider is unknown or has no key or address.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProviderNotConfigured
  extends Schema.TaggedError<ProviderNotConfigured>("holdfast/errors/Reason/ProviderNotConfigured")(
    "ProviderNotConfigured",
    {
      ...reasonFields,
      /** The environment variable to set, where one would help. */
      variable: Schema.optional(Schema.String)
    }
  )
{}

/** The reasons that a job can have failed for. */
const JobFailureReason = Schema.Union([
  RateLimited,
  Overloaded,
  ServerError,
  Network,
  Conflict,
  InvalidResponse,
  QuotaExceeded,
  AuthenticationFailed,
  PermissionDenied,
  NotFound,
  InvalidRequest,
  ContextLengthExceeded,
  ContentFiltered
])

/**
 * Error reason for a job that ended as failed.
 *
 * **Details**
 *
 * Under `Retryable`, a new job may succeed; the next call with the session
 * submits one. `reason` is what the same words would have meant as an answer
 * to a request.
 *
 * @category errors
 * @since 0.1.0
 */
export class JobFailed extends Schema.TaggedError<JobFailed>("holdfast/errors/Reason/JobFailed")("JobFailed", {
  ...reasonFields,
  reason: JobFailureReason,
  usage: Schema.optional(Usage)
}) {}

/**
 * Schema for the reasons after which the same call may succeed later.
 *
 * @category schemas
 * @since 0.1.0
 */
export const RetryableReason = Schema.Union([
  RateLimited,
  Overloaded,
  ServerError,
  Network,
  Conflict,
  InvalidResponse,
  JobFailed,
  StreamInterrupted,
  CircuitOpen,
  SessionUnavailable
])

/**
 * The reasons after which the same call may succeed later.
 *
 * @category errors
 * @since 0.1.0
 */
export type RetryableReason = typeof RetryableReason.Type

/**
 * Schema for the reasons after which something must change first.
 *
 * @category schemas
 * @since 0.1.0
 */
export const NonRetryableReason = Schema.Union([
  QuotaExceeded,
  AuthenticationFailed,
  PermissionDenied,
  NotFound,
  InvalidRequest,
  ContextLengthExceeded,
  ContentFiltered,
  Refusal,
  EmptyContent,
  Incomplete,
  InvalidOutput,
  JobFailed,
  JobCancelled,
  JobExpired,
  ResponseTooLarge,
  SubmissionUncertain,
  SessionMismatch,
  SessionNotFound,
  RequestNeeded,
  SessionCorrupt,
  ProviderNotConfigured,
  Network
])

/**
 * The reasons after which something must change before the call can succeed.
 *
 * @category errors
 * @since 0.1.0
 */
export type NonRetryableReason = typeof NonRetryableReason.Type
