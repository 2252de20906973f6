import { assert, describe, it } from "@effect/vitest"
import { Session } from "holdfast"
import * as Decision from "../../../src/strategies/internal/Decision.ts"
import { paris } from "../Verdicts.ts"
import {
  accepted,
  busy,
  cancelled,
  cancelRequested,
  decides,
  endedJob,
  factsOf,
  failedForGood,
  failure,
  filtered,
  final,
  found,
  invalidOutput,
  invalidRequest,
  job,
  jobFailed,
  lost,
  next,
  notSubmitted,
  planOf,
  prepared,
  received,
  refusal,
  retryable,
  serverError,
  submissionOf,
  submitting
} from "./Decisions.ts"

const running = [prepared, ...job("s1")]
const two = planOf("a b")

describe("Decision", () => {
  const heldCall = [prepared, submitting("s1", { strategy: "sync" })]
  decides("after the end of its submission", [
    {
      when: "settles an answer",
      ...received(running, "s1"),
      step: { step: "Settle", submission: "s1", outcome: "Paris" }
    },
    {
      when: "settles an answer although another process has recorded a failure",
      ...received([...endedJob("s1", jobFailed), ...job("s2")], "s1"),
      step: { step: "Settle", submission: "s1", outcome: "Paris" }
    },
    {
      when: "asks for the request when the answer may have to be repaired",
      ...received(job("s1", "test/a", { repair: true }), "s1"),
      plan: null,
      step: { step: "Stop", reason: "RequestNeeded", jobId: "job of s1" }
    },
    {
      when: "settles an answer that was checked with the request",
      ...received(job("s1", "test/a", { repair: true }), "s1"),
      step: { step: "Settle", submission: "s1", outcome: "Paris" }
    },
    {
      when: "settles a failure that another job would repeat",
      ...received(running, "s1", final(refusal)),
      step: { step: "Settle", submission: "s1", outcome: "Refusal" }
    },
    {
      when: "settles a failure of the last model",
      ...received(job("s1", "test/b"), "s1", final(filtered), { position: 1 }),
      plan: two,
      step: { step: "Settle", submission: "s1", outcome: "ContentFiltered" }
    },
    {
      when: "settles a failure without a request",
      ...received(running, "s1", final(failedForGood)),
      plan: null,
      step: { step: "Settle", submission: "s1", outcome: "JobFailed" }
    },
    {
      when: "asks the next model",
      ...received(running, "s1", final(filtered)),
      plan: two,
      step: { step: "NextModel", passed: ["test/a ContentFiltered"], position: 1, end: "s1 ContentFiltered" }
    },
    {
      when: "asks the next model after a job that was cancelled in its queue",
      ...received([...running, cancelRequested("s1", true)], "s1", final(cancelled)),
      plan: two,
      step: { step: "NextModel", passed: ["test/a JobCancelled"], position: 1, end: "s1 JobCancelled" }
    },
    {
      when: "settles a job that was cancelled by somebody, though it was to leave its queue",
      ...received([...running, cancelRequested("s1", true), cancelRequested("s1")], "s1", final(cancelled)),
      plan: two,
      step: { step: "Settle", submission: "s1", outcome: "JobCancelled" }
    },
    {
      when: "asks no other model as long as another job may be running",
      ...received([...running, ...job("s2")], "s1", final(filtered)),
      plan: two,
      step: { step: "Settle", submission: "s1", outcome: "ContentFiltered" }
    },
    {
      when: "asks no other model once a part of the answer was streamed",
      ...received(running, "s1", final(filtered), { hasStreamed: true }),
      plan: two,
      step: { step: "Settle", submission: "s1", outcome: "ContentFiltered" }
    },
    {
      when: "stops with a failure after which a new job may do",
      ...received(running, "s1", retryable(jobFailed)),
      step: { step: "Stop", reason: "JobFailed", end: "s1 JobFailed", jobId: "job of s1" }
    },
    {
      when: "treats a held call's failure as that of an attempt",
      ...received(heldCall, "s1", retryable(serverError)),
      step: { step: "RecordFailure", error: "ServerError", end: "s1 ServerError" }
    },
    {
      when: "stops after a held call that failed when a part of its answer was streamed",
      ...received(heldCall, "s1", retryable(serverError), { hasStreamed: true }),
      step: { step: "Stop", reason: "ServerError", end: "s1 ServerError" }
    },
    {
      when: "asks the next model after a held call that failed",
      ...received(heldCall, "s1", retryable(busy)),
      plan: two,
      step: { step: "NextModel", passed: ["test/a Overloaded"], position: 1, end: "s1 Overloaded" }
    },
    {
      when: "asks for the request when its own would ask another model",
      ...received(job("s1", "test/a", { fallbackOn: ["ContentFiltered"] }), "s1", final(filtered)),
      plan: null,
      step: { step: "Stop", reason: "RequestNeeded", end: "s1 ContentFiltered", jobId: "job of s1" }
    },
    {
      when: "settles, without the request, an end for which no other model was to be asked",
      ...received(job("s1", "test/a", { fallbackOn: ["ContentFiltered"] }), "s1", final(refusal)),
      plan: null,
      step: { step: "Settle", submission: "s1", outcome: "Refusal" }
    }
  ])

  const replaced = [...endedJob("s1", jobFailed), ...job("s2")]
  decides("after the end of a submission that another process has replaced", [
    { when: "follows a new job", ...received(replaced, "s1", retryable(jobFailed)), step: { step: "FollowOther" } },
    {
      when: "follows it without a request",
      ...received(replaced, "s1", retryable(jobFailed)),
      plan: null,
      step: { step: "FollowOther" }
    },
    {
      when: "follows a submission that is on its way",
      ...received([...endedJob("s1", jobFailed), submitting("s2")], "s1", retryable(jobFailed)),
      step: { step: "FollowOther" }
    },
    {
      when: "follows another model's job",
      ...received([...endedJob("s1", filtered), ...job("s2", "test/b")], "s1", final(filtered)),
      plan: two,
      step: { step: "FollowOther" }
    },
    {
      when: "stops when nothing has taken its place",
      ...received(endedJob("s1", jobFailed), "s1", retryable(jobFailed)),
      step: { step: "Stop", reason: "JobFailed", end: "s1 JobFailed", jobId: "job of s1" }
    },
    {
      when: "stops once a part of its answer was streamed",
      ...received(replaced, "s1", retryable(jobFailed), { hasStreamed: true }),
      step: { step: "Stop", reason: "JobFailed", end: "s1 JobFailed", jobId: "job of s1" }
    }
  ])

  const sendingElsewhere = [...endedJob("s1", jobFailed), submitting("s2")]
  const dropped = (change: Partial<Decision.Facts> = {}): Partial<Decision.Facts> => ({
    canSubmit: true,
    ...failure(retryable(jobFailed), true),
    ...change
  })
  decides("of a run that has dropped its request, and follows another process", [
    {
      when: "waits for the submission",
      entries: sendingElsewhere,
      plan: null,
      facts: dropped(),
      step: { step: "AwaitSubmission", submission: "s2" }
    },
    {
      when: "waits for the job",
      entries: [...sendingElsewhere, accepted("s2", "job of s2")],
      plan: null,
      facts: dropped(),
      step: { step: "AwaitJob", job: "job of s2", surplus: [] }
    },
    {
      when: "stops with the failure of its own job when the submission was refused",
      entries: [...sendingElsewhere, notSubmitted("s2", busy)],
      plan: null,
      facts: dropped(),
      step: { step: "Stop", reason: "JobFailed" }
    },
    {
      when: "stops with the failure of its own job when the submission is uncertain",
      entries: sendingElsewhere,
      plan: null,
      facts: dropped({ lost: lost("s2"), lookups: found("s2", { _tag: "Unknown" }) }),
      step: { step: "Stop", reason: "JobFailed" }
    }
  ])

  it.each([
    { what: "has dropped its request", plan: undefined, canSubmit: true, keeps: true },
    { what: "has its request", plan: two, canSubmit: true, keeps: false },
    { what: "never had a request", plan: undefined, canSubmit: false, keeps: false }
  ])("keeps the failure of a replaced job: $keeps, when the run $what", ({ canSubmit, keeps, plan }) => {
    const { entries, facts } = received(replaced, "s1", retryable(jobFailed), { canSubmit })
    const step = Decision.next(Session.fold(entries), plan, factsOf(facts))

    assert.strictEqual(step._tag === "FollowOther" && step.failure?.error.verdict.reason === jobFailed, keeps)
  })

  const repairing = (repairs: number) => planOf("a", { repairs })
  decides("after an invalid answer", [
    {
      when: "repairs it",
      ...received(running, "s1", final(invalidOutput)),
      plan: repairing(1),
      step: { step: "Repair", invalid: "Not JSON", end: "s1 InvalidOutput" }
    },
    {
      when: "repairs it when its own end is in the journal already",
      ...received(endedJob("s1", invalidOutput), "s1", final(invalidOutput)),
      plan: repairing(1),
      step: { step: "Repair", invalid: "Not JSON", end: "s1 InvalidOutput" }
    },
    {
      when: "repairs the second one of two",
      ...received([...endedJob("s1", invalidOutput), ...job("s2")], "s2", final(invalidOutput)),
      plan: repairing(2),
      step: { step: "Repair", invalid: "Not JSON", end: "s2 InvalidOutput" }
    },
    {
      when: "does not repair more than the session may, whichever model gave the answers",
      ...received([...endedJob("s1", invalidOutput, "test/b"), ...job("s2")], "s2", final(invalidOutput)),
      plan: repairing(1),
      step: { step: "Settle", submission: "s2", outcome: "InvalidOutput" }
    },
    {
      when: "settles it when there are no repairs",
      ...received(running, "s1", final(invalidOutput)),
      plan: repairing(0),
      step: { step: "Settle", submission: "s1", outcome: "InvalidOutput" }
    },
    {
      when: "repairs it before another model is asked",
      ...received(running, "s1", final(invalidOutput)),
      plan: planOf("a b", { fallbackOn: ["InvalidOutput"], repairs: 1 }),
      step: { step: "Repair", invalid: "Not JSON", end: "s1 InvalidOutput" }
    },
    {
      when: "asks another model after the last repair",
      ...received([...endedJob("s1", invalidOutput), ...job("s2")], "s2", final(invalidOutput)),
      plan: planOf("a b", { fallbackOn: ["InvalidOutput"], repairs: 1 }),
      step: { step: "NextModel", passed: ["test/a InvalidOutput"], position: 1, end: "s2 InvalidOutput" }
    },
    {
      when: "does not repair what was streamed",
      ...received(running, "s1", final(invalidOutput), { hasStreamed: true }),
      plan: repairing(1),
      step: { step: "Settle", submission: "s1", outcome: "InvalidOutput" }
    }
  ])

  it("settles with the outcome that was received", () => {
    const step = next(received(running, "s1"))

    assert.strictEqual(step._tag === "Settle" ? step.outcome : undefined, paris)
  })

  it("keeps that a job was never known when it settles", () => {
    const outcome = { _tag: "Failed" as const, verdict: final(invalidRequest), ignoredBackground: true }
    const step = next({ entries: running, facts: { ended: { submission: submissionOf(running, "s1"), outcome } } })

    assert.deepStrictEqual(step, { _tag: "Settle", submission: submissionOf(running, "s1"), outcome })
  })
})
