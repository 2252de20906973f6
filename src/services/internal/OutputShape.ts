/**
 * What a schema is in the JSON of each provider, and how that JSON is read.
 *
 * @since 0.1.0
 */
import { toCodecAnthropic } from "effect/ai/AnthropicStructuredOutput"
import { toCodecOpenAI } from "effect/ai/OpenAiStructuredOutput"
import * as Cause from "effect/Cause"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"

/**
 * A JSON Schema.
 *
 * @category models
 * @since 0.1.0
 */
export type JsonSchema = Readonly<Record<string, unknown>>

/**
 * What of a JSON value does not fit.
 *
 * @category models
 * @since 0.1.0
 */
export interface Misfit {
  /** One for each issue. */
  readonly lines: ReadonlyArray<string>
  /** Whether it is another kind of value altogether, such as a list for an object. */
  readonly isOtherKind: boolean
  /** How many of the value's own keys are missing, those of inner objects not counted. */
  readonly missingKeys: number
}

/**
 * Reads a JSON value.
 *
 * @category models
 * @since 0.1.0
 */
export type Read = (json: unknown) => Result.Result<unknown, Misfit>

/**
 * What a schema is in JSON; a failure says why it cannot be that.
 *
 * @category models
 * @since 0.1.0
 */
export interface OutputShape {
  /** Whether the value stands in an object under the key `value`. */
  readonly isWrapped: boolean
  readonly openai: Result.Result<JsonSchema, string>
  readonly anthropic: Result.Result<JsonSchema, string>
  readonly plain: Result.Result<JsonSchema, string>
  /** In the order in which they are to be tried. */
  readonly reads: ReadonlyArray<Read>
}

/**
 * Returns what a schema is in JSON. It is worked out once per schema.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (schema: Schema.Decoder<unknown>): OutputShape => {
  const known = shapes.get(schema)
  if (known !== undefined) return known
  const shape = make(schema)
  shapes.set(schema, shape)
  return shape
}

/** The key of a value that is no object. */
const key = "value"

const shapes = new WeakMap<Schema.Decoder<unknown>, OutputShape>()

const make = (schema: Schema.Decoder<unknown>): OutputShape => {
  const bare = attempt(() => toCodecOpenAI(schema))
  // OpenAI wants an object at the top; so do Anthropic and JSON modes.
  const isWrapped = Result.isFailure(bare)
  const asked = isWrapped ? Schema.Struct({ [key]: schema }) : schema
  const openai = isWrapped ? attempt(() => toCodecOpenAI(asked)) : bare
  const plainRead = attempt(() => readWith(Schema.toCodecJson(schema)))
  const nativeRead = Result.map(openai, ({ codec }) => readWith(codec))
  const reads = [
    ...successOf(nativeRead),
    ...(isWrapped ? successOf(attempt(() => readWith(Schema.toCodecJson(asked)))) : []),
    ...successOf(plainRead)
  ]
  return {
    isWrapped,
    openai: Result.map(openai, ({ jsonSchema }) => jsonSchema),
    anthropic: attempt(() => toCodecAnthropic(asked).jsonSchema),
    plain: attempt(() => plainSchema(asked)),
    reads: isWrapped ? reads.map((read, index) => index < reads.length - 1 ? unwrapped(read) : read) : reads
  }
}

const plainSchema = (schema: Schema.Decoder<unknown>): JsonSchema => {
  const { definitions, schema: root } = Schema.toJsonSchemaDocument(schema, { generateDescriptions: true })
  return Object.keys(definitions).length === 0 ? root : { ...root, $defs: definitions }
}

const readWith = (codec: Schema.ConstraintDecoder<unknown>): Read => {
  const decode = Schema.decodeUnknownResult(codec, { errors: "all" })
  // A schema is the user's code: whatever it throws is an issue of the answer, and no defect of the run.
  return (json) =>
    Result.flatMap(
      Result.mapError(attempt(() => decode(json)), thrownMisfit),
      Result.mapError(({ issue }) => misfitOf(issue))
    )
}

const unwrapped = (read: Read): Read => (json) =>
  Result.map(read(json), (value) => (value as { readonly [key]: unknown })[key])

const misfitOf = (issue: SchemaIssue.Issue): Misfit =>
  Result.getOrElse(
    attempt((): Misfit => ({
      lines: formatted(issue).issues.map(({ message, path = [] }) =>
        path.length === 0 ? message : `${pathOf(path)}: ${message}`
      ),
      isOtherKind: isOtherKind(issue),
      missingKeys: missingKeysOf(issue)
    })),
    thrownMisfit
  )

const thrownMisfit = (message: string): Misfit => ({
  lines: [`The schema failed: ${message}`],
  isOtherKind: false,
  missingKeys: 0
})

const isOtherKind = (issue: SchemaIssue.Issue): boolean => {
  switch (issue._tag) {
    case "InvalidType":
      return true
    case "Encoding":
      return isOtherKind(issue.issue)
    case "AnyOf":
    case "Composite":
      return issue.issues.every(isOtherKind)
    default:
      return false
  }
}

const missingKeysOf = (issue: SchemaIssue.Issue): number => {
  switch (issue._tag) {
    case "Encoding":
      return missingKeysOf(issue.issue)
    case "Composite":
      return issue.issues.filter((inner) => inner._tag === "Pointer" && inner.issue._tag === "MissingKey").length
    default:
      return 0
  }
}

const formatted = SchemaIssue.makeFormatterStandardSchemaV1()

const pathOf = (path: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }>): string =>
  path
    .map((segment) => typeof segment === "object" ? segment.key : segment)
    .map((segment, index) =>
      typeof segment === "number"
        ? `[${segment}]`
        : /^[A-Za-z_$][\w$]*$/.test(String(segment))
        ? `${index === 0 ? "" : "."}${String(segment)}`
        : `[${JSON.stringify(String(segment))}]`
    )
    .join("")

const attempt = <A>(compute: () => A): Result.Result<A, string> => Result.mapError(Result.try(compute), messageOf)

const messageOf = (thrown: unknown): string => {
  const inner = thrown instanceof Error && Cause.isCause(thrown.cause) ? Cause.squash(thrown.cause) : thrown
  return inner instanceof Error ? inner.message : typeof inner === "string" ? inner : "it threw"
}

const successOf = <A>(result: Result.Result<A, unknown>): ReadonlyArray<A> =>
  Result.isSuccess(result) ? [result.success] : []
