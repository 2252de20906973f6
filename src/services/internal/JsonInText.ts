/**
 * Finds JSON in what a model wrote.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"

/**
 * Returns the JSON values that a text may stand for: the whole of it, or what
 * a Markdown fence around it holds, or else every object and array that stands
 * in it and in no other bracket; what is written twice counts once.
 *
 * **Details**
 *
 * Takes time in proportion to the length of the text. A bracket that is never
 * closed ends the search: what stands within it is a piece of something, and
 * no answer.
 *
 * @category combinators
 * @since 0.1.0
 */
export const valuesOf = (text: string): ReadonlyArray<unknown> => {
  const whole = parsed(text)
  if (Option.isSome(whole)) return [whole.value]
  const fenced = fence.exec(text.trim())?.[1]
  const inFence = fenced === undefined ? Option.none() : parsed(fenced)
  return Option.isSome(inFence) ? [inFence.value] : bracketed(text)
}

const fence = /^```[^\n`]*\n([^]*?)\n?```$/

const parsed = Option.liftThrowable((text: string): unknown => JSON.parse(text))

const bracketed = (text: string): ReadonlyArray<unknown> => {
  const values = new Map<string, unknown>()
  let depth = 0
  let start = 0
  let isInString = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (isInString) {
      if (character === "\\") index++
      else if (character === "\"") isInString = false
    } else if (character === "{" || character === "[") {
      if (depth++ === 0) start = index
    } else if (depth > 0 && character === "\"") {
      isInString = true
    } else if (depth > 0 && (character === "}" || character === "]") && --depth === 0) {
      const piece = text.slice(start, index + 1)
      const value = parsed(piece)
      if (Option.isSome(value)) values.set(piece, value.value)
    }
  }
  return [...values.values()]
}
