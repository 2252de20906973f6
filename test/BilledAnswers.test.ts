import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Stream } from "effect"
import { Holdfast, type LlmResponse, Providers, type ResponseEvent, SessionStore } from "holdfast"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

// Prices in US dollars per million tokens, from the public lists of 2026-11.
describe("What an answer over HTTP costs", () => {
  it.live.each<readonly [title: string, asked: string | undefined, expected: number | undefined]>([
    // gpt-5.5, 5 / 30: 1000 * 5
    ["nothing", undefined, 5_000_000],
    ["auto", "auto", 5_000_000],
    ["priority, so that the tier is not known", "priority", undefined]
  ])(
    "is that of the standard tier when the answer says auto to a request for %s",
    ([, asked, expected]) =>
      Effect.gen(function*() {
        const providerOptions = asked === undefined ? {} : { service_tier: asked }
        const ask = { model: "openai/gpt-5.5", prompt: "Hi", providerOptions } as const
        const chat = { ...ask, model: "acme/gpt-5.5", strategy: "completions" } as const
        const url = yield* serve((path, isStream) =>
          path.endsWith("/responses")
            ? isStream
              ? events([{ type: "response.completed", response: { ...response, service_tier: "auto" } }])
              : { ...response, service_tier: "auto" }
            : isStream
            ? events(chunks({ service_tier: "auto", usage: { prompt_tokens: 1000, completion_tokens: 0 } }))
            : { ...completion, service_tier: "auto", usage: { prompt_tokens: 1000, completion_tokens: 0 } }
        )
        const answers = yield* Effect.all([
          Holdfast.execute({ ...ask, strategy: "sync" }),
          last(Holdfast.stream({ ...ask, strategy: "sync" })),
          Holdfast.execute({ ...chat, model: "openai/gpt-5.5" }),
          last(Holdfast.stream({ ...chat, model: "openai/gpt-5.5" }))
        ]).pipe(Effect.provide(layer({ openai: { baseUrl: `${url}/v1`, apiKey } })))

        assert.deepStrictEqual(answers.map(({ cost }) => cost?.nanoUsd), [expected, expected, expected, expected])
      })
  )

  it.live.each<readonly [host: string, usage: object, nanoUsd: number]>([
    ["openrouter", { cost: 0.0145476, is_byok: false, cost_details: { upstream_inference_cost: 0.0001 } }, 14_547_600],
    ["openrouter", { cost: 0.001, is_byok: true, cost_details: { upstream_inference_cost: 0.02 } }, 21_000_000],
    ["perplexity", { cost: { total_cost: 0.00614 }, search_context_size: "low" }, 6_140_000],
    ["xai", { cost_in_usd_ticks: 37_756_000 }, 3_775_600],
    ["acme", { cost: 0.25 }, 250_000_000]
  ])(
    "is what %s states, streamed and not, and again from the journal: %j",
    ([host, stated, nanoUsd]) =>
      Effect.gen(function*() {
        const usage = { prompt_tokens: 10, completion_tokens: 5, ...stated }
        const url = yield* serve((_, isStream) => isStream ? events(chunks({ usage })) : { ...completion, usage })
        const ask = { model: `${host}/m`, prompt: "Hi", strategy: "completions" } as const
        const answers = yield* Effect.all([
          Holdfast.execute({ ...ask, session: "held" }),
          Holdfast.execute({ ...ask, session: "held" }),
          last(Holdfast.stream({ ...ask, session: "streamed" })),
          last(Holdfast.stream({ ...ask, session: "streamed" }))
        ]).pipe(Effect.provide(layer({ [host]: { baseUrl: `${url}/v1`, apiKey } })))

        for (const { cost } of answers) {
          assert.deepStrictEqual<object>({ ...cost }, { usd: nanoUsd / 1e9, nanoUsd, source: "provider" })
        }
      })
  )

  it.live.each<readonly [place: string, usage: object, choice: object, nanoUsd: number | undefined]>([
    // kimi-k2.6, 0.95 / 0.16 / 4: 60 * 0.95 + 40 * 0.16 + 5 * 4
    ["the root", { model: "kimi-k2.6", usage: moonshot() }, {}, 83_400],
    ["the choice", { model: "kimi-k2.6" }, { usage: moonshot() }, 83_400],
    ["zeros", { model: "kimi-k2.6", usage: { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 } }, {}, undefined]
  ])(
    "is that of the tokens, streamed and not, with the usage in %s",
    ([, root, choice, nanoUsd]) =>
      Effect.gen(function*() {
        const url = yield* serve((_, isStream) =>
          isStream
            ? events(chunks(root, choice))
            : { ...completion, ...root, choices: [{ ...completion.choices[0], ...choice }] }
        )
        const ask = { model: "moonshot/kimi-k2.6", prompt: "Hi", strategy: "completions" } as const
        const answers = yield* Effect.all([Holdfast.execute(ask), last(Holdfast.stream(ask))]).pipe(
          Effect.provide(layer({ moonshot: { baseUrl: `${url}/v1`, apiKey } }))
        )

        assert.deepStrictEqual(answers.map(({ cost }) => cost?.nanoUsd), [nanoUsd, nanoUsd])
        if (nanoUsd === undefined) assert.isTrue(answers.every(({ usage }) => usage === undefined))
      })
  )

  it.live("has the fees of OpenAI's web searches, streamed and not", () =>
    Effect.gen(function*() {
      const search = (type: string) => ({ type: "web_search_call", id: type, status: "completed", action: { type } })
      const body = { ...response, output: [search("search"), search("open_page"), ...response.output] }
      const url = yield* serve((_, isStream) =>
        isStream ? events([{ type: "response.completed", response: body }]) : body
      )
      const ask = { model: "openai/gpt-5.5", prompt: "Hi", strategy: "sync" } as const
      const answers = yield* Effect.all([Holdfast.execute(ask), last(Holdfast.stream(ask))]).pipe(
        Effect.provide(layer({ openai: { baseUrl: `${url}/v1`, apiKey } }))
      )

      // 1000 * 5 and 0.01 for the one search
      assert.deepStrictEqual(answers.map(({ cost }) => cost?.nanoUsd), [15_000_000, 15_000_000])
    }))
})

const apiKey = Redacted.make("sk-test-0000")

const layer = (settings: Parameters<typeof Providers.layer>[0]) =>
  Holdfast.layer.pipe(Layer.provide([SessionStore.layerMemory, Providers.layer(settings)]))

const serve = (answer: (path: string, isStream: boolean) => unknown) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.promise(() => {
        const server = createServer((request, reply) => {
          let body = ""
          request.on("data", (chunk) => body += String(chunk)).on("end", () => {
            const answered = answer(request.url ?? "", JSON.parse(body).stream === true)
            const isText = typeof answered === "string"
            reply.writeHead(200, { "content-type": isText ? "text/event-stream" : "application/json" })
            reply.end(isText ? answered : JSON.stringify(answered))
          })
        })
        return new Promise<typeof server>((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)))
      }),
      (server) =>
        Effect.promise(() => {
          server.closeAllConnections()
          return new Promise((resolve) => server.close(resolve))
        })
    ),
    (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  )

const last = <E, R>(
  stream: Stream.Stream<ResponseEvent.ResponseEvent, E, R>
): Effect.Effect<LlmResponse.LlmResponse, E, R> =>
  Effect.map(Stream.runCollect(stream), (all) => {
    const event = all.at(-1)
    if (event?._tag !== "Completed") throw new Error("The stream has no end")
    return event.response
  })

const events = (all: ReadonlyArray<object>): string =>
  `${all.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")}data: [DONE]\n\n`

const completion = {
  id: "chatcmpl-1",
  object: "chat.completion",
  model: "gpt-5.5",
  choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }]
}

const chunks = (root: object, choice: object = {}): ReadonlyArray<object> => [
  { id: "c", model: "gpt-5.5", choices: [{ index: 0, delta: { role: "assistant", content: "Hi" } }] },
  { id: "c", model: "gpt-5.5", choices: [{ index: 0, delta: {}, finish_reason: "stop", ...choice }], ...root }
]

const response = {
  id: "resp_1",
  object: "response",
  model: "gpt-5.5",
  status: "completed",
  output: [{ type: "message", id: "msg_1", role: "assistant", content: [{ type: "output_text", text: "Hi" }] }],
  usage: { input_tokens: 1000, output_tokens: 0, total_tokens: 1000 }
}

function moonshot() {
  return { prompt_tokens: 100, completion_tokens: 5, total_tokens: 105, cached_tokens: 40 }
}
