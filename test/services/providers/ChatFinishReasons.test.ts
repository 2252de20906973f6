import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, Schedule, Stream } from "effect"
import { Holdfast, Providers, type ResponseEvent, SessionStore } from "holdfast"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import * as ChatCompletionsStream from "../../../src/services/providers/ChatCompletionsStream.ts"
import { endOf, outcomeOf, read, wire } from "./StreamReading.ts"

describe("a finish reason", () => {
  it.effect.each<[fields: object, whenWritten: string, whenEmpty: string]>([
    ...["stop", "STOP", "end_turn", "tool_calls", "tool-calls", "COMPLETE", "eos"].map((finish_reason) =>
      [{ finish_reason }, "stop", "[EmptyContent]"] as [object, string, string]
    ),
    ...["length", "max_tokens", "MAX_TOKENS", "model_length", "model_context_window_exceeded"].map((finish_reason) =>
      [{ finish_reason }, "[Incomplete]", "[Incomplete]"] as [object, string, string]
    ),
    ...["content_filter", "content_filter: SAFETY", "sensitive", "SAFETY", "RECITATION", "ERROR_TOXIC"].map((
      finish_reason
    ) => [{ finish_reason }, "[ContentFiltered]", "[ContentFiltered]"] as [object, string, string]),
    ...["error", "ERROR", "abort", "cancelled", "canceled", "network_error", "timeout", "USER_CANCEL", "upstream_error"]
      .map((finish_reason) => [{ finish_reason }, "!ServerError", "!ServerError"] as [object, string, string]),
    [{ finish_reason: { type: "abort", message: "Aborted" } }, "!ServerError", "!ServerError"],
    [{ finish_reason: { type: "stop", matched: 2 } }, "stop", "[EmptyContent]"],
    [{ finish_reason: "stop", native_finish_reason: "network_error" }, "!ServerError", "!ServerError"],
    [{ finish_reason: "stop", native_finish_reason: "error" }, "!ServerError", "!ServerError"],
    [{ finish_reason: "stop", native_finish_reason: "completed" }, "stop", "[EmptyContent]"],
    [{ finish_reason: "length", native_finish_reason: "error" }, "[Incomplete]", "[Incomplete]"],
    [{ finish_reason: "refusal" }, "[Refusal]", "[Refusal]"],
    [{ finish_reason: "insufficient_system_resource" }, "!Overloaded", "!Overloaded"],
    [{ finish_details: { type: "stop", stop: "<|im_end|>" } }, "stop", "[EmptyContent]"],
    [{ finish_details: { type: "max_tokens" } }, "[Incomplete]", "[Incomplete]"],
    [{ finish_details: { type: "interrupted" } }, "!ServerError", "!ServerError"],
    [{ finish_reason: null, finish_details: { type: "max_tokens" } }, "[Incomplete]", "[Incomplete]"],
    [{ finish_reason: null, finishReason: "stop" }, "stop", "[EmptyContent]"],
    [{ finish_reason: null }, "!InvalidResponse", "!InvalidResponse"],
    [{ finish_reason: "null" }, "!InvalidResponse", "!InvalidResponse"],
    [{ finish_reason: "" }, "!InvalidResponse", "!InvalidResponse"],
    [{ finish_reason: "tired" }, "[Incomplete]", "!InvalidResponse"]
  ])(
    "%j means the same in a plain answer and at the end of a stream",
    ([fields, whenWritten, whenEmpty]) =>
      Effect.gen(function*() {
        for (const [content, expected] of [["4", whenWritten], ["", whenEmpty]] as const) {
          const plain = yield* readPlain({ index: 0, message: { role: "assistant", content }, ...fields })
          const streamed = yield* run([
            { index: 0, delta: { role: "assistant", content } },
            { index: 0, delta: {}, ...fields }
          ])

          assert.strictEqual(endOf(plain), expected, `plain, with the text "${content}"`)
          assert.strictEqual(endOf(streamed), expected, `streamed, with the text "${content}"`)
          if (expected !== "!ServerError") continue
          assert.strictEqual(plain.error?.verdict._tag, "Retryable")
          assert.strictEqual(streamed.error?.evidence, "Uncertain")
        }
      })
  )

  it.effect("names the limit in the provider's word", () =>
    Effect.gen(function*() {
      const { events } = yield* readPlain({ message: { content: "4" }, finish_details: { type: "max_tokens" } })

      assert.deepNestedInclude(outcomeOf(events), {
        "verdict.reason.limit": "max_tokens",
        "verdict.reason.content": "4"
      })
    }))

  it.live.each([["plain", "So f"], ["plain", ""], ["streamed", ""]] as const)(
    "error, %s, after the text '%s', is tried again and then left to the fallback model",
    ([how, text]) =>
      Effect.gen(function*() {
        const { asked, complete } = yield* world((model, isStreamed, response) =>
          reply(response, isStreamed, model === "bad" ? [text, "error"] : ["Whole", "stop"])
        )
        const response = yield* complete(how)

        assert.deepStrictEqual(asked, ["bad", "bad", "good"])
        assert.strictEqual(response.content, "Whole")
        assert.deepStrictEqual(response.passedOver?.map(({ model, reason }) => [model, reason._tag]), [
          ["acme/bad", "ServerError"]
        ])
      })
  )

  it.live("error, streamed after some text, is retryable with that text", () =>
    Effect.gen(function*() {
      const { asked, complete } = yield* world((_, isStreamed, response) =>
        reply(response, isStreamed, ["So f", "error"])
      )
      const error = yield* Effect.flip(complete("streamed"))

      assert.strictEqual(error._tag, "Retryable")
      assert.deepNestedInclude(error, { "reason._tag": "StreamInterrupted", "reason.content": "So f" })
      assert.deepStrictEqual(asked, ["bad"])
    }))
})

const run = (choices: ReadonlyArray<object>) => {
  const chunks = choices.map((choice) => ({ id: "c", object: "chat.completion.chunk", model: "m", choices: [choice] }))
  return read(ChatCompletionsStream.makeReader, `${wire(chunks)}data: [DONE]\n\n`)
}

const readPlain = (choice: object) =>
  read(
    ChatCompletionsStream.makeReader,
    JSON.stringify({ id: "c", object: "chat.completion", model: "m", choices: [choice] })
  )

const reply = (response: ServerResponse, isStreamed: boolean, [content, finish_reason]: [string, string]) => {
  response.setHeader("content-type", isStreamed ? "text/event-stream" : "application/json")
  const message = { role: "assistant", content }
  response.end(
    isStreamed
      ? `${
        wire([{ id: "c", choices: [{ index: 0, delta: message }] }, {
          id: "c",
          choices: [{ index: 0, delta: {}, finish_reason }]
        }])
      }data: [DONE]\n\n`
      : JSON.stringify({ id: "c", choices: [{ index: 0, message, finish_reason }] })
  )
}

/** Holdfast, and a host on loopback. */
const world = Effect.fnUntraced(function*(
  handle: (model: string, isStreamed: boolean, response: ServerResponse) => void
) {
  const asked: Array<string> = []
  const server = createServer((request, response) => {
    const chunks: Array<Uint8Array> = []
    request.on("data", (chunk: Uint8Array) => chunks.push(chunk)).on("end", () => {
      const body = JSON.parse(Buffer.concat(chunks).toString()) as { readonly model: string; readonly stream?: boolean }
      asked.push(body.model)
      handle(body.model, body.stream === true, response)
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))),
    () =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise<void>((resolve) => server.close(() => resolve()))
      })
  )
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`
  const live = Holdfast.layer.pipe(
    Layer.provide([SessionStore.layerMemory, Providers.layer({ acme: { baseUrl, apiKey: Redacted.make("k") } })])
  )
  const holdfast = Context.get(yield* Layer.build(live), Holdfast.Holdfast)
  const request = { model: "acme/bad", fallback: ["acme/good"], prompt: "Hi", retry: Schedule.recurs(1) }
  const complete = (how: "plain" | "streamed") =>
    how === "plain"
      ? holdfast.execute(request)
      : Effect.map(Stream.runCollect(holdfast.stream(request)), (events) => responseOf([...events]))
  return { asked: asked as ReadonlyArray<string>, complete }
})

const responseOf = (events: ReadonlyArray<ResponseEvent.ResponseEvent>) => {
  const last = events.at(-1)
  return last?._tag === "Completed" ? last.response : assert.fail(`the stream ended with ${last?._tag}`)
}
