/**
 * Finds the JSON values that a model may have meant as its answer.
 */
import * as Option from "effect/Option"
import * as Fences from "./Fences.ts"
import { type Span, type Value, valuesOf } from "./JsonSpans.ts"
import * as Thoughts from "./Thoughts.ts"

/** A JSON value of a text. */
export interface Candidate {
  readonly value: unknown
  readonly place: Thoughts.Place
}

/** The most parts of one text that are parsed. */
export const maxCandidates = 1000

/**
 * Returns the JSON values that a text may stand for, the likeliest first.
 *
 * **Details**
 *
 * When the whole text is JSON, it is that value alone. Otherwise they are the
 * values after the end of the last thoughts, then those before it and outside of
 * thoughts, then those in thoughts. Of each, first the fenced blocks that are
 * JSON as a whole, then all other objects and arrays that stand in no other; and
 * of these the last first. Where an object is cut or broken, the values of the
 * next place are left out. A number, a string, a boolean or `null` counts only
 * as a whole block, and as all that comes after the thoughts.
 *
 * Takes time in proportion to the length of the text. At most
 * {@link maxCandidates} parts are parsed, each when it is asked for.
 */
export function* candidatesOf(text: string): Generator<Candidate> {
  const whole = parsed(text.trim())
  if (Option.isSome(whole)) return yield { value: whole.value, place: "answer" }
  const parts = partsOf(text)
  let left = maxCandidates
  for (const place of places) {
    const { blocks, isBroken, others } = parts[place]
    for (const found of [blocks, others]) {
      for (let index = found.length - 1; index >= 0 && left > 0; index--, left--) {
        const { end, start } = found[index]!
        const value = parsed(text.slice(start, end))
        if (Option.isSome(value)) yield { value: value.value, place }
      }
    }
    // An answer that is cut is not to be found in a draft of it.
    if (isBroken) return
  }
}

const places = ["answer", "outside", "thoughts"] as const satisfies ReadonlyArray<Thoughts.Place>

// Brackets without an end would take the parser longer than everything else here.
const parsed = (text: string): Option.Option<unknown> => {
  const end = ends.get(text.charAt(0))
  const mayBeJson = end === undefined ? scalar.test(text) : text.endsWith(end)
  return mayBeJson ? parse(text) : Option.none()
}

const ends: ReadonlyMap<string, string> = new Map([["{", "}"], ["[", "]"]])

const parse = Option.liftThrowable((text: string): unknown => JSON.parse(text))

/** The parts of a text that may be JSON, in order. */
interface Parts {
  /** Fenced blocks, and all of the text after the thoughts. */
  readonly blocks: Array<Span>
  /** Other objects and arrays. */
  readonly others: Array<Span>
  /** Whether an object is cut or broken. */
  isBroken: boolean
}

const partsOf = (text: string): Record<Thoughts.Place, Parts> => {
  const tags = Thoughts.tagsOf(text)
  const edges = [...tags, ...Fences.linesOf(text)].map(({ start }) => start).sort((a, b) => a - b)
  const values = valuesOf(text, edges)
  const parts: Record<Thoughts.Place, Parts> = { answer: none(), outside: none(), thoughts: none() }
  let index = 0
  for (const section of Thoughts.sectionsOf(text, outsideOf(tags, values))) {
    const { blocks, others } = parts[section.place]
    const ends = new Map(wholesOf(text, section).map(({ end, start }) => [start, end]))
    for (let value = values[index]; value !== undefined && value.start < section.end; value = values[++index]) {
      if (!value.isJson) parts[section.place].isBroken = true
      else if (ends.get(value.start) !== value.end) others.push(value)
      else {
        blocks.push(value)
        ends.delete(value.start)
      }
    }
    for (const [start, end] of ends) if (scalar.test(text.charAt(start))) blocks.push({ start, end })
  }
  return parts
}

const none = (): Parts => ({ blocks: [], others: [], isBroken: false })

/** What may be a value as a whole. */
const wholesOf = (text: string, { end, place, start }: Thoughts.Section): ReadonlyArray<Span> => {
  const section = text.slice(start, end)
  const all = Fences.trimmed(section, { start: 0, end: section.length })
  const isAfterThoughts = place === "answer" && start > 0
  return [...(isAfterThoughts ? [all] : []), ...Fences.blocksOf(section)].map((block) => ({
    start: start + block.start,
    end: start + block.end
  }))
}

const scalar = /^["\-\dtfn]/

/** The tags that do not stand in a string of JSON. */
const outsideOf = (tags: ReadonlyArray<Thoughts.Tag>, values: ReadonlyArray<Value>): ReadonlyArray<Thoughts.Tag> => {
  let index = 0
  return tags.filter(({ start }) => {
    while (index < values.length && values[index]!.end <= start) index++
    return index === values.length || start < values[index]!.start
  })
}
