import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import type { Verdict } from "../../../src/errors/ProviderError.ts"
import { Usage } from "../../../src/errors/Usage.ts"
import { Answer } from "../../../src/services/LlmResponse.ts"
import * as AnthropicAnswer from "../../../src/services/providers/AnthropicAnswer.ts"

describe("AnthropicAnswer.read", () => {
  it("joins the text blocks and leaves thinking and tool results out", () => {
    const body = message("end_turn", [
      { type: "thinking", thinking: "Hm", signature: "s" },
      { type: "redacted_thinking", data: "x" },
      { type: "text", text: "One ", citations: [] },
      { type: "server_tool_use", id: "1", name: "web_search", input: {} },
      { type: "web_search_tool_result", tool_use_id: "1", content: [] },
      { type: "text", text: "two" }
    ])

    assert.deepStrictEqual(read(body), {
      _tag: "Ended",
      outcome: {
        _tag: "Succeeded",
        answer: new Answer({
          content: "One two",
          finishReason: "stop",
          response: body,
          model: "claude-opus-5-5-20261001",
          responseId: "msg_1",
          usage: usage({ inputTokens: 10, outputTokens: 20 })
        })
      }
    })
  })

  it.each<[string, unknown, Partial<Usage>]>([
    ["counts cached tokens beside the input", {
      input_tokens: 10,
      cache_read_input_tokens: 100,
      cache_creation_input_tokens: 1000,
      output_tokens: 5
    }, { inputTokens: 10, cacheReadTokens: 100, cacheWriteTokens: 1000, outputTokens: 5 }],
    ["takes thinking tokens out of the output", {
      input_tokens: 10,
      cache_read_input_tokens: null,
      output_tokens: 50,
      output_tokens_details: { thinking_tokens: 30 }
    }, { inputTokens: 10, outputTokens: 20, reasoningTokens: 30 }],
    ["never makes a bucket negative", {
      input_tokens: -1,
      output_tokens: 5,
      output_tokens_details: { thinking_tokens: 30 }
    }, { reasoningTokens: 5 }],
    ["counts what is no number as 0", { input_tokens: "10", output_tokens: 1 }, { outputTokens: 1 }]
  ])("%s", (_, wire, expected) => {
    assert.deepStrictEqual(answerOf({ ...message("end_turn"), usage: wire }).usage, usage(expected))
  })

  it.each([null, {}, { input_tokens: 0, output_tokens: 0 }, { input_tokens: "1" }])(
    "has no usage when the server counts nothing: %j",
    (usage) => {
      assert.isUndefined(answerOf({ ...message("end_turn"), usage }).usage)
    }
  )

  it("names the model as it was asked for when the server does not", () => {
    const answer = answerOf({ content: [{ type: "text", text: "Hi" }], stop_reason: "end_turn" })

    assert.strictEqual(answer.model, "claude-opus-5-5")
    assert.isUndefined(answer.responseId)
  })

  it("ends at a stop sequence", () => {
    assert.strictEqual(answerOf(message("stop_sequence")).finishReason, "stop")
  })

  it("calls tools without text", () => {
    const answer = answerOf(message("tool_use", [{ type: "tool_use", id: "toolu_1", name: "f", input: {} }]))

    assert.strictEqual(answer.finishReason, "tool-calls")
    assert.strictEqual(answer.content, "")
  })

  it.each(["max_tokens", "model_context_window_exceeded", "compaction"])(
    "is Incomplete at %s, with text and usage",
    (limit) => {
      const verdict = verdictOf(message(limit))

      assert.strictEqual(verdict._tag, "NonRetryable")
      assert.strictEqual(verdict.reason._tag, "Incomplete")
      assert.deepInclude(verdict.reason, {
        content: "Hi",
        limit,
        usage: usage({ inputTokens: 10, outputTokens: 20 }),
        requestId: "req_1",
        provider: "anthropic"
      })
    }
  )

  it("is a Refusal with the explanation and the category", () => {
    const verdict = verdictOf({
      ...message("refusal", []),
      stop_details: { type: "refusal", category: "bio", explanation: "Not this" }
    })

    assert.strictEqual(verdict._tag, "NonRetryable")
    assert.strictEqual(verdict.reason._tag, "Refusal")
    assert.deepInclude(verdict.reason, { message: "Not this", code: "bio", content: "" })
  })

  it("is a Refusal without details, with the text that came before it", () => {
    const verdict = verdictOf(message("refusal"))

    assert.strictEqual(verdict.reason._tag, "Refusal")
    assert.deepInclude(verdict.reason, { message: "The model declined to answer", content: "Hi" })
  })

  it.each<[string, unknown]>([
    ["no block", []],
    ["only thinking", [{ type: "thinking", thinking: "Hm" }]],
    ["an empty text", [{ type: "text", text: "" }]],
    ["only white space", [{ type: "text", text: " \n" }]]
  ])("is EmptyContent with %s", (_, content) => {
    const verdict = verdictOf(message("end_turn", content))

    assert.strictEqual(verdict._tag, "NonRetryable")
    assert.strictEqual(verdict.reason._tag, "EmptyContent")
    assert.deepInclude(verdict.reason, { usage: usage({ inputTokens: 10, outputTokens: 20 }) })
  })

  it.each<[string, string, unknown]>([
    ["a text", "Hi", [{ type: "text", text: "Hi" }]],
    ["a tool call", "", [{ type: "tool_use", id: "toolu_1", name: "f", input: {} }]]
  ])("keeps %s with an unknown stop_reason as Incomplete: a retry would be paid again", (_, content, blocks) => {
    const reading = read(message("daydream", blocks))

    assert.deepNestedInclude(reading, {
      "_tag": "Ended",
      "unknownStop": "daydream",
      "outcome.verdict._tag": "NonRetryable",
      "outcome.verdict.reason._tag": "Incomplete",
      "outcome.verdict.reason.content": content,
      "outcome.verdict.reason.limit": "daydream",
      "outcome.verdict.reason.usage.totalTokens": 30
    })
  })

  it("keeps keys out of what the API says of a failure", () => {
    const keys = [Redacted.make("a-key-without-a-shape")]
    const details = { category: "a-key-without-a-shape", explanation: "Not with a-key-without-a-shape" }
    for (const body of [{ ...message("refusal"), stop_details: details }, message("a-key-without-a-shape")]) {
      const reading = AnthropicAnswer.read(body, AnthropicAnswer.noProgress, {
        ...context,
        requestId: "a-key-without-a-shape",
        keys
      })

      assert.strictEqual(reading._tag, "Ended")
      assert.notInclude(JSON.stringify(reading), "a-key-without-a-shape")
      assert.include(JSON.stringify(reading), "[redacted]")
    }
  })

  it("takes tokens whose sum no number can hold for no usage", () => {
    const usage = { input_tokens: Number.MAX_SAFE_INTEGER, output_tokens: 1 }

    assert.isUndefined(answerOf({ ...message("end_turn"), usage }).usage)
  })

  it("takes an answer of tool calls alone for tool-calls, whatever its stop_reason", () => {
    const blocks = [{ type: "tool_use", id: "toolu_1", name: "f", input: {} }]

    assert.strictEqual(answerOf(message("end_turn", blocks)).finishReason, "tool-calls")
  })

  it("takes an unknown stop_reason without text and tool calls for InvalidResponse", () => {
    const verdict = verdictOf(message("daydream", [{ type: "thinking", thinking: "Hm" }]))

    assert.strictEqual(verdict._tag, "Retryable")
    assert.strictEqual(verdict.reason._tag, "InvalidResponse")
    assert.include(verdict.reason.message, "daydream")
  })

  it.each<[string, unknown]>([
    ["a text", "<html></html>"],
    ["null", null],
    ["an array", []],
    ["an error", { type: "error", error: { type: "api_error", message: "x" } }],
    ["a message without content", { type: "message", stop_reason: "end_turn" }],
    ["a message that has not ended", message(null)]
  ])("cannot read %s", (_, body) => {
    assert.strictEqual(read(body)._tag, "Unreadable")
  })

  it("adds the turns of a paused answer up", () => {
    const first = message("pause_turn", [{ type: "text", text: "One " }, { type: "server_tool_use", id: "1" }])
    const paused = read(first)
    assert.strictEqual(paused._tag, "Paused")
    if (paused._tag !== "Paused") return
    const second = message("end_turn", [{ type: "web_search_tool_result" }, { type: "text", text: "two" }])
    const ended = AnthropicAnswer.read(second, paused.progress, context)

    assert.deepStrictEqual(paused.progress.blocks, first.content)
    assert.deepStrictEqual(ended, {
      _tag: "Ended",
      outcome: {
        _tag: "Succeeded",
        answer: new Answer({
          content: "One two",
          finishReason: "stop",
          response: { ...second, content: [...first.content as [], ...second.content as []] },
          model: "claude-opus-5-5-20261001",
          responseId: "msg_1",
          usage: new Usage({ ...usage({ inputTokens: 20, outputTokens: 40 }), passes: [turn, turn] })
        })
      }
    })
  })

  it.each<[string, object, object]>([
    ["its iterations", {}, { iterations: [{ type: "fallback_message", model: "claude-opus-4-8", input_tokens: 10 }] }],
    [
      "its block",
      { content: [{ type: "fallback", to: { model: "claude-opus-4-8" } }, { type: "text", text: "Hi" }] },
      {}
    ]
  ])("names the model of a fallback on the server by %s", (_, fields, counted) => {
    const body = { ...message("end_turn"), ...fields, usage: { input_tokens: 10, output_tokens: 1, ...counted } }

    assert.strictEqual(answerOf(body).model, "claude-opus-4-8")
    assert.notProperty(answerOf(body).usage, "passes")
    assert.containSubset(usageOfFailure({ ...body, stop_reason: "max_tokens" })?.passes, [{
      model: "claude-opus-4-8"
    }])
  })

  it.each<[string, object, string, number | undefined]>([
    ["nothing for a refusal without output", { output_tokens: 0 }, "anthropic", 0],
    ["a refusal after output", { output_tokens: 3 }, "anthropic", undefined],
    ["a refusal at another cloud", { output_tokens: 0 }, "bedrock_mantle", undefined]
  ])("bills %s", (_, usage, provider, expected) => {
    const body = { ...message("refusal", []), usage: { input_tokens: 10, ...usage } }
    const reading = AnthropicAnswer.read(body, AnthropicAnswer.noProgress, { ...context, provider })
    const reason = reading._tag === "Ended" && reading.outcome._tag === "Failed"
      ? reading.outcome.verdict.reason
      : undefined

    assert.strictEqual(reason?._tag, "Refusal")
    assert.strictEqual(reason?._tag === "Refusal" ? reason.usage?.inputTokens : undefined, 10)
    assert.strictEqual(reason?._tag === "Refusal" ? reason.usage?.reportedNanoUsd : undefined, expected)
  })

  it("has no answer in the call of a tool that is not there", () => {
    assert.strictEqual(answerOf(message("tool_use", [{ type: "text", text: "Hi" }])).finishReason, "stop")
    const ran = read(message("tool_use", [{ type: "server_tool_use", id: "srvtoolu_1", name: "web_search" }]))
    assert.strictEqual(
      ran._tag === "Ended" && ran.outcome._tag === "Failed" && ran.outcome.verdict.reason._tag,
      "EmptyContent"
    )
  })

  const recorded = recordedMessages()
  it.skipIf(recorded === undefined)("reads every recorded message (needs HOLDFAST_RECORDINGS)", () => {
    const seen = new Set<string>()
    for (const { body, file } of recorded ?? []) {
      const reading = read(body)
      assert.notStrictEqual(reading._tag, "Unreadable", file)
      const progress = reading._tag === "Paused" ? reading.progress : undefined
      const outcome = reading._tag === "Ended" ? reading.outcome : undefined
      const tokens = progress?.passes[0]?.inputTokens ??
        (outcome?._tag === "Succeeded" ? outcome.answer.usage?.totalTokens : undefined)
      assert.isAbove(tokens ?? 0, 0, file)
      seen.add(outcome?._tag ?? reading._tag)
    }

    assert.deepStrictEqual([...seen].sort(), ["Paused", "Succeeded"])
  })
})

const context: AnthropicAnswer.Context = { provider: "anthropic", model: "claude-opus-5-5", requestId: "req_1" }

const read = (body: unknown) => AnthropicAnswer.read(body, AnthropicAnswer.noProgress, context)

const answerOf = (body: unknown): Answer => {
  const reading = read(body)
  if (reading._tag === "Ended" && reading.outcome._tag === "Succeeded") return reading.outcome.answer
  throw new Error(`no answer: ${JSON.stringify(reading)}`)
}

const usageOfFailure = (body: unknown): Usage | undefined => {
  const { reason } = verdictOf(body)
  return "usage" in reason ? reason.usage : undefined
}

const verdictOf = (body: unknown): Verdict => {
  const reading = read(body)
  if (reading._tag === "Ended" && reading.outcome._tag === "Failed") return reading.outcome.verdict
  throw new Error(`no failure: ${JSON.stringify(reading)}`)
}

function message(stopReason: string | null, content: unknown = [{ type: "text", text: "Hi" }]) {
  return {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-opus-5-5-20261001",
    content,
    stop_reason: stopReason,
    stop_sequence: null,
    stop_details: null,
    usage: {
      input_tokens: 10,
      cache_creation_input_tokens: 0,
      cache_read_input_tokens: 0,
      cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
      output_tokens: 20,
      service_tier: "standard"
    }
  }
}

const turn = {
  inputTokens: 10,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 20,
  reasoningTokens: 0,
  model: "claude-opus-5-5-20261001"
}

type Buckets = Pick<
  Usage,
  "inputTokens" | "cacheReadTokens" | "cacheWriteTokens" | "outputTokens" | "reasoningTokens"
>

const usage = (buckets: Partial<Buckets>): Usage => {
  const all = {
    inputTokens: 0,
    cacheReadTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    ...buckets
  }
  return new Usage({ ...all, totalTokens: Object.values(all).reduce((total, tokens) => total + tokens, 0) })
}

// Whole bodies of the Messages API, and those in the results of batches.
function recordedMessages(): ReadonlyArray<{ readonly file: string; readonly body: unknown }> | undefined {
  const folder = process.env.HOLDFAST_RECORDINGS
  if (folder === undefined) return undefined
  return Fs.readdirSync(folder).filter((file) => file.startsWith("anthropic-")).flatMap((file) => {
    const { exchanges } = JSON.parse(Fs.readFileSync(Path.join(folder, file), "utf8")) as {
      exchanges: Array<{ response: { body: unknown } }>
    }
    return exchanges.flatMap(({ response: { body } }) => messagesIn(body).map((body) => ({ file, body })))
  })
}

const messagesIn = (body: unknown): ReadonlyArray<unknown> => {
  if (typeof body === "object" && body !== null && "type" in body && body.type === "message") return [body]
  if (typeof body !== "string" || !body.startsWith("{\"custom_id\"")) return []
  return body.trim().split("\n").flatMap((line) => {
    const { result } = JSON.parse(line) as { result: { message?: unknown } }
    return result.message === undefined ? [] : [result.message]
  })
}
