import { Redacted } from "effect"
import { Providers } from "holdfast"

export const layer = Providers.layerConfigWith({
  acme: { baseUrl: "https://llm.acme.test/v1", apiKey: Redacted.make("key-of-acme"), responses: true }
})
