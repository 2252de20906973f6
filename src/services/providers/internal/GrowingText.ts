/**
 * A text that comes in many small pieces.
 *
 * @since 0.1.0
 */
import { isFields } from "./JsonBody.ts"

/** Pieces are joined to blocks of this many characters. */
const blockLength = 65_536

/**
 * A text that grows at its end.
 *
 * **Details**
 *
 * It takes little more memory than its characters, where a string that was put together with `+` keeps all its pieces.
 *
 * @category models
 * @since 0.1.0
 */
export class GrowingText {
  readonly #blocks: Array<string> = []
  #tail: Array<string> = []
  #tailLength = 0

  constructor(text: string) {
    this.append(text)
  }

  /** Adds a piece. */
  append(piece: string): this {
    if (piece === "") return this
    this.#tail.push(piece)
    this.#tailLength += piece.length
    if (this.#tailLength >= blockLength) {
      this.#blocks.push(this.#tail.join(""))
      this.#tail = []
      this.#tailLength = 0
    }
    return this
  }

  /** All of it. */
  get text(): string {
    return this.#blocks.join("") + this.#tail.join("")
  }
}

/**
 * Returns what was there, a text, with a piece at its end. A text of one piece is a string.
 *
 * @category combinators
 * @since 0.1.0
 */
export const grow = (text: GrowingText | string, piece: string): GrowingText =>
  (text instanceof GrowingText ? text : new GrowingText(text)).append(piece)

/**
 * Returns a value with the texts that have grown in it, at any depth, as strings.
 *
 * @category combinators
 * @since 0.1.0
 */
export const grown = (value: unknown): unknown => {
  if (value instanceof GrowingText) return value.text
  if (Array.isArray(value)) return value.map(grown)
  return isFields(value) ? grownFields(value) : value
}

/**
 * Returns an object with the texts that have grown in it, at any depth, as strings.
 *
 * @category combinators
 * @since 0.1.0
 */
export const grownFields = (fields: Readonly<Record<string, unknown>>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, grown(value)]))
