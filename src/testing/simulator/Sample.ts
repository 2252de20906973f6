/**
 * The simplest value that fits a JSON Schema.
 *
 * @since 0.1.0
 */
import { isObject, type JsonObject, numberAt, objectAt, stringAt } from "./Json.ts"

/**
 * Returns a value that fits a JSON Schema, as JSON text; `undefined` for what is no schema.
 *
 * **Details**
 *
 * Lists have one item, optional properties are left out, and of several choices the first is taken. A `pattern` is not
 * followed, and neither are bounds but the least ones.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fitting = (schema: unknown): string | undefined =>
  isObject(schema) ? JSON.stringify(valueOf(schema, schema, 0)) : undefined

/** A schema may refer to itself: below this depth nothing is made that need not be there. */
const maxDepth = 8

const valueOf = (schema: JsonObject, root: JsonObject, depth: number): unknown => {
  const reference = stringAt(schema, "$ref")
  if (reference !== undefined) return valueOf(resolve(reference, root), root, depth + 1)
  if ("const" in schema) return schema["const"]
  const [first] = listAt(schema, "enum")
  if (first !== undefined) return first
  const choices = [...objectsAt(schema, "anyOf"), ...objectsAt(schema, "oneOf")]
  const choice = depth > maxDepth ? choices.at(-1) : choices[0]
  if (choice !== undefined) return valueOf({ ...choice, ...without(schema, "anyOf", "oneOf") }, root, depth + 1)
  const all = objectsAt(schema, "allOf")
  if (all.length > 0) return valueOf(Object.assign({}, without(schema, "allOf"), ...all), root, depth + 1)
  const type = schema["type"]
  return ofType(Array.isArray(type) ? type[0] : type, schema, root, depth)
}

const ofType = (type: unknown, schema: JsonObject, root: JsonObject, depth: number): unknown => {
  switch (type) {
    case "string":
      return formats[stringAt(schema, "format") ?? ""] ?? "text".padEnd(numberAt(schema, "minLength") ?? 0, ".")
    case "integer":
    case "number":
      return Math.max(1, numberAt(schema, "minimum") ?? 1, (numberAt(schema, "exclusiveMinimum") ?? 0) + 1)
    case "boolean":
      return true
    case "null":
      return null
    case "array": {
      const places = objectsAt(schema, "prefixItems").map((item) => valueOf(item, root, depth + 1))
      const item = schema["items"]
      const least = numberAt(schema, "minItems") ?? (depth > maxDepth ? 0 : 1)
      while (isObject(item) && places.length < least) places.push(valueOf(item, root, depth + 1))
      return places
    }
    default: {
      const properties = objectAt(schema, "properties")
      return Object.fromEntries(
        listAt(schema, "required").flatMap((key) =>
          typeof key === "string" ? [[key, valueOf(objectAt(properties, key), root, depth + 1)]] : []
        )
      )
    }
  }
}

const formats: Readonly<Record<string, string>> = {
  "date-time": "2026-01-01T00:00:00.000Z",
  "date": "2026-01-01",
  "time": "00:00:00Z",
  "duration": "PT1H",
  "email": "someone@example.com",
  "hostname": "example.com",
  "ipv4": "192.0.2.1",
  "ipv6": "2001:db8::1",
  "uri": "https://example.com",
  "uuid": "00000000-0000-4000-8000-000000000000"
}

/** What a reference such as `#/$defs/Node` points to. */
const resolve = (reference: string, root: JsonObject): JsonObject =>
  reference.split("/").slice(1).reduce<JsonObject>(
    (at, step) => objectAt(at, step.replaceAll("~1", "/").replaceAll("~0", "~")),
    root
  )

const listAt = (schema: JsonObject, key: string): ReadonlyArray<unknown> => {
  const value = schema[key]
  return Array.isArray(value) ? value : []
}

const objectsAt = (schema: JsonObject, key: string): ReadonlyArray<JsonObject> => listAt(schema, key).filter(isObject)

const without = (schema: JsonObject, ...keys: ReadonlyArray<string>): JsonObject =>
  Object.fromEntries(Object.entries(schema).filter(([key]) => !keys.includes(key)))
