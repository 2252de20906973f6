/**
 * The names of session files: any key becomes a short name that is safe on
 * every file system, and no two keys share one.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import { createHash } from "node:crypto"

/**
 * Returns the name of the file that keeps the session with this key.
 *
 * **Details**
 *
 * `a-z`, `0-9`, `_` and `-` stand for themselves, any other UTF-16 code unit
 * is written `%xx` or `%uxxxx`, in lower case: names that differ, differ on
 * file systems that fold case or normalise Unicode, too. A name that Windows
 * reserves has its first letter escaped. Of a longer name than 128 bytes, the first 63
 * bytes, `~` and the SHA-256 of the key are left.
 *
 * @category combinators
 * @since 0.1.0
 */
export const fileNameOf = (key: string): string => {
  const name = escaped(key)
  return (name.length <= maxLength ? name : `${name.slice(0, prefixLength)}~${digestOf(key)}`) + suffix
}

/**
 * Returns what a file's name tells: its key, that the key is inside the file
 * (`undefined`), or `None` for a file that is not a session's.
 *
 * @category combinators
 * @since 0.1.0
 */
export const keyOf = (fileName: string): Option.Option<string | undefined> => {
  if (!fileName.endsWith(suffix)) return Option.none()
  if (/^[a-z0-9_%-]{63}~[0-9a-f]{64}\.holdfast$/.test(fileName)) return Option.some(undefined)
  const key = fileName
    .slice(0, -suffix.length)
    .replace(/%u([0-9a-f]{4})|%([0-9a-f]{2})/g, (_, wide, narrow) => String.fromCharCode(parseInt(wide ?? narrow, 16)))
  return fileNameOf(key) === fileName ? Option.some(key) : Option.none()
}

const suffix = ".holdfast"
const prefixLength = 63
const maxLength = 128

const escaped = (key: string): string => {
  const name = key.replace(/[^a-z0-9_-]/g, escape)
  return /^(?:con|prn|aux|nul|com\d|lpt\d)$/.test(name) ? escape(name) + name.slice(1) : name
}

/** Escapes the first code unit. */
const escape = (text: string): string => {
  const unit = text.charCodeAt(0)
  return unit < 0x100 ? `%${unit.toString(16).padStart(2, "0")}` : `%u${unit.toString(16).padStart(4, "0")}`
}

// UTF-16, because UTF-8 has one and the same form for all lone surrogates.
const digestOf = (key: string): string => createHash("sha256").update(Buffer.from(key, "utf16le")).digest("hex")
