/**
 * Journals the intent to send a submission. The process that appends it at the version that it has read may send.
 */
import { randomUUID } from "node:crypto"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Network } from "../../errors/Reason.ts"
import type { SessionStoreError, VersionConflict } from "../../errors/SessionStoreError.ts"
import { defaultSubmitTimeout } from "../../services/ResponseRequest.ts"
import { Prepared, type Submission, Submitting, type Version } from "../../services/Session.ts"
import { currentMillis, type Loaded, type SessionJournal } from "./Journal.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import type { Call } from "./ResolveRequest.ts"
import type { Route, Run } from "./Run.ts"
import type { RunContext } from "./RunContext.ts"
import { recordNotSubmitted } from "./SubmissionRecords.ts"
import type { UncertainSubmissions } from "./UncertainSubmissions.ts"

/** One submission to send. */
export interface ToSend extends Call {
  readonly means: Route
  readonly purpose: "answer" | "repair"
  /** The ends of it for which another model is asked. */
  readonly fallbackOn: ReadonlyArray<string> | undefined
  /** Whether an answer that does not fit the request's schema is sent back. */
  readonly isRepaired: boolean
  /** Whether it may be sent again when its outcome is not known. */
  readonly isRepeatable: boolean
}

/** Writes down that a request is about to be sent: whoever does that at the version that was read may send. */
export const claim = Effect.fnUntraced(
  function*(run: Run, { uncertain: { unsent } }: RunContext, { state, version }: Loaded, toSend: ToSend) {
    const { fingerprint, journal } = run.spec
    const { means } = toSend
    const at = yield* currentMillis
    const since = yield* monotonicMillis
    const claimed = fingerprint === undefined || state.fingerprint !== undefined
      ? version
      : yield* journal.append(Prepared.make({ at, fingerprint }), version)
    if (run.waiters.length === 0) return undefined
    const submission = yield* announce(journal, claimed, {
      ...toSend,
      provider: means.provider,
      fallbackOn: means._tag === "Job" ? toSend.fallbackOn : undefined,
      isStreamed: run.transcript !== undefined && means._tag === "Job" && means.open !== undefined
    }, unsent)
    const left = submission.sent.submitTimeout - ((yield* monotonicMillis) - since)
    if (left <= 0 || run.waiters.length === 0) {
      yield* withdraw(
        journal,
        submission,
        unsent,
        left <= 0
          ? "The request was not sent, as writing it down took longer than a submission may"
          : "The request was not sent, as nobody waited for it any more"
      )
      return undefined
    }
    run.addSubmission(submission.id)
    run.update({ phase: "submit", status: "submitting", attempts: run.progress.attempts + 1 })
    return { submission, left: Duration.millis(left) }
  },
  (claiming, run) =>
    claiming.pipe(
      Effect.catchTag("VersionConflict", () => Effect.undefined),
      Effect.mapError((error) => run.unavailable(error))
    )
)

/** What the announcement of a submission says. */
interface Announcement extends Omit<ToSend, "isRepeatable" | "means"> {
  readonly provider: Route["provider"]
  /** Whether it asks for a job whose stream can be opened again. */
  readonly isStreamed: boolean
}

/**
 * Writes down that a request is about to be sent. Whoever appends it at the version that was read may send. When the
 * store fails, the entry may be there all the same: then `unsent` remembers that nothing was sent.
 */
const announce = Effect.fnUntraced(function*(
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
const withdraw = (
  journal: SessionJournal,
  { id: submissionId }: Submission,
  unsent: UncertainSubmissions["unsent"],
  message: string
): Effect.Effect<void> =>
  recordNotSubmitted(journal, submissionId, new Network({ message })).pipe(
    Effect.timeout("2 seconds"),
    Effect.catch(() => Effect.sync(() => unsent.set(submissionId, true)))
  )
