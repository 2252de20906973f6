/**
 * Parts of a prompt or of an earlier message: text, images and files.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"

/**
 * Schema for where the bytes of an image or a file come from.
 *
 * **Details**
 *
 * `url` is fetched by the provider. `data` is sent with the request; `data` is
 * base64. `id` names a file that was uploaded to the provider before.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Source = Schema.Union([
  Schema.Struct({ type: Schema.tag("url"), url: Schema.String }),
  Schema.Struct({ type: Schema.tag("data"), mediaType: Schema.NonEmptyString, data: Schema.String }),
  Schema.Struct({ type: Schema.tag("id"), id: Schema.NonEmptyString })
])

/**
 * Where the bytes of an image or a file come from.
 *
 * @category models
 * @since 0.1.0
 */
export type Source = typeof Source.Type

/**
 * Schema for how closely a model looks at an image.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Detail = Schema.Literals(["low", "high", "auto", "original"])

/**
 * Schema for a part as Holdfast keeps it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ContentPart = Schema.Union([
  Schema.Struct({ type: Schema.tag("text"), text: Schema.String }),
  Schema.Struct({ type: Schema.tag("image"), source: Source, detail: Schema.optionalKey(Detail) }),
  Schema.Struct({ type: Schema.tag("file"), source: Source, filename: Schema.optionalKey(Schema.String) })
])

/**
 * A part as Holdfast keeps it.
 *
 * @category models
 * @since 0.1.0
 */
export type ContentPart = typeof ContentPart.Type

/** Bytes, or their base64. */
const Bytes = Schema.Union([Schema.Uint8Array, Schema.String])

const InputPart = Schema.Union([
  Schema.Struct({ type: Schema.tag("text"), text: Schema.String }),
  Schema.Struct({ type: Schema.tag("image"), source: Source, detail: Schema.optional(Detail) }),
  Schema.Struct({ type: Schema.tag("image"), url: Schema.NonEmptyString, detail: Schema.optional(Detail) }),
  Schema.Struct({
    type: Schema.tag("image"),
    data: Bytes,
    mediaType: Schema.NonEmptyString,
    detail: Schema.optional(Detail)
  }),
  Schema.Struct({ type: Schema.tag("image"), fileId: Schema.NonEmptyString, detail: Schema.optional(Detail) }),
  Schema.Struct({
    type: Schema.tag("image_url"),
    image_url: Schema.Struct({ url: Schema.NonEmptyString, detail: Schema.optional(Detail) })
  }),
  Schema.Struct({ type: Schema.tag("file"), source: Source, filename: Schema.optional(Schema.String) }),
  Schema.Struct({ type: Schema.tag("file"), url: Schema.NonEmptyString, filename: Schema.optional(Schema.String) }),
  Schema.Struct({
    type: Schema.tag("file"),
    data: Bytes,
    mediaType: Schema.NonEmptyString,
    filename: Schema.optional(Schema.String)
  }),
  Schema.Struct({ type: Schema.tag("file"), fileId: Schema.NonEmptyString, filename: Schema.optional(Schema.String) })
])

/**
 * Schema that reads the forms in which users write a part.
 *
 * **Details**
 *
 * - `{ type: "text", text }`
 * - `{ type: "image", url, detail? }`, where `url` may be a data url
 * - `{ type: "image", data, mediaType, detail? }`, `data` being bytes or base64
 * - `{ type: "image", fileId, detail? }`
 * - `{ type: "image_url", image_url: { url, detail? } }`, as Chat Completions has it
 * - `{ type: "file", url | data + mediaType | fileId, filename? }`
 *
 * A data url and the same bytes decode to the same part.
 *
 * **Errors**
 *
 * `SchemaError` for a data url or a base64 text that cannot be decoded.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ContentPartFromInput = InputPart.pipe(
  Schema.decodeTo(
    ContentPart,
    SchemaTransformation.transformEffect<ContentPart, typeof InputPart.Type>({
      decode: (part, options) =>
        Effect.mapError(
          Effect.fromOption(toPart(part)),
          () =>
            new SchemaIssue.InvalidValue(
              { expected: "a data url or base64 text that can be decoded" },
              undefined,
              options
            )
        ),
      encode: Effect.succeed
    })
  )
)

/**
 * A part as users write it; see {@link ContentPartFromInput}.
 *
 * @category models
 * @since 0.1.0
 */
export type ContentPartInput = typeof InputPart.Encoded

const toPart = (part: typeof InputPart.Type): Option.Option<ContentPart> => {
  switch (part.type) {
    case "text":
      return Option.some(part)
    case "image_url":
      return Option.map(fromUrl(part.image_url.url), (source) => image(source, part.image_url.detail))
    case "image":
      return Option.map(sourceOf(part), (source) => image(source, part.detail))
    case "file":
      return Option.map(
        sourceOf(part),
        (source) =>
          part.filename === undefined ? { type: "file", source } : { type: "file", source, filename: part.filename }
      )
  }
}

const image = (source: Source, detail: typeof Detail.Type | undefined): ContentPart =>
  detail === undefined ? { type: "image", source } : { type: "image", source, detail }

type WithSource = Exclude<typeof InputPart.Type, { readonly type: "text" } | { readonly type: "image_url" }>

const sourceOf = (part: WithSource): Option.Option<Source> => {
  if ("source" in part) return part.source.type === "url" ? fromUrl(part.source.url) : Option.some(part.source)
  if ("url" in part) return fromUrl(part.url)
  if ("fileId" in part) return Option.some({ type: "id", id: part.fileId })
  const { data, mediaType } = part
  return Option.map(
    typeof data === "string" ? normalBase64(data) : Option.some(Base64.encode(data)),
    (data) => ({ type: "data", mediaType: mediaType.toLowerCase(), data })
  )
}

const dataUrl = /^data:([^;,]*)((?:;[^;,]*)*),(.*)$/is

const fromUrl = (url: string): Option.Option<Source> => {
  if (!/^data:/i.test(url)) return Option.some({ type: "url", url })
  const match = dataUrl.exec(url)
  if (match === null) return Option.none()
  const [, mediaType = "", parameters = "", body = ""] = match
  return Option.map(
    /;base64$/i.test(parameters) ? normalBase64(body) : percentDecoded(body),
    (data) => ({ type: "data", mediaType: mediaType === "" ? "text/plain" : mediaType.toLowerCase(), data })
  )
}

// Line breaks, missing padding and the url alphabet name the same bytes.
const normalBase64 = (text: string): Option.Option<string> => {
  const plain = text.replace(/\s+/g, "").replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "")
  return Option.map(
    Result.getSuccess(Base64.decode(plain + "=".repeat((4 - (plain.length % 4)) % 4))),
    Base64.encode
  )
}

const percentDecoded = (text: string): Option.Option<string> =>
  Option.map(Option.liftThrowable(decodeURIComponent)(text), Base64.encode)
