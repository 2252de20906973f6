/**
 * Base64 of large content, read and written in pieces: other work of the
 * process goes on between them.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"

/** Characters of base64 that are handled at once: a multiple of 4, a few milliseconds of work. */
const pieceLength = 1 << 18

/** Shorter content is handled without a pause: a pause costs more than the work. */
const minPaused = 1 << 16

/**
 * Returns the base64, with padding and without white space, that names the
 * same bytes; `None` when the text is no base64. Both alphabets are read.
 */
export const normalized = Effect.fnUntraced(function*(text: string) {
  const compact = yield* withoutSpace(text)
  let end = compact.length
  while (compact[end - 1] === "=") end--
  let isNormal = end > 0
  const pieces = yield* mapPieces(end, pieceLength, (from, to) => {
    const piece = compact.slice(from, to)
    const again = encodedAgain(piece)
    isNormal &&= again === (to === end ? compact.slice(from) : piece)
    return again
  })
  if (pieces.includes(undefined)) return Option.none()
  // The text of the caller instead of a second one: both are large.
  return Option.some(isNormal ? compact : pieces.join(""))
})

/** Returns the base64 of bytes. */
export const encode = (bytes: Uint8Array): Effect.Effect<string> => {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Effect.map(
    mapPieces(buffer.length, bytesOf(pieceLength), (from, to) => buffer.toString("base64", from, to)),
    (pieces) => pieces.join("")
  )
}

const withoutSpace = Effect.fnUntraced(function*(text: string) {
  const pieces = yield* mapPieces(text.length, pieceLength, (from, to) => text.slice(from, to).replace(/\s+/g, ""))
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
  if (length === text.length) return text
  const compact = pieces.join("")
  if (length >= minPaused) yield* Effect.yieldNow
  return compact
})

// `Buffer` passes over what is not of the alphabet: bytes are missing then. It takes a wide character for its low byte.
const encodedAgain = (piece: string): string | undefined => {
  const bytes = Buffer.from(piece, "base64")
  const isWhole = bytes.length === bytesOf(piece.length) && piece.length % 4 !== 1
  return isWhole && Buffer.byteLength(piece) === piece.length ? bytes.toString("base64") : undefined
}

const bytesOf = (characters: number): number => Math.floor(characters * 3 / 4)

const mapPieces = Effect.fnUntraced(function*<A>(length: number, size: number, f: (from: number, to: number) => A) {
  const pieces: Array<A> = []
  for (let from = 0; from < length; from += size) {
    pieces.push(f(from, Math.min(from + size, length)))
    if (length >= minPaused) yield* Effect.yieldNow
  }
  return pieces
})
