import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Result, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import * as AnthropicMessages from "../../../src/services/providers/AnthropicMessages.ts"
import { type RequestInput, ResponseRequest } from "../../../src/services/ResponseRequest.ts"

describe("AnthropicMessages.toBody", () => {
  for (const { expected, name, request } of bodies()) {
    it(name, () => {
      assert.deepStrictEqual<unknown>(Result.getOrThrow(toBody(request)), { ...minimal, ...expected })
    })
  }

  for (const { message, name, param, request } of refusals()) {
    it(name, () => {
      const failure = Result.getOrThrow(Result.flip(toBody(request)))

      assert.strictEqual(failure._tag, "InvalidRequest")
      assert.strictEqual(failure.param, param)
      assert.include(failure.message, message)
    })
  }

  it("merges objects of providerOptions one level deep, and lets them win", () => {
    const body = toBody({
      reasoningEffort: "high",
      metadata: { user_id: "u1" },
      providerOptions: {
        output_config: { format: { type: "json_schema", schema: { type: "object" } } },
        metadata: { user_id: "u2" },
        max_tokens: 7,
        service_tier: "standard_only"
      }
    })

    assert.deepStrictEqual<unknown>(Result.getOrThrow(body), {
      ...minimal,
      max_tokens: 7,
      output_config: { effort: "high", format: { type: "json_schema", schema: { type: "object" } } },
      metadata: { user_id: "u2" },
      service_tier: "standard_only"
    })
  })

  it.each([
    ["claude-3-haiku-20240307", 4096],
    ["claude-3-5-sonnet-20241022", 8192],
    ["claude-3-7-sonnet-latest", 64_000],
    ["claude-opus-4-20250514", 32_000],
    ["claude-opus-4-0", 32_000],
    ["claude-opus-4-1-20250805", 32_000],
    ["claude-opus-4@20250514", 32_000],
    ["claude-sonnet-4-20250514", 64_000],
    ["claude-haiku-4-5", 64_000],
    ["claude-opus-4-5-20251101", 64_000],
    ["claude-opus-4-6", 128_000],
    ["claude-sonnet-4-6", 128_000],
    ["claude-opus-4-8", 128_000],
    ["claude-sonnet-5", 128_000],
    ["claude-opus-5-5", 128_000],
    ["claude-haiku-5-5", 128_000],
    ["claude-fable-5-2", 128_000],
    ["us.anthropic.claude-opus-5-5-v1:0", 128_000],
    ["claude-opus-12", 128_000],
    ["some-other-model", 8192]
  ])("asks %s for %i tokens at most", (model, limit) => {
    const body = AnthropicMessages.toBody(decode({}), { provider: "anthropic", model })

    assert.strictEqual(Result.getOrThrow(body)["max_tokens"], limit)
  })

  const validate = publishedValidator()
  it.skipIf(validate === undefined)("makes bodies that fit the published schema (needs HOLDFAST_SPECS)", () => {
    for (const { name, request } of bodies().filter(({ isNewer }) => isNewer !== true)) {
      assert.deepStrictEqual(validate?.(Result.getOrThrow(toBody(request))), [], name)
    }
  })
})

describe("AnthropicMessages.toContinuation", () => {
  it("sends the blocks back unchanged, as one assistant's turn at the end", () => {
    const body = Result.getOrThrow(toBody({ instructions: "Be brief" }))
    const blocks = [{ type: "thinking", thinking: "…", signature: "s" }, { type: "server_tool_use", id: "1" }]

    assert.deepStrictEqual(AnthropicMessages.toContinuation(body, blocks), {
      ...body,
      messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: blocks }]
    })
  })
})

const minimal = { model: "claude-opus-4-8", max_tokens: 128_000, messages: [{ role: "user", content: "Hi" }] }

const decode = (request: Partial<RequestInput>) =>
  Schema.decodeSync(ResponseRequest)({ model: "anthropic/claude-opus-4-8", prompt: "Hi", ...request })

const toBody = (request: Partial<RequestInput>) =>
  AnthropicMessages.toBody(decode(request), { provider: "anthropic", model: "claude-opus-4-8" })

interface Case {
  readonly name: string
  readonly request: Partial<RequestInput>
}

function bodies(): ReadonlyArray<Case & { readonly expected: object; readonly isNewer?: boolean }> {
  return [
    { name: "sends a text as it is", request: {}, expected: {} },
    {
      name: "sends earlier turns before the prompt, and instructions as system",
      request: {
        instructions: "Be brief",
        messages: [
          { role: "user", content: "1 + 1?" },
          { role: "assistant", content: [{ type: "text", text: "2" }] }
        ]
      },
      expected: {
        system: "Be brief",
        messages: [
          { role: "user", content: "1 + 1?" },
          { role: "assistant", content: [{ type: "text", text: "2" }] },
          { role: "user", content: "Hi" }
        ]
      }
    },
    { name: "leaves empty instructions out", request: { instructions: "" }, expected: {} },
    {
      name: "sends images and documents as bytes and urls",
      request: {
        prompt: [
          { type: "text", text: "Look" },
          { type: "image", url: "https://example.com/a.png", detail: "high" },
          { type: "image_url", image_url: { url: "data:image/png;base64,AAEC" } },
          { type: "file", data: "AAEC", mediaType: "application/pdf", filename: "a.pdf" },
          { type: "file", url: "https://example.com/a.pdf" },
          { type: "file", data: "SGk=", mediaType: "text/markdown" },
          { type: "file", data: "AAEC", mediaType: "image/webp" }
        ]
      },
      expected: {
        messages: [{
          role: "user",
          content: [
            { type: "text", text: "Look" },
            { type: "image", source: { type: "url", url: "https://example.com/a.png" } },
            { type: "image", source: { type: "base64", media_type: "image/png", data: "AAEC" } },
            {
              type: "document",
              source: { type: "base64", media_type: "application/pdf", data: "AAEC" },
              title: "a.pdf"
            },
            { type: "document", source: { type: "url", url: "https://example.com/a.pdf" } },
            { type: "document", source: { type: "text", media_type: "text/plain", data: "Hi" } },
            { type: "image", source: { type: "base64", media_type: "image/webp", data: "AAEC" } }
          ]
        }]
      }
    },
    {
      name: "sends uploaded files by their id",
      request: { prompt: [{ type: "image", fileId: "file_1" }, { type: "file", fileId: "file_2" }] },
      expected: {
        messages: [{
          role: "user",
          content: [
            { type: "image", source: { type: "file", file_id: "file_1" } },
            { type: "document", source: { type: "file", file_id: "file_2" } }
          ]
        }]
      },
      // Uploaded files are newer than the published schema.
      isNewer: true
    },
    { name: "sends maxOutputTokens as max_tokens", request: { maxOutputTokens: 10 }, expected: { max_tokens: 10 } },
    { name: "sends one stop text as a list", request: { stop: "END" }, expected: { stop_sequences: ["END"] } },
    { name: "sends stop texts", request: { stop: ["A", "B"] }, expected: { stop_sequences: ["A", "B"] } },
    ...(["low", "medium", "high", "xhigh", "max"] as const).map((effort) => ({
      name: `sends the effort ${effort}`,
      request: { reasoningEffort: effort },
      expected: { output_config: { effort } }
    })),
    {
      name: "sends the effort minimal as low",
      request: { reasoningEffort: "minimal" },
      expected: { output_config: { effort: "low" } }
    },
    {
      name: "switches thinking off for the effort none",
      request: { reasoningEffort: "none" },
      expected: { thinking: { type: "disabled" } }
    },
    {
      name: "sends only user_id of metadata",
      request: { metadata: { user_id: "u1", team: "t1" } },
      expected: { metadata: { user_id: "u1" } }
    },
    { name: "leaves store and other metadata out", request: { store: false, metadata: { team: "t1" } }, expected: {} }
  ]
}

function refusals(): ReadonlyArray<Case & { readonly param: string; readonly message: string }> {
  return [
    { name: "refuses temperature", request: { temperature: 1 }, param: "temperature", message: "no temperature" },
    { name: "refuses topP", request: { topP: 0.5 }, param: "topP", message: "no topP" },
    {
      name: "refuses an image of an unknown type",
      request: { prompt: [{ type: "image", data: "AAEC", mediaType: "image/tiff" }] },
      param: "prompt",
      message: "image/tiff"
    },
    {
      name: "refuses a file that is neither PDF nor text",
      request: { prompt: [{ type: "file", data: "AAEC", mediaType: "application/zip" }] },
      param: "prompt",
      message: "application/zip"
    },
    {
      name: "refuses an image in an assistant's turn",
      request: { messages: [{ role: "assistant", content: [{ type: "image", url: "https://example.com/a.png" }] }] },
      param: "messages",
      message: "only text"
    }
  ]
}

function publishedValidator(): ((value: unknown) => ReadonlyArray<string>) | undefined {
  const folder = process.env.HOLDFAST_SPECS
  if (folder === undefined) return undefined
  const document = JSON.parse(
    Fs.readFileSync(Path.join(folder, "anthropic.json"), "utf8"),
    (_, value) =>
      value?.oneOf === undefined ? value : { ...value, oneOf: undefined, discriminator: undefined, anyOf: value.oneOf }
  )
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false })
  ajv.addSchema(JSON.parse(JSON.stringify(document)), "anthropic")
  const validate = ajv.compile({ $ref: "anthropic#/components/schemas/CreateMessageParams" })
  return (value) =>
    validate(value) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`)
}
