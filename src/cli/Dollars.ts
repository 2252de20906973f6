/**
 * Amounts of money, as people read them.
 *
 * @since 0.1.0
 */

/**
 * Returns an amount of nano-dollars in dollars, with two decimals at least and
 * no more than it needs: `$0.27`, `$0.0125`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const format = (nanoUsd: number): string => {
  const [whole = "0", fraction = ""] = (nanoUsd / 1e9).toFixed(9).split(".")
  return `$${whole}.${fraction.replace(/0+$/, "").padEnd(2, "0")}`
}
