/**
 * Finds whose job a webhook speaks of, and has it looked at.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ProviderError } from "../../errors/ProviderError.ts"
import { Conflict } from "../../errors/Reason.ts"
import type { SessionStoreError } from "../../errors/SessionStoreError.ts"
import { NonRetryable, Retryable, type StrategyError, Timeout } from "../../errors/StrategyError.ts"
import type { JobsApi } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import { Accepted, acceptedAs, fold, type SessionState, type Submission } from "../../services/Session.ts"
import type { SessionStore } from "../../services/SessionStore.ts"
import type { SessionRuns } from "../SessionRuns.ts"
import { cancelSurplus } from "./CancelJob.ts"
import { BoundedMap } from "./BoundedMap.ts"
import { submissionInAnswer } from "./JobMetadata.ts"
import { isSurplus } from "./Decision.ts"
import { currentMillis, StoredJournal, unavailable } from "./Journal.ts"
import { bounded, pollTimeout } from "./JobLook.ts"
import { recordAccepted } from "./SubmissionRecords.ts"

/**
 * What was done about a webhook.
 *
 * **Details**
 *
 * - `Ignored`: its event is none of a job's end
 * - `Repeated`: a webhook with this id was handled in this process
 * - `Woken`: a run in this process waited for the job, and has looked at it
 * - `Settled`: the job's end is in the journal of its session, by now or already
 * - `Unknown`: no session waits for the job; it may be another program's
 *
 * @category models
 * @since 0.1.0
 */
export type Receipt =
  | { readonly _tag: "Ignored"; readonly type: string }
  | { readonly _tag: "Repeated" }
  | { readonly _tag: "Woken"; readonly jobId: string }
  | { readonly _tag: "Settled"; readonly jobId: string; readonly session: string }
  | { readonly _tag: "Unknown"; readonly jobId: string }

/** What is done about the jobs that webhooks speak of. */
export interface WebhookJobs {
  readonly heed: (jobId: string) => Effect.Effect<Receipt, StrategyError>
}

export const make = (
  runs: SessionRuns["Service"],
  store: SessionStore["Service"],
  providers: Providers["Service"],
  deadline: Duration.Duration
): WebhookJobs => {
  /** Jobs of other programs that share the account. */
  const unknown = new BoundedMap<string, true>(mostUnknown)
  const heed = Effect.fnUntraced(function*(jobId: string): Effect.fn.Return<Receipt, StrategyError> {
    const woken = yield* wake(jobId)
    if (woken !== undefined) return woken
    // Without an index by job, a search reads every journal.
    if (store.listForJob === undefined && unknown.has(jobId)) return { _tag: "Unknown", jobId }
    const { places, unread } = yield* search(jobId)
    const known = places.find((place) => place._tag === "Known")
    if (known !== undefined) {
      yield* runs.noteWebhook(known.provider)
      return known.isOver ? { _tag: "Settled", jobId, session: known.session } : yield* settle(known.session, jobId)
    }
    const adopted = yield* adopt(jobId, places.filter((place) => place._tag === "Open"))
    if (adopted !== undefined) return adopted
    // It may be the job of a session that could not be read.
    if (unread !== undefined) return yield* unavailable(unread, undefined)
    unknown.set(jobId, true)
    return { _tag: "Unknown", jobId }
  })

  /**
   * Has the runs of this process look at the job, until none waits for it any more. `undefined` when none did. A webhook
   * that is ahead of what the provider says is to be sent again.
   */
  const wake = Effect.fnUntraced(function*(jobId: string): Effect.fn.Return<Receipt | undefined, StrategyError> {
    const sessions = yield* runs.wake(jobId)
    if (sessions.length === 0) return undefined
    const limit = Duration.toMillis(deadline)
    for (let delay = firstLook, elapsed = 0; elapsed < limit; delay *= 2) {
      const wait = Math.min(delay, limit - elapsed)
      yield* Effect.sleep(Duration.millis(wait))
      elapsed += wait
      if ((yield* runs.wake(jobId)).length === 0) {
        return yield* lookAfter(sessions, jobId, Duration.millis(limit - elapsed))
      }
    }
    return yield* new Timeout({ deadline, elapsed: deadline, phase: "running", jobId })
  })

  /** Settles the sessions whose runs were left before they had found the end. */
  const lookAfter = Effect.fnUntraced(function*(
    sessions: ReadonlyArray<string | undefined>,
    jobId: string,
    left: Duration.Duration
  ): Effect.fn.Return<Receipt, StrategyError> {
    for (const session of sessions) {
      if (session === undefined) continue
      const { entries } = yield* Effect.mapError(store.load(session), (failure) => unavailable(failure, session))
      const [place] = placesOf(session, fold(entries), jobId)
      if (place?._tag === "Known" && !place.isOver) return yield* settle(session, jobId, left)
    }
    return { _tag: "Woken", jobId }
  })

  /** Reads the journals that may be the job's until it is found. */
  const search = Effect.fnUntraced(function*(jobId: string): Effect.fn.Return<Found, StrategyError> {
    let unread: SessionStoreError | undefined
    const places = yield* (store.listForJob?.(jobId) ?? store.list).pipe(
      Stream.mapEffect((session) =>
        Effect.match(store.load(session), {
          onFailure: (error): ReadonlyArray<Place> => {
            if (error._tag === "StoreUnavailable") unread = error
            return []
          },
          onSuccess: ({ entries }) => placesOf(session, fold(entries), jobId)
        }), { concurrency: 16, unordered: true }),
      Stream.flatMap(Stream.fromIterable),
      Stream.takeUntil((place) => place._tag === "Known"),
      Stream.runCollect,
      Effect.mapError((error) => unavailable(error, undefined))
    )
    return { places, unread }
  })

  /** Looks at the job now, and settles its session with what it has come to. */
  const settle = (session: string, jobId: string, within = deadline): Effect.Effect<Receipt, StrategyError> => {
    const settled: Receipt = { _tag: "Settled", jobId, session }
    // A refusal or a failed job is an end like any other, once it is in the journal.
    const unless = (error: StrategyError): Effect.Effect<Receipt, StrategyError> =>
      Effect.flatMap(
        Effect.mapError(store.load(session), (failure) => unavailable(failure, session)),
        ({ entries }) => {
          if (isOver(fold(entries), jobId)) return Effect.succeed(settled)
          // Another webhook could not say more: a call with the request settles it.
          return isRequestNeeded(error) ? Effect.succeed<Receipt>({ _tag: "Woken", jobId }) : Effect.fail(error)
        }
      )
    return Effect.matchEffect(runs.resume(session, within), {
      onSuccess: (answer) =>
        answer.settled
          ? Effect.succeed(settled)
          : unless(new Timeout({ deadline, elapsed: deadline, phase: "running", session, jobId })),
      onFailure: unless
    })
  }

  /** Gives the job to the submission that it came of, if that is one whose fate is not known. */
  const adopt = Effect.fnUntraced(function*(
    jobId: string,
    places: ReadonlyArray<OpenPlace>
  ): Effect.fn.Return<Receipt | undefined, StrategyError> {
    const asked = new Set<string>()
    for (const { submission: { sent } } of places) {
      const account = JSON.stringify([sent.provider, sent.baseUrl, sent.organization, sent.project])
      if (asked.has(account)) continue
      asked.add(account)
      const provider = yield* Effect.option(providers.resolve(sent.model))
      if (provider._tag === "None" || provider.value.jobs === undefined) continue
      const { jobs } = provider.value
      // Once it is known whose job it is, that is written down, though the sender does not wait any more.
      const adopted = yield* Effect.uninterruptibleMask((restore) =>
        Effect.flatMap(restore(Effect.mapError(submissionOf(jobs, jobId), failureOf(jobId))), (submissionId) => {
          const place = places.find(({ submission }) => submission.id === submissionId)
          return place === undefined
            ? Effect.undefined
            : Effect.map(accept(place, jobId), (state) => ({ place, state }))
        })
      )
      if (adopted !== undefined) return yield* follow(adopted.place, adopted.state, jobs, jobId)
    }
    return undefined
  })

  const accept = ({ session, submission }: OpenPlace, jobId: string): Effect.Effect<SessionState, StrategyError> =>
    Effect.flatMap(currentMillis, (at) =>
      recordAccepted(
        new StoredJournal(store, session),
        Accepted.make({ at, submissionId: submission.id, jobId })
      )).pipe(Effect.mapError((error) => unavailable(error, session)))

  /** Looks at a job that a session has by now. */
  const follow = Effect.fnUntraced(function*(
    { session, submission }: OpenPlace,
    state: SessionState,
    jobs: JobsApi,
    jobId: string
  ): Effect.fn.Return<Receipt, StrategyError> {
    const job = acceptedAs(state, submission.id, jobId)
    // The session was removed meanwhile.
    if (job === undefined) return { _tag: "Unknown", jobId }
    if (isSurplus(state, job.id)) {
      yield* cancelSurplus(new StoredJournal(store, session), jobs, job)
      return { _tag: "Settled", jobId, session }
    }
    yield* runs.noteWebhook(submission.sent.provider)
    // A run that waits for the submission's fate reads the journal by itself, and then fetches the job.
    return runs.progress(session) === undefined ? yield* settle(session, jobId) : { _tag: "Woken", jobId }
  })

  return { heed }
}

/** Jobs of other programs that are remembered. */
const mostUnknown = 10_000

/** How long a run that was woken has for its poll before it is looked after, milliseconds; then twice as long, and so on. */
const firstLook = 500

/** Where a job may belong. */
type Place =
  | { readonly _tag: "Known"; readonly session: string; readonly provider: string; readonly isOver: boolean }
  /** A background submission whose fate is not known. */
  | { readonly _tag: "Open"; readonly session: string; readonly submission: Submission }

type OpenPlace = Extract<Place, { readonly _tag: "Open" }>

interface Found {
  readonly places: ReadonlyArray<Place>
  /** Why a session could not be read. */
  readonly unread: SessionStoreError | undefined
}

const placesOf = (session: string, state: SessionState, jobId: string): ReadonlyArray<Place> => {
  const known = state.submissions.find(({ accepted }) => accepted?.jobId === jobId)
  return known !== undefined
    ? [{ _tag: "Known", session, provider: known.sent.provider, isOver: isOver(state, jobId) }]
    : state.submissions
      .filter(({ accepted, closed, sent }) =>
        accepted === undefined && closed === undefined && sent.strategy === "background"
      )
      .map((submission): Place => ({ _tag: "Open", session, submission }))
}

const isRequestNeeded = (error: StrategyError): boolean =>
  error._tag === "NonRetryable" && error.reason._tag === "RequestNeeded"

/** Whether nothing more is to be learned of a job. */
const isOver = (state: SessionState, jobId: string): boolean =>
  state.settled !== undefined ||
  state.submissions.some(({ accepted, closed, id }) =>
    accepted?.jobId === jobId && (closed?._tag === "Ended" || isSurplus(state, id))
  )

/** The submission that a job carries. A job that the provider does not know carries none. */
const submissionOf = (jobs: JobsApi, jobId: string): Effect.Effect<string | undefined, ProviderError> =>
  bounded(jobs.submissionOf?.(jobId) ?? fromAnswer(jobs, jobId), pollTimeout, "lookup").pipe(
    Effect.catchIf(({ isRetryable }) => !isRetryable, () => Effect.undefined)
  )

const fromAnswer = (jobs: JobsApi, jobId: string): Effect.Effect<string | undefined, ProviderError> =>
  Effect.flatMap(
    jobs.retrieve(jobId),
    (state) => state._tag === "Pending" ? Effect.fail(early) : Effect.succeed(submissionInAnswer(state))
  )

const early = new ProviderError({
  verdict: {
    _tag: "Retryable",
    reason: new Conflict({ message: "The job has not ended, though its webhook says so" })
  },
  evidence: "Refused"
})

const failureOf = (jobId: string) => ({ verdict }: ProviderError): StrategyError =>
  verdict._tag === "Retryable"
    ? new Retryable({ reason: verdict.reason, retryAfter: verdict.retryAfter, attempts: 0, jobId })
    : new NonRetryable({ reason: verdict.reason, jobId })
