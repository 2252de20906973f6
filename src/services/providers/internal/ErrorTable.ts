/**
 * The rule that turns what a provider said into a reason, as data: codes and
 * types, then text (`ErrorTexts`), then HTTP status.
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
  | "InvalidOutput"
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
  InvalidOutput: "json_validate_failed",
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
 * Codes and types of a gateway that lost its upstream; `ErrorTexts.lostUpstream` has
 * its words.
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
