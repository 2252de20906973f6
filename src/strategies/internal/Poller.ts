/**
 * Looks at all jobs that this process waits for: one queue by due time, and one timer. A waiting job takes no fiber.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { SessionStoreError } from "../../errors/SessionStoreError.ts"
import type { Outcome } from "../../services/Provider.ts"
import type { SessionStore } from "../../services/SessionStore.ts"
import { type Look, look } from "./JobLook.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import type { Parked } from "./Run.ts"
import * as TimerQueue from "./TimerQueue.ts"
import type { Listener } from "./WakeSignal.ts"
import type { WaitingJob } from "./WaitingJob.ts"

export interface Poller {
  /** Creates the wait for a job: once started, it looks at the job until it has ended, and then tells the waiter once. */
  readonly add: (job: WaitingJob, waiter: Waiter) => Parked
  /** Waits for a job's outcome. */
  readonly wait: (job: WaitingJob) => Effect.Effect<Outcome, StrategyError>
  /** The waits for a job. */
  readonly waitsFor: (jobId: string) => ReadonlyArray<WaitingJob>
  /** From now on, looks at a job as soon as its end is in the journal. Runs once. */
  readonly watchJournals: Effect.Effect<void>
}

/** Tells which sessions have changed, in one question to the store. */
export type Versions = NonNullable<SessionStore["Service"]["versions"]>

/** How often the journals of all waiting jobs are looked at for ends that another process has recorded. */
const scanInterval = Duration.seconds(2)

/** Is called with the end of a wait. */
export interface Waiter {
  done(exit: Exit.Exit<Outcome, StrategyError>): void
}

/** Forks work that the layer's end waits for. */
export type Fork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

/** Creates the poller of a scope. */
export const make = (fork: Fork, versions: Versions | undefined): Effect.Effect<Poller, never, Scope.Scope> =>
  Effect.gen(function*() {
    const queue = yield* TimerQueue.make
    const scope = yield* Effect.scope
    const jobs = new Map<string, Entry | ReadonlyArray<Entry>>()
    let isScanning = false
    const shared: RunContext = { queue, fork, jobs }
    const add = (job: WaitingJob, waiter: Waiter): Parked => new Entry(job, shared, waiter)
    const scan = Effect.suspend(() => scanJournals([...jobs.values()].flat(), versions))
    return {
      add,
      waitsFor: (jobId) => entriesOf(jobs, jobId).map(({ job }) => job),
      watchJournals: Effect.suspend(() => {
        if (isScanning) return Effect.void
        isScanning = true
        return scan.pipe(
          Effect.delay(scanInterval),
          Effect.forever,
          Effect.forkIn(scope, { startImmediately: true }),
          Effect.asVoid
        )
      }),
      wait: (job) =>
        Effect.callback((resume) => {
          const entry = add(job, { done: resume })
          entry.start()
          return Effect.sync(() => entry.stop())
        })
    }
  })

type Jobs = Map<string, Entry | ReadonlyArray<Entry>>

interface RunContext {
  readonly queue: TimerQueue.TimerQueue
  readonly fork: Fork
  /** The waits by job id; few jobs have more than one. */
  readonly jobs: Jobs
}

const entriesOf = (jobs: Jobs, jobId: string): ReadonlyArray<Entry> => {
  const found = jobs.get(jobId)
  return found === undefined ? [] : found instanceof Entry ? [found] : found
}

const setEntries = (jobs: Jobs, jobId: string, entries: ReadonlyArray<Entry>): void => {
  const [first, ...others] = entries
  if (first === undefined) jobs.delete(jobId)
  else jobs.set(jobId, others.length === 0 ? first : entries)
}

/** Looks at the jobs whose end is in the journal. A store that cannot be read is read again by the next scan. */
const scanJournals = (entries: ReadonlyArray<Entry>, versions: Versions | undefined): Effect.Effect<void> =>
  Effect.gen(function*() {
    const stored = entries.filter(({ job }) => job.run.spec.journal.durable)
    const keys = stored.flatMap(({ job }) => job.run.spec.key ?? [])
    if (keys.length === 0) return
    const current = versions === undefined ? undefined : yield* versions(keys)
    yield* Effect.forEach(stored, (entry) => entry.check(current), { concurrency: 16, discard: true })
  }).pipe(Effect.ignore)

/** A class, because a hundred thousand may wait: closures would take more memory. */
class Entry implements TimerQueue.Entry, Listener, Parked {
  dueAt = 0
  position = -1
  readonly job: WaitingJob
  private readonly shared: RunContext
  private waiter: Waiter | undefined
  /** What the store's `versions` said before the journal was last read. */
  private version: string | undefined
  /** Looks at the job at this moment. */
  private looking: Fiber.Fiber<TimedLook, StrategyError> | undefined

  constructor(job: WaitingJob, shared: RunContext, waiter: Waiter) {
    this.job = job
    this.shared = shared
    this.waiter = waiter
  }

  start(): void {
    const { jobs } = this.shared
    setEntries(jobs, this.jobId, [...entriesOf(jobs, this.jobId), this])
    this.fire()
  }

  private get jobId(): string {
    return this.job.job.accepted.jobId
  }

  /** Looks at the job if the journal has changed, and says that the job is over. */
  check(versions: ReadonlyMap<string, string> | undefined): Effect.Effect<void, SessionStoreError> {
    const { job, run } = this.job
    const version = versions === undefined ? undefined : versions.get(run.spec.key ?? "") ?? ""
    if (version !== undefined && version === this.version) return Effect.void
    return Effect.map(run.spec.journal.load, ({ state }) => {
      this.version = version
      const isOver = state.settled !== undefined ||
        state.submissions.some(({ closed, id }) => id === job.id && closed !== undefined)
      if (isOver && this.waiter !== undefined) run.wakes.raise()
    })
  }

  fire(): void {
    this.job.run.wakes.mute()
    const fiber = this.looking = this.shared.fork(lookAndTime(this.job))
    fiber.addObserver((exit) => {
      if (this.looking === fiber) this.looking = undefined
      if (Exit.isFailure(exit)) this.finish(Exit.failCause(exit.cause))
      else if (exit.value.look._tag === "Ended") this.finish(Exit.succeed(exit.value.look.outcome))
      else this.sleep(exit.value.now + exit.value.look.delay)
    })
  }

  stop(): void {
    this.looking?.interruptUnsafe()
    this.finish(Exit.interrupt())
  }

  private sleep(dueAt: number): void {
    if (this.waiter === undefined) return
    this.dueAt = dueAt
    this.shared.queue.add(this)
    this.job.run.wait()
    this.job.run.wakes.listen(this)
  }

  /** Looks at the job before it is due. */
  wake(): void {
    this.shared.queue.remove(this)
    this.fire()
  }

  private finish(exit: Exit.Exit<Outcome, StrategyError>): void {
    const { waiter } = this
    if (waiter === undefined) return
    this.waiter = undefined
    const { jobs, queue } = this.shared
    queue.remove(this)
    setEntries(jobs, this.jobId, entriesOf(jobs, this.jobId).filter((entry) => entry !== this))
    this.job.run.wakes.mute()
    waiter.done(exit)
  }
}

interface TimedLook {
  readonly look: Look
  /** Monotonic time, in milliseconds. */
  readonly now: number
}

const lookAndTime = (job: WaitingJob): Effect.Effect<TimedLook, StrategyError> =>
  Effect.flatMap(look(job), (look) => Effect.map(monotonicMillis, (now) => ({ look, now })))
