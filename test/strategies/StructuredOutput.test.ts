import { assert, describe, it } from "@effect/vitest"
import { Context, DateTime, Effect, Fiber, Layer, Schema, SchemaGetter, Stream } from "effect"
import { TestClock } from "effect/testing"
import {
  BackgroundJob,
  Holdfast,
  type LlmResponse,
  PriceCatalog,
  type Provider,
  Reason,
  type ResponseRequest,
  SessionStore,
  Usage
} from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import { expectTypeOf } from "vitest"
import { begin, factsOf, request, settleDown, start, tagsOf, withoutJitter } from "./Processes.ts"
import { incomplete, overloaded } from "./Verdicts.ts"

const { accepted, ended, failed, refuses, succeeded } = ScriptedProvider

const City = Schema.Struct({ name: Schema.String, people: Schema.Int })

const oslo = succeeded(`{"name":"Oslo","people":7}`)
const usage = new Usage.Usage({
  inputTokens: 3,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 4,
  reasoningTokens: 0,
  totalTokens: 7
})
const nameless = succeeded(`{"people":7}`, { usage })
const asked = { ...request(), schema: City }
const held = { ...asked, strategy: "sync" } as const

describe("a request with a schema", () => {
  describe("its value", () => {
    it.effect.each(["background", "sync", "completions"] as const)(
      "is decoded, by the strategy %s",
      (strategy) =>
        Effect.gen(function*() {
          const process = yield* start(yield* answering(oslo))
          const answer = yield* process.execute({ ...asked, strategy })

          assert.deepStrictEqual(answer.value, { name: "Oslo", people: 7 })
          assert.deepInclude(answer, { content: `{"name":"Oslo","people":7}`, settled: true, attempts: 1 })
        })
    )

    it.effect("has the schema's type, and is what the schema makes of the text", () =>
      Effect.gen(function*() {
        const schema = Schema.Struct({ at: Schema.DateTimeUtcFromString, tags: Schema.Array(Schema.String) })
        const process = yield* start(yield* answering(succeeded(`{"at":"2026-01-02T03:04:05Z","tags":[]}`)))
        const answer = yield* process.execute({ ...request(), schema })

        expectTypeOf(answer.value).toEqualTypeOf<typeof schema.Type | undefined>()
        assert.strictEqual(answer.value && DateTime.toEpochMillis(answer.value.at), Date.UTC(2026, 0, 2, 3, 4, 5))
      }))

    it("has a type only where there is a schema", () => {
      const typed = () => Holdfast.execute({ model: "openai/gpt-5", prompt: "Hi", schema: City })
      const plain = () => Holdfast.execute({ model: "openai/gpt-5", prompt: "Hi" })
      const generic = <A>(schema: Schema.Decoder<A>): Effect.Effect<A | undefined, unknown, Holdfast.Holdfast> =>
        Effect.map(Holdfast.execute({ model: "openai/gpt-5", prompt: "Hi", schema }), ({ value }) => value)
      const service = Schema.String.pipe(
        Schema.decodeTo(Schema.String, {
          decode: SchemaGetter.transformEffect((text: string) => Effect.as(Holdfast.Holdfast, text)),
          encode: SchemaGetter.passthrough()
        })
      )

      expectTypeOf<Effect.Success<ReturnType<typeof typed>>["value"]>().toEqualTypeOf<typeof City.Type | undefined>()
      expectTypeOf<Effect.Success<ReturnType<typeof plain>>>().toEqualTypeOf<LlmResponse.LlmResponse>()
      expectTypeOf<Effect.Success<ReturnType<typeof typed>>>().toExtend<LlmResponse.LlmResponse>()
      expectTypeOf<{ readonly model: string; readonly prompt: string; readonly schema: typeof service }>()
        .not.toExtend<ResponseRequest.RequestInput>()
      // @ts-expect-error a misspelt option is told before the program runs
      const misspelt = () => Holdfast.execute({ model: "openai/gpt-5", prompt: "Hi", schema: City, temprature: 1 })
      expectTypeOf(misspelt).toBeFunction()
      expectTypeOf(generic(City)).toExtend<Effect.Effect<typeof City.Type | undefined, unknown, Holdfast.Holdfast>>()
    })

    it.effect("comes from the journal too, decoded again", () =>
      Effect.gen(function*() {
        const provider = yield* answering(oslo)
        const process = yield* start(provider)
        yield* process.execute(asked)
        const again = yield* process.execute(asked)
        const another = yield* start(provider, process.store)
        const elsewhere = yield* another.execute(asked)

        assert.deepStrictEqual(again.value, { name: "Oslo", people: 7 })
        assert.deepInclude(elsewhere, { value: { name: "Oslo", people: 7 }, resumed: true })
        assert.strictEqual(provider.calls().length, 1)
      }))

    it.effect.each([
      `<think>Is it {"name":"Bergen","people":1}?</think> No: {"name":"Oslo","people":7}`,
      `Not {"name":"Bergen","people":1}:\n\`\`\`json\n{"name":"Oslo","people":7}\n\`\`\`\nIn [0, 1).`
    ])("is the same from the journal, whatever stands around it", (text) =>
      Effect.gen(function*() {
        const provider = yield* answering(succeeded(text))
        const process = yield* start(provider)
        const first = yield* process.execute(asked)
        const another = yield* start(provider, process.store)
        const again = yield* another.execute(asked)

        assert.deepStrictEqual(first.value, { name: "Oslo", people: 7 })
        assert.deepStrictEqual(again.value, first.value)
        assert.strictEqual(again.content, text)
      }))

    it.effect("comes from a job that is fetched again by its id", () =>
      Effect.gen(function*() {
        const provider = yield* answering(oslo, { retrieve: [ended(oslo)] })
        const process = yield* start(provider)
        const first = yield* process.execute({ ...asked, journal: "ids-only" })
        const again = yield* process.execute({ ...asked, journal: "ids-only" })

        assert.deepStrictEqual(again.value, first.value)
        assert.deepStrictEqual(provider.calls().map(({ operation }) => operation), ["submit", "retrieve"])
      }))

    it.effect("is each caller's, whoever started the run", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({ submit: [accepted("job-1")], retrieve: [ended(oslo)] })
        const process = yield* start(provider)
        const one = yield* begin(process.execute(asked))
        const other = yield* begin(process.execute(asked))
        yield* TestClock.adjust("1 second")

        assert.deepStrictEqual((yield* Fiber.join(one)).value, { name: "Oslo", people: 7 })
        assert.deepStrictEqual((yield* Fiber.join(other)).value, { name: "Oslo", people: 7 })
        assert.strictEqual(provider.calls("submit").length, 1)
      }).pipe(withoutJitter))

    it.effect("is not there when the model only called tools", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* answering(succeeded("", { finishReason: "tool-calls" })))
        const answer = yield* process.execute(asked)

        assert.notProperty(answer, "value")
        assert.deepInclude(answer, { finishReason: "tool-calls", settled: true })
      }))

    it.effect("is not there after resume, which knows no schema", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* answering(oslo))
        yield* process.execute(asked)

        assert.notProperty(yield* process.resume("s"), "value")
      }))

    it.effect("is in the last event of a stream", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* answering(oslo))
        const events = yield* Stream.runCollect(process.stream(asked))

        const last = events.at(-1)
        const value = last?._tag === "Completed" ? last.response.value : undefined

        expectTypeOf(value).toEqualTypeOf<typeof City.Type | undefined>()
        assert.deepStrictEqual(value, { name: "Oslo", people: 7 })
      }))

    it.effect("has its type in a strategy's own service, too, whose answers are priced", () =>
      Effect.gen(function*() {
        const provider = yield* answering(succeeded(`{"name":"Oslo","people":7}`, { usage }))
        const overrides = { "test/anything": { inputPerMillion: 1, outputPerMillion: 2 } }
        const layer = Layer.provide(BackgroundJob.layer, [provider.layer, SessionStore.layerMemory])
        const { execute, stream } = Context.get(yield* Layer.build(layer), BackgroundJob.BackgroundJob)
        const answer = yield* execute(asked).pipe(Effect.provide(PriceCatalog.layer({ overrides })))
        const streamed = Effect.flatMap(Stream.runLast(stream(asked)), Effect.fromOption)
        const last = yield* streamed.pipe(Effect.provide(PriceCatalog.layer({ overrides })))
        const { value } = answer

        expectTypeOf(value).toEqualTypeOf<typeof City.Type | undefined>()
        assert.deepStrictEqual(value, { name: "Oslo", people: 7 })
        assert.strictEqual(answer.cost?.nanoUsd, 11_000)
        assert.containSubset(last, { response: { value, cost: { nanoUsd: 11_000 } } })
      }))
  })

  describe("an answer that does not fit", () => {
    it.effect.each([asked, held])(
      "is settled as InvalidOutput, with the text, the issues and the usage",
      (request) =>
        Effect.gen(function*() {
          const provider = yield* answering(nameless)
          const process = yield* start(provider)
          const error = yield* Effect.flip(process.execute(request))
          const again = yield* Effect.flip(process.execute(request))

          assert.containSubset(error, {
            _tag: "NonRetryable",
            reason: { _tag: "InvalidOutput", content: `{"people":7}`, issues: "name: Missing key", usage },
            session: "s"
          })
          assert.deepStrictEqual(again, error)
          assert.strictEqual((yield* process.inspect("s")).state, "settled")
          assert.strictEqual(provider.calls().length, 1)
        })
    )

    it.effect("leaves no text in a journal of ids", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* answering(nameless, { retrieve: [ended(nameless)] }))
        yield* Effect.flip(process.execute({ ...asked, journal: "ids-only", repair: 1 }))
        const again = yield* Effect.flip(process.execute({ ...asked, journal: "ids-only", repair: 1 }))
        const { entries } = yield* process.store.load("s")

        assert.notInclude(JSON.stringify(entries), "people")
        assert.strictEqual(factsOf(again).reason, "InvalidOutput")
      }))

    it.effect("is not confused with one that was cut", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* answering(failed(incomplete)))
        const error = yield* Effect.flip(process.execute({ ...asked, repair: 3 }))

        assert.strictEqual(factsOf(error).reason, "Incomplete")
      }))
  })

  describe("another schema under the same key", () => {
    it.effect.each<ResponseRequest.RequestInput>([
      { ...request(), schema: Schema.Struct({ name: Schema.String }) },
      request()
    ])("is SessionMismatch, and so is none", (other) =>
      Effect.gen(function*() {
        const provider = yield* answering(oslo)
        const process = yield* start(provider)
        yield* process.execute(asked)
        const error = yield* Effect.flip(process.execute(other))

        assert.deepStrictEqual(factsOf(error), { _tag: "NonRetryable", reason: "SessionMismatch", session: "s" })
        assert.strictEqual(provider.calls().length, 1)
      }))

    it.effect("may be the same one, made again", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* answering(oslo))
        yield* process.execute(asked)
        const again = yield* process.execute({
          ...request(),
          schema: Schema.Struct({ name: Schema.String, people: Schema.Int }),
          repair: 2
        })

        assert.deepStrictEqual(again.value, { name: "Oslo", people: 7 })
      }))
  })

  describe("repair", () => {
    it.effect.each([asked, held])(
      "sends the answer back with what is wrong, as one more attempt",
      (request) =>
        Effect.gen(function*() {
          const provider = yield* answering(nameless, {}, oslo)
          const process = yield* start(provider)
          const answer = yield* process.execute({ ...request, repair: 1 })
          const [first, second] = provider.calls()
          const { entries } = yield* process.store.load("s")

          assert.deepStrictEqual(answer.value, { name: "Oslo", people: 7 })
          assert.deepInclude(answer, { attempts: 2, submissions: 2, settled: true })
          assert.isUndefined(first?.request?.messages)
          assert.deepStrictEqual(second?.request?.messages, [
            { role: "user", content: "Name the capital of France." },
            { role: "assistant", content: `{"people":7}` }
          ])
          assert.include(String(second?.request?.prompt), "name: Missing key")
          assert.deepStrictEqual(
            entries.flatMap((entry) => entry._tag === "Submitting" ? [entry.purpose] : []),
            ["answer", "repair"]
          )
        })
    )

    it.effect("is done as often as the request says, and then the answer is InvalidOutput", () =>
      Effect.gen(function*() {
        const provider = yield* answering(nameless)
        const process = yield* start(provider)
        const error = yield* Effect.flip(process.execute({ ...asked, repair: 2 }))

        assert.strictEqual(factsOf(error).reason, "InvalidOutput")
        assert.strictEqual(provider.calls("submit").length, 3)
        assert.deepStrictEqual((yield* tagsOf(process.store)).filter((tag) => tag === "Ended" || tag === "Settled"), [
          "Ended",
          "Ended",
          "Settled"
        ])
      }))

    it.effect("sends back the last answer, not the ones before", () =>
      Effect.gen(function*() {
        const provider = yield* answering(nameless, {}, succeeded(`{"name":1,"people":7}`), oslo)
        const process = yield* start(provider)
        yield* process.execute({ ...asked, repair: 2 })
        const third = provider.calls("submit")[2]?.request

        assert.strictEqual(third?.messages?.length, 2)
        assert.strictEqual(third?.messages?.[1]?.content, `{"name":1,"people":7}`)
      }))

    it.effect("has retries of its own", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          create: [
            refuses(overloaded),
            refuses(overloaded),
            Effect.succeed(nameless),
            refuses(overloaded),
            Effect.succeed(oslo)
          ]
        })
        const process = yield* start(provider)
        const fiber = yield* begin(process.execute({ ...held, repair: 1 }))
        yield* TestClock.adjust("10 seconds")
        const answer = yield* Fiber.join(fiber)

        assert.deepInclude(answer, { attempts: 5, submissions: 5, value: { name: "Oslo", people: 7 } })
        assert.deepStrictEqual(provider.calls().map(({ at }) => at), [0, 500, 1500, 1500, 2000])
      }).pipe(withoutJitter))

    it.effect("sends back an answer that the host itself found not to fit, as a job or a held call", () =>
      Effect.gen(function*() {
        for (const request of [asked, held]) {
          const refused = failed({
            _tag: "NonRetryable",
            reason: new Reason.InvalidOutput({ message: "Failed to generate JSON", content: `{"people":7}` })
          })
          const provider = yield* answering(refused, {}, oslo)
          const process = yield* start(provider)
          const answer = yield* process.execute({ ...request, repair: 1 })
          const second = provider.calls()[1]?.request

          assert.deepStrictEqual(answer.value, { name: "Oslo", people: 7 })
          assert.strictEqual(second?.messages?.at(-1)?.content, `{"people":7}`)
          assert.include(String(second?.prompt), "Failed to generate JSON")
        }
      }))

    it.effect("works without a session", () =>
      Effect.gen(function*() {
        const process = yield* start(yield* answering(nameless, {}, oslo))
        const answer = yield* process.execute({ ...asked, session: undefined, repair: 1 })

        assert.deepInclude(answer, { attempts: 2, value: { name: "Oslo", people: 7 }, settled: false })
      }))

    it.effect("is bounded across processes", () =>
      Effect.gen(function*() {
        const provider = yield* ScriptedProvider.make({
          submit: [accepted("job-1", { _tag: "Ended", outcome: nameless }), accepted("job-2")],
          retrieve: [ended(nameless)]
        })
        const process = yield* start(provider)
        yield* begin(Effect.exit(process.execute({ ...asked, repair: 1 })))
        yield* settleDown
        yield* begin(process.close)
        const next = yield* start(provider, process.store)
        const fiber = yield* begin(Effect.flip(next.execute({ ...asked, repair: 1 })))
        yield* TestClock.adjust("1 second")
        const error = yield* Fiber.join(fiber)

        assert.strictEqual(factsOf(error).reason, "InvalidOutput")
        assert.strictEqual(provider.calls("submit").length, 2)
        assert.strictEqual((yield* next.inspect("s")).state, "settled")
      }).pipe(withoutJitter))

    it.effect("comes before another model, which InvalidOutput in fallbackOn allows", () =>
      Effect.gen(function*() {
        const provider = yield* answering(nameless, {}, nameless, oslo)
        const process = yield* start(provider)
        const answer = yield* process.execute({
          ...asked,
          repair: 1,
          fallback: ["test/other"],
          fallbackOn: ["InvalidOutput"]
        })
        const { calls } = provider

        assert.deepStrictEqual(calls().map(({ request }) => request?.model), [
          "test/anything",
          "test/anything",
          "test/other"
        ])
        assert.isUndefined(calls()[2]?.request?.messages)
        assert.deepStrictEqual(answer.passedOver?.map(({ reason }) => reason._tag), ["InvalidOutput"])
        assert.deepStrictEqual(answer.value, { name: "Oslo", people: 7 })
      }))

    it.effect("does not happen once a stream has told something", () =>
      Effect.gen(function*() {
        const told: ReadonlyArray<Provider.StreamEvent> = [
          { _tag: "Started", responseId: "job-1" },
          { _tag: "Text", delta: `{"people":7}` },
          { _tag: "Ended", outcome: nameless }
        ]
        const provider = yield* ScriptedProvider.make({ submit: [], submitStream: [Stream.fromIterable(told)] })
        const process = yield* start(provider)
        const error = yield* Effect.flip(Stream.runCollect(process.stream({ ...asked, repair: 3 })))

        assert.strictEqual(factsOf(error).reason, "InvalidOutput")
        assert.strictEqual(provider.calls("submitStream").length, 1)
      }))
  })

  describe("in tests of programs", () => {
    const program = Holdfast.execute({ model: "openai/gpt-5.5-pro", prompt: "Which city?", session: "s", schema: City })

    it.effect("is answered by layerTest", () =>
      Effect.gen(function*() {
        assert.deepStrictEqual((yield* program).value, { name: "Oslo", people: 7 })
      }).pipe(Effect.provide(Holdfast.layerTest(() => `{"name":"Oslo","people":7}`))))

    it.effect("fails in layerTest as it does for real", () =>
      Effect.gen(function*() {
        assert.strictEqual(factsOf(yield* Effect.flip(program)).reason, "InvalidOutput")
      }).pipe(Effect.provide(Holdfast.layerTest(() => "Oslo"))))
  })
})

/** A provider whose submissions and held calls give these outcomes, one after the other. */
const answering = (
  first: Provider.Outcome,
  script: ScriptedProvider.Script = {},
  ...others: ReadonlyArray<Provider.Outcome>
): Effect.Effect<ScriptedProvider.ScriptedProvider> => {
  const calls = [first, ...others].map((outcome) => Effect.succeed(outcome))
  return ScriptedProvider.make({
    submit: [first, ...others].map((outcome, index) => accepted(`job-${index + 1}`, { _tag: "Ended", outcome })),
    create: calls,
    complete: calls,
    ...script
  })
}
