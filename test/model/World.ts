/**
 * Processes over one store and one provider, on a clock that moves only when it is told to.
 */
import {
  Clock,
  Context,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Logger,
  Option,
  Random,
  Redacted,
  Scope,
  Semaphore,
  Stream
} from "effect"
import { TestClock } from "effect/testing"
import {
  Holdfast,
  Providers,
  ResponseRequest,
  Session,
  SessionStore,
  SessionStoreError,
  type StrategyError,
  Webhooks
} from "holdfast"
import * as Fingerprint from "../../src/services/Fingerprint.ts"
import type { Call, Life, Variant } from "./Facts.ts"
import { type Lookup, retention, SimulatedProvider } from "./SimulatedProvider.ts"
import { Specification } from "./Specification.ts"

export const keys = ["k0", "k1"] as const
export const processes = 3
export const webhookSecret = Redacted.make("a secret of the model")

/** What a world is like from its start. */
export interface Setting {
  readonly lookup: Lookup
  /** What `Random` always gives, in [0, 1). */
  readonly jitter: number
  /** Decides how long each operation takes in turns of the scheduler; 0: none takes any. */
  readonly interleaving: number
  /** Whether callers who say nothing of it resubmit what is in doubt, which is so after 10 seconds. */
  readonly isBold: boolean
  /** How many processes, from the first one on, take webhooks; they poll seldom. */
  readonly hooked: number
  /** Whether streams can go on where they were cut. */
  readonly isNumbered: boolean
}

/** A fault that waits for an operation of a process. */
export interface Point {
  /** `append Accepted`, `load`, `submit`, `poll`, `cancel`, … */
  readonly at: string
  readonly when: "before" | "after"
  /** The process dies, the operation takes long (seconds), or the store says that it failed. */
  readonly effect: "crash" | "fail" | number
}

/** A process that runs. */
interface Process {
  readonly life: Life
  readonly holdfast: Holdfast.Holdfast["Service"]
  readonly store: SessionStore.SessionStore["Service"]
  readonly webhooks: Webhooks.Webhooks["Service"] | undefined
  readonly scope: Scope.Closeable
  readonly points: Array<Point>
  readonly fibers: Map<Call, Fiber.Fiber<unknown, unknown>>
}

export type MakeStore = Effect.Effect<SessionStore.SessionStore["Service"], unknown, Scope.Scope>

export class World {
  readonly specification: Specification
  readonly provider: SimulatedProvider
  readonly running: Array<Process | undefined> = []
  private readonly scope = Scope.makeUnsafe()
  // Not a `ManagedRuntime`: that would wait for what hangs in dead processes.
  private context: Context.Context<never> = Context.empty()
  readonly setting: Setting
  private readonly makeStore: MakeStore
  private readonly oneAtATime = Semaphore.makeUnsafe(1)
  private clock: Clock.Clock | undefined
  private raw: SessionStore.SessionStore["Service"] | undefined
  private interleaving: number
  private lives = 0
  private operations = 0
  private pending = 0

  constructor(setting: Setting, makeStore: MakeStore) {
    this.setting = setting
    this.makeStore = makeStore
    this.interleaving = setting.interleaving
    const owners = keys.flatMap((key) =>
      (["A", "B"] as const).map((variant) => [fingerprintOf(key, variant), variant] as const)
    )
    this.specification = new Specification(() => this.now(), Duration.toMillis(retention), new Map(owners))
    this.provider = new SimulatedProvider(this.specification, setting.lookup, setting.isNumbered)
  }

  async open(): Promise<void> {
    this.context = await this.run(Layer.buildWithScope(TestClock.layer(), this.scope))
    await this.run(Effect.gen({ self: this }, function*() {
      this.clock = yield* Clock.clockWith(Effect.succeed)
      yield* TestClock.adjust(0)
      this.raw = yield* Effect.orDie(Effect.provideService(this.makeStore, Scope.Scope, this.scope))
    }))
    for (let index = 0; index < processes; index++) await this.start(index)
  }

  async close(): Promise<void> {
    for (const process of this.running) if (process !== undefined) process.life.isDead = true
    await this.run(Scope.close(this.scope, Exit.void))
  }

  // --- processes

  async start(index: number): Promise<void> {
    const life: Life = {
      number: ++this.lives,
      process: index,
      isDead: false,
      isStopping: false,
      wallOffset: this.running[index]?.life.wallOffset ?? 0,
      disturbedUntil: 0,
      handled: new Set()
    }
    const points: Array<Point> = []
    const through = <A, E>(operation: string, effect: Effect.Effect<A, E>) =>
      this.through(life, points, operation, effect)
    const store = this.storeOf(life, through)
    const jobs = this.provider.port(life, through)
    const scope = await this.run(Scope.make())
    const built = await this.run(
      Layer.buildWithScope(
        Layer.fresh(index < this.setting.hooked ? Layer.merge(Holdfast.layer, webhookLayer) : Holdfast.layer).pipe(
          Layer.provide([
            Layer.succeed(SessionStore.SessionStore, store),
            Providers.layer({ test: (model) => ({ name: "test", model, jobs }) })
          ])
        ),
        scope
      ).pipe(this.asProcess(life))
    )
    this.running[index] = {
      life,
      store,
      points,
      scope,
      holdfast: Context.get(built, Holdfast.Holdfast),
      webhooks: Option.getOrUndefined(Context.getOption(built, Webhooks.Webhooks)),
      fibers: new Map()
    }
    this.specification.event(`p${index}.${life.number} starts`)
    await this.settle()
  }

  /** Nothing that the process does from now on reaches anybody. */
  crash(index: number): void {
    const process = this.running[index]
    if (process === undefined || process.life.isDead) return
    this.specification.event(`p${index}.${process.life.number} crashes`)
    process.life.isDead = true
  }

  /** Ends a process as a deploy does: its layer is closed. */
  stop(index: number): void {
    const process = this.process(index)
    this.specification.event(`p${index}.${process.life.number} stops`)
    process.life.isStopping = true
    for (const fiber of process.fibers.values()) fiber.interruptUnsafe()
    this.fork(
      Scope.close(process.scope, Exit.void).pipe(
        Effect.ensuring(Effect.sync(() => {
          process.life.isDead = true
        })),
        this.asProcess(process.life)
      )
    )
  }

  isUp(index: number): boolean {
    const life = this.running[index]?.life
    return life !== undefined && !life.isDead && !life.isStopping
  }

  process(index: number): Process {
    const process = this.running[index]
    if (process === undefined) throw new Error(`There is no process ${index}`)
    return process
  }

  // --- calls

  /** Starts a call that nobody waits for here. */
  begin<A>(
    index: number,
    about:
      & Pick<Call, "kind" | "key">
      & Partial<Pick<Call, "variant" | "policy" | "onInterrupt" | "deadline" | "adopts">>,
    effect: Effect.Effect<A, StrategyError.StrategyError>,
    succeed: (value: A, call: Call) => void,
    fail?: (error: StrategyError.StrategyError, call: Call) => void
  ): Call {
    const process = this.process(index)
    const { specification } = this
    const call = specification.called({
      life: process.life,
      variant: undefined,
      policy: "fail",
      onInterrupt: "detach",
      deadline: briefly,
      adopts: undefined,
      ...about
    })
    const fiber = this.fork(this.asProcess<A, StrategyError.StrategyError>(process.life)(effect))
    process.fibers.set(call, fiber)
    fiber.addObserver((exit) => {
      process.fibers.delete(call)
      if (process.life.isDead) return
      this.operations++
      if (Exit.isSuccess(exit)) succeed(exit.value, call)
      else {
        const reason = exit.cause.reasons[0]
        if (reason?._tag === "Fail") (fail ?? ((error) => specification.failed(call, error)))(reason.error, call)
        else if (reason?._tag === "Die") specification.rule(false, `no defects: ${String(reason.defect)}`)
        else specification.rule(call.isInterrupted || process.life.isStopping, `the ${call.kind} is not interrupted`)
      }
      call.isOver = true
    })
    return call
  }

  interrupt(call: Call): void {
    this.specification.event(`call ${call.number} is interrupted`)
    call.isInterrupted = true
    // What the engine does from here on, it does without this caller.
    call.isOver = true
    this.running.find((process) => process?.life === call.life)?.fibers.get(call)?.interruptUnsafe()
  }

  /** Runs a short effect of a process to its end; it may need time. */
  async perform<A, E>(index: number, effect: Effect.Effect<A, E>): Promise<Exit.Exit<A, E> | undefined> {
    let exit: Exit.Exit<A, E> | undefined
    const fiber = this.fork(this.asProcess<A, E>(this.process(index).life)(effect))
    fiber.addObserver((result) => {
      exit = result
    })
    await this.settle()
    for (let n = 0; n < 100 && this.isSlow && exit === undefined; n++) await this.settleSlowly()
    return exit
  }

  // --- time

  now(): number {
    return Number(this.clock?.monotonicTimeNanosUnsafe() ?? 0n) / 1_000_000
  }

  /** Moves the clock until it is enough, and looks at everything on the way. */
  async pass(seconds: number, isEnough = () => false): Promise<void> {
    for (let left = seconds; left > 0 && !isEnough();) {
      const step = Math.min(left, this.isSlow ? slowStep : this.isDisturbed ? disturbedStep : 60)
      left -= step
      await this.run(TestClock.adjust(Duration.seconds(step)))
      await this.settle()
    }
  }

  /** Whether an operation of a process takes its time, or has not long ago. */
  private get isDisturbed(): boolean {
    return this.running.some((process) => process !== undefined && process.life.disturbedUntil > this.now())
  }

  /** Lets everything run that needs no time. */
  async settle(): Promise<void> {
    await this.run(this.untilQuiet)
    this.specification.quiet()
  }

  /** Whether the store does real work, so that a step of the clock must wait for it. */
  isSlow = false

  /** Gives a store that does real work real time, where it is not known how much it has to do. */
  async settleSlowly(): Promise<void> {
    for (let n = 0; n < (this.isSlow ? 3 : 0); n++) {
      await new Promise((resolve) => setTimeout(resolve, 1))
      await this.run(this.untilQuiet)
    }
    await this.settle()
  }

  private readonly untilQuiet: Effect.Effect<void> = Effect.gen({ self: this }, function*() {
    let seen = -1
    while (seen !== this.operations || this.pending > 0) {
      seen = this.operations
      for (let n = 0; n < 12; n++) yield* Effect.yieldNow
    }
  })

  // --- what is compared

  journal(key: string): Promise<Session.Journal> {
    return this.run(Effect.orDie(this.store.load(key)))
  }

  run<A, E>(effect: Effect.Effect<A, E>): Promise<A> {
    return Effect.runPromiseWith(this.context)(effect)
  }

  private fork<A, E>(effect: Effect.Effect<A, E>): Fiber.Fiber<A, E> {
    return Effect.runForkWith(this.context)(effect)
  }

  waiting(): ReadonlyArray<Call> {
    return this.specification.calls.filter((call) => !call.isOver && !call.life.isDead && !call.life.isStopping)
  }

  request(key: string, variant: Variant, change: Partial<ResponseRequest.RequestInput>): ResponseRequest.RequestInput {
    return { ...requestOf(key, variant), session: key, strategy: "background", ...change }
  }

  private get store(): SessionStore.SessionStore["Service"] {
    if (this.raw === undefined) throw new Error("The world is not open")
    return this.raw
  }

  private storeOf(
    life: Life,
    through: <A, E>(operation: string, effect: Effect.Effect<A, E>) => Effect.Effect<A, E>
  ): SessionStore.SessionStore["Service"] {
    const { store } = this
    const { versions } = store
    // An operation and what the specification is told of it are one step for all processes.
    const alone = this.oneAtATime.withPermits(1)
    return SessionStore.SessionStore.of({
      load: (key) => through("load", alone(store.load(key))),
      versions: versions && ((keys) => through("versions", alone(versions(keys)))),
      append: (key, entry, expected) =>
        through(
          `append ${entry._tag}`,
          alone(Effect.uninterruptible(Effect.tap(store.append(key, entry, expected), () =>
            Effect.sync(() =>
              this.specification.appended(life, key, entry)
            ))))
        ),
      remove: (key, expected) =>
        through(
          "remove",
          alone(Effect.uninterruptible(Effect.tap(store.remove(key, expected), () =>
            Effect.sync(() => this.specification.removed(life, key)))))
        ),
      // As a whole, so that it is known when it is over.
      list: Stream.fromIterableEffect(through("list", Stream.runCollect(store.list)))
    })
  }

  /** One operation of a process with the world outside. */
  private through<A, E>(
    life: Life,
    points: Array<Point>,
    operation: string,
    effect: Effect.Effect<A, E>
  ): Effect.Effect<A, E> {
    const isStore = operation.startsWith("append") || ["load", "versions", "remove", "list"].includes(operation)
    const meet = (when: Point["when"]): Effect.Effect<void, E> =>
      Effect.suspend(() => {
        this.operations++
        if (life.isDead) return Effect.never
        // A slow answer is no answer yet: what is slow about the provider is the way to it.
        const index = points.findIndex((point) =>
          point.at === operation && (point.when === when || (!isStore && typeof point.effect === "number"))
        )
        const [point] = index < 0 ? [] : points.splice(index, 1)
        if (point === undefined) return Effect.void
        this.specification.event(`p${life.process}.${life.number} ${when} ${operation}: ${point.effect}`)
        if (point.effect === "crash") {
          life.isDead = true
          return Effect.never
        }
        // What the store refuses is tried again for 30 seconds.
        const delay = typeof point.effect === "number" ? Duration.toMillis(Duration.seconds(point.effect)) : 0
        life.disturbedUntil = Math.max(life.disturbedUntil, this.now() + delay + 40_000)
        if (typeof point.effect === "number") {
          return Effect.andThen(
            Effect.sleep(Duration.seconds(point.effect)),
            Effect.suspend(() => life.isDead ? Effect.never : Effect.void)
          )
        }
        if (!isStore) return Effect.void
        this.specification.hadStoreFault = true
        return Effect.fail(
          new SessionStoreError.StoreUnavailable({ operation, message: "The disk is full", code: "ENOSPC" }) as E
        )
      })
    const counted = isStore
      ? Effect.suspend(() => {
        this.pending++
        return Effect.ensuring(effect, Effect.sync(() => this.pending--))
      })
      : effect
    return Effect.andThen(
      Effect.andThen(this.wait, meet("before")),
      Effect.onExit(
        counted,
        (exit) =>
          Exit.isSuccess(exit) || !exit.cause.reasons.every(({ _tag }) => _tag === "Interrupt")
            ? meet("after")
            : Effect.void
      )
    )
  }

  /** Some turns of the scheduler, so that operations of processes come in many orders. */
  private readonly wait: Effect.Effect<void> = Effect.suspend(() => {
    this.operations++
    // A generator of Lehmer's: as random as a schedule needs to be.
    this.interleaving = this.interleaving * 48_271 % 2_147_483_647
    const turns = this.interleaving % 4
    return turns === 0
      ? Effect.void
      : Effect.forEach(Array.from({ length: turns }), () => Effect.yieldNow, { discard: true })
  })

  private asProcess<A, E>(life: Life) {
    const clock = this.clock
    if (clock === undefined) throw new Error("The world is not open")
    const wall = () => Math.max(0, clock.currentTimeMillisUnsafe() + life.wallOffset)
    const own: Clock.Clock = {
      currentTimeMillisUnsafe: wall,
      currentTimeMillis: Effect.sync(wall),
      currentTimeNanosUnsafe: () => BigInt(Math.round(wall() * 1_000_000)),
      currentTimeNanos: Effect.sync(() => BigInt(Math.round(wall() * 1_000_000))),
      monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
      monotonicTimeNanos: clock.monotonicTimeNanos,
      sleep: (duration) => clock.sleep(duration)
    }
    const { jitter } = this.setting
    return (effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
      effect.pipe(
        Effect.provideService(Clock.Clock, own),
        Effect.provideService(Random.Random, { nextDoubleUnsafe: () => jitter, nextIntUnsafe: () => 0 }),
        Effect.provide(Logger.layer([]))
      )
  }
}

const webhookLayer = Webhooks.layer({ secrets: webhookSecret })

/**
 * What begins at a store that does real work must not run into a time limit within the same step of the clock: the
 * shortest one is 2 seconds.
 */
const slowStep = 1.5

/**
 * A submission that is given up takes some turns of the event loop for it, and those must come before what held it up is
 * over: the time between is half a minute.
 */
const disturbedStep = 20

/** How long a call may take that does not wait for an answer, in milliseconds. */
const briefly = 90_000

const requestOf = (key: string, variant: Variant) => ({ model: "test/simulated", prompt: `${key} ${variant}` })

const fingerprintOf = (key: string, variant: Variant): string =>
  Effect.runSync(Fingerprint.of(key, requestOf(key, variant) as ResponseRequest.ResponseRequest))
