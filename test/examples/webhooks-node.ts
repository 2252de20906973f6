import * as NodeServices from "@effect/platform-node/NodeServices"
import { Layer, ManagedRuntime } from "effect"
import { Holdfast, Providers, SessionStore, Webhooks } from "holdfast"
import { createServer, type IncomingMessage } from "node:http"

const runtime = ManagedRuntime.make(
  Layer.mergeAll(Holdfast.layer, Webhooks.layerConfig).pipe(
    Layer.provide([SessionStore.layerFileSystem({ directory: ".holdfast" }), Providers.layerConfig]),
    Layer.provide(NodeServices.layer)
  )
)

// Built before the first webhook, so that a missing OPENAI_WEBHOOK_SECRET is told now.
const { respond } = await runtime.runPromise(Webhooks.Webhooks)

// The bytes as they came: a body that was parsed and written again has another signature.
const bodyOf = async (request: IncomingMessage): Promise<Uint8Array> => {
  const chunks: Array<Uint8Array> = []
  let left = 1_048_576
  for await (const chunk of request) {
    left -= chunk.length
    if (left < 0) throw new Error("The body is too long")
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

createServer((request, response) => {
  bodyOf(request).then((rawBody) => runtime.runPromise(respond(rawBody, request.headers))).then(
    ({ body, status }) => response.writeHead(status).end(body),
    () => response.writeHead(400).end()
  )
}).listen(3000)
