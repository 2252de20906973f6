/** Reads streamed answers in one way, and says what they took. */
import { Effect, ManagedRuntime, Redacted, Schema, Stream } from "effect"
import { Providers } from "holdfast"
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
  /** Pieces of text that came. */
  readonly deltas: number
}

/** Reads one answer, and returns how many pieces its text came in. */
type Read = () => Promise<number>

const model = "gpt-5.5"
const prompt = "Compare the three contracts and say which one ends first."
const apiKey = "sk-bench-0123456789"

const [variant = "", origin = ""] = process.argv.slice(2)

const holdfast = (strategy: "responses" | "completions") => (baseUrl: string): Read => {
  const runtime = ManagedRuntime.make(Providers.layer({ openai: { baseUrl, apiKey: Redacted.make(apiKey) } }))
  const request = Schema.decodeSync(ResponseRequest)({ model: `openai/${model}`, prompt })
  const read = Effect.gen(function*() {
    const { resolve } = yield* Providers.Providers
    const provider = yield* resolve(request.model)
    const events = provider[strategy]!.stream!(request)
    return yield* Stream.runFold(events, () => 0, (count, event) => event._tag === "Text" ? count + 1 : count)
  })
  return () => runtime.runPromise(read)
}

const bareResponses = (baseURL: string): Read => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 })
  return async () => {
    let count = 0
    for await (const event of await client.responses.create({ model, input: prompt, stream: true })) {
      if (event.type === "response.output_text.delta" && event.delta !== "") count++
    }
    return count
  }
}

const bareChat = (baseURL: string): Read => {
  const client = new OpenAI({ baseURL, apiKey, maxRetries: 0 })
  const messages = [{ role: "user" as const, content: prompt }]
  return async () => {
    let count = 0
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true }
    })
    for await (const { choices } of stream) if ((choices[0]?.delta.content ?? "") !== "") count++
    return count
  }
}

const variants: Readonly<Record<string, (baseUrl: string) => Read>> = {
  "holdfast, Responses": holdfast("responses"),
  "openai, Responses": bareResponses,
  "holdfast, Chat": holdfast("completions"),
  "openai, Chat": bareChat
}

const make = variants[variant]!
const readers = { paced: make(`${origin}/paced/v1`), fast: make(`${origin}/v1`) }

process.on("message", async ({ concurrency, isPaced, streams }: Question) => {
  const read = isPaced ? readers.paced : readers.fast
  const before = process.cpuUsage()
  const start = performance.now()
  let left = streams
  let deltas = 0
  const loop = async () => {
    while (left-- > 0) deltas += await read()
  }
  await Promise.all(Array.from({ length: concurrency }, loop))
  const { system, user } = process.cpuUsage(before)
  process.send?.({ cpuMicros: system + user, millis: performance.now() - start, deltas } satisfies Answer)
})

process.send?.("ready")
