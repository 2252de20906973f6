/**
 * One timer for the deadlines of all callers: a fiber per caller would cost
 * more memory than the call.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import type * as Scope from "effect/Scope"

/** A deadline that has not passed. */
interface Entry {
  /** Monotonic time, in milliseconds. */
  readonly at: number
  readonly onPassed: () => void
  /** Where it stands in the heap; -1 when it is out. */
  position: number
}

export interface Deadlines {
  /** Calls `onPassed` once at monotonic time `at` (milliseconds), unless the returned function was called before. */
  readonly register: (at: number, onPassed: () => void) => () => void
}

/** Milliseconds of a clock that is never set back. */
export const monotonicMillis: Effect.Effect<number> = Effect.map(
  Clock.monotonicTimeNanos,
  (nanos) => Number(nanos) / 1_000_000
)

export const make: Effect.Effect<Deadlines, never, Scope.Scope> = Effect.gen(function*() {
  const heap: Array<Entry> = []
  const changed = Latch.makeUnsafe(false)
  let wakesAt = Infinity

  const wait = Effect.gen(function*() {
    const next = heap[0]
    wakesAt = next?.at ?? Infinity
    if (next === undefined) return yield* changed.await
    const remaining = next.at - (yield* monotonicMillis)
    if (remaining > 0) yield* Effect.raceFirst(Effect.sleep(Duration.millis(remaining)), changed.await)
  })

  const fire = Effect.map(monotonicMillis, (now) => {
    for (let next = heap[0]; next !== undefined && next.at <= now; next = heap[0]) {
      remove(heap, next)
      next.onPassed()
    }
  })

  yield* changed.close.pipe(
    Effect.andThen(wait),
    Effect.andThen(fire),
    Effect.forever,
    Effect.forkScoped({ startImmediately: true })
  )

  return {
    register: (at, onPassed) => {
      const entry: Entry = { at, onPassed, position: heap.length }
      heap.push(entry)
      rise(heap, entry)
      // A timer for a deadline that is gone by now is early enough, so that calls in turn need no timer each.
      if (at < wakesAt) changed.openUnsafe()
      return () => remove(heap, entry)
    }
  }
})

const place = (heap: Array<Entry>, entry: Entry, position: number): void => {
  heap[position] = entry
  entry.position = position
}

const rise = (heap: Array<Entry>, entry: Entry): void => {
  let position = entry.position
  while (position > 0) {
    const above = (position - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || parent.at <= entry.at) break
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
    const child = right !== undefined && left !== undefined && right.at < left.at ? right : left
    if (child === undefined || child.at >= entry.at) break
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
