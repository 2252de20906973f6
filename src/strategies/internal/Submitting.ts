/**
 * Sends a submission, with an entry in the journal before it and one after.
 */
import { randomUUID } from "node:crypto"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type { ProviderError } from "../../errors/ProviderError.ts"
import { JobCancelled, Network } from "../../errors/Reason.ts"
import type { SessionStoreError, VersionConflict } from "../../errors/SessionStoreError.ts"
import type { JobState, Outcome, Provider } from "../../services/Provider.ts"
import { defaultSubmitTimeout, type ResponseRequest, type StrategyName } from "../../services/ResponseRequest.ts"
import {
  Accepted,
  acceptedAs,
  type AcceptedSubmission,
  Ended,
  NotSubmitted,
  type SessionState,
  type Submission,
  Submitting,
  type Version
} from "../../services/Session.ts"
import { currentMillis, hasSubmission, isOpen, record, type SessionJournal } from "./Journaling.ts"
import type { Opened, OpenStream } from "./Opening.ts"
import type { UncertainSubmissions } from "./UncertainSubmissions.ts"
import { unanswered } from "./WaitingJob.ts"
import { withoutText } from "./WithoutText.ts"

/** A submission that the provider does not have, or may have. */
export type Unsubmitted =
  /** The provider certainly does not have it. */
  | { readonly _tag: "Refused"; readonly error: ProviderError }
  /** The provider may have it. */
  | { readonly _tag: "Uncertain"; readonly error: ProviderError }

/** What became of a background submission. */
export type JobSubmitted =
  | Unsubmitted
  | { readonly _tag: "Answered"; readonly outcome: Outcome }
  | {
    readonly _tag: "Accepted"
    readonly job: AcceptedSubmission
    readonly jobState: JobState
    /** The session's state; absent when the journal could not be written, or was removed. */
    readonly state: SessionState | undefined
    /** The stream that goes on telling of it. */
    readonly stream: OpenStream | undefined
  }

/** What became of a held call. */
export type HeldCall = Unsubmitted | { readonly _tag: "Answered"; readonly outcome: Outcome }

/** What is about to be sent. */
export interface Announcement {
  readonly request: ResponseRequest
  readonly strategy: StrategyName
  readonly provider: Provider
  readonly purpose: "answer" | "repair"
  /** Whether it asks for a job whose stream can be opened again. */
  readonly isStreamed: boolean
  /** Whether an answer that does not fit the request's schema is sent back. */
  readonly isRepaired: boolean
  /** For what ends of it another model is asked. */
  readonly fallbackOn: ReadonlyArray<string> | undefined
}

/**
 * Writes down that a request is about to be sent. Whoever appends it at the version that was read may send. When the
 * store fails, the entry may be there all the same: then `unsent` remembers that nothing was sent.
 */
export const announce = Effect.fnUntraced(function*(
  journal: SessionJournal,
  version: Version,
  { fallbackOn, isRepaired, isStreamed, provider, purpose, request, strategy }: Announcement,
  unsent: UncertainSubmissions["unsent"]
): Effect.fn.Return<Submission, SessionStoreError | VersionConflict> {
  const id = randomUUID()
  const sent = Submitting.make({
    at: yield* currentMillis,
    submissionId: id,
    purpose,
    provider: provider.name,
    model: request.model,
    strategy,
    submitTimeout: Math.min(
      Math.ceil(Duration.toMillis(request.submitTimeout ?? defaultSubmitTimeout)),
      Number.MAX_SAFE_INTEGER
    ),
    store: request.store ?? true,
    ...(isStreamed ? { stream: true } : {}),
    ...(isRepaired ? { repair: true } : {}),
    ...(fallbackOn === undefined ? {} : { fallbackOn }),
    ...(request.journal === undefined ? {} : { journal: request.journal }),
    ...(provider.baseUrl === undefined ? {} : { baseUrl: provider.baseUrl }),
    ...(provider.organization === undefined ? {} : { organization: provider.organization }),
    ...(provider.project === undefined ? {} : { project: provider.project })
  })
  const forgo = Effect.sync(() => unsent.set(id, true))
  yield* journal.append(sent, version).pipe(
    Effect.tapErrorTag("StoreUnavailable", () => forgo),
    Effect.onInterrupt(() => forgo)
  )
  return { id, sent, renewals: 1, cancelRequested: false }
})

/**
 * Writes down that an announced submission was not sent after all. When the
 * store does not take it soon, `unsent` remembers it.
 */
export const withdraw = (
  journal: SessionJournal,
  { id: submissionId }: Submission,
  unsent: UncertainSubmissions["unsent"],
  message: string
): Effect.Effect<void> =>
  recordNotSubmitted(journal, submissionId, new Network({ message })).pipe(
    Effect.timeout("2 seconds"),
    Effect.catch(() => Effect.sync(() => unsent.set(submissionId, true)))
  )

/**
 * Sends a background submission and writes down what became of it. Meant to
 * run in a fiber of its own: once the request is out, nobody's interruption
 * may keep the job's id from the journal. `left` is what remains of the submission's timeout.
 */
export const submitJob = Effect.fnUntraced(function*(
  journal: SessionJournal,
  submission: Submission,
  submit: Effect.Effect<Opened, ProviderError>,
  left: Duration.Duration
): Effect.fn.Return<JobSubmitted> {
  const timeout = Duration.millis(submission.sent.submitTimeout)
  // A process that was stopped for longer wakes to its timers first: the last part lets it read what has arrived.
  const last = Duration.min(Duration.times(left, 0.5), lastPart)
  const giveUp = Effect.sleep(Duration.subtract(left, last)).pipe(
    Effect.andThen(Effect.sleep(last)),
    Effect.andThen(arrived),
    Effect.andThen(Effect.failSync(() => unanswered(timeout, "submission")))
  )
  const result = yield* Effect.result(Effect.raceFirst(submit, giveUp))
  if (result._tag === "Failure") return yield* failed(journal, submission, result.failure)
  const { jobId, state: jobState, stream } = result.success
  // A server that answers at once may give no id: there is nothing to poll, and nothing to journal but the end.
  if (jobId === "" && jobState._tag === "Ended") return { _tag: "Answered", outcome: jobState.outcome }
  const accepted = Accepted.make({ at: yield* currentMillis, submissionId: submission.id, jobId })
  const recorded = yield* Effect.result(recordAccepted(journal, accepted))
  const job = recorded._tag === "Success" ? acceptedAs(recorded.success, submission.id, jobId) : undefined
  if (job !== undefined && recorded._tag === "Success") {
    return { _tag: "Accepted", job, jobState, state: recorded.success, stream }
  }
  yield* Effect.logError("The job was accepted, but its id could not be journaled", {
    jobId,
    submissionId: submission.id,
    error: recorded._tag === "Failure" ? recorded.failure.message : "The session was removed meanwhile"
  })
  return { _tag: "Accepted", job: { ...submission, accepted }, jobState, state: undefined, stream }
})

/** How a held call is made. */
export interface Holding {
  /** Whether it may be made again: then an interruption ends it, and otherwise it stays open. */
  readonly isRepeatable: boolean
  /** Lets an interruption through; nothing else of it can be interrupted. */
  readonly restore: <A, E>(effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  /** Comes when somebody in this process has written to the journal. */
  readonly woken: Effect.Effect<void>
  /** What was told of the answer up to now. */
  readonly textSoFar: () => string | undefined
}

/**
 * Makes a held call and writes down that it was refused, if it was; its answer
 * is settled by the run. While it is held, the journal is told again and
 * again, so that nobody takes it for lost; it is given up when the journal asks for its cancel.
 */
export const callHeld = Effect.fnUntraced(function*(
  journal: SessionJournal,
  submission: Submission,
  call: Effect.Effect<Outcome, ProviderError>,
  { isRepeatable, restore, textSoFar, woken }: Holding
): Effect.fn.Return<HeldCall> {
  const result = yield* journal.durable
    ? restore(
      Effect.raceFirst(
        Effect.result(call),
        Effect.map(renew(journal, submission.sent, woken), () => Result.succeed(stoppedAfter(textSoFar())))
      )
    ).pipe(Effect.onInterrupt(() => isRepeatable ? leave(journal, submission.id) : Effect.void))
    : restore(Effect.result(call))
  if (result._tag === "Success") return { _tag: "Answered", outcome: result.success }
  return yield* failed(journal, submission, result.failure)
})

const stoppedAfter = (content: string | undefined): Outcome => ({
  _tag: "Failed",
  verdict: {
    _tag: "NonRetryable",
    reason: new JobCancelled({ message: "The call was given up, as somebody asked for its cancel", content })
  }
})

/** Writes down that an open submission certainly was not accepted. */
export const recordNotSubmitted = (
  journal: SessionJournal,
  submissionId: string,
  reason: ProviderError["verdict"]["reason"]
): Effect.Effect<SessionState, SessionStoreError> =>
  record(
    journal,
    (state, at) => isOpen(state, submissionId) ? NotSubmitted.make({ at, submissionId, reason }) : undefined
  )

/** Writes down that a submission came to nothing that could still be waited for; the model's words are left out. */
export const recordEnd = (
  journal: SessionJournal,
  submissionId: string,
  reason: ProviderError["verdict"]["reason"]
): Effect.Effect<SessionState, SessionStoreError> =>
  record(
    journal,
    (state, at) =>
      state.submissions.some(({ closed, id }) => id === submissionId && closed === undefined)
        ? Ended.make({ at, submissionId, reason: withoutText(reason) })
        : undefined
  )

/** Writes down that the provider has a job, unless the session has it, or was removed. */
export const recordAccepted = (
  journal: SessionJournal,
  accepted: typeof Accepted.Type
): Effect.Effect<SessionState, SessionStoreError> =>
  record(
    journal,
    (state) =>
      hasSubmission(state, accepted.submissionId) &&
        acceptedAs(state, accepted.submissionId, accepted.jobId) === undefined
        ? accepted
        : undefined
  )

/** Tries on to journal a job's id until the store can be written again: a crash would lose the job. */
export const insist = (journal: SessionJournal, { accepted }: AcceptedSubmission): Effect.Effect<void> =>
  recordAccepted(journal, accepted).pipe(
    Effect.retry({ while: ({ _tag }) => _tag === "StoreUnavailable" }),
    Effect.ignore({ log: "Warn" })
  )

/** The last part of a submission's timeout, which is waited for by itself. */
const lastPart = Duration.seconds(1)

// For one that was stopped within the last part.
const arrived = Effect.repeat(
  Effect.callback<void>((resume) => {
    const turn = setImmediate(() => resume(Effect.void))
    return Effect.sync(() => clearImmediate(turn))
  }),
  { times: 20 }
)

const failed = (journal: SessionJournal, submission: Submission, error: ProviderError): Effect.Effect<Unsubmitted> =>
  error.evidence === "Uncertain"
    ? Effect.succeed({ _tag: "Uncertain", error })
    // A refusal that cannot be written leaves the submission open: the next run finds out again.
    : recordNotSubmitted(journal, submission.id, error.verdict.reason).pipe(
      Effect.ignore({ log: "Warn" }),
      Effect.as({ _tag: "Refused", error })
    )

const leave = (journal: SessionJournal, id: string): Effect.Effect<void> =>
  recordEnd(journal, id, new Network({ message: "The caller left before the answer" })).pipe(
    Effect.timeout("2 seconds"),
    Effect.ignore({ log: "Debug" })
  )

/** Says again and again that a call is held, until somebody wants it stopped. */
const renew = (
  journal: SessionJournal,
  sent: typeof Submitting.Type,
  woken: Effect.Effect<void>
): Effect.Effect<void> => {
  const isStopped = ({ submissions }: SessionState): boolean =>
    submissions.some(({ cancelRequested, id }) => id === sent.submissionId && cancelRequested)
  return Effect.raceFirst(Effect.sleep(Duration.millis(sent.submitTimeout / 2)), woken).pipe(
    Effect.andThen(record(
      journal,
      (state, at) =>
        state.settled === undefined && isOpen(state, sent.submissionId) && !isStopped(state)
          ? { ...sent, at }
          : undefined
    )),
    Effect.map(isStopped),
    Effect.catch((error) => Effect.as(Effect.logDebug("The call could not be told to be held", error.message), false)),
    Effect.repeat({ until: (isOver) => isOver }),
    Effect.asVoid
  )
}
