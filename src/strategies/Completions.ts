/**
 * Holds one Chat Completions or Messages call open until its answer, and
 * retries it.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Layer from "effect/Layer"
import type { Providers } from "../services/Providers.ts"
import type { SessionStore } from "../services/SessionStore.ts"
import { makeStrategy } from "./internal/MakeStrategy.ts"
import type { ResponseStrategy } from "./ResponseStrategy.ts"
import * as SessionRuns from "./SessionRuns.ts"

/**
 * Service that gets responses by Chat Completions, or by Messages from
 * Anthropic.
 *
 * **Details**
 *
 * The default deadline is 15 minutes. One call of `execute` makes at most as
 * many calls as its retry schedule has attempts, 5 by default. With a session
 * the answer is journaled; a call that was cut cannot be resumed and is made
 * again.
 *
 * @category services
 * @since 0.1.0
 */
export class Completions extends Context.Service<Completions, ResponseStrategy>()("holdfast/strategies/Completions") {}

/**
 * Creates the completions strategy.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = makeStrategy("completions", false)

/**
 * Provides `Completions`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Completions, never, SessionStore | Providers> = Layer.effect(Completions, make).pipe(
  Layer.provide(SessionRuns.layer)
)
