/**
 * Format 1 of a session's file.
 *
 * **Details**
 *
 * One line per entry, only ever appended:
 *
 * ```
 * <RS>1 <incarnation>.<number> <writer> <checksum> <payload><LF>
 * ```
 *
 * - RS is the byte 0x1E. Neither it nor LF occurs in JSON, so that a line
 *   that was torn ends where the next one starts, whoever wrote it when.
 * - `incarnation` is random, chosen by whoever writes line 1; all lines of a file share it.
 * - `number` counts from 1. The first valid line of a number counts, later ones have lost.
 * - `writer` is unique for each attempt to append.
 * - `checksum` is the first 16 hexadecimal digits of the SHA-256 of all but RS, itself and LF.
 * - `payload` is `{"key":…,"entry":…}` in line 1, `{"entry":…}` after it, and
 *   `{"removed":true}` when the session ends: what follows does not count.
 *
 * A line that ends before its LF was torn while it was written, and does not
 * count; if only the LF is missing, it does. It may stand anywhere, because
 * the next line starts with its own RS. Any other line that is not valid was
 * damaged after it was written, also when a valid line of its number follows:
 * that one has lost, and must not replace the winner. A number that is missing
 * is damage, too. Lines of other incarnations do not count.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import { createHash } from "node:crypto"

/**
 * A point in a session's life.
 *
 * @category models
 * @since 0.1.0
 */
export interface Point {
  readonly incarnation: string
  readonly number: number
}

/**
 * A line that counts.
 *
 * @category models
 * @since 0.1.0
 */
export interface Line extends Point {
  readonly writer: string
  /** JSON. */
  readonly payload: Uint8Array
  /** Where the line starts, in bytes from the start of the file. */
  readonly start: number
  /** Whether the line ends its session. */
  readonly isTombstone: boolean
}

/**
 * Why a file cannot be read.
 *
 * @category models
 * @since 0.1.0
 */
export type Damage = "damaged" | "newer"

/**
 * The payload that ends a session.
 *
 * @category models
 * @since 0.1.0
 */
export const tombstone = "{\"removed\":true}"

/**
 * Returns a line as it is written.
 *
 * @category combinators
 * @since 0.1.0
 */
export const encode = (point: Point, writer: string, payload: string): Uint8Array => {
  const head = `1 ${point.incarnation}.${point.number} ${writer}`
  const body = Buffer.from(payload)
  return Buffer.concat([Buffer.from(`\x1e${head} ${checksumOf(head, body)} `), body, Buffer.from("\n")])
}

/**
 * Returns the lines that count.
 *
 * **Details**
 *
 * `bytes` is a file from `offset` on, by default all of it. With `due`, that
 * is the point of the first line that counts in it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const scan = (
  bytes: Uint8Array,
  from: { readonly offset: number; readonly due: Point } | undefined = undefined
): Result.Result<ReadonlyArray<Line>, Damage> => {
  const offset = from?.offset ?? 0
  const lines: Array<Line> = []
  let incarnation = from?.due.incarnation
  let number = from?.due.number ?? 1
  let at = 0
  while (at < bytes.length) {
    const piece = pieceAt(bytes, at)
    const line = lineOf(piece.bytes)
    if (line === undefined) {
      if (piece.isTerminated) return Result.fail(isNewer(piece.bytes) ? "newer" : "damaged")
      if (lineOf(piece.bytes.subarray(0, -1)) !== undefined) return Result.fail("damaged")
    } else if (incarnation === undefined || line.incarnation === incarnation) {
      if (line.number > number) return Result.fail("damaged")
      if (line.number === number) {
        incarnation = line.incarnation
        number++
        const isTombstone = line.payload.length === tombstone.length && textOf(line.payload) === tombstone
        lines.push({ ...line, start: offset + at, isTombstone })
        if (isTombstone) break
      }
    }
    at = piece.end
  }
  return Result.succeed(lines)
}

/**
 * Returns the JSON value of a line; the checksum has vouched for it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const payloadOf = (line: Line): Result.Result<unknown, Damage> =>
  Result.try({ try: (): unknown => JSON.parse(textOf(line.payload)), catch: () => "damaged" as const })

/**
 * Returns the key that line 1 carries.
 *
 * @category combinators
 * @since 0.1.0
 */
export const keyOf = (lines: ReadonlyArray<Line>): Option.Option<string> => {
  const [first] = lines
  if (first?.number !== 1) return Option.none()
  const payload = Option.getOrUndefined(Result.getSuccess(payloadOf(first)))
  return Predicate.hasProperty(payload, "key") && typeof payload.key === "string"
    ? Option.some(payload.key)
    : Option.none()
}

const RS = 0x1e
const LF = 0x0a

/** The bytes up to the next LF, or to the RS of the next line if it comes first. */
const pieceAt = (
  bytes: Uint8Array,
  at: number
): { readonly bytes: Uint8Array; readonly isTerminated: boolean; readonly end: number } => {
  const lf = bytes.indexOf(LF, at)
  const unterminated = lf === -1 ? bytes.subarray(at) : bytes.subarray(at, lf)
  const rs = unterminated.indexOf(RS, 1)
  if (rs !== -1) return { bytes: unterminated.subarray(0, rs), isTerminated: false, end: at + rs }
  return { bytes: unterminated, isTerminated: lf !== -1, end: at + unterminated.length + (lf === -1 ? 0 : 1) }
}

const header = /^\x1e(1 ([0-9a-f]{32})\.([1-9][0-9]{0,14}) ([0-9a-z-]{1,64})) ([0-9a-f]{16}) /

/** Longer than any header. */
const maxHeaderLength = 160

const lineOf = (piece: Uint8Array): Omit<Line, "start" | "isTombstone"> | undefined => {
  const match = header.exec(textOf(piece.subarray(0, maxHeaderLength)))
  if (match === null) return undefined
  const [all, head = "", incarnation = "", number = "", writer = "", checksum] = match
  const payload = piece.subarray(all.length)
  return checksumOf(head, payload) === checksum ? { incarnation, number: Number(number), writer, payload } : undefined
}

const isNewer = (piece: Uint8Array): boolean => /^\x1e?(?:[2-9]|[1-9][0-9]{1,8}) /.test(textOf(piece.subarray(0, 16)))

const checksumOf = (head: string, payload: Uint8Array): string =>
  createHash("sha256").update(head).update(" ").update(payload).digest("hex").slice(0, 16)

const textOf = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("utf8")
