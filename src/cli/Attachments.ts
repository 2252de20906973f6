/**
 * Images and files of the command line, as parts of a prompt.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import type { PlatformError } from "effect/PlatformError"
import type { ContentPartInput } from "../services/Content.ts"
import { UsageError } from "./UsageError.ts"

/**
 * Returns the part for an image: a path, an `https:` or a `data:` url.
 *
 * **Details**
 *
 * A file's type is told by its first bytes: PNG, JPEG, GIF or WebP.
 *
 * @category constructors
 * @since 0.1.0
 */
export const image = Effect.fnUntraced(function*(
  source: string
): Effect.fn.Return<ContentPartInput, UsageError, FileSystem.FileSystem> {
  if (isUrl(source)) return { type: "image", url: source }
  const data = yield* read(source)
  const mediaType = imageTypeOf(data)
  return mediaType === undefined
    ? yield* new UsageError({ message: `${source} is no image that models take: PNG, JPEG, GIF or WebP` })
    : { type: "image", data, mediaType }
})

/**
 * Returns the part for a file: a path, an `https:` or a `data:` url.
 *
 * **Details**
 *
 * A file's type is told by the ending of its name; without a known one it is
 * text if it is UTF-8.
 *
 * @category constructors
 * @since 0.1.0
 */
export const file = Effect.fnUntraced(function*(
  source: string
): Effect.fn.Return<ContentPartInput, UsageError, FileSystem.FileSystem | Path.Path> {
  const path = yield* Path.Path
  if (isUrl(source)) return { type: "file", url: source }
  const data = yield* read(source)
  const mediaType = fileTypes[path.extname(source).toLowerCase()] ?? imageTypeOf(data) ??
    (isText(data) ? "text/plain" : "application/octet-stream")
  return { type: "file", data, mediaType, filename: path.basename(source) }
})

const isUrl = (source: string): boolean => /^(?:https?|data):/i.test(source)

const read = Effect.fnUntraced(function*(source: string) {
  const fs = yield* FileSystem.FileSystem
  const data = yield* Effect.mapError(fs.readFile(source), (error) => unreadable(source, error))
  return data.length === 0 ? yield* new UsageError({ message: `${source} is empty` }) : data
})

const unreadable = (source: string, { reason }: PlatformError): UsageError =>
  new UsageError({
    message: reason._tag === "NotFound"
      ? `There is no file ${source}`
      : reason._tag === "PermissionDenied"
      ? `${source} may not be read`
      : `${source} cannot be read`
  })

const imageTypeOf = (data: Uint8Array): string | undefined => {
  const head = String.fromCharCode(...data.subarray(0, 12))
  if (head.startsWith("\x89PNG\r\n\x1a\n")) return "image/png"
  if (head.startsWith("\xff\xd8\xff")) return "image/jpeg"
  if (head.startsWith("GIF8")) return "image/gif"
  return head.startsWith("RIFF") && head.endsWith("WEBP") ? "image/webp" : undefined
}

const isText = (data: Uint8Array): boolean => {
  try {
    return !new TextDecoder("utf-8", { fatal: true }).decode(data).includes("\0")
  } catch {
    return false
  }
}

const fileTypes: Readonly<Record<string, string>> = {
  ".csv": "text/csv",
  ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
  ".htm": "text/html",
  ".html": "text/html",
  ".json": "application/json",
  ".md": "text/markdown",
  ".pdf": "application/pdf",
  ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
  ".txt": "text/plain",
  ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
  ".xml": "text/xml"
}
