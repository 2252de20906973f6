import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Layer } from "effect"
import { HttpRouter } from "effect/http"
import { Holdfast, Providers, SessionStore, Webhooks } from "holdfast"
import * as WebhookRoute from "holdfast/strategies/WebhookRoute"
import { createServer } from "node:http"

// The secrets are in OPENAI_WEBHOOK_SECRET. More routes of yours go beside this one.
const Live = HttpRouter.serve(WebhookRoute.layer("/webhooks")).pipe(
  Layer.provide(NodeHttpServer.layer(createServer, { port: 3000 })),
  Layer.provide(Layer.mergeAll(Holdfast.layer, Webhooks.layerConfig)),
  Layer.provide([SessionStore.layerFileSystem({ directory: ".holdfast" }), Providers.layerConfig]),
  Layer.provide(NodeServices.layer)
)

Layer.launch(Live).pipe(NodeRuntime.runMain)
