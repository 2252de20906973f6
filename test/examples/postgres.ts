import { PgClient } from "@effect/sql-pg"
import { Config, Layer } from "effect"
import { Holdfast, Providers, SessionStore } from "holdfast"

export const layer = Holdfast.layer.pipe(
  Layer.provide([SessionStore.layerSql({ namespace: "contracts" }), Providers.layerConfig]),
  Layer.provide(PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") }))
)
