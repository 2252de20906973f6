import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Schedule, Stream } from "effect"
import { Holdfast, Providers, type ResponseRequest, SessionStore } from "holdfast"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import OpenAI from "openai"
import { type Recorded, serve } from "../../fixtures/proof/RecordedServer.ts"
import type { ProviderError } from "../../../src/errors/ProviderError.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"

const folder = process.env["HOLDFAST_RECORDINGS"]

describe.skipIf(folder === undefined)("recorded errors (HOLDFAST_RECORDINGS)", () => {
  it("are all in the tables", () => {
    const rows: ReadonlyArray<readonly [string, number, ...ReadonlyArray<string>]> = [...answers, ...ends]
    const missing = files().flatMap((file) =>
      exchanges(file).flatMap(({ status }, index) =>
        (status >= 400 || (index === 0 && failedKinds.test(file))) &&
          !rows.some(([name, at]) => at === index && file.includes(name))
          ? [file]
          : []
      )
    )

    assert.deepStrictEqual(missing, [])
  })

  it.each(answers)("of %s, answer %i, are %s when the body is read", (name, index, expected, evidence) => {
    const error = ErrorClassifier.fromBody(read(name, index), context)

    assert.strictEqual(short(error), expected)
    assert.strictEqual(error.evidence, evidence)
  })

  it.each(answers.filter((row) => row[3] !== "Uncertain"))(
    "of %s, answer %i, are %s when an SDK throws them",
    async (name, index, expected, evidence) => {
      const error = ErrorClassifier.classify(await thrownBySdk(read(name, index)), context)

      assert.strictEqual(short(error), expected)
      assert.strictEqual(error.evidence, evidence)
    }
  )

  it.each(events)("of the stream %s are %s when an SDK throws them", async (name, expected) => {
    const error = ErrorClassifier.classify(await thrownByStream(read(name, 0)), context)

    assert.strictEqual(short(error), expected)
    assert.strictEqual(error.evidence, "Uncertain")
  })

  it.each(jobs)("of the job %s are %s", (name, expected, inner) => {
    const verdict = ErrorClassifier.jobFailure(failedJob(read(name, 0)), undefined, context)

    assert.strictEqual(verdict._tag, expected)
    assert.strictEqual(verdict.reason._tag === "JobFailed" ? verdict.reason.reason._tag : "", inner)
  })

  it.live("end every strategy as the table says, over HTTP, after one request", () =>
    Effect.gen(function*() {
      const rows = answers.flatMap(([name, index, expected, evidence]) =>
        waysOf(name).map((way) => ({
          way,
          recorded: read(name, index),
          title: `${name} ${index}, ${way.strategy}${way.isStreamed ? ", streamed" : ""}`,
          expected: way.strategy === "background" && evidence === "Uncertain"
            ? "NonRetryable SubmissionUncertain, 1 request"
            : `${expected}, 1 request`
        }))
      )
      const { play } = yield* world
      const played: Array<readonly [string, string]> = []
      for (const { recorded, title, way } of rows) {
        const { error, requests } = yield* play(way, title, () => recorded)
        played.push([title, `${error}, ${requests.length} request`])
      }

      assert.isAbove(rows.length, 300)
      assert.deepStrictEqual(played, rows.map(({ expected, title }) => [title, expected]))
    }))

  it.live("end the strategies that meet them under status 200 or in a stream, over HTTP", () =>
    Effect.gen(function*() {
      const { play } = yield* world
      const played: typeof ends = []
      for (const [name, index, model, strategy] of ends) {
        const recorded = asStream(read(name, index))
        // A body that is no stream may also come from a server that does not stream.
        for (const isStreamed of typeof recorded.body === "string" ? [true] : [false, true]) {
          const { error } = yield* play({ model, strategy, isStreamed }, `${name} ${isStreamed}`, () => recorded)
          played.push([name, index, model, strategy, error])
        }
      }

      assert.deepStrictEqual(new Set(played.map(String)), new Set(ends.map(String)))
    }))

  it.live("end background jobs that fail or are cancelled meanwhile, over HTTP", () =>
    Effect.gen(function*() {
      const { play } = yield* world
      const played: Array<readonly [string, boolean, string]> = []
      for (const [name, index] of jobEnds) {
        const body = endedResponse(read(name, index))
        const queued = { ...body, status: "queued", background: true, error: null, output: [] }
        for (const isStreamed of [false, true]) {
          const { error, requests } = yield* play(
            { model: "openai/gpt-5.5", strategy: "background", isStreamed },
            `${name} ${isStreamed}`,
            (method) => ({ status: 200, headers: {}, body: method === "POST" ? queued : { ...body, background: true } })
          )
          played.push([name, isStreamed, error])
          assert.strictEqual(requests.filter((method) => method === "POST").length, 1)
        }
      }

      assert.deepStrictEqual(
        played,
        jobEnds.flatMap(([name, _, expected]) => [false, true].map((isStreamed) => [name, isStreamed, expected]))
      )
    }))

  it("say so where only their words led to the reason", () => {
    const inferred = answers.filter(([name, index]) =>
      ErrorClassifier.fromBody(read(name, index), context).verdict.reason.inferred
    )

    assert.deepStrictEqual(inferred.map(([name]) => name), inferredFromWords)
  })

  it("take the wait from Google's RetryInfo, from the message, and from the header that names one", () => {
    const gemini = ErrorClassifier.fromBody(read("scenarios-gemini", 0), context).verdict
    const openai = ErrorClassifier.fromBody(read("openai-rate-limit-429--issue-quoted--07", 0), context).verdict
    const azure = ErrorClassifier.fromBody(read("scenarios-azure-grok", 0), context).verdict

    assert.strictEqual(azure._tag === "Retryable" ? String(azure.retryAfter) : "", "1000 millis")
    assert.strictEqual(gemini._tag === "Retryable" ? String(gemini.retryAfter) : "", "48940 millis")
    assert.strictEqual(openai._tag === "Retryable" ? String(openai.retryAfter) : "", "69696 millis")
  })
})

/** Part of the file's name, exchange, reason, evidence. */
const answers: Array<readonly [string, number, string, string]> = [
  ["anthropic-invalid-request-400--issue-quoted--16", 0, "NonRetryable InvalidRequest", "Refused"],
  ["anthropic-overloaded-529--issue-quoted--01", 0, "Retryable Overloaded", "Refused"],
  ["anthropic-overloaded-529--issue-quoted--02", 0, "Retryable Overloaded", "Refused"],
  ["anthropic-overloaded-529--issue-quoted--04", 0, "Retryable Overloaded", "Refused"],
  ["anthropic-rate-limit-429--issue-quoted--05", 0, "Retryable RateLimited", "Refused"],
  ["auth-error--ruby_llm--chat-error-handling-with-anthropic", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["auth-error--ruby_llm--chat-error-handling-with-azure", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["auth-error--ruby_llm--chat-error-handling-with-bedrock", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["auth-error--ruby_llm--chat-error-handling-with-cohere", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["auth-error--ruby_llm--chat-error-handling-with-mistral", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["auth-error--ruby_llm--chat-error-handling-with-ollama", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["auth-error--ruby_llm--chat-error-handling-with-perplexity", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["auth-error--ruby_llm--chat-error-handling-with-xai", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["azure-content-filter-400--issue-quoted--14", 0, "NonRetryable ContentFiltered", "Refused"],
  ["azure-content-filter-400--issue-quoted--15", 0, "NonRetryable ContentFiltered", "Refused"],
  ["test-prompt-content-filtering-with-events-with-content", 0, "NonRetryable ContentFiltered", "Uncertain"],
  ["test-prompt-content-filtering-with-events-with-no-content", 0, "NonRetryable ContentFiltered", "Uncertain"],
  ["test-prompt-content-filtering.json", 0, "NonRetryable ContentFiltered", "Uncertain"],
  // Nothing in the words of these two tells them from a rate limit.
  ["scenarios-azure-grok", 0, "Retryable RateLimited", "Refused"],
  ["scenarios-gemini", 0, "Retryable RateLimited", "Refused"],
  ["scenarios-bedrock", 0, "NonRetryable ContextLengthExceeded", "Refused"],
  ["scenarios-cohere", 0, "NonRetryable ContextLengthExceeded", "Refused"],
  ["scenarios-deepseek", 0, "NonRetryable ContextLengthExceeded", "Refused"],
  ["scenarios-openai", 0, "NonRetryable ContextLengthExceeded", "Refused"],
  ["scenarios-openrouter", 0, "NonRetryable ContextLengthExceeded", "Refused"],
  ["delete-then-404--openai-dotnet", 3, "NonRetryable NotFound", "Refused"],
  ["gemini-openai-compat-400--issue-quoted--13", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["gemini-openai-compat-429--issue-quoted--12", 0, "Retryable RateLimited", "Refused"],
  ["http-error-400--ellmer--anthropic-upload-file", 0, "NonRetryable InvalidRequest", "Refused"],
  ["http-error-400--mirascope--openai-gpt-5-mini-completions", 0, "NonRetryable InvalidRequest", "Refused"],
  ["http-error-400--openai-dotnet--structuredoutputs", 0, "NonRetryable InvalidRequest", "Refused"],
  ["http-error-400--opentelemetry-python-contrib", 0, "NonRetryable InvalidRequest", "Refused"],
  ["test-anthropic-explicit-effort-xhigh", 0, "NonRetryable InvalidRequest", "Refused"],
  ["http-error-400--pydantic-ai--test-inferred-model-name", 0, "NonRetryable NotFound", "Refused"],
  ["test-model-sees-multiple-images-google-vertex", 0, "NonRetryable InvalidRequest", "Refused"],
  ["direct-url-audio-openai-responses", 0, "NonRetryable InvalidRequest", "Refused"],
  ["direct-url-force-download-audio-openai-responses", 0, "NonRetryable InvalidRequest", "Refused"],
  ["test-openai-o1-mini-system-role-developer", 0, "NonRetryable InvalidRequest", "Refused"],
  ["test-openai-responses-thinking-with-modified-history", 0, "NonRetryable InvalidRequest", "Refused"],
  ["test-openai-web-search-tool-model-not-supported", 0, "NonRetryable InvalidRequest", "Refused"],
  ["http-error-400--pydantic-ai--testvoyageai", 0, "NonRetryable InvalidRequest", "Refused"],
  ["http-error-400--ruby-openai--messages-modify", 0, "NonRetryable InvalidRequest", "Refused"],
  ["http-error-400--vercel-ai--reasoning-model-legacy", 0, "NonRetryable InvalidRequest", "Refused"],
  ["http-error-401--dd-trace-py", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["http-error-401--openai-dotnet", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["http-error-401--openllmetry", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["http-error-401--ruby_llm", 0, "NonRetryable AuthenticationFailed", "Refused"],
  ["http-error-404--openai-dotnet--deletefile", 0, "NonRetryable NotFound", "Refused"],
  ["http-error-404--openai-dotnet--getchatcompletion", 0, "NonRetryable NotFound", "Refused"],
  ["http-error-404--openllmetry--test-chat-reasoning", 0, "NonRetryable NotFound", "Refused"],
  ["http-error-404--opentelemetry-python-contrib", 0, "NonRetryable NotFound", "Refused"],
  ["http-error-404--pydantic-ai--test-model-name-suggestion-groq", 0, "NonRetryable NotFound", "Refused"],
  ["http-error-404--pydantic-ai--testgoogle", 0, "NonRetryable NotFound", "Refused"],
  ["http-error-500--ruby-openai", 0, "Retryable ServerError", "Refused"],
  ["insufficient-quota--vercel-ai", 0, "NonRetryable QuotaExceeded", "Refused"],
  ["midstream-error--pydantic-ai--test-tool-use-failed-error.json", 0, "NonRetryable InvalidRequest", "Refused"],
  ["openai-rate-limit-429--issue-quoted--06", 0, "Retryable RateLimited", "Refused"],
  ["openai-rate-limit-429--issue-quoted--07", 0, "Retryable RateLimited", "Refused"],
  ["openai-rate-limit-midstream--issue-quoted--09", 0, "Retryable RateLimited", "Uncertain"],
  ["test-openrouter-errors-raised", 0, "Retryable RateLimited", "Refused"],
  ["test-openrouter-errors-raised", 1, "Retryable RateLimited", "Refused"],
  ["test-openrouter-errors-raised", 2, "Retryable RateLimited", "Refused"]
]

/** Those without a code that tells: the words of the message decide. */
const inferredFromWords = [
  "auth-error--ruby_llm--chat-error-handling-with-bedrock",
  "auth-error--ruby_llm--chat-error-handling-with-xai",
  "scenarios-bedrock",
  "scenarios-deepseek",
  "scenarios-openrouter"
]

/** Streams with an `error` event. */
const events: Array<readonly [string, string]> = [
  ["failed--prism", "Retryable ServerError"],
  ["failed--vercel-ai", "NonRetryable QuotaExceeded"],
  ["test-tool-use-failed-error-streaming-with-text", "NonRetryable InvalidRequest"],
  ["test-tool-use-failed-error-streaming.json", "NonRetryable InvalidRequest"],
  ["openai-rate-limit-midstream--issue-quoted--09", "Retryable RateLimited"],
  ["test-openrouter-stream-error", "NonRetryable InvalidRequest"]
]

/** What comes under status 200 and is no answer: file, exchange, who is asked and how, what it comes to. */
const ends: Array<readonly [string, number, string, ResponseRequest.StrategyName, string]> = [
  ["test-chat-content-filtering-with-events", 0, "openai/m", "completions", "NonRetryable ContentFiltered"],
  ["test-prompt-content-filtering-with-events-with-content", 0, "openai/m", "sync", "NonRetryable ContentFiltered"],
  ["test-prompt-content-filtering-with-events-with-no", 0, "openai/m", "sync", "NonRetryable ContentFiltered"],
  ["test-prompt-content-filtering.json", 0, "openai/m", "completions", "NonRetryable ContentFiltered"],
  // The error event speaks first; of a job, the failed response that follows would.
  ["failed--prism", 0, "openai/m", "sync", "Retryable ServerError"],
  ["failed--vercel-ai", 0, "openai/m", "sync", "NonRetryable QuotaExceeded"],
  ["response-stream-incomplete", 0, "openai/m", "sync", "NonRetryable Incomplete"],
  ["responses-prompt-caching-5-6", 0, "openai/m", "sync", "NonRetryable Incomplete"],
  ["test-max-tokens-openai-gpt-4o-responses-async", 0, "openai/m", "sync", "NonRetryable Incomplete"],
  ["test-max-tokens-openai-gpt-4o-responses-sync", 0, "openai/m", "background", "NonRetryable Incomplete"],
  ["maxtokensasync", 0, "openai/m", "sync", "NonRetryable Incomplete"],
  // A message that is spliced into another one.
  ["spliced-message-start", 0, "anthropic/m", "completions", "Retryable StreamInterrupted"],
  ["test-tool-use-failed-error-streaming-with-text", 0, "openai/m", "completions", "NonRetryable InvalidRequest"],
  ["test-tool-use-failed-error-streaming.json", 0, "openai/m", "completions", "NonRetryable InvalidRequest"],
  ["openai-rate-limit-midstream--issue-quoted--09", 0, "openai/m", "sync", "Retryable RateLimited"],
  ["openai-response-failed-server-error", 0, "openai/m", "sync", "Retryable JobFailed"],
  // It has reached its length before the error says so.
  ["test-openrouter-stream-error", 0, "openai/m", "completions", "NonRetryable Incomplete"],
  ["completions-async-stream", 0, "openai/m", "completions", "NonRetryable Refusal"],
  ["completions-async.json", 0, "openai/m", "completions", "NonRetryable Refusal"],
  ["gpt-4o-completions-stream", 0, "openai/m", "completions", "NonRetryable Refusal"],
  ["test-refusal-openai-gpt-4o-responses-async", 0, "openai/m", "sync", "NonRetryable Refusal"],
  ["test-refusal-openai-gpt-4o-responses-sync", 0, "openai/m", "background", "NonRetryable Refusal"],
  ["structuredrefusalworksasync", 0, "openai/m", "completions", "NonRetryable Refusal"],
  ["test-async-parsed-refused-completion", 0, "openai/m", "completions", "NonRetryable Refusal"],
  ["test-parsed-refused-completion", 0, "openai/m", "completions", "NonRetryable Refusal"]
]

/** Responses that a poll finds ended: file, exchange, what they come to. */
const jobEnds: Array<readonly [string, number, string]> = [
  ["failed--prism", 0, "NonRetryable JobFailed"],
  ["failed--vercel-ai", 0, "NonRetryable JobFailed"],
  ["openai-response-failed-server-error", 0, "Retryable JobFailed"],
  ["cancancelbackgroundresponses.json", 1, "NonRetryable JobCancelled"],
  ["cancancelbackgroundresponsesasync", 1, "NonRetryable JobCancelled"],
  ["test-refusal-openai-gpt-4o-responses-sync", 0, "NonRetryable Refusal"],
  ["test-max-tokens-openai-gpt-4o-responses-sync", 0, "NonRetryable Incomplete"]
]

/** Jobs that ended as failed. */
const jobs: Array<readonly [string, string, string]> = [
  ["failed--prism", "NonRetryable", "InvalidRequest"],
  ["failed--vercel-ai", "NonRetryable", "QuotaExceeded"],
  ["openai-response-failed-server-error--issue-quoted--10", "Retryable", "ServerError"]
]

const kinds =
  /^(anthropic-(invalid|overloaded|rate)|auth-error|azure-content|background-cancelled|content-filter|context-length|delete-then|failed-|gemini-|http-error|incomplete|insufficient|malformed|midstream-error|openai-(rate|response)|rate-limit|refusal)/

/** Whose first exchange is a failure, whatever its status. */
const failedKinds =
  /^(content-filter|failed-|incomplete|malformed-stream--vercel-ai--spliced|midstream-error|openai-(rate|response)|rate-limit|refusal)/

const context: ErrorClassifier.Context = { provider: "recorded", operation: "submit", now: Date.UTC(2026, 10, 22) }

const files = () => readdirSync(folder ?? "").filter((file) => kinds.test(file))

const exchanges = (file: string): ReadonlyArray<Recorded> =>
  (JSON.parse(readFileSync(join(folder ?? "", file), "utf8")) as { exchanges: ReadonlyArray<{ response: Recorded }> })
    .exchanges.map((exchange) => exchange.response)

const read = (name: string, index: number): Recorded => {
  const found = files().filter((file) => file.includes(name))
  assert.lengthOf(found, 1)
  const recorded = exchanges(found[0] ?? "")[index]
  assert.isDefined(recorded)
  return recorded
}

const short = (error: ProviderError) => `${error.verdict._tag} ${error.verdict.reason._tag}`

const thrownBySdk = (recorded: Recorded): Promise<unknown> => {
  const fetch = () =>
    Promise.resolve(
      // The SDK drops an array.
      new Response(JSON.stringify(Array.isArray(recorded.body) ? recorded.body[0] : recorded.body), {
        status: recorded.status,
        headers: recorded.headers
      })
    )
  const isAnthropic = JSON.stringify(recorded.body).startsWith("{\"type\":\"error\"")
  const call = isAnthropic
    ? new Anthropic({ apiKey: "unused", maxRetries: 0, fetch })
      .messages.create({ model: "m", max_tokens: 10, messages: [] })
    : new OpenAI({ apiKey: "unused", maxRetries: 0, fetch }).responses.create({ model: "m", input: "" })
  return call.then(() => assert.fail("the SDK did not throw"), (error: unknown) => error)
}

const thrownByStream = async (recorded: Recorded): Promise<unknown> => {
  const text = typeof recorded.body === "string"
    ? recorded.body
    : `event: error\ndata: ${JSON.stringify(recorded.body)}\n\n`
  const headers = { "content-type": "text/event-stream" }
  const fetch = () => Promise.resolve(new Response(text, { status: 200, headers }))
  try {
    const stream = await new OpenAI({ apiKey: "unused", maxRetries: 0, fetch })
      .responses.create({ model: "m", input: "", stream: true })
    for await (const _ of stream) { /* the error comes at the end */ }
  } catch (error) {
    return error
  }
  return assert.fail("the SDK did not throw")
}

const failedJob = (recorded: Recorded): unknown => endedResponse(recorded)["error"]

/** An event that was recorded alone, as the stream that it came in. */
const asStream = (recorded: Recorded): Recorded => {
  const { type = "" } = Object(recorded.body) as { readonly type?: string }
  return type === "error" || type.startsWith("response.")
    ? {
      ...recorded,
      headers: { "content-type": "text/event-stream" },
      body: `event: ${type}\ndata: ${JSON.stringify(recorded.body)}\n\n`
    }
    : recorded
}

/** The response of a body, of its last event, or of the event that it is. */
const endedResponse = ({ body }: Recorded): Readonly<Record<string, unknown>> => {
  if (typeof body === "string") {
    const line = body.split("\n").findLast((line) => line.includes("response.failed\"")) ?? ""
    return (JSON.parse(line.slice("data: ".length)) as Event).response ?? {}
  }
  return (body as Event).response ?? body as Readonly<Record<string, unknown>>
}

interface Event {
  readonly response?: Readonly<Record<string, unknown>>
}

/** One way to meet an answer. */
interface Way {
  readonly model: string
  readonly strategy: ResponseRequest.StrategyName
  readonly isStreamed: boolean
}

/** Those of the provider that gave the answer, or of OpenAI for what speaks like it. */
const waysOf = (name: string): ReadonlyArray<Way> => {
  const model = name.includes("anthropic")
    ? "anthropic/claude-opus-5-5"
    : /gemini|google|opentelemetry/.test(name)
    ? "gemini/gemini-3.8-flash"
    : "openai/gpt-5.5"
  const strategies = model.startsWith("openai/")
    ? ["background", "sync", "completions"] as const
    : ["background", "completions"] as const
  return strategies.flatMap((strategy) => [false, true].map((isStreamed) => ({ model, strategy, isStreamed })))
}

/** Holdfast, and a server that all providers lead to. */
const world = Effect.gen(function*() {
  let replyTo: (method: string) => Recorded = () => ({ status: 404, headers: {}, body: "" })
  const { methods, url: baseUrl } = yield* serve((method) => replyTo(method))
  const settings = { baseUrl, apiKey: Redacted.make("key-of-nobody") }
  const live = Holdfast.layer.pipe(
    Layer.provide([
      SessionStore.layerMemory,
      Providers.layer({ openai: settings, anthropic: settings, gemini: settings })
    ])
  )
  const holdfast = Context.get(yield* Layer.build(live), Holdfast.Holdfast)
  const play = Effect.fnUntraced(function*(
    { isStreamed, model, strategy }: Way,
    session: string,
    reply: (method: string) => Recorded
  ) {
    replyTo = reply
    const before = methods.length
    const request = {
      model,
      strategy,
      session,
      prompt: "Hi",
      retry: Schedule.recurs(0),
      poll: Schedule.spaced("1 millis")
    }
    const error = yield* Effect.flip(
      isStreamed ? Stream.runDrain(holdfast.stream(request)) : Effect.asVoid(holdfast.execute(request))
    )
    return {
      error: error._tag === "Timeout" ? `Timeout ${error.phase}` : `${error._tag} ${error.reason._tag}`,
      requests: methods.slice(before)
    }
  })
  return { play }
})
