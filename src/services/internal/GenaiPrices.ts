/**
 * Reads prices out of `@pydantic/genai-prices`, which is loaded by the first
 * question.
 *
 * @since 0.1.0
 */
import type { MatchLogic, ModelPrice, Provider } from "@pydantic/genai-prices"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import { getOrMake } from "./Memo.ts"

/**
 * What a model costs, in US dollars per million tokens. A rate that is absent
 * is not known.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rates {
  readonly input?: number | undefined
  /** Absent: as `input`. */
  readonly cacheRead?: number | undefined
  /** Absent: as `input`. */
  readonly cacheWrite?: number | undefined
  /** Tokens kept for an hour instead of five minutes. */
  readonly cacheWrite1h?: number | undefined
  readonly output?: number | undefined
  /** Absent: as `output`. */
  readonly reasoning?: number | undefined
  /** In US dollars per 1,000 requests, at the largest search context. */
  readonly requests?: number | undefined
  /** In US dollars per 1,000 web searches that the provider bills by the call. */
  readonly webSearches?: number | undefined
}

/**
 * A price list's entry for a model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Found {
  readonly rates: Rates
  /** The entry's name. */
  readonly model: string
  /** Whether the entry is for the model that was asked for, and not only for names that begin as it does. */
  readonly isListed: boolean
  readonly source: string
}

/**
 * What is asked for.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wanted {
  /** Our prefix of the provider. */
  readonly provider: string
  readonly model: string
  /** All input tokens, cached ones included: they choose the tier of long contexts. */
  readonly inputTokens: number
  /** Unix time in milliseconds: prices change. */
  readonly at: number
}

/**
 * What is used of the package.
 *
 * @category models
 * @since 0.1.0
 */
export type Package = Pick<typeof import("@pydantic/genai-prices"), "calcPrice">

/**
 * Creates a function that finds the rates of a model; `None` when the package
 * does not know it, or is not there.
 *
 * **Details**
 *
 * A package that cannot be loaded is logged once, at level Debug, and not tried
 * again. Prices that the application has refreshed with the package's
 * `updatePrices` count.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  load: () => Promise<Package> = () => import("@pydantic/genai-prices")
): (wanted: Wanted) => Effect.Effect<Option.Option<Found>> => {
  let loaded: Option.Option<Package> | undefined
  const prices = Effect.gen(function*() {
    if (loaded !== undefined) return loaded
    const attempt = yield* Effect.promise(() =>
      load().then((found) => Result.succeed(found), (cause: unknown) => Result.fail(cause))
    )
    // Several first questions may have waited for it; one of them tells.
    const isFirst = loaded === undefined
    loaded = Result.getSuccess(attempt)
    if (isFirst && Result.isFailure(attempt)) {
      yield* Effect.logDebug("No prices: @pydantic/genai-prices cannot be loaded", attempt.failure)
    }
    return loaded
  })
  return (wanted) => Effect.map(prices, Option.flatMap((found) => lookUp(found, wanted)))
}

/**
 * Returns the model's name without the date of its snapshot.
 *
 * @category combinators
 * @since 0.1.0
 */
export const undated = (model: string): string => model.replace(/[-@]20\d\d(-?)\d\d\1\d\d$/, "")

// Our prefixes, and whose prices apply there. A provider that is not here has no prices: the package itself would take
// any name that contains `openai` for OpenAI.
const providerIds: ReadonlyMap<string, string> = new Map([
  ["openai", "openai"],
  ["azure", "azure"],
  ["azure_ai", "azure"],
  ["anthropic", "anthropic"],
  ["gemini", "google"],
  ["vertex_ai", "google"],
  ["bedrock", "aws"],
  ["bedrock_mantle", "aws"],
  ["mistral", "mistral"],
  ["groq", "groq"],
  ["deepseek", "deepseek"],
  ["xai", "x-ai"],
  ["openrouter", "openrouter"],
  ["together_ai", "together"],
  ["fireworks_ai", "fireworks"],
  ["perplexity", "perplexity"],
  ["cohere", "cohere"],
  ["cohere_chat", "cohere"],
  ["cerebras", "cerebras"],
  ["moonshot", "moonshotai"],
  ["zai", "zai"],
  ["minimax", "minimax"],
  ["novita", "novita"]
])

const lookUp = ({ calcPrice }: Package, wanted: Wanted): Option.Option<Found> => {
  const providerId = providerIds.get(wanted.provider)
  if (providerId === undefined) return Option.none()
  // Google writes `models/gemini-2.5-pro`, and Vertex AI `google/gemini-2.5-pro`.
  const name = providerId === "google" ? wanted.model.slice(wanted.model.lastIndexOf("/") + 1) : wanted.model
  return Option.flatMap(
    chosen(calcPrice, name, providerId, wanted.at),
    ({ isListed, model, model_price: price, provider }) =>
      Option.map(ratesOf(price, wanted), (rates) => ({
        rates,
        model: model.id,
        isListed,
        source: `genai-prices/${provider.id}`
      }))
  )
}

type Choice = NonNullable<ReturnType<Package["calcPrice"]>> & { readonly isListed: boolean }

/** What the package chose, by model and minute: its rules are many, and one program asks few models. */
const choices = new WeakMap<Package["calcPrice"], Map<string, Option.Option<Choice>>>()

/** Choices that are kept. */
const mostChoices = 200

// A price that holds by the hour begins on a minute.
const minuteMillis = 60_000

const chosen = (
  calcPrice: Package["calcPrice"],
  name: string,
  providerId: string,
  at: number
): Option.Option<Choice> => {
  if (typeof calcPrice !== "function") return Option.none()
  const minute = Math.floor(at / minuteMillis)
  let known = choices.get(calcPrice)
  if (known === undefined) choices.set(calcPrice, known = new Map())
  const choose = (): Option.Option<Choice> => {
    // Without tokens: the package only has to choose the entry and its price at that time.
    const found = Result.try(() => calcPrice({}, name, { providerId, timestamp: new Date(minute * minuteMillis) }))
    return Result.getSuccess(found).pipe(
      Option.flatMap(Option.fromNullishOr),
      Option.map((found) => ({ ...found, isListed: isListed(found.model, name) }))
    )
  }
  return getOrMake(known, `${providerId}/${name}@${minute}`, choose, mostChoices)
}

const isListed = ({ id, match }: Provider["models"][number], name: string): boolean => {
  const names = [name, undated(name)].map((name) => name.trim().toLowerCase())
  return names.some((name) => name === id.toLowerCase() || lists(match, name))
}

const lists = (match: MatchLogic, name: string): boolean =>
  "equals" in match ? match.equals.toLowerCase() === name : "or" in match && match.or.some((one) => lists(one, name))

const ratesOf = (price: ModelPrice, { inputTokens, model }: Wanted): Option.Option<Rates> => {
  const rate = (key: string): number | undefined => rateAt(price[key], inputTokens)
  // Citation tokens are always billed there, and are in no bucket of `Usage`.
  if (price["output_citation_mtok"] !== undefined) return Option.none()
  if (Object.keys(price).length === 0) {
    // OpenRouter's word for models that cost nothing; elsewhere an empty entry only says that nobody knows.
    return model.endsWith(":free") ? Option.some({ input: 0, output: 0 }) : Option.none()
  }
  return Option.some({
    input: rate("input_mtok"),
    cacheRead: rate("cache_read_mtok"),
    cacheWrite: rate("cache_write_mtok"),
    cacheWrite1h: rate("cache_write_1h_mtok"),
    output: rate("output_mtok"),
    reasoning: rate("output_reasoning_mtok"),
    requests: rate("requests_kcount"),
    webSearches: rate("web_searches_kcount")
  })
}

// The whole context is billed at the rate of the highest tier that its input exceeds.
const rateAt = (price: ModelPrice[string], inputTokens: number): number | undefined =>
  price === undefined || typeof price === "number"
    ? price
    : price.tiers
      .filter(({ start }) => inputTokens > start)
      .reduce((highest, tier) => tier.start > highest.start ? tier : highest, { start: -1, price: price.base })
      .price
