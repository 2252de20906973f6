/**
 * Values that are made once for each key, and kept in a bounded number.
 *
 * @since 0.1.0
 */

/**
 * Returns the value of a key, and makes it if it is not there. Of more than
 * `most` values, the one that was made first goes first.
 *
 * @category combinators
 * @since 0.1.0
 */
export const getOrMake = <A>(values: Map<string, A>, key: string, make: () => A, most: number): A => {
  const known = values.get(key)
  if (known !== undefined) return known
  const made = make()
  for (const oldest of values.keys()) {
    if (values.size >= most) values.delete(oldest)
  }
  values.set(key, made)
  return made
}
