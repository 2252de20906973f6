import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import OpenAI from "openai"
import type { ProviderError } from "../../../src/errors/ProviderError.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"

const folder = process.env["HOLDFAST_RECORDINGS"]

describe.skipIf(folder === undefined)("recorded errors (HOLDFAST_RECORDINGS)", () => {
  it("are all in the table", () => {
    const missing = files().flatMap((file) =>
      exchanges(file).flatMap((response, index) =>
        response.status >= 400 && !answers.some((row) => row[1] === index && file.includes(row[0])) ? [file] : []
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

  it("take the wait from Google's RetryInfo and from the message", () => {
    const gemini = ErrorClassifier.fromBody(read("scenarios-gemini", 0), context).verdict
    const openai = ErrorClassifier.fromBody(read("openai-rate-limit-429--issue-quoted--07", 0), context).verdict

    assert.strictEqual(gemini._tag === "Retryable" ? String(gemini.retryAfter) : "", "48000 millis")
    assert.strictEqual(openai._tag === "Retryable" ? String(openai.retryHint) : "", "69696 millis")
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

/** Streams with an `error` event. */
const events: Array<readonly [string, string]> = [
  ["failed--prism", "Retryable ServerError"],
  ["failed--vercel-ai", "NonRetryable QuotaExceeded"],
  ["test-tool-use-failed-error-streaming-with-text", "NonRetryable InvalidRequest"],
  ["test-tool-use-failed-error-streaming.json", "NonRetryable InvalidRequest"],
  ["openai-rate-limit-midstream--issue-quoted--09", "Retryable RateLimited"],
  ["test-openrouter-stream-error", "NonRetryable InvalidRequest"]
]

/** Jobs that ended as failed. */
const jobs: Array<readonly [string, string, string]> = [
  ["failed--prism", "NonRetryable", "InvalidRequest"],
  ["failed--vercel-ai", "NonRetryable", "QuotaExceeded"],
  ["openai-response-failed-server-error--issue-quoted--10", "Retryable", "ServerError"]
]

const kinds =
  /^(anthropic-(invalid|overloaded|rate)|auth-error|azure-content|content-filter|context-length|delete-then|failed-|gemini-|http-error|insufficient|midstream-error|openai-(rate|response)|rate-limit)/

interface Recorded {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

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
      new Response(JSON.stringify(ErrorClassifier.sdkErrorBody(recorded.body)), {
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

const failedJob = (recorded: Recorded): unknown => {
  const data = typeof recorded.body === "string"
    ? recorded.body.split("\n").findLast((line) => line.includes("response.failed\"")) ?? ""
    : `data: ${JSON.stringify(recorded.body)}`
  return (JSON.parse(data.slice("data: ".length)) as { response: { error: unknown } }).response.error
}
