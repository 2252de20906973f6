import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, ManagedRuntime } from "effect"
import { Holdfast, Providers, SessionStore, Webhooks } from "holdfast"
import { createServer } from "node:http"
import { buffer } from "node:stream/consumers"

const runtime = ManagedRuntime.make(
  Layer.mergeAll(Holdfast.layer, Webhooks.layerConfig).pipe(
    Layer.provide([SessionStore.layerFileSystem({ directory: ".holdfast" }), Providers.layerConfig]),
    Layer.provide(NodeServices.layer)
  )
)

createServer(async (request, response) => {
  // The bytes as they came: a body that was parsed and written again has another signature.
  const rawBody = await buffer(request)
  const reply = await runtime.runPromise(
    Effect.flatMap(Webhooks.Webhooks, ({ respond }) => respond(rawBody, request.headers))
  )
  response.writeHead(reply.status).end(reply.body)
}).listen(3000)
