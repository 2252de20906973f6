/**
 * Compares the output items of the Responses API: which two are the same item, and which of them says more.
 */
import * as Equal from "effect/Equal"
import { type Fields, isFields, itemsOf, parse, textOf } from "./JsonBody.ts"

/** Returns the text and the refusals of a message, in the order of its parts. */
export const writtenIn = ({ content }: Fields): string =>
  typeof content === "string"
    ? content
    : itemsOf(content).map((part) => isFields(part) ? textOf(part.text) || textOf(part.refusal) : "").join("")

/**
 * Returns the items with each one once, at the place of its first mention. A repeat may say more than the first mention.
 *
 * Calls with one id and different call ids are two, and so are messages with one id whose texts have nothing in common:
 * some servers give all items the same id.
 */
export const distinct = (items: ReadonlyArray<unknown>): ReadonlyArray<Fields> => {
  const found: Array<Fields> = []
  const places = new Map<string, number>()
  for (const item of items) {
    if (!isFields(item)) continue
    const keys = keysOf(item)
    const place = keys.map((key) => places.get(key)).find((place) => place !== undefined && isSame(found[place], item))
    if (place === undefined) found.push(item)
    else found[place] = fuller(found[place] ?? item, item)
    for (const key of keys) if (!places.has(key)) places.set(key, place ?? found.length - 1)
  }
  return found
}

/** Returns what identifies an item: its type with its id, and its type with its call id. */
export const keysOf = ({ call_id: callId, id, type }: Fields): ReadonlyArray<string> => [
  ...(textOf(id) === "" ? [] : [`${textOf(type)} id ${textOf(id)}`]),
  ...(textOf(callId) === "" ? [] : [`${textOf(type)} call ${textOf(callId)}`])
]

const isSame = (one: Fields | undefined, other: Fields): boolean => {
  if (one === undefined) return false
  const [first, second] = [textOf(one.call_id), textOf(other.call_id)]
  if (first !== "" && second !== "" && first !== second) return false
  if (one.type === "message") {
    return (one.role ?? "assistant") === (other.role ?? "assistant") &&
      (one.phase ?? other.phase) === (other.phase ?? one.phase) &&
      isOneText(writtenIn(one), writtenIn(other))
  }
  if (textOf(one.id) !== "" && one.id === other.id) return true
  // Some hosts give every call the same call id.
  return one.name === other.name && isOneText(inputOf(one), inputOf(other))
}

/** Returns whether one text is the beginning of the other, or both are the same JSON. */
export const isOneText = (one: string, other: string): boolean =>
  one.startsWith(other) || other.startsWith(one) || Equal.equals(parse(one), parse(other))

const inputOf = ({ arguments: args, input }: Fields): string =>
  isFields(args) ? JSON.stringify(args) : textOf(args) || textOf(input)

/** The fields that the model writes, whose text grows. */
const writtenFields = ["arguments", "input", "code"] as const

/**
 * Returns one item out of two that describe it. The second is the later one, and wins, except where it leaves out,
 * shortens or contradicts what the first says.
 */
export const fuller = (first: Fields, second: Fields): Fields => {
  const kept: Record<string, unknown> = {}
  for (const key in first) {
    if (isSaid(first[key]) && !isSaid(second[key])) kept[key] = first[key]
  }
  if (first.type === "message" && !writtenIn(second).startsWith(writtenIn(first))) kept.content = first.content
  for (const key of writtenFields) {
    const text = textOf(first[key])
    if (text !== "" && typeof second[key] === "string" && !second[key].startsWith(text)) kept[key] = text
  }
  return Object.keys(kept).length === 0 ? second : { ...second, ...kept }
}

const isSaid = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== "" && !(Array.isArray(value) && value.length === 0)
