/**
 * The answers and failures that the tests of strategies script.
 */
import { type ProviderError, Reason, SessionStoreError } from "holdfast"
import { ScriptedProvider } from "holdfast/testing"

type Verdict = ProviderError.Verdict
type Retryable = Extract<Verdict, { readonly _tag: "Retryable" }>
type NonRetryable = Extract<Verdict, { readonly _tag: "NonRetryable" }>

export const paris = ScriptedProvider.succeeded("Paris")

export const endedNow = { _tag: "Ended", outcome: paris } as const

export const running = { _tag: "Pending", status: "in_progress", phase: "running" } as const

export const overloaded: Retryable = {
  _tag: "Retryable",
  reason: new Reason.Overloaded({ message: "Busy", status: 529 })
}

export const serverError: Retryable = {
  _tag: "Retryable",
  reason: new Reason.ServerError({ message: "Oops", status: 500 })
}

export const invalidRequest: NonRetryable = {
  _tag: "NonRetryable",
  reason: new Reason.InvalidRequest({ message: "No such parameter", status: 400 })
}

export const denied: NonRetryable = {
  _tag: "NonRetryable",
  reason: new Reason.PermissionDenied({ message: "Not for you", status: 403 })
}

export const unauthenticated: NonRetryable = {
  _tag: "NonRetryable",
  reason: new Reason.AuthenticationFailed({ message: "Wrong key", status: 401 })
}

export const missing: NonRetryable = {
  _tag: "NonRetryable",
  reason: new Reason.NotFound({ message: "No such response", status: 404 })
}

export const cancelled: NonRetryable = {
  _tag: "NonRetryable",
  reason: new Reason.JobCancelled({ message: "The job was cancelled" })
}

export const jobFailed: Retryable = {
  _tag: "Retryable",
  reason: new Reason.JobFailed({ message: "The job failed", reason: new Reason.ServerError({ message: "Oops" }) })
}

export const incomplete: NonRetryable = {
  _tag: "NonRetryable",
  reason: new Reason.Incomplete({ message: "Cut", content: "TEXT so far", limit: "max_output_tokens" })
}

/** Every end of a job that settles a session, but for an answer. */
export const finals: ReadonlyArray<NonRetryable> = [
  incomplete,
  cancelled,
  { _tag: "NonRetryable", reason: new Reason.Refusal({ message: "I will not TEXT", content: "TEXT" }) },
  { _tag: "NonRetryable", reason: new Reason.ContentFiltered({ message: "Filtered", content: "TEXT" }) },
  { _tag: "NonRetryable", reason: new Reason.EmptyContent({ message: "Nothing" }) },
  { _tag: "NonRetryable", reason: new Reason.JobExpired({ message: "Gone" }) },
  {
    _tag: "NonRetryable",
    reason: new Reason.JobFailed({ message: "Failed", reason: new Reason.InvalidRequest({ message: "Bad image" }) })
  }
]

export const corrupt = new SessionStoreError.StoreCorrupt({ message: "Line 3 is damaged" })
