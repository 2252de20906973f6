import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Schedule, Stream } from "effect"
import {
  Holdfast,
  Providers,
  type ResponseEvent,
  type ResponseRequest,
  SessionStore,
  type StrategyError
} from "holdfast"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { type Recorded, serve } from "../../fixtures/proof/RecordedServer.ts"

describe("an answer that was cut at its limit and is reported as complete", () => {
  const hosts: ReadonlyArray<readonly [string, string, boolean]> = [
    ["ollama/qwen3", "Incomplete", true],
    ["lm_studio/qwen3", "Incomplete", true],
    ["llamafile/qwen3", "Incomplete", true],
    ["acme/qwen3", "Incomplete", true],
    ["openai/gpt-5.5", "Cut off", false],
    ["azure/gpt-5.5", "Cut off", false],
    ["openrouter/qwen3", "Cut off", false],
    ["litellm_proxy/gpt-5.5", "Cut off", false]
  ]

  it.live.each(hosts)("from %s is %s", ([model, expected]) =>
    Effect.gen(function*() {
      const { ask } = yield* world
      for (const isStreamed of [false, true]) {
        const result = yield* ask({ model, maxOutputTokens: 16 }, isStreamed, () => json(complete(16)))

        assert.strictEqual(result.content ?? result.reason, expected)
      }
    }))

  it.live("counts reasoning, and says at which limit it was cut", () =>
    Effect.gen(function*() {
      const { ask } = yield* world
      const usage = {
        input_tokens: 5,
        output_tokens: 16,
        output_tokens_details: { reasoning_tokens: 12 },
        total_tokens: 21
      }
      const result = yield* ask({ maxOutputTokens: 16 }, false, () => json({ ...complete(16), usage }))

      assert.strictEqual(result.reason, "Incomplete")
      assert.strictEqual(result.message, "The answer was cut short at the limit of 16 output tokens")
    }))

  it.live.each<[string, Partial<ResponseRequest.RequestInput>, object, string | undefined]>([
    ["one token less", { maxOutputTokens: 16 }, complete(15), "Cut off"],
    ["no limit", {}, complete(16), "Cut off"],
    ["no usage", { maxOutputTokens: 16 }, { ...complete(16), usage: null }, "Cut off"],
    ["a limit among the provider's options", { providerOptions: { max_output_tokens: 16 } }, complete(16), undefined],
    ["the limit that the response repeats", {}, { ...complete(16), max_output_tokens: 16 }, undefined]
  ])("is known by the tokens alone: %s", ([_title, request, body, content]) =>
    Effect.gen(function*() {
      const { ask } = yield* world
      const result = yield* ask(request, false, () => json(body))

      assert.strictEqual(result.content, content)
      assert.strictEqual(result.reason, content === undefined ? "Incomplete" : undefined)
    }))
})

describe("an answer that is incomplete", () => {
  it.live.each<[object, string, string]>([
    [
      { incomplete_details: { reason: "max_tool_calls" } },
      "max_tool_calls",
      "The answer was cut short; the provider gives the reason max_tool_calls"
    ],
    [
      { incomplete_details: null },
      "unknown",
      "The answer was cut short after 3 output tokens, and the provider gives no reason"
    ],
    [
      { incomplete_details: null, usage: complete(16).usage },
      "max_output_tokens",
      "The answer was cut short at the limit of 16 output tokens"
    ]
  ])("says why, as far as it is known: %o", ([fields, limit, message]) =>
    Effect.gen(function*() {
      const { ask } = yield* world
      const body = { ...complete(3), status: "incomplete", ...fields }
      const result = yield* ask({ model: "openai/gpt-5.5", maxOutputTokens: 16 }, false, () => json(body))

      assert.deepInclude(result, { reason: "Incomplete", limit, message })
    }))
})

describe("a failed response", () => {
  it.live.each<[object, string, string]>([
    [
      { type: "usage_limit_reached", message: "The usage limit has been reached", resets_in_seconds: 9 },
      "Retryable",
      "RateLimited"
    ],
    [{ type: "usage_limit_reached", message: "The usage limit has been reached" }, "NonRetryable", "QuotaExceeded"],
    [{ code: "rate_limit_exceeded", message: "Slow down" }, "Retryable", "RateLimited"],
    [{ code: "server_error", message: "Sorry" }, "Retryable", "ServerError"],
    [{ code: "insufficient_quota", message: "Pay" }, "NonRetryable", "QuotaExceeded"],
    [{ code: "context_length_exceeded", message: "Too long" }, "NonRetryable", "ContextLengthExceeded"]
  ])("comes to the same wherever it is said: %o", ([error, tag, inner]) =>
    Effect.gen(function*() {
      const { ask } = yield* world
      const failed = { ...complete(0), status: "failed", output: [], error, usage: null }
      const queued = { ...failed, status: "queued", background: true, error: null }
      const event = { type: "response.failed", sequence_number: 1, response: { ...failed, background: true } }
      const begun = { type: "response.created", sequence_number: 0, response: queued }
      const sync = { model: "openai/gpt-5.5" }
      const background = { model: "openai/gpt-5.5", strategy: "background" } as const
      const polled = (method: string) => json(method === "POST" ? queued : { ...failed, background: true })
      const streamed = (method: string) => method === "POST" ? sse([begun, event]) : polled(method)
      const results = [
        yield* ask(sync, false, () => json(failed)),
        yield* ask(sync, true, () => json(failed)),
        yield* ask(sync, true, () => sse([event])),
        yield* ask(background, false, polled),
        yield* ask(background, true, streamed)
      ]
      const refused = yield* ask(sync, false, () => json({ error }, tag === "Retryable" ? 429 : 400))

      for (const result of results) {
        assert.deepInclude(result, { tag, reason: "JobFailed", inner, message: results[0]?.message })
      }
      assert.strictEqual(refused.tag, tag)
      if (inner !== "ServerError") assert.strictEqual(refused.reason, inner)
    }))
})

describe("a gateway that ends a job's stream by itself", () => {
  const created = {
    type: "response.created",
    response: { ...complete(0), status: "queued", background: true, output: [] }
  }
  const delta = {
    type: "response.output_text.delta",
    item_id: "msg_1",
    output_index: 0,
    content_index: 0,
    delta: "Cut"
  }
  const error = { code: "server_error", message: "Response payload is not completed" }
  it.live.each<[string, object]>([
    ["as failed", { type: "response.failed", response: { id: "resp_1", status: "failed", error, background: true } }],
    ["as failed, without the job's fields", { type: "response.failed", response: { status: "failed", error } }],
    ["as incomplete", { type: "response.incomplete", response: { ...complete(1), status: "incomplete", output: [] } }],
    ["as completed without an output", { type: "response.completed", response: { ...complete(1), output: [] } }],
    ["as cancelled", { type: "response.cancelled", response: { ...complete(1), status: "cancelled", output: [] } }]
  ])("does not end the job, which has its own answer: %s", ([_title, end]) =>
    Effect.gen(function*() {
      const { ask } = yield* world
      let posts = 0
      let gets = 0
      const result = yield* ask({ model: "openai/gpt-5.5", strategy: "background" }, true, (method) => {
        if (method === "POST") posts++
        else gets++
        if (method === "POST") return sse([created, delta, end])
        return json(gets < 3 ? { ...created.response, status: "in_progress" } : { ...complete(2), background: true })
      })

      assert.strictEqual(result.content, "Cut off")
      assert.strictEqual(posts, 1)
    }))
})

const folder = process.env["HOLDFAST_RECORDINGS"]

describe.skipIf(folder === undefined)("recorded items of the Responses API (needs HOLDFAST_RECORDINGS)", () => {
  it.live.each<[string, string, string, ReadonlyArray<string>]>([
    ["responses-client-tool-search", "", "tool-calls", ["tool_search call_AEvXZ1rvYpxHh8QZb7wGlTGH goal"]],
    ["responses-image-generation", "", "stop", []],
    ["responses-local-shell", "", "tool-calls", [
      "local_shell call_XWgeTylovOiS8xLNz2TONOgO type,command,env,working_directory"
    ]],
    ["responses-stream-apply-patch", "", "tool-calls", [
      "apply_patch call_kA46f91ZwocQyMCKyyZqRyC5 type,diff,path"
    ]],
    ["responses-stream-image-generation", "Here is an anime", "stop", []],
    ["responses-stream-mcp-approval", "", "tool-calls", [
      "create_short_url mcpr_04a97b4fce127879006949a83ac9308195a7f7b69ea82e91fe alias,description,max_clicks,password,url"
    ]],
    ["xai-responses-stream-x-search", "### Latest Videos", "stop", []],
    ["mass-responses-hosted-shell", "Build a STOP", "stop", []],
    ["deepseek-responses-stream", "The capital of France", "stop", []]
  ])("end %s as its items say, streamed or not", ([name, beginning, finishReason, calls]) =>
    Effect.gen(function*() {
      const { ask } = yield* world
      const model = name.startsWith("xai") ? "xai/grok-4.20" : "openai/gpt-5.5"
      const { body } = recordingOf(name)
      const streamed = typeof body === "string" ? sse(eventsOf(body)) : json(body)
      const whole = json(typeof body === "string" ? eventsOf(body).at(-1)?.response : body)
      const background = { model, strategy: "background" } as const
      const queued = { id: "resp_1", object: "response", status: "queued", background: true, output: [] }
      const results = [
        yield* ask({ model }, true, () => streamed),
        yield* ask({ model }, true, () => whole),
        yield* ask({ model }, false, () => whole),
        ...(model.startsWith("xai") ? [] : [
          yield* ask(background, true, (method) => method === "POST" ? json(queued) : whole),
          yield* ask(background, true, (method) => method === "POST" ? streamed : whole)
        ])
      ]

      for (const [index, result] of results.entries()) {
        assert.strictEqual(result.finishReason, finishReason, `way ${index}`)
        assert.isTrue(result.content?.startsWith(beginning), `way ${index}: ${result.content}`)
        if (index !== 2) assert.deepStrictEqual(result.calls, calls, `way ${index}`)
      }
    }))
})

function complete(tokens: number) {
  return {
    id: "resp_1",
    object: "response",
    status: "completed",
    model: "m",
    output: [{ id: "msg_1", type: "message", role: "assistant", content: [{ type: "output_text", text: "Cut off" }] }],
    usage: { input_tokens: 5, output_tokens: tokens, total_tokens: tokens + 5 }
  }
}

const json = (body: unknown, status = 200): Recorded => ({
  status,
  headers: { "content-type": "application/json" },
  body
})

const sse = (events: ReadonlyArray<object>): Recorded => ({
  status: 200,
  headers: { "content-type": "text/event-stream" },
  body: events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join("")
})

const recordingOf = (name: string): Recorded => {
  const [file = ""] = readdirSync(folder ?? "").filter((file) => file.startsWith(`${name}--`))
  const { exchanges } = JSON.parse(readFileSync(join(folder ?? "", file), "utf8")) as {
    exchanges: ReadonlyArray<{ readonly response: Recorded }>
  }
  const [exchange] = exchanges
  assert.isDefined(exchange)
  return exchange.response
}

const eventsOf = (body: string) =>
  body.split("\n").filter((line) => line.startsWith("data: {"))
    .map((line) => JSON.parse(line.slice(6)) as { readonly response?: object })

/** What came of one request. */
interface Asked {
  readonly content?: string
  readonly finishReason?: string
  readonly calls?: ReadonlyArray<string>
  readonly tag?: string
  readonly reason?: string
  readonly inner?: string | undefined
  readonly message?: string | undefined
  readonly limit?: string | undefined
}

/** Holdfast, and a server that all providers lead to. */
const world = Effect.gen(function*() {
  let replyTo: (method: string) => Recorded = () => json({}, 404)
  const { url } = yield* serve((method) => replyTo(method))
  const settings = { baseUrl: `${url}/v1`, apiKey: Redacted.make("key-of-nobody"), responses: true }
  const names = ["openai", "azure", "openrouter", "litellm_proxy", "ollama", "lm_studio", "llamafile", "xai", "acme"]
  const live = Holdfast.layer.pipe(
    Layer.provide([
      SessionStore.layerMemory,
      Providers.layer(Object.fromEntries(names.map((name) => [name, settings])))
    ])
  )
  const holdfast = Context.get(yield* Layer.build(live), Holdfast.Holdfast)
  const ask = Effect.fnUntraced(function*(
    request: Partial<ResponseRequest.RequestInput>,
    isStreamed: boolean,
    reply: (method: string) => Recorded
  ): Effect.fn.Return<Asked> {
    replyTo = reply
    const asked = {
      model: "acme/m",
      strategy: "sync" as const,
      prompt: "Hi",
      retry: Schedule.recurs(0),
      poll: Schedule.spaced("1 millis"),
      ...request
    }
    const events: Array<ResponseEvent.ResponseEvent> = []
    const result = yield* Effect.result(
      isStreamed
        ? Stream.runForEach(holdfast.stream(asked), (event) => Effect.sync(() => events.push(event)))
        : Effect.map(holdfast.execute(asked), (response) => {
          events.push({ _tag: "Completed", response, replayed: false })
        })
    )
    if (result._tag === "Failure") return failureOf(result.failure)
    const last = events.at(-1)
    return {
      ...(last?._tag === "Completed"
        ? { content: last.response.content, finishReason: last.response.finishReason }
        : {}),
      calls: events.flatMap((event) =>
        event._tag === "ToolCall"
          ? [`${event.name} ${event.id} ${Object.keys(JSON.parse(event.arguments) as object).join(",")}`]
          : []
      )
    }
  })
  return { ask }
})

const failureOf = (error: StrategyError.StrategyError): Asked => {
  if (error._tag === "Timeout") return { tag: error._tag }
  const { _tag: tag, reason } = error
  return {
    tag,
    reason: reason._tag,
    message: reason.message,
    inner: reason._tag === "JobFailed" ? reason.reason._tag : undefined,
    limit: reason._tag === "Incomplete" ? reason.limit : undefined
  }
}
