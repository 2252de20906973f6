/**
 * The facts of a failure, read out of whatever was thrown or answered.
 *
 * @since 0.1.0
 */
import { linesOf } from "./BodyParser.ts"
import * as ForeignValue from "./ForeignValue.ts"
import { maxRead } from "./Scrub.ts"

/**
 * What is known of a failure before it is judged. Text is as foreign as it
 * came, not scrubbed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Facts {
  /** HTTP status of the answer. */
  readonly status: number | undefined
  /** A status that the body names, for an error under 200 or in a stream. */
  readonly innerStatus: number | undefined
  /** Codes, then types, in the spelling of the table. */
  readonly signals: ReadonlyArray<string>
  readonly code: string | undefined
  readonly type: string | undefined
  readonly param: string | undefined
  readonly requestId: string | undefined
  readonly message: string | undefined
  /** The provider's words in lower case, for patterns; empty where the words are not a provider's. */
  readonly text: string
  /** Whether there is a body that says that it is an error. */
  readonly isError: boolean
  /** Whether that body is a provider's own: an `error` object with a message. */
  readonly isOwn: boolean
  readonly header: (name: string) => string | undefined
  /** What the model wrote, where the host found that it does not fit: Groq's `failed_generation`. */
  readonly generation: string | undefined
  /** Google's `RetryInfo.retryDelay`. */
  readonly retryDelay: string | undefined
  /** What was thrown and its causes, outermost first. Empty for an answer. */
  readonly links: ReadonlyArray<Link>
}

/**
 * One thrown value of a chain of causes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Link {
  readonly names: ReadonlyArray<string>
  readonly code: string | undefined
  readonly syscall: string | undefined
  readonly message: string | undefined
}

/**
 * Returns the facts of an answer: an HTTP error, an event of a stream, an
 * error object.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofAnswer = (answer: {
  readonly status: number | undefined
  readonly headers: unknown
  readonly body: unknown
}): Facts => {
  const header = ForeignValue.headers(answer.headers)
  const body = typeof answer.body === "string" ? jsonOf(answer.body) ?? answer.body : answer.body
  if (typeof body === "string") return ofText(answer.status, header, body)
  const { isError, node, root } = nodeOf(body)
  const code = codesOf(node, root)
  const type = [...typesOf(node, root), header("x-amzn-errortype")].filter((word) => word !== undefined)
  const message = messageOf(node) ?? messageOf(root)
  const raw = ForeignValue.string(ForeignValue.get(node, "metadata"), "raw")
  return {
    status: answer.status,
    innerStatus: ForeignValue.status(node, "code") ?? ForeignValue.status(node, "status") ??
      ForeignValue.status(node, "status_code"),
    signals: [...code, ...(isDailyQuota(node) ? ["quota_per_day"] : []), ...type].map(normalised),
    code: code[0],
    type: type[0],
    param: ForeignValue.string(node, "param"),
    requestId: requestIdOf(header) ?? ForeignValue.string(root, "request_id") ??
      ForeignValue.string(node, "request_id"),
    message: raw === undefined || message === undefined ? message ?? raw : `${message}: ${raw}`,
    text: `${message ?? ""} ${raw ?? ""}`.slice(0, maxRead).toLowerCase(),
    isError,
    isOwn: isError && (ForeignValue.string(node, "message") !== undefined || code.length > 0 && message !== undefined),
    header,
    generation: generationOf(node) ?? generationOf(quoted(raw)) ?? generationOf(quoted(message)),
    retryDelay: detailsOf(node).map((detail) => ForeignValue.string(detail, "retryDelay")).find((delay) => delay),
    links: []
  }
}

/**
 * Returns the facts of anything that was thrown.
 *
 * **Details**
 *
 * Errors of the SDKs are known by their shape: `status`, `headers`, and the
 * body, or its `error`, under `error`. The first of the chain of causes that
 * has such a shape speaks.
 *
 * @category constructors
 * @since 0.1.0
 */
export const ofThrown = (thrown: unknown): Facts => {
  const chain = chainOf(thrown)
  const links = chain.map(linkOf)
  const spoken = chain.find((value) => statusOf(value) !== undefined || isBody(ForeignValue.get(value, "error")))
  if (spoken === undefined) return { ...ofText(undefined, () => undefined, ""), message: messageOfLinks(links), links }
  const status = statusOf(spoken)
  const body = ForeignValue.get(spoken, "error")
  const facts = ofAnswer({
    status,
    headers: ForeignValue.get(spoken, "headers"),
    // The SDKs throw text that is no JSON away, but for their own message.
    body: isBody(body) ? { error: body } : textOf(spoken, status)
  })
  return {
    ...facts,
    code: facts.code ?? ForeignValue.word(spoken, "code"),
    type: facts.type ?? ForeignValue.string(spoken, "type"),
    requestId: facts.requestId ?? ForeignValue.string(spoken, "requestID"),
    links: status === undefined && !facts.isError ? links : []
  }
}

// Some servers send an error, too, as an event.
const jsonOf = (text: string): unknown =>
  ForeignValue.json(text) ??
    (text.length > maxRead
      ? undefined
      : linesOf(text).map((line) => ForeignValue.json(line)).find(ForeignValue.isObject))

const isBody = (value: unknown): boolean =>
  ForeignValue.isObject(value) && ForeignValue.string(value, "stack") === undefined ||
  typeof value === "string" && value !== ""

const statusOf = (value: unknown): number | undefined =>
  ForeignValue.status(value, "status") ?? ForeignValue.status(value, "statusCode")

const textOf = (thrown: unknown, status: number | undefined): string => {
  const message = (ForeignValue.string(thrown, "message") ?? "").trim()
  const text = status !== undefined && message.startsWith(`${status} `) ? message.slice(4) : message
  return text === "status code (no body)" ? "" : text
}

const ofText = (status: number | undefined, header: Facts["header"], body: string): Facts => {
  const text = body.slice(0, maxRead)
  const isHtml = text.trimStart().startsWith("<")
  return {
    status,
    innerStatus: undefined,
    signals: [header("x-amzn-errortype")].filter((word) => word !== undefined).map(normalised),
    code: undefined,
    type: undefined,
    param: undefined,
    requestId: requestIdOf(header),
    // Text under a 2xx is a broken answer, not a message.
    message: status !== undefined && status < 300
      ? undefined
      : isHtml
      ? `HTML instead of JSON: ${titleOf(text)}`
      : text,
    text: isHtml ? "" : text.toLowerCase(),
    isError: false,
    isOwn: false,
    header,
    generation: generationOf(quoted(body)),
    retryDelay: undefined,
    links: []
  }
}

const titleOf = (html: string): string => {
  const start = html.toLowerCase().indexOf("<title>")
  const end = html.toLowerCase().indexOf("</title>", start)
  return start < 0 || end < 0 ? "no title" : html.slice(start + 7, end)
}

const requestIdOf = (header: Facts["header"]): string | undefined =>
  header("x-request-id") ?? header("request-id") ?? header("apim-request-id") ?? header("x-amzn-requestid")

interface Node {
  /** What was answered, out of its array. */
  readonly root: unknown
  /** The innermost object that says what went wrong. */
  readonly node: unknown
  readonly isError: boolean
}

const nodeOf = (body: unknown): Node => {
  const root = ForeignValue.elements(body)[0] ?? body
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
  }
  const detail = ForeignValue.get(node, "detail")
  const isPlainDetail = ForeignValue.isObject(detail) && ForeignValue.elements(detail).length === 0 &&
    messageOf(node) === undefined
  return { root, node: isPlainDetail ? detail : node, isError }
}

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
  return ForeignValue.isObject(generation)
    ? JSON.stringify(generation)
    : typeof generation === "string"
    ? generation
    : undefined
}

/** The error that a gateway quotes in a text of its own. */
const quoted = (text: string | undefined): unknown =>
  text?.includes("failed_generation") === true
    ? nodeOf(ForeignValue.json(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1))).node
    : undefined

const detailsOf = (node: unknown): ReadonlyArray<unknown> => ForeignValue.elements(ForeignValue.get(node, "details"))

const isDailyQuota = (node: unknown): boolean =>
  detailsOf(node).flatMap((detail) => ForeignValue.elements(ForeignValue.get(detail, "violations")))
    .some((violation) => (ForeignValue.string(violation, "quotaId") ?? "").includes("PerDay"))

// Amazon writes `namespace#Code` and `Code:http://…`.
const normalised = (word: string): string =>
  word.slice(0, 200).replace(/^[^#]*#/, "").replace(/:.*$/s, "").toLowerCase().replace(/[- ]/g, "_")

const maxLinks = 12

const chainOf = (thrown: unknown): ReadonlyArray<unknown> => {
  const chain: Array<unknown> = []
  const waiting: Array<unknown> = [thrown]
  while (waiting.length > 0 && chain.length < maxLinks) {
    const value = waiting.shift()
    if (chain.includes(value)) continue
    chain.push(value)
    const causes = [ForeignValue.get(value, "cause"), ForeignValue.get(value, "error")]
    waiting.push(
      ...[...causes, ...ForeignValue.elements(ForeignValue.get(value, "errors"))].filter(ForeignValue.isObject)
    )
  }
  return chain
}

const linkOf = (value: unknown): Link => ({
  names: [
    ForeignValue.string(value, "name"),
    ForeignValue.string(value, "_tag"),
    ForeignValue.string(ForeignValue.get(value, "constructor"), "name")
  ].filter((name) => name !== undefined),
  code: ForeignValue.string(value, "code"),
  syscall: ForeignValue.string(value, "syscall"),
  message: typeof value === "string" ? value : ForeignValue.string(value, "message")
})

const messageOfLinks = (links: ReadonlyArray<Link>): string | undefined => {
  const outer = links[0]?.message
  const inner = links.findLast((link) => link.code !== undefined && link.message !== undefined)?.message
  if (outer === undefined || inner === undefined || outer.includes(inner)) return outer ?? inner
  return `${outer.slice(0, maxRead / 2).replace(/\.$/, "")}: ${inner}`
}
