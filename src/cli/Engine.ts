/**
 * Holdfast with everything that the command provides to it. Commands import it
 * when they run, so that help and usage errors do not wait for it.
 *
 * @since 0.1.0
 */
import type * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as Path from "effect/Path"
import { SessionCorrupt, SessionUnavailable } from "../errors/Reason.ts"
import type { SessionStoreError } from "../errors/SessionStoreError.ts"
import { NonRetryable, Retryable, type StrategyError } from "../errors/StrategyError.ts"
import * as Holdfast from "../Holdfast.ts"
import * as ModelCatalog from "../services/ModelCatalog.ts"
import * as Providers from "../services/Providers.ts"
import * as SessionStore from "../services/SessionStore.ts"
import { UsageError } from "./UsageError.ts"

/**
 * Provides Holdfast over the sessions of a folder and the providers of the
 * environment.
 *
 * **Errors**
 *
 * - `UsageError` for a `HOLDFAST_…` variable that cannot be understood.
 * - `SessionUnavailable` for a folder that cannot be made or read.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  directory: string
): Layer.Layer<
  Holdfast.Holdfast | SessionStore.SessionStore | Providers.Providers,
  StrategyError | UsageError,
  FileSystem.FileSystem | Path.Path
> =>
  Holdfast.layer.pipe(
    Layer.provideMerge(Layer.mergeAll(store(directory), Providers.layerConfig)),
    Layer.provideMerge(catalog)
  )

/**
 * Runs an effect with Holdfast over the sessions of a folder. Each command is
 * an entry point of its own.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withSessions = (directory: string) =>
<A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<
  A,
  E | StrategyError | UsageError,
  | Exclude<R, Holdfast.Holdfast | SessionStore.SessionStore | Providers.Providers>
  | FileSystem.FileSystem
  | Path.Path
> =>
  // @effect-diagnostics-next-line strictEffectProvide:off
  Effect.provide(self, layer(directory))

/**
 * Runs an effect with the providers of the environment and the model
 * catalogue, without sessions.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withModels = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | UsageError, Exclude<R, Providers.Providers>> =>
  // @effect-diagnostics-next-line strictEffectProvide:off
  Effect.provide(self, Layer.provideMerge(Providers.layerConfig, catalog))

/**
 * Turns a failure of the store into the error that a strategy would give.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fromStore = (error: SessionStoreError): StrategyError =>
  error._tag === "StoreUnavailable"
    ? new Retryable({ reason: new SessionUnavailable({ message: error.message, code: error.code }), attempts: 0 })
    : new NonRetryable({ reason: new SessionCorrupt({ message: error.message }) })

const store = (directory: string) =>
  Layer.catch(
    SessionStore.layerFileSystem({ directory }),
    (error) => Layer.effect(SessionStore.SessionStore, Effect.fail(fromStore(error)))
  )

const catalog = Layer.catch(
  ModelCatalog.layerConfig,
  (error: Config.ConfigError) =>
    Layer.effectDiscard(
      Effect.fail(new UsageError({ message: `In the environment: ${error.cause.message.replace(/\s+/g, " ")}` }))
    )
)
