import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ModelCatalog, StrategySelector } from "holdfast"

describe("StrategySelector", () => {
  it.effect.each(
    [
      // 1. a Responses-API model with an explicit openai/ or azure/ prefix
      ["openai/gpt-5.5-pro", "background"],
      ["openai/gpt-4o", "background"],
      ["azure/gpt-5", "background"],
      ["OpenAI/o3", "background"],
      ["openai/responses/my-model", "background"],
      // 2. a Responses-API model without one
      ["gpt-5.5-pro", "sync"],
      ["gpt-4o", "sync"],
      ["o3-deep-research", "sync"],
      // 3. everything else
      ["openai/gpt-3.5-turbo", "completions"],
      ["openai/gpt-4o-audio-preview", "completions"],
      ["azure/my-deployment", "completions"],
      ["bedrock_mantle/gpt-5", "completions"],
      ["anthropic/claude-opus-4-5", "completions"],
      ["claude-opus-4-5", "completions"],
      ["google/gemini-3-pro", "completions"],
      ["groq/llama-3.3-70b", "completions"],
      ["openrouter/openai/gpt-5", "completions"],
      ["meta-llama/Llama-3", "completions"],
      ["test/anything", "completions"],
      ["", "completions"],
      ["/", "completions"]
    ] as const
  )("chooses for %s: %s", ([model, expected]) =>
    Effect.gen(function*() {
      assert.strictEqual(yield* StrategySelector.select(model), expected)
    }))

  it.effect("follows the catalogue's overrides", () =>
    Effect.gen(function*() {
      const chosen = yield* Effect.forEach(
        ["openai/gpt-5", "openai/gpt-3.5-turbo", "my-model", "azure/my-deployment", "groq/llama-3.3-70b"],
        StrategySelector.select
      )

      assert.deepStrictEqual(chosen, ["completions", "background", "sync", "background", "completions"])
    }).pipe(Effect.provide(ModelCatalog.layer({
      apis: {
        "openai/gpt-5": "completions",
        "openai/gpt-3.5-turbo": "responses",
        "my-model": "responses",
        "groq/llama-3.3-70b": "responses"
      },
      deployments: { "my-deployment": "gpt-5.5-pro" }
    }))))

  it("takes a catalogue that is at hand", () => {
    const catalog = ModelCatalog.make({ apis: { "openai/gpt-5": "completions" } })

    assert.strictEqual(StrategySelector.selectWith(catalog, "openai/gpt-5"), "completions")
    assert.strictEqual(StrategySelector.selectWith(catalog, "openai/gpt-5-mini"), "background")
  })
})
