import { describe, it } from "@effect/vitest"
import type { Simulator } from "holdfast/testing"
import { type Protocol, suite } from "./ProtocolSuite.ts"

describe("every wire protocol", () => {
  if (process.env["HOLDFAST_SPECS"] === undefined) {
    it.skip("keeps to the published schemas (skipped: HOLDFAST_SPECS is not set)", () => {})
  }
  for (const protocol of protocols()) suite(protocol)
})

function protocols(): ReadonlyArray<Protocol> {
  const image = { type: "image", url: "https://example.com/a.png" } as const
  const rich = {
    prompt: [{ type: "text", text: "2 + 2?" }, image],
    messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello." }],
    instructions: "Be brief.",
    maxOutputTokens: 2000,
    reasoningEffort: "low"
  } as const
  const errors: Record<Simulator.CannedError, string> = {
    rateLimit: "Retryable RateLimited",
    tokensPerMinute: "NonRetryable InvalidRequest",
    quota: "NonRetryable QuotaExceeded",
    overloaded: "Retryable Overloaded",
    serverError: "Retryable ServerError",
    gatewayTimeout: "Retryable ServerError",
    requestTimeout: "Retryable ServerError",
    conflict: "Retryable Conflict",
    contextLength: "NonRetryable ContextLengthExceeded",
    contentFilter: "NonRetryable ContentFiltered",
    authentication: "NonRetryable AuthenticationFailed",
    permission: "NonRetryable PermissionDenied",
    notFound: "NonRetryable NotFound",
    requestTooLarge: "NonRetryable InvalidRequest",
    invalidRequest: "NonRetryable InvalidRequest"
  }
  // A wait for tokens of the minute is all that Anthropic's words can mean.
  const anthropicErrors = { ...errors, tokensPerMinute: "Retryable RateLimited" }
  const uncertain = "NonRetryable SubmissionUncertain"
  const uncertainErrors = { gatewayTimeout: uncertain, requestTimeout: uncertain }
  const damagesOf = (ends: {
    readonly html: string
    readonly unreadable: string
    readonly lost: string
    readonly unsent: string
  }): Protocol["damages"] => [
    [{ _tag: "Html", status: 502 }, ends.html],
    [{ _tag: "Html", status: 200, accepted: true }, ends.unreadable],
    [{ _tag: "Corrupt", how: "half" }, ends.unreadable],
    [{ _tag: "Corrupt", how: "garbage" }, ends.unreadable],
    [{ _tag: "Corrupt", how: "empty" }, ends.unreadable],
    [{ _tag: "Corrupt", how: "short" }, ends.lost],
    [{ _tag: "Reset", accepted: true }, ends.lost],
    [{ _tag: "Reset", accepted: false }, ends.unsent]
  ]
  const held = damagesOf({
    html: "Retryable ServerError",
    unreadable: "Retryable InvalidResponse",
    lost: "Retryable Network",
    unsent: "Retryable Network"
  })
  const lost = damagesOf({ html: uncertain, unreadable: uncertain, lost: uncertain, unsent: uncertain })
  // Only a batch's results tell whose it is, and a new one may be missing from the list.
  const undecided = "Timeout submit"
  const ends: Protocol["ends"] = [
    [{ outcome: "toolCall" }, "tool-calls"],
    [{ outcome: "incomplete" }, "NonRetryable Incomplete"],
    [{ outcome: "empty" }, "NonRetryable EmptyContent"]
  ]
  const responseEnds: Protocol["ends"] = [
    ...ends,
    [{ outcome: "refused" }, "NonRetryable Refusal"],
    [{ outcome: "incomplete", reason: "content_filter" }, "NonRetryable ContentFiltered"],
    [{ outcome: "cancelled" }, "NonRetryable JobCancelled"],
    [{ outcome: "failed" }, "Retryable JobFailed"],
    [{ outcome: "failed", code: "rate_limit_exceeded" }, "Retryable JobFailed"],
    [{ outcome: "failed", code: "invalid_prompt" }, "NonRetryable JobFailed"],
    [{ outcome: "unknown-status" }, "Retryable InvalidResponse"]
  ]
  return [
    {
      name: "OpenAI Responses, held open",
      request: { model: "openai/gpt-5.5", prompt: "2 + 2?", strategy: "sync", session: "s" },
      rich: { ...rich, metadata: { team: "a" } },
      endpoint: "responses.create",
      errors,
      damages: held,
      ends: responseEnds
    },
    {
      name: "OpenAI Responses, in the background",
      request: { model: "openai/gpt-5.5", prompt: "2 + 2?", strategy: "background", session: "s" },
      rich: { ...rich, metadata: { team: "a" } },
      endpoint: "responses.create",
      job: { cancel: "responses.cancel", retrieve: "responses.retrieve", isQueued: true },
      errors: { ...errors, ...uncertainErrors },
      damages: lost,
      ends: responseEnds
    },
    {
      name: "Chat Completions",
      request: { model: "openai/gpt-5.5", prompt: "2 + 2?", strategy: "completions", session: "s" },
      rich: { ...rich, stop: ["END"], store: true, metadata: { team: "a" } },
      endpoint: "chat.create",
      errors,
      damages: held,
      ends: [
        ...ends,
        [{ outcome: "refused" }, "NonRetryable Refusal"],
        [{ outcome: "incomplete", reason: "content_filter" }, "NonRetryable ContentFiltered"],
        [{ outcome: "failed" }, "Retryable ServerError"],
        [{ outcome: "unknown-status" }, "Retryable InvalidResponse"]
      ]
    },
    // A call whose answer may be long is streamed inside.
    ...[
      { name: "Anthropic Messages", maxOutputTokens: 2000 },
      { name: "Anthropic Messages, streamed inside", maxOutputTokens: 32_000 }
    ].map(
      ({ maxOutputTokens, name }): Protocol => ({
        name,
        request: {
          model: "anthropic/claude-opus-5-5",
          prompt: "2 + 2?",
          strategy: "completions",
          session: "s",
          maxOutputTokens
        },
        rich: { ...rich, stop: ["END"], metadata: { user_id: "u" }, maxOutputTokens },
        endpoint: "messages.create",
        errors: anthropicErrors,
        damages: held,
        ends: [
          ...ends,
          [{ outcome: "refused" }, "NonRetryable Refusal"],
          [{ outcome: "failed" }, "Retryable ServerError"],
          [{ outcome: "unknown-status" }, "Retryable InvalidResponse"]
        ]
      })
    ),
    {
      name: "Anthropic Message Batches",
      request: { model: "anthropic/claude-opus-5-5", prompt: "2 + 2?", strategy: "background", session: "s" },
      rich: { ...rich, stop: ["END"], metadata: { user_id: "u" } },
      endpoint: "batches.create",
      job: { cancel: "batches.cancel", retrieve: "batches.retrieve", isQueued: false },
      errors: { ...anthropicErrors, gatewayTimeout: undecided, requestTimeout: undecided },
      damages: damagesOf({ html: undecided, unreadable: undecided, lost: undecided, unsent: undecided }),
      ends: [
        ...ends,
        [{ outcome: "refused" }, "NonRetryable Refusal"],
        [{ outcome: "cancelled" }, "NonRetryable JobCancelled"],
        [{ outcome: "expired" }, "NonRetryable JobExpired"],
        [{ outcome: "failed" }, "Retryable JobFailed"],
        [{ outcome: "unknown-status" }, "Retryable InvalidResponse"]
      ]
    },
    {
      name: "Gemini Interactions",
      request: { model: "gemini/gemini-3.8-flash", prompt: "2 + 2?", strategy: "background", session: "s" },
      rich: { ...rich, stop: ["END"], temperature: 0.5 },
      endpoint: "interactions.create",
      job: { cancel: "interactions.cancel", retrieve: "interactions.retrieve", isQueued: true },
      errors: { ...errors, ...uncertainErrors },
      damages: lost,
      ends: [
        ...ends,
        [{ outcome: "incomplete", reason: "budget_exceeded" }, "NonRetryable Incomplete"],
        [{ outcome: "cancelled" }, "NonRetryable JobCancelled"],
        [{ outcome: "failed" }, "Retryable JobFailed"],
        [{ outcome: "failed", code: "invalid_request" }, "NonRetryable JobFailed"],
        [{ outcome: "unknown-status" }, "Retryable InvalidResponse"]
      ]
    }
  ]
}
