/**
 * Adds the fields of a delta to those that came before it.
 */
import { grow, GrowingText, grown } from "./GrowingText.ts"
import { type Fields, isFields } from "./JsonBody.ts"

/** Returns whether a field has a value: not `null`, and not an empty text or list. */
export const isPresent = (value: unknown): boolean =>
  value !== null && value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0)

/** Texts that each delta has whole. */
const wholeTexts: ReadonlySet<string> = new Set(["role", "id", "type", "name", "channel"])

/**
 * Adds a delta to `target`: texts and arrays are joined, objects are merged, and of other values the last one stays.
 * Time and memory are linear in the length of the deltas.
 */
export const addDelta = (target: Record<string, unknown>, delta: Fields): void => {
  for (const key in delta) {
    // As a key of an object it would lead to the prototype that all share.
    if (key === "__proto__") continue
    const value = delta[key]
    const mine = target[key]
    const text = mine instanceof GrowingText || (typeof mine === "string" && !wholeTexts.has(key)) ? mine : undefined
    if (typeof value === "string" && text !== undefined) target[key] = grow(text, value)
    else if (Array.isArray(mine) && Array.isArray(value)) mine.push(...value)
    // Mistral writes parts while it thinks, and then text.
    else if (Array.isArray(mine) && typeof value === "string") mine.push(value)
    else if ((text !== undefined || typeof mine === "string") && Array.isArray(value)) {
      target[key] = [grown(mine), ...value]
    } else if (text !== undefined) continue
    else if (isFields(value) && isRecord(mine)) addDelta(mine, value)
    else if (isPresent(value) || mine === undefined) target[key] = copyOf(value)
  }
}

// What is kept is added to later, and the event is not ours to change.
const copyOf = (value: unknown): unknown => Array.isArray(value) ? [...value] : isFields(value) ? { ...value } : value

const isRecord = (value: unknown): value is Record<string, unknown> => isFields(value)
