/**
 * Journals what became of a submission.
 */
import * as Effect from "effect/Effect"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { SessionStoreError } from "../../errors/SessionStoreError.ts"
import {
  Accepted,
  acceptedAs,
  Ended,
  NotSubmitted,
  type SessionState,
  type Submission
} from "../../services/Session.ts"
import { hasSubmission, isOpen, record, type SessionJournal } from "./Journal.ts"
import { redactReason } from "./RedactReason.ts"

/** A submission that the provider does not have, or may have. */
export type Unsubmitted =
  /** The provider certainly does not have it. */
  | { readonly _tag: "Refused"; readonly error: ProviderError }
  /** The provider may have it. */
  | { readonly _tag: "Uncertain"; readonly error: ProviderError }

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
        ? Ended.make({ at, submissionId, reason: redactReason(reason) })
        : undefined
  )

/** Writes down that the provider has a job, unless the session has it, or was removed. */
export const recordAccepted = (
  journal: SessionJournal,
  accepted: typeof Accepted.Type,
  onFirstFailure?: Effect.Effect<void>
): Effect.Effect<SessionState, SessionStoreError> =>
  record(
    journal,
    (state) =>
      hasSubmission(state, accepted.submissionId) &&
        acceptedAs(state, accepted.submissionId, accepted.jobId) === undefined
        ? accepted
        : undefined,
    onFirstFailure
  )

/** Records a failed submission: a refusal closes it, and any other failure leaves its outcome open. */
export const recordFailed = (
  journal: SessionJournal,
  submission: Submission,
  error: ProviderError
): Effect.Effect<Unsubmitted> =>
  error.evidence === "Uncertain"
    ? Effect.succeed({ _tag: "Uncertain", error })
    // A refusal that cannot be written leaves the submission open: the next run finds out again.
    : recordNotSubmitted(journal, submission.id, error.verdict.reason).pipe(
      Effect.ignore({ log: "Warn" }),
      Effect.as({ _tag: "Refused", error })
    )
