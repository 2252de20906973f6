import { assert, describe, it } from "@effect/vitest"
import type { Usage, UsagePass } from "../../../src/errors/Usage.ts"
import * as AnthropicUsage from "../../../src/services/providers/internal/AnthropicUsage.ts"

describe("AnthropicUsage", () => {
  it.each<readonly [title: string, usage: object, passes: ReadonlyArray<Partial<UsagePass>>]>([
    ["one pass without iterations", { input_tokens: 10, output_tokens: 20 }, [{ inputTokens: 10, outputTokens: 20 }]],
    ["one iteration", { input_tokens: 10, output_tokens: 20, iterations: [iteration("message", 10, 20)] }, [
      { inputTokens: 10, outputTokens: 20 }
    ]],
    ["a compaction, which the counts leave out", {
      input_tokens: 10,
      output_tokens: 20,
      iterations: [iteration("compaction", 500, 50), iteration("message", 10, 20)]
    }, [{ inputTokens: 10, outputTokens: 20 }, { inputTokens: 500, outputTokens: 50, model: "claude" }]],
    ["a compaction alone", {
      input_tokens: 0,
      output_tokens: 0,
      iterations: [iteration("compaction", 500, 50)]
    }, [{ inputTokens: 0 }, { inputTokens: 500, outputTokens: 50 }]],
    ["an advisor at its own model", {
      input_tokens: 30,
      output_tokens: 7,
      iterations: [
        iteration("message", 10, 3),
        { ...iteration("advisor_message", 40, 5), model: "advisor" },
        iteration("message", 20, 4)
      ]
    }, [
      { inputTokens: 10, outputTokens: 3, model: "claude" },
      { inputTokens: 20, outputTokens: 4, model: "claude" },
      { inputTokens: 40, outputTokens: 5, model: "advisor" }
    ]],
    ["a fallback without the model that declined", {
      input_tokens: 12,
      output_tokens: 20,
      iterations: [
        { ...iteration("message", 10, 4), model: "declined" },
        { ...iteration("fallback_message", 12, 20), model: "claude" }
      ]
    }, [{ inputTokens: 12, outputTokens: 20, model: "claude" }]],
    ["a fallback with its own tools", {
      input_tokens: 32,
      output_tokens: 20,
      iterations: [
        { ...iteration("message", 10, 4), model: "declined" },
        { ...iteration("message", 12, 8), model: "claude" },
        { ...iteration("fallback_message", 20, 12), model: "claude" }
      ]
    }, [{ inputTokens: 12, outputTokens: 8 }, { inputTokens: 20, outputTokens: 12 }]],
    ["iterations that do not add up", {
      input_tokens: 10,
      output_tokens: 20,
      iterations: [iteration("message", 3, 4), iteration("message", 5, 6)]
    }, [{ inputTokens: 10, outputTokens: 20 }]],
    ["an iteration of an unknown type", {
      input_tokens: 10,
      output_tokens: 20,
      iterations: [iteration("message", 10, 20), iteration("dream", 900, 900)]
    }, [{ inputTokens: 10, outputTokens: 20 }]],
    ["what is no list", { input_tokens: 10, output_tokens: 20, iterations: { type: "compaction" } }, [
      { inputTokens: 10 }
    ]]
  ])("bills %s", (_, usage, expected) => {
    const passes = AnthropicUsage.passesOf(usage, "claude")

    assert.strictEqual(passes.length, expected.length)
    assert.containSubset(passes, expected)
  })

  it("takes the speed of the answer for its compaction, and not for its advisor", () => {
    const passes = AnthropicUsage.passesOf({
      input_tokens: 10,
      output_tokens: 20,
      speed: "fast",
      inference_geo: "us",
      iterations: [iteration("compaction", 5, 1), { ...iteration("advisor_message", 5, 1), model: "advisor" }]
    }, "claude")

    assert.deepStrictEqual(passes.map(({ serviceTier }) => serviceTier), ["fast", "fast", undefined])
    assert.deepStrictEqual(passes.map(({ inferenceGeo }) => inferenceGeo), ["us", "us", "us"])
  })

  it("keeps all thinking when the iterations do not count it", () => {
    const passes = AnthropicUsage.passesOf({
      input_tokens: 30,
      output_tokens: 20,
      output_tokens_details: { thinking_tokens: 12 },
      iterations: [iteration("message", 10, 8), iteration("message", 20, 12)]
    }, "claude")

    assert.containSubset(passes, [{ outputTokens: 0, reasoningTokens: 8 }, { outputTokens: 8, reasoningTokens: 4 }])
    assert.deepInclude(AnthropicUsage.total(passes, "claude"), {
      outputTokens: 8,
      reasoningTokens: 12,
      totalTokens: 50
    })
  })

  it("counts the cache of each pass, for an hour too", () => {
    const written = { cache_creation_input_tokens: 6, cache_creation: { ephemeral_1h_input_tokens: 4 } }
    const usage = {
      input_tokens: 1,
      output_tokens: 2,
      ...written,
      iterations: [{ ...iteration("compaction", 5, 1), ...written, cache_read_input_tokens: 9 }]
    }

    assert.deepInclude(total(usage), {
      inputTokens: 6,
      cacheReadTokens: 9,
      cacheWriteTokens: 12,
      cacheWrite1hTokens: 8,
      outputTokens: 3,
      totalTokens: 30
    })
  })

  it("takes the cache writes by their time where they are counted only so", () => {
    const usage = { cache_creation: { ephemeral_5m_input_tokens: 3, ephemeral_1h_input_tokens: 4 } }

    assert.deepInclude(total(usage), { cacheWriteTokens: 7, cacheWrite1hTokens: 4 })
  })

  it("counts the web searches once, and how often the model ran", () => {
    const usage = {
      input_tokens: 10,
      output_tokens: 20,
      server_tool_use: { web_search_requests: 3, web_fetch_requests: 2 },
      iterations: [iteration("compaction", 5, 1)]
    }

    assert.strictEqual(total(usage)?.webSearches, 3)
    assert.deepStrictEqual(total(usage)?.passes?.map(({ modelRuns }) => modelRuns), [6, undefined])
    assert.notProperty(total({ input_tokens: 1, server_tool_use: { web_search_requests: 0 } }), "webSearches")
    assert.notProperty(total({ input_tokens: 1, server_tool_use: { web_search_requests: 0 } }), "modelRuns")
  })

  it("takes a stated cost for all passes", () => {
    const usage = { input_tokens: 10, output_tokens: 20, cost: 0.5, iterations: [iteration("compaction", 500, 50)] }

    assert.deepInclude(total(usage), { inputTokens: 510, outputTokens: 70, reportedNanoUsd: 500_000_000 })
    assert.notProperty(total(usage), "passes")
  })

  it("states a cost for several turns when each of them does", () => {
    const [first] = AnthropicUsage.passesOf({ input_tokens: 10, cost: 0.5 }, "claude")
    const [second] = AnthropicUsage.passesOf({ input_tokens: 10, cost: 0.25 }, "claude")
    const [silent] = AnthropicUsage.passesOf({ input_tokens: 10 }, "claude")

    assert.strictEqual(AnthropicUsage.total([first!, second!], "claude")?.reportedNanoUsd, 750_000_000)
    assert.notProperty(AnthropicUsage.total([first!, silent!], "claude"), "reportedNanoUsd")
  })

  it("names the model of one pass only when it is another one", () => {
    const passes = AnthropicUsage.passesOf({ input_tokens: 10 }, "claude")

    assert.notProperty(AnthropicUsage.total(passes, "claude"), "passes")
    assert.containSubset(AnthropicUsage.total(passes, "other")?.passes, [{ model: "claude" }])
  })
})

function iteration(type: string, input_tokens: number, output_tokens: number) {
  return { type, input_tokens, output_tokens, cache_creation_input_tokens: 0, cache_read_input_tokens: 0 }
}

const total = (usage: unknown): Usage | undefined =>
  AnthropicUsage.total(AnthropicUsage.passesOf(usage, "claude"), "claude")
