/**
 * Holds one Responses API call open until its answer, and retries it.
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
 * Service that gets responses by a Responses API call that is held open.
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
export class SyncRetry extends Context.Service<SyncRetry, ResponseStrategy>()("holdfast/strategies/SyncRetry") {}

/**
 * Creates the sync strategy.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = makeStrategy("sync", false)

/**
 * Provides `SyncRetry`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<SyncRetry, never, SessionStore | Providers> = Layer.effect(SyncRetry, make).pipe(
  Layer.provide(SessionRuns.layer)
)
