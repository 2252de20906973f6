import * as NodeServices from "@effect/platform-node/NodeServices"
import { Layer, ManagedRuntime } from "effect"
import { Holdfast, Providers, SessionStore, Webhooks } from "holdfast"
import { createServer } from "node:http"
import { buffer } from "node:stream/consumers"

const runtime = ManagedRuntime.make(
  Layer.mergeAll(Holdfast.layer, Webhooks.layerConfig).pipe(
    Layer.provide([SessionStore.layerFileSystem({ directory: ".holdfast" }), Providers.layerConfig]),
    Layer.provide(NodeServices.layer)
  )
)

// Built before the first webhook, so that a missing OPENAI_WEBHOOK_SECRET is told now.
const { respond } = await runtime.runPromise(Webhooks.Webhooks)

createServer(async (request, response) => {
  try {
    // The bytes as they came: a body that was parsed and written again has another signature.
    const rawBody = await buffer(request)
    const reply = await runtime.runPromise(respond(rawBody, request.headers))
    response.writeHead(reply.status).end(reply.body)
  } catch {
    // The sender has gone. What was not answered is sent again.
    response.destroy()
  }
}).listen(3000)
