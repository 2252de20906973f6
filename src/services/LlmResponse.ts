/**
 * What a model answered.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { NonRetryableReason, RetryableReason } from "../errors/Reason.ts"
import { Usage } from "../errors/Usage.ts"
import { Price } from "./PriceCatalog.ts"
import { StrategyName } from "./ResponseRequest.ts"

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

/** What the provider said. */
const answered = {
  /** The text of the answer; empty when the model only called tools. Commentary and reasoning are left out. */
  content: Schema.String,
  /** Tokens in disjoint buckets; absent when the provider did not tell. */
  usage: Schema.optionalKey(Usage),
  finishReason: FinishReason,
  /** The provider's full body, without what it echoes of the prompt. */
  response: Schema.Unknown,
  /** The model as the server named it, or as it was asked for. */
  model: Schema.String,
  /** The provider's id of the response. */
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
 * Schema for a model that was asked and could not answer.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PassedOver = Schema.Struct({
  /** As the request names it. */
  model: Schema.String,
  reason: Schema.Union([RetryableReason, NonRetryableReason])
})

/**
 * Schema for an answer with what it took to get it.
 *
 * @category schemas
 * @since 0.1.0
 */
export class LlmResponse extends Schema.Class<LlmResponse>("holdfast/services/LlmResponse")({
  ...answered,
  /** The provider's name, its prefix in a model name. */
  provider: Schema.String,
  strategy: StrategyName,
  session: Schema.optionalKey(Schema.String),
  /** Submissions in the session's journal, of all its calls; without a session, of this call. */
  submissions: Schema.Natural,
  /** Submissions and held calls sent by this call; 0 when an earlier run's job or answer was used. */
  attempts: Schema.Natural,
  /** Polls sent by this call. */
  polls: Schema.Natural,
  /** From the start of this call to its end. */
  elapsed: Schema.Duration,
  /** Whether an earlier run's job or answer was used. */
  resumed: Schema.Boolean,
  /** The models that were asked first and could not answer, in that order; absent when there are none. */
  passedOver: Schema.optionalKey(Schema.Array(PassedOver)),
  /** Whether the answer is in the journal. */
  settled: Schema.Boolean,
  /** What this answer has cost, without earlier submissions; absent when the price is not known. Not journaled. */
  cost: Schema.optionalKey(Price)
}) {}
