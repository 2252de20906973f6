/**
 * Text that a terminal shows instead of obeying.
 *
 * @since 0.1.0
 */

/**
 * Returns the text without escape sequences and control characters; line
 * breaks and tabs stay.
 *
 * **Details**
 *
 * A model's answer may hold sequences that move the cursor, set the title or
 * write to the clipboard.
 *
 * **Source**
 *
 * ECMA-48, 5.4 (control sequences) and 5.6 (control strings)
 *
 * @category combinators
 * @since 0.1.0
 */
export const printable = (text: string): string =>
  text.replaceAll("\r\n", "\n").replace(sequences, "").replace(controls, "")

/**
 * Returns the text on one line, at most `length` characters long.
 *
 * @category combinators
 * @since 0.1.0
 */
export const oneLine = (text: string, length: number): string => {
  const line = printable(text).replace(/\s+/g, " ").trim()
  return line.length <= length ? line : `${line.slice(0, Math.max(0, length - 1))}…`
}

// Control strings with their end (or the text's), control sequences, then any other escape.
const sequences =
  /(?:\x1b[P\]X^_]|[\x90\x98\x9d-\x9f])[^]*?(?:\x07|\x1b\\|\x9c|$)|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|\x1b[ -/]*[0-~]?/g

const controls = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g
