import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { Holdfast, Reason, StrategyError } from "holdfast"
import { route } from "./stream-http.ts"

it.live("tells a story, tells it again, and tells of an error", () =>
  Effect.gen(function*() {
    const told = yield* get((request) => `${request.prompt} Once.`)
    const failed = yield* get(() => new StrategyError.NonRetryable({ reason: new Reason.Refusal({ message: "No" }) }))

    assert.include(told[0], "event: TextDelta\ndata: {")
    assert.include(told[0], "\"delta\":\"Tell a story. Once.\"")
    assert.match(told[0], /event: Completed\n.*"resumed":false/)
    assert.match(told[1], /event: Completed\n.*"resumed":true/)
    assert.match(failed[0], /event: NonRetryable\n.*"_tag":"Refusal"/)
  }))

/** The bodies of two requests for the same story. */
const get = (script: Parameters<typeof Holdfast.layerTest>[0]) =>
  Effect.acquireUseRelease(
    Effect.sync(() =>
      HttpRouter.toWebHandler(Layer.provide(route, Holdfast.layerTest(script)), { disableLogger: true })
    ),
    ({ handler }) => {
      const body = Effect.promise(async () => (await handler(new Request("http://test/stories/1"))).text())
      return Effect.all([body, body])
    },
    ({ dispose }) => Effect.promise(dispose)
  )
