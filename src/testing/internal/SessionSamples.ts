/**
 * Keys and entries that are hard to keep.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import { ContentFiltered, JobCancelled, Network, RateLimited } from "../../errors/Reason.ts"
import { NonRetryable } from "../../errors/StrategyError.ts"
import { Usage } from "../../errors/Usage.ts"
import { LlmResponse } from "../../services/LlmResponse.ts"
import * as Session from "../../services/Session.ts"

/**
 * Keys that a careless store mixes up, loses or writes elsewhere.
 *
 * @category models
 * @since 0.1.0
 */
export const oddKeys: ReadonlyArray<string> = [
  "../suite:up",
  "suite:a/b",
  "suite:a",
  "suite:a\\b",
  "/suite:root",
  ".",
  "..",
  " ",
  "suite:nul\u0000",
  "suite:nul",
  "suite:caf\u00e9",
  "suite:cafe\u0301",
  "suite:Case",
  "suite:case",
  "suite:\ud83d\ude80",
  "suite:\ud800",
  "suite:\udc00",
  "suite:line\nbreak\r\n",
  "suite:space ",
  "suite:space",
  "suite:dot.",
  "suite:dot",
  "suite:%2e",
  "suite:'; DROP TABLE sessions; --",
  "CON",
  "con",
  "nul",
  "__proto__",
  `suite:${"k".repeat(10_240)}`,
  `suite:${"k".repeat(10_239)}l`,
  `suite:${"K".repeat(10_240)}`,
  `suite:${"\u00e9".repeat(200)}`,
  `suite:${"e\u0301".repeat(200)}`
]

/**
 * Returns the simplest entry, with a mark to tell it from others.
 *
 * @category constructors
 * @since 0.1.0
 */
export const prepared = (mark: string): Session.Entry => Session.Prepared.make({ at: 1, fingerprint: mark })

/**
 * Returns an entry of every kind, the last one being an answer with this text.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sampleEntries = (text: string): ReadonlyArray<Session.Entry> => [
  Session.Prepared.make({ at: 0, fingerprint: "1:abc" }),
  Session.Submitting.make({
    at: 1_700_000_000_000,
    submissionId: "s1",
    purpose: "answer",
    provider: "openai",
    model: "openai/gpt-5.5-pro",
    strategy: "background",
    submitTimeout: 60_000,
    store: true,
    journal: "full",
    baseUrl: "https://example.com/v1",
    organization: "org",
    project: text
  }),
  Session.NotSubmitted.make({
    at: 2,
    submissionId: "s1",
    reason: new RateLimited({ message: text, status: 429, requestId: "req_1" })
  }),
  Session.Accepted.make({ at: 3, submissionId: "s2", jobId: text }),
  Session.CancelRequested.make({ at: 4, submissionId: "s2" }),
  Session.Ended.make({ at: 5, submissionId: "s2", reason: new JobCancelled({ message: text, usage }) }),
  Session.Settled.make({
    at: 6,
    submissionId: "s2",
    settlement: {
      _tag: "Failed",
      error: new NonRetryable({
        reason: new ContentFiltered({ message: text, content: text, usage }),
        session: "key",
        jobId: "job"
      })
    }
  }),
  Session.Settled.make({ at: 7, submissionId: "s2", settlement: { _tag: "Reference", jobId: "resp_1" } }),
  Session.Settled.make({
    at: 7,
    submissionId: "s2",
    settlement: { _tag: "Reference", jobId: "resp_1", reason: new JobCancelled({ message: text }) }
  }),
  Session.NotSubmitted.make({ at: 7, submissionId: "s3", reason: new Network({ message: text }), isFinal: true }),
  Session.Settled.make({
    at: 8,
    submissionId: "s3",
    settlement: {
      _tag: "Answered",
      answer: new LlmResponse({
        content: text,
        usage,
        finishReason: "stop",
        response: { id: "resp_1", output: [{ text, score: 0.5, none: null, nested: [[], {}, true] }] },
        model: "gpt-5.5-pro-2026-01-01",
        responseId: "resp_1",
        provider: "openai",
        strategy: "background",
        session: "key",
        submissions: 1,
        attempts: 1,
        polls: 12,
        elapsed: Duration.minutes(31),
        resumed: false,
        settled: true
      })
    }
  })
]

/**
 * Journals of sessions at different points of their lives, by key. Those that name a job name `job`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const lives = (job: string): Readonly<Record<string, ReadonlyArray<Session.Entry>>> => {
  const [, sent] = sampleEntries("")
  const submitting = (submissionId: string): ReadonlyArray<Session.Entry> =>
    sent?._tag === "Submitting" ? [{ ...sent, submissionId }] : []
  const accepted = (submissionId: string, jobId = job) => Session.Accepted.make({ at: 3, submissionId, jobId })
  const ended = (submissionId: string) =>
    Session.Ended.make({ at: 4, submissionId, reason: new JobCancelled({ message: "" }) })
  const settled = (submissionId: string) =>
    Session.Settled.make({ at: 5, submissionId, settlement: { _tag: "Reference", jobId: job } })
  const journals: Record<string, ReadonlyArray<Session.Entry>> = {
    "never sent": [],
    "of unknown fate": submitting("a"),
    "running": [...submitting("a"), accepted("a")],
    "settled": [...submitting("a"), accepted("a"), settled("a")],
    "settled without a job": [...submitting("a"), settled("a")],
    "ended": [...submitting("a"), accepted("a"), ended("a")],
    "running another job, one of unknown fate": [...submitting("a"), ...submitting("b"), accepted("b", "another")],
    "settled, one of unknown fate": [...submitting("a"), ...submitting("b"), accepted("b", "another"), settled("b")],
    "settled, with a surplus job": [...submitting("a"), accepted("a", "another"), settled("a"), accepted("a")],
    "settled, with another surplus job": [...submitting("a"), accepted("a"), accepted("a", "another"), settled("a")],
    "settled, with a late surplus job": [...submitting("a"), accepted("a"), settled("a"), accepted("a", "another")]
  }
  return Object.fromEntries(
    Object.entries(journals).map(([key, entries]) => [`suite:${key}`, [prepared(key), ...entries]])
  )
}

const usage = new Usage({
  inputTokens: 1,
  cacheReadTokens: 2,
  cacheWriteTokens: 3,
  outputTokens: 4,
  reasoningTokens: 5,
  totalTokens: 15
})
