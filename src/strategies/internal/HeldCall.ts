/**
 * Makes one call that is held open until its answer: announces it, makes it, renews the announcement while it is held, and
 * records what became of it.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { ProviderError } from "../../errors/ProviderError.ts"
import { JobCancelled, Network, StreamInterrupted } from "../../errors/Reason.ts"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { Outcome } from "../../services/Provider.ts"
import type { SessionState, Submission, Submitting } from "../../services/Session.ts"
import { claim, type ToSend } from "./Intent.ts"
import { isOpen, type Loaded, record, type SessionJournal } from "./Journal.ts"
import type { Route, Run } from "./Run.ts"
import type { RunContext } from "./RunContext.ts"
import * as StreamEnd from "./StreamEnd.ts"
import { read } from "./StreamReader.ts"
import { streamTimeoutsOf } from "./StreamTimeouts.ts"
import { recordEnd, recordFailed, type Unsubmitted } from "./SubmissionRecords.ts"

/** What became of a held call. */
export type HeldCall = Unsubmitted | { readonly _tag: "Answered"; readonly outcome: Outcome }

/** Makes a held call. `undefined` when it was not made: another process was first, or its callers have left. */
export const holdCall = Effect.fnUntraced(function*(
  run: Run,
  shared: RunContext,
  loaded: Loaded,
  toSend: ToSend,
  means: Extract<Route, { readonly _tag: "Held" }>,
  restore: Holding["restore"]
): Effect.fn.Return<{ readonly submission: Submission; readonly result: HeldCall } | undefined, StrategyError> {
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

/** A held call, watched as its answer grows if somebody watches. */
const heldCall = (
  run: Run,
  { request }: ToSend,
  { call, provider: { model }, stream }: Extract<Route, { readonly _tag: "Held" }>,
  submissionId: string
): Effect.Effect<Outcome, ProviderError> => {
  const { transcript } = run
  if (transcript === undefined || stream === undefined || !transcript.turnTo(submissionId)) {
    return Effect.tap(call, (outcome) => Effect.sync(() => run.noteCalls(outcome)))
  }
  return Effect.flatMap(
    read(stream(), { run, transcript, timeouts: streamTimeoutsOf(request, "held") }),
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

/** How a held call is made. */
interface Holding {
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
const callHeld = Effect.fnUntraced(function*(
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
  return yield* recordFailed(journal, submission, result.failure)
})

const stoppedAfter = (content: string | undefined): Outcome => ({
  _tag: "Failed",
  verdict: {
    _tag: "NonRetryable",
    reason: new JobCancelled({ message: "The call was given up, as somebody asked for its cancel", content })
  }
})

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
