/**
 * Asks a store of limits (rates, circuits, a retry budget), which may be slow, frozen or gone, without waiting for it.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"

/** How a question is put. */
export interface Question<A, E> {
  /** Whether an error is an answer, such as "the limit is reached", and not a failure of the store. */
  readonly isAnswer: (error: E) => boolean
  /** What is done with an answer that comes after the call has gone on without it. */
  readonly onLate?: ((answer: A) => Effect.Effect<unknown>) | undefined
}

/** A store of limits, as the calls see it. */
export interface LimitStore {
  /** Succeeds with `None` when the store fails, dies or gives no answer in time. */
  readonly ask: <A, E>(question: Effect.Effect<A, E>, options: Question<A, E>) => Effect.Effect<Option.Option<A>, E>
  /** Starts what tells the store of the end of a call, and does not wait for it. */
  readonly tell: (effect: Effect.Effect<unknown>) => Effect.Effect<void>
}

/** For a store in this process's memory, which answers at once. */
export const inMemory: LimitStore = { ask: (question) => Effect.asSome(question), tell: Effect.asVoid }

/** Longest time that a call waits for an answer, and that a layer's close waits for what the store is being told. */
const patience = Duration.millis(250)

/** A process that was busy or stopped counts one part of it, so that it reads the answer before it gives up. */
const waitInParts = Effect.repeat(Effect.sleep(Duration.millis(50)), { times: 4 })

/** How long calls pass without a question after one that had no answer. */
const pause = Duration.seconds(5)

/**
 * Runs a call that waits for at most one store that does not answer. Questions to other stores are still sent, but the
 * call takes only what they answer at once.
 */
export const withPatience = <A, E, R>(call: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.provideService(call, Patience, { isOver: false }))

const Patience = Context.Reference<{ isOver: boolean } | undefined>("holdfast/services/internal/LimitStore/Patience", {
  defaultValue: () => undefined
})

/**
 * Returns how a store is asked. All accounts of a process that use the same store share what is known of it: one warning
 * for each time that it is away.
 *
 * The scope waits shortly for what the store is being told.
 */
export const of = (store: object, name: string): Effect.Effect<LimitStore, never, Scope.Scope> =>
  Effect.suspend(() => {
    const known = stores.get(store) ?? make(name)
    stores.set(store, known)
    return Effect.as(Effect.addFinalizer(() => known.told), known)
  })

const stores = new WeakMap<object, Watched>()

interface Watched extends LimitStore {
  /** Waits until the store was told everything, but not for long. */
  readonly told: Effect.Effect<void>
}

const make = (name: string): Watched => {
  let isAway = false
  /** Until when nothing is asked, in milliseconds of the monotonic clock; 0 when the store answers. */
  let quietUntil = 0
  /** The question that tries whether the store is back. */
  let trial: Fiber.Fiber<unknown, unknown> | undefined
  const telling = new Set<Fiber.Fiber<unknown, unknown>>()

  const away = (what: string, cause: Cause.Cause<unknown> | undefined): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (isAway) return Effect.void
      isAway = true
      return Effect.logWarning(`The ${name} ${what}: calls pass without it`, ...(cause === undefined ? [] : [cause]))
    })

  const unanswered = Effect.flatMap(monotonicMillis, (now) => {
    quietUntil = now + Duration.toMillis(pause)
    return away(`has not answered for ${Duration.toMillis(patience)} ms`, undefined)
  })

  const answered = Effect.suspend(() => {
    quietUntil = 0
    if (!isAway) return Effect.void
    isAway = false
    return Effect.logInfo(`The ${name} answers again`)
  })

  const ask: LimitStore["ask"] = Effect.fnUntraced(function*<A, E>(
    question: Effect.Effect<A, E>,
    { isAnswer, onLate }: Question<A, E>
  ) {
    const now = yield* monotonicMillis
    if (now < quietUntil) return Option.none()
    const isTrial = quietUntil > 0
    // The others do not wait for the trial.
    if (isTrial) quietUntil = now + Duration.toMillis(pause)

    const caller = (yield* Patience) ?? { isOver: false }
    const result = yield* Deferred.make<Option.Option<A>, E>()
    let isLate = false
    const read = Effect.fnUntraced(function*(exit: Exit.Exit<A, E>) {
      const error = Exit.isFailure(exit) ? Cause.findErrorOption(exit.cause) : Option.none()
      if (Exit.isFailure(exit) && !Option.exists(error, isAnswer)) {
        quietUntil = 0
        yield* away("failed", exit.cause)
        return yield* Deferred.succeed(result, Option.none())
      }
      yield* answered
      if (isLate && Exit.isSuccess(exit)) yield* onLate?.(exit.value) ?? Effect.void
      return yield* Deferred.done(result, Exit.map(exit, Option.some))
    })
    // Detached, because a store may not let itself be interrupted.
    const asking = yield* Effect.forkDetach(Effect.flatMap(Effect.exit(question), read), { startImmediately: true })
    if (asking.pollUnsafe() !== undefined) return yield* Deferred.await(result)
    if (isTrial) {
      // However long the store is away, one question is left with it.
      trial?.interruptUnsafe()
      trial = asking
    }
    const giveUp = Effect.suspend(() => {
      isLate = true
      caller.isOver = true
      return Effect.andThen(unanswered, Deferred.succeed(result, Option.none()))
    })
    const timer = yield* Effect.forkDetach(Effect.andThen(waitInParts, giveUp), { startImmediately: true })
    asking.addObserver(() => timer.interruptUnsafe())
    if (caller.isOver) {
      isLate = true
      return Option.none()
    }
    return yield* Deferred.await(result)
  })

  return {
    ask,
    tell: (effect) =>
      Effect.map(Effect.forkDetach(withPatience(effect), { startImmediately: true }), (fiber) => {
        if (fiber.pollUnsafe() !== undefined) return
        telling.add(fiber)
        fiber.addObserver(() => telling.delete(fiber))
      }),
    told: Effect.suspend(() => telling.size === 0 ? Effect.void : untilOver(telling))
  }
}

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)

// Stores live in real time, whatever clock the fibers see: under a test's clock the wait would never end.
const untilOver = (fibers: Set<Fiber.Fiber<unknown, unknown>>): Effect.Effect<void> =>
  Fiber.awaitAll([...fibers]).pipe(
    Effect.interruptible,
    Effect.timeoutOption(patience),
    Effect.provideService(Clock.Clock, Clock.Clock.defaultValue()),
    Effect.andThen(Effect.sync(() => fibers.clear()))
  )
