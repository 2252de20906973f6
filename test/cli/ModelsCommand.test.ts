import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { holdfast } from "./CommandRunner.ts"

describe("holdfast models", () => {
  it.live("says what a model would use", () =>
    Effect.gen(function*() {
      const { code, stdout } = yield* holdfast(["models", "openai/gpt-5.5-pro"], { env: { OPENAI_API_KEY: "sk-1" } })

      assert.strictEqual(code, 0)
      assert.strictEqual(
        stdout,
        [
          "Model     gpt-5.5-pro",
          "Provider  openai",
          "API       Responses",
          "Strategy  background: a job that is polled, and found again after a crash",
          "Base URL  https://api.openai.com/v1",
          "Key       OPENAI_API_KEY (set)",
          "Ready     yes",
          ""
        ].join("\n")
      )
    }))

  it.live("says what is missing", () =>
    Effect.gen(function*() {
      const { code, stdout } = yield* holdfast(["models", "anthropic/claude-sonnet-4-5", "--json"])

      assert.strictEqual(code, 0)
      assert.containSubset(JSON.parse(stdout), {
        provider: "anthropic",
        api: "completions",
        strategy: "completions",
        keyVariables: ["ANTHROPIC_API_KEY"],
        keySet: false,
        ready: false,
        problem: "anthropic has no key; set ANTHROPIC_API_KEY"
      })
    }))

  it.live("follows the catalogue of the environment", () =>
    Effect.gen(function*() {
      const { stdout } = yield* holdfast(["models", "openai/my-model", "--json"], {
        env: { OPENAI_API_KEY: "sk-1", HOLDFAST_MODEL_APIS: "openai/my-model=responses" }
      })

      assert.containSubset(JSON.parse(stdout), { api: "responses", strategy: "background", ready: true })
    }))

  it.live("is not ready for a prefix alone", () =>
    Effect.gen(function*() {
      const { stdout } = yield* holdfast(["models", "openai/"], { env: { OPENAI_API_KEY: "sk-1" } })

      assert.match(stdout, /Ready +no: the model's name has only a prefix/)
    }))

  it.live("knows no provider for an unknown name", () =>
    Effect.gen(function*() {
      const { stdout } = yield* holdfast(["models", "mystery"])

      assert.match(stdout, /Provider +unknown/)
      assert.match(stdout, /Ready +no: No provider is known/)
    }))
})

describe("holdfast", () => {
  it.live("shows help and version on stdout", () =>
    Effect.gen(function*() {
      const help = yield* holdfast(["run", "--help"])
      const version = yield* holdfast(["--version"])

      assert.strictEqual(help.code, 0)
      assert.match(help.stdout, /Exit codes:[^]* 4 {2}Timeout/)
      assert.strictEqual(version.stdout, "holdfast v1.2.3\n")
    }))
})
