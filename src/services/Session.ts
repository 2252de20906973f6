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
  reason: Reason,
  /** Written where another try is of no use and the reason alone does not say so: for a certificate that is not valid. */
  isFinal: Schema.optionalKey(Schema.Literal(true))
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
 * fetched again by its id. Its `reason` says why the job failed, without the
 * model's words; without a `reason` the job has answered.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Settlement = Schema.Union([
  Schema.TaggedStruct("Answered", { answer: LlmResponse }),
  Schema.TaggedStruct("Failed", { error: NonRetryable }),
  Schema.TaggedStruct("Reference", { jobId: Schema.String, reason: Schema.optionalKey(NonRetryableReason) })
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
  /** When the sender last repeated it, Unix time in milliseconds by its clock; absent when it has not. */
  readonly renewedAt?: number | undefined
  /** `NotSubmitted` or `Ended`, when it came to that. */
  readonly closed?: typeof NotSubmitted.Type | typeof Ended.Type | undefined
  readonly accepted?: typeof Accepted.Type | undefined
  /** Whether the session waited for another job when this one ended. */
  readonly endedAsSurplus?: boolean | undefined
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
  const index = new Map<string, Array<number>>()
  let over = 0
  const draft: Draft = {
    ...emptyState,
    submissions: [],
    acceptances: [],
    placesOf: (id) => index.get(id) ?? [],
    add: (submission) => {
      const places = index.get(submission.id) ?? []
      index.set(submission.id, places)
      places.push(draft.submissions.push(submission) - 1)
    },
    awaited: () => {
      const jobOf = (id: string): Submission | undefined => draft.submissions[index.get(id)?.[0] ?? -1]
      // What has ended stays so: it is not looked at again.
      while (over < draft.acceptances.length && jobOf(draft.acceptances[over] ?? "")?.closed?._tag === "Ended") over++
      for (let place = over; place < draft.acceptances.length; place++) {
        const id = draft.acceptances[place] ?? ""
        if (isJob(jobOf(id))) return id
      }
      return undefined
    }
  }
  for (const entry of entries) record(draft, entry)
  return stateOf(draft)
}

/**
 * Returns the state after one more entry.
 *
 * @category combinators
 * @since 0.1.0
 */
export const apply = (state: SessionState, entry: Entry): SessionState => {
  const draft: Draft = {
    ...state,
    submissions: state.submissions.slice(),
    acceptances: state.acceptances.slice(),
    placesOf: (id) => draft.submissions.flatMap((submission, place) => submission.id === id ? [place] : []),
    add: (submission) => void draft.submissions.push(submission),
    awaited: () => jobsOf(draft)[0]?.id
  }
  record(draft, entry)
  return stateOf(draft)
}

/** A state that is being made. */
interface Draft {
  fingerprint: string | undefined
  settled: typeof Settled.Type | undefined
  readonly submissions: Array<Submission>
  readonly acceptances: Array<string>
  /** Where the submissions with an id are; a journal that was tampered with may have several. */
  readonly placesOf: (id: string) => ReadonlyArray<number>
  readonly add: (submission: Submission) => void
  /** The id of the submission whose job the session waits for. */
  readonly awaited: () => string | undefined
}

// An array that has grown by `push` has room for more: its copy has none.
const stateOf = ({ acceptances, fingerprint, settled, submissions }: Draft): SessionState => ({
  fingerprint,
  submissions: submissions.slice(),
  acceptances: acceptances.slice(),
  settled
})

const record = (draft: Draft, entry: Entry): void => {
  switch (entry._tag) {
    case "Prepared":
      draft.fingerprint ??= entry.fingerprint
      return
    case "Settled":
      draft.settled ??= entry
      return
    case "Submitting":
      return draft.placesOf(entry.submissionId).length > 0
        ? update(draft, entry.submissionId, (submission) => ({
          ...submission,
          renewals: submission.renewals + 1,
          renewedAt: entry.at
        }))
        : draft.add({ id: entry.submissionId, sent: entry, renewals: 1, cancelRequested: false })
    case "NotSubmitted":
      return update(
        draft,
        entry.submissionId,
        (submission) => submission.closed?._tag === "Ended" ? submission : { ...submission, closed: entry }
      )
    case "Ended": {
      const awaited = draft.awaited()
      const asSurplus = awaited !== undefined && awaited !== entry.submissionId
      return update(
        draft,
        entry.submissionId,
        (submission) =>
          submission.closed?._tag === "Ended"
            ? submission
            : { ...submission, closed: entry, ...(asSurplus ? { endedAsSurplus: true } : {}) }
      )
    }
    case "Accepted":
      return recordJob(draft, entry)
    case "CancelRequested":
      return update(draft, entry.submissionId, (submission) => {
        const { forFallback: _, ...rest } = submission
        // Who wants the whole session stopped wants no other model either.
        const isForFallback = entry.forFallback === true &&
          (!submission.cancelRequested || submission.forFallback === true)
        return { ...rest, cancelRequested: true, ...(isForFallback ? { forFallback: true } : {}) }
      })
  }
}

const recordJob = (draft: Draft, entry: typeof Accepted.Type): void => {
  const places = draft.placesOf(entry.submissionId)
  const [submission] = submissionsAt(draft, places)
  if (submission === undefined) return
  const id = secondId(submission.id, entry.jobId)
  const candidates = [...places, ...draft.placesOf(id)].sort((a, b) => a - b)
  const known = acceptedIn(submissionsAt(draft, candidates), entry.jobId)
  if (known !== undefined) {
    if (entry.ignoredBackground !== true) return
    return update(draft, known.id, (each) => ({ ...each, accepted: { ...known.accepted, ignoredBackground: true } }))
  }
  if (submission.accepted === undefined) {
    update(draft, submission.id, (each) => ({ ...each, accepted: entry }))
    draft.acceptances.push(submission.id)
    return
  }
  draft.add({ id, sent: submission.sent, renewals: 1, accepted: entry, cancelRequested: false })
  draft.acceptances.push(id)
}

const submissionsAt = (draft: Draft, places: ReadonlyArray<number>): ReadonlyArray<Submission> =>
  places.flatMap((place) => draft.submissions[place] ?? [])

const update = (draft: Draft, id: string, change: (submission: Submission) => Submission): void => {
  for (const place of draft.placesOf(id)) {
    const submission = draft.submissions[place]
    if (submission !== undefined) draft.submissions[place] = change(submission)
  }
}

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
  const second = secondId(submissionId, jobId)
  return acceptedIn(state.submissions.filter(({ id }) => id === submissionId || id === second), jobId)
}

const acceptedIn = (submissions: ReadonlyArray<Submission>, jobId: string): AcceptedSubmission | undefined => {
  for (const submission of submissions) {
    const { accepted } = submission
    if (accepted?.jobId === jobId) return { ...submission, accepted }
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
export const jobsOf = (state: SessionState): ReadonlyArray<AcceptedSubmission> => {
  if (state.acceptances.length === 0) return []
  const submissions = new Map(state.submissions.toReversed().map((submission) => [submission.id, submission]))
  return state.acceptances.flatMap((id) => {
    const submission = submissions.get(id)
    return isJob(submission) ? [submission] : []
  })
}

const isJob = (submission: Submission | undefined): submission is AcceptedSubmission =>
  submission?.accepted !== undefined && submission.closed?._tag !== "Ended"

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
 * Returns whether nothing of a session will change any more.
 *
 * @category guards
 * @since 0.1.0
 */
export const isSettled = (state: SessionState): boolean => state.settled !== undefined

/**
 * Returns whether there is something to wait for: a job that may be running, or
 * a submission whose outcome is not in the journal. False once settled.
 *
 * @category guards
 * @since 0.1.0
 */
export const isPending = (state: SessionState): boolean =>
  !isSettled(state) && (jobsOf(state).length > 0 || openSubmission(state) !== undefined)

/**
 * Schema for what became of a session.
 *
 * **Details**
 *
 * - `prepared`: nothing was sent yet
 * - `submitting`: a submission is being sent, or a held call is waiting for its answer; not for longer than
 *   `submitTimeout` after the sender last wrote that it is waiting
 * - `uncertain`: the outcome of a background submission is not known, and its `submitTimeout` has passed
 * - `running`: a job may be running
 * - `retrying`: the last submission came to nothing, and a run that waits, or the next call, may send another one
 * - `answered`: settled with an answer
 * - `failed`: settled with a failure, or the last submission failed for a reason that a retry cannot cure (a quota, a
 *   bad key)
 * - `cancelled`: settled as cancelled, or a cancel was requested after the last failure: nothing is sent until the next call
 *
 * @category schemas
 * @since 0.1.0
 */
export const SessionStatus = Schema.Literals([
  "prepared",
  "submitting",
  "uncertain",
  "running",
  "retrying",
  "answered",
  "failed",
  "cancelled"
])

/**
 * What became of a session.
 *
 * @category models
 * @since 0.1.0
 */
export type SessionStatus = typeof SessionStatus.Type

/**
 * Returns what became of a session.
 *
 * **Details**
 *
 * `now` is Unix time in milliseconds. It only tells `submitting` from
 * `uncertain` and `retrying`, by the clocks of the sender and the caller: for
 * people to read, not to decide by. At exactly `submitTimeout` the time has
 * passed.
 *
 * @category combinators
 * @since 0.1.0
 */
export const statusOf = (state: SessionState, now: number): SessionStatus => {
  if (state.settled !== undefined) return outcomeOf(state.settled.settlement)
  if (jobsOf(state).length > 0) return "running"
  const open = openSubmissions(state)
  if (open.some(({ renewedAt, sent }) => now < (renewedAt ?? sent.at) + sent.submitTimeout)) return "submitting"
  if (open.some(isBackground)) return "uncertain"
  const last = lastSubmission(state)
  if (last === undefined) return "prepared"
  if (last.cancelRequested && last.forFallback !== true) return "cancelled"
  return isCurable(last) ? "retrying" : "failed"
}

/**
 * Returns the submission that the status is about: the one that the session was
 * settled with, that of its job, the one whose outcome is not known, or the
 * last one. `undefined` when nothing was sent.
 *
 * @category combinators
 * @since 0.1.0
 */
export const currentSubmission = (state: SessionState): Submission | undefined =>
  state.submissions.find(({ id }) => id === state.settled?.submissionId) ??
    jobsOf(state)[0] ??
    openSubmissions(state).findLast(isBackground) ??
    lastSubmission(state)

/**
 * Returns why the last submission that came to nothing did so; `undefined` when
 * none has. The end of a job that the session did not wait for does not count.
 *
 * @category combinators
 * @since 0.1.0
 */
export const lastFailure = (state: SessionState): typeof Reason.Type | undefined => {
  const last = state.submissions.findLast((submission) =>
    closingOf(submission) !== undefined && submission.endedAsSurplus !== true
  )
  return last?.closed?.reason
}

/**
 * Returns the entry that says that a submission came to nothing. A refusal does
 * not count when the job was accepted all the same.
 *
 * @category combinators
 * @since 0.1.0
 */
export const closingOf = ({ accepted, closed }: Submission): Submission["closed"] =>
  closed?._tag === "NotSubmitted" && accepted !== undefined ? undefined : closed

const outcomeOf = (settlement: Settlement): SessionStatus => {
  const reason = failureOf(settlement)
  return reason === undefined ? "answered" : reason._tag === "JobCancelled" ? "cancelled" : "failed"
}

/**
 * Returns why a session was settled with a failure; `undefined` for an answer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const failureOf = (settlement: Settlement): NonRetryableReason | undefined => {
  switch (settlement._tag) {
    case "Answered":
      return undefined
    case "Failed":
      return settlement.error.reason
    case "Reference":
      return settlement.reason
  }
}

const isBackground = ({ sent }: Submission): boolean => sent.strategy === "background"

const lastSubmission = (state: SessionState): Submission | undefined =>
  state.submissions.findLast(({ endedAsSurplus }) => endedAsSurplus !== true)

/** Whether another submission, perhaps to another model, may do better. A held call without an outcome may be repeated. */
const isCurable = ({ closed, forFallback, sent }: Submission): boolean => {
  if (closed === undefined) return true
  const tag = closed.reason._tag
  const fallbackReason = tag === "JobCancelled" && forFallback === true ? "Queued" : tag
  if (sent.fallbackOn?.includes(fallbackReason) === true) return true
  // Where no repair is left, such an answer settles the session.
  if (closed._tag === "Ended") return tag === "InvalidOutput" || retryableTags.has(tag)
  return closed.isFinal !== true && retryableTags.has(tag)
}

const retryableTags: ReadonlySet<string> = new Set(
  RetryableReason.members.map(({ fields }) => fields._tag.schema.literal)
)
