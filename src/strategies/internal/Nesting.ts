/**
 * How deep a request may be nested: what reads, hashes and writes it is recursive.
 */

/** The deepest nesting of a field of a request, in levels of arrays and objects. No API comes near it. */
export const maxLevels = 500

/** Fields that hold values of Effect, not data. */
const opaque: ReadonlySet<string> = new Set(["schema", "retry", "poll"])

/** Returns the fields of a request that are nested deeper than `maxLevels`, or hold themselves. */
export const tooDeep = (request: unknown): ReadonlyArray<string> =>
  typeof request !== "object" || request === null ?
    [] :
    Object.entries(request).flatMap(([field, value]) =>
      !opaque.has(field) && isDeeper(value, maxLevels, new Map()) ? [field] : []
    )

/** `checked` holds the values that fit, with the fewest levels that they were checked for. */
const isDeeper = (value: unknown, levels: number, checked: Map<object, number>): boolean => {
  // Every byte would be a value of its own.
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return false
  if (levels === 0) return true
  if ((checked.get(value) ?? Infinity) <= levels) return false
  for (const inner of Object.values(value)) {
    if (isDeeper(inner, levels - 1, checked)) return true
  }
  checked.set(value, levels)
  return false
}
