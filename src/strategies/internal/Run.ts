/**
 * One run of a session in this process: what it works with, and how far it
 * has come. Callers with the same key share it.
 */
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Schedule from "effect/Schedule"
import type * as Stream from "effect/Stream"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { NonRetryableReason } from "../../errors/Reason.ts"
import type { SessionStoreError } from "../../errors/SessionStoreError.ts"
import {
  NonRetryable,
  type PassedOver,
  type Phase,
  Retryable,
  type StrategyError,
  Timeout
} from "../../errors/StrategyError.ts"
import type { Answer } from "../../services/LlmResponse.ts"
import type { JobsApi, JobState, Outcome, Pending, Provider, StreamEvent } from "../../services/Provider.ts"
import type { ResponseRequest, StrategyName } from "../../services/ResponseRequest.ts"
import type { AcceptedSubmission } from "../../services/Session.ts"
import type { Plan } from "./Decision.ts"
import { type SessionJournal, unavailable } from "./Journal.ts"
import type { OpenStream } from "./JobStreamStart.ts"
import type { StreamTimeouts } from "./StreamTimeouts.ts"
import { type Reader, Transcript } from "./Transcript.ts"
import { WakeSignal } from "./WakeSignal.ts"

/** The means to send one request: as a job, or as a call that is held open until its answer. */
export type Route =
  | {
    readonly _tag: "Job"
    readonly provider: Provider
    readonly jobs: JobsApi
    readonly submit: (
      submissionId: string
    ) => Effect.Effect<{ readonly jobId: string; readonly state: JobState }, ProviderError>
    /** Submits, and watches the job from its beginning. */
    readonly open: ((submissionId: string) => Stream.Stream<StreamEvent, ProviderError>) | undefined
  }
  | {
    readonly _tag: "Held"
    readonly provider: Provider
    readonly call: Effect.Effect<Outcome, ProviderError>
    /** Makes the call, and watches its answer grow. */
    readonly stream: (() => Stream.Stream<StreamEvent, ProviderError>) | undefined
  }

/** What a run is to send: the request as the caller made it, and what it allows. */
export interface Work {
  readonly request: ResponseRequest
  readonly plan: Plan
}

/** What a run works with. */
export interface RunSpec {
  readonly key: string | undefined
  readonly fingerprint: string | undefined
  readonly journal: SessionJournal
  readonly onInterrupt: "cancel" | "detach"
  readonly retry: Schedule.Schedule<unknown, ProviderError>
  readonly poll: Schedule.Schedule<unknown, Pending>
  readonly queuedDeadline: Duration.Duration | undefined
}

/** The outcome that all callers of a run share. */
export interface RunResult {
  readonly answer: Answer
  readonly provider: string
  readonly strategy: StrategyName
  readonly submissions: number
  readonly resumed: boolean
  readonly passedOver: ReadonlyArray<PassedOver>
  readonly settled: boolean
}

/** How far a run has come, as watchers see it. */
export interface Progress {
  readonly phase: Phase
  /** The provider's word for the job's status, or what the run does before there is one. */
  readonly status: string
  readonly jobId: string | undefined
  /** Polls sent by this run. */
  readonly polls: number
  /** Submissions and held calls sent by this run. */
  readonly attempts: number
}

/** A job that is waited for without a fiber. */
export interface Parked {
  readonly start: () => void
  /** Ends the wait, as an interruption. */
  readonly stop: () => void
}

/** Are called once each, if it comes to that. */
export interface Milestones {
  /** The run has a job to wait for. */
  readonly onJob?: (() => void) | undefined
  /** The run has looked at its job, and waits for the next look. */
  readonly onWait?: (() => void) | undefined
}

/** A caller that waits for a run, until its deadline. */
export interface Waiter {
  /** Its deadline, monotonic time in milliseconds. */
  readonly dueAt: number
  /** What becomes of the job when it leaves. */
  readonly onInterrupt: "cancel" | "detach"
  /** Present when it watches the answer grow. */
  readonly reader: Reader | undefined
  readonly done: (exit: Exit.Exit<RunResult, StrategyError>) => void
}

type Watcher = (progress: Progress | undefined) => void

export class Run {
  readonly spec: RunSpec
  /** Whether it may submit. Without that, it waits for known jobs. */
  readonly canSubmit: boolean
  /** What becomes of the job when the last caller leaves: `"detach"` as soon as one caller asked for it. */
  onInterrupt: "cancel" | "detach" = "cancel"
  /** An array, as a set of one takes three times as much. */
  private callers: Array<Waiter> = noWaiters
  /** What its stream has told; there is none as long as nobody watches. */
  transcript: Transcript | undefined
  /** How long a stream of its jobs may be silent, if the request says so. */
  streamTimeouts: StreamTimeouts | undefined
  /** Has the run look at its job, or at its journal, at once. */
  readonly wakes = new WakeSignal()
  /** The stream that a job was started with, as long as it is open, and the job's submission. */
  stream: OpenStream | undefined
  streamOf: string | undefined
  private watchers: Set<Watcher> | undefined
  /** The models that could not answer, and why. */
  passedOver: ReadonlyArray<PassedOver> = noneOver
  /** The submissions that this run sent. */
  own: ReadonlyArray<string> = none
  /** The submission whose job it waits for, or whose answer it fetches again. */
  private awaited: string | undefined
  private isWaiting = false
  private milestones: Array<Milestones> | undefined
  /** Whose request the session belongs to, as it was last read. */
  fingerprintInJournal: string | undefined
  progress: Progress = { phase: "submit", status: "preparing", jobId: undefined, polls: 0, attempts: 0 }
  private fiber: Fiber.Fiber<RunResult | typeof isParked, StrategyError> | undefined
  /** How many fibers have worked for it. */
  private turns = 0
  /** The job that it waits for without a fiber. */
  private parked: Parked | undefined
  exit: Exit.Exit<RunResult, StrategyError> | undefined
  /** Whether its session was removed, or belongs to another request by now. */
  hasLostKey = false
  /** The end that is being settled, as it is without the journal: for callers whose deadline passes meanwhile. */
  unsettled: Exit.Exit<RunResult, StrategyError> | undefined

  constructor(spec: RunSpec, canSubmit = false) {
    this.spec = spec
    this.canSubmit = canSubmit
  }

  /** Notes a submission of this run. */
  addSubmission(id: string): void {
    this.own = this.own.concat(id)
  }

  /** Notes the job that this run waits for. */
  awaitJob({ accepted, id }: AcceptedSubmission): void {
    if (this.awaited === undefined) { for (const { onJob } of this.milestones ?? []) onJob?.() }
    this.awaited = id
    this.update({ phase: "running", status: "waiting for the job", jobId: accepted.jobId })
  }

  /** Closes the stream that its job was started with: what another one emits is not to be mixed up with it. */
  get closeStream(): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { stream } = this
      this.stream = undefined
      return stream?.close ?? Effect.void
    })
  }

  /** Has a fiber work for the run. Before `fork` returns, the fiber may have parked the run, and another one may work. */
  work<Worker extends Fiber.Fiber<RunResult | typeof isParked, StrategyError>>(fork: () => Worker): Worker {
    const turn = ++this.turns
    this.parked = undefined
    const fiber = fork()
    if (turn === this.turns) this.fiber = fiber
    return fiber
  }

  /** Notes that the run waits for a job without a fiber. */
  park(parked: Parked): void {
    this.parked = parked
    this.turns++
    this.fiber = undefined
  }

  /** Ends the run's work, as an interruption. */
  interrupt(): void {
    if (!this.interruptParked()) this.fiber?.interruptUnsafe()
  }

  /** Ends a wait without a fiber, as an interruption; `false` when there is none. */
  interruptParked(): boolean {
    const { parked } = this
    this.parked = undefined
    parked?.stop()
    return parked !== undefined
  }

  /** Calls the milestones of a caller that the run has reached or will reach. */
  report(milestones: Milestones): void {
    if (this.awaited !== undefined) milestones.onJob?.()
    if (this.isWaiting) milestones.onWait?.()
    if (this.awaited === undefined || !this.isWaiting) (this.milestones ??= []).push(milestones)
  }

  /** Notes that it has looked at its job, and waits for the next look. */
  wait(): void {
    if (this.isWaiting) return
    this.isWaiting = true
    for (const { onWait } of this.milestones ?? []) onWait?.()
    this.milestones = undefined
  }

  /** Calls `watcher` at each change, and with `undefined` at the end; returns what stops it. */
  watch(watcher: Watcher): () => void {
    const watchers = this.watchers ??= new Set()
    watchers.add(watcher)
    return () => watchers.delete(watcher)
  }

  update(change: Partial<Progress>): void {
    this.progress = { ...this.progress, ...change }
    this.tell(this.progress)
  }

  tell(progress: Progress | undefined): void {
    if (this.watchers === undefined) return
    for (const watcher of this.watchers) watcher(progress)
  }

  /** The last moment at which somebody still waits, monotonic time in milliseconds. */
  get deadlineAt(): number {
    let last = -Infinity
    for (const waiter of this.waiters) last = Math.max(last, waiter.dueAt)
    return last
  }

  /** Adds a caller, and shows it what the run tells. */
  admit(waiter: Waiter): void {
    if (waiter.onInterrupt === "detach") this.onInterrupt = "detach"
    if (this.callers.length === 0) this.callers = [waiter]
    else this.callers.push(waiter)
    if (waiter.reader === undefined) return this.transcript?.release()
    const isFirst = this.transcript === undefined
    waiter.reader.attach(this.transcript ??= this.makeTranscript())
    // The job's stream, where there is one, says more.
    if (isFirst && this.progress.jobId !== undefined) this.wakes.raise()
  }

  /** Remembers the calls of the answer, so that watchers get those that no stream emitted. */
  noteCalls(outcome: Outcome): void {
    if (this.transcript !== undefined && outcome._tag === "Succeeded") {
      this.transcript.answerCalls = outcome.toolCalls ?? []
    }
  }

  /** A watcher that joins late is told what the run knows; the job's stream, where there is one, tells the rest. */
  private makeTranscript(): Transcript {
    const transcript = new Transcript()
    const { jobId, phase, status } = this.progress
    if (jobId !== undefined) {
      transcript.notePolled(jobId, { _tag: "Status", status, phase: phase === "queued" ? "queued" : "running" }, false)
    }
    return transcript
  }

  /** Notes the state that a poll has found. */
  noteStatus({ phase, status }: Pending, jobId: string, isOwn: boolean): void {
    this.update({ phase, status, jobId })
    this.transcript?.notePolled(jobId, { _tag: "Status", phase, status }, isOwn)
  }

  /** Those who wait. */
  get waiters(): ReadonlyArray<Waiter> {
    return this.callers
  }

  /** Takes a caller out; `false` when it did not wait any more. */
  dismiss(waiter: Waiter): boolean {
    const index = this.callers.indexOf(waiter)
    if (index >= 0) this.callers.splice(index, 1)
    return index >= 0
  }

  /** Takes all callers out. */
  dismissAll(): ReadonlyArray<Waiter> {
    const { callers } = this
    this.callers = noWaiters
    return callers
  }

  /** Whether nobody waits but those who watch: then the provider need not be faster than they are. */
  get isPaced(): boolean {
    for (const { reader } of this.waiters) if (reader === undefined) return false
    return this.callers.length > 0
  }

  /** The submissions that a session must have to be the one that this run works for. */
  get submissions(): ReadonlyArray<string> {
    return this.awaited === undefined ? this.own : this.own.concat(this.awaited)
  }

  /** What a store's failure means to the callers of this run. */
  unavailable(error: SessionStoreError): Retryable | NonRetryable {
    return unavailable(error, this.spec.key, this.progress.attempts)
  }

  /** What an error says of the models before the one that is asked. */
  get before(): { readonly passedOver?: ReadonlyArray<PassedOver> } {
    return this.passedOver.length === 0 ? {} : { passedOver: this.passedOver }
  }

  /** Notes the models that could not answer. */
  notePassedOver(passedOver: ReadonlyArray<PassedOver>): void {
    this.passedOver = passedOver
  }

  /** The error of a run that is refused for a reason of our own. */
  refused(reason: NonRetryableReason, jobId?: string): NonRetryable {
    return new NonRetryable({ reason, session: this.spec.key, jobId, ...this.before })
  }

  /** What a provider's failure means to the callers of this run. */
  failure(error: ProviderError): Retryable | NonRetryable {
    const about = { session: this.spec.key, jobId: this.progress.jobId, ...this.before }
    return error.verdict._tag === "Retryable"
      ? new Retryable({
        reason: error.verdict.reason,
        retryAfter: error.verdict.retryAfter ?? error.verdict.retryHint,
        attempts: this.progress.attempts,
        ...about
      })
      : new NonRetryable({ reason: error.verdict.reason, ...about })
  }
}

/** The exit of a run's fiber when the run goes on to wait for a job without one. */
export const isParked = Symbol.for("holdfast/strategies/internal/Run/isParked")

const none: ReadonlyArray<string> = []
const noneOver: ReadonlyArray<PassedOver> = []
// Never written to: the first caller gets an array of its own.
const noWaiters: Array<Waiter> = []

/** Adds the models before to an error that does not name them. */
export const withPassedOver = ({ passedOver }: Run, error: StrategyError): StrategyError => {
  if (passedOver.length === 0 || error.passedOver !== undefined) return error
  switch (error._tag) {
    case "Retryable":
      return new Retryable({ ...error, passedOver })
    case "NonRetryable":
      return new NonRetryable({ ...error, passedOver })
    case "Timeout":
      return new Timeout({ ...error, passedOver })
  }
}
