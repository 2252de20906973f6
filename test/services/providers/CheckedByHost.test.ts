import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema, Stream } from "effect"
import { Holdfast, Providers, type ResponseRequest, SessionStore } from "holdfast"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"

const good = `{"verdict":"pass","note":"all green"}`
const broken = `{"verdict": "pass", "note": all green}`

describe("An answer that the host refuses", () => {
  for (const strategy of ["completions", "sync"] as const) {
    describe(`by the strategy ${strategy}`, () => {
      const answer = (text: string): Reply => ({ body: strategy === "sync" ? response(text) : completion(text) })

      it.live("is sent back by repair, with what does not fit", () =>
        Effect.gen(function*() {
          const { execute, seen } = yield* host([refusal(broken), answer(good)])
          const { attempts, value } = yield* execute({ strategy, repair: 1 })

          assert.deepStrictEqual(value, { verdict: "pass", note: "all green" })
          assert.strictEqual(attempts, 2)
          assert.strictEqual(seen.length, 2)
          assert.include(seen[1], JSON.stringify(broken))
          assert.include(seen[1], "holds no JSON value")
        }))

      it.live("is InvalidOutput with its text and without usage, and is settled", () =>
        Effect.gen(function*() {
          const { execute, seen } = yield* host([refusal(broken)])
          const error = yield* Effect.flip(execute({ strategy, session: "s" }))
          const again = yield* Effect.flip(execute({ strategy, session: "s" }))

          assert.containSubset(error, {
            _tag: "NonRetryable",
            reason: {
              _tag: "InvalidOutput",
              code: "json_validate_failed",
              status: 400,
              content: broken,
              issues: "The answer holds no JSON value, or one that is cut",
              usage: undefined
            }
          })
          assert.deepStrictEqual(again, error)
          assert.strictEqual(seen.length, 1)
        }))

      it.live("leaves no text in a journal of ids", () =>
        Effect.gen(function*() {
          const { execute, store } = yield* host([refusal(broken)])
          yield* Effect.flip(execute({ strategy, session: "s", journal: "ids-only" }))
          const { entries } = yield* store.load("s")

          assert.include(JSON.stringify(entries), "InvalidOutput")
          assert.notInclude(JSON.stringify(entries), "all green")
        }))

      it.live("is passed over for another model where fallbackOn has InvalidOutput", () =>
        Effect.gen(function*() {
          const { execute, seen } = yield* host([refusal(broken), answer(good)])
          const { passedOver, value } = yield* execute({
            strategy,
            fallback: ["groq/other"],
            fallbackOn: ["InvalidOutput"]
          })

          assert.deepStrictEqual(value, { verdict: "pass", note: "all green" })
          assert.deepStrictEqual(passedOver?.map(({ reason }) => reason._tag), ["InvalidOutput"])
          assert.include(seen[1], `"other"`)
        }))

      it.live.each<[string, string]>([
        ["in a fence", `\`\`\`json\n${good}\n\`\`\``],
        ["after thoughts", `<think>{ "verdict": …</think>${good}`],
        ["as it is", good]
      ])("is an answer when it fits all the same, %s", ([, text]) =>
        Effect.gen(function*() {
          const { execute } = yield* host([refusal(text)])
          const first = yield* execute({ strategy, session: "s" })
          const again = yield* execute({ strategy, session: "s" })

          assert.deepInclude(first, { content: text, finishReason: "stop", model: "openai/gpt-oss-120b" })
          assert.notProperty(first, "usage")
          assert.deepStrictEqual(first.value, { verdict: "pass", note: "all green" })
          assert.deepStrictEqual(again.value, first.value)
        }))

      it.live("is repaired when it is streamed and nothing was emitted", () =>
        Effect.gen(function*() {
          const { seen, stream } = yield* host([refusal(broken), answer(good)])
          const events = yield* Stream.runCollect(stream({ strategy, repair: 1 }))

          assert.containSubset(events.at(-1), { response: { value: { verdict: "pass", note: "all green" } } })
          assert.strictEqual(seen.length, 2)
        }))

      it.live("is emitted as text when it is streamed and fits all the same", () =>
        Effect.gen(function*() {
          const { stream } = yield* host([refusal(`\`\`\`\n${good}\n\`\`\``)])
          const events = yield* Stream.runCollect(stream({ strategy }))

          assert.strictEqual(textOf(events), `\`\`\`\n${good}\n\`\`\``)
          assert.containSubset(events.at(-1), { response: { value: { verdict: "pass", note: "all green" } } })
        }))
    })
  }

  it.live("in the middle of a stream is InvalidOutput with the whole text", () =>
    Effect.gen(function*() {
      const { seen, stream } = yield* host([events(chunk(`{"verdict": "pa`), refused(broken))])
      const error = yield* Effect.flip(Stream.runDrain(stream({ strategy: "completions", repair: 1 })))

      assert.containSubset(error, { _tag: "NonRetryable", reason: { _tag: "InvalidOutput", content: broken } })
      assert.strictEqual(seen.length, 1)
    }))

  it.live("in the middle of a stream has the text that was emitted, where the host does not quote it", () =>
    Effect.gen(function*() {
      const { stream } = yield* host([events(chunk(broken), refused(""))])
      const error = yield* Effect.flip(Stream.runDrain(stream({ strategy: "completions" })))

      assert.containSubset(error, { reason: { _tag: "InvalidOutput", content: broken } })
    }))

  it.live.each<[string, string, boolean]>([
    ["goes on with what was emitted", `{"verdict":"pass",`, true],
    ["is all that was emitted", good, true],
    ["is not what was emitted", `{"verdict":"fail"`, false]
  ])("in the middle of a stream is an answer only when it %s", ([, emitted, isAnswer]) =>
    Effect.gen(function*() {
      const { stream } = yield* host([events(chunk(emitted), refused(good))])
      const result = yield* Effect.result(Stream.runCollect(stream({ strategy: "completions" })))

      assert.strictEqual(result._tag, isAnswer ? "Success" : "Failure")
      if (result._tag === "Success") assert.strictEqual(textOf(result.success), good)
    }))

  it.live("is sent back without an assistant's turn when it is empty", () =>
    Effect.gen(function*() {
      const { execute, seen } = yield* host([refusal(""), { body: completion(good) }])
      yield* execute({ strategy: "completions", repair: 1 })

      assert.notInclude(seen[1], "assistant")
    }))

  it.live("is Incomplete when the host says that the tokens did not suffice", () =>
    Effect.gen(function*() {
      const { execute, seen } = yield* host([
        refusal("max completion tokens reached before generating a valid document")
      ])
      const error = yield* Effect.flip(execute({ strategy: "completions", repair: 1 }))

      assert.containSubset(error, { reason: { _tag: "Incomplete", content: "", limit: "max_completion_tokens" } })
      assert.strictEqual(seen.length, 1)
    }))

  it.live("is InvalidOutput without a schema, too", () =>
    Effect.gen(function*() {
      const { seen, untyped } = yield* host([refusal(broken)])
      const error = yield* Effect.flip(
        untyped({ strategy: "completions", providerOptions: { response_format: { type: "json_object" } } })
      )

      assert.containSubset(error, { _tag: "NonRetryable", reason: { _tag: "InvalidOutput", content: broken } })
      assert.strictEqual(seen.length, 1)
    }))

  it.live("is not confused with a tool call that the host refuses", () =>
    Effect.gen(function*() {
      const { execute } = yield* host([refusal(good, "tool_use_failed")])
      const error = yield* Effect.flip(execute({ strategy: "completions" }))

      assert.containSubset(error, { _tag: "NonRetryable", reason: { _tag: "InvalidRequest", code: "tool_use_failed" } })
    }))

  it.each<[string, unknown]>([
    ["as a gateway quotes it in a text", {
      error: {
        message: `litellm.BadRequestError: GroqException - ${JSON.stringify(error(broken))}. Received Model Group=a`,
        type: "invalid_request_error",
        code: "400"
      }
    }],
    ["as OpenRouter quotes it", {
      error: {
        message: "Provider returned error",
        code: 400,
        metadata: { provider_name: "Groq", raw: JSON.stringify(error(broken)) }
      }
    }],
    ["without a code", {
      error: {
        message: "Generated JSON does not match the expected schema. jsonschema: missing properties: 'note'",
        type: "invalid_request_error",
        failed_generation: broken
      }
    }]
  ])("is known %s", (_, body) => {
    const classified = ErrorClassifier.fromBody({ status: 400, body }, context)

    assert.containSubset(classified.verdict, {
      _tag: "NonRetryable",
      reason: { _tag: "InvalidOutput", content: broken }
    })
  })

  it("is known as an object", () => {
    const { verdict } = ErrorClassifier.fromBody({
      status: 400,
      body: { error: { code: "json_validate_failed", message: "No", failed_generation: { verdict: 1 } } }
    }, context)

    assert.containSubset(verdict, { reason: { _tag: "InvalidOutput", content: `{"verdict":1}` } })
  })

  it("ends a job as InvalidOutput, not as JobFailed", () => {
    const verdict = ErrorClassifier.jobFailure(error(broken).error, undefined, context)

    assert.containSubset(verdict, { _tag: "NonRetryable", reason: { _tag: "InvalidOutput", content: broken } })
  })
})

const Verdict = Schema.Struct({ verdict: Schema.String, note: Schema.String })

const context: ErrorClassifier.Context = { provider: "groq", operation: "call", now: 0 }

interface Reply {
  readonly status?: number
  /** JSON, or the text of an event stream. */
  readonly body: unknown
}

const error = (generation: string, code = "json_validate_failed") => ({
  error: {
    message: "Failed to generate JSON. Please adjust your prompt. See 'failed_generation' for more details.",
    type: "invalid_request_error",
    code,
    failed_generation: generation
  }
})

const refusal = (generation: string, code?: string): Reply => ({ status: 400, body: error(generation, code) })

const completion = (content: string) => ({
  id: "chatcmpl-1",
  object: "chat.completion",
  model: "m",
  choices: [{ index: 0, message: { role: "assistant", content }, finish_reason: "stop" }]
})

const response = (text: string) => ({
  id: "resp_1",
  object: "response",
  model: "m",
  status: "completed",
  output: [{
    id: "msg_1",
    type: "message",
    status: "completed",
    role: "assistant",
    content: [{ type: "output_text", text, annotations: [] }]
  }]
})

const chunk = (content: string) =>
  `data: ${
    JSON.stringify({ id: "chatcmpl-1", model: "m", choices: [{ index: 0, delta: { content }, finish_reason: null }] })
  }\n\n`

const refused = (generation: string) =>
  `event: error\ndata: ${JSON.stringify({ error: { ...error(generation).error, status_code: 400 } })}\n\n`

const events = (...parts: ReadonlyArray<string>): Reply => ({ body: parts.join("") })

const textOf = (told: Iterable<{ readonly _tag: string }>): string =>
  Array.from(told, (event) => event._tag === "TextDelta" && "delta" in event ? String(event.delta) : "").join("")

type Change = Omit<Partial<ResponseRequest.RequestInput>, "schema">

/** Answers the n-th request with the n-th reply, as Groq. */
const host = Effect.fnUntraced(function*(replies: ReadonlyArray<Reply>) {
  const seen: Array<string> = []
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", (piece) => body += piece).on("end", () => {
      const reply = replies[seen.length] ?? { status: 500, body: "too many requests" }
      seen.push(body)
      const isText = typeof reply.body === "string"
      response.writeHead(reply.status ?? 200, { "content-type": isText ? "text/event-stream" : "application/json" })
      response.end(isText ? reply.body : JSON.stringify(reply.body))
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()))),
    () =>
      Effect.promise(() =>
        new Promise<void>((resolve) => server.close(() => resolve()) && server.closeAllConnections())
      )
  )
  const baseUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/openai/v1`
  const services = yield* Layer.build(Holdfast.layer.pipe(
    Layer.provideMerge(SessionStore.layerMemory),
    Layer.provide(Providers.layer({ groq: { baseUrl, apiKey: Redacted.make("sk-test") } }))
  ))
  const asked = (change: Change) => ({ model: "groq/openai/gpt-oss-120b", prompt: "Well?", ...change })
  const store = yield* SessionStore.SessionStore.pipe(Effect.provideContext(services))
  return {
    seen: seen as ReadonlyArray<string>,
    store,
    execute: (change: Change) =>
      Holdfast.execute({ ...asked(change), schema: Verdict }).pipe(Effect.provideContext(services)),
    untyped: (change: Change) => Holdfast.execute(asked(change)).pipe(Effect.provideContext(services)),
    stream: (change: Change) =>
      Holdfast.stream({ ...asked(change), schema: Verdict }).pipe(Stream.provideContext(services))
  }
})
