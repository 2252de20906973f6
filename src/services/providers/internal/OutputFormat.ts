/**
 * How a request's schema is sent: in the provider's own way, or in words.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ResponseRequest } from "../../ResponseRequest.ts"
import * as StructuredOutput from "../../StructuredOutput.ts"
import { providerTable, type Row } from "../ProviderTable.ts"
import type { Payload } from "./Payload.ts"

/**
 * A request whose schema is taken care of.
 *
 * @category models
 * @since 0.1.0
 */
export interface Asked {
  /** With the schema among its instructions, where there is no other way. */
  readonly request: ResponseRequest
  /** What asks for it in the body, if anything. */
  readonly fields: Payload
}

/**
 * Whom the request is for.
 *
 * @category models
 * @since 0.1.0
 */
export interface About {
  readonly provider: string
  readonly model: string
}

/**
 * Returns what Chat Completions of a host is asked for: `response_format`,
 * unless the provider's own options have it.
 *
 * **Errors**
 *
 * Why the schema cannot be sent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forChat = (request: ResponseRequest, about: About): Result.Result<Asked, string> =>
  ask(request, wayOf(about, "structuredOutput"), dialectOf(about), inChat(request))

/**
 * Returns what the Responses endpoint of a host is asked for: `text.format`,
 * or `response_format` where the host has it there.
 *
 * **Errors**
 *
 * Why the schema cannot be sent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forResponses = (request: ResponseRequest, about: About): Result.Result<Asked, string> => {
  const way = wayOf(about, "responsesStructuredOutput")
  return way === "response_format"
    ? ask(request, "json_schema", "openai", inChat(request))
    : ask(request, way, "openai", (format) => ({ text: { format } }))
}

/**
 * Returns what Anthropic's Messages API is asked for: the `format` of its
 * `output_config`.
 *
 * **Errors**
 *
 * Why the schema cannot be sent.
 *
 * **Source**
 *
 * Anthropic, "Structured outputs": the models since Claude 4.5.
 * https://platform.claude.com/docs/en/build-with-claude/structured-outputs
 *
 * @category constructors
 * @since 0.1.0
 */
export const forMessages = (request: ResponseRequest, { model }: About): Result.Result<Asked, string> =>
  ask(
    request,
    /claude-/.test(model) && !olderClaude.test(model) ? "json_schema" : "none",
    "anthropic",
    ({ schema, type }) => ({ format: { type, schema } })
  )

/**
 * Returns what Gemini's Interactions API is asked for: `response_format`,
 * unless the provider's own options have it.
 *
 * **Errors**
 *
 * Why the schema cannot be sent.
 *
 * **Source**
 *
 * `TextResponseFormat` of `@google/genai` 3.1.0.
 *
 * @category constructors
 * @since 0.1.0
 */
export const forInteractions = (request: ResponseRequest): Result.Result<Asked, string> =>
  ask(
    request,
    "json_schema",
    "openai",
    ({ schema }) => inResponseFormat(request, { type: "text", mime_type: "application/json", schema })
  )

// `claude-3-7-…`, `claude-sonnet-4-20250514`, `claude-opus-4-1-…`, but not `claude-opus-4-5-…`.
const olderClaude = /claude-(?:[0-3]|v|instant|[a-z]+-4(?:$|[-@](?:[0-4](?!\d)|\d{8}|latest)))/

const wayOf = <Key extends "structuredOutput" | "responsesStructuredOutput">(
  { model, provider }: About,
  key: Key
): Row[Key] | "none" =>
  isOpenAi.has(provider) && withoutStructuredOutput.some((pattern) => pattern.test(model.toLowerCase()))
    ? "none"
    : rows.get(provider)?.[key] ?? "none"

// Cerebras answers 400 to `minItems` and to recursion.
const dialectOf = ({ provider }: About): StructuredOutput.Dialect => provider === "cerebras" ? "anthropic" : "openai"

const rows: ReadonlyMap<string, Row> = new Map(providerTable.map((row) => [row.prefix, row]))

const isOpenAi: ReadonlySet<string> = new Set(["openai", "azure"])

// By OpenAI's pages of its models, "Features".
const withoutStructuredOutput = [
  /gpt-?3/,
  /gpt-?4(?![.o\d])/,
  /chatgpt-4o/,
  /gpt-4o-2024-05-13/,
  /gpt-5\.[24]-pro/,
  /o1-(?:mini|preview)/,
  /audio|computer-use|deep-research/
]

/** A format of OpenAI's. */
interface Format {
  readonly type: "json_schema" | "json_object"
  readonly name?: string
  readonly schema?: StructuredOutput.JsonSchema
  readonly strict?: boolean
}

const ask = (
  request: ResponseRequest,
  way: Row["structuredOutput"],
  dialect: StructuredOutput.Dialect,
  fieldsOf: (format: Format) => Payload
): Result.Result<Asked, string> => {
  const { schema } = request
  if (schema === undefined) return Result.succeed({ request, fields: {} })
  const native = way === "json_schema" ? StructuredOutput.jsonSchema(schema, dialect) : Result.fail("")
  return Result.isSuccess(native)
    ? Result.succeed({ request, fields: fieldsOf(formatOf(native.success)) })
    // What a dialect cannot say can still be said in words.
    : Result.map(StructuredOutput.instruction(schema), (instruction) => ({
      request: { ...request, instructions: joined(request.instructions, instruction) },
      fields: way === "json_object" ? fieldsOf({ type: "json_object" }) : {}
    }))
}

const formatOf = (schema: StructuredOutput.JsonSchema): Format => ({
  type: "json_schema",
  name: "answer",
  schema,
  strict: StructuredOutput.isStrict(schema)
})

const inChat = (request: ResponseRequest) => ({ type, ...rest }: Format): Payload =>
  inResponseFormat(request, type === "json_object" ? { type } : { type, json_schema: rest })

// Half of ours in a format of the user's would be neither.
const inResponseFormat = ({ providerOptions = {} }: ResponseRequest, format: Payload): Payload =>
  providerOptions["response_format"] === undefined ? { response_format: format } : {}

const joined = (instructions: string | undefined, more: string): string =>
  instructions === undefined || instructions === "" ? more : `${instructions}\n\n${more}`
