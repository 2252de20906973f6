/** Reads streamed answers in one way, and says what they took. */
import { createOpenAI } from "@ai-sdk/openai"
import { streamText } from "ai"
import { Effect, Layer, ManagedRuntime, Redacted, Schema, Stream } from "effect"
import { Holdfast, Providers, SessionStore } from "holdfast"
import { ResponseRequest } from "holdfast/services/ResponseRequest"
import { OpenAI } from "openai"

export interface Question {
  readonly streams: number
  readonly concurrency: number
  readonly isPaced: boolean
}

export interface Answer {
  /** User and system time of the whole block. */
  readonly cpuMicros: number
  readonly millis: number
  /** Characters of text that came. */
  readonly characters: number
  /** From each call to its first piece of text. */
  readonly firstMillis: ReadonlyArray<number>
}

/** Reads one answer, and takes each piece of its text. */
type Read = (take: (delta: string) => void) => Promise<void>

const model = "gpt-5.5"
const prompt = "Compare the three contracts and say which one ends first."
const apiKey = "sk-bench-0123456789"

const [variant = "", origin = ""] = process.argv.slice(2)

const port = (strategy: "responses" | "completions") => (baseUrl: string): Read => {
  const runtime = ManagedRuntime.make(Providers.layer({ openai: { baseUrl, apiKey: Redacted.make(apiKey) } }))
  const request = Schema.decodeSync(ResponseRequest)({ model: `openai/${model}`, prompt })
  return (take) =>
    runtime.runPromise(Effect.gen(function*() {
      const { resolve } = yield* Providers.Providers
      const provider = yield* resolve(request.model)
      return yield* Stream.runForEachArray(provider[strategy]!.stream!(request), (events) =>
        Effect.sync(() => {
          for (const event of events) if (event._tag === "Text") take(event.delta)
        }))
    }))
}

const holdfast = (strategy: "sync" | "background" | "completions") => (baseUrl: string): Read => {
  const providers = Providers.layer({ openai: { baseUrl, apiKey: Redacted.make(apiKey) } })
  const runtime = ManagedRuntime.make(Holdfast.layer.pipe(Layer.provide([SessionStore.layerMemory, providers])))
  const stream = Holdfast.stream({ model: `openai/${model}`, prompt, strategy })
  return (take) =>
    runtime.runPromise(Stream.runForEachArray(stream, (events) =>
      Effect.sync(() => {
        for (const event of events) if (event._tag === "TextDelta") take(event.delta)
      })))
}

const ai = (api: "responses" | "chat") => (baseURL: string): Read => {
  const provider = createOpenAI({ baseURL, apiKey })
  return async (take) => {
    for await (const delta of streamText({ model: provider[api](model), prompt, maxRetries: 0 }).textStream) take(delta)
  }
}

const bareResponses = (baseURL: string): Read => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 })
  return async (take) => {
    for await (const event of await client.responses.create({ model, input: prompt, stream: true })) {
      if (event.type === "response.output_text.delta" && event.delta !== "") take(event.delta)
    }
  }
}

const bareChat = (baseURL: string): Read => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 })
  const messages = [{ role: "user" as const, content: prompt }]
  return async (take) => {
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true }
    })
    for await (const { choices } of stream) {
      const delta = choices[0]?.delta.content ?? ""
      if (delta !== "") take(delta)
    }
  }
}

const variants: Readonly<Record<string, (baseUrl: string) => Read>> = {
  "port, Responses": port("responses"),
  "stream, Responses": holdfast("sync"),
  "background stream, Responses": holdfast("background"),
  "openai, Responses": bareResponses,
  "ai, Responses": ai("responses"),
  "port, Chat": port("completions"),
  "stream, Chat": holdfast("completions"),
  "openai, Chat": bareChat,
  "ai, Chat": ai("chat")
}

const make = variants[variant]!
const readers = { paced: make(`${origin}/paced/v1`), fast: make(`${origin}/v1`) }

process.on("message", async ({ concurrency, isPaced, streams }: Question) => {
  const read = isPaced ? readers.paced : readers.fast
  const firstMillis: Array<number> = []
  let left = streams
  let characters = 0
  const loop = async () => {
    while (left-- > 0) {
      const calledAt = performance.now()
      let isFirst = true
      await read((delta) => {
        if (isFirst) firstMillis.push(performance.now() - calledAt)
        isFirst = false
        characters += delta.length
      })
    }
  }
  const before = process.cpuUsage()
  const start = performance.now()
  await Promise.all(Array.from({ length: concurrency }, loop))
  const { system, user } = process.cpuUsage(before)
  process.send?.(
    {
      cpuMicros: system + user,
      millis: performance.now() - start,
      characters,
      firstMillis
    } satisfies Answer
  )
})

process.send?.("ready")
