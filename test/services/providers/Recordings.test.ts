import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import OpenAI from "openai"
import type { Recorded } from "../../fixtures/proof/RecordedServer.ts"
import { exchanges, expected, files, folder } from "../../fixtures/recordings/Expectations.ts"
import type { ProviderError } from "../../../src/errors/ProviderError.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"

describe.skipIf(folder === undefined)("recorded errors (HOLDFAST_RECORDINGS)", () => {
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

  it("say so where only their words led to the reason", () => {
    const inferred = answers.filter(([name, index]) =>
      ErrorClassifier.fromBody(read(name, index), context).verdict.reason.inferred
    )

    assert.deepStrictEqual(
      inferred.map(([name]) => name),
      inferredFromWords.flatMap((part) => files().filter((file) => file.includes(part)))
    )
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

/** File, exchange, reason, evidence. */
const answers = Object.entries(expected).flatMap(([file, meanings]) =>
  meanings.flatMap(({ at, error, evidence }) =>
    at.flatMap((index) =>
      error === undefined || evidence === undefined ? [] : [[file, index, error, evidence] as const]
    )
  )
)

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

/** Jobs that ended as failed. */
const jobs: Array<readonly [string, string, string]> = [
  ["failed--prism", "NonRetryable", "InvalidRequest"],
  ["failed--vercel-ai", "NonRetryable", "QuotaExceeded"],
  ["openai-response-failed-server-error--issue-quoted--10", "Retryable", "ServerError"]
]

const context: ErrorClassifier.Context = { provider: "recorded", operation: "submit", now: Date.UTC(2026, 10, 22) }

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
