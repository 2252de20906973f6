/**
 * What strategies need of a provider: three small ports, each optional.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { ProviderError, Verdict } from "../errors/ProviderError.ts"
import type { Usage } from "../errors/Usage.ts"
import type { Answer } from "./LlmResponse.ts"
import type { Pending } from "./Pending.ts"
import type { ResponseRequest } from "./ResponseRequest.ts"

/**
 * A call of a tool that the caller must answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface ToolCall {
  /** What the answer to the call refers to; empty where the provider gives none. */
  readonly id: string
  readonly name: string
  /** As the model wrote them: JSON, except for OpenAI's custom tools, whose input is plain text. */
  readonly arguments: string
}

/**
 * How a response ended: with an answer, or as the verdict says.
 *
 * **Details**
 *
 * `Failed` is an end that the provider reached after it took the request: a
 * refusal, a truncated answer, a failed job. It may have cost tokens. An HTTP
 * error is a `ProviderError` instead.
 *
 * `ignoredBackground`: the provider was asked for a background job, and has made
 * a call of it that was held open.
 *
 * @category models
 * @since 0.1.0
 */
export type Outcome =
  | {
    readonly _tag: "Succeeded"
    readonly answer: Answer
    /** The calls that the answer makes, where the adapter lists them. */
    readonly toolCalls?: ReadonlyArray<ToolCall> | undefined
    readonly ignoredBackground?: boolean | undefined
  }
  | { readonly _tag: "Failed"; readonly verdict: Verdict; readonly ignoredBackground?: boolean | undefined }

export type { Pending } from "./Pending.ts"

/**
 * What a poll can find.
 *
 * @category models
 * @since 0.1.0
 */
export type JobState =
  | Pending
  | { readonly _tag: "Ended"; readonly outcome: Outcome }
  /** A status that the adapter does not know: neither waiting nor success can be assumed. */
  | { readonly _tag: "Unknown"; readonly status: string }

/**
 * One event of a provider's stream, in the order of the wire.
 *
 * **Details**
 *
 * `Ended` is the last one, and carries the whole answer. A stream that is over without it was cut. Deltas are pieces of
 * the answer's `content`; commentary is in none of them.
 *
 * @category models
 * @since 0.1.0
 */
export type StreamEvent =
  & (
    /** The provider has the request; for a background job, `responseId` is its id. */
    | { readonly _tag: "Started"; readonly responseId: string }
    | { readonly _tag: "Text"; readonly delta: string }
    | { readonly _tag: "Reasoning"; readonly delta: string }
    | { readonly _tag: "Refusal"; readonly delta: string }
    /** A call that is complete. */
    | ({ readonly _tag: "ToolCall" } & ToolCall)
    | { readonly _tag: "Status"; readonly status: string; readonly phase: Pending["phase"] }
    /** The server has sent something of which nothing else is emitted, such as a comment: the connection is alive. */
    | { readonly _tag: "Alive" }
    /** What was used so far. */
    | { readonly _tag: "Usage"; readonly usage: Usage }
    | {
      readonly _tag: "Ended"
      readonly outcome: Outcome
      /** Whether the last event itself says less than the stream before it, or something else; `outcome` has both. */
      readonly isDisputed?: boolean | undefined
    }
  )
  & {
    /**
     * Where a stream of the same job can go on after this event, if the provider can do that. A number at its beginning,
     * up to a space or the end, is the event's place: so events that a server tells again are known.
     */
    readonly cursor?: string | undefined
  }

/**
 * What a lookup of a lost submission can find.
 *
 * **Details**
 *
 * `Undecided`: it cannot be told yet, but by a lookup after `again`. `Unknown`: it cannot be told.
 *
 * @category models
 * @since 0.1.0
 */
export type Lookup =
  | { readonly _tag: "Found"; readonly jobId: string }
  | { readonly _tag: "Absent" }
  | { readonly _tag: "Undecided"; readonly again: Duration.Duration }
  | { readonly _tag: "Unknown" }

/**
 * What a submission carries beside the request.
 *
 * @category models
 * @since 0.1.0
 */
export interface SubmitOptions {
  /** Holdfast's id of the submission; sent as metadata `holdfast_submission` where the API has metadata. */
  readonly submissionId: string
  /** A hash of the session key; sent as metadata `holdfast_session`. */
  readonly sessionHash?: string | undefined
}

/**
 * How long a provider keeps a finished job.
 *
 * @category models
 * @since 0.1.0
 */
export interface Retention {
  /** With `store: true`. */
  readonly stored: Duration.Duration
  /** With `store: false`. */
  readonly unstored: Duration.Duration
}

/**
 * Port for jobs that go on at the provider without a connection.
 *
 * @category services
 * @since 0.1.0
 */
export interface JobsApi {
  /** Starts a job. Succeeds once the provider has accepted it; a server may answer the end at once. */
  readonly submit: (
    request: ResponseRequest,
    options: SubmitOptions
  ) => Effect.Effect<{ readonly jobId: string; readonly state: JobState }, ProviderError>
  /**
   * Looks a job up. Fails with `NotFound` when the provider does not know the id. With `submissionId`, an adapter whose
   * jobs carry it takes no other submission's end for this one's.
   */
  readonly retrieve: (jobId: string, submissionId?: string | undefined) => Effect.Effect<JobState, ProviderError>
  /** Asks to stop a job. Gives the job's state after it: a completion may have won. `submissionId` as in `retrieve`. */
  readonly cancel: (jobId: string, submissionId?: string | undefined) => Effect.Effect<JobState, ProviderError>
  /**
   * Starts a job and watches it. `Started` comes once the provider has accepted it; a failure before it says with its
   * evidence whether it has, and after it nothing about the job: it goes on.
   */
  readonly submitStream?:
    | ((request: ResponseRequest, options: SubmitOptions) => Stream.Stream<StreamEvent, ProviderError>)
    | undefined
  /** Watches a job that `submitStream` started, from its beginning or from after an event. `submissionId` as in `retrieve`. */
  readonly stream?:
    | ((
      jobId: string,
      after: string | undefined,
      submissionId?: string | undefined
    ) => Stream.Stream<StreamEvent, ProviderError>)
    | undefined
  /** Looks for a submission whose id was lost, among jobs created since `since` (Unix time in milliseconds). */
  readonly find?: ((submissionId: string, since: number) => Effect.Effect<Lookup, ProviderError>) | undefined
  /**
   * The submission that a job carries in its metadata; `undefined` when it carries none. Absent where jobs carry nothing
   * that can be read before they end.
   */
  readonly submissionOf?: ((jobId: string) => Effect.Effect<string | undefined, ProviderError>) | undefined
  /** Fails as a call would for a request that the API cannot take. Nothing is sent. */
  readonly check?: ((request: ResponseRequest) => Effect.Effect<void, ProviderError>) | undefined
  readonly retention: Retention
  /**
   * Longest time that a call waits for such a job, unless the request says otherwise.
   *
   * @default "60 minutes"
   */
  readonly defaultDeadline?: Duration.Duration | undefined
}

/**
 * Port for a Responses API call that is held open until its answer.
 *
 * @category services
 * @since 0.1.0
 */
export interface ResponsesApi {
  readonly create: (request: ResponseRequest) => Effect.Effect<Outcome, ProviderError>
  /** Makes the call and watches the answer grow. An interruption aborts it. */
  readonly stream?: ((request: ResponseRequest) => Stream.Stream<StreamEvent, ProviderError>) | undefined
  /** Fails as a call would for a request that the API cannot take. Nothing is sent. */
  readonly check?: ((request: ResponseRequest) => Effect.Effect<void, ProviderError>) | undefined
}

/**
 * Port for a Chat Completions or Messages call.
 *
 * @category services
 * @since 0.1.0
 */
export interface CompletionsApi {
  readonly complete: (request: ResponseRequest) => Effect.Effect<Outcome, ProviderError>
  /** Makes the call and watches the answer grow. An interruption aborts it. */
  readonly stream?: ((request: ResponseRequest) => Stream.Stream<StreamEvent, ProviderError>) | undefined
  /** Fails as a call would for a request that the API cannot take. Nothing is sent. */
  readonly check?: ((request: ResponseRequest) => Effect.Effect<void, ProviderError>) | undefined
}

/**
 * What the retries of all calls to one account may take together.
 *
 * @category models
 * @since 0.1.0
 */
export interface RetryBudget {
  /** Takes what a retry costs; `false`, and nothing is taken, when too little is left. */
  readonly take: (error: ProviderError) => Effect.Effect<boolean>
  /** Gives back what a success is worth. */
  readonly giveBack: Effect.Effect<void>
}

/**
 * A provider, resolved for one model.
 *
 * @category services
 * @since 0.1.0
 */
export interface Provider {
  /** The prefix in a model name: `openai`, `anthropic`, … */
  readonly name: string
  /** The model name that goes to the server. */
  readonly model: string
  /** The address that requests go to. */
  readonly baseUrl?: string | undefined
  readonly organization?: string | undefined
  readonly project?: string | undefined
  readonly jobs?: JobsApi | undefined
  readonly responses?: ResponsesApi | undefined
  readonly completions?: CompletionsApi | undefined
  /**
   * Waits until a request may be sent, by the limits of its account. Called before the request is announced, with the
   * value that the port then gets; a port that was not asked so waits by itself. Fails at once when the request would have
   * to wait beyond `until` (Unix time in milliseconds).
   */
  readonly admit?:
    | ((request: ResponseRequest, until?: number | undefined) => Effect.Effect<void, ProviderError>)
    | undefined
  /**
   * Does what is slow before the first byte of a request: reads the key, loads the client. Called before the request is
   * announced; its failure is that of a request that was not sent.
   */
  readonly ready?: Effect.Effect<void, ProviderError> | undefined
  /** Bounds the retries of submissions and held calls; polls and cancels never draw from it. */
  readonly retryBudget?: RetryBudget | undefined
}
