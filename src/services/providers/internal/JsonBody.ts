/**
 * Reads the JSON that providers send, trusting no field.
 *
 * @since 0.1.0
 */

/**
 * One answer of a server, read to its end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reply {
  readonly status: number
  readonly headers: Headers
  /** The parsed JSON, or the first characters of the text when it is not JSON. */
  readonly body: unknown
  /** The characters of the whole body. */
  readonly length?: number | undefined
}

/**
 * The fields of a JSON object.
 *
 * @category models
 * @since 0.1.0
 */
export type Fields = Readonly<Record<string, unknown>>

/**
 * Returns whether the value is a JSON object.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * Returns the value's fields; none when it is not a JSON object.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fieldsOf = (value: unknown): Fields => isFields(value) ? value : {}

/**
 * Returns the value when it is a string, else the empty string.
 *
 * @category constructors
 * @since 0.1.0
 */
export const textOf = (value: unknown): string => typeof value === "string" ? value : ""

/**
 * Returns the value's items; none when it is not an array.
 *
 * @category constructors
 * @since 0.1.0
 */
export const itemsOf = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []

/**
 * Returns the value when it is a count, a natural number, else `undefined`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const countOf = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined

/** How deep arrays and objects of a body may be nested: none of the APIs comes near it. */
const maxDepth = 500

/**
 * Returns the JSON that the text holds, or the text itself when it is none.
 *
 * **Details**
 *
 * JSON that is nested deeper than 500 levels counts as none: it could be read,
 * but writing it to the journal would overflow the stack.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): unknown => {
  try {
    const value: unknown = JSON.parse(text)
    return isDeeper(value, maxDepth) ? text : value
  } catch {
    return text
  }
}

const isDeeper = (value: unknown, depth: number): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (depth === 0) return true
  for (const inner of Object.values(value)) if (isDeeper(inner, depth - 1)) return true
  return false
}

/**
 * Returns whether the field `error` of a body says that something went wrong.
 *
 * **Details**
 *
 * `null`, an empty text and an object whose fields are all `null` or empty say
 * nothing.
 *
 * @category guards
 * @since 0.1.0
 */
export const isErrorSet = (error: unknown): boolean =>
  isFields(error)
    ? Object.values(error).some((value) => value !== null && value !== "")
    : error !== undefined && error !== null && error !== "" && error !== false
