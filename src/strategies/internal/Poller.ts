/**
 * Looks at all jobs that this process waits for: one queue by due time, and one timer. A waiting job takes no fiber.
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { Outcome } from "../../services/Provider.ts"
import { monotonicMillis } from "./MonotonicTime.ts"
import * as TimerQueue from "./TimerQueue.ts"
import { type Look, look, type WaitingJob } from "./WaitingJob.ts"

export interface Poller {
  /** Creates the wait for a job: once started, it looks at the job until it has ended, and then calls `done` once. */
  readonly add: (job: WaitingJob, done: Done) => Parked
  /** Waits for a job's outcome. */
  readonly wait: (job: WaitingJob) => Effect.Effect<Outcome, StrategyError>
}

export type Done = (exit: Exit.Exit<Outcome, StrategyError>) => void

/** A job that is waited for. */
export interface Parked {
  readonly start: () => void
  /** Ends the wait, as an interruption. */
  readonly stop: () => void
}

/** Forks work that the layer's end waits for. */
export type Fork = <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>

/** Creates the poller of a scope. */
export const make = (fork: Fork): Effect.Effect<Poller, never, Scope.Scope> =>
  Effect.map(TimerQueue.make, (queue) => {
    const add = (job: WaitingJob, done: Done): Parked => new Entry(job, queue, fork, done)
    return {
      add,
      wait: (job) =>
        Effect.callback((resume) => {
          const entry = add(job, resume)
          entry.start()
          return Effect.sync(() => entry.stop())
        })
    }
  })

/** A class, because a hundred thousand may wait: closures would take more memory. */
class Entry implements TimerQueue.Entry, Parked {
  dueAt = 0
  position = -1
  private readonly job: WaitingJob
  private readonly queue: TimerQueue.TimerQueue
  private readonly fork: Fork
  private done: Done | undefined
  /** Looks at the job at this moment. */
  private looking: Fiber.Fiber<TimedLook, StrategyError> | undefined

  constructor(job: WaitingJob, queue: TimerQueue.TimerQueue, fork: Fork, done: Done) {
    this.job = job
    this.queue = queue
    this.fork = fork
    this.done = done
  }

  start(): void {
    this.fire()
  }

  fire(): void {
    this.job.run.wakes.mute()
    const fiber = this.looking = this.fork(lookAndTime(this.job))
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
    if (this.done === undefined) return
    this.dueAt = dueAt
    this.queue.add(this)
    this.job.run.wakes.listen(() => {
      this.queue.remove(this)
      this.fire()
    })
  }

  private finish(exit: Exit.Exit<Outcome, StrategyError>): void {
    const { done } = this
    if (done === undefined) return
    this.done = undefined
    this.queue.remove(this)
    this.job.run.wakes.mute()
    done(exit)
  }
}

interface TimedLook {
  readonly look: Look
  /** Monotonic time, in milliseconds. */
  readonly now: number
}

const lookAndTime = (job: WaitingJob): Effect.Effect<TimedLook, StrategyError> =>
  Effect.flatMap(look(job), (look) => Effect.map(monotonicMillis, (now) => ({ look, now })))
