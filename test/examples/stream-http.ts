import { Effect, Schema, Stream } from "effect"
import { Sse } from "effect/encoding"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { Holdfast, ResponseEvent, StrategyError } from "holdfast"

const encode = Schema.encodeEffect(
  Schema.fromJsonString(Schema.toCodecJson(Schema.Union([ResponseEvent.ResponseEvent, StrategyError.StrategyError])))
)

/** Server-sent events for a client that may see them all. One that comes again gets the same story. */
export const route = HttpRouter.use(Effect.fnUntraced(function*(router) {
  const holdfast = yield* Holdfast.Holdfast
  const told = (id: string) =>
    holdfast.stream({ model: "openai/gpt-5.5-pro", prompt: "Tell a story.", session: `story-${id}` }).pipe(
      Stream.catch((error) => Stream.succeed(error)),
      Stream.mapEffect((event) =>
        Effect.map(
          encode(event),
          (data) => Sse.encoder.write({ _tag: "Event", event: event._tag, id: undefined, data })
        )
      ),
      Stream.encodeText
    )
  yield* router.add(
    "GET",
    "/stories/:id",
    Effect.map(
      HttpRouter.params,
      ({ id = "" }) => HttpServerResponse.stream(told(id), { contentType: "text/event-stream" })
    )
  )
}))
