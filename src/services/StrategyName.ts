/**
 * The names of the strategies.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"

/**
 * Schema for the strategies' names.
 *
 * @category schemas
 * @since 0.1.0
 */
export const StrategyName = Schema.Literals(["background", "sync", "completions"])

/**
 * The strategies' names.
 *
 * @category models
 * @since 0.1.0
 */
export type StrategyName = typeof StrategyName.Type
