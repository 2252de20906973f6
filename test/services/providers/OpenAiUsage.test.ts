import { assert, describe, it } from "@effect/vitest"
import type { Usage } from "../../../src/errors/Usage.ts"
import { ChatAccumulator } from "../../../src/services/providers/internal/ChatAccumulator.ts"
import * as OpenAiUsage from "../../../src/services/providers/internal/OpenAiUsage.ts"

const tokens = {
  prompt_tokens: 100,
  completion_tokens: 20,
  total_tokens: 120,
  cached_tokens: 40
}

describe("OpenAiUsage", () => {
  it.each<readonly [host: string, usage: object, expected: Partial<Usage>]>([
    ["OpenAI", { prompt_tokens_details: { cached_tokens: 40 } }, { inputTokens: 60, cacheReadTokens: 40 }],
    ["Mistral", { num_cached_tokens: 40 }, { inputTokens: 60, cacheReadTokens: 40 }],
    ["Moonshot", { cached_tokens: 40 }, { inputTokens: 60, cacheReadTokens: 40 }],
    ["DeepSeek", { prompt_cache_hit_tokens: 40, prompt_cache_miss_tokens: 60 }, {
      inputTokens: 60,
      cacheReadTokens: 40
    }],
    [
      "LiteLLM",
      {
        prompt_tokens_details: { cached_tokens: 40, cache_creation_tokens: 10 },
        cache_read_input_tokens: 40,
        cache_creation_input_tokens: 10
      },
      { inputTokens: 50, cacheReadTokens: 40, cacheWriteTokens: 10 }
    ],
    [
      "LiteLLM, with its details left at 0",
      { prompt_tokens_details: { cached_tokens: 0 }, cache_read_input_tokens: 40, cache_creation_input_tokens: 10 },
      { inputTokens: 50, cacheReadTokens: 40, cacheWriteTokens: 10 }
    ],
    [
      "LiteLLM, for an hour",
      {
        prompt_tokens_details: {
          cache_creation_tokens: 10,
          cache_creation_token_details: { ephemeral_1h_input_tokens: 4 }
        }
      },
      { inputTokens: 90, cacheWriteTokens: 10, cacheWrite1hTokens: 4 }
    ],
    [
      "DashScope",
      { prompt_tokens_details: { cached_tokens: 40, cache_creation_input_tokens: 10 } },
      { inputTokens: 50, cacheReadTokens: 40, cacheWriteTokens: 10 }
    ],
    ["a host that counts more than the prompt", { cached_tokens: 400 }, { inputTokens: 0, cacheReadTokens: 100 }],
    [
      "a host that counts cached tokens twice",
      { cached_tokens: 80, cache_creation_input_tokens: 80 },
      { inputTokens: 0, cacheReadTokens: 80, cacheWriteTokens: 20 }
    ],
    ["a host that counts in texts", { cached_tokens: "40", num_cached_tokens: -1 }, { inputTokens: 100 }]
  ])("finds the cached tokens of %s", (_, usage, expected) => {
    const found = counted({ prompt_tokens: 100, completion_tokens: 20, total_tokens: 120, ...usage })

    assert.deepInclude(found, { cacheReadTokens: 0, cacheWriteTokens: 0, totalTokens: 120, ...expected })
  })

  it.each<readonly [host: string, usage: object, outputTokens: number, reasoningTokens: number]>([
    ["OpenAI", { completion_tokens_details: { reasoning_tokens: 15 } }, 5, 15],
    ["a host that counts it within the output, at the top", { reasoning_tokens: 15, total_tokens: 120 }, 5, 15],
    ["xAI", { completion_tokens_details: { reasoning_tokens: 15 }, total_tokens: 135 }, 20, 15],
    ["Gemini's compatible endpoint", { total_tokens: 135 }, 20, 15],
    ["Perplexity", { reasoning_tokens: 15, total_tokens: 120, num_search_queries: 3, citation_tokens: 9 }, 20, 15],
    ["Perplexity, with more than the output", { reasoning_tokens: 900, search_context_size: "low" }, 20, 900],
    ["a host that counts more than the output", { completion_tokens_details: { reasoning_tokens: 90 } }, 0, 20]
  ])("finds the reasoning of %s", (_, usage, outputTokens, reasoningTokens) => {
    const found = counted({ prompt_tokens: 100, completion_tokens: 20, ...usage })

    assert.deepInclude(found, { outputTokens, reasoningTokens })
    assert.strictEqual(found?.totalTokens, 100 + outputTokens + reasoningTokens)
  })

  it.each([
    [{ prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }],
    [{ input_tokens: 0, output_tokens: 0 }],
    [{ prompt_tokens: 0 }],
    [{ prompt_tokens: 0, completion_tokens: 0, cost: 0 }],
    [{ prompt_tokens: null, completion_tokens: null }],
    [{ total_tokens: 7 }],
    [{}],
    [null]
  ])("has no usage where nothing is counted: %j", (usage) => {
    assert.isUndefined(counted(usage))
    assert.isUndefined(streamed([{ choices: [], usage }]))
  })

  it.each<readonly [place: string, chunks: ReadonlyArray<object>]>([
    ["the last chunk", [choice({}), { choices: [], usage: tokens }]],
    ["a choice", [choice({}), choice({ usage: tokens })]],
    ["a choice, before a chunk without it", [choice({ usage: tokens }), choice({}), { choices: [], usage: null }]],
    ["x_groq", [choice({}), { ...choice({}), x_groq: { usage: tokens } }]]
  ])("finds the usage of a stream in %s", (_, chunks) => {
    assert.deepInclude(streamed(chunks), { inputTokens: 60, cacheReadTokens: 40, outputTokens: 20 })
  })

  it.each<readonly [place: string, body: object]>([
    ["a choice", { choices: [{ message: {}, usage: tokens }] }],
    ["x_groq", { x_groq: { usage: tokens } }],
    ["a choice, with zeros at the root", {
      usage: { prompt_tokens: 0, completion_tokens: 0 },
      choices: [{ usage: tokens }]
    }]
  ])("finds the usage of a body in %s", (_, body) => {
    assert.deepInclude(OpenAiUsage.ofBody({ ...body }), { inputTokens: 60, cacheReadTokens: 40, outputTokens: 20 })
  })

  it.each<readonly [title: string, usage: object, nanoUsd: number | undefined]>([
    ["OpenRouter", { cost: 0.0145476, cost_details: { upstream_inference_cost: 0.0001776 } }, 14_547_600],
    ["OpenRouter, with its part of the same charge", {
      cost: 0.000_002_85,
      is_byok: false,
      cost_details: { upstream_inference_cost: 0.000_002_85 }
    }, 2850],
    ["OpenRouter, with a key of the caller's own", {
      cost: 0.95,
      is_byok: true,
      cost_details: { upstream_inference_cost: 19 }
    }, 19_950_000_000],
    ["OpenRouter, with a key of the caller's own and no fee", {
      cost: 0,
      is_byok: true,
      cost_details: { upstream_inference_cost: 0.036_079_5 }
    }, 36_079_500],
    ["OpenRouter, with a key of the caller's own that is not named", {
      cost: 0,
      cost_details: { upstream_inference_cost: 0.036_079_5 }
    }, 36_079_500],
    ["OpenRouter, without an upstream cost", {
      cost: 0.5,
      is_byok: true,
      cost_details: { upstream_inference_cost: null }
    }, 500_000_000],
    ["OpenRouter's free models", { cost: 0, is_byok: false }, 0],
    ["Perplexity", { cost: { input_tokens_cost: 0.00005, request_cost: 0.006, total_cost: 0.00614 } }, 6_140_000],
    ["Perplexity's agents", { cost: { currency: "USD", total_cost: 0.25 } }, 250_000_000],
    ["another currency", { cost: { currency: "EUR", total_cost: 0.25 } }, undefined],
    ["xAI", { cost_in_usd_ticks: 37_756_000 }, 3_775_600],
    ["xAI, less than a nano-dollar", { cost_in_usd_ticks: 4 }, 0],
    ["DeepInfra", { estimated_cost: 0.0000268 }, 26_800],
    ["a text", { cost: "0.1" }, undefined],
    ["a negative number", { cost: -1 }, undefined],
    ["no number", { cost: Number.NaN, cost_in_usd_ticks: 1.5 }, undefined],
    ["an amount that no bill has", { cost: 1e300 }, undefined],
    ["nothing", {}, undefined]
  ])("reads the cost that is stated by %s", (_, usage, nanoUsd) => {
    assert.strictEqual(counted({ prompt_tokens: 1, completion_tokens: 1, ...usage })?.reportedNanoUsd, nanoUsd)
    assert.strictEqual(counted({ input_tokens: 1, output_tokens: 1, ...usage })?.reportedNanoUsd, nanoUsd)
  })

  it("keeps a cost that is stated without tokens", () => {
    assert.strictEqual(counted({ prompt_tokens: 0, completion_tokens: 0, cost: 0.1 })?.reportedNanoUsd, 100_000_000)
  })

  it.each<readonly [title: string, body: object, searches: number | undefined]>([
    ["searches", { output: [search("search"), search("search")] }, 2],
    ["pages and texts in them, which are free", { output: [search("open_page"), search("find_in_page")] }, undefined],
    ["a search, a page and a text", { output: [search("search"), search("open_page"), search("find_in_page")] }, 1],
    ["calls without an action", { output: [{ type: "web_search_call", status: "completed" }] }, 1],
    ["a failed search", { output: [{ ...search("search"), status: "failed" }] }, undefined],
    ["what is billed of them", {
      output: [search("search"), search("search")],
      tool_usage: { web_search: { num_requests: 1 } }
    }, 1],
    ["none that is billed", { output: [search("search")], tool_usage: { web_search: { num_requests: 0 } } }, undefined],
    ["other calls", { output: [{ type: "file_search_call" }, { type: "function_call" }] }, undefined]
  ])("counts the web searches of %s", (_, body, searches) => {
    assert.strictEqual(OpenAiUsage.ofBody({ ...body, usage: { input_tokens: 1 } })?.webSearches, searches)
  })
})

function choice(fields: object) {
  return { choices: [{ index: 0, delta: { content: "Hi" }, ...fields }] }
}

function search(type: string) {
  return { type: "web_search_call", status: "completed", action: { type } }
}

const counted = (usage: unknown): Usage | undefined => OpenAiUsage.ofBody({ usage })

const streamed = (chunks: ReadonlyArray<object>): Usage | undefined => {
  const answer = new ChatAccumulator()
  for (const chunk of chunks) answer.add({ ...chunk })
  assert.deepStrictEqual(OpenAiUsage.usageOf(answer.usage), OpenAiUsage.ofBody(answer.body))
  return OpenAiUsage.ofBody(answer.body)
}
