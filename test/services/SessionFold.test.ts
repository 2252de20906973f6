import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Session from "../../src/services/Session.ts"
import { sampleEntries } from "../../src/testing/internal/SessionSamples.ts"

/** Ids and jobs that collide: the id of a second job is made of both. */
const Id = Schema.Literals(["a", "b", "a+1", "a+1+1"])

const Mark = Schema.Literals(["1", "2"])

const Step = Schema.Struct({
  tag: Schema.Literals(["Prepared", "Submitting", "NotSubmitted", "Accepted", "Ended", "CancelRequested", "Settled"]),
  id: Id,
  mark: Mark,
  flag: Schema.Boolean
})

describe("Session.fold", () => {
  it.prop("agrees with its definition, entry by entry", { steps: Schema.Array(Step) }, ({ steps }) => {
    const entries = steps.map(entryOf)
    const defined = entries.reduce(define, Session.emptyState)

    assert.deepStrictEqual(Session.fold(entries), defined)
    assert.deepStrictEqual(entries.reduce(Session.apply, Session.emptyState), defined)
    assert.deepStrictEqual(Session.jobsOf(Session.fold(entries)), jobsOf(defined))
  }, { arbitrary: { runs: 1000 } })
})

/** An entry of this kind; `flag` is what it may say beside. */
const entryOf = ({ flag, id, mark, tag }: typeof Step.Type): Session.Entry => {
  switch (tag) {
    case "Accepted":
      return Session.Accepted.make({
        at: 1,
        submissionId: id,
        jobId: mark,
        ...(flag ? { ignoredBackground: true } : {})
      })
    case "CancelRequested":
      return Session.CancelRequested.make({ at: 1, submissionId: id, ...(flag ? { forFallback: true } : {}) })
    default: {
      const entry = sampleEntries(mark).find(({ _tag }) => _tag === tag)
      assert.isDefined(entry)
      return { ...entry, ...(tag === "Prepared" ? {} : { submissionId: id }) } as Session.Entry
    }
  }
}

/** The state after one more entry, as the specification has it. */
const define = (state: Session.SessionState, entry: Session.Entry): Session.SessionState => {
  switch (entry._tag) {
    case "Prepared":
      return state.fingerprint === undefined ? { ...state, fingerprint: entry.fingerprint } : state
    case "Settled":
      return state.settled === undefined ? { ...state, settled: entry } : state
    case "Submitting":
      return state.submissions.some((submission) => submission.id === entry.submissionId)
        ? update(state, entry.submissionId, (submission) => ({
          ...submission,
          renewals: submission.renewals + 1,
          renewedAt: entry.at
        }))
        : {
          ...state,
          submissions: state.submissions.concat({
            id: entry.submissionId,
            sent: entry,
            renewals: 1,
            cancelRequested: false
          })
        }
    case "NotSubmitted":
    case "Ended": {
      const job = jobsOf(state)[0]
      const isSurplus = entry._tag === "Ended" && job !== undefined && job.id !== entry.submissionId
      return update(
        state,
        entry.submissionId,
        (submission) =>
          submission.closed?._tag === "Ended"
            ? submission
            : { ...submission, closed: entry, ...(isSurplus ? { endedAsSurplus: true } : {}) }
      )
    }
    case "Accepted": {
      const submission = state.submissions.find((submission) => submission.id === entry.submissionId)
      if (submission === undefined) return state
      const known = Session.acceptedAs(state, submission.id, entry.jobId)
      if (known !== undefined) {
        return entry.ignoredBackground === true
          ? update(state, known.id, (each) => ({ ...each, accepted: { ...known.accepted, ignoredBackground: true } }))
          : state
      }
      if (submission.accepted === undefined) {
        return {
          ...update(state, submission.id, (submission) => ({ ...submission, accepted: entry })),
          acceptances: state.acceptances.concat(submission.id)
        }
      }
      const id = `${submission.id}+${entry.jobId}`
      return {
        ...state,
        submissions: state.submissions.concat({
          id,
          sent: submission.sent,
          renewals: 1,
          accepted: entry,
          cancelRequested: false
        }),
        acceptances: state.acceptances.concat(id)
      }
    }
    case "CancelRequested":
      return update(state, entry.submissionId, (submission) => {
        const { forFallback: _, ...rest } = submission
        // Who wants the whole session stopped wants no other model either.
        const isForFallback = entry.forFallback === true &&
          (!submission.cancelRequested || submission.forFallback === true)
        return { ...rest, cancelRequested: true, ...(isForFallback ? { forFallback: true } : {}) }
      })
  }
}

const update = (
  state: Session.SessionState,
  id: string,
  change: (submission: Session.Submission) => Session.Submission
): Session.SessionState => ({
  ...state,
  submissions: state.submissions.map((submission) => submission.id === id ? change(submission) : submission)
})

const jobsOf = (state: Session.SessionState): ReadonlyArray<Session.Submission> =>
  state.acceptances.flatMap((id) => {
    const submission = state.submissions.find((submission) => submission.id === id)
    return submission?.accepted === undefined || submission.closed?._tag === "Ended" ? [] : [submission]
  })
