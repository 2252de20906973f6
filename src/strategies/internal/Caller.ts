/**
 * A caller that waits for a run, until its own deadline.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type StrategyError, Timeout } from "../../errors/StrategyError.ts"
import { LlmResponse } from "../../services/LlmResponse.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import type { Milestones, Run, RunResult, RunSpec, Waiter, Work } from "./Run.ts"
import type * as TimerQueue from "./TimerQueue.ts"
import type { Reader } from "./Transcript.ts"

/** What a caller wants: for how long it waits, and since when (monotonic time in milliseconds). */
export interface Call {
  readonly spec: RunSpec
  readonly order: Work | undefined
  readonly deadline: Duration.Duration
  readonly startedAt: number
  /** Present when it watches the answer grow. */
  readonly reader?: Reader | undefined
  /** Is told how far the run has come. */
  readonly milestones?: Milestones | undefined
}

/** What callers have in common. */
export interface Callers {
  readonly deadlines: TimerQueue.TimerQueue
  /** Adds to a caller's response what the run does not know. */
  readonly complete: (response: LlmResponse) => Effect.Effect<LlmResponse>
  readonly leave: (run: Run, waiter: Waiter) => void
}

/** A class, as twenty thousand of them may wait: closures would take more memory. */
export class Caller implements Waiter, TimerQueue.Entry {
  readonly run: Run
  private readonly callers: Callers
  readonly deadline: Duration.Duration
  readonly startedAt: number
  readonly fingerprint: string | undefined
  readonly onInterrupt: "cancel" | "detach"
  readonly reader: Reader | undefined
  readonly resume: (response: Effect.Effect<LlmResponse, StrategyError>) => void
  /** What to do instead when the run turns out to be another one's, or to need a request. */
  readonly again: Effect.Effect<LlmResponse, StrategyError> | undefined
  readonly dueAt: number
  position = -1

  constructor(
    run: Run,
    callers: Callers,
    { deadline, reader, spec, startedAt }: Call,
    resume: Caller["resume"],
    again: Caller["again"]
  ) {
    this.run = run
    this.callers = callers
    this.deadline = deadline
    this.dueAt = deadlineAt({ deadline, startedAt })
    this.startedAt = startedAt
    this.fingerprint = spec.fingerprint
    this.onInterrupt = spec.onInterrupt
    this.reader = reader
    this.resume = resume
    this.again = again
  }

  done(exit: Exit.Exit<RunResult, StrategyError>): void {
    const { again, callers, fingerprint, run, startedAt } = this
    callers.deadlines.remove(this)
    // It may have come to wait for another session than the one that was there when this caller joined it.
    if (
      again !== undefined && fingerprint !== undefined && run.fingerprintInJournal !== undefined &&
      run.fingerprintInJournal !== fingerprint
    ) {
      return this.resume(again)
    }
    const response = Effect.flatMap(
      exit,
      (result) => Effect.flatMap(toResponse(run, result, startedAt), callers.complete)
    )
    this.resume(
      again === undefined
        ? response
        : Effect.catchIf(response, fingerprint === undefined ? isMismatch : isRequestNeeded, () => again)
    )
  }

  /** Starts the deadline; returns what is to be done when the caller is interrupted. */
  register(): Effect.Effect<void> {
    const { callers } = this
    callers.deadlines.add(this)
    return Effect.sync(() => {
      callers.deadlines.remove(this)
      callers.leave(this.run, this)
    })
  }

  fire(): void {
    this.done(this.run.unsettled ?? Exit.fail(timeout(this.run, this.deadline)))
    this.callers.leave(this.run, this)
  }
}

/** When a caller's wait is over, monotonic time in milliseconds. */
export const deadlineAt = ({ deadline, startedAt }: Pick<Call, "deadline" | "startedAt">): number =>
  startedAt + Duration.toMillis(deadline)

const toResponse = (run: Run, result: RunResult, startedAt: number): Effect.Effect<LlmResponse> =>
  Effect.map(monotonicMillis, (now) => {
    const { key } = run.spec
    return new LlmResponse({
      ...result.answer,
      provider: result.provider,
      strategy: result.strategy,
      ...(key === undefined ? {} : { session: key }),
      submissions: result.submissions,
      attempts: run.progress.attempts,
      polls: run.progress.polls,
      elapsed: Duration.millis(Math.round(now - startedAt)),
      resumed: result.resumed,
      ...(result.passedOver.length === 0 ? {} : { passedOver: result.passedOver }),
      settled: result.settled
    })
  })

const isRequestNeeded = (error: StrategyError): boolean =>
  error._tag === "NonRetryable" &&
  (error.reason._tag === "RequestNeeded" || error.reason._tag === "SessionNotFound" ||
    error.reason._tag === "SubmissionUncertain")

const isMismatch = (error: StrategyError): boolean =>
  error._tag === "NonRetryable" && error.reason._tag === "SessionMismatch"

const timeout = (run: Run, deadline: Duration.Duration): Timeout =>
  new Timeout({
    deadline,
    elapsed: deadline,
    phase: run.progress.phase,
    session: run.spec.key,
    jobId: run.progress.jobId,
    ...run.before
  })
