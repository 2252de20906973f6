/**
 * Finds the fenced blocks of Markdown.
 */
import type { Span } from "./JsonSpans.ts"

/**
 * Returns the contents of the fenced blocks of a text, in order, without the
 * space around them.
 *
 * **Details**
 *
 * A fence is a line of three or more backticks or tildes, with any indentation,
 * also as the item of a list. A block without a closing fence goes to the end.
 *
 * **Source**
 *
 * CommonMark 0.31.2, 4.5, "Fenced code blocks".
 */
export const blocksOf = (text: string): ReadonlyArray<Span> => {
  const blocks: Array<Span> = []
  let open: { readonly marks: string; readonly start: number } | undefined
  for (const { 0: line, groups: { info = "", item, marks = "" } = {}, index } of text.matchAll(fences)) {
    if (open === undefined) {
      // Backticks further on make it code within a line.
      if (marks.startsWith("~") || !info.includes("`")) open = { marks, start: index + line.length }
    } else if (item === undefined && marks.startsWith(open.marks) && info.trim() === "") {
      blocks.push(trimmed(text, { start: open.start, end: index }))
      open = undefined
    }
  }
  if (open !== undefined) blocks.push(trimmed(text, { start: open.start, end: text.length }))
  return blocks
}

/** Returns the lines that may be fences, in order. */
export const linesOf = (text: string): ReadonlyArray<Span> =>
  Array.from(text.matchAll(fences), ({ 0: line, index }) => ({ start: index, end: index + line.length }))

const fences = /^[ \t]*(?<item>(?:[-*+]|\d{1,9}[.)])[ \t]+)?(?<marks>`{3,}|~{3,})(?<info>.*)$/gm

/** Returns a part of a text without the space around it. */
export const trimmed = (text: string, { end, start }: Span): Span => {
  const part = text.slice(start, end)
  const left = part.length - part.trimStart().length
  return { start: start + left, end: start + left + part.trim().length }
}
