import { assert, describe, it } from "@effect/vitest"
import { Cost, LlmResponse, type PriceCatalog, type Usage } from "holdfast"
import { Duration, Effect, Option, Result } from "effect"
import { TestClock } from "effect/testing"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { Outcome } from "../src/services/Provider.ts"
import * as AnthropicAnswer from "../src/services/providers/AnthropicAnswer.ts"
import * as AnthropicMessagesStream from "../src/services/providers/AnthropicMessagesStream.ts"
import * as ChatCompletions from "../src/services/providers/ChatCompletions.ts"
import * as ChatCompletionsStream from "../src/services/providers/ChatCompletionsStream.ts"
import * as OpenAiResponses from "../src/services/providers/OpenAiResponses.ts"
import * as OpenAiResponsesStream from "../src/services/providers/OpenAiResponsesStream.ts"
import { read } from "./services/providers/StreamReading.ts"

const folder = process.env.HOLDFAST_RECORDINGS

// The arithmetic is in US dollars per million tokens, from the public price lists of 2026-11, and per web search.
describe.skipIf(folder === undefined)("The bill of recorded answers (needs HOLDFAST_RECORDINGS)", () => {
  it.effect.each<readonly [title: string, recording: string, bill: Partial<Bill>]>([
    // claude-sonnet-4-6, 3 / 15: (99,195 + 162) * 3 + (81 + 11) * 15
    ["a compaction", "mass-anthropic-compaction", {
      nanoUsd: 299_451_000,
      model: "claude-sonnet-4-6",
      inputTokens: 99_357,
      outputTokens: 92
    }],
    // claude-opus-4-6, 5 / 25: (60,385 + 612) * 5 + (522 + 2819) * 25
    ["a streamed compaction", "anthropic-stream-compaction", {
      nanoUsd: 388_510_000,
      inputTokens: 60_997,
      outputTokens: 3341
    }],
    // claude-sonnet-5, 2 / 10, and claude-opus-4-8, 5 / 25: 2411 * 2 + 145 * 10 + 2543 * 5 + 18 * 25
    ["an advisor", "anthropic-stream-advisor", {
      nanoUsd: 19_437_000,
      model: "claude-sonnet-5",
      inputTokens: 4954,
      outputTokens: 116,
      reasoningTokens: 47
    }],
    // claude-opus-4-8, 5 / 25: 412 * 5 + 264 * 25; nothing for the model that declined
    ["a fallback on the server", "anthropic-stream-fallback", {
      nanoUsd: 8_660_000,
      model: "claude-opus-4-8",
      inputTokens: 412,
      outputTokens: 264
    }],
    // claude-sonnet-4-5, 3 / 15 as no context reaches 200,000 tokens, 0.01 a search:
    // (404,500 + 482,529) * 3 + (943 + 1310) * 15 + (10 + 5) * 0.01
    [
      "two streamed turns with web searches",
      "anthropic-pause-turn--pydantic-ai--test-pause-turn-web-search-streaming",
      {
        nanoUsd: 2_844_882_000,
        inputTokens: 887_029
      }
    ],
    // (401,468 + 494,549) * 3 + (792 + 1245) * 15 + (10 + 5) * 0.01
    ["two turns with web searches", "anthropic-pause-turn--pydantic-ai--test-pause-turn-web-search-vcr", {
      nanoUsd: 2_868_606_000,
      inputTokens: 896_017
    }],
    // kimi-k2.6, 0.95 / 0.16 / 4: 10 * 0.95 + 10 * 0.16 + 30 * 4
    ["Moonshot's cached tokens", "chat-moonshot-cached", {
      nanoUsd: 131_100,
      inputTokens: 10,
      cacheReadTokens: 10,
      outputTokens: 8,
      reasoningTokens: 22
    }],
    // mistral-large, 2 / 6, cached tokens at a tenth of the input: 1 * 2 + 76 * 0.2 + 12 * 6
    ["Mistral's cached tokens", "mass-chat-mistral-cached", {
      nanoUsd: 89_200,
      inputTokens: 1,
      cacheReadTokens: 76,
      outputTokens: 12
    }],
    // gpt-5.6-sol, 4 / 0.4 / 20, cache writes 5: 3 * 4 + 1217 * 5 + 100 * 20
    ["OpenAI's cache writes", "incomplete--dd-trace-py--responses-prompt-caching", {
      nanoUsd: 8_097_000,
      inputTokens: 3,
      cacheWriteTokens: 1217,
      outputTokens: 46,
      reasoningTokens: 54
    }],
    // The body states 0.00614.
    ["Perplexity's own figure", "chat-perplexity-cost", { source: "provider", nanoUsd: 6_140_000 }],
    // The body states 0.0145476, of which the tokens of the answer itself are 0.0001776.
    ["OpenRouter's own figure", "chat-stream-openrouter-advisor", { source: "provider", nanoUsd: 14_547_600 }]
  ])("is right for %s", ([, recording, expected]) =>
    Effect.gen(function*() {
      yield* TestClock.setTime(Date.UTC(2026, 10, 1))
      const { model, usage } = yield* answerOf(recording)
      const price = yield* Cost.of(answer(recording, model, usage)).pipe(Effect.flatMap(Effect.fromOption))

      assert.containSubset({ source: price.source, nanoUsd: price.nanoUsd, model, ...usage }, {
        source: "prices",
        ...expected
      })
    }))

  it.effect("is not known where xAI bills searches and does not state the cost", () =>
    Effect.gen(function*() {
      const { model, usage } = yield* answerOf("xai-responses-stream-x-search")

      assert.deepInclude(usage, { inputTokens: 22_651, cacheReadTokens: 4585, reasoningTokens: 1091, webSearches: 1 })
      assert.isTrue(Option.isNone(yield* Cost.of(answer("xai", model, usage))))
    }))
})

interface Bill extends Usage.Usage {
  readonly source: PriceCatalog.Price["source"]
  readonly nanoUsd: number
  readonly model: string
}

interface Answered {
  readonly model: string
  readonly usage: Usage.Usage
}

const providers: ReadonlyArray<readonly [part: string, provider: string]> = [
  ["anthropic", "anthropic"],
  ["moonshot", "moonshot"],
  ["mistral", "mistral"],
  ["perplexity", "perplexity"],
  ["openrouter", "openrouter"],
  ["xai", "xai"]
]

const providerOf = (recording: string): string => providers.find(([part]) => recording.includes(part))?.[1] ?? "openai"

const answerOf = Effect.fnUntraced(function*(recording: string) {
  const bodies = recorded(recording)
  const outcome = recording.includes("anthropic")
    ? yield* messageOf(bodies)
    : yield* typeof bodies[0] === "string"
      ? streamOf(recording, bodies[0])
      : Effect.sync(() => bodyOf(recording, bodies[0]))
  return yield* Effect.fromNullishOr(answered(outcome))
})

const recorded = (recording: string): ReadonlyArray<unknown> => {
  const file = Fs.readdirSync(folder!).find((name) => name.startsWith(recording))
  const { exchanges } = JSON.parse(Fs.readFileSync(Path.join(folder!, file!), "utf8")) as {
    exchanges: ReadonlyArray<{ readonly response: { readonly body: unknown } }>
  }
  return exchanges.map(({ response: { body } }) => body)
}

const messageOf = Effect.fnUntraced(function*(bodies: ReadonlyArray<unknown>) {
  const asked = { provider: "anthropic", model: "claude" }
  let before = AnthropicAnswer.noProgress
  let outcome: Outcome | undefined
  for (const body of bodies) {
    if (typeof body === "string") {
      const turn: AnthropicMessagesStream.Turn = { asked, before, paused: undefined }
      const { events } = yield* read(AnthropicMessagesStream.makeReader(turn), body)
      outcome = events.findLast((event) => event._tag === "Ended")?.outcome
      before = turn.paused ?? before
    } else {
      const reading = AnthropicAnswer.read(body, before, asked)
      if (reading._tag === "Paused") before = reading.progress
      if (reading._tag === "Ended") outcome = reading.outcome
    }
  }
  return outcome
})

const streamOf = Effect.fnUntraced(function*(recording: string, body: string) {
  const { events } = yield* read(
    recording.startsWith("chat")
      ? ChatCompletionsStream.makeReader
      : OpenAiResponsesStream.makeReader({ isJob: false }),
    body
  )
  return events.findLast((event) => event._tag === "Ended")?.outcome
})

const bodyOf = (recording: string, body: unknown): Outcome => {
  const reply = { status: 200, headers: new Headers(), body }
  const context = { provider: providerOf(recording), model: "m", operation: "call", now: 0 } as const
  return Result.getOrThrow(
    recording.includes("chat") ? ChatCompletions.outcomeOf(reply, context) : OpenAiResponses.outcomeOf(reply, context)
  )
}

const answered = (outcome: Outcome | undefined): Answered | undefined => {
  if (outcome?._tag === "Succeeded") {
    const { model, usage } = outcome.answer
    return usage === undefined ? undefined : { model, usage }
  }
  const reason = outcome?.verdict.reason
  return reason !== undefined && "usage" in reason && reason.usage !== undefined
    ? { model: "gpt-5.6-sol", usage: reason.usage }
    : undefined
}

const answer = (recording: string, model: string, usage: Usage.Usage): LlmResponse.LlmResponse =>
  new LlmResponse.LlmResponse({
    content: "Hi",
    finishReason: "stop",
    response: {},
    model,
    usage,
    provider: providerOf(recording),
    strategy: "completions",
    submissions: 1,
    attempts: 1,
    polls: 0,
    elapsed: Duration.seconds(1),
    resumed: false,
    settled: true
  })
