/**
 * Files that are kept open between two appends: most sessions are appended to
 * several times in a row, and an open file cannot be taken for another.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/**
 * Files that nobody uses now, by key. Who takes one out owns it.
 *
 * @category models
 * @since 0.1.0
 */
export interface IdleFiles<A> {
  /** Takes the file of a key out. */
  readonly take: (key: string) => A | undefined
  /** Puts a file in, and closes the one that was idle for longest when there are too many. */
  readonly put: (key: string, file: A) => Effect.Effect<void>
  /** Closes the file of a key. */
  readonly drop: (key: string) => Effect.Effect<void>
}

/**
 * Creates a place for at most `capacity` idle files. They are closed with the
 * scope.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*<A>(
  capacity: number,
  close: (file: A) => Effect.Effect<void>
): Effect.fn.Return<IdleFiles<A>, never, Scope.Scope> {
  const files = new Map<string, A>()
  const take = (key: string): A | undefined => {
    const file = files.get(key)
    files.delete(key)
    return file
  }
  const drop = (key: string): Effect.Effect<void> =>
    Effect.suspend(() => {
      const file = take(key)
      return file === undefined ? Effect.void : close(file)
    })

  let isClosed = false
  yield* Effect.addFinalizer(() => {
    isClosed = true
    return Effect.forEach([...files.keys()], drop, { discard: true })
  })
  return {
    take,
    drop,
    put: (key, file) =>
      Effect.suspend(() => {
        if (isClosed) return close(file)
        files.set(key, file)
        const [oldest] = files.keys()
        return files.size > capacity && oldest !== undefined ? drop(oldest) : Effect.void
      })
  }
})
