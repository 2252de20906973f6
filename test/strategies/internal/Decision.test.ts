import { assert, describe, it } from "@effect/vitest"
import { Duration } from "effect"
import {
  accepted,
  busy,
  cancelled,
  cancelRequested,
  circuitOpen,
  decides,
  ended,
  endedJob,
  errorOf,
  expired,
  failure,
  filtered,
  final,
  found,
  interrupted,
  invalidOutput,
  invalidRequest,
  job,
  jobFailed,
  lost,
  next,
  notConfigured,
  notSubmitted,
  planOf,
  prepared,
  received,
  refusal,
  retryable,
  serverError,
  settled,
  submitting,
  unanswered,
  unusable
} from "./Decisions.ts"

const submit = (model: string, position = 0, passed: ReadonlyArray<string> = []) => ({
  step: "Submit",
  model: `test/${model}`,
  position,
  passed
})

const open = [prepared, submitting("s1")]
const held = [prepared, submitting("s1", { strategy: "sync" })]
const running = [prepared, ...job("s1")]
const resubmit = planOf("a", { onUncertain: "resubmit" })
const refuseTwice = planOf("a", { onUncertain: "fail" })
const two = planOf("a b")

describe("Decision", () => {
  decides("sends the request", [
    { when: "of an empty session", entries: [], step: submit("a") },
    { when: "of a session that was only prepared", entries: [prepared], step: submit("a") },
    {
      when: "again after a refusal",
      entries: [...open, notSubmitted("s1", busy)],
      step: submit("a")
    },
    { when: "again after a job that a new one may replace", entries: endedJob("s1", expired), step: submit("a") },
    {
      when: "to the model that the run has come to",
      entries: [],
      plan: two,
      facts: { position: 1 },
      step: submit("b", 1)
    },
    {
      when: "to the model after one whose job has ended for good",
      entries: endedJob("s1", filtered),
      plan: two,
      step: submit("b", 1, ["test/a ContentFiltered"])
    },
    {
      when: "to the model after all whose jobs have ended for good",
      entries: [...endedJob("s1", filtered), ...endedJob("s2", filtered, "test/b")],
      plan: planOf("a b c"),
      step: submit("c", 2, ["test/a ContentFiltered", "test/b ContentFiltered"])
    },
    {
      when: "to the last model again, although its job has ended for good",
      entries: [...endedJob("s1", filtered), ...endedJob("s2", filtered, "test/b")],
      plan: two,
      step: submit("b", 1, ["test/a ContentFiltered"])
    },
    {
      when: "to the same model when `fallbackOn` does not name how its job ended",
      entries: endedJob("s1", refusal),
      plan: two,
      step: submit("a")
    },
    {
      when: "to the same model when its job expired, which another one may not",
      entries: endedJob("s1", expired),
      plan: planOf("a b", { fallbackOn: ["JobExpired"] }),
      step: submit("a")
    },
    {
      when: "to the model after one whose job was cancelled in its queue",
      entries: [...job("s1"), cancelRequested("s1", true), ended("s1", cancelled)],
      plan: two,
      step: submit("b", 1, ["test/a JobCancelled"])
    },
    {
      when: "to the same model when its job was cancelled for another reason",
      entries: [...job("s1"), cancelRequested("s1"), ended("s1", cancelled)],
      plan: two,
      step: submit("a")
    },
    {
      when: "to the same model after an invalid answer that may be repaired",
      entries: endedJob("s1", invalidOutput),
      plan: planOf("a b", { fallbackOn: ["InvalidOutput"], repairs: 1 }),
      step: submit("a")
    },
    {
      when: "to the next model after more invalid answers than may be repaired",
      entries: [...endedJob("s1", invalidOutput), ...endedJob("s2", invalidOutput)],
      plan: planOf("a b", { fallbackOn: ["InvalidOutput"], repairs: 1 }),
      step: submit("b", 1, ["test/a InvalidOutput"])
    },
    {
      when: "to the model after one that cannot be asked",
      entries: endedJob("s1", filtered),
      plan: planOf("a b c"),
      facts: { unusable: unusable("test/b") },
      step: submit("c", 2, ["test/a ContentFiltered", "test/b ProviderNotConfigured"])
    },
    {
      when: "to the same model again when no other can be asked",
      entries: endedJob("s1", filtered),
      plan: two,
      facts: { unusable: unusable("test/b") },
      step: submit("a")
    },
    {
      when: "to the same model when a part of its answer was streamed",
      entries: endedJob("s1", filtered),
      plan: two,
      facts: { hasStreamed: true },
      step: submit("a")
    }
  ])

  decides("finishes", [
    {
      when: "with what the session was settled with",
      entries: [...running, settled("s1")],
      step: { step: "Finish", settledBy: "s1", surplus: [] }
    },
    {
      when: "with the first settlement, and without the other jobs",
      entries: [...running, ...job("s2"), ...job("s3"), settled("s2"), settled("s1")],
      step: { step: "Finish", settledBy: "s2", surplus: ["s1", "s3"] }
    },
    {
      when: "without the job of a submission that was accepted late",
      entries: [...open, ...job("s2"), settled("s2"), accepted("s1", "late")],
      step: { step: "Finish", settledBy: "s2", surplus: ["s1"] }
    },
    {
      when: "although the run has received another end",
      ...received([...running, settled("s1")], "s1", final(refusal)),
      step: { step: "Finish", settledBy: "s1", surplus: [] }
    },
    {
      when: "without a request",
      entries: [...running, settled("s1")],
      plan: null,
      step: { step: "Finish", settledBy: "s1", surplus: [] }
    },
    {
      when: "although a submission is uncertain",
      entries: [...open, ...job("s2"), settled("s2")],
      facts: { lost: lost("s1") },
      step: { step: "Finish", settledBy: "s2", surplus: [] }
    }
  ])

  decides("waits for a job", [
    { when: "that runs", entries: running, step: { step: "AwaitJob", job: "job of s1", surplus: [] } },
    {
      when: "without a request",
      entries: running,
      plan: null,
      step: { step: "AwaitJob", job: "job of s1", surplus: [] }
    },
    {
      when: "that was accepted first, and lets the others go",
      entries: [submitting("s1"), submitting("s2"), accepted("s2", "job of s2"), accepted("s1", "job of s1")],
      step: { step: "AwaitJob", job: "job of s2", surplus: ["s1"] }
    },
    {
      when: "of a submission that has two",
      entries: [...running, accepted("s1", "second")],
      step: { step: "AwaitJob", job: "job of s1", surplus: ["s1+second"] }
    },
    {
      when: "that came after one that ended",
      entries: [...endedJob("s1", jobFailed), ...job("s2")],
      step: { step: "AwaitJob", job: "job of s2", surplus: [] }
    },
    {
      when: "whose submission was taken for refused",
      entries: [...open, notSubmitted("s1", unanswered), accepted("s1", "job of s1")],
      step: { step: "AwaitJob", job: "job of s1", surplus: [] }
    },
    {
      when: "before it looks for an uncertain submission",
      entries: [...open, ...job("s2")],
      facts: { lost: lost("s1") },
      step: { step: "AwaitJob", job: "job of s2", surplus: [] }
    },
    {
      when: "although its own attempt failed",
      entries: [...open, notSubmitted("s1", busy), ...job("s2")],
      facts: { own: ["s1"], ...failure(retryable(busy), true) },
      step: { step: "AwaitJob", job: "job of s2", surplus: [] }
    },
    {
      when: "of a model that the plan does not name",
      entries: job("s1", "test/other"),
      plan: two,
      step: { step: "AwaitJob", job: "job of s1", surplus: [] }
    },
    {
      when: "although a cancel was requested",
      entries: [...running, cancelRequested("s1")],
      facts: { own: ["s1"] },
      step: { step: "AwaitJob", job: "job of s1", surplus: [] }
    }
  ])

  decides("of a submission without an outcome", [
    {
      when: "waits for a sender that may be at work",
      entries: open,
      step: { step: "AwaitSubmission", submission: "s1" }
    },
    {
      when: "waits without a request",
      entries: open,
      plan: null,
      step: { step: "AwaitSubmission", submission: "s1" }
    },
    {
      when: "waits although the policy is to send again",
      entries: open,
      plan: resubmit,
      step: { step: "AwaitSubmission", submission: "s1" }
    },
    {
      when: "records that it was not sent",
      entries: open,
      facts: { unsent: new Set(["s1"]), lost: lost("s1") },
      step: { step: "RecordUnsent", submission: "s1" }
    },
    {
      when: "looks for the job when the sender is lost",
      entries: open,
      facts: { lost: lost("s1") },
      step: { step: "LookUp", submission: "s1" }
    },
    {
      when: "looks for the job when it may send again, too",
      entries: open,
      plan: resubmit,
      facts: { lost: lost("s1") },
      step: { step: "LookUp", submission: "s1" }
    },
    {
      when: "looks again later when the provider cannot tell yet",
      entries: open,
      facts: { lost: lost("s1"), lookups: found("s1", { _tag: "Undecided", again: Duration.seconds(5) }) },
      step: { step: "WaitToLookUp", submission: "s1" }
    },
    {
      when: "stops when the provider does not know",
      entries: open,
      facts: { lost: lost("s1"), lookups: found("s1", { _tag: "Unknown" }) },
      step: { step: "Stop", reason: "SubmissionUncertain" }
    },
    {
      when: "stops without a request when the provider does not know",
      entries: open,
      plan: null,
      facts: { lost: lost("s1"), lookups: found("s1", { _tag: "Unknown" }) },
      step: { step: "Stop", reason: "SubmissionUncertain" }
    },
    {
      when: "sends again where the policy says so and the provider does not know",
      entries: open,
      plan: resubmit,
      facts: { lost: lost("s1"), lookups: found("s1", { _tag: "Unknown" }) },
      step: submit("a")
    },
    {
      when: "sends again where the policy says so and the provider cannot tell yet",
      entries: open,
      plan: resubmit,
      facts: { lost: lost("s1"), lookups: found("s1", { _tag: "Undecided", again: Duration.seconds(5) }) },
      step: submit("a")
    },
    {
      when: "sends a background request without a session again",
      entries: open,
      plan: planOf("a", { hasSession: false }),
      facts: { lost: lost("s1"), lookups: found("s1", { _tag: "Unknown" }) },
      step: submit("a")
    },
    {
      when: "sends a held call again, without a lookup",
      entries: held,
      facts: { lost: lost("s1") },
      step: submit("a")
    },
    {
      when: "stops after a held call that must not be sent twice",
      entries: held,
      plan: refuseTwice,
      facts: { lost: lost("s1") },
      step: { step: "Stop", reason: "SubmissionUncertain" }
    },
    {
      when: "stops after a held call without a request",
      entries: held,
      plan: null,
      facts: { lost: lost("s1") },
      step: { step: "Stop", reason: "SubmissionUncertain" }
    },
    {
      when: "waits for each sender in turn",
      entries: [...open, submitting("s2")],
      plan: resubmit,
      facts: { lost: lost("s1"), lookups: found("s1", { _tag: "Unknown" }) },
      step: { step: "AwaitSubmission", submission: "s2" }
    },
    {
      when: "waits to retry before it sends again",
      entries: open,
      plan: resubmit,
      facts: {
        lost: lost("s1"),
        lookups: found("s1", { _tag: "Unknown" }),
        ...failure(retryable(unanswered))
      },
      step: { step: "WaitToRetry", error: "Network" }
    },
    {
      when: "asks no other model as long as a job may be running",
      entries: open,
      plan: planOf("a b", { onUncertain: "resubmit", fallbackOn: ["Network"] }),
      facts: {
        lost: lost("s1"),
        lookups: found("s1", { _tag: "Unknown" }),
        ...failure(retryable(unanswered), true)
      },
      step: { step: "Stop", reason: "Network" }
    },
    {
      when: "asks another model after a held call",
      entries: held,
      plan: planOf("a b", { fallbackOn: ["Network"] }),
      facts: { lost: lost("s1"), ...failure(retryable(unanswered), true) },
      step: { step: "NextModel", passed: ["test/a Network"], position: 1 }
    }
  ])

  it("says what is known of an uncertain submission", () => {
    const error = errorOf({ _tag: "Retryable", reason: unanswered })
    const step = next({
      entries: open,
      facts: { lost: lost("s1", error), lookups: found("s1", { _tag: "Unknown" }) }
    })
    const stopped = step._tag === "Stop" && step.failure._tag === "SubmissionUncertain" ? step.failure : undefined

    assert.deepInclude(stopped, { submissionId: "s1", provider: "test", code: "ECONNRESET" })
    assert.include(stopped?.message, "No answer")
  })

  decides("stops", [
    {
      when: "without a request or a session",
      entries: [],
      plan: null,
      step: { step: "Stop", reason: "SessionNotFound" }
    },
    {
      when: "without a request when nothing was sent",
      entries: [prepared],
      plan: null,
      step: { step: "Stop", reason: "RequestNeeded" }
    },
    {
      when: "without a request when the job has failed",
      entries: endedJob("s1", jobFailed),
      plan: null,
      step: { step: "Stop", reason: "RequestNeeded" }
    },
    {
      when: "when a cancel was requested between its attempts",
      entries: [...open, notSubmitted("s1", busy), cancelRequested("s1")],
      facts: { own: ["s1"], ...failure(retryable(busy)) },
      step: { step: "Stop", reason: "JobCancelled" }
    },
    {
      when: "when a cancel was requested after it had waited to retry",
      entries: [...open, notSubmitted("s1", busy), cancelRequested("s1")],
      facts: { own: ["s1"] },
      step: { step: "Stop", reason: "JobCancelled" }
    },
    {
      when: "after a stream that was cut, whatever the policy is",
      entries: held,
      plan: planOf("a b", { onUncertain: "resubmit", fallbackOn: ["StreamInterrupted"] }),
      facts: { lost: lost("s1"), hasStreamed: true, ...failure(retryable(interrupted)) },
      step: { step: "Stop", reason: "StreamInterrupted" }
    }
  ])

  decides("does not stop", [
    {
      when: "when a cancel was requested of another run's attempt",
      entries: [...open, notSubmitted("s1", busy), cancelRequested("s1")],
      step: submit("a")
    },
    {
      when: "when another attempt came after the one that was cancelled",
      entries: [...open, notSubmitted("s1", busy), cancelRequested("s1"), submitting("s2"), notSubmitted("s2", busy)],
      facts: { own: ["s1", "s2"] },
      step: submit("a")
    }
  ])

  decides("after a failed attempt", [
    {
      when: "waits to retry",
      entries: [],
      facts: failure(retryable(busy)),
      step: { step: "WaitToRetry", error: "Overloaded" }
    },
    {
      when: "waits to retry before it asks another model",
      entries: [],
      plan: two,
      facts: failure(retryable(busy)),
      step: { step: "WaitToRetry", error: "Overloaded" }
    },
    {
      when: "stops after the last retry",
      entries: [],
      facts: failure(retryable(busy), true),
      step: { step: "Stop", reason: "Overloaded" }
    },
    {
      when: "asks the next model after the last retry",
      entries: [],
      plan: two,
      facts: failure(retryable(busy), true),
      step: { step: "NextModel", passed: ["test/a Overloaded"], position: 1 }
    },
    {
      when: "stops after the last model",
      entries: [],
      plan: two,
      facts: { position: 1, ...failure(retryable(busy), true) },
      step: { step: "Stop", reason: "Overloaded" }
    },
    {
      when: "stops for a reason that `fallbackOn` does not name",
      entries: [],
      plan: two,
      facts: failure(retryable(serverError), true),
      step: { step: "Stop", reason: "ServerError" }
    },
    {
      when: "asks the next model at once when the circuit is open",
      entries: [],
      plan: two,
      facts: failure(retryable(circuitOpen)),
      step: { step: "NextModel", passed: ["test/a CircuitOpen"], position: 1 }
    },
    {
      when: "waits for an open circuit when there is no other model",
      entries: [],
      facts: failure(retryable(circuitOpen)),
      step: { step: "WaitToRetry", error: "CircuitOpen" }
    },
    {
      when: "waits for an open circuit when `fallbackOn` does not name it",
      entries: [],
      plan: planOf("a b", { fallbackOn: ["Overloaded"] }),
      facts: failure(retryable(circuitOpen)),
      step: { step: "WaitToRetry", error: "CircuitOpen" }
    },
    {
      when: "passes over the models that cannot be asked",
      entries: [],
      plan: planOf("a b c"),
      facts: { unusable: unusable("test/b"), ...failure(retryable(busy), true) },
      step: { step: "NextModel", passed: ["test/a Overloaded", "test/b ProviderNotConfigured"], position: 2 }
    },
    {
      when: "stops when no other model can be asked",
      entries: [],
      plan: planOf("a b c"),
      facts: { unusable: unusable("test/b", "test/c"), ...failure(retryable(busy), true) },
      step: { step: "Stop", reason: "Overloaded" }
    },
    {
      when: "asks the next model when Holdfast itself refuses the request for this one",
      entries: [],
      plan: two,
      facts: failure(final(invalidRequest), true, "NotSent"),
      step: { step: "NextModel", passed: ["test/a InvalidRequest"], position: 1 }
    },
    {
      when: "stops when the provider refuses the request",
      entries: [],
      plan: two,
      facts: failure(final(invalidRequest), true),
      step: { step: "Stop", reason: "InvalidRequest" }
    },
    {
      when: "stops when the first model's provider has no key",
      entries: [],
      plan: two,
      facts: failure(final(notConfigured), true, "NotSent"),
      step: { step: "Stop", reason: "ProviderNotConfigured" }
    },
    {
      when: "asks the next model when a later model's provider has no key",
      entries: [],
      plan: planOf("a b c"),
      facts: { position: 1, ...failure(final(notConfigured), true, "NotSent") },
      step: { step: "NextModel", passed: ["test/b ProviderNotConfigured"], position: 2 }
    },
    {
      when: "asks no other model once a part of an answer was streamed",
      entries: [],
      plan: two,
      facts: { hasStreamed: true, ...failure(retryable(busy), true) },
      step: { step: "Stop", reason: "Overloaded" }
    },
    {
      when: "waits for an open circuit once a part of an answer was streamed",
      entries: [],
      plan: two,
      facts: { hasStreamed: true, ...failure(retryable(circuitOpen)) },
      step: { step: "WaitToRetry", error: "CircuitOpen" }
    }
  ])
})
