/**
 * Words of providers that lead to a reason, as data; `ErrorTable` has the codes.
 */
import type { ErrorKind } from "./ErrorTable.ts"

/**
 * Texts that lead to a reason, under some HTTP statuses.
 */
export interface TextRule {
  readonly kind: ErrorKind
  /** The HTTP statuses under which the texts count; `none` where there is no error status. */
  readonly statuses: ReadonlyArray<number | "none">
  /** In lower case. `*` stands for any text between two parts. */
  readonly texts: ReadonlyArray<string>
  /** Texts and codes beside which the rule does not count. */
  readonly unless?: ReadonlyArray<string> | undefined
}

const contextLength: ReadonlyArray<string> = [
  "maximum context length is",
  "maximum context length of",
  "maximum context length exceeded",
  "exceeds the maximum context length",
  "exceeds maximum context length",
  "context length exceeded",
  "context window exceeded",
  "prompt is too long",
  "prompt: length",
  "exceed context limit",
  "exceeds the context window",
  "exceeds the available context size",
  "is longer than the model's context length",
  "input tokens exceed the configured limit",
  "input tokens exceeds maximum length",
  "exceeds the maximum number of tokens allowed",
  "too many tokens: size limit exceeded",
  "input is too long for requested model",
  "current length is*while limit is",
  "maximum input length is*tokens",
  "maximum prompt length is",
  "too large for model with*maximum context length",
  "longer than the maximum model length",
  "greater than the context length",
  "loaded with context length of only",
  "prompt too long; exceeded",
  "context window exceeds limit",
  "exceeded model token limit",
  "prompt exceeds max length",
  "range of input length should be",
  "`inputs` tokens + `max_new_tokens` must be",
  "`inputs` must have less than"
]

const emptyAccount: ReadonlyArray<string> = [
  "insufficient balance",
  "insufficient*balance to complete",
  "insufficient credits",
  "insufficient_credits",
  "insufficient funds",
  "insufficient_funds",
  "insufficient_quota",
  "insufficient quota",
  "insufficient_user_quota",
  "requires more credits",
  "out of credits",
  "used all available credits",
  "credits are depleted",
  "credit balance is too low",
  "spending cap",
  "budget has been exceeded",
  "exceededbudget"
]

/** OpenAI's words for an empty account, and Google's for a rate limit too: then other words stand beside them. */
const currentQuota: Omit<TextRule, "statuses"> = {
  kind: "QuotaExceeded",
  texts: ["exceeded your current quota"],
  unless: ["resource_exhausted", "retrydelay", "retry in", "try again in", "ai.google.dev", "perminute", "per minute"]
}

const dailyQuota: Omit<TextRule, "statuses"> = { kind: "QuotaExceeded", texts: ["perdayperproject", "perdayper"] }

/** A kind of input that the model or the server cannot take. */
const unsupportedInput: ReadonlyArray<string> = [
  "image input is not supported",
  "audio input is not supported",
  "video input is not supported",
  "file input is not supported",
  "support image input",
  "support audio input",
  "support video input",
  "not support image",
  "not support vision",
  "not support multimodal",
  "not support audio",
  "images are not supported",
  "images not supported",
  "multimodal is not supported",
  "multimodal not supported",
  "not a multimodal model",
  "missing data required for image input",
  "image_url is only supported by certain models",
  "failed to load image or audio file",
  "unsupported content[].type",
  "requires --jinja",
  "requires the --jinja"
]

const filtered: ReadonlyArray<string> = [
  "rejected as a result of the safety system",
  "rejected as a result of our safety system",
  "content filtering policy",
  "content management policy",
  "violating our usage policy",
  "content violates usage guidelines"
]

/**
 * Texts that say more than a code that has come to a kind: a rate limit that no
 * wait can cure, and a permission that xAI denies for want of credits or for
 * what the prompt holds.
 */
export const refinements: ReadonlyMap<ErrorKind, ReadonlyArray<Omit<TextRule, "statuses">>> = new Map([
  ["RateLimited", [
    { kind: "ContextLengthExceeded", texts: contextLength },
    { kind: "QuotaExceeded", texts: emptyAccount },
    dailyQuota,
    currentQuota,
    { kind: "InvalidRequest", texts: ["request too large for", "input or output tokens must be reduced"] }
  ]],
  ["PermissionDenied", [
    { kind: "QuotaExceeded", texts: [...emptyAccount, "run out of credits", "doesn't have any credits"] },
    { kind: "ContentFiltered", texts: filtered }
  ]]
])

/**
 * Texts, tried in order after the codes and types that decide.
 */
export const textRules: ReadonlyArray<TextRule> = [
  // Groq's, also where a gateway quotes it. The rest of the text may be the model's words.
  {
    kind: "InvalidOutput",
    statuses: [400, "none"],
    texts: ["json_validate_failed", "generated json does not match the expected schema"]
  },
  { kind: "ContextLengthExceeded", statuses: [400, 413, 422, 429, 500, "none"], texts: contextLength },
  {
    kind: "ContentFiltered",
    statuses: [400, 403, 422, 500, "none"],
    texts: filtered
  },
  { kind: "QuotaExceeded", statuses: [400, 403, 412, 429, 500, 502, 503, "none"], texts: emptyAccount },
  { ...dailyQuota, statuses: [400, 403, 429, 500, 502, 503, "none"] },
  { ...currentQuota, statuses: [400, 403, 429, 500, 502, 503, "none"] },
  {
    kind: "QuotaExceeded",
    statuses: [400, 403, "none"],
    texts: [
      "spend limit",
      "spending limit",
      "reached your specified api usage limits",
      "run out of credits",
      "doesn't have any credits"
    ]
  },
  { kind: "InvalidRequest", statuses: [400, 404, 415, 422, 500, 501, "none"], texts: unsupportedInput },
  { kind: "NotFound", statuses: [400, "none"], texts: ["unexpected endpoint or method"] },
  {
    kind: "AuthenticationFailed",
    statuses: [400, 403, "none"],
    texts: [
      "api key not valid",
      "invalid api key",
      "incorrect api key",
      "invalid x-api-key",
      "invalid subscription key",
      "security token included in the request is invalid",
      "security token included in the request is expired"
    ]
  },
  {
    kind: "PermissionDenied",
    statuses: [400],
    texts: ["organization has been disabled", "user location is not supported"]
  },
  { kind: "InvalidRequest", statuses: [413, 429], texts: ["request too large"] },
  {
    kind: "Overloaded",
    statuses: [429, 500, 503, "none"],
    texts: ["experiencing high demand", "currently overloaded", "is overloaded"]
  },
  {
    kind: "RateLimited",
    statuses: ["none"],
    texts: ["rate limit", "rate-limited", "too many requests", "service tier capacity exceeded"]
  }
]

/**
 * Words of a gateway that lost its upstream, in lower case: under a 5xx the
 * upstream may have taken the request, whatever the shape of the error.
 *
 * **Source**
 *
 * Envoy, "upstream connect error or disconnect/reset before headers"; aiohttp, "Server disconnected" and "Response
 * payload is not completed"; the SDKs of OpenAI and Anthropic, "Connection error." and "Request timed out."; Go, Java
 * and Node, their errors of sockets.
 */
export const lostUpstream: ReadonlyArray<string> = [
  "upstream",
  "disconnect",
  "connection",
  "reset by peer",
  "reset before",
  "timed out",
  "timeout",
  "time-out",
  "timed-out",
  "deadline exceeded",
  "payload is not completed",
  "incomplete chunked read",
  "incomplete read",
  "incompleteread",
  "not enough data to satisfy",
  "premature close",
  "prematurely",
  "broken pipe",
  "socket hang up",
  "remote end closed",
  "peer closed",
  "unexpected eof",
  "econnreset",
  "etimedout",
  "epipe",
  "fetch failed",
  "network error",
  "no response",
  "bad gateway",
  "gateway error"
]
