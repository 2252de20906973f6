/**
 * Reads the bodies of Anthropic's Message Batches API, trusting no field.
 *
 * @since 0.1.0
 */
import * as DateTime from "effect/DateTime"
import * as Option from "effect/Option"
import { BodyParser, linesOf } from "./BodyParser.ts"
import * as JobPath from "./JobPath.ts"
import { type Fields, fieldsOf, isFields, parse, textOf } from "./JsonBody.ts"

/**
 * A message batch.
 *
 * @category models
 * @since 0.1.0
 */
export interface Batch {
  readonly id: string
  /** The API's `processing_status`. */
  readonly status: string
  /** Unix time in milliseconds; `undefined` when the body does not tell. */
  readonly createdAt: number | undefined
  /** Whether its results are deleted. */
  readonly isArchived: boolean
  readonly resultsUrl: string | undefined
  /** Requests in the batch; `undefined` when the body does not tell. */
  readonly requests: number | undefined
}

/**
 * Returns the batch that a body describes; `undefined` when it describes none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = (body: unknown): Batch | undefined => {
  const { archived_at, created_at, id, processing_status, request_counts, results_url } = fieldsOf(body)
  if (textOf(id) === "" || textOf(processing_status) === "") return undefined
  return {
    id: textOf(id),
    status: textOf(processing_status),
    createdAt: Option.getOrUndefined(Option.map(DateTime.make(textOf(created_at)), DateTime.toEpochMillis)),
    isArchived: textOf(archived_at) !== "",
    resultsUrl: textOf(results_url) || undefined,
    requests: isFields(request_counts) ? sumOf(request_counts) : undefined
  }
}

/**
 * One page of the list of batches, newest first.
 *
 * @category models
 * @since 0.1.0
 */
export interface Page {
  /** `undefined` stands for an item that is no batch. */
  readonly batches: ReadonlyArray<Batch | undefined>
  /** The id after which the next page begins; `undefined` on the last page. */
  readonly next: string | undefined
}

/**
 * Returns the page that a body holds; `undefined` when it holds none.
 *
 * @category constructors
 * @since 0.1.0
 */
export const readPage = (body: unknown): Page | undefined => {
  const { data, has_more, last_id } = fieldsOf(body)
  if (!Array.isArray(data)) return undefined
  return { batches: data.map(read), next: has_more === true ? textOf(last_id) || undefined : undefined }
}

/**
 * One line of a batch's results.
 *
 * @category models
 * @since 0.1.0
 */
export interface Line {
  readonly customId: string
  readonly result: Fields
}

/**
 * Returns the lines of a batch's results that can be read, and whether there
 * are others: a line that was cut, or none of this API.
 *
 * **Details**
 *
 * The lines may be the events of a stream, the items of one array, or one
 * result that takes several lines.
 *
 * @category constructors
 * @since 0.1.0
 */
export const readLines = (text: string): { readonly lines: ReadonlyArray<Line>; readonly hasOthers: boolean } => {
  const found = linesOf(text).filter((line) => line !== "[DONE]").map((line) => lineOf(parse(line)))
  const lines = found.filter((line) => line !== undefined)
  if (lines.length > 0) return { lines, hasOthers: lines.length < found.length }
  const { body } = BodyParser.of(text)
  const items = body._tag !== "Json" ? [] : Array.isArray(body.value) ? body.value : [body.value]
  const readable = items.map(lineOf).filter((line) => line !== undefined)
  return { lines: readable, hasOthers: text.trim() !== "" && (readable.length === 0 || readable.length < items.length) }
}

/**
 * Returns the path under `baseUrl` at which a batch's results are: its
 * `results_url` if that is on the server of `baseUrl`, else the documented one.
 *
 * **Details**
 *
 * Requests carry the key, which no other host may see: a proxy passes the
 * provider's own `results_url` on.
 *
 * @category constructors
 * @since 0.1.0
 */
export const resultsAt = ({ id, resultsUrl }: Batch, baseUrl: string): string => {
  const url = resultsUrl === undefined ? null : URL.parse(resultsUrl)
  const isOurs = url !== null && url.origin === URL.parse(baseUrl)?.origin && url.username + url.password === ""
  return isOurs ? url.href : `/v1/messages/batches/${JobPath.encode(id)}/results`
}

const sumOf = (counts: Fields): number | undefined => {
  const numbers = Object.values(counts).filter((count) => typeof count === "number")
  return numbers.length === 0 ? undefined : numbers.reduce((sum, count) => sum + count, 0)
}

const lineOf = (value: unknown): Line | undefined => {
  const { custom_id, result } = fieldsOf(value)
  return textOf(custom_id) !== "" && isFields(result) ? { customId: textOf(custom_id), result } : undefined
}
