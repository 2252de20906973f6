/**
 * Answers that fit a schema: how they are asked for, read and mended.
 *
 * @since 0.1.0
 */
import * as Equal from "effect/Equal"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"
import type * as Schema from "effect/Schema"
import { InvalidOutput, maxMessageLength } from "../errors/Reason.ts"
import * as JsonInText from "./internal/JsonInText.ts"
import * as OutputShape from "./internal/OutputShape.ts"
import type { Outcome } from "./Provider.ts"
import type { ResponseRequest } from "./ResponseRequest.ts"

/**
 * A JSON Schema.
 *
 * @category models
 * @since 0.1.0
 */
export type JsonSchema = OutputShape.JsonSchema

/**
 * What part of JSON Schema a provider understands.
 *
 * **Details**
 *
 * - `openai`: that of OpenAI's strict mode, which most others understand too.
 *   Every key is required, and `null` where it may be left out; records are
 *   lists of pairs, tuples are objects with numbered keys.
 * - `anthropic`: the same, without limits of numbers and lengths and without
 *   recursion
 * - `plain`: JSON Schema as it is, draft 2020-12
 *
 * @category models
 * @since 0.1.0
 */
export type Dialect = "openai" | "anthropic" | "plain"

/**
 * The longest text that says what does not fit, in characters.
 *
 * @category models
 * @since 0.1.0
 */
export const maxIssuesLength: number = maxMessageLength

/**
 * Returns the JSON Schema of a schema.
 *
 * **Details**
 *
 * What is no object in the `openai` dialect, such as a list, a text, a union or
 * a record, stands in an object under the key `value`, in all dialects.
 * Worked out once per schema.
 *
 * **Errors**
 *
 * Why the dialect has no form for it: `anthropic` has none for recursion.
 *
 * @category combinators
 * @since 0.1.0
 */
export const jsonSchema = (schema: Schema.Decoder<unknown>, dialect: Dialect): Result.Result<JsonSchema, string> =>
  OutputShape.of(schema)[dialect]

/**
 * Returns whether OpenAI's strict mode takes a JSON Schema of the `openai`
 * dialect: it must say of each value what it is, which `Schema.Unknown` does not.
 *
 * @category guards
 * @since 0.1.0
 */
export const isStrict = (jsonSchema: JsonSchema): boolean => {
  const { $defs, anyOf, items, properties } = jsonSchema
  const isTyped = ["type", "anyOf", "$ref", "enum"].some((key) => jsonSchema[key] !== undefined)
  return isTyped &&
    [...valuesOf($defs), ...valuesOf(anyOf), ...valuesOf(properties), ...(Predicate.isObject(items) ? [items] : [])]
      .every((part) => Predicate.isObject(part) && isStrict(part))
}

/**
 * Returns the text that asks for JSON where a provider has no other way.
 *
 * **Errors**
 *
 * Why the schema is no JSON Schema.
 *
 * @category combinators
 * @since 0.1.0
 */
export const instruction = (schema: Schema.Decoder<unknown>): Result.Result<string, string> =>
  Result.map(
    jsonSchema(schema, "plain"),
    (jsonSchema) =>
      "Answer with one JSON value and nothing else: no explanation and no Markdown. " +
      `It must fit this JSON Schema:\n\n${JSON.stringify(jsonSchema)}`
  )

/**
 * Returns the value that a text stands for.
 *
 * **Details**
 *
 * Takes JSON as any dialect has it, in the object of the key `value` or
 * without. The first of these that fits is the value:
 *
 * 1. the whole text. When it is JSON, nothing else counts
 * 2. what stands after the end of the last thoughts (`</think>` and the like),
 *    or anywhere when there are none: the last fenced block that is JSON and
 *    fits, else the last object or array that fits and stands in no other
 * 3. the same of what stands before, outside of thoughts
 * 4. the same of what stands in thoughts
 *
 * A step that has an object which does not fit, or is cut, is the last one: a
 * draft is not taken for the answer.
 *
 * A value that says no more than `{}` or `[]` would, because all keys may be
 * missing, counts only where no other value of the same step fits. A piece of an
 * object that is cut or is not JSON is no value. A number, a string, a boolean
 * or `null` must be all of a fenced block, or all that follows the thoughts. At
 * most 1,000 values of a text are tried.
 *
 * Total: what the schema's own code throws is a failure, too. The time to find
 * values is in proportion to the length of the text.
 *
 * **Errors**
 *
 * What does not fit, one line each with its path, {@link maxIssuesLength} at
 * most: of the value that comes nearest to the schema.
 *
 * **Gotchas**
 *
 * The schema has to decode synchronously. A key that may be left out and may be
 * `null` is left out when it is `null`: strict mode has no other way to say so.
 *
 * @category combinators
 * @since 0.1.0
 */
export const decode = (schema: Schema.Decoder<unknown>, text: string): Result.Result<unknown, string> => {
  const { reads } = OutputShape.of(schema)
  let empty: { readonly place: string; readonly value: unknown } | undefined
  let misfit: OutputShape.Misfit & { readonly place: string } | undefined
  for (const { place, value: json } of JsonInText.candidatesOf(text)) {
    // A draft does not stand in for an answer that does not fit.
    const decided = empty ?? (misfit?.isOtherKind === false ? misfit : undefined)
    if (decided !== undefined && decided.place !== place) break
    const result = firstOf(reads, json)
    if (Result.isFailure(result)) {
      if (misfit === undefined || isNearer(result.failure, misfit)) misfit = { ...result.failure, place }
    } else if (isEmpty(reads, result.success)) empty ??= { place, value: result.success }
    else return Result.succeed(result.success)
  }
  if (empty !== undefined) return Result.succeed(empty.value)
  return Result.fail(misfit === undefined ? "The answer holds no JSON value, or one that is cut" : capped(misfit.lines))
}

/**
 * Returns the value of an answer to a request; `undefined` when the request
 * has no schema. Fails as `decode` does.
 *
 * @category combinators
 * @since 0.1.0
 */
export const valueOf = (
  { schema }: Pick<ResponseRequest, "schema">,
  content: string
): Result.Result<unknown, string> => schema === undefined ? Result.succeed(undefined) : decode(schema, content)

/**
 * Returns the outcome, or `InvalidOutput` when it is an answer that does not
 * fit the schema of its request.
 *
 * **Details**
 *
 * The reason has the text, what does not fit in `issues`, and the usage.
 * An answer that calls a tool is not checked.
 *
 * @category combinators
 * @since 0.1.0
 */
export const check = (request: Pick<ResponseRequest, "schema">, outcome: Outcome): Outcome => {
  if (outcome._tag !== "Succeeded" || outcome.answer.finishReason !== "stop") return outcome
  const { content, usage } = outcome.answer
  const value = valueOf(request, content)
  if (Result.isSuccess(value)) return outcome
  const issues = value.failure
  return {
    _tag: "Failed",
    ignoredBackground: outcome.ignoredBackground,
    verdict: {
      _tag: "NonRetryable",
      reason: new InvalidOutput({
        message: `The answer does not fit the schema: ${issues}`.slice(0, maxMessageLength),
        content,
        issues,
        usage
      })
    }
  }
}

/**
 * Returns the turn that asks for an answer again, with what does not fit.
 *
 * @category combinators
 * @since 0.1.0
 */
export const repairPrompt = (issues: string): string =>
  `Your last answer does not fit the JSON Schema that it must fit:\n\n${issues}\n\n` +
  "Answer again with the whole JSON value, corrected, and nothing else."

/**
 * Returns the request that asks for a faulty answer again: with the answer as
 * the assistant's turn, and what does not fit as the prompt after it.
 *
 * **Details**
 *
 * Without an answer there is no such turn, as hosts refuse an empty one.
 *
 * @category combinators
 * @since 0.1.0
 */
export const repaired = (request: ResponseRequest, text: string, issues: string): ResponseRequest => ({
  ...request,
  messages: [
    ...(request.messages ?? []),
    { role: "user", content: request.prompt },
    ...(text.trim() === "" ? [] : [{ role: "assistant" as const, content: text }])
  ],
  prompt: repairPrompt(issues)
})

const firstOf = (reads: ReadonlyArray<OutputShape.Read>, json: unknown): Result.Result<unknown, OutputShape.Misfit> => {
  const misfits: Array<OutputShape.Misfit> = []
  for (const read of reads) {
    const result = read(json)
    if (Result.isSuccess(result)) return result
    misfits.push(result.failure)
  }
  return Result.fail(
    nearest(misfits) ?? { lines: ["The schema is not one of JSON"], isOtherKind: true, missingKeys: 0 }
  )
}

/** Whether a value is what `{}` or `[]` stands for. */
const isEmpty = (reads: ReadonlyArray<OutputShape.Read>, value: unknown): boolean =>
  [{}, []].some((json) => {
    const empty = firstOf(reads, json)
    return Result.isSuccess(empty) && Equal.equals(empty.success, value)
  })

// A value of one dialect fails in all the others too: what it comes nearest to is what it was meant as.
const nearest = (misfits: ReadonlyArray<OutputShape.Misfit>): OutputShape.Misfit | undefined =>
  misfits.reduce<OutputShape.Misfit | undefined>(
    (nearest, misfit) => nearest === undefined || isNearer(misfit, nearest) ? misfit : nearest,
    undefined
  )

const isNearer = (one: OutputShape.Misfit, other: OutputShape.Misfit): boolean =>
  one.isOtherKind !== other.isOtherKind
    ? other.isOtherKind
    : one.missingKeys !== other.missingKeys
    ? one.missingKeys < other.missingKeys
    : one.lines.length < other.lines.length

const capped = (lines: ReadonlyArray<string>): string => {
  const text = lines.slice(0, maxIssuesLength).join("\n")
  return text.length <= maxIssuesLength ? text : `${text.slice(0, maxIssuesLength - 1)}…`
}

const valuesOf = (parts: unknown): ReadonlyArray<unknown> =>
  typeof parts === "object" && parts !== null ? Object.values(parts) : []
