/**
 * Reads values of unknown make without ever throwing: proxies, getters that
 * throw, cycles, revoked objects.
 *
 * @since 0.1.0
 */

/**
 * Returns a property, or `undefined` when the value has none or will not show
 * it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const get = (value: unknown, key: string): unknown => {
  if (!isObject(value)) return undefined
  try {
    return Reflect.get(value, key)
  } catch {
    return undefined
  }
}

/**
 * Returns whether a value can have properties.
 *
 * @category guards
 * @since 0.1.0
 */
export const isObject = (value: unknown): value is object =>
  value !== null && (typeof value === "object" || typeof value === "function")

/**
 * Returns a non-empty string property.
 *
 * @category combinators
 * @since 0.1.0
 */
export const string = (value: unknown, key: string): string | undefined => {
  const found = get(value, key)
  return typeof found === "string" && found !== "" ? found : undefined
}

/**
 * Returns a property that is a non-empty string, or a finite number in decimal.
 *
 * @category combinators
 * @since 0.1.0
 */
export const word = (value: unknown, key: string): string | undefined => {
  const found = get(value, key)
  return typeof found === "number" && Number.isFinite(found) ? String(found) : string(value, key)
}

/**
 * Returns a property that is an HTTP status, 100 to 999, as a number or as
 * three digits.
 *
 * @category combinators
 * @since 0.1.0
 */
export const status = (value: unknown, key: string): number | undefined => {
  const found = word(value, key)
  return found !== undefined && /^[1-9]\d\d$/.test(found) ? Number(found) : undefined
}

/**
 * Returns the first elements of an array, at most 16; of anything else, none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const elements = (value: unknown): ReadonlyArray<unknown> => {
  try {
    return Array.isArray(value) ? Array.prototype.slice.call(value, 0, 16) : []
  } catch {
    return []
  }
}

/**
 * Returns the JSON value that a text holds, when it begins like an object or
 * an array and is not longer than 1,000,000 characters.
 *
 * @category combinators
 * @since 0.1.0
 */
export const json = (text: string): unknown => {
  if (text.length > 1_000_000 || !/^\s{0,64}[{[]/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Creates a reader of headers by lower-case name, from a `Headers` or a record.
 *
 * @category constructors
 * @since 0.1.0
 */
export const headers = (source: unknown): (name: string) => string | undefined => {
  const read = get(source, "get")
  return (name) => {
    try {
      const value = typeof read === "function" ? read.call(source, name) : fromRecord(source, name)
      return typeof value === "string" ? value.slice(0, 1000) : undefined
    } catch {
      return undefined
    }
  }
}

const fromRecord = (source: unknown, name: string): unknown => {
  if (!isObject(source)) return undefined
  const key = Object.keys(source).slice(0, 256).find((key) => key.toLowerCase() === name)
  const value = key === undefined ? undefined : get(source, key)
  return typeof value === "number" ? String(value) : elements(value)[0] ?? value
}
