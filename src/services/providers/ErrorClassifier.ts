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
import * as ErrorFacts from "./internal/ErrorFacts.ts"
import { isRetryable, type Kind, type RetryableKind } from "./internal/ErrorTable.ts"
import * as ForeignValue from "./internal/ForeignValue.ts"
import * as RetryAfter from "./internal/RetryAfter.ts"
import * as Ruling from "./internal/Ruling.ts"
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
  /** What was tried. The rule is the same for all; a 404 is `NotFound` whatever was asked. */
  readonly operation: "submit" | "retrieve" | "cancel" | "call"
  /** Unix time in milliseconds, for waits given as dates. */
  readonly now: number
  /**
   * Keys that no text may contain.
   *
   * @default []
   */
  readonly keys?: ReadonlyArray<Redacted.Redacted<string>> | undefined
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
 * 529 with the provider's own JSON error; `Uncertain` for everything else.
 *
 * **Gotchas**
 *
 * The OpenAI SDK drops an error body that has no `error` field. Give the SDK
 * `sdkErrorBody(body)` instead, in the `fetch` that it uses.
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
  const ruling = Ruling.ofJob(facts)
  const said = saidOf(facts, ruling, context, "The job failed without an error")
  const failed = (reason: Reason.JobFailed["reason"]) =>
    new Reason.JobFailed({ ...said, reason, ...(usage === undefined ? {} : { usage }) })
  const { kind } = ruling
  if (kind === "InvalidOutput") return { _tag: "NonRetryable", reason: invalidOutput(said, facts, usage) }
  return isRetryable(kind)
    ? { _tag: "Retryable", reason: failed(retryableReasons[kind](said)), ...waitOf(kind, facts, context) }
    : { _tag: "NonRetryable", reason: failed(nonRetryableReasons[kind](said)) }
}

/**
 * Returns an error body in the shape that the OpenAI SDK keeps: under `error`.
 *
 * **Details**
 *
 * For a `fetch` under the SDKs. A body that is an array, or an object without
 * `error`, comes back under `error`; any other body as it is.
 *
 * @category combinators
 * @since 0.1.0
 */
export const sdkErrorBody = (body: unknown): unknown => {
  const first = ForeignValue.elements(body)[0] ?? body
  if (!ForeignValue.isObject(first)) return body
  const inner = ForeignValue.get(first, "error")
  if (ForeignValue.isObject(inner)) return first
  return { error: first }
}

const isProviderError = (error: unknown): error is ProviderError => {
  try {
    return error instanceof ProviderError
  } catch {
    return false
  }
}

const fromFacts = (facts: ErrorFacts.Facts, context: Context, fallback = fallbackOf(facts.status)): ProviderError => {
  const ruling = Ruling.of(facts)
  const said = saidOf(facts, ruling, context, fallback)
  const { evidence, kind } = ruling
  const verdict: Verdict = isRetryable(kind)
    ? { _tag: "Retryable", reason: retryableReasons[kind](said), ...waitOf(kind, facts, context) }
    : { _tag: "NonRetryable", reason: nonRetryableReasons[kind](said, facts) }
  return new ProviderError({ verdict, evidence })
}

const fallbackOf = (status: number | undefined): string => status === undefined ? "No answer" : `HTTP ${status}`

const isSuccess = (status: number | undefined): status is number =>
  status !== undefined && status >= 200 && status < 300

const scrubOf = ({ keys = [] }: Context) => Scrub.make(keys)

type Wait = Pick<Extract<Verdict, { readonly _tag: "Retryable" }>, "retryAfter" | "retryHint">

const waitOf = (kind: RetryableKind, facts: ErrorFacts.Facts, { now }: Context): Wait => {
  const retryAfter = RetryAfter.fromHeaders(facts.header, now) ?? RetryAfter.fromGoDuration(facts.retryDelay)
  if (retryAfter !== undefined) return { retryAfter }
  if (kind !== "RateLimited" && kind !== "Overloaded") return {}
  const retryHint = RetryAfter.fromRateLimits(facts.header, now) ?? RetryAfter.fromText(facts.text)
  return retryHint === undefined ? {} : { retryHint }
}

/** The longest code, type, field name or request id that is kept, in characters. */
const maxWordLength = 200

const saidOf = (
  facts: ErrorFacts.Facts,
  ruling: Ruling.Ruling,
  context: Context,
  fallback: string
): Reason.Said => {
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
    ...(ruling.inferred ? { inferred: true } : {})
  }
}

const retryableReasons = {
  RateLimited: (said: Reason.Said) => new Reason.RateLimited(said),
  Overloaded: (said: Reason.Said) => new Reason.Overloaded(said),
  ServerError: (said: Reason.Said) => new Reason.ServerError(said),
  Network: (said: Reason.Said) => new Reason.Network(said),
  Conflict: (said: Reason.Said) => new Reason.Conflict(said),
  InvalidResponse: (said: Reason.Said) => new Reason.InvalidResponse(said)
} satisfies Record<RetryableKind, unknown>

// Groq says so in place of the model's words.
const outOfTokens = /^\s*max completion tokens reached/i

const invalidOutput = (
  said: Reason.Said,
  { generation: content = "", message = "" }: ErrorFacts.Facts,
  usage?: Usage
): Reason.InvalidOutput | Reason.Incomplete =>
  outOfTokens.test(content) || outOfTokens.test(message)
    ? new Reason.Incomplete({ ...said, content: "", usage, limit: "max_completion_tokens" })
    : new Reason.InvalidOutput({ ...said, content, usage })

const nonRetryableReasons = {
  QuotaExceeded: (said: Reason.Said) => new Reason.QuotaExceeded(said),
  AuthenticationFailed: (said: Reason.Said) => new Reason.AuthenticationFailed(said),
  PermissionDenied: (said: Reason.Said) => new Reason.PermissionDenied(said),
  NotFound: (said: Reason.Said) => new Reason.NotFound(said),
  InvalidRequest: (said: Reason.Said) => new Reason.InvalidRequest(said),
  ContextLengthExceeded: (said: Reason.Said) => new Reason.ContextLengthExceeded(said),
  ContentFiltered: (said: Reason.Said) => new Reason.ContentFiltered(said),
  InvalidOutput: (said: Reason.Said, facts: ErrorFacts.Facts) => invalidOutput(said, facts),
  Certificate: (said: Reason.Said) => new Reason.Network(said)
} satisfies Record<Exclude<Kind, RetryableKind>, unknown>
