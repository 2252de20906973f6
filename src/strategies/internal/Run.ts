/**
 * One run of a session in this process: what it works with, and how far it
 * has come. Callers with the same key share it.
 */
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Schedule from "effect/Schedule"
import type * as Stream from "effect/Stream"
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { InvalidOutput } from "../../errors/Reason.ts"
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
import { type SessionJournal, unavailable } from "./Journaling.ts"
import type { OpenStream } from "./Opening.ts"
import type { Patience } from "./Reading.ts"
import { type Reader, Transcript } from "./Transcript.ts"

/** The means to send one request: as a job, or as a call that is held open until its answer. */
export type Means =
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

/** One model that may answer, and how it is asked. */
export interface Candidate {
  readonly request: ResponseRequest
  readonly strategy: StrategyName
}

/** What a run is to send. */
export interface Order {
  /** As the caller made it. */
  readonly request: ResponseRequest
  /** The models to ask, in turn; at least one. */
  readonly candidates: readonly [Candidate, ...ReadonlyArray<Candidate>]
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

/** A caller that waits for a run, until its deadline. */
export interface Waiter {
  /** Monotonic time in milliseconds. */
  readonly deadlineAt: number
  /** Present when it watches the answer grow. */
  readonly reader: Reader | undefined
  readonly done: (exit: Exit.Exit<RunResult, StrategyError>) => void
}

type Watcher = (progress: Progress | undefined) => void

export class Run {
  readonly spec: RunSpec
  /** Whether it may submit. Without that, it waits for known jobs. */
  readonly canSubmit: boolean
  /** What it is to send; dropped when there is a job to wait for, as the prompt may be big. */
  order: Order | undefined
  /** Which of the order's models is asked. */
  candidate = 0
  /** The models that could not answer, and why. */
  passedOver: ReadonlyArray<PassedOver> = noneOver
  /** The models of the order that cannot be asked at all, by name; set before the first submission of a session. */
  unusable: ReadonlyMap<string, ProviderError> = noneUnusable
  /** Whether the models of the order were checked. */
  isChecked = false
  /** An answer that did not fit the request's schema, which is to be sent back. */
  fault: InvalidOutput | undefined
  /** How many answers of the session did not fit. */
  faults = 0
  /** An array, as a set of one takes three times as much. */
  private callers: Array<Waiter> = noWaiters
  /** What its stream has told; there is none as long as nobody watches. */
  transcript: Transcript | undefined
  /** How long a stream of its jobs may be silent, if the request says so. */
  patience: Patience | undefined
  /** Whether somebody may say that its job has ended. */
  isHinted = false
  /** Has the run look at its job, or at its journal while a call is held, at once. */
  wake: (() => void) | undefined
  /** The stream that a job was started with, as long as it is open, and the job's submission. */
  stream: OpenStream | undefined
  streamOf: string | undefined
  private watchers: Set<Watcher> | undefined
  /** The submissions that this run sent. */
  mine: ReadonlyArray<string> = none
  /** The submission whose job it waits for, or whose answer it fetches again. */
  awaited: string | undefined
  /** Whose request the session belongs to, as it was last read. */
  owner: string | undefined
  progress: Progress = { phase: "submit", status: "preparing", jobId: undefined, polls: 0, attempts: 0 }
  fiber: Fiber.Fiber<RunResult, StrategyError> | undefined
  exit: Exit.Exit<RunResult, StrategyError> | undefined
  /** Whether its session was removed, or belongs to another request by now. */
  hasLostKey = false
  /** The end that is being settled, as it is without the journal: for callers whose deadline passes meanwhile. */
  unsettled: Exit.Exit<RunResult, StrategyError> | undefined

  constructor(spec: RunSpec, order?: Order) {
    this.spec = spec
    this.order = order
    this.canSubmit = order !== undefined
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
    for (const waiter of this.waiters) last = Math.max(last, waiter.deadlineAt)
    return last
  }

  /** Adds a caller, and shows it what the run tells. */
  admit(waiter: Waiter): void {
    if (this.callers.length === 0) this.callers = [waiter]
    else this.callers.push(waiter)
    if (waiter.reader === undefined) this.transcript?.release()
    else waiter.reader.attach(this.transcript ??= new Transcript())
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

  /** The model that is asked, and how. */
  get asked(): Candidate | undefined {
    return this.order?.candidates[this.candidate]
  }

  /** The submissions that a session must have to be the one that this run works for. */
  get marks(): ReadonlyArray<string> {
    return this.awaited === undefined ? this.mine : this.mine.concat(this.awaited)
  }

  /** What an error says of the models before the one that is asked. */
  get before(): { readonly passedOver?: Run["passedOver"] } {
    return this.passedOver.length === 0 ? {} : { passedOver: this.passedOver }
  }

  /** What a store's failure means to the callers of this run. */
  unavailable(error: SessionStoreError): Retryable | NonRetryable {
    return unavailable(error, this.spec.key, this.progress.attempts)
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

const none: ReadonlyArray<string> = []
const noneOver: Run["passedOver"] = []
const noneUnusable: Run["unusable"] = new Map()
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
