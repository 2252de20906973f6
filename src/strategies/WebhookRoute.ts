/**
 * The route of Effect's HTTP server that takes webhooks. It is no part of the package's index: whoever has no server
 * need not load one.
 *
 * @since 0.1.0
 */
import * as ByteSize from "effect/ByteSize"
import * as Effect from "effect/Effect"
import * as HttpRouter from "effect/http/HttpRouter"
import * as HttpServerRequest from "effect/http/HttpServerRequest"
import * as HttpServerResponse from "effect/http/HttpServerResponse"
import type * as Layer from "effect/Layer"
import { Webhooks } from "./Webhooks.ts"

/**
 * Provides the route `POST` at a path, `/webhooks` by default, on the `HttpRouter`.
 *
 * **Details**
 *
 * Answers as `Webhooks.respond` says, and 400 for a body that breaks off or is longer than 1 MiB; events
 * are some hundred bytes.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  path: HttpRouter.PathInput = "/webhooks"
): Layer.Layer<never, never, HttpRouter.HttpRouter | Webhooks> =>
  HttpRouter.use((router) =>
    Effect.flatMap(Webhooks, ({ respond }) =>
      router.add("POST", path, (request) =>
        request.arrayBuffer.pipe(
          Effect.provideService(HttpServerRequest.MaxBodySize, maxBodySize),
          Effect.matchEffect({
            onFailure: () => Effect.succeed(HttpServerResponse.text("The body could not be read", { status: 400 })),
            onSuccess: (body) =>
              Effect.map(
                respond(new Uint8Array(body), request.headers),
                ({ body, status }) => HttpServerResponse.text(body, { status })
              )
          })
        )))
  )

const maxBodySize = ByteSize.fromInputUnsafe("1 MiB")
