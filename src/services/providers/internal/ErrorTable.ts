/**
 * The rule that turns what a provider said into a reason, as data: codes and
 * types, then text, then HTTP status.
 *
 * **Source**
 *
 * Error reference pages of OpenAI, Azure OpenAI, Anthropic, Google (Gemini API
 * troubleshooting, google.rpc.Code), Amazon Bedrock, xAI, Groq, OpenRouter,
 * Moonshot, Z.AI, Alibaba Cloud Model Studio and Volcengine Ark; recorded errors
 * of these and of other compatible servers.
 *
 * @since 0.1.0
 */

const retryableKinds = [
  "RateLimited",
  "Overloaded",
  "ServerError",
  "Network",
  "Conflict",
  "InvalidResponse"
] as const

/**
 * What a failure comes to that a later attempt may cure.
 *
 * @category models
 * @since 0.1.0
 */
export type RetryableErrorKind = typeof retryableKinds[number]

/**
 * What a failure comes to. Each kind has a reason of the same name, but for
 * `Certificate`, which is a `Network` that is not retryable.
 *
 * @category models
 * @since 0.1.0
 */
export type ErrorKind =
  | RetryableErrorKind
  | "QuotaExceeded"
  | "AuthenticationFailed"
  | "PermissionDenied"
  | "NotFound"
  | "InvalidRequest"
  | "ContextLengthExceeded"
  | "ContentFiltered"
  | "Certificate"

const retryable: ReadonlySet<ErrorKind> = new Set(retryableKinds)

/**
 * Returns whether a later attempt may cure a failure.
 *
 * @category guards
 * @since 0.1.0
 */
export const isRetryable = (kind: ErrorKind): kind is RetryableErrorKind => retryable.has(kind)

const rows = (table: { readonly [K in ErrorKind]?: string }): ReadonlyMap<string, ErrorKind> =>
  new Map(
    (Object.keys(table) as Array<ErrorKind>).flatMap((kind) => words(table[kind]).map((word) => [word, kind] as const))
  )

const words = (text: string | undefined): ReadonlyArray<string> =>
  (text ?? "").split(/\s+/).filter((word) => word !== "")

/**
 * Codes, types and gRPC statuses that decide alone, whatever the HTTP status.
 * In lower case, with `_` for `-`.
 *
 * @category models
 * @since 0.1.0
 */
export const signals: ReadonlyMap<string, ErrorKind> = rows({
  QuotaExceeded: `insufficient_quota credit_balance_exhausted organization_spend_limit_exceeded
    project_spend_limit_exceeded organization_usage_limit_exceeded billing_hard_limit_reached billing_not_active
    enforced_spend_limit_reached contract_spend_limit_reached linked_organization_spend_limit_reached
    linked_organization_billing_unavailable billing_error quota_exceeded insufficient_balance payment_required
    servicequotaexceededexception exceeded_current_quota_error arrearage accountoverdueerror
    operationdenied.serviceoverdue quota_per_day quota_exhausted insufficient_credits insufficient_funds
    insufficient_user_quota credits_exhausted budget_exceeded exceeded_budget usage_not_included`,
  RateLimited: `rate_limit_exceeded rate_limit_error rate_limited ratelimitreached rate_limit_reached_error
    ramp_limit_exceeded resource_exhausted tokens requests too_many_requests throttlingexception throttling_error throttling throttled token_quota_reached
    usage_limit_reached usage_limit_exceeded`,
  Overloaded: `resource_unavailable overloaded_error overloaded server_is_overloaded engine_overloaded
    engine_overloaded_error serveroverloaded provider_overloaded capacity_exceeded service_unavailable_error service_unavailable
    unavailable modelnotreadyexception serviceunavailableexception`,
  ServerError: `timeout_error deadline_exceeded cmek_key_unreachable cmek_context_unavailable vector_store_timeout
    internalserverexception modelerrorexception modelstreamerrorexception modeltimeoutexception data_loss`,
  Network: "failed_to_download_image cancelled",
  Conflict: "conflict_error conflictexception aborted",
  AuthenticationFailed: `invalid_api_key api_key_invalid api_key_expired authentication_error authentication
    unauthenticated
    ip_not_authorized unrecognizedclientexception invalidsignatureexception expiredtokenexception
    incompletesignatureexception`,
  PermissionDenied: `permission_error permission_denied unsupported_country_region_territory organization_on_hold
    accessdeniedexception`,
  NotFound: `model_not_found not_found_error not_found deploymentnotfound resourcenotfoundexception thread_not_found
    invalid_model unknown_model model_not_exist`,
  ContextLengthExceeded: `context_length_exceeded string_above_max_length model_context_window_exceeded
    exceed_context_size_error too_many_tokens too_many_prompt_tokens tokens_limit_reached`,
  ContentFiltered: `content_policy_violation content_filter responsibleaipolicyviolation bio_policy
    misalignment_policy_violation image_content_policy_violation refusal safety blocklist prohibited_content spii recitation
    image_safety data_inspection_failed datainspectionfailed sensitivecontentdetected
    sensitivecontentdetected.severeviolation sensitivecontentdetected.violence inputtextsensitivecontentdetected
    inputimagesensitivecontentdetected outputtextsensitivecontentdetected`,
  InvalidRequest: `previous_response_not_found invalid_encrypted_content tool_use_failed request_too_large
    unsupported_parameter unsupported_value unsupported_file invalid_value invalid_type missing_required_parameter
    image_dimensions_too_large unimplemented`
})

/**
 * Codes of limits that last for hours or days. Where the answer does not say when
 * the limit ends, waiting is of no use: it is `QuotaExceeded`.
 *
 * @category models
 * @since 0.1.0
 */
export const longLimits: ReadonlySet<string> = new Set(["usage_limit_reached", "usage_limit_exceeded"])

/**
 * Codes that mean something else under one HTTP status.
 *
 * @category models
 * @since 0.1.0
 */
export const signalsAtStatus: ReadonlyMap<string, ErrorKind> = new Map([
  ["model_not_found 403", "PermissionDenied"],
  ["slow_down 503", "Overloaded"],
  ["slow_down 429", "RateLimited"]
])

/**
 * Codes and types too vague to stand against text or an HTTP error status: they
 * decide where there is neither, in a stream or a job.
 *
 * @category models
 * @since 0.1.0
 */
export const vagueSignals: ReadonlyMap<string, ErrorKind> = rows({
  ServerError: "server_error api_error internal internal_error internal_server_error unknown",
  Overloaded: "slow_down",
  InvalidRequest: `invalid_request_error invalid_request invalid_argument failed_precondition out_of_range
    validationexception invalid_prompt data_residency_mismatch invalid_image invalid_image_format
    invalid_base64_image invalid_image_url image_too_large image_too_small image_parse_error invalid_image_mode
    image_file_too_large unsupported_image_media_type empty_image_file image_file_not_found`
})

/**
 * Texts that lead to a reason, under some HTTP statuses.
 *
 * @category models
 * @since 0.1.0
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
 *
 * @category models
 * @since 0.1.0
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
 *
 * @category models
 * @since 0.1.0
 */
export const textRules: ReadonlyArray<TextRule> = [
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

const statusRows: ReadonlyArray<readonly [ErrorKind, ReadonlyArray<number>]> = [
  ["InvalidRequest", [400, 405, 406, 411, 413, 414, 415, 417, 422, 424, 426, 428, 431, 501, 505]],
  ["AuthenticationFailed", [401]],
  ["QuotaExceeded", [402]],
  ["PermissionDenied", [403]],
  ["NotFound", [404, 410]],
  ["ServerError", [408]],
  ["Conflict", [409, 412]],
  ["RateLimited", [429]],
  ["Network", [499]],
  ["Overloaded", [529]]
]

/**
 * What an HTTP status comes to, where nothing better is known. Other 5xx are
 * `ServerError`, other 4xx `InvalidRequest`, 3xx `InvalidRequest` since
 * redirects are not followed.
 *
 * @category models
 * @since 0.1.0
 */
export const statuses: ReadonlyMap<number, ErrorKind> = new Map(
  statusRows.flatMap(([kind, numbers]) => numbers.map((status) => [status, kind] as const))
)

/**
 * Statuses of a provider that says itself, in its own JSON, that it did not
 * take the request.
 *
 * @category models
 * @since 0.1.0
 */
export const refusingStatuses: ReadonlySet<number> = new Set([500, 501, 503, 505, 529])

/**
 * What a submission was certainly not taken for, when a code says so, even in a
 * 2xx or as the first event of a stream.
 *
 * @category models
 * @since 0.1.0
 */
export const refusingKinds: ReadonlySet<ErrorKind> = new Set([
  "RateLimited",
  "QuotaExceeded",
  "AuthenticationFailed",
  "PermissionDenied",
  "NotFound",
  "InvalidRequest",
  "ContextLengthExceeded"
])

/**
 * Words of a gateway that lost its upstream, in lower case: under a 5xx the
 * upstream may have taken the request, whatever the shape of the error.
 *
 * **Source**
 *
 * Envoy, "upstream connect error or disconnect/reset before headers"; aiohttp, "Server disconnected" and "Response
 * payload is not completed"; the SDKs of OpenAI and Anthropic, "Connection error." and "Request timed out."; Go, Java
 * and Node, their errors of sockets.
 *
 * @category models
 * @since 0.1.0
 */
export const lostUpstreamTexts: ReadonlyArray<string> = [
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

/**
 * Codes and types that say the same.
 *
 * @category models
 * @since 0.1.0
 */
export const lostUpstreamSignals: ReadonlySet<string> = new Set([
  "timeout",
  "timeout_error",
  "deadline_exceeded",
  "cancelled",
  "connection_error",
  "api_connection_error",
  "apiconnectionerror",
  "apitimeouterror",
  "bad_gateway",
  "gateway_timeout",
  "upstream_error",
  "upstream_timeout",
  "modeltimeoutexception"
])
