/**
 * The errors of the providers: status, body and headers in the shape of each API.
 *
 * @since 0.1.0
 */
import type { CannedError } from "./Script.ts"

/**
 * The APIs whose errors differ in shape.
 *
 * @category models
 * @since 0.1.0
 */
export type Api = "openai" | "azure" | "anthropic" | "gemini"

/**
 * An error answer.
 *
 * @category models
 * @since 0.1.0
 */
export interface ErrorReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: unknown
}

/**
 * Creates a known provider error in the shape of an API.
 *
 * @category constructors
 * @since 0.1.0
 */
export const canned = (
  api: Api,
  error: CannedError,
  facts: { readonly requestId: string; readonly model?: string | undefined; readonly message?: string | undefined }
): ErrorReply => {
  const model = facts.model ?? "the model"
  if (api === "anthropic") {
    const row = anthropicErrors(model)[error]
    return anthropic(row.status, row.type, facts.message ?? row.message, facts.requestId, row.code)
  }
  if (api === "gemini") {
    const { message, status } = openAiErrors(model)[error]
    return gemini(status, facts.message ?? message, geminiCodes[error])
  }
  const row = { ...openAiErrors(model)[error], ...(api === "azure" ? azureErrors[error] : undefined) }
  return openAi(row.status, {
    message: facts.message ?? row.message,
    type: row.type,
    param: row.param ?? null,
    code: row.code ?? null,
    ...row.extra
  })
}

/**
 * Creates an error in the shape of the OpenAI API.
 *
 * @category constructors
 * @since 0.1.0
 */
export const openAi = (status: number, error: {
  readonly message: string
  readonly type: string | null
  readonly param?: string | null | undefined
  readonly code?: string | null | undefined
}): ErrorReply => ({
  status,
  headers: {},
  body: { error: { param: null, code: null, ...error } }
})

/**
 * Creates an error in the shape of the Anthropic API.
 *
 * @category constructors
 * @since 0.1.0
 */
export const anthropic = (
  status: number,
  type: string,
  message: string,
  requestId: string,
  code?: string | undefined
): ErrorReply => ({
  status,
  // As recorded: a rejected key comes with a veto on retries.
  headers: status === 401 ? { "x-should-retry": "false" } : {},
  body: {
    type: "error",
    error: { type, message, ...(code === undefined ? {} : { details: { error_code: code } }) },
    request_id: requestId
  }
})

/**
 * Creates an error in the shape of Gemini's Interactions API.
 *
 * @category constructors
 * @since 0.1.0
 */
export const gemini = (status: number, message: string, code = "invalid_request"): ErrorReply => ({
  status,
  headers: {},
  body: { error: { message, code } }
})

const geminiCodes: { readonly [K in CannedError]?: string } = {
  rateLimit: "rate_limit_exceeded",
  quota: "quota_exceeded",
  overloaded: "service_unavailable",
  serverError: "internal_error",
  gatewayTimeout: "deadline_exceeded",
  authentication: "unauthenticated",
  permission: "permission_denied",
  notFound: "not_found"
}

interface OpenAiRow {
  readonly status: number
  readonly type: string | null
  readonly code?: string | null
  readonly param?: string | null
  readonly message: string
  readonly extra?: Readonly<Record<string, unknown>>
}

const openAiErrors = (model: string): Record<CannedError, OpenAiRow> => ({
  rateLimit: {
    status: 429,
    type: "tokens",
    code: "rate_limit_exceeded",
    message: `Rate limit reached for ${model} in organization org-sim on tokens per min (TPM): Limit 30000, ` +
      "Used 29000, Requested 2000. Please try again in 579ms."
  },
  tokensPerMinute: {
    status: 429,
    type: "tokens",
    code: "rate_limit_exceeded",
    message: `Request too large for ${model} in organization org-sim on tokens per min (TPM): Limit 30000, ` +
      "Requested 45000. The input or output tokens must be reduced in order to run successfully."
  },
  quota: {
    status: 429,
    type: "insufficient_quota",
    code: "insufficient_quota",
    message: "You exceeded your current quota, please check your plan and billing details."
  },
  overloaded: {
    status: 503,
    type: "service_unavailable_error",
    code: "server_is_overloaded",
    message: "Our servers are currently overloaded. Please try again later."
  },
  serverError: {
    status: 500,
    type: "server_error",
    message: "The server had an error processing your request. Sorry about that!"
  },
  gatewayTimeout: { status: 504, type: "server_error", message: "The server took too long to answer." },
  requestTimeout: { status: 408, type: "server_error", message: "The request was not received in time." },
  conflict: { status: 409, type: "invalid_request_error", message: "The resource is locked by another request." },
  contextLength: {
    status: 400,
    type: "invalid_request_error",
    code: "context_length_exceeded",
    param: "input",
    message: "Your input exceeds the context window of this model. Please adjust your input and try again."
  },
  contentFilter: {
    status: 400,
    type: "invalid_request_error",
    code: "content_policy_violation",
    message: "Your request was rejected as a result of our safety system."
  },
  authentication: {
    status: 401,
    type: "invalid_request_error",
    code: "invalid_api_key",
    message: "Incorrect API key provided: sim-****."
  },
  permission: {
    status: 403,
    type: "invalid_request_error",
    code: "model_not_found",
    message: `Project proj_sim does not have access to model ${model}.`
  },
  notFound: {
    status: 404,
    type: "invalid_request_error",
    code: "model_not_found",
    message: `The model ${model} does not exist or you do not have access to it.`
  },
  requestTooLarge: { status: 413, type: "invalid_request_error", message: "The request body is too large." },
  invalidRequest: {
    status: 400,
    type: "invalid_request_error",
    code: "unsupported_parameter",
    param: "temperature",
    message: "Unsupported parameter: 'temperature' is not supported with this model."
  }
})

const azureErrors: { readonly [K in CannedError]?: Partial<OpenAiRow> } = {
  contentFilter: {
    type: null,
    code: "content_filter",
    param: "prompt",
    message: "The response was filtered due to the prompt triggering Azure OpenAI's content management policy.",
    extra: {
      status: 400,
      innererror: {
        code: "ResponsibleAIPolicyViolation",
        content_filter_result: { violence: { filtered: true, severity: "high" } }
      }
    }
  },
  authentication: {
    type: null,
    code: "401",
    message: "Access denied due to invalid subscription key or wrong API endpoint."
  },
  notFound: {
    code: "DeploymentNotFound",
    message: "The API deployment for this resource does not exist."
  },
  overloaded: {
    status: 429,
    type: null,
    code: "429",
    message: "The system is currently experiencing high demand and cannot process your request."
  }
}

interface AnthropicRow {
  readonly status: number
  readonly type: string
  readonly message: string
  readonly code?: string
}

const anthropicErrors = (model: string): Record<CannedError, AnthropicRow> => ({
  rateLimit: {
    status: 429,
    type: "rate_limit_error",
    message: "This request would exceed your account's rate limit. Please try again later."
  },
  tokensPerMinute: {
    status: 429,
    type: "rate_limit_error",
    message: "This request would exceed your organization's rate limit of 30,000 input tokens per minute."
  },
  quota: {
    status: 429,
    type: "rate_limit_error",
    code: "enforced_spend_limit_reached",
    message: "Your organization has reached its spend limit."
  },
  overloaded: { status: 529, type: "overloaded_error", message: "Overloaded" },
  serverError: { status: 500, type: "api_error", message: "Internal server error" },
  gatewayTimeout: { status: 504, type: "timeout_error", message: "Request timed out." },
  requestTimeout: { status: 408, type: "timeout_error", message: "The request was not received in time." },
  conflict: { status: 409, type: "conflict_error", message: "The resource was changed by another request." },
  contextLength: {
    status: 400,
    type: "invalid_request_error",
    message: "prompt is too long: 210000 tokens > 200000 maximum"
  },
  contentFilter: {
    status: 400,
    type: "invalid_request_error",
    message: "Output blocked by content filtering policy"
  },
  authentication: { status: 401, type: "authentication_error", message: "invalid x-api-key" },
  permission: {
    status: 403,
    type: "permission_error",
    message: "Your API key does not have permission to use the specified resource."
  },
  notFound: { status: 404, type: "not_found_error", message: `model: ${model}` },
  requestTooLarge: { status: 413, type: "request_too_large", message: "Request exceeds the maximum size" },
  invalidRequest: { status: 400, type: "invalid_request_error", message: "max_tokens: must be greater than 0" }
})
