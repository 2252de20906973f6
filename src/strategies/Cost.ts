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
import { LlmResponse } from "../services/LlmResponse.ts"
import * as ModelCatalog from "../services/ModelCatalog.ts"
import { Price, PriceCatalog } from "../services/PriceCatalog.ts"
import type { StrategyName } from "../services/ResponseRequest.ts"
import * as PassPrices from "./internal/PassPrices.ts"
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
   * - a price: the provider states the cost, or the tokens
   * - `none`: the provider did not take it
   * - `unknown`: it may have cost something, but the amount is not known, or there is no price for it
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
 * Returns what an answer cost: what the provider states, or else the price of
 * its tokens by the `PriceCatalog`. `None` when the answer counts no tokens, or
 * there is no price for them.
 *
 * **Details**
 *
 * Takes the model, the service tier and the region that the provider says it
 * has used. An answer of a background job of `anthropic` is one of a batch.
 * Each pass of `usage.passes` is priced by itself: at its own model, and at the
 * tier for long contexts that its own input reaches.
 * The cost of earlier submissions of the same session is not in it.
 *
 * **Gotchas**
 *
 * - See `PriceCatalog.make` for what the prices leave out.
 * - A provider that runs tools and does not count each pass by itself is billed
 *   as for one; at OpenAI the input may then reach a tier for long contexts that
 *   no pass has reached, and at Anthropic the mean input of its runs chooses it.
 * - A background job whose end names the tier `auto` is priced at the standard
 *   one: what its request asked for is not journaled.
 *
 * @see {@link ofSession} for all that was paid for a session
 *
 * @category combinators
 * @since 0.1.0
 */
export const of = (answer: LlmResponse, options?: Options): Effect.Effect<Option.Option<Price>> =>
  Option.match(billedOf(answer, options?.at ?? madeAt(answer)), {
    onNone: () => Effect.succeedNone,
    onSome: PassPrices.priceOf
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
 * The usage of a reason names no model, unless it has `passes`: its tokens count
 * as those of the model that was asked for.
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

const costOf = (info: SessionInfo, submission: SubmissionInfo): Effect.Effect<SubmissionCost["cost"]> => {
  const isRefused = submission.state === "refused"
  if (isRefused && Option.isNone(billedOfReason(submission, submission.reason))) return Effect.succeed("none")
  return Effect.map(
    Option.match(paid(info, submission), { onNone: () => Effect.succeedNone, onSome: PassPrices.priceOf }),
    Option.getOrElse(() => "unknown" as const)
  )
}

const paid = (info: SessionInfo, submission: SubmissionInfo): Option.Option<PassPrices.Billed> => {
  const { settlement } = info
  if (submission.state !== "accepted") return billedOfReason(submission, submission.reason)
  if (settlement === undefined) return Option.none()
  // Of a settled session, this is the submission that it was settled with.
  switch (settlement._tag) {
    case "Answered":
      return billedOf(settlement.answer, madeAt(settlement.answer) ?? submission.at.epochMilliseconds)
    case "Failed":
      return billedOfReason(submission, settlement.error.reason)
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

const billedOf = (
  { model, provider, strategy, usage }: LlmResponse,
  at: number | undefined
): Option.Option<PassPrices.Billed> =>
  usage === undefined ? Option.none() : Option.some({
    provider,
    model,
    usage,
    batch: isBatch(provider, strategy),
    at
  })

const billedOfReason = (
  { at, model, provider, strategy }: SubmissionInfo,
  reason: RetryableReason | NonRetryableReason | undefined
): Option.Option<PassPrices.Billed> =>
  reason === undefined || !("usage" in reason) || reason.usage === undefined ? Option.none() : Option.some({
    provider,
    model: bareName(provider, model),
    usage: reason.usage,
    batch: isBatch(provider, strategy),
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

// In seconds; a server that counts in something else is not believed.
const madeAt = ({ response }: LlmResponse): number | undefined => {
  const body = fieldsOf(response)
  const seconds = numberOf(body["created_at"]) ?? numberOf(body["created"])
  return seconds !== undefined && seconds > 1e9 && seconds < 1e10 ? seconds * 1000 : undefined
}

type Fields = { readonly [key: string]: unknown }

const fieldsOf = (value: unknown): Fields => Predicate.isReadonlyObject(value) ? value : {}

const numberOf = (value: unknown): number | undefined => typeof value === "number" ? value : undefined
