import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import * as WebhookRoute from "../../src/strategies/WebhookRoute.ts"
import * as Webhooks from "../../src/strategies/Webhooks.ts"

describe("WebhookRoute", () => {
  it.live("hands the body as it came and the headers on, and answers what it is told", () =>
    Effect.gen(function*() {
      const taken: Array<unknown> = []
      const post = yield* server(WebhookRoute.layer(), (body, headers) => {
        taken.push(body, headers["webhook-id"])
        return { status: 503, body: "Try again later" }
      })
      const response = yield* post("/webhooks", "{ \"a\":  1 }")

      assert.deepStrictEqual(response, { status: 503, body: "Try again later" })
      assert.deepStrictEqual(taken, ["{ \"a\":  1 }", "wh_1"])
    }))

  it.live("takes the path that it is given", () =>
    Effect.gen(function*() {
      const post = yield* server(WebhookRoute.layer("/hooks/openai"), () => ({ status: 200, body: "Settled" }))

      assert.strictEqual((yield* post("/hooks/openai", "{}")).status, 200)
      assert.strictEqual((yield* post("/webhooks", "{}")).status, 404)
    }))

  it.live("refuses a body longer than 1 MiB", () =>
    Effect.gen(function*() {
      const post = yield* server(WebhookRoute.layer(), () => ({ status: 200, body: "Settled" }))

      assert.strictEqual((yield* post("/webhooks", "x".repeat(1024 * 1024))).status, 200)
      assert.strictEqual((yield* post("/webhooks", "x".repeat(1024 * 1024 + 1))).status, 400)
    }))
})

const server = (
  route: Layer.Layer<never, never, HttpRouter.HttpRouter | Webhooks.Webhooks>,
  respond: (body: string, headers: Record<string, string>) => Webhooks.Reply
) => {
  const service = Layer.succeed(Webhooks.Webhooks, {
    handle: () => Effect.die("unused"),
    respond: (body, headers) =>
      Effect.sync(() =>
        respond(
          typeof body === "string" ? body : new TextDecoder().decode(body),
          Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]))
        )
      )
  })
  return Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => HttpRouter.toWebHandler(route.pipe(Layer.provide(service)), { disableLogger: true })),
      ({ dispose }) => Effect.promise(dispose)
    ),
    ({ handler }) => (path: string, body: string) =>
      Effect.promise(async () => {
        const request = new Request(`http://test${path}`, { method: "POST", body, headers: { "webhook-id": "wh_1" } })
        const response = await handler(request)
        return { status: response.status, body: await response.text() }
      })
  )
}
