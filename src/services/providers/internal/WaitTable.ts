/**
 * Where servers write how long to wait, as data.
 *
 * **Source**
 *
 * RFC 9110, 10.2.3. OpenAI, "Rate limits in headers"; ChatGPT's plan limits (`usage_limit_reached`). Azure SDK
 * guidelines, "Retry-After". Anthropic, "Rate limits", "Response headers". google.rpc.RetryInfo. LiteLLM,
 * `get_response_headers`. OpenRouter, "Limits". Cerebras, "Rate limits". Error bodies quoted in public issues.
 */

/** What gateways write before the name of a header that the upstream sent: LiteLLM. */
export const forwardedPrefixes: ReadonlyArray<string> = ["", "llm_provider-"]

/** Headers with a number of milliseconds. */
export const millisHeaders: ReadonlyArray<string> = ["retry-after-ms", "x-ms-retry-after-ms"]

/** Headers with a number of seconds or a date. */
export const secondsHeaders: ReadonlyArray<string> = ["retry-after", "x-retry-after"]

/** A window of a limit, by its headers. It counts when nothing remains of it. */
export interface Window {
  /** A number of seconds, a Go duration, or a moment: a Unix time in seconds or milliseconds, or RFC 3339. */
  readonly reset: string
  readonly remaining: string
  /** What `remaining` holds when the window is used up. */
  readonly usedUp: string
  /** Whether the window counts when `remaining` is absent. */
  readonly isAssumed: boolean
}

const spans = ["requests", "tokens"].flatMap((dimension) =>
  ["minute", "hour", "day"].map((span) => `${dimension}-${span}`)
)

/** Windows that end at one moment, unlike a bucket that refills all the time. */
export const windows: ReadonlyArray<Window> = [
  { reset: "x-ratelimit-reset", remaining: "x-ratelimit-remaining", usedUp: "0", isAssumed: true },
  { reset: "ratelimit-reset", remaining: "ratelimit-remaining", usedUp: "0", isAssumed: true },
  ...spans.map((span) => ({
    reset: `x-ratelimit-reset-${span}`,
    remaining: `x-ratelimit-remaining-${span}`,
    usedUp: "0",
    isAssumed: false
  })),
  ...["unified", "unified-5h", "unified-7d"].map((claim) => ({
    reset: `anthropic-ratelimit-${claim}-reset`,
    remaining: `anthropic-ratelimit-${claim}-status`,
    usedUp: "rejected",
    isAssumed: false
  })),
  ...["primary", "secondary"].map((window) => ({
    reset: `x-codex-${window}-reset-after-seconds`,
    remaining: `x-codex-${window}-used-percent`,
    usedUp: "100",
    isAssumed: false
  }))
]

/** Fields of a body with a number of milliseconds. */
export const millisFields: ReadonlyArray<string> = [
  "retry_after_ms",
  "retryAfterMs",
  "retry-after-ms",
  "retry_in_ms",
  "retryInMs",
  "resets_in_ms",
  "reset_in_ms"
]

/** Fields with a number of seconds, a duration, or a moment as text. */
export const secondsFields: ReadonlyArray<string> = [
  "resets_in_seconds",
  "reset_in_seconds",
  "resets_in",
  "reset_in",
  "reset_after",
  "reset_after_seconds",
  "retry_after",
  "retry_after_seconds",
  "retryAfter",
  "retryAfterSeconds",
  "retry-after",
  "Retry-After",
  "retry_in",
  "retry_in_seconds",
  "retryDelay",
  "retry_delay",
  "quotaResetDelay",
  "cooldown_time",
  "cooldown_seconds"
]

/** Fields with a moment: a Unix time in seconds or milliseconds, RFC 3339, or an HTTP date. */
export const momentFields: ReadonlyArray<string> = [
  "resets_at",
  "reset_at",
  "resetsAt",
  "resetAt",
  "reset_time",
  "resetTime",
  "retry_at",
  "retryAt",
  "quotaResetTimeStamp"
]

/** Fields that gateways quote inside a message, as JSON or as Python writes it; in lower case. */
export const quotedFields: ReadonlyArray<string> = ["retrydelay", "resets_in_seconds", "retry_after", "retry-after"]

/** Words before a duration in a message, in lower case. */
export const beforeDurations: ReadonlyArray<string> = [
  "try again in",
  "try again after",
  "retry in",
  "retry after",
  "retrying in",
  "available in",
  "available again in",
  "available after",
  "reset in",
  "resets in",
  "wait for",
  "wait"
]

/** Words before a moment in a message, in lower case. */
export const beforeMoments: ReadonlyArray<string> = [
  "try again at",
  "try again after",
  "retry at",
  "retry after",
  "available at",
  "reset at",
  "resets at",
  "reset on",
  "resets on"
]
