/**
 * Where the sessions that were used last ended: hints that spare reading
 * whole files, and are checked against the file.
 *
 * @since 0.1.0
 */
import type { Point } from "./JournalFile.ts"

/**
 * The last line that was seen of a session.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tip extends Point {
  /** Where the line starts, in bytes from the start of the file. */
  readonly start: number
}

/**
 * A tip, and the file that it was seen in.
 *
 * @category models
 * @since 0.1.0
 */
export interface SeenTip extends Tip {
  readonly identity: string
  /** The length of the file, in bytes. */
  readonly end: number
}

/**
 * The tips of the sessions that were used last.
 *
 * @category models
 * @since 0.1.0
 */
export interface SessionTips {
  readonly has: (key: string) => boolean
  /** The tip, if it can be of the file as it is now. */
  readonly get: (key: string, file: { readonly identity: string; readonly size: number }) => Tip | undefined
  readonly set: (key: string, tip: SeenTip) => void
  readonly delete: (key: string) => void
}

/**
 * Creates a memory of the tips of `capacity` sessions.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (capacity: number): SessionTips => {
  const tips = new Map<string, SeenTip>()
  return {
    has: (key) => tips.has(key),
    get: (key, file) => {
      const tip = tips.get(key)
      return tip !== undefined && tip.identity === file.identity && tip.end <= file.size ? tip : undefined
    },
    set: (key, { end, identity, incarnation, number, start }) => {
      tips.delete(key)
      tips.set(key, { end, identity, incarnation, number, start })
      if (tips.size <= capacity) return
      for (const oldest of tips.keys()) {
        tips.delete(oldest)
        return
      }
    },
    delete: (key) => void tips.delete(key)
  }
}
