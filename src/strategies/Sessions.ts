/**
 * What became of sessions, and what people decide about them.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { ProviderError } from "../errors/ProviderError.ts"
import {
  Conflict,
  InvalidRequest,
  Network,
  NonRetryableReason,
  RetryableReason,
  SessionNotFound
} from "../errors/Reason.ts"
import type { SessionStoreError, VersionConflict } from "../errors/SessionStoreError.ts"
import { NonRetryable, Retryable, type StrategyError } from "../errors/StrategyError.ts"
import type { JobsApi, Retention } from "../services/Provider.ts"
import { Providers } from "../services/Providers.ts"
import { StrategyName } from "../services/ResponseRequest.ts"
import {
  Accepted,
  acceptedAs,
  apply,
  closingOf,
  currentSubmission,
  type Entry,
  fold,
  isPending,
  jobsOf,
  lastFailure,
  NotSubmitted,
  openSubmission,
  openSubmissions,
  type SessionState,
  SessionStatus,
  Settlement,
  statusOf,
  type Submission
} from "../services/Session.ts"
import { SessionStore } from "../services/SessionStore.ts"
import { cancelSurplus } from "./internal/CancelJob.ts"
import { submissionInAnswer } from "./internal/JobMetadata.ts"
import { currentMillis, StoredJournal, unavailable } from "./internal/Journal.ts"
import { retainedUntil } from "./internal/JobRetention.ts"
import { bounded, pollTimeout, unknownStatus } from "./internal/JobLook.ts"
import { isSurplus } from "./internal/Decision.ts"

/**
 * Schema for one submission of a session.
 *
 * @category schemas
 * @since 0.1.0
 */
export class SubmissionInfo extends Schema.Class<SubmissionInfo>("holdfast/strategies/Sessions/SubmissionInfo")({
  submissionId: Schema.String,
  /** When it was sent, by the sender's clock. */
  sentAt: Schema.DateTimeUtcFromMillis,
  /** When its job's id was written to the journal. */
  acceptedAt: Schema.optionalKey(Schema.DateTimeUtcFromMillis),
  /** When its end was written to the journal: a refusal, the end of its job or call, or the settlement. */
  endedAt: Schema.optionalKey(Schema.DateTimeUtcFromMillis),
  provider: Schema.String,
  /** As the request names it. */
  model: Schema.String,
  strategy: StrategyName,
  /**
   * - `open`: sent, outcome not known
   * - `refused`: certainly not accepted
   * - `accepted`: the provider has the job
   * - `surplus`: accepted, and the session waits for another job
   * - `ended`: only another submission could cure it
   */
  state: Schema.Literals(["open", "refused", "accepted", "surplus", "ended"]),
  jobId: Schema.optionalKey(Schema.String),
  cancelRequested: Schema.Boolean,
  reason: Schema.optionalKey(Schema.Union([RetryableReason, NonRetryableReason])),
  /** Whether the provider took `background` and ignored it: it answered at once, or never knew the job. */
  ignoredBackground: Schema.optionalKey(Schema.Boolean),
  /** Until when the provider keeps the job at least, if it is known. */
  keptUntil: Schema.optionalKey(Schema.DateTimeUtcFromMillis)
}) {}

/**
 * Schema for what became of a session.
 *
 * **Details**
 *
 * All times are by the clocks of the processes that wrote the entries.
 *
 * @category schemas
 * @since 0.1.0
 */
export class SessionInfo extends Schema.Class<SessionInfo>("holdfast/strategies/Sessions/SessionInfo")({
  session: Schema.String,
  /** By the journal, and the clock of the process that looks: `submitting` becomes `uncertain` as time passes. */
  status: SessionStatus,
  /** The model of the submission that the status is about, as the request names it; absent before anything is sent. */
  model: Schema.optionalKey(Schema.String),
  /** Submissions sent, those that were refused included. */
  attempts: Schema.Natural,
  /** When the first entry was written. */
  createdAt: Schema.DateTimeUtcFromMillis,
  /** When the last entry was written. */
  updatedAt: Schema.DateTimeUtcFromMillis,
  settledAt: Schema.optionalKey(Schema.DateTimeUtcFromMillis),
  /** Until when the provider keeps the job that the status is about at least, if it is known. */
  keptUntil: Schema.optionalKey(Schema.DateTimeUtcFromMillis),
  /** In the order in which they were sent. */
  submissions: Schema.Array(SubmissionInfo),
  /** What it was settled with; absent while it is not settled. */
  settlement: Schema.optionalKey(Settlement),
  /** Why the last submission that came to nothing did so, while the session is not settled. */
  lastFailure: Schema.optionalKey(Schema.Union([RetryableReason, NonRetryableReason]))
}) {}

/**
 * Schema for what became of a session as JSON; times are Unix time in
 * milliseconds.
 *
 * @category schemas
 * @since 0.1.0
 */
export const SessionInfoJson = Schema.toCodecJson(SessionInfo)

/**
 * Service that looks after sessions.
 *
 * **Errors**
 *
 * - `SessionNotFound` for a key that the store does not have
 * - `SessionUnavailable` and `SessionCorrupt` when the store cannot be read or written
 *
 * @category services
 * @since 0.1.0
 */
export class Sessions extends Context.Service<Sessions, {
  /** Returns what became of a session. Nothing is sent. */
  readonly inspect: (session: string) => Effect.Effect<SessionInfo, StrategyError>
  /**
   * Gives the session's uncertain submission the id of its job, after the provider has said that it knows it. Of several
   * submissions it is the one that the job carries in its metadata, or the last uncertain one when it carries none.
   * Fails with `InvalidRequest` when no submission is uncertain, or when the job carries one of another session, with
   * `NotFound` for an unknown job, and with `InvalidResponse` for one that carries none and has a status that is not known.
   */
  readonly adopt: (session: string, jobId: string) => Effect.Effect<SessionInfo, StrategyError>
  /**
   * Allows another submission in place of the uncertain ones, which may be paid for as well: the next call of the key
   * sends it. Fails with `InvalidRequest` when no submission is uncertain, and with `Conflict` while its sender may still
   * be waiting: for `submitTimeout` since it last said so, by this machine's clock.
   */
  readonly resubmit: (session: string) => Effect.Effect<SessionInfo, StrategyError>
  /**
   * Removes a session, so that its key can run again and pay again. Fails with `Conflict` while a job
   * may be running, unless `force` is set: then that job is lost to Holdfast.
   */
  readonly forget: (
    session: string,
    options?: { readonly force?: boolean | undefined }
  ) => Effect.Effect<void, StrategyError>
}>()("holdfast/strategies/Sessions") {}

/**
 * Creates the `Sessions` of a store.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make: Effect.Effect<Sessions["Service"], never, Providers | SessionStore> = Effect.gen(function*() {
  const store = yield* SessionStore
  const providers = yield* Providers

  const load = Effect.fnUntraced(function*(session: string) {
    const journal = yield* Effect.mapError(store.load(session), storeFailure(session))
    if (journal.entries.length === 0) return yield* notFound(session)
    return { ...journal, state: fold(journal.entries) }
  })

  const infoOf = Effect.fnUntraced(function*(session: string, entries: ReadonlyArray<Entry>, state: SessionState) {
    const submissions = yield* Effect.forEach(state.submissions, (submission) =>
      Effect.map(
        Effect.option(providers.resolve(submission.sent.model)),
        (provider) =>
          describe(
            state,
            submission,
            provider._tag === "Some" ? provider.value.jobs?.retention : undefined
          )
      ))
    const { settled } = state
    const currentId = currentSubmission(state)?.id
    const current = submissions.find(({ submissionId }) => submissionId === currentId)
    const failure = settled === undefined ? lastFailure(state) : undefined
    const now = yield* currentMillis
    return new SessionInfo({
      session,
      status: statusOf(state, now),
      ...(current === undefined ? {} : { model: current.model }),
      // A second job of one submission was not sent a second time.
      attempts: state.submissions.filter(({ id, sent }) => id === sent.submissionId).length,
      createdAt: timeOf(entries[0]?.at ?? now),
      updatedAt: timeOf(entries.at(-1)?.at ?? now),
      ...(settled === undefined ? {} : { settledAt: timeOf(settled.at) }),
      ...(current?.keptUntil === undefined ? {} : { keptUntil: current.keptUntil }),
      submissions,
      ...(settled === undefined ? {} : { settlement: settled.settlement }),
      ...(failure === undefined ? {} : { lastFailure: failure })
    })
  })

  const inspect = Effect.fnUntraced(function*(session: string) {
    const { entries, state } = yield* load(session)
    return yield* infoOf(session, entries, state)
  })

  const adopt = Effect.fnUntraced(function*(
    session: string,
    jobId: string
  ): Effect.fn.Return<SessionInfo, StrategyError> {
    const { entries, state, version } = yield* load(session)
    if (state.submissions.some((submission) => submission.accepted?.jobId === jobId)) {
      return yield* infoOf(session, entries, state)
    }
    const open = openSubmission(state)
    if (open === undefined || state.settled !== undefined) {
      return yield* invalid(session, "The session has no submission of unknown outcome")
    }
    const { jobs } = yield* Effect.mapError(providers.resolve(open.sent.model), providerFailure(session))
    if (jobs === undefined) return yield* invalid(session, `The provider ${open.sent.provider} has no background jobs`)
    const carried = yield* Effect.mapError(carrierOf(jobs, jobId, open.id), providerFailure(session, jobId))
    const submission = carried === undefined ? open : state.submissions.find(({ id }) => id === carried)
    if (submission === undefined) {
      return yield* invalid(session, "The provider says that the job came of another session's submission", jobId)
    }
    const accepted = Accepted.make({ at: yield* currentMillis, submissionId: submission.id, jobId })
    yield* Effect.mapError(store.append(session, accepted, version), storeFailure(session))
    const after = apply(state, accepted)
    const job = acceptedAs(after, submission.id, jobId)
    if (job !== undefined && isSurplus(after, job.id)) {
      yield* cancelSurplus(new StoredJournal(store, session), jobs, job)
    }
    return yield* inspect(session)
  })

  const resubmit = Effect.fnUntraced(function*(session: string): Effect.fn.Return<SessionInfo, StrategyError> {
    const { state, version } = yield* load(session)
    const [open, ...others] = openSubmissions(state)
    if (open === undefined || state.settled !== undefined || jobsOf(state).length > 0) {
      return yield* invalid(session, "The session has no submission of unknown outcome")
    }
    const now = yield* currentMillis
    if ([open, ...others].some(({ renewedAt, sent }) => now < (renewedAt ?? sent.at) + sent.submitTimeout)) {
      return yield* conflict(session, "The sender of the submission may still be waiting for its outcome")
    }
    const reason = new Network({ message: "An operator allowed another submission; this one may have been accepted" })
    let current = version
    for (const { id } of [open, ...others]) {
      const entry = NotSubmitted.make({ at: now, submissionId: id, reason })
      current = yield* Effect.mapError(store.append(session, entry, current), storeFailure(session))
    }
    return yield* inspect(session)
  })

  const forget = Effect.fnUntraced(function*(
    session: string,
    options?: { readonly force?: boolean | undefined }
  ): Effect.fn.Return<void, StrategyError> {
    const { state, version } = yield* load(session)
    if (isPending(state) && options?.force !== true) {
      return yield* conflict(session, "A job of the session may be running; cancel it, or wait for its end")
    }
    yield* Effect.mapError(store.remove(session, version), storeFailure(session))
  })

  return Sessions.of({ inspect, adopt, resubmit, forget })
})

/**
 * Provides `Sessions`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Sessions, never, SessionStore | Providers> = Layer.effect(Sessions, make)

const describe = (
  state: SessionState,
  submission: Submission,
  retention: Retention | undefined
): SubmissionInfo => {
  const { accepted, cancelRequested, closed, id, sent } = submission
  const ended = state.settled?.submissionId === id ? state.settled : closingOf(submission)
  // A time that is further away than dates go is as good as none.
  const until = accepted === undefined || retention === undefined
    ? undefined
    : Option.getOrUndefined(DateTime.make(retainedUntil(retention, { ...submission, accepted })))
  return new SubmissionInfo({
    submissionId: id,
    sentAt: timeOf(sent.at),
    ...(accepted === undefined ? {} : { acceptedAt: timeOf(accepted.at) }),
    ...(ended === undefined ? {} : { endedAt: timeOf(ended.at) }),
    provider: sent.provider,
    model: sent.model,
    strategy: sent.strategy,
    state: submissionState(state, submission),
    cancelRequested,
    ...(accepted === undefined ? {} : { jobId: accepted.jobId }),
    ...(closed === undefined ? {} : { reason: closed.reason }),
    ...(accepted?.ignoredBackground === true ||
        (state.settled?.submissionId === id && state.settled.ignoredBackground === true)
      ? { ignoredBackground: true }
      : {}),
    ...(until === undefined ? {} : { keptUntil: until })
  })
}

/** The nearest time to it that there is. */
const timeOf = (millis: number): DateTime.Utc =>
  DateTime.makeUnsafe(Math.min(Math.max(millis, -furthestMillis), furthestMillis))

/** The range of an ECMAScript time value, ECMA-262 section "Time Values and Time Range". */
const furthestMillis = 8.64e15

const submissionState = (
  state: SessionState,
  { accepted, cancelRequested, closed, id }: Submission
): SubmissionInfo["state"] => {
  const awaited = state.settled?.submissionId ?? jobsOf(state)[0]?.id
  // A job that was stopped because the session waited for another one was no end of it.
  if (closed?._tag === "Ended" && !(cancelRequested && awaited !== undefined)) return "ended"
  if (accepted !== undefined) return awaited === id ? "accepted" : "surplus"
  if (closed !== undefined) return "refused"
  return state.settled?.submissionId === id ? "accepted" : "open"
}

const storeFailure = (session: string) => (error: SessionStoreError | VersionConflict): StrategyError =>
  error._tag === "VersionConflict"
    ? conflict(session, "The session has changed meanwhile; look again")
    : unavailable(error, session)

const providerFailure = (session: string, jobId?: string) => ({ verdict }: ProviderError): StrategyError =>
  verdict._tag === "Retryable"
    ? new Retryable({ reason: verdict.reason, retryAfter: verdict.retryAfter, attempts: 0, session, jobId })
    : new NonRetryable({ reason: verdict.reason, session, jobId })

const conflict = (session: string, message: string): Retryable =>
  new Retryable({ reason: new Conflict({ message }), attempts: 0, session })

const invalid = (session: string, message: string, jobId?: string): NonRetryable =>
  new NonRetryable({ reason: new InvalidRequest({ message }), session, jobId })

/**
 * The submission that a job carries, if it can be told. Fails when the provider does not know the job, and when neither
 * that nor its status tells anything: a batch of another program ends without a result of the submission.
 */
const carrierOf = Effect.fnUntraced(function*(
  jobs: JobsApi,
  jobId: string,
  submissionId: string
): Effect.fn.Return<string | undefined, ProviderError> {
  const state = yield* bounded(jobs.retrieve(jobId, submissionId), pollTimeout, "lookup")
  const carried = jobs.submissionOf === undefined
    ? submissionInAnswer(state)
    : yield* bounded(jobs.submissionOf(jobId), pollTimeout, "lookup")
  if (state._tag !== "Unknown" || carried !== undefined) return carried
  const reason = unknownStatus(state.status)
  return yield* new ProviderError({ verdict: { _tag: "Retryable", reason }, evidence: "Refused" })
})

const notFound = (session: string): NonRetryable =>
  new NonRetryable({ reason: new SessionNotFound({ message: "There is no such session" }), session })
