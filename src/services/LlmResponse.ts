/**
 * What a model answered.
 *
 * @since 0.1.0
 */
import type * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import { PassedOver } from "../errors/StrategyError.ts"
import { Usage } from "../errors/Usage.ts"
import { Price } from "./PriceCatalog.ts"
import { StrategyName } from "./StrategyName.ts"

/**
 * Schema for why a model stopped: it was done, or it called a tool. Every
 * other end of an answer is a typed error.
 *
 * @category schemas
 * @since 0.1.0
 */
export const FinishReason = Schema.Literals(["stop", "tool-calls"])

/**
 * Why a model stopped.
 *
 * @category models
 * @since 0.1.0
 */
export type FinishReason = typeof FinishReason.Type

/** What the provider said; `LlmResponse` describes each field. */
const answered = {
  content: Schema.String,
  usage: Schema.optionalKey(Usage),
  finishReason: FinishReason,
  response: Schema.Unknown,
  model: Schema.String,
  responseId: Schema.optionalKey(Schema.String)
}

/**
 * Schema for an answer as a provider gives it.
 *
 * @category schemas
 * @since 0.1.0
 */
export class Answer extends Schema.Class<Answer>("holdfast/services/LlmResponse/Answer")(answered) {}

/**
 * Schema for an answer with what it took to get it.
 *
 * @category schemas
 * @since 0.1.0
 */
export class LlmResponse extends Schema.Class<LlmResponse>("holdfast/services/LlmResponse")({
  ...answered,
  provider: Schema.String,
  strategy: StrategyName,
  session: Schema.optionalKey(Schema.String),
  submissions: Schema.Natural,
  attempts: Schema.Natural,
  polls: Schema.Natural,
  elapsed: Schema.Duration,
  resumed: Schema.Boolean,
  passedOver: Schema.optionalKey(Schema.Array(PassedOver)),
  settled: Schema.Boolean,
  cost: Schema.optionalKey(Price)
}) {}

/**
 * An answer with what it took to get it.
 *
 * @category models
 * @since 0.1.0
 */
// Written out beside its class, because editors show no docs of a schema's fields.
export interface LlmResponse {
  /** The text of the answer; empty when the model only called tools. Commentary and reasoning are left out. */
  readonly content: string
  /** Tokens in disjoint buckets; absent when the provider did not tell. */
  readonly usage?: Usage
  /** `"tool-calls"` when the model called tools, which are in `response`; every other end than these two is an error. */
  readonly finishReason: FinishReason
  /** The provider's full body, without what it echoes of the prompt. */
  readonly response: unknown
  /** The model as the server named it, or as it was asked for. */
  readonly model: string
  /** The provider's id of the response. */
  readonly responseId?: string
  /** The provider's name, its prefix in a model name. */
  readonly provider: string
  /** How it was got. */
  readonly strategy: StrategyName
  /** The session key of the request. */
  readonly session?: string
  /** Submissions in the session's journal, of all its calls; without a session, of this call. */
  readonly submissions: number
  /** Submissions and held calls sent by this call; 0 when an earlier run's job or answer was used. */
  readonly attempts: number
  /** Polls sent by this call. */
  readonly polls: number
  /** From the start of this call to its end. */
  readonly elapsed: Duration.Duration
  /** Whether an earlier run's job or answer was used. */
  readonly resumed: boolean
  /** The models that were asked first and could not answer, in that order; absent when there are none. */
  readonly passedOver?: ReadonlyArray<PassedOver>
  /** Whether the answer is in the journal. */
  readonly settled: boolean
  /** What this answer has cost, without earlier submissions; absent when the price is not known. Not journaled. */
  readonly cost?: Price
}
