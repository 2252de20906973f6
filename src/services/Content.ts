/**
 * Parts of a prompt or of an earlier message: text, images and files.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import * as Base64 from "./internal/Base64.ts"
import * as DataUrl from "./internal/DataUrl.ts"

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
 * A data url and the same bytes decode to the same part. Large contents are
 * read in pieces: other work of the process goes on between them.
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
        Effect.flatMap(toPart(part), (part) =>
          Effect.mapError(
            Effect.fromOption(part),
            () =>
              new SchemaIssue.InvalidValue(
                { expected: "a data url or base64 text that can be decoded" },
                undefined,
                options
              )
          )),
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

type Reading<A> = Effect.Effect<Option.Option<A>>

const toPart = (part: typeof InputPart.Type): Reading<ContentPart> => {
  switch (part.type) {
    case "text":
      return Effect.succeedSome(part)
    case "image_url":
      return mapSome(fromUrl(part.image_url.url), (source) => image(source, part.image_url.detail))
    case "image":
      return mapSome(sourceOf(part), (source) => image(source, part.detail))
    case "file":
      return mapSome(
        sourceOf(part),
        (source) =>
          part.filename === undefined ? { type: "file", source } : { type: "file", source, filename: part.filename }
      )
  }
}

const mapSome = <A, B>(reading: Reading<A>, f: (value: A) => B): Reading<B> => Effect.map(reading, Option.map(f))

const image = (source: Source, detail: typeof Detail.Type | undefined): ContentPart =>
  detail === undefined ? { type: "image", source } : { type: "image", source, detail }

type WithSource = Exclude<typeof InputPart.Type, { readonly type: "text" } | { readonly type: "image_url" }>

const sourceOf = (part: WithSource): Reading<Source> => {
  if ("source" in part) {
    const { source } = part
    if (source.type === "url") return fromUrl(source.url)
    return source.type === "data" ? fromBase64(source.mediaType, source.data) : Effect.succeedSome(source)
  }
  if ("url" in part) return fromUrl(part.url)
  if ("fileId" in part) return Effect.succeedSome({ type: "id", id: part.fileId })
  const { data, mediaType } = part
  return typeof data === "string" ? fromBase64(mediaType, data) : fromBytes(mediaType, data)
}

const fromBase64 = (mediaType: string, text: string): Reading<Source> =>
  mapSome(Base64.normalized(text), (data) => dataOf(mediaType, data))

const fromBytes = (mediaType: string, bytes: Uint8Array): Reading<Source> =>
  Effect.map(Base64.encode(bytes), (data) => Option.some(dataOf(mediaType, data)))

const dataOf = (mediaType: string, data: string): Source => ({
  type: "data",
  mediaType: mediaType.toLowerCase(),
  data
})

const fromUrl = (url: string): Reading<Source> =>
  DataUrl.isDataUrl(url)
    ? mapSome(DataUrl.contentOf(url), ({ data, mediaType }) => dataOf(mediaType, data))
    : Effect.succeedSome({ type: "url", url })
