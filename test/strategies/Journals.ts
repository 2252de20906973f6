/**
 * Journals of the session `s` of `request()`, as other processes leave them.
 */
import { Duration, Effect, Schema } from "effect"
import { LlmResponse, ResponseRequest, Session, type SessionStore } from "holdfast"
import * as Fingerprint from "../../src/services/Fingerprint.ts"
import { request } from "./Processes.ts"
import { jobFailed } from "./Verdicts.ts"

export const submitting = (submissionId: string): Session.Entry =>
  Session.Submitting.make({
    at: 0,
    submissionId,
    purpose: "answer",
    provider: "test",
    model: "test/anything",
    strategy: "background",
    submitTimeout: 60_000,
    store: true
  })

export const acceptedAs = (submissionId: string, jobId: string): Session.Entry =>
  Session.Accepted.make({ at: 0, submissionId, jobId })

const prepared = Session.Prepared.make({
  at: 0,
  fingerprint: Effect.runSync(Fingerprint.of("s", Schema.decodeSync(ResponseRequest.ResponseRequest)(request())))
})

const accepted = [prepared, submitting("sub-1"), acceptedAs("sub-1", "job-1")]

/** The entry that settles a session with an answer. */
export const settledWith = (submissionId: string, content: string, session = "s"): Session.Entry =>
  Session.Settled.make({
    at: 0,
    submissionId,
    settlement: {
      _tag: "Answered",
      answer: new LlmResponse.LlmResponse({
        content,
        finishReason: "stop",
        response: {},
        model: "anything",
        provider: "test",
        strategy: "background",
        session,
        submissions: 1,
        attempts: 1,
        polls: 1,
        elapsed: Duration.zero,
        resumed: false,
        settled: true
      })
    }
  })

/** A journal for each step of a session, and its status when it was just written. */
export const journals = [
  { status: "prepared", entries: [prepared] },
  { status: "submitting", entries: [prepared, submitting("sub-1")] },
  { status: "running", entries: accepted },
  {
    status: "retrying",
    entries: [...accepted, Session.Ended.make({ at: 0, submissionId: "sub-1", reason: jobFailed.reason })]
  },
  { status: "answered", entries: [...accepted, settledWith("sub-1", "Paris")] }
] as const

/** Writes entries to the session `s`. */
export const write = Effect.fnUntraced(function*(
  store: SessionStore.SessionStore["Service"],
  entries: ReadonlyArray<Session.Entry>,
  key = "s"
) {
  for (const entry of entries) yield* store.append(key, entry, (yield* store.load(key)).version)
})
