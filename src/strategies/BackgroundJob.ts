/**
 * Submits a job, remembers its id, and polls it to its end.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Layer from "effect/Layer"
import type { Providers } from "../services/Providers.ts"
import type { SessionStore } from "../services/SessionStore.ts"
import { defaultJobDeadline } from "./internal/ResolveRequest.ts"
import { makeStrategy } from "./internal/MakeStrategy.ts"
import type { ResponseStrategy } from "./ResponseStrategy.ts"
import * as SessionRuns from "./SessionRuns.ts"

/**
 * Service that gets responses as background jobs.
 *
 * **Details**
 *
 * A job goes on at the provider when the connection, the process or the
 * machine is lost. With a session, its id is in the journal before anything
 * else happens, and whoever runs the key next polls that job.
 *
 * The default deadline is 60 minutes, or longer where the provider's jobs take
 * longer (25 hours for Anthropic's message batches). One call sends at most as many
 * submissions as its retry schedule has attempts, 5 by default, and all but
 * the last of them were certainly refused, unless `onUncertainSubmit` is
 * `"resubmit"`.
 *
 * @category services
 * @since 0.1.0
 */
export class BackgroundJob extends Context.Service<BackgroundJob, ResponseStrategy>()(
  "holdfast/strategies/BackgroundJob"
) {}

/**
 * Longest time that a call waits for a job, unless the request or the provider's
 * `JobsApi` says otherwise: 60 minutes.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultDeadline: Duration.Duration = defaultJobDeadline

/**
 * Creates the background strategy.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = makeStrategy("background", true)

/**
 * Provides `BackgroundJob`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<BackgroundJob, never, SessionStore | Providers> = Layer.effect(BackgroundJob, make)
  .pipe(
    Layer.provide(SessionRuns.layer)
  )
