/**
 * What answers and sessions have cost.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Schema from "effect/Schema"
import type { NonRetryableReason, RetryableReason } from "../errors/Reason.ts"
import type { Usage } from "../errors/Usage.ts"
import { LlmResponse } from "../services/LlmResponse.ts"
import * as ModelCatalog from "../services/ModelCatalog.ts"
import { Price, PriceCatalog, type Query } from "../services/PriceCatalog.ts"
import type { StrategyName } from "../services/ResponseRequest.ts"
import type { SessionInfo, SubmissionInfo } from "./Sessions.ts"

/**
 * Options for `of`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * When the tokens were used, Unix time in milliseconds; prices change.
   *
   * @default when the provider says that it made the answer, or else now
   */
  readonly at?: number | undefined
}

/**
 * Schema for what one submission has cost.
 *
 * @category schemas
 * @since 0.1.0
 */
export const SubmissionCost = Schema.Struct({
  submissionId: Schema.String,
  /**
   * - a price: the provider told how many tokens it used
   * - `none`: the provider did not take it
   * - `unknown`: it may have cost something; nobody told how much, or there is no price for it
   */
  cost: Schema.Union([Price, Schema.Literals(["none", "unknown"])])
})

/**
 * What one submission has cost.
 *
 * @category models
 * @since 0.1.0
 */
export type SubmissionCost = typeof SubmissionCost.Type

/**
 * Schema for what a session has cost.
 *
 * @category schemas
 * @since 0.1.0
 */
export const SessionCost = Schema.Struct({
  /** In the order in which they were sent. */
  submissions: Schema.Array(SubmissionCost),
  total: Schema.Struct({
    /** The sum of the known prices in US dollars: `nanoUsd / 1e9`. */
    usd: Schema.Finite,
    /** The sum of the known prices in nano-dollars (10⁻⁹ US dollars). */
    nanoUsd: Schema.Natural,
    /** How many submissions are not in the sum, because their cost is `unknown`. */
    unknown: Schema.Natural,
    /** Whether the sum is all: no cost is `unknown`. */
    complete: Schema.Boolean
  })
})

/**
 * What a session has cost.
 *
 * @category models
 * @since 0.1.0
 */
export type SessionCost = typeof SessionCost.Type

/**
 * Returns what an answer has cost by the `PriceCatalog`; `None` when it does
 * not tell its tokens or there is no price for them.
 *
 * **Details**
 *
 * Takes the model, the service tier and the region that the provider says it
 * has used. An answer of a background job of `anthropic` is one of a batch.
 * The cost of earlier submissions of the same session is not in it.
 *
 * **Gotchas**
 *
 * The tokens alone: see `PriceCatalog.make` for what is not in it. An answer
 * that took several turns of one request is billed as one turn, so that its
 * input may reach a tier for long contexts that no turn has reached.
 *
 * @see {@link ofSession} for all that was paid for a session
 *
 * @category combinators
 * @since 0.1.0
 */
export const of = (answer: LlmResponse, options?: Options): Effect.Effect<Option.Option<Price>> =>
  Option.match(queryOf(answer, options?.at ?? madeAt(answer)), {
    onNone: () => Effect.succeedNone,
    onSome: priceOf
  })

/**
 * The prices of a call.
 *
 * @category models
 * @since 0.1.0
 */
export type Prices = Effect.Effect<PriceCatalog.Service>

/**
 * Creates the prices of the calls of a layer: each is the catalogue of the
 * call, or else the one that the layer was given.
 *
 * @category constructors
 * @since 0.1.0
 */
export const prices: Effect.Effect<Prices> = Effect.map(
  PriceCatalog,
  (given) => Effect.map(PriceCatalog, (own) => own === PriceCatalog.defaultValue() ? given : own)
)

/**
 * Returns the answer with what it has cost, where that is known.
 *
 * **Details**
 *
 * A `PriceCatalog` that dies is one that does not know: an answer that was paid
 * for is not lost for its price. Logged at level Debug.
 *
 * @category combinators
 * @since 0.1.0
 */
export const added = (answer: LlmResponse, prices: Prices = PriceCatalog): Effect.Effect<LlmResponse> =>
  Effect.flatMap(prices, (catalog) => Effect.provideService(of(answer), PriceCatalog, catalog)).pipe(
    Effect.catchDefect((defect) => Effect.as(Effect.logDebug("No cost of the answer", defect), Option.none<Price>())),
    Effect.map(Option.match({
      onNone: () => answer,
      // Not by the constructor, which would drop a decoded `value`.
      onSome: (cost) => Object.assign(Object.create(LlmResponse.prototype), answer, { cost })
    }))
  )

/**
 * Returns what the submissions of a session have cost, as far as its journal
 * tells.
 *
 * **Details**
 *
 * `Holdfast.inspect` gives the session's info.
 *
 * | submission | cost |
 * | --- | --- |
 * | settled with an answer | as `of` says |
 * | refused, ended, cancelled as surplus or settled, with a reason that has `usage` | the price of those tokens |
 * | refused otherwise | `none` |
 * | open or running; over without `usage`; settled with `journal: "ids-only"` | `unknown` |
 *
 * **Gotchas**
 *
 * A reason does not tell the model that answered: its tokens count as those of
 * the model that was asked for.
 *
 * @category combinators
 * @since 0.1.0
 */
export const ofSession = (info: SessionInfo): Effect.Effect<SessionCost> =>
  Effect.map(
    Effect.forEach(info.submissions, (submission) =>
      Effect.map(
        costOf(info, submission),
        (cost): SubmissionCost => ({ submissionId: submission.submissionId, cost })
      )),
    (submissions) => ({ submissions, total: totalOf(submissions) })
  )

const priceOf = (query: Query): Effect.Effect<Option.Option<Price>> =>
  Effect.flatMap(PriceCatalog, (catalog) => catalog.price(query))

const costOf = (info: SessionInfo, submission: SubmissionInfo): Effect.Effect<SubmissionCost["cost"]> => {
  const isRefused = submission.state === "refused"
  if (isRefused && Option.isNone(queryOfReason(submission, submission.reason))) return Effect.succeed("none")
  return Effect.map(
    Option.match(paid(info, submission), { onNone: () => Effect.succeedNone, onSome: priceOf }),
    Option.getOrElse(() => "unknown" as const)
  )
}

const paid = (info: SessionInfo, submission: SubmissionInfo): Option.Option<Query> => {
  const { settlement } = info
  if (submission.state !== "accepted") return queryOfReason(submission, submission.reason)
  if (settlement === undefined) return Option.none()
  // Of a settled session, this is the submission that it was settled with.
  switch (settlement._tag) {
    case "Answered":
      return queryOf(settlement.answer, madeAt(settlement.answer) ?? submission.at.epochMilliseconds)
    case "Failed":
      return queryOfReason(submission, settlement.error.reason)
    case "Reference":
      return Option.none()
  }
}

const totalOf = (submissions: ReadonlyArray<SubmissionCost>): SessionCost["total"] => {
  const nanoUsd = submissions.reduce((sum, { cost }) => typeof cost === "string" ? sum : sum + cost.nanoUsd, 0)
  const unknown = submissions.filter(({ cost }) => cost === "unknown").length
  return { usd: nanoUsd / 1e9, nanoUsd, unknown, complete: unknown === 0 }
}

// Message Batches are the only background jobs of that provider.
const isBatch = (provider: string, strategy: StrategyName): boolean =>
  provider === "anthropic" && strategy === "background"

const queryOf = (answer: LlmResponse, at: number | undefined): Option.Option<Query> => {
  const { model, provider, strategy, usage } = answer
  const body = fieldsOf(answer.response)
  const counted = fieldsOf(body["usage"])
  const cacheWrite1hTokens = keptForAnHour(counted, usage)
  return usage === undefined || cacheWrite1hTokens === undefined ? Option.none() : Option.some({
    provider,
    model,
    usage,
    batch: isBatch(provider, strategy),
    serviceTier: usage.serviceTier ?? tierOf(body, counted),
    inferenceGeo: usage.inferenceGeo ?? textOf(counted["inference_geo"]),
    cacheWrite1hTokens,
    at
  })
}

const queryOfReason = (
  { at, model, provider, strategy }: SubmissionInfo,
  reason: RetryableReason | NonRetryableReason | undefined
): Option.Option<Query> =>
  reason === undefined || !("usage" in reason) || reason.usage === undefined ? Option.none() : Option.some({
    provider,
    model: bareName(provider, model),
    usage: reason.usage,
    batch: isBatch(provider, strategy),
    serviceTier: reason.usage.serviceTier,
    inferenceGeo: reason.usage.inferenceGeo,
    cacheWrite1hTokens: reason.usage.cacheWrite1hTokens,
    at: at.epochMilliseconds
  })

// The prefix of a provider of one's own is none that `ModelCatalog` knows.
const bareName = (provider: string, model: string): string => {
  const parsed = ModelCatalog.parse(model)
  const prefix = `${provider}/`
  return !parsed.explicit && model.trim().toLowerCase().startsWith(prefix)
    ? model.trim().slice(prefix.length)
    : parsed.name
}

// OpenAI names the tier beside the usage, Anthropic within it, where a fast model is a matter of `speed`.
const tierOf = (body: Fields, counted: Fields): string | undefined => {
  const speed = textOf(counted["speed"])
  return speed === undefined || speed === "standard"
    ? textOf(body["service_tier"]) ?? textOf(counted["service_tier"])
    : speed
}

// Answers of older journals have it in the body alone, which has the split of its own turn; the usage is that of all
// turns. If they differ, nobody knows the other split.
const keptForAnHour = (counted: Fields, usage: Usage | undefined): number | undefined => {
  if (usage?.cacheWrite1hTokens !== undefined) return usage.cacheWrite1hTokens
  const written = fieldsOf(counted["cache_creation"])
  const for1h = numberOf(written["ephemeral_1h_input_tokens"]) ?? 0
  const for5m = numberOf(written["ephemeral_5m_input_tokens"]) ?? 0
  return for1h === 0 || for1h + for5m === usage?.cacheWriteTokens ? for1h : undefined
}

// In seconds; a server that counts in something else is not believed.
const madeAt = ({ response }: LlmResponse): number | undefined => {
  const body = fieldsOf(response)
  const seconds = numberOf(body["created_at"]) ?? numberOf(body["created"])
  return seconds !== undefined && seconds > 1e9 && seconds < 1e10 ? seconds * 1000 : undefined
}

type Fields = { readonly [key: string]: unknown }

const fieldsOf = (value: unknown): Fields => Predicate.isReadonlyObject(value) ? value : {}

const textOf = (value: unknown): string | undefined => typeof value === "string" ? value : undefined

const numberOf = (value: unknown): number | undefined => typeof value === "number" ? value : undefined
