import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema, Stream } from "effect"
import { Holdfast, Providers, type ResponseRequest, SessionStore } from "holdfast"
import * as AnsweringServer from "../fixtures/AnsweringServer.ts"

describe("a request that is nested too deep", () => {
  const fields: ReadonlyArray<readonly [string, () => object]> = [
    ["providerOptions", () => ({ providerOptions: { a: nested(20_000) } })],
    ["providerOptions", () => ({ providerOptions: { a: nestedArrays(20_000) } })],
    ["providerOptions", () => ({ providerOptions: { a: nested(501) } })],
    ["providerOptions", () => ({ providerOptions: { a: circular() } })],
    ["metadata", () => ({ metadata: { a: nested(20_000) } })],
    ["prompt", () => ({ prompt: nestedArrays(20_000) })],
    ["messages", () => ({ messages: [{ role: "user", content: [nested(20_000)] }] })],
    ["fallback", () => ({ fallback: nestedArrays(20_000) })]
  ]

  it.live.each(fields)("is InvalidRequest, and is not sent: %s", ([field, make]) =>
    Effect.gen(function*() {
      const { requests, settings } = yield* provider
      for (const session of [undefined, "s"]) {
        for (const strategy of ["background", "sync", "completions"] as const) {
          const request = { model: "acme/m", prompt: "x", session, strategy, ...make() } as ResponseRequest.RequestInput
          for (const call of [Holdfast.execute(request), Stream.runDrain(Holdfast.stream(request))]) {
            const error = yield* Effect.flip(run(settings, call))

            assert.strictEqual(error._tag, "NonRetryable")
            assert.deepInclude(error._tag === "Timeout" ? {} : error.reason, {
              _tag: "InvalidRequest",
              message: `${field}: nested deeper than 500 levels`
            })
          }
        }
      }

      assert.strictEqual(requests(), 0)
    }))

  it.live("is sent when it has just as many levels as are allowed", () =>
    Effect.gen(function*() {
      const { requests, settings } = yield* provider
      for (const session of [undefined, "s"]) {
        const request = { model: "acme/m", prompt: "x", session, providerOptions: { a: nested(498) } }
        yield* Effect.flip(run(settings, Holdfast.execute(request)))
      }

      assert.strictEqual(requests(), 2)
    }))

  it.live("is InvalidRequest, and is not sent, where the schema is", () =>
    Effect.gen(function*() {
      const { requests, settings } = yield* provider
      let schema: Schema.Decoder<unknown> = Schema.String
      for (let level = 0; level < 20_000; level++) schema = Schema.Struct({ a: schema })
      for (const session of [undefined, "s"]) {
        const error = yield* Effect.flip(
          run(settings, Holdfast.execute({ model: "acme/m", prompt: "x", session, schema }))
        )

        assert.strictEqual(error._tag === "Timeout" ? "" : error.reason._tag, "InvalidRequest")
      }

      assert.strictEqual(requests(), 0)
    }))

  it.live("is found without visiting a value twice", () =>
    Effect.gen(function*() {
      const { settings } = yield* provider
      let shared: object = {}
      for (let level = 0; level < 400; level++) shared = [shared, shared, nested(20_000)]
      const request = { model: "acme/m", prompt: "x", providerOptions: { a: shared } }
      const error = yield* Effect.flip(run(settings, Holdfast.execute(request as ResponseRequest.RequestInput)))

      assert.strictEqual(error._tag, "NonRetryable")
    }))
})

const nested = (levels: number): Schema.Json => {
  let value: Schema.Json = "end"
  for (let level = 0; level < levels; level++) value = { a: value }
  return value
}

const nestedArrays = (levels: number): Schema.Json => {
  let value: Schema.Json = "end"
  for (let level = 0; level < levels; level++) value = [value]
  return value
}

const circular = (): object => {
  const value: Record<string, unknown> = {}
  value.a = value
  return value
}

/** A provider that refuses every request. */
const provider = Effect.map(
  AnsweringServer.make(() => ({ status: 400, body: { error: { message: "Words" } } })),
  ({ asked, url }) => ({
    requests: () => asked.length,
    settings: {
      acme: {
        baseUrl: `${url}/v1`,
        apiKey: Redacted.make("sk-test-0000"),
        responses: true,
        background: true
      }
    }
  })
)

const run = <A, E>(settings: Providers.Settings, effect: Effect.Effect<A, E, Holdfast.Holdfast>) =>
  Effect.provide(effect, Holdfast.layer.pipe(Layer.provide([SessionStore.layerMemory, Providers.layer(settings)])))
