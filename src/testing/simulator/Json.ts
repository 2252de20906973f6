/**
 * Reading of parsed JSON of unknown shape.
 *
 * @since 0.1.0
 */

/**
 * A JSON object of unknown shape.
 *
 * @category models
 * @since 0.1.0
 */
export type JsonObject = Readonly<Record<string, unknown>>

/**
 * Returns whether a value is an object, neither `null` nor an array.
 *
 * @category guards
 * @since 0.1.0
 */
export const isObject = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/**
 * Returns the string under a key, or `undefined` when there is none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const stringAt = (object: JsonObject, key: string): string | undefined => {
  const value = object[key]
  return typeof value === "string" ? value : undefined
}

/**
 * Returns the finite number under a key, or `undefined` when there is none.
 *
 * @category combinators
 * @since 0.1.0
 */
export const numberAt = (object: JsonObject, key: string): number | undefined => {
  const value = object[key]
  return typeof value === "number" && Number.isFinite(value) ? value : undefined
}

/**
 * Returns the object under a key, or an empty one.
 *
 * @category combinators
 * @since 0.1.0
 */
export const objectAt = (object: JsonObject, key: string): JsonObject => {
  const value = object[key]
  return isObject(value) ? value : {}
}

/**
 * Returns the object that is the first item of the array under a key, or an empty one.
 *
 * @category combinators
 * @since 0.1.0
 */
export const firstAt = (object: JsonObject, key: string): JsonObject => {
  const value = object[key]
  const first: unknown = Array.isArray(value) ? value[0] : undefined
  return isObject(first) ? first : {}
}

/**
 * Returns the parsed JSON text, or `undefined` when it is not JSON.
 *
 * @category combinators
 * @since 0.1.0
 */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * Returns the text of the last user turn of an input: a string, messages, or content parts.
 *
 * @category combinators
 * @since 0.1.0
 */
export const promptOf = (input: unknown): string => {
  if (typeof input === "string") return input
  if (!Array.isArray(input)) return ""
  for (let index = input.length - 1; index >= 0; index--) {
    const item: unknown = input[index]
    if (isObject(item) && item["role"] === "user") return contentText(item["content"])
  }
  return ""
}

const contentText = (content: unknown): string => {
  if (typeof content === "string") return content
  if (!Array.isArray(content)) return ""
  return content
    .map((part: unknown) => isObject(part) ? stringAt(part, "text") ?? "" : "")
    .filter((text) => text !== "")
    .join("\n")
}
