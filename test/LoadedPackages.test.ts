import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"

describe("the packages that are loaded", () => {
  it("are effect alone until something needs more, and the prices once one is asked for", async () => {
    const { afterAnswer, afterImport, afterPrice } = await loaded()

    assert.deepStrictEqual(afterImport, ["effect"])
    assert.deepStrictEqual(afterAnswer, ["effect"])
    assert.deepStrictEqual(afterPrice, ["@pydantic/genai-prices", "effect"])
  })
})

/** What a process of its own has loaded at each step. */
const loaded = async (): Promise<Readonly<Record<string, ReadonlyArray<string>>>> => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    "--import",
    fileURLToPath(new URL("fixtures/holdfast-source.ts", import.meta.url)),
    "--input-type=module",
    "--eval",
    source
  ], { cwd: fileURLToPath(new URL("..", import.meta.url)), env: { PATH: process.env["PATH"] } })
  return JSON.parse(stdout)
}

const source = `
import { registerHooks } from "node:module"
const names = new Set()
registerHooks({
  load: (url, context, next) => {
    const name = /.*\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(url)?.[1]
    if (name !== undefined) names.add(name)
    return next(url, context)
  }
})
const step = () => [...names].toSorted()
const { Effect } = await import("effect")
const { Holdfast, PriceCatalog, Usage } = await import("holdfast")
const afterImport = step()
const usage = new Usage.Usage({
  inputTokens: 1, cacheReadTokens: 0, cacheWriteTokens: 0, outputTokens: 1, reasoningTokens: 0, totalTokens: 2
})
await Holdfast.execute({ model: "openai/gpt-5", prompt: "Hi" }).pipe(
  Effect.provide(Holdfast.layerTest(() => "Hello")),
  Effect.runPromise
)
const afterAnswer = step()
await Effect.runPromise(PriceCatalog.make().price({ provider: "openai", model: "gpt-5", usage }))
console.log(JSON.stringify({ afterImport, afterAnswer, afterPrice: step() }))
`
