/**
 * Reads the answers of Anthropic's Messages API, version 2026-10-21, trusting
 * no field.
 *
 * @since 0.1.0
 */
import * as Predicate from "effect/Predicate"
import type { Verdict } from "../../errors/ProviderError.ts"
import { EmptyContent, Incomplete, InvalidResponse, maxMessageLength, Refusal } from "../../errors/Reason.ts"
import { Usage } from "../../errors/Usage.ts"
import { Answer, type FinishReason } from "../LlmResponse.ts"
import type { Outcome } from "../Provider.ts"

/**
 * What the turns of one answer add up to: the API may pause a long turn and
 * wants its part back before it goes on.
 *
 * @category models
 * @since 0.1.0
 */
export interface Progress {
  /** The content blocks so far, as the API sent them. */
  readonly blocks: ReadonlyArray<unknown>
  readonly usage: Usage | undefined
}

/**
 * What an answer's body says.
 *
 * @category models
 * @since 0.1.0
 */
export type Reading =
  | { readonly _tag: "Ended"; readonly outcome: Outcome }
  | { readonly _tag: "Paused"; readonly progress: Progress }
  /** It is no message of this API. */
  | { readonly _tag: "Unreadable"; readonly message: string }

/**
 * What is known about an answer beside its body.
 *
 * @category models
 * @since 0.1.0
 */
export interface Context {
  readonly provider: string
  /** The model as it was asked for. */
  readonly model: string
  readonly requestId?: string | undefined
}

/**
 * Returns what the body of a 200 says, whatever it is.
 *
 * **Details**
 *
 * The content is the text blocks, joined; thinking, tool calls and citations
 * are only in `response`. After pauses, content and usage are those of all
 * turns; `response` is the last body with the blocks of all turns.
 *
 * | `stop_reason` | outcome |
 * | --- | --- |
 * | `end_turn`, `stop_sequence` | an answer, or `EmptyContent` |
 * | `tool_use` | an answer with the finish reason `tool-calls` |
 * | `max_tokens`, `model_context_window_exceeded` | `Incomplete` |
 * | `refusal` | `Refusal`, with the API's explanation and its category as `code` |
 * | any other | `InvalidResponse`: an unknown end is no success |
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = (body: unknown, before: Progress, context: Context): Reading => {
  if (!Predicate.isObject(body) || !Array.isArray(body["content"])) return unreadable("The answer is no message")
  const stopReason = body["stop_reason"]
  if (typeof stopReason !== "string") return unreadable("The message has no stop_reason")
  const progress: Progress = {
    blocks: [...before.blocks, ...body["content"]],
    usage: sum(before.usage, toUsage(body["usage"]))
  }
  if (stopReason === "pause_turn") return { _tag: "Paused", progress }
  const finishReason = finishReasons.get(stopReason)
  const content = textOf(progress.blocks)
  if (finishReason === undefined) return ended(failure(stopReason, body["stop_details"], content, progress, context))
  if (content.trim() === "" && !progress.blocks.some((block) => isBlock(block, "tool_use"))) {
    const message = "The answer holds neither text nor a tool call"
    return ended(nonRetryable(new EmptyContent({ ...said(context), message, usage: progress.usage })))
  }
  return {
    _tag: "Ended",
    outcome: {
      _tag: "Succeeded",
      answer: new Answer({
        content,
        finishReason,
        response: before.blocks.length === 0 ? body : { ...body, content: progress.blocks },
        model: typeof body["model"] === "string" ? body["model"] : context.model,
        ...(progress.usage === undefined ? undefined : { usage: progress.usage }),
        ...(typeof body["id"] === "string" ? { responseId: body["id"] } : undefined)
      })
    }
  }
}

/**
 * Returns how an answer ends that was paused more often than we go on with.
 *
 * @category constructors
 * @since 0.1.0
 */
export const stillPaused = (progress: Progress, context: Context): Outcome => ({
  _tag: "Failed",
  verdict: incomplete("pause_turn", textOf(progress.blocks), progress, context)
})

/**
 * No turn yet.
 *
 * @category models
 * @since 0.1.0
 */
export const noProgress: Progress = { blocks: [], usage: undefined }

const said = ({ provider, requestId }: Context) => ({ provider, requestId })

const finishReasons: ReadonlyMap<string, FinishReason> = new Map([
  ["end_turn", "stop"],
  ["stop_sequence", "stop"],
  ["tool_use", "tool-calls"]
])

const unreadable = (message: string): Reading => ({ _tag: "Unreadable", message })

const ended = (verdict: Verdict): Reading => ({ _tag: "Ended", outcome: { _tag: "Failed", verdict } })

const nonRetryable = (reason: Extract<Verdict, { _tag: "NonRetryable" }>["reason"]): Verdict => ({
  _tag: "NonRetryable",
  reason
})

const incomplete = (limit: string, content: string, progress: Progress, context: Context): Verdict =>
  nonRetryable(
    new Incomplete({
      ...said(context),
      message: `The answer stopped at ${limit}`,
      content,
      limit,
      usage: progress.usage
    })
  )

const failure = (
  stopReason: string,
  details: unknown,
  content: string,
  progress: Progress,
  context: Context
): Verdict => {
  switch (stopReason) {
    case "max_tokens":
    case "model_context_window_exceeded":
      return incomplete(stopReason, content, progress, context)
    case "refusal": {
      const { category, explanation } = Predicate.isObject(details) ? details : {}
      return nonRetryable(
        new Refusal({
          ...said(context),
          message: typeof explanation === "string" && explanation !== ""
            ? explanation.slice(0, maxMessageLength)
            : "The model declined to answer",
          code: typeof category === "string" ? category : undefined,
          content,
          usage: progress.usage
        })
      )
    }
    default: {
      const message = `The message has an unknown stop_reason, ${JSON.stringify(stopReason.slice(0, 100))}`
      return { _tag: "Retryable", reason: new InvalidResponse({ ...said(context), message }) }
    }
  }
}

const isBlock = (block: unknown, type: string): block is Readonly<Record<string, unknown>> =>
  Predicate.isObject(block) && block["type"] === type

const textOf = (blocks: ReadonlyArray<unknown>): string =>
  blocks.map((block) => isBlock(block, "text") && typeof block["text"] === "string" ? block["text"] : "").join("")

const toUsage = (usage: unknown): Usage | undefined => {
  if (!Predicate.isObject(usage)) return undefined
  const details = usage["output_tokens_details"]
  const output = count(usage["output_tokens"])
  const thinking = Math.min(Predicate.isObject(details) ? count(details["thinking_tokens"]) : 0, output)
  return makeUsage({
    inputTokens: count(usage["input_tokens"]),
    cacheReadTokens: count(usage["cache_read_input_tokens"]),
    cacheWriteTokens: count(usage["cache_creation_input_tokens"]),
    outputTokens: output - thinking,
    reasoningTokens: thinking
  })
}

const count = (value: unknown): number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : 0

const sum = (first: Usage | undefined, second: Usage | undefined): Usage | undefined => {
  if (first === undefined || second === undefined) return first ?? second
  return makeUsage({
    inputTokens: first.inputTokens + second.inputTokens,
    cacheReadTokens: first.cacheReadTokens + second.cacheReadTokens,
    cacheWriteTokens: first.cacheWriteTokens + second.cacheWriteTokens,
    outputTokens: first.outputTokens + second.outputTokens,
    reasoningTokens: first.reasoningTokens + second.reasoningTokens
  })
}

const makeUsage = (buckets: Omit<Usage, "totalTokens">): Usage =>
  new Usage({
    ...buckets,
    totalTokens: buckets.inputTokens + buckets.cacheReadTokens + buckets.cacheWriteTokens + buckets.outputTokens +
      buckets.reasoningTokens
  })
