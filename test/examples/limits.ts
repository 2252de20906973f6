import { Providers } from "holdfast"

export const layer = Providers.layerConfigWith(
  { openai: { limits: { requestsPerMinute: 500, tokensPerMinute: 200_000 } } },
  { limits: { concurrency: 50, circuitBreaker: { failures: 3, openFor: "1 minute" } } }
)
