/**
 * Claims the right to send in the journal, and sends one submission.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { ProviderError } from "../../errors/ProviderError.ts"
import { StreamInterrupted } from "../../errors/Reason.ts"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { Outcome } from "../../services/Provider.ts"
import type { ResponseRequest } from "../../services/ResponseRequest.ts"
import { Prepared, type Submission } from "../../services/Session.ts"
import { cancelJob, cancelSurplus } from "./Cancelling.ts"
import { isSurplus } from "./Decision.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import { jobPatience } from "./JobStream.ts"
import { currentMillis, type Loaded } from "./Journaling.ts"
import { open, type Opened, type OpenStream } from "./Opening.ts"
import { type Patience, read } from "./Reading.ts"
import type { Call } from "./Preparing.ts"
import type { Means, Run } from "./Run.ts"
import type { Shared } from "./Shared.ts"
import * as StreamEnd from "./StreamEnd.ts"
import {
  announce,
  callHeld,
  type HeldCall,
  type Holding,
  insist,
  type JobSubmitted,
  submitJob,
  withdraw
} from "./Submitting.ts"

/** A submission that was sent, and what became of it. */
export interface Sent {
  readonly submission: Submission
  readonly result: JobSubmitted | HeldCall
}

/** Longest silences of a held stream, unless the request says otherwise, milliseconds. */
const heldPatience: Patience = { firstEvent: 300_000, idle: 300_000 }

/** How long a stream of a request may be silent. */
export const patienceOf = (
  { streamTimeouts }: Pick<ResponseRequest, "streamTimeouts">,
  usual: "held" | "job"
): Patience => {
  const { firstEvent, idle } = usual === "held" ? heldPatience : jobPatience
  return {
    firstEvent: streamTimeouts?.firstEvent === undefined ? firstEvent : Duration.toMillis(streamTimeouts.firstEvent),
    idle: streamTimeouts?.idle === undefined ? idle : Duration.toMillis(streamTimeouts.idle)
  }
}

/** One submission to send. */
export interface ToSend extends Call {
  readonly means: Means
  readonly purpose: "answer" | "repair"
  /** The ends of it for which another model is asked. */
  readonly fallbackOn: ReadonlyArray<string> | undefined
  /** Whether an answer that does not fit the request's schema is sent back. */
  readonly isRepaired: boolean
  /** Whether it may be sent again when its outcome is not known. */
  readonly isRepeatable: boolean
}

/**
 * Sends one submission. `undefined` when it was not sent: somebody else wrote
 * to the journal first, it took too long, or nobody waits any more.
 */
export const send = Effect.fnUntraced(function*(
  run: Run,
  shared: Shared,
  loaded: Loaded,
  toSend: ToSend
): Effect.fn.Return<Sent | undefined, StrategyError> {
  const { means } = toSend
  if (means._tag === "Job") return yield* sendJob(run, shared, loaded, toSend, means)
  // What was claimed is either waited for, or said to be over, whenever the run is interrupted.
  return yield* Effect.uninterruptibleMask((restore) => holdCall(run, shared, loaded, toSend, means, restore))
})

const holdCall = Effect.fnUntraced(function*(
  run: Run,
  shared: Shared,
  loaded: Loaded,
  toSend: ToSend,
  means: Extract<Means, { readonly _tag: "Held" }>,
  restore: Holding["restore"]
): Effect.fn.Return<Sent | undefined, StrategyError> {
  const claimed = yield* claim(run, shared, loaded, toSend)
  if (claimed === undefined) return undefined
  const { submission } = claimed
  run.update({ phase: "running", status: "waiting for the answer" })
  return {
    submission,
    result: yield* callHeld(
      run.spec.journal,
      submission,
      heldCall(run, toSend, means, submission.id),
      {
        isRepeatable: toSend.isRepeatable,
        restore,
        woken: run.wakes.next,
        textSoFar: () => run.transcript?.text || undefined
      }
    )
  }
})

const sendJob = Effect.fnUntraced(function*(
  run: Run,
  shared: Shared,
  loaded: Loaded,
  toSend: ToSend,
  means: Extract<Means, { readonly _tag: "Job" }>
): Effect.fn.Return<Sent | undefined, StrategyError> {
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

/** Writes down that a request is about to be sent: whoever does that at the version that was read may send. */
const claim = Effect.fnUntraced(
  function*(run: Run, { uncertain: { unsent } }: Shared, { state, version }: Loaded, toSend: ToSend) {
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

/** A job's submission, watched from its beginning if somebody watches. */
const submitting = (
  run: Run,
  { request }: ToSend,
  means: Extract<Means, { readonly _tag: "Job" }>,
  submissionId: string
): Effect.Effect<Opened, ProviderError> => {
  const { transcript } = run
  if (transcript === undefined || means.open === undefined || !transcript.turnTo(submissionId)) {
    return means.submit(submissionId)
  }
  const patience = patienceOf(request, "job")
  return open(means.open(submissionId), { run, transcript, patience }, means.provider.model)
}

/**
 * The run reads a stream on, now that the job's id is in the journal. When the run is over, or waits for another job, it
 * is closed, and tells nothing.
 */
const keep = (
  run: Run,
  { detach }: Shared,
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

/** A held call, watched as its answer grows if somebody watches. */
const heldCall = (
  run: Run,
  { request }: ToSend,
  { call, provider: { model }, stream }: Extract<Means, { readonly _tag: "Held" }>,
  submissionId: string
): Effect.Effect<Outcome, ProviderError> => {
  const { transcript } = run
  if (transcript === undefined || stream === undefined || !transcript.turnTo(submissionId)) {
    return Effect.tap(call, (outcome) => Effect.sync(() => run.noteCalls(outcome)))
  }
  return Effect.flatMap(
    read(stream(), { run, transcript, patience: patienceOf(request, "held") }),
    (over): Effect.Effect<Outcome, ProviderError> => {
      if (over._tag === "Ended") return Effect.succeed(StreamEnd.ofHeldCall(transcript.emitted(model), over.outcome))
      const { verdict } = over.error
      // The same call would fail in the same way again.
      if (!transcript.hasContent || verdict._tag === "NonRetryable") return Effect.fail(over.error)
      const { message, status, code, requestId, provider } = verdict.reason
      return Effect.fail(
        new ProviderError({
          verdict: {
            _tag: "Retryable",
            reason: new StreamInterrupted({
              message,
              status,
              code,
              requestId,
              provider,
              content: transcript.text,
              usage: over.usage
            }),
            retryAfter: verdict.retryAfter,
            retryHint: verdict.retryHint
          },
          evidence: "Uncertain"
        })
      )
    }
  )
}
