/**
 * JSON that is the same for equal values: keys are sorted, members without a
 * value are left out. Long texts come in pieces.
 */

/** Characters of a text that are written at once: a few milliseconds of work. */
const pieceLength = 1 << 18

/** Returns the pieces of a value's JSON, in their order. */
export function* piecesOf(value: unknown): Generator<string> {
  if (typeof value === "string") return yield* piecesOfText(value)
  if (typeof value !== "object" || value === null) return yield JSON.stringify(value) ?? "null"
  let separator = ""
  if (Array.isArray(value)) {
    yield "["
    for (const item of value) {
      yield separator
      yield* piecesOf(item)
      separator = ","
    }
    return yield "]"
  }
  yield "{"
  for (const [key, member] of Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1)) {
    if (member === undefined) continue
    yield `${separator}${JSON.stringify(key)}:`
    yield* piecesOf(member)
    separator = ","
  }
  yield "}"
}

function* piecesOfText(text: string): Generator<string> {
  if (text.length <= pieceLength) return yield JSON.stringify(text)
  yield "\""
  for (let from = 0, to = 0; from < text.length; from = to) {
    to = Math.min(from + pieceLength, text.length)
    // The halves of a surrogate pair stay together: alone, each is escaped.
    if (to < text.length && /[\uD800-\uDBFF]/.test(text.charAt(to - 1))) to++
    yield JSON.stringify(text.slice(from, to)).slice(1, -1)
  }
  yield "\""
}
