/**
 * Reads the bodies of Gemini's Interactions API, trusting no field.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import * as Reason from "../../../errors/Reason.ts"
import { Usage } from "../../../errors/Usage.ts"
import { Answer } from "../../LlmResponse.ts"
import type { JobState, Outcome } from "../../Provider.ts"
import * as ErrorClassifier from "../ErrorClassifier.ts"
import * as Failure from "./Failure.ts"
import { countOf, type Fields, fieldsOf, isErrorSet, isFields, itemsOf, type Reply, textOf } from "./JsonBody.ts"
import * as RetryAfter from "./RetryAfter.ts"
import * as Scrub from "./Scrub.ts"
import * as ServedAs from "./ServedAs.ts"
import { withoutPrompt } from "./WithoutPrompt.ts"

/**
 * The exchange that a reply belongs to.
 *
 * @category models
 * @since 0.1.0
 */
export interface Context extends ErrorClassifier.Context {
  /** The model that was asked for. */
  readonly model: string
}

/**
 * Returns the state of the job that a reply of status 2xx describes.
 *
 * **Details**
 *
 * The content is the text that the model wrote last, after its thoughts and
 * tool calls. `response` is the body without the input that it repeats.
 *
 * | `status` | state |
 * | --- | --- |
 * | `queued`, `in_progress` | pending |
 * | `completed` | an answer, or `EmptyContent`; an answer of images, audio or video has no content |
 * | `requires_action` | an answer with the finish reason `tool-calls`, or `Incomplete` without a call |
 * | `requires_continuation`, `incomplete`, `budget_exceeded` | `Incomplete`, with the status as limit |
 * | `failed` | `JobFailed`, by its first error |
 * | `cancelled` | `JobCancelled` |
 * | any other | `Unknown` |
 *
 * **Errors**
 *
 * `InvalidResponse` for a body that describes no interaction, and whatever an
 * error body says.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stateOf = (reply: Reply, context: Context): Result.Result<JobState, ProviderError> => {
  const { body, headers } = reply
  const status = textOf(fieldsOf(body).status)
  if (!isFields(body) || status === "") return Result.fail(ErrorClassifier.fromBody(reply, context))
  switch (status) {
    case "queued":
    case "in_progress": {
      const pollAfter = RetryAfter.beforePoll(headers, context.now)
      return Result.succeed({ _tag: "Pending", status, phase: status === "queued" ? "queued" : "running", pollAfter })
    }
    case "completed":
    case "requires_action":
    case "requires_continuation":
    case "incomplete":
    case "budget_exceeded":
    case "failed":
    case "cancelled":
      return Result.succeed({ _tag: "Ended", outcome: outcomeOf(status, body, context) })
  }
  return Result.succeed({ _tag: "Unknown", status: Scrub.make(context.keys ?? [])(status, 200) })
}

/**
 * Returns the id of the interaction that a body describes, or the empty string.
 *
 * @category constructors
 * @since 0.1.0
 */
export const idOf = (body: unknown): string => textOf(fieldsOf(body).id)

const outcomeOf = (status: string, body: Fields, context: Context): Outcome => {
  const steps = itemsOf(body.steps).map(fieldsOf)
  const content = contentOf(steps)
  const usage = usageOf(body.usage, body.service_tier)
  const said = { provider: context.provider, usage }
  switch (status) {
    case "failed":
      return { _tag: "Failed", verdict: ErrorClassifier.jobFailure(errorOf(body, steps), usage, context) }
    case "cancelled":
      return Failure.final(new Reason.JobCancelled({ ...said, content, message: "The interaction was cancelled" }))
    case "completed":
    case "requires_action":
      break
    default:
      return incomplete(status, content, said)
  }
  const toolCalls = steps.filter(({ name, type }) => type === "function_call" && textOf(name) !== "")
    .map(({ arguments: input, id, name }) => ({
      id: textOf(id),
      name: textOf(name),
      arguments: JSON.stringify(input ?? {})
    }))
  const hasToolCalls = toolCalls.length > 0
  if (status === "requires_action" && !hasToolCalls) return incomplete(status, content, said)
  if (content.trim() === "" && !hasToolCalls && !steps.some(hasMedia)) {
    return Failure.final(new Reason.EmptyContent({ ...said, message: "The answer holds neither text nor a tool call" }))
  }
  const responseId = idOf(body)
  return {
    _tag: "Succeeded",
    answer: new Answer({
      content,
      ...(usage === undefined ? undefined : { usage }),
      finishReason: hasToolCalls ? "tool-calls" : "stop",
      response: withoutInput(body),
      model: textOf(body.model) || context.model,
      ...(responseId === "" ? undefined : { responseId })
    }),
    ...(hasToolCalls ? { toolCalls } : undefined)
  }
}

const incomplete = (
  limit: string,
  content: string,
  said: { readonly provider: string; readonly usage: Usage | undefined }
): Outcome =>
  Failure.final(
    new Reason.Incomplete({
      ...said,
      content,
      limit,
      message: `The answer was cut short; the provider gives the reason ${limit}`
    })
  )

// What Google's own client calls `output_text`: texts before a tool call, or before an image, are not the answer.
const contentOf = (steps: ReadonlyArray<Fields>): string => {
  let content = ""
  for (const step of steps.toReversed()) {
    if (step.type === "user_input") break
    if (step.type === "thought") continue
    if (step.type !== "model_output") {
      if (content !== "") break
      continue
    }
    for (const part of itemsOf(step.content).map(fieldsOf).toReversed()) {
      if (part.type === "text") content = textOf(part.text) + content
      else if (content !== "") return content
    }
  }
  return content
}

const hasMedia = (step: Fields): boolean =>
  step.type === "model_output" && itemsOf(step.content).some((part) => mediaTypes.has(textOf(fieldsOf(part).type)))

const mediaTypes: ReadonlySet<string> = new Set(["image", "audio", "video", "document"])

/** Fields in which the API repeats what it was sent. */
const sentFields: ReadonlySet<string> = new Set(["system_instruction", "environment", "webhook_config"])

const sentSteps: ReadonlySet<string> = new Set(["user_input", "function_result"])

const withoutInput = (body: Fields): Fields =>
  Object.fromEntries(
    Object.entries(withoutPrompt(body)).flatMap(([key, value]): ReadonlyArray<readonly [string, unknown]> => {
      if (sentFields.has(key)) return []
      return key === "steps" && Array.isArray(value)
        ? [[key, value.filter((step) => !sentSteps.has(textOf(fieldsOf(step).type)))]]
        : [[key, value]]
    })
  )

const errorOf = (body: Fields, steps: ReadonlyArray<Fields>): unknown => {
  const error = [itemsOf(body.errors)[0], body.error, steps.findLast((step) => isErrorSet(step.error))?.error]
    .find(isErrorSet)
  if (!isFields(error)) return error
  const { code } = error
  // A step's error has the number of a google.rpc.Code; an interaction's a word or a URI that ends with it.
  if (typeof code === "number") return { ...error, status: rpcCodes[code] }
  return typeof code === "string" ? { ...error, code: code.split(/[/#]/).findLast((part) => part !== "") } : error
}

const rpcCodes: Readonly<Record<number, string>> = {
  1: "CANCELLED",
  2: "UNKNOWN",
  3: "INVALID_ARGUMENT",
  4: "DEADLINE_EXCEEDED",
  5: "NOT_FOUND",
  7: "PERMISSION_DENIED",
  8: "RESOURCE_EXHAUSTED",
  9: "FAILED_PRECONDITION",
  10: "ABORTED",
  11: "OUT_OF_RANGE",
  12: "UNIMPLEMENTED",
  13: "INTERNAL",
  14: "UNAVAILABLE",
  15: "DATA_LOSS",
  16: "UNAUTHENTICATED"
}

// Cached tokens are part of the input, thoughts stand beside the output. What tools fed back is input beside it,
// unless the total says otherwise.
const usageOf = (value: unknown, tier: unknown): Usage | undefined => {
  const usage = fieldsOf(value)
  const input = countOf(usage.total_input_tokens)
  const output = countOf(usage.total_output_tokens)
  if (input === undefined && output === undefined) return undefined
  const reasoningTokens = countOf(usage.total_thought_tokens) ?? 0
  const plain = (input ?? 0) + (output ?? 0) + reasoningTokens
  const fedBack = countOf(usage.total_tool_use_tokens) ?? 0
  const toolTokens = (countOf(usage.total_tokens) ?? Infinity) >= plain + fedBack ? fedBack : 0
  const totalTokens = plain + toolTokens
  // A host that does not count writes zeros; no answer has neither input nor output.
  if (totalTokens === 0 || !Number.isSafeInteger(totalTokens)) return undefined
  const cacheReadTokens = Math.min(countOf(usage.total_cached_tokens) ?? 0, input ?? 0)
  return new Usage({
    inputTokens: (input ?? 0) - cacheReadTokens + toolTokens,
    cacheReadTokens,
    cacheWriteTokens: 0,
    outputTokens: output ?? 0,
    reasoningTokens,
    totalTokens,
    ...ServedAs.tierOf(tier)
  })
}
