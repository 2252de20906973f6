/**
 * A session: the entries of its journal, and the state that they add up to.
 *
 * @since 0.1.0
 */
import * as Brand from "effect/Brand"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { NonRetryableReason, RetryableReason } from "../errors/Reason.ts"
import { NonRetryable } from "../errors/StrategyError.ts"
import { LlmResponse } from "./LlmResponse.ts"
import { StrategyName } from "./ResponseRequest.ts"

/**
 * The version of the entries that this release writes. Entries of every
 * version up to it can be read.
 *
 * @category models
 * @since 0.1.0
 */
export const formatVersion = 1

const Reason = Schema.Union([RetryableReason, NonRetryableReason])

const common = {
  v: Schema.Literal(formatVersion).pipe(Schema.withConstructorDefault(Effect.succeed(formatVersion))),
  /** When the entry was made, Unix time in milliseconds by the writer's clock. */
  at: Schema.Int
}

/**
 * The key belongs to the request with this fingerprint.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Prepared = Schema.TaggedStruct("Prepared", { ...common, fingerprint: Schema.String })

/**
 * A request is about to be sent. The same `submissionId` again says that its
 * sender is still waiting.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Submitting = Schema.TaggedStruct("Submitting", {
  ...common,
  submissionId: Schema.String,
  /** What the submission is for: `answer`, or `repair` of one that did not fit the schema. */
  purpose: Schema.String,
  provider: Schema.String,
  /** The model as the request names it. */
  model: Schema.String,
  strategy: StrategyName,
  /** How long the sender waits for the provider to accept it, in milliseconds. */
  submitTimeout: Schema.Natural,
  /** Whether the provider was asked to keep the response. */
  store: Schema.Boolean,
  /** Whether its job was started with a stream, which can be opened again. */
  stream: Schema.optionalKey(Schema.Boolean),
  /** For what ends of it its request has another model asked: such an end is not the session's. */
  fallbackOn: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Whether an answer that does not fit the request's schema is sent back: only a run with the request can settle it. */
  repair: Schema.optionalKey(Schema.Boolean),
  /** What the journal may keep of the answer; absent: all of it. */
  journal: Schema.optionalKey(Schema.Literals(["full", "ids-only"])),
  baseUrl: Schema.optionalKey(Schema.String),
  organization: Schema.optionalKey(Schema.String),
  project: Schema.optionalKey(Schema.String)
})

/**
 * The submission certainly was not accepted.
 *
 * @category schemas
 * @since 0.1.0
 */
export const NotSubmitted = Schema.TaggedStruct("NotSubmitted", {
  ...common,
  submissionId: Schema.String,
  reason: Reason
})

/**
 * The provider has the job.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Accepted = Schema.TaggedStruct("Accepted", {
  ...common,
  submissionId: Schema.String,
  jobId: Schema.String,
  /** Written once more with this when the provider never knew the job: it may have ignored `background`. */
  ignoredBackground: Schema.optionalKey(Schema.Boolean)
})

/**
 * The submission ended in a way that only another submission could cure.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Ended = Schema.TaggedStruct("Ended", { ...common, submissionId: Schema.String, reason: Reason })

/**
 * Somebody wants the job of this submission stopped.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CancelRequested = Schema.TaggedStruct("CancelRequested", {
  ...common,
  submissionId: Schema.String,
  /** Whether it is stopped only so that the next model can be asked. */
  forFallback: Schema.optionalKey(Schema.Boolean)
})

/**
 * Schema for how a session was settled.
 *
 * **Details**
 *
 * With `journal: "ids-only"` a job's end is a `Reference`: the answer is
 * fetched again by its id.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Settlement = Schema.Union([
  Schema.TaggedStruct("Answered", { answer: LlmResponse }),
  Schema.TaggedStruct("Failed", { error: NonRetryable }),
  Schema.TaggedStruct("Reference", { jobId: Schema.String })
])

/**
 * How a session was settled.
 *
 * @category models
 * @since 0.1.0
 */
export type Settlement = typeof Settlement.Type

/**
 * Nothing will change any more. Only the first one of a journal counts.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Settled = Schema.TaggedStruct("Settled", {
  ...common,
  submissionId: Schema.String,
  settlement: Settlement,
  /** Whether the provider answered a background job at once, as a call that is held open. */
  ignoredBackground: Schema.optionalKey(Schema.Boolean)
})

/**
 * Schema for an entry of a session's journal.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Entry = Schema.Union([Prepared, Submitting, NotSubmitted, Accepted, Ended, CancelRequested, Settled])

/**
 * An entry of a session's journal.
 *
 * @category models
 * @since 0.1.0
 */
export type Entry = typeof Entry.Type

/**
 * Schema for an entry as JSON, for stores.
 *
 * @category schemas
 * @since 0.1.0
 */
export const EntryJson = Schema.toCodecJson(Entry)

/**
 * A point in the life of a session, opaque. It contains the session's
 * incarnation, so that nothing can be appended to a session that was removed
 * and made again.
 *
 * @category models
 * @since 0.1.0
 */
export type Version = string & Brand.Brand<"holdfast/services/Session/Version">

/**
 * Creates a `Version` from the text that a store has for it; the empty text is
 * `noVersion`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const Version = Brand.nominal<Version>()

/**
 * The version of a session that does not exist.
 *
 * @category models
 * @since 0.1.0
 */
export const noVersion: Version = Version("")

/**
 * A session as it was loaded.
 *
 * @category models
 * @since 0.1.0
 */
export interface Journal {
  /** `noVersion` when there is no session. */
  readonly version: Version
  /** In the order in which they were appended; empty when there is no session. */
  readonly entries: ReadonlyArray<Entry>
}

/**
 * One submission, with all that the journal says of it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Submission {
  readonly id: string
  readonly sent: typeof Submitting.Type
  /** How many times the sender has said that it is waiting, the first included. */
  readonly renewals: number
  /** `NotSubmitted` or `Ended`, when it came to that. */
  readonly closed?: typeof NotSubmitted.Type | typeof Ended.Type | undefined
  readonly accepted?: typeof Accepted.Type | undefined
  readonly cancelRequested: boolean
  /** Whether its job is stopped only so that the next model can be asked. */
  readonly forFallback?: boolean | undefined
}

/**
 * The state that the entries of a journal add up to.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionState {
  /** The fingerprint of the request that the key belongs to. */
  readonly fingerprint: string | undefined
  /** In the order in which they were sent. */
  readonly submissions: ReadonlyArray<Submission>
  /** The ids of the submissions that were accepted, in the order in which the journal learned of it. */
  readonly acceptances: ReadonlyArray<string>
  readonly settled: typeof Settled.Type | undefined
}

/**
 * The state of a session that has no entry.
 *
 * @category models
 * @since 0.1.0
 */
export const emptyState: SessionState = { fingerprint: undefined, submissions: [], acceptances: [], settled: undefined }

/**
 * Returns the state that the entries add up to.
 *
 * **Details**
 *
 * Total: an entry about a submission that is not in the journal is passed
 * over, the first `Prepared` and the first `Settled` win, an `Accepted` counts
 * even when it comes late, and what has ended stays so. A second job of one
 * submission (another one was adopted before the answer came) counts as a
 * submission of its own, whose id is made of both.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fold = (entries: Iterable<Entry>): SessionState => {
  let state = emptyState
  for (const entry of entries) state = apply(state, entry)
  return state
}

/**
 * Returns the state after one more entry.
 *
 * @category combinators
 * @since 0.1.0
 */
export const apply = (state: SessionState, entry: Entry): SessionState => {
  switch (entry._tag) {
    case "Prepared":
      return state.fingerprint === undefined ? { ...state, fingerprint: entry.fingerprint } : state
    case "Settled":
      return state.settled === undefined ? { ...state, settled: entry } : state
    case "Submitting":
      return state.submissions.some((submission) => submission.id === entry.submissionId)
        ? update(state, entry.submissionId, (submission) => ({ ...submission, renewals: submission.renewals + 1 }))
        : {
          ...state,
          // Not a spread, which leaves room for sixteen more.
          submissions: state.submissions.concat({
            id: entry.submissionId,
            sent: entry,
            renewals: 1,
            cancelRequested: false
          })
        }
    case "NotSubmitted":
    case "Ended":
      return update(
        state,
        entry.submissionId,
        (submission) => submission.closed?._tag === "Ended" ? submission : { ...submission, closed: entry }
      )
    case "Accepted": {
      const submission = state.submissions.find((submission) => submission.id === entry.submissionId)
      if (submission === undefined) return state
      const known = acceptedAs(state, submission.id, entry.jobId)
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
      const id = secondId(submission.id, entry.jobId)
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
  state: SessionState,
  id: string,
  change: (submission: Submission) => Submission
): SessionState => ({
  ...state,
  submissions: state.submissions.map((submission) => submission.id === id ? change(submission) : submission)
})

const secondId = (submissionId: string, jobId: string): string => `${submissionId}+${jobId}`

/**
 * Returns the submission under which a session has the job that answered a
 * submission; `undefined` when it does not have it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const acceptedAs = (
  state: SessionState,
  submissionId: string,
  jobId: string
): AcceptedSubmission | undefined => {
  for (const submission of state.submissions) {
    const { accepted, id } = submission
    if (accepted?.jobId === jobId && (id === submissionId || id === secondId(submissionId, jobId))) {
      return { ...submission, accepted }
    }
  }
  return undefined
}

/**
 * A submission that the provider accepted.
 *
 * @category models
 * @since 0.1.0
 */
export interface AcceptedSubmission extends Submission {
  readonly accepted: typeof Accepted.Type
}

/**
 * Returns the submissions whose jobs may be running, in the order in which
 * they were accepted. The session waits for the first one; the others are
 * surplus.
 *
 * @category combinators
 * @since 0.1.0
 */
export const jobsOf = (state: SessionState): ReadonlyArray<AcceptedSubmission> =>
  state.acceptances.flatMap((id) => {
    const submission = state.submissions.find((submission) => submission.id === id)
    return submission?.accepted === undefined || submission.closed?._tag === "Ended"
      ? []
      : [{ ...submission, accepted: submission.accepted }]
  })

/**
 * Returns the submissions whose fate the journal does not tell, in the order in which they were sent.
 *
 * @category combinators
 * @since 0.1.0
 */
export const openSubmissions = (state: SessionState): ReadonlyArray<Submission> =>
  state.submissions.filter((submission) => submission.accepted === undefined && submission.closed === undefined)

/**
 * Returns the last submission whose fate the journal does not tell.
 *
 * @category combinators
 * @since 0.1.0
 */
export const openSubmission = (state: SessionState): Submission | undefined => openSubmissions(state).at(-1)

/**
 * Schema for where a session stands.
 *
 * **Details**
 *
 * - `prepared`: nothing was sent yet, or nothing that was accepted
 * - `submitting`: a submission was sent, its outcome is not known
 * - `running`: a job may be running
 * - `ended`: the job failed; the next call submits another one
 * - `settled`: nothing will change any more
 *
 * @category schemas
 * @since 0.1.0
 */
export const SessionStatus = Schema.Literals(["prepared", "submitting", "running", "ended", "settled"])

/**
 * Where a session stands.
 *
 * @category models
 * @since 0.1.0
 */
export type SessionStatus = typeof SessionStatus.Type

/**
 * Returns where a session stands.
 *
 * @category combinators
 * @since 0.1.0
 */
export const statusOf = (state: SessionState): SessionStatus => {
  if (state.settled !== undefined) return "settled"
  if (jobsOf(state).length > 0) return "running"
  if (openSubmission(state) !== undefined) return "submitting"
  return state.submissions.at(-1)?.closed?._tag === "Ended" ? "ended" : "prepared"
}
