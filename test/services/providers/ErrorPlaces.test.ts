import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Redacted } from "effect"
import type { ProviderError, Verdict } from "../../../src/errors/ProviderError.ts"
import type { JobState } from "../../../src/services/Provider.ts"
import * as AnthropicBatches from "../../../src/services/providers/AnthropicBatches.ts"
import * as AnthropicMessagesStream from "../../../src/services/providers/AnthropicMessagesStream.ts"
import * as ChatCompletionsStream from "../../../src/services/providers/ChatCompletionsStream.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"
import * as AnthropicAnswer from "../../../src/services/providers/AnthropicAnswer.ts"
import * as ErrorTable from "../../../src/services/providers/internal/ErrorTable.ts"
import * as OpenAi from "../../../src/services/providers/OpenAi.ts"
import * as OpenAiResponsesStream from "../../../src/services/providers/OpenAiResponsesStream.ts"
import { outcomeOf, read, wire } from "./StreamReading.ts"

describe("a code means the same wherever an error is said:", () => {
  it.effect.each(Object.entries(placesOf()))("%s", ([, verdictOf]) =>
    Effect.gen(function*() {
      const found: Record<string, string> = {}
      const expected: Record<string, string> = {}
      for (const [signal, kind] of ErrorTable.signals) {
        // The model's answer is at fault: that is an outcome, not an error.
        if (kind === "InvalidOutput") continue
        found[signal] = short(yield* verdictOf({ message: "Words", code: signal, retry_after: 7 }))
        expected[signal] = short(
          ErrorClassifier.fromBody(
            { status: 400, body: { error: { message: "Words", code: signal, retry_after: 7 } } },
            context
          )
            .verdict
        )
      }

      assert.deepStrictEqual(found, expected)
      assert.strictEqual(found["usage_limit_reached"], "Retryable RateLimited after 7000 ms")
      assert.strictEqual(found["insufficient_quota"], "NonRetryable QuotaExceeded")
    }))
})

type SaidError = { readonly message: string; readonly code: string; readonly retry_after: number }

function placesOf(): Record<string, (error: SaidError) => Effect.Effect<Verdict>> {
  const failed = (error: SaidError) => ({ id: "resp_1", object: "response", status: "failed", error, output: [] })
  const chunk = (more: object) => ({ id: "c", object: "chat.completion.chunk", choices: [], ...more })
  const responses = OpenAiResponsesStream.makeReader({ isJob: false })
  return {
    "an HTTP error": (error) => call(400, { error }),
    "a body under 200": (error) => call(200, { error }),
    "a job's poll": (error) => Effect.flatMap(jobOf(failed(error)), endOf),
    "an error event of Responses": (error) => streamed(responses, [{ type: "error", ...error }]),
    "an error object in an event of Responses": (error) => streamed(responses, [{ type: "error", error }]),
    "response.failed": (error) => streamed(responses, [{ type: "response.failed", response: failed(error) }]),
    "an error in a chunk of Chat Completions": (error) =>
      streamed(ChatCompletionsStream.makeReader, [chunk({ error })]),
    "an error in a choice": (error) =>
      streamed(ChatCompletionsStream.makeReader, [chunk({ choices: [{ index: 0, delta: {}, error }] })]),
    "an error event of Messages": (error) =>
      streamed(
        AnthropicMessagesStream.makeReader({
          asked: { provider: "test", model: "m" },
          before: AnthropicAnswer.noProgress,
          paused: undefined
        }),
        [{ type: "error", error }]
      ),
    "a result of a batch": (error) => {
      const text = JSON.stringify({ custom_id: "s", result: { type: "errored", error: { type: "error", error } } })
      const reply = { status: 200, headers: new Headers(), text }
      const about = { provider: "test", model: "m", submissionId: "s" }
      return Effect.flatMap(Effect.orDie(Effect.fromResult(AnthropicBatches.endOf(reply, about, context))), endOf)
    }
  }
}

const context: ErrorClassifier.Context = { provider: "test", operation: "call", now: 0 }

const portsOf = (status: number, body: unknown) =>
  Effect.map(
    OpenAi.make({
      name: "test",
      baseUrl: "http://127.0.0.1/v1",
      apiKey: Redacted.make("unused"),
      responsesApi: true,
      background: true,
      fetch: () => Promise.resolve(Response.json(body, { status })),
      fetchFresh: () => Promise.resolve(Response.json(body, { status }))
    }),
    (portsOf) => portsOf("m")
  )

const call = (status: number, body: unknown): Effect.Effect<Verdict> =>
  Effect.flatMap(
    portsOf(status, body),
    ({ completions }) =>
      Effect.map(Effect.flip(completions.complete({ model: "test/m", prompt: "x" })), ({ verdict }) => verdict)
  ).pipe(
    Effect.orDie
  )

const jobOf = (body: unknown): Effect.Effect<JobState> =>
  Effect.flatMap(portsOf(200, body), ({ jobs }) => jobs?.retrieve("resp_1") ?? Effect.die("no jobs")).pipe(Effect.orDie)

const endOf = (state: JobState): Effect.Effect<Verdict> =>
  state._tag === "Ended" && state.outcome._tag === "Failed"
    ? Effect.succeed(state.outcome.verdict)
    : Effect.die("the job did not fail")

const streamed = (makeReader: Parameters<typeof read>[0], events: ReadonlyArray<object>): Effect.Effect<Verdict> =>
  Effect.map(read(makeReader, wire(events)), ({ error, events }) => {
    const outcome = outcomeOf(events)
    if (error !== undefined) return error.verdict
    if (outcome?._tag !== "Failed") throw new Error("the stream did not fail")
    return outcome.verdict
  })

const short = (verdict: ProviderError["verdict"]): string => {
  const { reason } = verdict
  const name = reason._tag === "JobFailed" ? reason.reason._tag : reason._tag
  const wait = verdict._tag === "Retryable" && verdict.retryAfter !== undefined
    ? ` after ${Duration.toMillis(verdict.retryAfter)} ms`
    : ""
  return `${verdict._tag} ${name}${wait}`
}
