/**
 * JSON Schemas of the command line: what an answer shall be.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as JsonSchema from "effect/JsonSchema"
import * as Schema from "effect/Schema"
import * as SchemaRepresentation from "effect/SchemaRepresentation"
import { UsageError } from "./UsageError.ts"

/**
 * Reads the JSON Schema (draft 2020-12) in a file.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = Effect.fnUntraced(function*(
  path: string
): Effect.fn.Return<Schema.Decoder<unknown>, UsageError, FileSystem.FileSystem> {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(
    fs.readFileString(path),
    () => new UsageError({ message: `The schema ${path} cannot be read` })
  )
  const json = yield* Effect.mapError(
    decode(text),
    () => new UsageError({ message: `The schema ${path} is no JSON object` })
  )
  return yield* Effect.try({
    // Imported schemas need no services.
    try: () =>
      SchemaRepresentation.fromJsonSchemaDocument(JsonSchema.fromSchemaDraft2020_12(json), {
        patterns: "apply"
      }) as Schema.Decoder<unknown>,
    catch: (error) =>
      new UsageError({
        message: `The schema ${path} cannot be used: ${error instanceof Error ? error.message : error}`
      })
  })
})

const decode = Schema.decodeEffect(Schema.fromJsonString(Schema.Record(Schema.String, Schema.Unknown)))
