/**
 * Bodies of the OpenAI Responses API.
 *
 * @since 0.1.0
 */
import type { Tokens } from "./Answer.ts"
import { isReasoningModel, servedModel } from "./Answer.ts"
import { isObject, numberAt, objectAt, stringAt } from "./Json.ts"
import type { ResponseJob } from "./World.ts"

/**
 * Creates the Response object of a job in a status.
 *
 * **Details**
 *
 * `status` is one of the provider's, or the unknown one of the script. `endedAt` is in milliseconds since the epoch.
 * Output, usage and the tier that was used appear only when the response has ended. The fields are those of
 * recordings of February 2026 (gpt-4o) and July 2026 (reasoning models).
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (job: ResponseJob, status: string, endedAt: number | undefined): Record<string, unknown> => {
  const { answer, request } = job
  const isPending = status === "queued" || status === "in_progress"
  const hasAnswer = status === "completed" || status === "incomplete"
  const isModern = isReasoningModel(job.model)
  const reasoning = objectAt(request, "reasoning")
  const text = objectAt(request, "text")
  return {
    id: job.id,
    object: "response",
    created_at: Math.floor(job.progress.createdAt / 1000),
    status,
    background: job.isBackground,
    ...(hasAnswer ? { billing: { payer: "developer" } } : {}),
    completed_at: status === "completed" && endedAt !== undefined ? Math.floor(endedAt / 1000) : null,
    error: status === "failed" ? { code: answer.error.code, message: answer.error.message } : null,
    frequency_penalty: 0,
    incomplete_details: status === "incomplete" ? { reason: answer.reason } : null,
    instructions: request["instructions"] ?? null,
    max_output_tokens: numberAt(request, "max_output_tokens") ?? null,
    max_tool_calls: numberAt(request, "max_tool_calls") ?? null,
    model: servedModel(job.model),
    ...(isModern ? { moderation: null } : {}),
    output: hasAnswer || (status === "failed" && answer.chunks.length > 0) ? outputOf(job, status) : [],
    parallel_tool_calls: request["parallel_tool_calls"] ?? true,
    presence_penalty: 0,
    previous_response_id: stringAt(request, "previous_response_id") ?? null,
    prompt_cache_key: stringAt(request, "prompt_cache_key") ?? null,
    prompt_cache_retention: isModern ? "24h" : null,
    reasoning: isModern
      ? {
        context: "all_turns",
        effort: stringAt(reasoning, "effort") ?? "medium",
        mode: "standard",
        summary: reasoning["summary"] ?? null
      }
      : { effort: stringAt(reasoning, "effort") ?? null, summary: reasoning["summary"] ?? null },
    safety_identifier: stringAt(request, "safety_identifier") ?? null,
    service_tier: isPending || status === "cancelled" ? stringAt(request, "service_tier") ?? "auto" : tierUsed(job),
    store: request["store"] ?? true,
    temperature: numberAt(request, "temperature") ?? 1,
    text: {
      format: isObject(text["format"]) ? text["format"] : { type: "text" },
      verbosity: stringAt(text, "verbosity") ?? "medium"
    },
    tool_choice: request["tool_choice"] ?? "auto",
    ...(isModern ? { tool_usage: noToolUsage } : {}),
    tools: request["tools"] ?? [],
    top_logprobs: 0,
    top_p: numberAt(request, "top_p") ?? (isModern ? 0.98 : 1),
    truncation: stringAt(request, "truncation") ?? "disabled",
    usage: isPending || status === "cancelled" || answer.tokens === null ? null : usageOf(answer.tokens, isModern),
    user: null,
    metadata: objectAt(request, "metadata")
  }
}

/**
 * Returns the status in which a job ends.
 *
 * @category combinators
 * @since 0.1.0
 */
export const finalStatus = (job: ResponseJob): string => {
  switch (job.answer.outcome) {
    case "failed":
    case "incomplete":
    case "cancelled":
      return job.answer.outcome
    case "unknown-status":
      return job.answer.status
    case "completed":
    case "refused":
    case "empty":
    case "toolCall":
      return "completed"
  }
}

/**
 * Creates a reasoning item without a summary.
 *
 * @category constructors
 * @since 0.1.0
 */
export const reasoningItem = (job: ResponseJob): Record<string, unknown> => ({
  id: job.reasoningId,
  type: "reasoning",
  content: [],
  summary: []
})

/**
 * Creates a function call.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toolItem = (job: ResponseJob, status: string, args: string): Record<string, unknown> => ({
  id: job.itemId,
  type: "function_call",
  status,
  arguments: args,
  call_id: job.callId,
  name: job.answer.tool.name
})

/**
 * Creates a message with some content.
 *
 * @category constructors
 * @since 0.1.0
 */
export const messageItem = (
  job: ResponseJob,
  status: string,
  content: ReadonlyArray<unknown>
): Record<string, unknown> => ({
  id: job.itemId,
  type: "message",
  status,
  content,
  ...(isReasoningModel(job.model) ? { phase: "final_answer" } : {}),
  role: "assistant"
})

/**
 * Creates the content part of a message: text, or a refusal.
 *
 * @category constructors
 * @since 0.1.0
 */
export const contentPart = (job: ResponseJob, text: string): Record<string, unknown> =>
  job.answer.outcome === "refused"
    ? { type: "refusal", refusal: text }
    : { type: "output_text", annotations: [], logprobs: [], text }

const outputOf = (job: ResponseJob, status: string): ReadonlyArray<Record<string, unknown>> => [
  ...(isReasoningModel(job.model) ? [reasoningItem(job)] : []),
  ...(job.answer.outcome === "empty"
    ? []
    : job.answer.outcome === "toolCall"
    ? [toolItem(job, "completed", job.answer.tool.arguments)]
    : [
      messageItem(job, status === "completed" ? "completed" : "incomplete", [
        contentPart(job, job.answer.chunks.join(""))
      ])
    ])
]

const tierUsed = (job: ResponseJob): string => {
  const asked = stringAt(job.request, "service_tier")
  if (asked === undefined || asked === "auto") return "default"
  return asked === "fast" ? "priority" : asked
}

const usageOf = (tokens: Tokens, isModern: boolean): Record<string, unknown> => ({
  input_tokens: tokens.input,
  input_tokens_details: isModern
    ? { cache_write_tokens: 0, cached_tokens: tokens.cached }
    : { cached_tokens: tokens.cached },
  output_tokens: tokens.output,
  output_tokens_details: { reasoning_tokens: tokens.reasoning },
  total_tokens: tokens.input + tokens.output
})

const noToolUsage = {
  image_gen: {
    input_tokens: 0,
    input_tokens_details: { image_tokens: 0, text_tokens: 0 },
    output_tokens: 0,
    output_tokens_details: { image_tokens: 0, text_tokens: 0 },
    total_tokens: 0
  },
  web_search: { num_requests: 0 }
}
