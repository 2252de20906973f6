/**
 * Turns what providers, networks and SDKs fail with into a `ProviderError`:
 * the one place where the rule lives.
 *
 * The rule's data are in `internal/ErrorTable` and `internal/TransportTable`.
 *
 * @since 0.1.0
 */
import type * as Redacted from "effect/Redacted"
import { ProviderError, type Verdict } from "../../errors/ProviderError.ts"
import * as Reason from "../../errors/Reason.ts"
import type { Usage } from "../../errors/Usage.ts"
import * as Arrived from "./internal/Arrived.ts"
import * as Classification from "./internal/Classification.ts"
import * as ErrorFacts from "./internal/ErrorFacts.ts"
import { type ErrorKind, isRetryable, type RetryableErrorKind } from "./internal/ErrorTable.ts"
import * as ForeignValue from "./internal/ForeignValue.ts"
import * as RequestHint from "./internal/RequestHint.ts"
import * as RetryAfter from "./internal/RetryAfter.ts"
import * as Scrub from "./internal/Scrub.ts"

/**
 * What is known beside the failure itself.
 *
 * @category options
 * @since 0.1.0
 */
export interface Context {
  /** The provider's name, its prefix in a model name. */
  readonly provider: string
  /**
   * What was tried. The reason is the same for all; a 404 is `NotFound` whatever was asked. Of a background submission,
   * `"submit"`, an error in a 2xx or in a stream is a refusal when it names the status 402 or 429, or a plan's limit.
   */
  readonly operation: "submit" | "retrieve" | "cancel" | "call"
  /** Unix time in milliseconds, for waits given as dates. */
  readonly now: number
  /**
   * Keys that no text may contain.
   *
   * @default []
   */
  readonly keys?: ReadonlyArray<Redacted.Redacted<string>> | undefined
  /**
   * The request that failed, for the message of an address that does not exist.
   * Query, user name and password of the URL are never shown.
   */
  readonly request?: RequestHint.SentRequest | undefined
}

/**
 * Returns the error that something thrown stands for.
 *
 * **Details**
 *
 * Total: it takes anything, and never throws. A `ProviderError` is returned as
 * it is. Errors of the SDKs are known by their shape. An abort is `Network`:
 * an interruption of the caller's own is not an error and must not come here.
 *
 * **Errors**
 *
 * `evidence` is `NotSent` where no connection was made (DNS, refused,
 * unreachable, TLS, connect timeout) or nothing was sent (bad URL, no key);
 * `Refused` for 3xx, for 4xx except 408 and 499, and for 500, 501, 503, 505 and
 * 529 with the protocols' own JSON error (an object `error` with a message) whose
 * words are not those of a lost upstream (timeout, reset, disconnect, …);
 * `Uncertain` for everything else.
 *
 * @category constructors
 * @since 0.1.0
 */
export const classify = (error: unknown, context: Context): ProviderError => {
  if (isProviderError(error)) return error
  return fromFacts(ErrorFacts.ofThrown(error), context)
}

/**
 * Returns the error that an answer stands for: an HTTP error, an `error` event
 * of a stream (no `status`), an error body under status 200.
 *
 * **Details**
 *
 * `body` is the parsed body or its text, of which `length` characters arrived.
 * An answer that does not say that it is an error, under a 2xx, is
 * `InvalidResponse`; its message names the content type, the length and the
 * first 100 characters.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromBody = (answer: {
  readonly status?: number | undefined
  /** A `Headers`, or a record. */
  readonly headers?: unknown
  readonly body: unknown
  readonly length?: number | undefined
}, context: Context): ProviderError => {
  const status = ForeignValue.status(answer, "status")
  const body = ForeignValue.get(answer, "body")
  const facts = ErrorFacts.ofAnswer({ status, headers: ForeignValue.get(answer, "headers"), body })
  return fromFacts(
    facts,
    context,
    isSuccess(status) && !facts.isError
      ? Arrived.describe({ ...facts, status, body, length: ForeignValue.get(answer, "length") }, scrubOf(context))
      : undefined
  )
}

/**
 * Returns the verdict on a job that ended as failed, from its `error`.
 *
 * **Details**
 *
 * The reason is `JobFailed`; its `reason` is what the same words would have
 * meant as an answer to a request. It is retryable, as a new job, when that
 * is; a code that is not known is `InvalidRequest`. Where the host found that the
 * answer does not fit, the reason is `InvalidOutput` itself, or `Incomplete`
 * where the tokens did not suffice.
 *
 * @category constructors
 * @since 0.1.0
 */
export const jobFailure = (error: unknown, usage: Usage | undefined, context: Context): Verdict => {
  const facts = ErrorFacts.ofAnswer({ status: undefined, headers: undefined, body: error })
  const found = Classification.ofJob(facts)
  const said = fieldsOf(facts, found, context, "The job failed without an error")
  const failed = (reason: Reason.JobFailed["reason"]) =>
    new Reason.JobFailed({ ...said, reason, ...(usage === undefined ? {} : { usage }) })
  const { kind, wait } = kindOf(found, facts, context)
  if (kind === "InvalidOutput") return { _tag: "NonRetryable", reason: invalidOutput(said, facts, usage) }
  return isRetryable(kind)
    ? { _tag: "Retryable", reason: failed(retryableReasons[kind](said)), ...wait }
    : { _tag: "NonRetryable", reason: failed(nonRetryableReasons[kind](said)) }
}

const isProviderError = (error: unknown): error is ProviderError => {
  try {
    return error instanceof ProviderError
  } catch {
    return false
  }
}

const fromFacts = (facts: ErrorFacts.Facts, context: Context, fallback = fallbackOf(facts.status)): ProviderError => {
  const found = Classification.of(facts)
  const { kind, wait } = kindOf(found, facts, context)
  const said = fieldsOf(facts, found, context, fallback)
  const fields = kind === "NotFound" || facts.status === 405 ? withRequest(said, facts, context) : said
  const verdict: Verdict = isRetryable(kind)
    ? { _tag: "Retryable", reason: retryableReasons[kind](fields), ...wait }
    : { _tag: "NonRetryable", reason: nonRetryableReasons[kind](fields, facts) }
  // Of a call that was held open, a part of the answer may have been written and billed before.
  const evidence = found.isRefusal && context.operation === "submit" ? "Refused" : found.evidence
  return new ProviderError({ verdict, evidence })
}

// Without the provider's own JSON it is likely that there is no such API at the address.
const withRequest = (
  said: Reason.ReasonFields,
  { isError, isOwn, status = 0 }: ErrorFacts.Facts,
  context: Context
): Reason.ReasonFields => {
  // LM Studio answers 200 for an address that it does not have.
  const isSaid = isOwn || (isError && status >= 300)
  const hint = isSaid || context.request === undefined ? undefined : RequestHint.of(context.request)
  if (hint === undefined) return said
  const message = `${said.message.slice(0, Reason.maxMessageLength / 2)} (${scrubOf(context)(hint, 600)})`
  return { ...said, message }
}

const fallbackOf = (status: number | undefined): string => status === undefined ? "No answer" : `HTTP ${status}`

const isSuccess = (status: number | undefined): status is number =>
  status !== undefined && status >= 200 && status < 300

const scrubOf = ({ keys = [] }: Context) => Scrub.make(keys)

type Wait = Pick<Extract<Verdict, { readonly _tag: "Retryable" }>, "retryAfter" | "retryHint">

/** The kind of a failure, now that its wait is known, and the wait. */
const kindOf = (
  { isLongLimit, kind }: Classification.Classification,
  facts: ErrorFacts.Facts,
  { now }: Context
): { readonly kind: ErrorKind; readonly wait: Wait } => {
  if (!isRetryable(kind)) return { kind, wait: {} }
  const wait = waitOf(kind, facts, now)
  return isLongLimit && wait.retryAfter === undefined ? { kind: "QuotaExceeded", wait: {} } : { kind, wait }
}

const waitOf = (kind: RetryableErrorKind, facts: ErrorFacts.Facts, now: number): Wait => {
  const clock = RetryAfter.serverTime(facts.header, now)
  const headers = [facts.header, ...facts.innerHeaders]
  const isLimit = kind === "RateLimited" || kind === "Overloaded"
  const retryAfter = RetryAfter.longest([
    ...headers.map((header) => RetryAfter.fromHeaders(header, clock)),
    RetryAfter.fromFields(facts.places, clock),
    ...(isLimit ? headers.map((header) => RetryAfter.fromWindows(header, clock)) : []),
    ...(isLimit ? [RetryAfter.fromText(facts.text, clock)] : [])
  ])
  if (retryAfter !== undefined) return { retryAfter }
  if (!isLimit) return {}
  const retryHint = RetryAfter.fromRateLimits(facts.header, clock)
  return retryHint === undefined ? {} : { retryHint }
}

/** The longest code, type, field name or request id that is kept, in characters. */
const maxWordLength = 200

const fieldsOf = (
  facts: ErrorFacts.Facts,
  { inferred }: Classification.Classification,
  context: Context,
  fallback: string
): Reason.ReasonFields => {
  const scrub = scrubOf(context)
  const transportCode = facts.links.find((link) => link.code !== undefined)?.code
  const words = {
    code: facts.code ?? transportCode,
    type: facts.type,
    param: facts.param,
    requestId: facts.requestId,
    provider: context.provider
  }
  const said = Object.entries(words).flatMap(([name, word]) => {
    const text = word === undefined ? "" : scrub(word, maxWordLength)
    return text === "" ? [] : [[name, text] as const]
  })
  const message = scrub(facts.message ?? "", Reason.maxMessageLength)
  return {
    message: message === "" ? fallback : message,
    ...(facts.status === undefined ? {} : { status: facts.status }),
    ...Object.fromEntries(said),
    ...(inferred ? { inferred: true } : {})
  }
}

const retryableReasons = {
  RateLimited: (said: Reason.ReasonFields) => new Reason.RateLimited(said),
  Overloaded: (said: Reason.ReasonFields) => new Reason.Overloaded(said),
  ServerError: (said: Reason.ReasonFields) => new Reason.ServerError(said),
  Network: (said: Reason.ReasonFields) => new Reason.Network(said),
  Conflict: (said: Reason.ReasonFields) => new Reason.Conflict(said),
  InvalidResponse: (said: Reason.ReasonFields) => new Reason.InvalidResponse(said)
} satisfies Record<RetryableErrorKind, unknown>

// Groq says so in place of the model's words.
const outOfTokens = /^\s*max completion tokens reached/i

const invalidOutput = (
  said: Reason.ReasonFields,
  { generation: content = "", message = "" }: ErrorFacts.Facts,
  usage?: Usage
): Reason.InvalidOutput | Reason.Incomplete =>
  outOfTokens.test(content) || outOfTokens.test(message)
    ? new Reason.Incomplete({ ...said, content: "", usage, limit: "max_completion_tokens" })
    : new Reason.InvalidOutput({ ...said, content, usage })

const nonRetryableReasons = {
  QuotaExceeded: (said: Reason.ReasonFields) => new Reason.QuotaExceeded(said),
  AuthenticationFailed: (said: Reason.ReasonFields) => new Reason.AuthenticationFailed(said),
  PermissionDenied: (said: Reason.ReasonFields) => new Reason.PermissionDenied(said),
  NotFound: (said: Reason.ReasonFields) => new Reason.NotFound(said),
  InvalidRequest: (said: Reason.ReasonFields) => new Reason.InvalidRequest(said),
  ContextLengthExceeded: (said: Reason.ReasonFields) => new Reason.ContextLengthExceeded(said),
  ContentFiltered: (said: Reason.ReasonFields) => new Reason.ContentFiltered(said),
  InvalidOutput: (said: Reason.ReasonFields, facts: ErrorFacts.Facts) => invalidOutput(said, facts),
  Certificate: (said: Reason.ReasonFields) => new Reason.Network(said)
} satisfies Record<Exclude<ErrorKind, RetryableErrorKind>, unknown>
