import { NodeRedis } from "@effect/platform-node"
import { Config, Effect, Layer } from "effect"
import { CircuitBreaker, RateLimiter } from "effect/persistence"
import { Providers } from "holdfast"

// Closed in the usual way, the client waits for its answers, and a Redis that hangs never gives them.
const closeAtOnce = Layer.effectDiscard(
  Effect.flatMap(NodeRedis.NodeRedis, ({ client }) => Effect.addFinalizer(() => Effect.sync(() => client.destroy())))
)

const redis = Layer.provideMerge(closeAtOnce, NodeRedis.layerConfig({ url: Config.String("REDIS_URL") }))

const limits = { requestsPerMinute: 500, tokensPerMinute: 200_000, circuitBreaker: true }

/** Takes the place of `Providers.layerConfig`. */
export const providers = Providers.layerConfigWith({}, { limits }).pipe(
  Layer.provide([RateLimiter.layerStoreRedis(), CircuitBreaker.layerStoreRedis()]),
  Layer.provide(redis)
)
