import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import type { Usage } from "../../../src/errors/Usage.ts"
import type { Outcome } from "../../../src/services/Provider.ts"
import * as AnthropicAnswer from "../../../src/services/providers/AnthropicAnswer.ts"
import * as ChatCompletions from "../../../src/services/providers/ChatCompletions.ts"
import * as GeminiOutcome from "../../../src/services/providers/internal/GeminiOutcome.ts"
import * as OpenAiResponses from "../../../src/services/providers/OpenAiResponses.ts"

describe("The usage of an answer, and of a failure", () => {
  it.each<[string, object]>([
    ["an answer", completed],
    ["an incomplete answer", {
      ...completed,
      status: "incomplete",
      incomplete_details: { reason: "max_output_tokens" }
    }],
    ["a failed job", { ...completed, status: "failed", error: { code: "server_error", message: "Oops" } }],
    ["a cancelled job", { ...completed, status: "cancelled" }]
  ])("has the service tier of Responses for %s", (_, body) => {
    assert.strictEqual(usageOf(responses({ ...body, service_tier: "flex" }))?.serviceTier, "flex")
    assert.notProperty(usageOf(responses({ ...body, service_tier: "default" })), "serviceTier")
  })

  it.each<[string, object, number | undefined]>([
    ["some", { ttl_30m_tokens: 3, ttl_12h_tokens: 7 }, 7],
    ["more than were written", { ttl_30m_tokens: 0, ttl_12h_tokens: 70 }, 10],
    ["none", { ttl_30m_tokens: 10, ttl_12h_tokens: 0 }, undefined]
  ])("has OpenAI's cache writes for twelve hours: %s", (_, details, expected) => {
    const usage = usageOf(responses({
      ...completed,
      usage: {
        input_tokens: 20,
        input_tokens_details: { cached_tokens: 0, cache_write_tokens: 10, cache_write_tokens_details: details },
        output_tokens: 1
      }
    }))

    assert.strictEqual(usage?.cacheWriteTokens, 10)
    assert.strictEqual(usage?.cacheWrite1hTokens, expected)
  })

  it.each([["stop"], ["length"]])("has the service tier of Chat Completions at %s", (finish) => {
    const body = {
      choices: [{ message: { content: "Hi" }, finish_reason: finish }],
      usage: { prompt_tokens: 1, completion_tokens: 1 },
      service_tier: "priority"
    }
    const outcome = Result.getOrThrow(ChatCompletions.outcomeOf(reply(body), context))

    assert.strictEqual(usageOf(outcome)?.serviceTier, "priority")
  })

  it.each(["completed", "incomplete"])("has the service tier of an interaction that is %s", (status) => {
    const body = {
      id: "i",
      status,
      steps: [{ type: "model_output", content: [{ type: "text", text: "Hi" }] }],
      usage: { total_input_tokens: 1, total_output_tokens: 1 },
      service_tier: "flex"
    }
    const state = Result.getOrThrow(GeminiOutcome.stateOf(reply(body), context))

    assert.strictEqual(state._tag === "Ended" ? usageOf(state.outcome)?.serviceTier : undefined, "flex")
  })

  it("is absent when an interaction counts nothing but zeros", () => {
    const body = {
      id: "i",
      status: "completed",
      steps: [{ type: "model_output", content: [{ type: "text", text: "Hi" }] }],
      usage: { total_input_tokens: 0, total_output_tokens: 0, total_tokens: 0 }
    }
    const state = Result.getOrThrow(GeminiOutcome.stateOf(reply(body), context))

    assert.isUndefined(state._tag === "Ended" ? usageOf(state.outcome) : null)
  })

  it.each<[string, object, Partial<Usage>]>([
    ["the standard tier anywhere as nothing", { service_tier: "standard", inference_geo: "not_available" }, {}],
    ["a batch", { service_tier: "batch" }, { serviceTier: "batch" }],
    ["a region", { inference_geo: "us" }, { inferenceGeo: "us" }],
    ["a speed before the tier", { service_tier: "standard", speed: "fast" }, { serviceTier: "fast" }],
    [
      "cache writes for an hour",
      {
        cache_creation_input_tokens: 10,
        cache_creation: { ephemeral_5m_input_tokens: 3, ephemeral_1h_input_tokens: 7 }
      },
      { cacheWriteTokens: 10, cacheWrite1hTokens: 7 }
    ],
    [
      "no more cache writes for an hour than there are",
      { cache_creation_input_tokens: 1, cache_creation: { ephemeral_1h_input_tokens: 7 } },
      { cacheWriteTokens: 1, cacheWrite1hTokens: 1 }
    ],
    ["what is no word as nothing", { service_tier: "x".repeat(100), inference_geo: "a b", speed: 7 }, {}]
  ])("has %s, of Anthropic", (_, usage, expected) => {
    const { cacheWrite1hTokens, cacheWriteTokens, inferenceGeo, serviceTier } = anthropicUsage(usage) ?? {}
    const told = { cacheWrite1hTokens, cacheWriteTokens, inferenceGeo, serviceTier }

    assert.deepStrictEqual<object>(
      Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined && value !== 0)),
      expected
    )
  })

  it.each<[answered: unknown, asked: unknown, expected: string | undefined]>([
    ["auto", undefined, undefined],
    ["auto", "auto", undefined],
    ["auto", "default", undefined],
    ["auto", "priority", "auto"],
    ["AUTO", "flex", "AUTO"],
    ["default", "priority", undefined],
    ["priority", undefined, "priority"],
    [undefined, "priority", undefined],
    [null, "flex", undefined]
  ])("has for the tier %s, after a request for %s: %s", (service_tier, askedTier, expected) => {
    const asked = { ...context, askedTier }
    const chat = { choices: [{ message: { content: "Hi" }, finish_reason: "stop" }], usage: { prompt_tokens: 1 } }
    const held = Result.getOrThrow(OpenAiResponses.outcomeOf(reply({ ...completed, service_tier }), asked))
    const completion = Result.getOrThrow(ChatCompletions.outcomeOf(reply({ ...chat, service_tier }), asked))

    assert.strictEqual(usageOf(held)?.serviceTier, expected)
    assert.strictEqual(usageOf(completion)?.serviceTier, expected)
  })

  it("adds up the turns of Anthropic, and says when they were served differently", () => {
    const creation = { cache_creation_input_tokens: 5, cache_creation: { ephemeral_1h_input_tokens: 5 } }
    const same = twoTurns({ ...creation, service_tier: "batch" }, { ...creation, service_tier: "batch" })
    const other = twoTurns({ service_tier: "batch" }, { service_tier: "standard", inference_geo: "us" })

    assert.deepInclude(same, { cacheWriteTokens: 10, cacheWrite1hTokens: 10, serviceTier: "batch" })
    assert.strictEqual(other?.serviceTier, "mixed")
    assert.notProperty(other, "inferenceGeo")
    assert.containSubset(other?.passes, [{ serviceTier: "batch" }, { inferenceGeo: "us" }])
  })
})

const context = { provider: "p", model: "m", operation: "call", now: 0 } as const

const reply = (body: unknown) => ({ status: 200, headers: new Headers(), body })

const completed = {
  id: "resp_1",
  object: "response",
  status: "completed",
  output: [{ type: "message", content: [{ type: "output_text", text: "Hi" }] }],
  usage: { input_tokens: 1, output_tokens: 1 }
}

const usageOf = (outcome: Outcome): Usage | undefined => {
  if (outcome._tag === "Succeeded") return outcome.answer.usage
  const { reason } = outcome.verdict
  return "usage" in reason ? reason.usage : undefined
}

const responses = (body: object): Outcome => Result.getOrThrow(OpenAiResponses.outcomeOf(reply(body), context))

const message = (usage: object, stopReason: string) => ({
  content: [{ type: "text", text: "Hi" }],
  stop_reason: stopReason,
  usage: { input_tokens: 1, output_tokens: 1, ...usage }
})

const anthropicUsage = (usage: object): Usage | undefined => {
  const reading = AnthropicAnswer.read(message(usage, "end_turn"), AnthropicAnswer.noProgress, context)
  return reading._tag === "Ended" ? usageOf(reading.outcome) : undefined
}

const twoTurns = (first: object, second: object): Usage | undefined => {
  const paused = AnthropicAnswer.read(message(first, "pause_turn"), AnthropicAnswer.noProgress, context)
  const progress = paused._tag === "Paused" ? paused.progress : AnthropicAnswer.noProgress
  const reading = AnthropicAnswer.read(message(second, "max_tokens"), progress, context)
  return reading._tag === "Ended" ? usageOf(reading.outcome) : undefined
}
