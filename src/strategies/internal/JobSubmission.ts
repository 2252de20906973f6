/**
 * Sends one submission of a background job: announces it, sends it, and records what became of it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { JobState, Outcome } from "../../services/Provider.ts"
import {
  Accepted,
  acceptedAs,
  type AcceptedSubmission,
  type SessionState,
  type Submission
} from "../../services/Session.ts"
import { cancelJob, cancelSurplus } from "./CancelJob.ts"
import { isSurplus } from "./Decision.ts"
import { claim, type ToSend } from "./Intent.ts"
import { currentMillis, type Loaded, type SessionJournal } from "./Journal.ts"
import { open, type Opened, type OpenStream } from "./JobStreamStart.ts"
import type { Route, Run } from "./Run.ts"
import type { RunContext } from "./RunContext.ts"
import { streamTimeoutsOf } from "./StreamTimeouts.ts"
import { recordAccepted, recordFailed, type Unsubmitted } from "./SubmissionRecords.ts"
import { unanswered } from "./JobLook.ts"

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

/** Sends a job's submission. `undefined` when it was not sent: another process was first, or its callers have left. */
export const sendJob = Effect.fnUntraced(function*(
  run: Run,
  shared: RunContext,
  loaded: Loaded,
  toSend: ToSend,
  means: Extract<Route, { readonly _tag: "Job" }>
): Effect.fn.Return<{ readonly submission: Submission; readonly result: JobSubmitted } | undefined, StrategyError> {
  const { journal } = run.spec
  const gate = shared.submitGates.of(means.provider)
  const sending = yield* Effect.uninterruptibleMask((restore) =>
    Effect.gen(function*() {
      yield* restore(gate.take(1))
      const claimed = yield* claim(run, shared, loaded, toSend).pipe(
        Effect.onExit((exit) => Exit.isSuccess(exit) && exit.value !== undefined ? Effect.void : gate.release(1))
      )
      if (claimed === undefined) return undefined
      const { left, submission } = claimed
      const fiber = yield* submitJob(journal, submission, submitting(run, toSend, means, submission.id), left).pipe(
        Effect.ensuring(gate.release(1)),
        Effect.tap((result) =>
          result._tag === "Accepted" && result.state === undefined
            ? shared.attend(insist(journal, result.job))
            : Effect.void
        ),
        Effect.tap((result) =>
          result._tag === "Accepted" && result.stream !== undefined
            ? keep(run, shared, result, result.stream)
            : Effect.void
        ),
        Effect.tap((result) => {
          if (result._tag !== "Accepted") return Effect.void
          const { job, state } = result
          if (state !== undefined && isSurplus(state, job.id)) return cancelSurplus(journal, means.jobs, job)
          return isUnwanted(run, result) ? cancelJob(journal, means.jobs, job) : Effect.void
        }),
        shared.detach
      )
      return { submission, fiber }
    })
  )
  return sending === undefined
    ? undefined
    : { submission: sending.submission, result: yield* Fiber.join(sending.fiber) }
})

/**
 * Sends a background submission and writes down what became of it. Meant to
 * run in a fiber of its own: once the request is out, nobody's interruption
 * may keep the job's id from the journal. `left` is what remains of the submission's timeout.
 */
const submitJob = Effect.fnUntraced(function*(
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
  if (result._tag === "Failure") return yield* recordFailed(journal, submission, result.failure)
  const { jobId, state: jobState, stream } = result.success
  // A server that answers at once may give no id: there is nothing to poll, and nothing to journal but the end.
  if (jobId === "" && jobState._tag === "Ended") return { _tag: "Answered", outcome: jobState.outcome }
  const accepted = Accepted.make({ at: yield* currentMillis, submissionId: submission.id, jobId })
  // The last chance to learn the id of a job that is paid for, if this process ends before the store answers.
  const notYet = Effect.logError("A job was accepted, and its id is not in the journal yet", {
    jobId,
    submissionId: submission.id
  })
  const recorded = yield* Effect.raceFirst(
    recordAccepted(journal, accepted, notYet),
    Effect.sleep(silentStore).pipe(Effect.andThen(notYet), Effect.andThen(Effect.never))
  ).pipe(Effect.onInterrupt(() => notYet), Effect.result)
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

/** A job's submission, watched from its beginning if somebody watches. */
const submitting = (
  run: Run,
  { request }: ToSend,
  means: Extract<Route, { readonly _tag: "Job" }>,
  submissionId: string
): Effect.Effect<Opened, ProviderError> => {
  const { transcript } = run
  if (transcript === undefined || means.open === undefined || !transcript.turnTo(submissionId)) {
    return means.submit(submissionId)
  }
  const timeouts = streamTimeoutsOf(request, "job")
  return open(means.open(submissionId), { run, transcript, timeouts }, means.provider.model)
}

/**
 * The run reads a stream on, now that the job's id is in the journal. When the run is over, or waits for another job, it
 * is closed, and tells nothing.
 */
const keep = (
  run: Run,
  { detach }: RunContext,
  { job, state }: Extract<JobSubmitted, { readonly _tag: "Accepted" }>,
  stream: OpenStream
): Effect.Effect<unknown> => {
  const isOthers = state !== undefined && isSurplus(state, job.id)
  if (isOthers) run.transcript?.turnTo(undefined)
  if (isOthers || run.exit !== undefined) return detach(stream.close)
  run.stream = stream
  run.streamOf = job.id
  return stream.goOn
}

// A job that nobody waits for any more, or that was to be cancelled before it had an id.
const isUnwanted = (run: Run, { job, state }: Extract<JobSubmitted, { readonly _tag: "Accepted" }>): boolean =>
  (run.waiters.length === 0 && run.onInterrupt === "cancel") ||
  (state !== undefined && state.submissions.some(({ cancelRequested, id }) => id === job.id && cancelRequested))

/** Tries on to journal a job's id until the store can be written again: a crash would lose the job. */
const insist = (journal: SessionJournal, { accepted }: AcceptedSubmission): Effect.Effect<void> =>
  recordAccepted(journal, accepted).pipe(
    Effect.retry({ while: ({ _tag }) => _tag === "StoreUnavailable" }),
    Effect.ignore({ log: "Warn" })
  )

/** A store that has not answered for this long may never do. */
const silentStore = Duration.seconds(5)

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
