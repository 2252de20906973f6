import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Simulator } from "holdfast/testing"
import { anthropicBodies, openAiBodies, type Validate } from "./PublishedSchemas.ts"

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
          const openai = openAiBodies(directory)
          const anthropic = anthropicBodies(directory)
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
