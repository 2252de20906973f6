/**
 * One timer for the deadlines of all callers: a fiber per caller would cost
 * more memory than the call.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"

/** Somebody who waits until a deadline. */
export interface Entry {
  /** Monotonic time, in milliseconds; it does not change. */
  readonly deadlineAt: number
  /** Called once the deadline has passed. */
  pass(): void
  /** Where it stands in the heap; -1 when it is out. Only `Deadlines` changes it. */
  position: number
}

export interface Deadlines {
  /** Calls `pass` once the deadline has passed, unless the entry is removed before. */
  readonly add: (entry: Entry) => void
  readonly remove: (entry: Entry) => void
}

/** Milliseconds of a clock that is never set back. */
export const monotonicMillis: Effect.Effect<number> = Effect.map(
  Clock.monotonicTimeNanos,
  (nanos) => Number(nanos) / 1_000_000
)

export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.gen(function*() {
  const heap: Array<Entry> = []
  const context = yield* Effect.context<never>()
  let timer: Fiber.Fiber<void> | undefined
  let wakesAt = Infinity

  const set = (deadlineAt: number): void => {
    timer?.interruptUnsafe()
    timer = undefined
    wakesAt = deadlineAt
    if (deadlineAt === Infinity) return
    const fiber = Effect.runForkWith(context)(Effect.flatMap(sleepUntil(deadlineAt), fire))
    // A deadline that has passed already is told so at once.
    if (fiber.pollUnsafe() === undefined) timer = fiber
  }

  const fire = (now: number): Effect.Effect<void> =>
    Effect.sync(() => {
      timer = undefined
      wakesAt = Infinity
      for (let next = heap[0]; next !== undefined && next.deadlineAt <= now; next = heap[0]) {
        remove(heap, next)
        next.pass()
      }
      const next = heap[0]
      if (next !== undefined && next.deadlineAt < wakesAt) set(next.deadlineAt)
    })

  yield* Effect.addFinalizer(() => Effect.sync(() => set(Infinity)))

  return {
    add: (entry) => {
      entry.position = heap.length
      heap.push(entry)
      rise(heap, entry)
      // A timer for a deadline that is gone by now is early enough.
      if (entry.deadlineAt < wakesAt) set(entry.deadlineAt)
    },
    remove: (entry) => {
      remove(heap, entry)
      // A timer that nobody needs would keep the process alive.
      if (heap.length === 0) set(Infinity)
    }
  }
})

/** Succeeds with the time when it is over. */
const sleepUntil = (deadlineAt: number): Effect.Effect<number> =>
  Effect.filterOrElse(
    monotonicMillis,
    (now) => deadlineAt <= now,
    (now) => Effect.flatMap(Effect.sleep(restOf(deadlineAt - now)), () => sleepUntil(deadlineAt))
  )

/** What is left of a wait. Less than a microsecond may be less than a clock can count: that sleep would change nothing. */
export const restOf = (millis: number): Duration.Duration => Duration.millis(Math.max(millis, 0.001))

const place = (heap: Array<Entry>, entry: Entry, position: number): void => {
  heap[position] = entry
  entry.position = position
}

const rise = (heap: Array<Entry>, entry: Entry): void => {
  let position = entry.position
  while (position > 0) {
    const above = (position - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || parent.deadlineAt <= entry.deadlineAt) break
    place(heap, parent, position)
    position = above
  }
  place(heap, entry, position)
}

const sink = (heap: Array<Entry>, entry: Entry): void => {
  let position = entry.position
  while (true) {
    const left = heap[2 * position + 1]
    const right = heap[2 * position + 2]
    const child = right !== undefined && left !== undefined && right.deadlineAt < left.deadlineAt ? right : left
    if (child === undefined || child.deadlineAt >= entry.deadlineAt) break
    const below = child.position
    place(heap, child, position)
    position = below
  }
  place(heap, entry, position)
}

const remove = (heap: Array<Entry>, entry: Entry): void => {
  if (entry.position < 0) return
  const last = heap.pop()
  if (last !== undefined && last !== entry) {
    place(heap, last, entry.position)
    rise(heap, last)
    sink(heap, last)
  }
  entry.position = -1
}
