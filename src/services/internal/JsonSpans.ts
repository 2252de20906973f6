/**
 * Finds the objects and arrays of JSON that stand in a text.
 */

/** A part of a text: from `start`, up to and without `end`. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** An object or an array, or what was to be one. */
export interface Value extends Span {
  /** Whether it is JSON; otherwise it is an object that is cut or broken. */
  readonly isJson: boolean
}

/** The deepest nesting that is read: no schema decodes more. */
export const maxDepth = 10_000

/**
 * Returns every object and array of a text that stands in no other, in order,
 * and the objects that are cut or broken.
 *
 * **Details**
 *
 * A bracket of prose ("in [0, 1)") hides nothing after it. What stands within
 * an object that is cut or broken is a piece of it and not a value. A broken
 * object ends at its closing bracket, and at one of `edges` at the latest, which
 * are sorted positions. Brackets nested deeper than {@link maxDepth} are not a
 * value. Takes time in proportion to the length of the text.
 */
export const valuesOf = (text: string, edges: ReadonlyArray<number>): ReadonlyArray<Value> => {
  const values: Array<Value> = []
  // A broken object without an end is looked through to the next edge; many of them would take too long.
  let budget = 4 * text.length
  for (let start = opening(text, 0); start < text.length;) {
    const reading = read(text, start)
    let next = reading.stop
    if (!reading.isBegun) next = reading.lastString === undefined ? next : reading.lastString + 1
    else if (!reading.isWhole && next < text.length) {
      const edge = edges[firstAfter(edges, (reading.lastString ?? next) - 1)] ?? text.length
      // A string that runs over an edge began before its object was broken off.
      if (edge < next) next = edge
      else if (budget > 0) {
        const end = closing(text, reading, edge)
        budget -= (end ?? edge) - next
        next = end ?? next
      }
    }
    if (reading.isBegun) values.push({ start, end: next, isJson: reading.isWhole })
    start = opening(text, next)
  }
  return values
}

/** How far JSON goes from an opening bracket on. */
interface Reading {
  /** Whether its closing bracket was found, before `stop`. */
  readonly isWhole: boolean
  /** The first character that is not JSON. */
  readonly stop: number
  /** How many brackets are open. */
  readonly depth: number
  /** Whether an object with a key was begun, or the text ends in it: other brackets may be of prose. */
  readonly isBegun: boolean
  /** Where the string begins in which it stopped, or right after which. */
  readonly lastString: number | undefined
  readonly isInString: boolean
}

const read = (text: string, start: number): Reading => {
  const isObject: Array<boolean> = []
  let expected: "value" | "value or end" | "key" | "key or end" | "colon" | "comma or end" = "value"
  let index = start
  let hasKey = false
  let lastString: number | undefined
  const stopped = (stop: number, inString?: "key" | "value"): Reading => ({
    isWhole: false,
    stop,
    depth: isObject.length,
    isBegun: hasKey || stop === text.length && inString !== "value",
    lastString,
    isInString: inString !== undefined
  })
  while (true) {
    index = afterSpace(text, index)
    const character = text[index]
    const isValueExpected: boolean = expected === "value" || expected === "value or end"
    if (character === "\"") {
      const isKey: boolean = expected === "key" || expected === "key or end"
      lastString = index
      if (!isKey && !isValueExpected) return stopped(index)
      index = stringEnd(text, index + 1)
      if (text[index] !== "\"") return stopped(index, isKey ? "key" : "value")
      index++
      expected = isKey ? "colon" : "comma or end"
      continue
    }
    switch (character) {
      case "{":
      case "[":
        if (!isValueExpected || isObject.length === maxDepth) return stopped(index)
        isObject.push(character === "{")
        expected = character === "{" ? "key or end" : "value or end"
        index++
        break
      case "}":
      case "]":
        if (!expected.endsWith("or end") || isObject.at(-1) !== (character === "}")) return stopped(index)
        isObject.pop()
        index++
        if (isObject.length === 0) {
          return { isWhole: true, stop: index, depth: 0, isBegun: true, lastString, isInString: false }
        }
        expected = "comma or end"
        break
      case ",":
        if (expected !== "comma or end") return stopped(index)
        expected = isObject.at(-1) === true ? "key" : "value"
        index++
        break
      case ":":
        if (expected !== "colon") return stopped(index)
        hasKey = true
        expected = "value"
        index++
        break
      default: {
        scalar.lastIndex = index
        if (!isValueExpected || !scalar.test(text)) return stopped(index)
        index = scalar.lastIndex
        expected = "comma or end"
      }
    }
    lastString = undefined
  }
}

const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y

const opening = (text: string, from: number): number => {
  let index = from
  while (index < text.length && text[index] !== "{" && text[index] !== "[") index++
  return index
}

const afterSpace = (text: string, from: number): number => {
  let index = from
  while (isSpace(text.charCodeAt(index))) index++
  return index
}

const isSpace = (code: number): boolean => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

/** The closing quote of a string, or the first character that it cannot hold, or the end of the text. */
const stringEnd = (text: string, from: number): number => {
  let index = from
  while (index < text.length) {
    const code = text.charCodeAt(index)
    if (code === quote || code < 0x20) return index
    if (code !== backslash) index++
    else {
      const { length } = escape(text, index)
      if (length === 0) return index
      index += length
    }
  }
  return index
}

const quote = 0x22
const backslash = 0x5c

const escape = (text: string, index: number): string => {
  escapes.lastIndex = index
  return escapes.exec(text)?.[0] ?? ""
}

const escapes = /\\(?:["\\/bfnrt]|u[\da-fA-F]{4})/y

/** The end of a value that is not JSON, by its brackets and strings alone; `undefined` when it has none before `limit`. */
const closing = (text: string, reading: Reading, limit: number): number | undefined => {
  let { depth, isInString } = reading
  for (let index = reading.stop; index < limit; index++) {
    const character = text[index]
    if (isInString) {
      if (character === "\\") index++
      else if (character === "\"") isInString = false
    } else if (character === "\"") isInString = true
    else if (character === "{" || character === "[") depth++
    else if ((character === "}" || character === "]") && --depth === 0) return index + 1
  }
  return undefined
}

/** The index of the first position after another one. */
const firstAfter = (sorted: ReadonlyArray<number>, position: number): number => {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (sorted[middle]! > position) high = middle
    else low = middle + 1
  }
  return low
}
