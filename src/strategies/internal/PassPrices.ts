/**
 * Prices the passes of a usage, each by itself.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { Usage, type UsagePass } from "../../errors/Usage.ts"
import { Price, PriceCatalog, type Query } from "../../services/PriceCatalog.ts"

/** What is priced. */
export type Billed = Pick<Query, "provider" | "model" | "usage" | "batch" | "at">

/**
 * Returns the price of the tokens: what the provider states, or else the sum of the prices of all passes; `None` when
 * one of them is not known.
 */
export const priceOf = (billed: Billed): Effect.Effect<Option.Option<Price>> => {
  const { usage } = billed
  if (usage.reportedNanoUsd !== undefined) return Effect.succeedSome(reported(usage.reportedNanoUsd))
  if (usage.passes === undefined) return Effect.flatMap(PriceCatalog, (catalog) => catalog.price(billed))
  return Effect.map(
    Effect.forEach(usage.passes, ({ model, ...pass }) => priceOf({ ...billed, model, usage: alone(pass) })),
    (prices) => Option.map(Option.all(prices), together)
  )
}

const alone = (pass: Omit<UsagePass, "model">): Usage =>
  new Usage({
    ...pass,
    totalTokens: pass.inputTokens + pass.cacheReadTokens + pass.cacheWriteTokens + pass.outputTokens +
      pass.reasoningTokens
  })

const reported = (nanoUsd: number): Price => new Price({ usd: nanoUsd / 1e9, nanoUsd, source: "provider" })

const together = (prices: ReadonlyArray<Price>): Price => {
  const nanoUsd = prices.reduce((sum, price) => sum + price.nanoUsd, 0)
  const [first] = prices
  if (first === undefined || prices.every(({ source }) => source === "provider")) return reported(nanoUsd)
  const { factor, matchedBy, matchedModel, priceSource } = first
  const parts = Option.all(prices.map((price) => Option.fromNullishOr(price.parts)))
  return new Price({
    usd: nanoUsd / 1e9,
    nanoUsd,
    source: "prices",
    ...(matchedModel === undefined ? undefined : { matchedModel }),
    ...(matchedBy === undefined ? undefined : { matchedBy: leastExact(prices) ?? matchedBy }),
    ...(priceSource === undefined ? undefined : { priceSource }),
    ...(factor === undefined || prices.some((price) => price.factor !== factor) ? undefined : { factor }),
    ...(Option.isNone(parts) ? undefined : { parts: parts.value.reduce(addParts) })
  })
}

const leastExact = (prices: ReadonlyArray<Price>) => prices.find(({ matchedBy }) => matchedBy === "prefix")?.matchedBy

type PriceParts = NonNullable<Price["parts"]>

const addParts = (first: PriceParts, second: PriceParts): PriceParts => ({
  input: first.input + second.input,
  cacheRead: first.cacheRead + second.cacheRead,
  cacheWrite: first.cacheWrite + second.cacheWrite,
  output: first.output + second.output,
  reasoning: first.reasoning + second.reasoning,
  request: first.request + second.request,
  webSearch: first.webSearch + second.webSearch
})
