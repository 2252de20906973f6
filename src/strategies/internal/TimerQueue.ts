/**
 * Calls entries when they are due: a heap and one timer, because a fiber for each would cost more memory than its entry.
 */
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { monotonicMillis, restOf } from "./MonotonicTime.ts"

/** Something that is due at a time. */
export interface Entry {
  /** Monotonic time, in milliseconds; it does not change while the entry is in a queue. */
  readonly dueAt: number
  /** Called once the time has passed; the entry is out of the queue by then. */
  fire(): void
  /** Where it stands in the heap; -1 when it is out. Only the queue changes it. */
  position: number
}

export interface TimerQueue {
  /** Calls `fire` once the entry is due, unless it is removed before. */
  readonly add: (entry: Entry) => void
  readonly remove: (entry: Entry) => void
}

export const make: Effect.Effect<TimerQueue, never, Scope.Scope> = Effect.gen(function*() {
  const heap: Array<Entry> = []
  const context = yield* Effect.context<never>()
  let timer: Fiber.Fiber<void> | undefined
  let firesAt = Infinity

  const set = (dueAt: number): void => {
    timer?.interruptUnsafe()
    timer = undefined
    firesAt = dueAt
    if (dueAt === Infinity) return
    const fiber = Effect.runForkWith(context)(Effect.flatMap(sleepUntil(dueAt), fire))
    // An entry that is due already is called at once.
    if (fiber.pollUnsafe() === undefined) timer = fiber
  }

  const fire = (now: number): Effect.Effect<void> =>
    Effect.sync(() => {
      timer = undefined
      firesAt = Infinity
      for (let next = heap[0]; next !== undefined && next.dueAt <= now; next = heap[0]) {
        remove(heap, next)
        next.fire()
      }
      const next = heap[0]
      if (next !== undefined && next.dueAt < firesAt) set(next.dueAt)
    })

  yield* Effect.addFinalizer(() => Effect.sync(() => set(Infinity)))

  return {
    add: (entry) => {
      entry.position = heap.length
      heap.push(entry)
      rise(heap, entry)
      // A timer for an entry that was removed fires early, which is harmless.
      if (entry.dueAt < firesAt) set(entry.dueAt)
    },
    remove: (entry) => {
      remove(heap, entry)
      // A timer without entries would keep the process alive.
      if (heap.length === 0) set(Infinity)
    }
  }
})

/** Succeeds with the time when it is over. */
const sleepUntil = (dueAt: number): Effect.Effect<number> =>
  Effect.filterOrElse(
    monotonicMillis,
    (now) => dueAt <= now,
    (now) => Effect.flatMap(Effect.sleep(restOf(dueAt - now)), () => sleepUntil(dueAt))
  )

const place = (heap: Array<Entry>, entry: Entry, position: number): void => {
  heap[position] = entry
  entry.position = position
}

const rise = (heap: Array<Entry>, entry: Entry): void => {
  let position = entry.position
  while (position > 0) {
    const above = (position - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || parent.dueAt <= entry.dueAt) break
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
    const child = right !== undefined && left !== undefined && right.dueAt < left.dueAt ? right : left
    if (child === undefined || child.dueAt >= entry.dueAt) break
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
