/**
 * The facts of a failure, read out of whatever was thrown or answered.
 *
 * @since 0.1.0
 */
import { linesOf } from "./BodyParser.ts"
import * as ErrorBody from "./ErrorBody.ts"
import * as ForeignValue from "./ForeignValue.ts"
import type { Header } from "./RetryAfter.ts"
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
  /** Whether that body has the protocols' own shape: an object `error` with a message. */
  readonly isOwn: boolean
  /** What the model wrote, where the host found that it does not fit: Groq's `failed_generation`. */
  readonly generation: string | undefined
  readonly header: Header
  /** Headers that the body repeats: OpenRouter's `metadata.headers`, those of an event. */
  readonly innerHeaders: ReadonlyArray<Header>
  /** The objects of the body that may name a wait. */
  readonly places: ReadonlyArray<unknown>
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
  const said = ErrorBody.read(body)
  const { message, quoted } = said
  const amazonType = header("x-amzn-errortype")
  return {
    status: answer.status,
    innerStatus: said.status,
    signals: amazonType === undefined ? said.signals : [...said.signals, ErrorBody.normalised(amazonType)],
    code: said.code,
    type: said.type ?? amazonType,
    param: said.param,
    requestId: requestIdOf(header) ?? said.requestId,
    message: quoted === undefined || message === undefined ? message ?? quoted : `${message}: ${quoted}`,
    text: `${message ?? ""} ${quoted ?? ""}`.slice(0, maxRead).toLowerCase(),
    isError: said.isError,
    isOwn: said.isOwn,
    header,
    generation: said.generation,
    innerHeaders: said.headers.map(ForeignValue.headers),
    places: said.places,
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
  const spoken = chain.find((value) =>
    statusOf(value) !== undefined || ErrorBody.isBody(ForeignValue.get(value, "error"))
  )
  if (spoken === undefined) return { ...ofText(undefined, () => undefined, ""), message: messageOfLinks(links), links }
  const status = statusOf(spoken)
  const facts = ofAnswer({
    status,
    headers: ForeignValue.get(spoken, "headers"),
    body: bodyOf(spoken) ?? textOf(spoken, status)
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

const statusOf = (value: unknown): number | undefined =>
  ForeignValue.status(value, "status") ?? ForeignValue.status(value, "statusCode")

// OpenAI's SDK keeps what was under `error`, Anthropic's the whole body; of text that is not JSON both keep their message.
const bodyOf = (thrown: unknown): unknown => {
  const whole = ErrorBody.remembered(thrown)
  if (whole !== undefined) return whole
  const body = ForeignValue.get(thrown, "error")
  if (!ErrorBody.isBody(body)) return undefined
  return ForeignValue.isObject(ForeignValue.get(body, "error")) ? body : { error: body }
}

const textOf = (thrown: unknown, status: number | undefined): string => {
  const message = (ForeignValue.string(thrown, "message") ?? "").trim()
  const text = status !== undefined && message.startsWith(`${status} `) ? message.slice(4) : message
  return text === "status code (no body)" ? "" : text
}

const ofText = (status: number | undefined, header: Header, body: string): Facts => {
  const text = body.slice(0, maxRead)
  const isHtml = text.trimStart().startsWith("<")
  return {
    status,
    innerStatus: undefined,
    signals: [header("x-amzn-errortype")].filter((word) => word !== undefined).map(ErrorBody.normalised),
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
    generation: ErrorBody.generationIn(body),
    innerHeaders: [],
    places: [],
    links: []
  }
}

const titleOf = (html: string): string => {
  const start = html.toLowerCase().indexOf("<title>")
  const end = html.toLowerCase().indexOf("</title>", start)
  return start < 0 || end < 0 ? "no title" : html.slice(start + 7, end)
}

const requestIdOf = (header: Header): string | undefined =>
  header("x-request-id") ?? header("request-id") ?? header("apim-request-id") ?? header("x-amzn-requestid")

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
