import { assert, describe, it } from "@effect/vitest"
import { Ajv2020 } from "ajv/dist/2020.js"
import { Effect } from "effect"
import { Simulator } from "holdfast/testing"
import { readFileSync } from "node:fs"
import { join } from "node:path"

const directory = process.env["HOLDFAST_SPECS"]

describe("Simulator against the published schemas", () => {
  if (directory === undefined) {
    it.skip("is checked with the providers' schemas (skipped: HOLDFAST_SPECS is not set)", () => {})
    return
  }

  it.live.each(
    ["completed", "failed", "incomplete", "cancelled", "refused", "empty", "toolCall"] as const
  )(
    "serves valid bodies when a call ends as %s",
    (outcome) =>
      Simulator.Simulator.use((sim) =>
        Effect.promise(async () => {
          const openai = validatorOf(join(directory, "openai.json"), openAiNullable, openAiOptional)
          const anthropic = validatorOf(join(directory, "anthropic.json"), new Set(["stop_details"]), undefined)
          const send = async (path: string, body?: object) => {
            const response = await fetch(`${sim.url}${path}`, {
              method: body === undefined ? "GET" : "POST",
              headers: { authorization: "Bearer sim" },
              ...(body === undefined ? {} : { body: JSON.stringify(body) })
            })
            const text = await response.text()
            const data = [...text.matchAll(/^data: (\{.*)$/gm)].map((match) => match[1] ?? "")
            return {
              status: response.status,
              bodies: (data.length > 0 ? data : text.trim().split("\n")).map((one) => JSON.parse(one))
            }
          }
          const problems: Array<string> = []
          const check = (validate: Validate, name: string, answer: Awaited<ReturnType<typeof send>>) => {
            for (const body of answer.bodies) {
              // Published flat, recorded with an `error` object; the recordings win.
              if (body.type === "error" && body.sequence_number !== undefined) continue
              problems.push(...validate(answer.status < 400 ? name : "ErrorResponse", body))
            }
            return answer
          }
          for (const model of ["gpt-4o", "gpt-5.5-pro"]) {
            const request = { model, input: "Hi", background: true, metadata: { a: "b" } }
            const created = check(openai, "Response", await send("/v1/responses", request))
            check(openai, "Response", await send(`/v1/responses/${created.bodies[0].id}`))
            check(openai, "ResponseStreamEvent", await send("/v1/responses", { ...request, stream: true }))
          }
          if (outcome !== "cancelled") {
            const chat = { model: "gpt-4o", messages: [{ role: "user", content: "Hi" }] }
            const streamed = { ...chat, stream: true, stream_options: { include_usage: true } }
            check(openai, "CreateChatCompletionResponse", await send("/v1/chat/completions", chat))
            check(openai, "CreateChatCompletionStreamResponse", await send("/v1/chat/completions", streamed))
          }
          const message = { model: "claude-haiku-4-5", max_tokens: 100, messages: [{ role: "user", content: "Hi" }] }
          check(anthropic, "Message", await send("/v1/messages", message))
          check(anthropic, "MessageStreamEvent", await send("/v1/messages", { ...message, stream: true }))
          const batch = check(
            anthropic,
            "MessageBatch",
            await send("/v1/messages/batches", { requests: [{ custom_id: "a", params: message }] })
          )
          const path = `/v1/messages/batches/${batch.bodies[0].id}`
          check(anthropic, "MessageBatch", await send(path))
          check(anthropic, "MessageBatchIndividualResponse", await send(`${path}/results`))

          assert.deepStrictEqual(problems, [])
        })
      ).pipe(
        Effect.provide(
          Simulator.layer({ completeAfterPolls: 1, script: [{ times: "always", do: { _tag: "Job", outcome } }] }),
          { local: true }
        )
      )
  )
})

type Validate = (name: string, body: unknown) => ReadonlyArray<string>

type Json = { [key: string]: unknown }

/** What real traffic leaves out or sets to null, although the published document does not allow it. */
const openAiNullable = new Set(["user", "system_fingerprint", "usage", "description", "tool_calls", "prompt_cache_key"])

const openAiOptional = new Set([
  "logprobs",
  "refusal",
  "strict",
  "cache_write_tokens",
  "sequence_number",
  "tools",
  "name"
])

const validatorOf = (
  path: string,
  nullable: ReadonlySet<string>,
  optional: ReadonlySet<string> | undefined
): Validate => {
  const document = JSON.parse(readFileSync(path, "utf8"))
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false, logger: false })
  ajv.addSchema({ $id: "spec", components: lenient(document.components, nullable, optional) as object })
  return (name, body) => {
    const validate = ajv.getSchema(`spec#/components/schemas/${name}`)
    if (validate === undefined) return [`no schema ${name}`]
    if (validate(body) === true) return []
    return [`${name} ${JSON.stringify(body).slice(0, 300)}: ${ajv.errorsText(validate.errors?.slice(-6))}`]
  }
}

const lenient = (value: unknown, nullable: ReadonlySet<string>, optional: ReadonlySet<string> | undefined): unknown => {
  if (Array.isArray(value)) return value.map((item) => lenient(item, nullable, optional))
  if (typeof value !== "object" || value === null) return value
  const result: Json = {}
  for (const [key, item] of Object.entries(value)) {
    if (key === "discriminator" || (key === "nullable" && typeof item === "boolean")) continue
    if (key === "required" && Array.isArray(item)) {
      if (optional !== undefined) result["required"] = item.filter((name) => !optional.has(name))
      continue
    }
    const inner = lenient(item, nullable, optional)
    if (key === "properties") {
      const properties = inner as Json
      for (const name of Object.keys(properties)) {
        if (nullable.has(name)) properties[name] = { anyOf: [properties[name], { type: "null" }] }
      }
    }
    result[key === "oneOf" ? "anyOf" : key] = inner
  }
  return "nullable" in value && value.nullable === true ? { anyOf: [result, { type: "null" }] } : result
}
