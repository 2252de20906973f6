import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Simulator } from "holdfast/testing"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"

const directory = process.env["HOLDFAST_RECORDINGS"]

describe("Simulator against recordings", () => {
  if (directory === undefined) {
    it.skip("is compared with real exchanges (skipped: HOLDFAST_RECORDINGS is not set)", () => {})
    return
  }
  const files = readdirSync(directory).filter((file) => relevant.test(file))

  it("finds the recordings", () => {
    assert.isAtLeast(files.length, 25)
  })

  it.live.each(files)(
    "serves what the provider served: %s",
    (file) =>
      Simulator.Simulator.use((sim) => Effect.promise(() => replay(sim, load(join(directory, file))))).pipe(
        Effect.provide(Simulator.layer({ jobDuration: "1 hour" }), { local: true })
      )
  )
})

const relevant =
  /^(background|background-cancelled|delete-then-404|incomplete|refusal|failed|anthropic-batch|azure-responses)--/

type Json = Record<string, unknown>

interface Exchange {
  readonly request?: { readonly method?: string; readonly url?: string; readonly body?: Json | null }
  readonly response: { readonly status: number; readonly headers: Record<string, string>; readonly body: unknown }
}

const load = (path: string): ReadonlyArray<Exchange> => JSON.parse(readFileSync(path, "utf8")).exchanges

/** Sends each recorded request, with the ids that the simulator gave, and compares the answers. */
const replay = async (sim: Simulator.Simulator["Service"], exchanges: ReadonlyArray<Exchange>) => {
  const ids = new Map<string, string>()
  for (const [index, exchange] of exchanges.entries()) {
    const { method = "POST", url } = exchange.request ?? {}
    if (url === undefined && !isStream(exchange)) continue
    const target = new URL(url ?? "https://api.openai.com/v1/responses")
    const isCreate = method === "POST" && !target.pathname.endsWith("/cancel")
    const recordedId = /(?:resp|msgbatch)_\w+/.exec(target.pathname)?.[0]
    if (isCreate) await Effect.runPromise(sim.script([{ do: jobOf(exchanges.slice(index)) }], { replace: true }))
    if (recordedId !== undefined && !ids.has(recordedId)) ids.set(recordedId, await freshBatch(sim))
    // A recorded list had more batches than it showed.
    if (method === "GET" && target.pathname.endsWith("/batches")) await freshBatch(sim).then(() => freshBatch(sim))
    const path = recordedId === undefined
      ? target.pathname
      : target.pathname.replace(recordedId, ids.get(recordedId) ?? "")
    const body = isCreate ? bodyOf(exchange) : undefined
    const response = await fetch(`${sim.url}${path}${target.search}`, {
      method,
      headers: { authorization: "Bearer sim", "anthropic-version": "2023-06-01" },
      ...(method === "POST" ? { body: JSON.stringify(body ?? {}) } : {})
    })
    const text = await response.text()

    assert.strictEqual(response.status, exchange.response.status)
    assert.strictEqual(response.headers.has("retry-after"), exchange.response.headers["retry-after"] !== undefined)
    const type = exchange.response.headers["content-type"]
    if (type !== undefined) assert.strictEqual(response.headers.get("content-type"), type)
    const served = eventsOf(text)
    const recorded = typeof exchange.response.body === "string"
      ? eventsOf(exchange.response.body)
      : [exchange.response.body as Json]
    if (isCreate) ids.set(idOf(recorded[0]), idOf(served[0]))
    compare(recorded, served)
  }
}

const isStream = (exchange: Exchange): boolean => /^(event|data):/m.test(String(exchange.response.body))

/** What the job that is created first in these exchanges has to do to answer like the recorded one. */
const jobOf = (exchanges: ReadonlyArray<Exchange>): Simulator.Action => {
  const first = exchanges[0]
  const body = first?.response.body
  const events = typeof body === "string" ? eventsOf(body) : [body as Json]
  const id = idOf(events[0])
  const polls = exchanges.slice(1)
    .filter((one) =>
      one.request?.method === "GET" && (one.request?.url ?? "").endsWith(id) ||
      (one.request?.url ?? "").endsWith(`${id}?stream=false`)
    )
    .map((one) => one.response.body as Json)
  const final = polls.at(-1) ?? (events.at(-1)?.["response"] ?? events.at(-1)) as Json
  const end = polls.findIndex((poll) =>
    poll["processing_status"] === "ended" ||
    !["queued", "in_progress"].includes(String(poll["status"] ?? "in_progress"))
  )
  const output = Array.isArray(final["output"]) ? final["output"] as ReadonlyArray<Json> : []
  const part = output.flatMap((item) => Array.isArray(item["content"]) ? item["content"] as ReadonlyArray<Json> : [])[0]
  const message = JSON.stringify([final, events])
  const call = output.find((item) => item["type"] === "function_call")
  const status = String(final["status"] ?? "completed")
  const polled = polls.length > 0 && end >= 0 ? { polls: end + 1 } : typeof body === "string" ? { polls: 1000 } : {}
  if (status === "queued") return { _tag: "Job", outcome: "stuck-queued" }
  if (status === "failed") {
    const error = final["error"] as { readonly code: string; readonly message: string }
    return { _tag: "Job", outcome: "failed", code: error.code, message: error.message, ...polled }
  }
  if (call !== undefined) return { _tag: "Job", outcome: "toolCall", text: String(call["arguments"]), ...polled }
  if (part?.["type"] === "refusal" || /"refusal":"[^"]/.test(message)) {
    return { _tag: "Job", outcome: "refused", text: "No, I can not do that", ...polled }
  }
  const text = typeof part?.["text"] === "string" ? part["text"] : "Four is the answer"
  return { _tag: "Job", outcome: status === "incomplete" ? "incomplete" : "completed", text, ...polled }
}

const bodyOf = (exchange: Exchange): Json => {
  const { body } = exchange.request ?? {}
  if (body !== undefined && body !== null && body["elided"] === undefined) return body
  const recorded = isStream(exchange) ? eventsOf(String(exchange.response.body))[0] : exchange.response.body as Json
  const response = (recorded?.["response"] ?? recorded ?? {}) as Json
  const model = body?.["model"] ?? response["model"] ?? "gpt-4o"
  const limit = response["max_output_tokens"] ?? undefined
  return {
    model,
    input: "elided",
    max_output_tokens: limit,
    ...(typeof exchange.response.body === "string" ? { stream: true } : {})
  }
}

const freshBatch = async (sim: Simulator.Simulator["Service"]): Promise<string> => {
  const params = { model: "claude-haiku-4-5", max_tokens: 10, messages: [{ role: "user", content: "Hi" }] }
  const response = await fetch(`${sim.url}/v1/messages/batches`, {
    method: "POST",
    headers: { "x-api-key": "sim" },
    body: JSON.stringify({ requests: [{ custom_id: "a", params }] })
  })
  return idOf(await response.json())
}

const idOf = (value: unknown): string => {
  const event = value as { readonly id?: string; readonly response?: { readonly id: string } } | undefined
  return event?.response?.id ?? event?.id ?? ""
}

/** The JSON values of a body: server-sent events, lines, or one object. */
const eventsOf = (text: string): ReadonlyArray<Json> => {
  const data = [...text.matchAll(/^data: (.*)$/gm)].map((match) => match[1] ?? "").filter((line) => line !== "[DONE]")
  const lines = data.length > 0 ? data : text.split("\n").filter((line) => line.trim() !== "")
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line)]
    } catch {
      return []
    }
  })
}

const compare = (recorded: ReadonlyArray<Json>, served: ReadonlyArray<Json>) => {
  const kinds = (events: ReadonlyArray<Json>) =>
    events.map((event) => String(event["type"] ?? event["object"] ?? "")).filter((kind, index, all) =>
      kind !== all[index - 1]
    )
  // A reasoning item is up to the model, so it is not part of the order.
  const isReasoning = (event: Json) => (event["item"] as Json | undefined)?.["type"] === "reasoning"
  const plain = (events: ReadonlyArray<Json>) => events.filter((event) => !isReasoning(event))
  assert.deepStrictEqual(kinds(plain(served)), kinds(plain(recorded)))
  if (recorded[0]?.["sequence_number"] !== undefined) {
    const start = Number(recorded[0]["sequence_number"])
    assert.deepStrictEqual(served.map((event) => event["sequence_number"]), served.map((_, index) => start + index))
  }
  for (const kind of new Set(kinds(plain(recorded)))) {
    const ofKind = (events: ReadonlyArray<Json>) =>
      plain(events).filter((event) => String(event["type"] ?? event["object"] ?? "") === kind)
    compareShapes(kind, shapeOf(ofKind(recorded)), shapeOf(ofKind(served)))
  }
}

/** Every recorded path is served with the same JSON types, and nothing else but what came later. */
const compareShapes = (kind: string, recorded: Shape, served: Shape) => {
  for (const [path, types] of recorded) {
    if (upToTheModel.test(path)) continue
    assert.isTrue(served.has(path), `${kind}: ${path} is missing`)
    for (const type of types) {
      assert.isTrue(
        served.get(path)?.has(type),
        `${kind}: ${path} is recorded as ${type}, served as ${[...served.get(path) ?? []]}`
      )
    }
  }
  for (const path of served.keys()) {
    if (!upToTheModel.test(path) && !newer.test(path)) {
      assert.isTrue(recorded.has(path), `${kind}: ${path} was never served`)
    }
  }
}

const upToTheModel =
  /content_filter|encrypted_content|obfuscation|\bsummary\b|\.reasoning\.|\.phase$|metadata\.|\.tools|\.format|moderation|tool_usage|cache_write_tokens|safety_identifier$|prompt_cache_key$|\.instructions$|completion_tokens_details|prompt_cache_retention$/

const newer =
  /\.(billing|completed_at|frequency_penalty|presence_penalty|verbosity|output_tokens_details|thinking_tokens|prompt_tokens_details|service_tier|stop_details|inference_geo)\b|\.error\.type$|\.annotations$|\.output\[\]\.|\.usage$/

type Shape = ReadonlyMap<string, ReadonlySet<string>>

const shapeOf = (values: ReadonlyArray<unknown>): Shape => {
  const shape = new Map<string, Set<string>>()
  const visit = (path: string, value: unknown) => {
    const type = value === null ? "null" : Array.isArray(value) ? "array" : typeof value
    shape.set(path, (shape.get(path) ?? new Set()).add(type))
    if (Array.isArray(value)) { for (const item of value) visit(`${path}[]`, item) }
    else if (typeof value === "object" && value !== null) {
      for (const [key, item] of Object.entries(value)) visit(`${path}.${key}`, item)
    }
  }
  for (const value of values) visit("", value)
  return shape
}
