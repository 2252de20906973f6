import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema, Stream } from "effect"
import { Holdfast, Providers, Reason, type ResponseRequest, SessionStore, StrategyError } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import * as AnsweringServer from "../fixtures/AnsweringServer.ts"

type Answers = Readonly<Record<string, AnsweringServer.Answer>>

describe("the models of a request with fallback", () => {
  it.live.each(["execute", "stream"] as const)(
    "that cannot take the request are passed over, and those behind them asked: %s",
    (how) =>
      Effect.gen(function*() {
        const { answer, asked } = yield* called(how, { fallback: [claude, groq], temperature: 0.2 }, {
          "/openai": outOfMoney,
          "/groq": saved
        })

        assert.strictEqual(answer.content, "saved")
        assert.deepStrictEqual(namesOf(answer.passedOver), [[openai, "QuotaExceeded"], [claude, "InvalidRequest"]])
        assert.deepStrictEqual(asked, ["/openai", "/groq"])
      })
  )

  it.live("that cannot take the request are passed over when they are the first", () =>
    Effect.gen(function*() {
      const { answer, asked } = yield* called("execute", { model: claude, fallback: [groq], temperature: 0.2 }, {
        "/groq": saved
      })

      assert.deepStrictEqual(namesOf(answer.passedOver), [[claude, "InvalidRequest"]])
      assert.deepStrictEqual(asked, ["/groq"])
      assert.strictEqual(answer.submissions, 1)
    }))

  it.live("without a key are passed over, and those behind them asked", () =>
    Effect.gen(function*() {
      for (const model of [openai, "mistral/m"]) {
        const { answer } = yield* called("execute", { model, fallback: ["cohere/m", groq] }, {
          "/openai": outOfMoney,
          "/groq": saved
        })

        assert.deepStrictEqual(namesOf(answer.passedOver), [
          [model, model === openai ? "QuotaExceeded" : "ProviderNotConfigured"],
          ["cohere/m", "ProviderNotConfigured"]
        ])
      }
    }))

  it.live.each<readonly [string, Partial<ResponseRequest.RequestInput>, string, string]>([
    ["a misspelt provider behind the first", { fallback: ["opnai/gpt-5", groq] }, "ProviderNotConfigured", "opnai"],
    ["a misspelt provider before others", { model: "opnai/gpt-5", fallback: [groq] }, "ProviderNotConfigured", "opnai"],
    ["an unknown bare name", { fallback: [groq, "no-such-model-anywhere"] }, "ProviderNotConfigured", "no-such-model"],
    ["a fallback without a key", { fallback: ["cohere/m"] }, "ProviderNotConfigured", "cohere/m: "],
    [
      "a fallback that cannot take the request",
      { fallback: [claude], temperature: 0.2 },
      "InvalidRequest",
      `${claude}: `
    ],
    ["only such", { fallback: [claude, "cohere/m"], temperature: 0.2 }, "ProviderNotConfigured", "; cohere/m: "],
    ["a strategy that no provider has", { strategy: "background", fallback: [groq] }, "InvalidRequest", "background"]
  ])("are checked before anything is sent: %s", ([, request, reason, words]) =>
    Effect.gen(function*() {
      for (const session of [undefined, "s"]) {
        const { asked, error } = yield* refused({ session, ...request }, { "/openai": saved, "/groq": saved })

        assert.strictEqual(error._tag, "NonRetryable")
        assert.strictEqual(reasonOf(error)?._tag, reason)
        assert.include(reasonOf(error)?.message, words)
        assert.deepStrictEqual(asked, [])
      }
    }))

  it.live("are not checked again for a session that is settled", () =>
    Effect.gen(function*() {
      const server = yield* serving({ "/openai": saved })
      const store = yield* Layer.build(SessionStore.layerMemory)
      const run = (request: Partial<ResponseRequest.RequestInput>) =>
        Effect.provide(
          Holdfast.execute({ ...base, session: "s", ...request }),
          Holdfast.layer.pipe(Layer.provide([Layer.succeedContext(store), Providers.layer(settingsOf(server.url))]))
        )
      yield* run({})
      const answer = yield* run({ fallback: ["opnai/gpt-5"] })

      assert.strictEqual(answer.content, "saved")
      assert.strictEqual(server.asked.length, 1)
    }))

  it.live("are named by the error when none could answer, the first real cause first", () =>
    Effect.gen(function*() {
      const { error } = yield* refused({ fallback: [claude, groq, "cohere/m"], temperature: 0.2 }, {
        "/openai": outOfMoney,
        "/groq": { status: 401, body: { error: { message: "Wrong key", code: "invalid_api_key" } } }
      })
      const codec = Schema.toCodecJson(StrategyError.StrategyError)
      const text = JSON.stringify(yield* Schema.encodeEffect(codec)(error))
      const back = yield* Schema.decodeUnknownEffect(codec)(JSON.parse(text))

      assert.strictEqual(reasonOf(error)?._tag, "AuthenticationFailed")
      assert.deepStrictEqual(namesOf(error.passedOver), [[openai, "QuotaExceeded"], [claude, "InvalidRequest"]])
      assert.deepStrictEqual(back, error)
    }))

  it.live("are named by a Retryable and by a Timeout, too", () =>
    Effect.gen(function*() {
      const limited = { status: 429, headers: { "retry-after": "3600" }, body: "" }
      const retryable = yield* refused({ fallback: [groq] }, { "/openai": outOfMoney, "/groq": limited })
      const timeout = yield* refused({ fallback: [groq], deadline: "200 millis" }, {
        "/openai": outOfMoney,
        "/groq": { ...saved, silentMillis: 2000 }
      })

      assert.deepStrictEqual([retryable.error._tag, timeout.error._tag], ["Retryable", "Timeout"])
      for (const { error } of [retryable, timeout]) {
        assert.deepStrictEqual(namesOf(error.passedOver), [[openai, "QuotaExceeded"]])
      }
    }))

  it.live("are named by the end that a session was settled with", () =>
    Effect.gen(function*() {
      const filtered = {
        body: {
          ...(saved.body as object),
          choices: [{ index: 0, message: { content: "" }, finish_reason: "content_filter" }]
        }
      }
      const server = yield* serving({ "/openai": outOfMoney, "/groq": filtered })
      const call = Effect.flip(Holdfast.execute({ ...base, session: "s", fallback: [groq] }))
      const [first, again] = yield* Effect.provide(
        Effect.all([call, call]),
        Holdfast.layer.pipe(Layer.provide([SessionStore.layerMemory, Providers.layer(settingsOf(server.url))]))
      )

      assert.strictEqual(server.asked.length, 2)
      assert.deepStrictEqual(namesOf(first.passedOver), [[openai, "QuotaExceeded"]])
      assert.deepStrictEqual(namesOf(again.passedOver), [[openai, "QuotaExceeded"]])
    }))

  it.effect("that a provider of one's own refuses before it sends are passed over, whatever fallbackOn says", () =>
    Effect.gen(function*() {
      const reason = new Reason.InvalidRequest({ message: "Not by this one" })
      const a = yield* ScriptedProvider.make({
        complete: [ScriptedProvider.fails({ _tag: "NonRetryable", reason }, "NotSent")]
      })
      const b = yield* ScriptedProvider.make({
        complete: [Effect.succeed(ScriptedProvider.succeeded("saved"))]
      })
      const answer = yield* Effect.provide(
        Holdfast.execute({ ...base, model: "a/m", fallback: ["b/m"], fallbackOn: ["Overloaded"] }),
        Holdfast.layer.pipe(
          Layer.provide([SessionStore.layerMemory, Providers.layer({ a: a.provider, b: b.provider })])
        )
      )

      assert.strictEqual(answer.content, "saved")
      assert.deepStrictEqual(namesOf(answer.passedOver), [["a/m", "InvalidRequest"]])
    }))

  it.live("are not named by the error of a request without fallback", () =>
    Effect.gen(function*() {
      const { error } = yield* refused({}, { "/openai": outOfMoney })

      assert.isUndefined(error.passedOver)
    }))
})

const openai = "openai/gpt-4.1"
const claude = "anthropic/claude-opus-5"
const groq = "groq/llama-4"

const base = { model: openai, prompt: "x", strategy: "completions" } as const

const outOfMoney: AnsweringServer.Answer = {
  status: 429,
  body: { error: { message: "You exceeded your current quota", code: "insufficient_quota" } }
}

const saved: AnsweringServer.Answer = {
  body: {
    id: "chatcmpl-1",
    object: "chat.completion",
    model: "m",
    choices: [{ index: 0, message: { role: "assistant", content: "saved" }, finish_reason: "stop" }],
    usage: { prompt_tokens: 3, completion_tokens: 2, total_tokens: 5 }
  }
}

const serving = (answers: Answers) =>
  AnsweringServer.make(({ path }) =>
    Object.entries(answers).find(([prefix]) => path.startsWith(prefix))?.[1] ?? { status: 404, body: "unexpected" }
  )

const settingsOf = (url: string): Providers.Settings => {
  const apiKey = Redacted.make("sk-test-0000")
  return {
    openai: { baseUrl: `${url}/openai/v1`, apiKey },
    anthropic: { baseUrl: `${url}/anthropic`, apiKey },
    groq: { baseUrl: `${url}/groq/v1`, apiKey }
  }
}

const run = Effect.fnUntraced(function*<A, E>(answers: Answers, call: Effect.Effect<A, E, Holdfast.Holdfast>) {
  const server = yield* serving(answers)
  const layer = Holdfast.layer.pipe(Layer.provide([SessionStore.layerMemory, Providers.layer(settingsOf(server.url))]))
  const result = yield* Effect.result(Effect.provide(call, layer))
  return { result, asked: server.asked.map(({ path }) => path.slice(0, path.indexOf("/", 1))) }
})

const called = Effect.fnUntraced(
  function*(how: "execute" | "stream", more: Partial<ResponseRequest.RequestInput>, answers: Answers) {
    const request = { ...base, ...more }
    const answer = how === "execute"
      ? Holdfast.execute(request)
      : Effect.map(Stream.runCollect(Holdfast.stream(request)), (events) => {
        const last = events.at(-1)
        if (last?._tag !== "Completed") throw new Error("The stream has no last event")
        return last.response
      })
    const { asked, result } = yield* run(answers, answer)
    return { asked, answer: yield* Effect.fromResult(result) }
  }
)

const refused = Effect.fnUntraced(function*(more: Partial<ResponseRequest.RequestInput>, answers: Answers) {
  const { asked, result } = yield* run(answers, Holdfast.execute({ ...base, ...more }))
  if (result._tag === "Success") throw new Error("The call succeeded")
  return { asked, error: result.failure }
})

const reasonOf = (error: StrategyError.StrategyError) => error._tag === "Timeout" ? undefined : error.reason

const namesOf = (passedOver: ReadonlyArray<StrategyError.PassedOver> = []) =>
  passedOver.map(({ model, reason }) => [model, reason._tag])
