import { assert, describe, it } from "@effect/vitest"
import { Provider, Reason } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"
import * as StreamEnd from "../../../src/strategies/internal/StreamEnd.ts"

const { failed, succeeded } = ScriptedProvider

const fails = (reason: Reason.NonRetryableReason): Provider.Outcome => failed({ _tag: "NonRetryable", reason })

const words = { message: "Words" }
const empty = fails(new Reason.EmptyContent(words))
const incomplete = (content: string) => fails(new Reason.Incomplete({ ...words, content, limit: "max_output_tokens" }))
const refused = (content: string) => fails(new Reason.Refusal({ ...words, content }))
const filtered = (content?: string) => fails(new Reason.ContentFiltered({ ...words, content }))
const cancelled = (content?: string) => fails(new Reason.JobCancelled({ ...words, content }))
const jobFailed = failed({
  _tag: "Retryable",
  reason: new Reason.JobFailed({ ...words, reason: new Reason.ServerError(words) })
})

describe("StreamEnd.ofHeldCall", () => {
  it.each<[string, string, Provider.Outcome, string]>([
    ["the same text", "Paris", succeeded("Paris"), "Paris"],
    ["more text", "Par", succeeded("Paris"), "Paris"],
    ["text that was never emitted", "", succeeded("Paris"), "Paris"],
    ["less text", "Paris", succeeded("Par"), "Paris"],
    ["no text but a call", "Paris", succeeded("", { finishReason: "tool-calls" }), "Paris"],
    ["another text", "London", succeeded("Paris"), "London"],
    ["no content", "Paris", empty, "Paris"],
    ["no content after white space", " \n", empty, "EmptyContent: "],
    ["a limit after the same text", "Par", incomplete("Par"), "Incomplete: Par"],
    ["a limit after more text", "Par", incomplete("Pari"), "Incomplete: Pari"],
    ["a limit after no text", "Par", incomplete(""), "Incomplete: Par"],
    ["a limit after another text", "Lon", incomplete("Par"), "Incomplete: Lon"],
    ["a refusal without its text", "Par", refused(""), "Refusal: Par"],
    ["a filter without the text", "Par", filtered(), "ContentFiltered: Par"],
    ["a cancellation without the text", "Par", cancelled(), "JobCancelled: Par"],
    ["a failure", "Par", jobFailed, "JobFailed: "]
  ])("takes what was emitted, and what the end says more: %s", (_title, text, outcome, expected) => {
    assert.strictEqual(short(StreamEnd.ofHeldCall(emitted(text), outcome)), expected)
  })

  it("takes calls that were emitted for an answer although the end is empty", () => {
    const outcome = StreamEnd.ofHeldCall({ ...emitted(""), hasToolCalls: true }, empty)

    assert.strictEqual(outcome._tag === "Succeeded" ? outcome.answer.finishReason : "", "tool-calls")
  })
})

describe("StreamEnd.ofJob", () => {
  it.each<[string, string, Provider.Outcome, boolean, string]>([
    ["the same text", "Paris", succeeded("Paris"), false, "Certain Paris"],
    ["more text", "Par", succeeded("Paris"), false, "Certain Paris"],
    [
      "the same JSON, written differently",
      "{\"a\":1,\"b\":2}",
      succeeded("{ \"b\": 2, \"a\": 1 }"),
      false,
      "Certain {\"a\":1,\"b\":2}"
    ],
    ["the same text, without it in the last event", "Paris", succeeded("Paris"), true, "Hint Paris"],
    ["less text", "Paris", succeeded("Par"), false, "Hint Paris"],
    ["another text", "London", succeeded("Paris"), false, "Hint London"],
    ["the tail of the text", "Paris", succeeded("is"), false, "Hint Paris"],
    ["no content", "", empty, false, "Hint EmptyContent: "],
    ["no content after text", "Paris", empty, false, "Hint Paris"],
    ["a limit", "Par", incomplete("Par"), false, "Hint Incomplete: Par"],
    ["a refusal", "", refused(""), false, "Hint Refusal: "],
    ["a filter", "", filtered(), false, "Hint ContentFiltered: "],
    ["a cancellation", "", cancelled(), false, "Hint JobCancelled: "],
    ["a failure", "", jobFailed, false, "Hint JobFailed: "]
  ])("is certain of a success alone that agrees: %s", (_title, text, outcome, isDisputed, expected) => {
    const end = StreamEnd.ofJob(emitted(text), outcome, isDisputed)

    assert.strictEqual(`${end._tag} ${short(end.outcome)}`, expected)
  })
})

describe("StreamEnd.ofPoll", () => {
  const answer = succeeded("Paris")
  it.each<[string, Provider.Outcome, StreamEnd.Known, string]>([
    ["an answer", answer, { hint: undefined, isEmpty: false }, "Paris"],
    ["an answer after a failure of the stream", answer, { hint: jobFailed, isEmpty: false }, "Paris"],
    ["an answer after an empty poll", answer, { hint: empty, isEmpty: true }, "Paris"],
    ["another answer than the stream's", answer, { hint: succeeded("London"), isEmpty: false }, "Paris"],
    ["a failure", jobFailed, { hint: undefined, isEmpty: false }, "JobFailed: "],
    ["a failure after an answer of the stream", jobFailed, { hint: answer, isEmpty: false }, "JobFailed: "],
    ["no content", empty, { hint: undefined, isEmpty: false }, "again"],
    ["no content after no content of the stream", empty, { hint: empty, isEmpty: false }, "again"],
    ["no content twice", empty, { hint: empty, isEmpty: true }, "EmptyContent: "],
    ["no content, once after an answer of the stream", empty, { hint: answer, isEmpty: false }, "again"],
    ["no content, twice after an answer of the stream", empty, { hint: answer, isEmpty: true }, "Paris"]
  ])("lets the poll decide, and asks once more when it is empty: %s", (_title, polled, known, expected) => {
    const end = StreamEnd.ofPoll(polled, known)

    assert.strictEqual(end === undefined ? "again" : short(end), expected)
  })
})

const emitted = (text: string): StreamEnd.Emitted => ({ text, hasToolCalls: false, model: "m" })

const short = (outcome: Provider.Outcome): string => {
  if (outcome._tag === "Succeeded") return outcome.answer.content
  const { reason } = outcome.verdict
  return `${reason._tag}: ${"content" in reason ? reason.content ?? "" : ""}`
}
