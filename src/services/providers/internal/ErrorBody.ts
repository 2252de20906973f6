/**
 * Reads the error in an answer's body, in the shapes that providers and gateways
 * write.
 */
import * as ForeignValue from "./ForeignValue.ts"

/** What a body says of a failure. Text is as foreign as it came. */
export interface ErrorBody {
  readonly isError: boolean
  /** Whether the error has the shape of the protocols: an object `error` with a message. */
  readonly isOwn: boolean
  /** A status that the body names. */
  readonly status: number | undefined
  /** Codes, then types, in the spelling of the table. */
  readonly signals: ReadonlyArray<string>
  readonly code: string | undefined
  readonly type: string | undefined
  readonly param: string | undefined
  readonly requestId: string | undefined
  readonly message: string | undefined
  /** What the model wrote, where the host found that it does not fit: Groq's `failed_generation`. */
  readonly generation: string | undefined
  /** What a gateway quotes of its upstream. */
  readonly quoted: string | undefined
  /** The objects that may name a wait. */
  readonly places: ReadonlyArray<unknown>
  /** Headers that the body repeats, as objects. */
  readonly headers: ReadonlyArray<unknown>
}

/** Reads a parsed body: an HTTP error, an event of a stream, an error object. */
export const read = (body: unknown): ErrorBody => {
  const { chain, isError, isOwn } = chainOf(body)
  const node = chain[0]
  const root = chain.at(-1)
  const codes = codesOf(node, root)
  const types = typesOf(node, root)
  const quoted = ForeignValue.string(ForeignValue.get(node, "metadata"), "raw")
  const upstream = upstreamOf(quoted)
  const places = [...chain, ...upstream].flatMap((part) => [part, ...partsOf(part)])
  return {
    isError,
    isOwn,
    status: chain.map(statusOf).find((status) => status !== undefined),
    signals: [
      ...codes,
      ...([...chain, ...upstream].some(isDailyQuota) ? ["quota_per_day"] : []),
      ...types,
      ...upstream.flatMap((part) => [...codesOf(part, part), ...typesOf(part, part)])
    ].map(normalised),
    code: codes[0],
    type: types[0],
    param: ForeignValue.string(node, "param"),
    requestId: ForeignValue.string(root, "request_id") ?? ForeignValue.string(node, "request_id"),
    message: messageOf(node) ?? messageOf(root),
    generation: generationOf(node) ?? generationIn(quoted) ?? generationIn(messageOf(node) ?? messageOf(root)),
    quoted,
    places,
    headers: places.map((place) => ForeignValue.get(place, "headers")).filter(ForeignValue.isObject)
  }
}

const bodies = new WeakMap<object, unknown>()

/** Keeps the whole body of an answer for the error that an SDK throws for it: the SDKs drop a part. Returns the error. */
export const remember = <E extends object>(error: E, body: unknown): E => {
  if (body !== undefined) bodies.set(error, body)
  return error
}

/** Returns the body that is kept for an error. */
export const remembered = (error: unknown): unknown => ForeignValue.isObject(error) ? bodies.get(error) : undefined

/** Whether a value is what a body holds under `error`, and not an error of JavaScript. */
export const isBody = (value: unknown): boolean =>
  ForeignValue.isObject(value) && ForeignValue.string(value, "stack") === undefined ||
  typeof value === "string" && value !== ""

// Amazon writes `namespace#Code` and `Code:http://…`.
/** Returns a code or type in the spelling of the table. */
export const normalised = (word: string): string =>
  word.slice(0, 200).replace(/^[^#]*#/, "").replace(/:.*$/s, "").toLowerCase().replace(/[- ]/g, "_")

interface Chain {
  /** The objects from the innermost that says what went wrong out to the answer itself. */
  readonly chain: ReadonlyArray<unknown>
  readonly isError: boolean
  readonly isOwn: boolean
}

const chainOf = (body: unknown): Chain => {
  const root = ForeignValue.elements(body)[0] ?? body
  const chain = [root]
  let node = root
  let isError = ForeignValue.get(root, "type") === "error"
  for (let depth = 0; depth < 4; depth++) {
    const inner = [
      ForeignValue.get(node, "error"),
      ForeignValue.get(ForeignValue.get(node, "response"), "error"),
      ForeignValue.elements(ForeignValue.get(node, "errors"))[0]
    ].find(isBody)
    isError ||= inner !== undefined
    const next = ForeignValue.elements(inner)[0] ?? inner
    if (!ForeignValue.isObject(next)) break
    node = next
    chain.unshift(node)
  }
  const detail = ForeignValue.get(node, "detail")
  const isPlainDetail = ForeignValue.isObject(detail) && ForeignValue.elements(detail).length === 0 &&
    messageOf(node) === undefined
  if (isPlainDetail) chain.unshift(detail)
  const error = ForeignValue.get(root, "error")
  const hasMessage = ForeignValue.isObject(error) && ForeignValue.string(error, "message") !== undefined
  return { chain, isError, isOwn: hasMessage }
}

// OpenRouter quotes the upstream's JSON as text.
const upstreamOf = (quoted: string | undefined): ReadonlyArray<unknown> => {
  const body = quoted === undefined ? undefined : ForeignValue.json(quoted)
  return body === undefined ? [] : chainOf(body).chain
}

const partsOf = (part: unknown): ReadonlyArray<unknown> => {
  const details = ForeignValue.get(part, "details")
  const listed = detailsOf(part)
  return [
    ForeignValue.get(part, "metadata"),
    ...(listed.length === 0 ? [details] : listed),
    ...listed.map((detail) => ForeignValue.get(detail, "metadata"))
  ].filter(ForeignValue.isObject)
}

const statusOf = (part: unknown): number | undefined =>
  statusNames.map((name) => ForeignValue.status(part, name)).find((status) => status !== undefined)

const statusNames: ReadonlyArray<string> = [
  "code",
  "status",
  "status_code",
  "statusCode",
  "http_status",
  "http_status_code",
  "http_code",
  "error_code"
]

const messageOf = (node: unknown): string | undefined =>
  ForeignValue.string(node, "message") ??
    ForeignValue.string(node, "error") ??
    ForeignValue.string(node, "detail") ??
    ForeignValue.string(ForeignValue.elements(ForeignValue.get(node, "errors"))[0], "message") ??
    ForeignValue.string(ForeignValue.get(node, "errors"), "0") ??
    ForeignValue.string(node, "msg") ??
    ForeignValue.string(node, "title") ??
    validationOf(ForeignValue.get(node, "detail"))

const validationOf = (detail: unknown): string | undefined => {
  const said = ForeignValue.elements(detail).flatMap((item) => {
    const message = ForeignValue.string(item, "msg")
    const path = ForeignValue.elements(ForeignValue.get(item, "loc")).filter((part) => typeof part === "string")
    return message === undefined ? [] : [`${path.join(".")}: ${message}`]
  })
  return said.length === 0 ? undefined : said.join("; ")
}

const codesOf = (node: unknown, root: unknown): ReadonlyArray<string> =>
  [
    ForeignValue.word(ForeignValue.get(node, "details"), "error_code"),
    ForeignValue.string(ForeignValue.get(node, "metadata"), "error_type"),
    ...detailsOf(node).map((detail) => ForeignValue.string(detail, "reason")),
    ForeignValue.word(node, "code"),
    ForeignValue.word(ForeignValue.get(node, "innererror"), "code"),
    ForeignValue.word(root, "code")
  ].filter((word) => word !== undefined)

const typesOf = (node: unknown, root: unknown): ReadonlyArray<string> =>
  [
    ForeignValue.string(node, "type"),
    ForeignValue.string(node, "status"),
    ForeignValue.string(node, "error_type"),
    ForeignValue.string(node, "__type"),
    ForeignValue.string(root, "error_type")
  ].filter((word) => word !== undefined).filter((word) => word !== "error" && !word.startsWith("response."))

const generationOf = (node: unknown): string | undefined => {
  const generation = ForeignValue.get(node, "failed_generation")
  if (ForeignValue.isObject(generation)) return JSON.stringify(generation)
  return typeof generation === "string" ? generation : undefined
}

/** Returns the model's words in an error that a gateway quotes in a text of its own. */
export const generationIn = (text: string | undefined): string | undefined => {
  if (text?.includes("failed_generation") !== true) return undefined
  const quoted = ForeignValue.json(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1))
  return quoted === undefined ? undefined : generationOf(chainOf(quoted).chain[0])
}

const detailsOf = (node: unknown): ReadonlyArray<unknown> => ForeignValue.elements(ForeignValue.get(node, "details"))

const isDailyQuota = (node: unknown): boolean =>
  detailsOf(node).flatMap((detail) => ForeignValue.elements(ForeignValue.get(detail, "violations")))
    .some((violation) => (ForeignValue.string(violation, "quotaId") ?? "").includes("PerDay"))
