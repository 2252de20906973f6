/**
 * SDKs that are loaded when they are first used.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ProviderError } from "../../../errors/ProviderError.ts"

/**
 * Creates an effect that loads an SDK when it is first run. A failure is not
 * kept: the next run tries again.
 *
 * @category constructors
 * @since 0.1.0
 */
export const loadOnce = <A>(
  load: () => Promise<A>,
  onFailure: () => ProviderError
): Effect.Effect<A, ProviderError> => {
  let loaded: A | undefined
  return Effect.suspend(() =>
    loaded !== undefined
      ? Effect.succeed(loaded)
      : Effect.map(Effect.tryPromise({ try: load, catch: onFailure }), (first) => loaded ??= first)
  )
}
