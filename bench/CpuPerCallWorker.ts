/** Makes blocks of calls in one way, and says what they took. */
import { createOpenAI } from "@ai-sdk/openai"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { generateText } from "ai"
import { Effect, Layer, ManagedRuntime, Redacted } from "effect"
import { Holdfast, Providers, SessionStore } from "holdfast"
import { OpenAI } from "openai"

export interface Question {
  /** None: only the memory is measured. */
  readonly calls: number
  readonly concurrency: number
}

export interface Answer {
  /** User and system time of the whole block. */
  readonly cpuMicros: number
  /** Bytes, after a collection when there were no calls. */
  readonly heapUsed: number
  readonly rss: number
}

type Block = (question: Question) => Promise<void>

const prompt = "Compare the three contracts and say which one ends first."
const model = "gpt-5.5"

const [variant = "", baseUrl = "", directory = ""] = process.argv.slice(2)

const holdfast = (store: Layer.Layer<SessionStore.SessionStore, unknown>, isSession: boolean): Block => {
  const providers = Providers.layer({ openai: { baseUrl, apiKey: Redacted.make("sk-bench-0123456789") } })
  const runtime = ManagedRuntime.make(Holdfast.layer.pipe(Layer.provide([store, providers])))
  let sessions = 0
  const call = Effect.suspend(() =>
    Holdfast.execute({
      model: `openai/${model}`,
      strategy: "sync",
      prompt,
      ...(isSession ? { session: `contract-${sessions++}` } : {})
    })
  )
  return ({ calls, concurrency }) =>
    runtime.runPromise(
      Effect.forEach(Array(calls).keys(), () => Effect.map(call, ({ content }) => check(content)), {
        concurrency,
        discard: true
      })
    )
}

const files = Layer.suspend(() => SessionStore.layerFileSystem({ directory })).pipe(
  Layer.provide([NodeFileSystem.layer, NodePath.layer])
)

const promises = (call: () => Promise<string>): Block => async ({ calls, concurrency }) => {
  let left = calls
  const loop = async () => {
    while (left-- > 0) check(await call())
  }
  await Promise.all(Array.from({ length: concurrency }, loop))
}

const openai = (): Block => {
  const client = new OpenAI({ baseURL: baseUrl, apiKey: "sk-bench-0123456789", maxRetries: 0 })
  return promises(async () => (await client.responses.create({ model, input: prompt })).output_text)
}

const ai = (): Block => {
  const provider = createOpenAI({ baseURL: baseUrl, apiKey: "sk-bench-0123456789" })
  return promises(async () => (await generateText({ model: provider.responses(model), prompt, maxRetries: 0 })).text)
}

const check = (text: string): void => {
  if (!text.startsWith("The first contract")) throw new Error(`Not the answer: ${text}`)
}

const blocks: Readonly<Record<string, () => Block>> = {
  "holdfast": () => holdfast(SessionStore.layerMemory, false),
  "holdfast, session in memory": () => holdfast(SessionStore.layerMemory, true),
  "holdfast, session in files": () => holdfast(files, true),
  openai,
  ai
}

const block = blocks[variant]!()

process.on("message", async (question: Question) => {
  const before = process.cpuUsage()
  await block(question)
  const { system, user } = process.cpuUsage(before)
  if (question.calls === 0) await collect()
  const { heapUsed, rss } = process.memoryUsage()
  process.send?.({ cpuMicros: system + user, heapUsed, rss } satisfies Answer)
})

// What finalizers let go is collected by the next one.
const collect = async (): Promise<void> => {
  for (let time = 0; time < 4; time++) {
    await globalThis.gc?.({ type: "major", execution: "async" })
    await new Promise((resolve) => setImmediate(resolve))
  }
}

process.send?.("ready")
