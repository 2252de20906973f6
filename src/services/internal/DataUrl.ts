/**
 * Reads data urls, large ones in pieces.
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Base64 from "./Base64.ts"

/** The content of a data url; `data` is base64. */
export interface Content {
  /** As it is written, or `text/plain` when there is none. */
  readonly mediaType: string
  readonly data: string
}

/** Returns whether a url is a data url. */
export const isDataUrl = (url: string): boolean => /^data:/i.test(url)

/** Returns the content of a data url; `None` when it cannot be decoded. */
export const contentOf = (url: string): Effect.Effect<Option.Option<Content>> => {
  const comma = url.indexOf(",")
  if (comma < 0) return Effect.succeedNone
  const [mediaType = "", ...parameters] = url.slice("data:".length, comma).split(";")
  const body = url.slice(comma + 1)
  return Effect.map(
    parameters.at(-1)?.toLowerCase() === "base64" ? Base64.normalized(body) : fromPercent(body),
    Option.map((data) => ({ mediaType: mediaType === "" ? "text/plain" : mediaType, data }))
  )
}

const fromPercent = Effect.fnUntraced(function*(text: string) {
  const pieces: Array<Buffer> = []
  for (let from = 0, to = 0; from < text.length; from = to) {
    to = startOfCharacter(text, from + pieceLength)
    const piece = decoded(text.slice(from, to))
    if (Option.isNone(piece)) return piece
    pieces.push(Buffer.from(piece.value, "utf8"))
    if (to < text.length) yield* Effect.yieldNow
  }
  return Option.some(yield* Base64.encode(Buffer.concat(pieces)))
})

/** Characters that are decoded at once: a few milliseconds of work. */
const pieceLength = 1 << 18

/** The first place at or after `from` at which a character certainly begins. */
const startOfCharacter = (text: string, from: number): number => {
  const start = /%[0-7c-f]|[^%0-9a-f\udc00-\udfff]/gi
  start.lastIndex = from
  return start.exec(text)?.index ?? text.length
}

const decoded = Option.liftThrowable(decodeURIComponent)
