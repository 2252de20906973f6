/**
 * Translation of requests, the parts that Responses and Chat Completions share.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import type { ContentPart, Source } from "../../Content.ts"
import { refuse } from "./Payload.ts"

/**
 * Returns the data url of bytes that are sent with the request.
 *
 * @category constructors
 * @since 0.1.0
 */
export const dataUrl = (source: Extract<Source, { readonly type: "data" }>): string =>
  `data:${source.mediaType};base64,${source.data}`

/**
 * Returns the file's name, or one made of its media type: OpenAI takes no file
 * data without a name.
 *
 * @category constructors
 * @since 0.1.0
 */
export const filenameOf = (part: Extract<ContentPart, { readonly type: "file" }>): string => {
  if (part.filename !== undefined) return part.filename
  const subtype = part.source.type === "data" ? part.source.mediaType.split(/[/;]/)[1]?.trim() ?? "" : ""
  return `file.${subtype === "plain" ? "txt" : /^[a-z0-9]{1,8}$/.test(subtype) ? subtype : "bin"}`
}

/**
 * Returns the text of an earlier assistant message: its parts joined.
 *
 * **Details**
 *
 * Both APIs take such messages as one text. Images and files in them have no
 * form: `InvalidRequest`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const assistantText = (
  content: string | ReadonlyArray<ContentPart>,
  provider: string
): Result.Result<string, ProviderError> => {
  if (typeof content === "string") return Result.succeed(content)
  const texts: Array<string> = []
  for (const part of content) {
    if (part.type !== "text") {
      return refuse(provider, "messages", "An assistant message takes text only")
    }
    texts.push(part.text)
  }
  return Result.succeed(texts.join(""))
}
