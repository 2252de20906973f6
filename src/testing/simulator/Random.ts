/**
 * Seeded randomness: the same seed gives the same ids and the same draws.
 *
 * @since 0.1.0
 */

/**
 * A source of ids and draws.
 *
 * @category models
 * @since 0.1.0
 */
export interface Random {
  /** Returns the next number in [0, 1). */
  readonly next: () => number
  /** Returns `prefix` and `length` lower-case hexadecimal digits (at least 16); never the same id twice. */
  readonly id: (prefix: string, length: number) => string
}

/**
 * Creates a source from an integer seed.
 *
 * **Source**
 *
 * The generator is mulberry32 by Tommy Ettinger, in the public domain.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (seed: number): Random => {
  const draws = mulberry32(seed)
  const digits = mulberry32(seed ^ 0x5eed)
  let count = 0
  return {
    next: () => draws() / 4_294_967_296,
    id: (prefix, length) => {
      let text = (++count).toString(16).padStart(8, "0")
      while (text.length < length) text = digits().toString(16).padStart(8, "0") + text
      return prefix + text.slice(text.length - length)
    }
  }
}

const mulberry32 = (seed: number) => {
  let state = seed >>> 0
  return (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
}
