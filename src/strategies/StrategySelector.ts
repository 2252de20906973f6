/**
 * Chooses the strategy for a model.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import { ModelCatalog } from "../services/ModelCatalog.ts"
import type { StrategyName } from "../services/ResponseRequest.ts"

/**
 * Returns the strategy for a model.
 *
 * **Details**
 *
 * 1. a Responses API model with an explicit `openai/` or `azure/` prefix: `background`
 * 2. a Responses API model without a prefix: `sync`
 * 3. everything else: `completions`
 *
 * Which API a model speaks is the `ModelCatalog`'s to say.
 *
 * @category combinators
 * @since 0.1.0
 */
export const select = (model: string): Effect.Effect<StrategyName> =>
  Effect.map(ModelCatalog, (catalog) => selectWith(catalog, model))

/**
 * Returns the strategy for a model, by a catalogue that is at hand.
 *
 * @category combinators
 * @since 0.1.0
 */
export const selectWith = (catalog: ModelCatalog.Service, model: string): StrategyName => {
  if (!catalog.supportsResponsesApi(model)) return "completions"
  const { explicit, provider } = catalog.parse(model)
  if (!explicit) return "sync"
  return provider === "openai" || provider === "azure" ? "background" : "completions"
}
