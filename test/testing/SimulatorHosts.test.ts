import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Simulator } from "holdfast/testing"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import OpenAI from "openai"

describe("Simulator, as hosts and gateways", () => {
  it.live("answers a plain call with events, under the content type of the script", () =>
    simulated([{ times: "always", do: { _tag: "AsEvents" } }], async ({ post, script }) => {
      const chat = await post("/v1/chat/completions", { model: "m", messages })
      const message = await post("/v1/messages", { model: "m", max_tokens: 100, messages })
      await script([{ times: "always", do: { _tag: "AsEvents", contentType: "application/json" } }])
      const response = await post("/v1/responses", { model: "gpt-4o", input: "Hi" })

      assert.include(chat.type, "text/event-stream")
      assert.deepStrictEqual(chat.events.at(-1)?.["choices"], [])
      assert.include(chat.text, "data: [DONE]")
      assert.strictEqual(message.events.at(-1)?.["type"], "message_stop")
      assert.strictEqual(response.type, "application/json")
      assert.strictEqual(response.events.at(-1)?.["type"], "response.completed")
    }))

  it.live("answers a submission, a poll and a cancellation with events", () =>
    simulated([{ times: "always", do: { _tag: "AsEvents" } }], async ({ get, ledger, post }) => {
      const submitted = await post("/v1/responses", { model: "gpt-4o", input: "Hi", background: true })
      const response = submitted.events[0]?.["response"] as Json
      const polled = await get(`/v1/responses/${String(response["id"])}`)
      const cancelled = await post(`/v1/responses/${String(response["id"])}/cancel`, {})
      const batch = await post("/v1/messages/batches", batchRequest)

      assert.strictEqual(submitted.events[1]?.["type"], "response.queued")
      assert.strictEqual(polled.events.at(-1)?.["type"], "response.completed")
      assert.deepStrictEqual(cancelled.events.map(({ type }) => type), ["response.completed"])
      assert.strictEqual(batch.events[0]?.["type"], "message_batch")
      assert.include(batch.type, "text/event-stream")
      assert.deepInclude((await ledger()).jobs[0], { polls: 1, streams: [] })
    }))

  it.live("answers a call for a stream with JSON, and adds [DONE] to JSON", () =>
    simulated([{ times: "always", do: { _tag: "AsJson" } }], async ({ get, post, script }) => {
      const chat = await post("/v1/chat/completions", { model: "m", messages, stream: true })
      const held = await post("/v1/responses", { model: "gpt-4o", input: "Hi", stream: true })
      const job = await post("/v1/responses", { model: "gpt-4o", input: "Hi", stream: true, background: true })
      const again = await get(`/v1/responses/${String((JSON.parse(job.text) as Json)["id"])}?stream=true`)
      await script([{ do: { _tag: "AsJson", done: true } }])
      const done = await post("/v1/chat/completions", { model: "m", messages })

      const objects = [chat, held, job, again].map(({ text }) => (JSON.parse(text) as Json)["object"])
      assert.deepStrictEqual(objects, ["chat.completion", "response", "response", "response"])
      assert.isTrue([chat, held, job, again].every(({ type }) => type === "application/json"))
      assert.match(done.text, /^\{.*\}\ndata: \[DONE\]\n\n$/)
    }))

  it.live("ends without the output that it streamed", () =>
    simulated([{ times: "always", do: { _tag: "EmptyEnd" } }], async ({ post }) => {
      const { events } = await post("/v1/responses", { model: "gpt-4o", input: "Hi", stream: true })
      const plain = await post("/v1/responses", { model: "gpt-4o", input: "Hi" })

      assert.isTrue(events.some(({ type }) => type === "response.output_text.delta"))
      assert.deepInclude(events.at(-1)?.["response"] as Json, { status: "completed", output: [] })
      assert.deepInclude(JSON.parse(plain.text) as Json, { status: "completed", output: [] })
    }))

  it.live("invents a failure of a job that goes on and completes", () =>
    simulated([{ do: { _tag: "InventedFailure", after: 4 } }], async ({ get, post }) => {
      const { events } = await post("/v1/responses", { model: "gpt-4o", input: "Hi", stream: true, background: true })
      const last = events.at(-1)
      const { id } = last?.["response"] as { id: string }
      const states: Array<unknown> = []
      for (let poll = 0; poll < 2; poll++) {
        states.push((JSON.parse((await get(`/v1/responses/${id}`)).text) as Json).status)
      }

      assert.lengthOf(events, 5)
      assert.deepInclude(last, { type: "response.failed", sequence_number: 4 })
      assert.deepInclude(last?.["response"] as Json, {
        status: "failed",
        error: { code: "server_error", message: "Response payload is not completed" }
      })
      assert.deepStrictEqual(states, ["in_progress", "completed"])
    }))

  it.live("invents a failure of a stream without a job as an error event", () =>
    simulated([{ times: "always", do: { _tag: "InventedFailure", after: 2 } }], async ({ post }) => {
      const chat = await post("/v1/chat/completions", { model: "m", messages, stream: true })
      const message = await post("/v1/messages", { model: "m", max_tokens: 100, messages, stream: true })

      assert.nestedPropertyVal(chat.events.at(-1), "error.type", "server_error")
      assert.nestedPropertyVal(message.events.at(-1), "error.type", "api_error")
    }))

  it.live("repeats items with their ids", () =>
    simulated([{ times: "always", do: { _tag: "RepeatItems" } }], async ({ post }) => {
      const { events } = await post("/v1/responses", { model: "gpt-4o", input: "Hi", stream: true })
      const message = await post("/v1/messages", { model: "m", max_tokens: 100, messages, stream: true })
      const { output } = events.at(-1)?.["response"] as { output: ReadonlyArray<Json> }

      assert.lengthOf(output, 2)
      assert.deepStrictEqual(output[0], output[1])
      assert.lengthOf(events.filter(({ type }) => type === "response.output_item.done"), 2)
      assert.lengthOf(message.events.filter(({ type }) => type === "message_start"), 2)
    }))

  it.live.each(
    [["own", [0, 0, 1, 1]], ["zero", [0, 0, 0, 0]], ["null", [null, null, null, null]], ["none", [
      undefined,
      undefined,
      undefined,
      undefined
    ]]] as const
  )("makes tool calls with the index %s", ([index, indexes]) =>
    simulated([
      { times: "always", do: [{ _tag: "ToolCalls", index }, { _tag: "Job", outcome: "toolCall" }] }
    ], async ({ post }) => {
      const { events } = await post("/v1/chat/completions", { model: "m", messages, stream: true })
      const pieces = events.flatMap((event) => piecesOf(event))
      const plain = JSON.parse((await post("/v1/chat/completions", { model: "m", messages })).text) as ChatBody

      assert.deepStrictEqual(pieces.map((piece) => piece.index), [...indexes])
      assert.strictEqual(new Set(pieces.flatMap(({ id }) => id ?? [])).size, 2)
      assert.deepStrictEqual(pieces.map(({ id }) => id !== undefined), [true, false, true, false])
      assert.lengthOf(plain.choices[0].message.tool_calls, 2)
    }))

  it.live("resets the connection behind a whole answer", () =>
    simulated(
      [{ times: "always", do: { _tag: "CutAfterEnd", how: "reset" } }],
      async ({ anthropic, openai, script }) => {
        const chunks: Array<unknown> = []
        const chat = await openai.chat.completions.create({
          model: "m",
          messages: [...messages],
          stream: true,
          stream_options: { include_usage: true }
        })
        const cut = await endOf(chat, chunks)
        const events: Array<unknown> = []
        const message = await anthropic.messages.create({
          model: "m",
          max_tokens: 100,
          messages: [...messages],
          stream: true
        })
        const cutMessage = await endOf(message, events)
        const body = await endOf(openai.responses.create({ model: "gpt-4o", input: "Hi" }))
        await script([{ do: { _tag: "CutAfterEnd", how: "length" } }])
        const short = await endOf(openai.responses.create({ model: "gpt-4o", input: "Hi" }))

        assert.isDefined((chunks.at(-1) as Json)["usage"])
        assert.strictEqual((events.at(-1) as Json)["type"], "message_delta")
        assert.isTrue([cut, cutMessage, body, short].every((error) => error instanceof Error))
      }
    ))

  it.live("sends comments before it goes on", () =>
    simulated([{ do: { _tag: "Comments", after: 2, millis: 200 } }], async ({ post }) => {
      const startedAt = performance.now()
      const { events, text } = await post("/v1/chat/completions", { model: "m", messages, stream: true })

      assert.isAtLeast(performance.now() - startedAt, 190)
      assert.isAtLeast(text.split(": keep-alive\n\n").length, 8)
      assert.isAbove(text.indexOf(": keep-alive"), text.indexOf("data: "))
      assert.strictEqual(contentOf(events), echoed)
    }))
})

describe.skipIf(process.env["HOLDFAST_RECORDINGS"] === undefined)(
  "Simulator, compared with recordings of hosts",
  () => {
    it.live.each(
      [
        ["mistral", "mass-chat-mistral", ["num_cached_tokens"], ["prompt_tokens_details"]],
        ["moonshot", "chat-moonshot", ["cached_tokens"], ["prompt_tokens_details"]],
        ["perplexity", "chat-perplexity", ["cost", "search_context_size"], []],
        ["openrouter", "chat-stream-openrouter", ["cost"], []]
      ] as const
    )(
      "puts usage where %s puts it",
      ([host, file, present, absent]) =>
        simulated([{ do: { _tag: "UsageAs", host, usd: 0.5 } }], async ({ post }) => {
          const recorded = usageOf(recording(file))
          const served = usageOf((await post("/v1/chat/completions", { model: "m", messages })).text)

          for (const name of present) {
            assert.strictEqual(typeof served[name], typeof recorded[name], name)
          }
          for (const name of absent) assert.deepStrictEqual([name in served, name in recorded], [false, false], name)
          const cost = [recorded["cost"], served["cost"]].map((value) => Object(value)["total_cost"])
          assert.strictEqual(typeof cost[0], typeof cost[1])
        })
    )

    it.live.each(
      [["whole", "mass-chat-stream-perplexity"], ["piece", "mass-chat-stream-writer"]] as const
    )(
      "writes a message beside each delta, %s, as %s does",
      ([message, file]) =>
        simulated([{ do: { _tag: "Cumulative", message } }], async ({ post }) => {
          const { events } = await post("/v1/chat/completions", { model: "m", messages, stream: true })

          for (const chunks of [events, eventsOf(recording(file))]) {
            let told = ""
            for (const { choices: [choice] } of chunks as ReadonlyArray<unknown> as ReadonlyArray<ChatChunk>) {
              if (choice?.delta === undefined) continue
              told += choice.delta.content ?? ""
              assert.strictEqual(choice.message?.content ?? "", message === "whole" ? told : choice.delta.content ?? "")
            }
            assert.isNotEmpty(told)
          }
        })
    )

    it.live("repeats message_start as a gateway was recorded to do", () =>
      simulated([{ do: { _tag: "RepeatItems" } }], async ({ post }) => {
        const { events } = await post("/v1/messages", { model: "m", max_tokens: 100, messages, stream: true })
        const kinds = (all: ReadonlyArray<Json>) => all.slice(0, 3).map(({ type }) => type)

        assert.deepStrictEqual(kinds(events), kinds(eventsOf(recording("malformed-stream--vercel-ai--duplicate"))))
      }))
  }
)

type Json = Record<string, unknown>

interface Piece {
  readonly index?: number | null
  readonly id?: string
}

interface ChatChunk {
  readonly choices: ReadonlyArray<{
    readonly message?: { readonly content: string | null }
    readonly delta?: { readonly content?: string | null; readonly tool_calls?: ReadonlyArray<Piece> }
  }>
}

interface ChatBody {
  readonly choices: readonly [{ readonly message: { readonly tool_calls: ReadonlyArray<Piece> } }]
}

const messages = [{ role: "user", content: "Hi" }] as const

const echoed = "You asked: Hi (2 characters). This is the answer."

const batchRequest = { requests: [{ custom_id: "1", params: { model: "m", max_tokens: 100, messages } }] }

const piecesOf = (event: Json): ReadonlyArray<Piece> =>
  ((event as unknown) as ChatChunk).choices[0]?.delta?.tool_calls ?? []

const contentOf = (events: ReadonlyArray<Json>): string =>
  events.map((event) => ((event as unknown) as ChatChunk).choices[0]?.delta?.content ?? "").join("")

const eventsOf = (text: string): ReadonlyArray<Json> =>
  text.split("\n").flatMap((line) =>
    line.startsWith("data: ") && !line.includes("[DONE]") ? [JSON.parse(line.slice("data: ".length)) as Json] : []
  )

/** The usage of a body, or of the last event that has one. */
const usageOf = (text: string): Json => {
  const bodies = text.startsWith("{") ? [JSON.parse(text) as Json] : eventsOf(text)
  return bodies.flatMap(({ usage }) => typeof usage === "object" && usage !== null ? [usage as Json] : []).at(-1) ?? {}
}

const recording = (name: string): string => {
  const folder = process.env["HOLDFAST_RECORDINGS"] ?? ""
  const file = readdirSync(folder).find((file) => file.startsWith(name)) ?? name
  const { exchanges: [exchange] } = JSON.parse(readFileSync(join(folder, file), "utf8")) as {
    exchanges: [{ response: { body: unknown } }]
  }
  const { body } = exchange.response
  return typeof body === "string" ? body : JSON.stringify(body)
}

/** What a call or its stream fails with. */
const endOf = async (call: PromiseLike<unknown> | AsyncIterable<unknown>, events: Array<unknown> = []) => {
  try {
    if ("then" in call) await call
    else for await (const event of call) events.push(event)
    return undefined
  } catch (error) {
    return error
  }
}

interface Simulated {
  readonly openai: OpenAI
  readonly anthropic: Anthropic
  readonly post: (path: string, body: unknown) => Promise<Answered>
  readonly get: (path: string) => Promise<Answered>
  readonly script: (rules: ReadonlyArray<Simulator.Rule>) => Promise<void>
  readonly ledger: () => Promise<Simulator.Ledger>
}

interface Answered {
  readonly type: string
  readonly text: string
  readonly events: ReadonlyArray<Json>
}

const simulated = (script: ReadonlyArray<Simulator.Rule>, body: (simulated: Simulated) => Promise<void>) =>
  Simulator.Simulator.use((sim) => {
    const ask = async (path: string, init: RequestInit): Promise<Answered> => {
      const headers = { authorization: "Bearer sim", "anthropic-version": "2023-06-01" }
      const response = await fetch(`${sim.url}${path}`, { ...init, headers })
      const text = await response.text()
      return { type: response.headers.get("content-type") ?? "", text, events: eventsOf(text) }
    }
    return Effect.promise(() =>
      body({
        openai: new OpenAI({ apiKey: "sim", baseURL: sim.openAiBaseUrl, maxRetries: 0 }),
        anthropic: new Anthropic({ apiKey: "sim", baseURL: sim.anthropicBaseUrl, maxRetries: 0 }),
        post: (path, body) => ask(path, { method: "POST", body: JSON.stringify(body) }),
        get: (path) => ask(path, { method: "GET" }),
        script: (rules) => Effect.runPromise(sim.script(rules, { replace: true })),
        ledger: () => Effect.runPromise(sim.ledger)
      })
    )
  }).pipe(Effect.provide(Simulator.layer({ script, completeAfterPolls: 2 }), { local: true }))
