/**
 * Text that is shown as it grows, piece by piece.
 *
 * @since 0.1.0
 */
import { printable } from "./Printable.ts"

/**
 * Makes pieces of a text fit to be written one by one.
 *
 * @category models
 * @since 0.1.0
 */
export interface Pieces {
  /** Returns what can be written by now; the rest is held back until more is known. */
  readonly next: (piece: string) => string
  /** Returns what was held back. */
  readonly rest: () => string
}

/**
 * Creates an empty text.
 *
 * **Details**
 *
 * Characters that two pieces share are kept together. For a terminal, all
 * pieces together are the `printable` text, wherever they are cut.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (forTerminal: boolean): Pieces => {
  const unfinished = forTerminal ? unfinishedOnTerminal : unfinishedCharacter
  const shown = forTerminal ? printable : (text: string): string => text
  let held = ""
  return {
    next: (piece) => {
      const text = held + piece
      const end = unfinished.exec(text)?.index ?? text.length
      held = withoutInside(text.slice(end))
      return shown(text.slice(0, end))
    },
    rest: () => {
      const text = shown(held)
      held = ""
      return text
    }
  }
}

const unfinishedCharacter = /[\ud800-\udbff]$/

// A control string without its end, or the beginning of a control sequence, an escape, a line break or a character.
const unfinishedOnTerminal =
  /(?:\x1b[P\]X^_]|[\x90\x98\x9d-\x9f])(?:(?!\x1b\\)[^\x07\x9c])*$|(?:\x1b\[|\x9b)[0-?]*[ -/]*$|\x1b[ -/]*$|\r$|[\ud800-\udbff]$/

// What a control string says is never shown: only how it begins and what may end it matter.
const withoutInside = (text: string): string => text.replace(/^(\x1b[P\]X^_]|[\x90\x98\x9d-\x9f])[^]*?(\x1b?)$/, "$1$2")
