/**
 * Counts, as people read them.
 *
 * @since 0.1.0
 */

/**
 * Returns a count of things: `1 poll`, `2 polls`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const counted = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`
