import { Layer } from "effect"
import { Holdfast, ModelCatalog, Providers, SessionStore } from "holdfast"

export const layer = Holdfast.layer.pipe(
  Layer.provide([
    SessionStore.layerMemory,
    Providers.layerConfig,
    ModelCatalog.layer({ deployments: { "my-deployment": "gpt-5.5-pro" } })
  ])
)
