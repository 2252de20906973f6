import { assert, describe, it } from "@effect/vitest"
import { Duration, Schema } from "effect"
import { LlmResponse, Reason, Session, StrategyError } from "holdfast"

describe("Session.statusOf", () => {
  it.each<Row>([
    ["nothing was written", [], "prepared"],
    ["only its request is known", [prepared], "prepared"],
    ["a submission was sent", [prepared, sent("a")], "submitting"],
    ["a held call was sent", [prepared, held("a")], "submitting"],
    ["another one was sent after a refusal", [sent("a"), refused("a", busy), sent("b")], "submitting"],
    ["a submission of unknown outcome is to be cancelled", [sent("a"), cancel("a")], "submitting"],
    ["its job was accepted", [sent("a"), accepted("a")], "running"],
    ["its job is to be cancelled", [sent("a"), accepted("a"), cancel("a")], "running"],
    [
      "the id of a job that had counted as refused comes late",
      [sent("a"), refused("a", busy), accepted("a")],
      "running"
    ],
    ["its surplus job has ended", [...twoJobs, cancel("b"), ended("b", stopped)], "running"],
    ["a job runs while another submission is not known", [sent("a"), sent("b"), accepted("b")], "running"],
    ["it is settled with an answer", [...job, settled(answer)], "answered"],
    ["it is settled with an answer that is not kept", [...job, settled({ _tag: "Reference", jobId: "j" })], "answered"],
    ["it is settled with a failure", [...job, settled(failure(filtered))], "failed"],
    ["it is settled as cancelled", [...job, cancel("a"), settled(failure(stopped))], "cancelled"],
    [
      "it is settled with a failure that is not kept",
      [...job, settled({ _tag: "Reference", jobId: "j", reason: filtered })],
      "failed"
    ],
    [
      "it is settled as cancelled, which is not kept",
      [...job, settled({ _tag: "Reference", jobId: "j", reason: stopped })],
      "cancelled"
    ],
    ["a cancel was requested, but the answer came first", [...job, cancel("a"), settled(answer)], "answered"],
    ["a surplus job is accepted after the end", [...job, settled(answer), sent("b"), accepted("b")], "answered"],
    ["it is settled while a submission is not known", [sent("a"), sent("b"), settled(failure(filtered), "b")], "failed"]
  ])("when %s it is %3$s", (_, entries, status) => {
    assert.strictEqual(Session.statusOf(Session.fold(entries), at), status)
  })

  it.each<Row>([
    ["refused because the provider is busy", [sent("a"), refused("a", busy)], "retrying"],
    ["not sent at all", [sent("a"), refused("a", network)], "retrying"],
    ["refused because an earlier one with its key goes on", [sent("a"), refused("a", conflict)], "retrying"],
    ["a job that failed and may do better", [...job, ended("a", jobFailed)], "retrying"],
    ["a held call that broke", [held("a"), ended("a", network)], "retrying"],
    ["a job whose answer is to be repaired", [...job, ended("a", misfit)], "retrying"],
    ["refused after a job that failed", [...job, ended("a", jobFailed), sent("b"), refused("b", busy)], "retrying"],
    ["refused for a quota", [sent("a"), refused("a", quota)], "failed"],
    ["refused for a bad key", [sent("a"), refused("a", badKey)], "failed"],
    ["refused as invalid, held", [held("a"), refused("a", invalid)], "failed"],
    ["a held call whose answer is too long", [held("a"), ended("a", tooLarge)], "failed"],
    ["not sent as the certificate is not valid", [sent("a"), { ...refused("a", network), isFinal: true }], "failed"],
    [
      "refused for a quota after a job that failed",
      [...job, ended("a", jobFailed), sent("b"), refused("b", quota)],
      "failed"
    ],
    [
      "sent again after a quota, and refused as busy",
      [sent("a"), refused("a", quota), sent("b"), refused("b", busy)],
      "retrying"
    ],
    [
      "refused for a quota, where another model is asked then",
      [sent("a", ["QuotaExceeded"]), refused("a", quota)],
      "retrying"
    ],
    [
      "refused for a quota, where another model is asked for others",
      [sent("a", ["Overloaded"]), refused("a", quota)],
      "failed"
    ],
    [
      "a job that was queued for too long",
      [sent("a", ["Queued"]), accepted("a"), cancel("a", true), ended("a", stopped)],
      "retrying"
    ],
    ["refused, and a cancel was requested then", [sent("a"), refused("a", busy), cancel("a")], "cancelled"],
    ["refused for a quota, and a cancel was requested", [sent("a"), refused("a", quota), cancel("a")], "cancelled"],
    ["a job that failed after a cancel was requested", [...job, cancel("a"), ended("a", jobFailed)], "cancelled"],
    [
      "sent by a later call, after a cancel, and refused",
      [sent("a"), refused("a", busy), cancel("a"), sent("b"), refused("b", busy)],
      "retrying"
    ],
    ["a job that failed after its surplus one was stopped", [...stoppedSurplus, ended("a", jobFailed)], "retrying"],
    [
      "a later job that failed after a cancel was requested",
      [...job, ended("a", jobFailed), sent("b"), accepted("b"), cancel("b"), ended("b", jobFailed)],
      "cancelled"
    ]
  ])("when the last submission was %s it is %3$s, at any time", (_, entries, status) => {
    for (const now of [0, at, at + timeout, at + 1000 * timeout]) {
      assert.strictEqual(Session.statusOf(Session.fold(entries), now), status)
    }
  })

  it.each<readonly [string, ReadonlyArray<Session.Entry>, number, Session.SessionStatus]>([
    ["background", [sent("a")], timeout - 1, "submitting"],
    ["background", [sent("a")], timeout, "uncertain"],
    ["background, with a cancel", [sent("a"), cancel("a")], timeout, "uncertain"],
    ["background, by a clock that is behind", [sent("a")], -5 * timeout, "submitting"],
    ["held", [held("a")], timeout - 1, "submitting"],
    ["held", [held("a")], timeout, "retrying"],
    ["held, with a cancel", [held("a"), cancel("a")], timeout, "cancelled"],
    ["held and renewed", [held("a"), held("a", 50)], timeout + 49, "submitting"],
    ["held and renewed", [held("a"), held("a", 50)], timeout + 50, "retrying"],
    ["held and renewed twice", [held("a"), held("a", 50), held("a", 90)], timeout + 89, "submitting"],
    ["held after a refusal for a quota", [sent("a"), refused("a", quota), held("b")], timeout, "retrying"],
    ["the second of two", [sent("a"), sent("b", undefined, 70)], timeout + 69, "submitting"],
    ["the second of two", [sent("a"), sent("b", undefined, 70)], timeout + 70, "uncertain"],
    ["followed by one that was refused for a quota", [sent("a"), sent("b"), refused("b", quota)], timeout, "uncertain"],
    [
      "held, followed by one that was refused for a quota",
      [held("a"), held("b"), refused("b", quota)],
      timeout,
      "failed"
    ],
    ["background, and a held one after it is lost, too", [sent("a"), held("b")], timeout, "uncertain"]
  ])("with a submission (%s) it is %4$s %3$s ms after it was sent", (_, entries, after, status) => {
    assert.strictEqual(Session.statusOf(Session.fold(entries), at + after), status)
  })

  it.each<readonly [string, ReadonlyArray<Session.Entry>, boolean]>([
    ["nothing was sent", [prepared], false],
    ["a submission was sent", [sent("a")], true],
    ["a job was accepted", [...job], true],
    ["the submission was refused", [sent("a"), refused("a", busy)], false],
    ["the job has ended", [...job, ended("a", jobFailed)], false],
    ["it is settled, though a surplus job runs", [...twoJobs, settled(answer)], false]
  ])("tells whether there is something to wait for, at any time: %s", (_, entries, isPending) => {
    assert.strictEqual(Session.isPending(Session.fold(entries)), isPending)
  })

  it.each<readonly [string, ReadonlyArray<Session.Entry>, string | undefined, string | undefined]>([
    ["nothing was sent", [prepared], undefined, undefined],
    ["the last one was refused", [sent("a"), refused("a", busy), sent("b"), refused("b", quota)], "b", "QuotaExceeded"],
    ["a job runs after a refusal", [sent("a"), refused("a", busy), sent("b"), accepted("b")], "b", "Overloaded"],
    ["an earlier one has the job", [sent("a"), sent("b"), accepted("b"), accepted("a")], "b", undefined],
    ["an earlier one is not known", [sent("a"), sent("b"), refused("b", busy)], "a", "Overloaded"],
    ["a surplus job was stopped first", [...stoppedSurplus, ended("a", jobFailed)], "a", "JobFailed"],
    ["a refused one was accepted after all", [sent("a"), refused("a", busy), accepted("a")], "a", undefined],
    ["it is settled", [...twoJobs, settled(answer, "b")], "b", undefined]
  ])("tells which submission it is about, and the last failure: %s", (_, entries, id, reason) => {
    const state = Session.fold(entries)

    assert.strictEqual(Session.currentSubmission(state)?.id, id)
    assert.strictEqual(Session.lastFailure(state)?._tag, reason)
  })

  it("knows each reason that a retry may cure, and each that it does not", () => {
    const statusAfter = (reason: Reason.RetryableReason | Reason.NonRetryableReason) =>
      Session.statusOf(Session.fold([sent("a"), { ...refused("a", busy), reason }]), at)
    const tagsOf = (members: ReadonlyArray<{ readonly fields: { readonly _tag: Schema.tag<string> } }>) =>
      members.map(({ fields }) => fields._tag.schema.literal)
    const retryable = tagsOf(Reason.RetryableReason.members)

    for (const _tag of retryable) assert.strictEqual(statusAfter({ _tag } as Reason.RetryableReason), "retrying", _tag)
    for (const _tag of tagsOf(Reason.NonRetryableReason.members).filter((tag) => !retryable.includes(tag))) {
      assert.strictEqual(statusAfter({ _tag } as Reason.NonRetryableReason), "failed", _tag)
    }
  })
})

type Row = readonly [string, ReadonlyArray<Session.Entry>, Session.SessionStatus]

type AnyReason = Reason.RetryableReason | Reason.NonRetryableReason

const at = 1_000_000

const timeout = 100

const prepared = Session.Prepared.make({ at, fingerprint: "f" })

const sent = (submissionId: string, fallbackOn?: ReadonlyArray<string>, after = 0) =>
  Session.Submitting.make({
    at: at + after,
    submissionId,
    purpose: "answer",
    provider: "test",
    model: `test/${submissionId}`,
    strategy: "background",
    submitTimeout: timeout,
    store: true,
    ...(fallbackOn === undefined ? {} : { fallbackOn })
  })

const held = (submissionId: string, after = 0): Session.Entry => ({
  ...sent(submissionId, undefined, after),
  strategy: "sync"
})

const refused = (submissionId: string, reason: AnyReason) => Session.NotSubmitted.make({ at, submissionId, reason })

const accepted = (submissionId: string): Session.Entry =>
  Session.Accepted.make({ at, submissionId, jobId: `job of ${submissionId}` })

const ended = (submissionId: string, reason: AnyReason): Session.Entry =>
  Session.Ended.make({ at, submissionId, reason })

const cancel = (submissionId: string, forFallback = false): Session.Entry =>
  Session.CancelRequested.make({ at, submissionId, ...(forFallback ? { forFallback } : {}) })

const settled = (settlement: Session.Settlement, submissionId = "a"): Session.Entry =>
  Session.Settled.make({ at, submissionId, settlement })

const failure = (reason: Reason.NonRetryableReason): Session.Settlement => ({
  _tag: "Failed",
  error: new StrategyError.NonRetryable({ reason })
})

const answer: Session.Settlement = {
  _tag: "Answered",
  answer: new LlmResponse.LlmResponse({
    content: "42",
    finishReason: "stop",
    response: {},
    model: "a",
    provider: "test",
    strategy: "background",
    submissions: 1,
    attempts: 1,
    polls: 0,
    elapsed: Duration.zero,
    resumed: false,
    settled: true
  })
}

const job = [sent("a"), accepted("a")]

const twoJobs = [...job, sent("b"), accepted("b")]

const said = { message: "No" }
const busy = new Reason.Overloaded(said)
const network = new Reason.Network(said)
const conflict = new Reason.Conflict(said)
const quota = new Reason.QuotaExceeded(said)
const badKey = new Reason.AuthenticationFailed(said)
const invalid = new Reason.InvalidRequest(said)
const filtered = new Reason.ContentFiltered(said)
const stopped = new Reason.JobCancelled(said)
const misfit = new Reason.InvalidOutput({ ...said, content: "" })
const tooLarge = new Reason.ResponseTooLarge({ ...said, limit: 1 })
const jobFailed = new Reason.JobFailed({ ...said, reason: new Reason.ServerError(said) })

const stoppedSurplus = [...twoJobs, cancel("b"), ended("b", stopped)]
