/**
 * Reads the answers of Anthropic's Messages API, version 2026-10-21, trusting
 * no field.
 *
 * @since 0.1.0
 */
import type * as Redacted from "effect/Redacted"
import { EmptyContent, Incomplete, InvalidResponse, maxMessageLength, Refusal } from "../../errors/Reason.ts"
import type { Usage, UsagePass } from "../../errors/Usage.ts"
import { Answer } from "../LlmResponse.ts"
import type { Outcome } from "../Provider.ts"
import * as AnthropicUsage from "./internal/AnthropicUsage.ts"
import * as Failure from "./internal/Failure.ts"
import { type Fields, fieldsOf, isFields, itemsOf, textOf } from "./internal/JsonBody.ts"
import { blockText } from "./internal/MessageAccumulator.ts"
import * as Scrub from "./internal/Scrub.ts"

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
  readonly passes: ReadonlyArray<UsagePass>
}

/**
 * What an answer's body says.
 *
 * @category models
 * @since 0.1.0
 */
export type Reading =
  | {
    readonly _tag: "Ended"
    readonly outcome: Outcome
    /** The `stop_reason`, where this version does not know it. */
    readonly unknownStop?: string | undefined
  }
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
  /** Keys that no text of a failure may contain. */
  readonly keys?: ReadonlyArray<Redacted.Redacted<string>> | undefined
}

/**
 * Returns what the body of a 200 says, whatever it is.
 *
 * **Details**
 *
 * The content is the text blocks, joined; thinking, tool calls and citations
 * are only in `response`. After pauses, content and usage are those of all
 * turns; `response` is the last body with the blocks of all turns. The finish
 * reason is `tool-calls` when a `tool_use` block waits for the caller.
 *
 * The model is the one that answered: after a fallback on the server, the one
 * of its `fallback_message` iteration or `fallback` block.
 *
 * A refusal without output costs nothing at Anthropic's own API.
 *
 * | `stop_reason` | outcome |
 * | --- | --- |
 * | `end_turn`, `stop_sequence`, `tool_use` | an answer, or `EmptyContent` |
 * | `max_tokens`, `model_context_window_exceeded`, `compaction` | `Incomplete` |
 * | `refusal` | `Refusal`, with the API's explanation and its category as `code` |
 * | any other | `Incomplete`, or `InvalidResponse` without text and tool calls: an unknown end is no success |
 *
 * **Source**
 *
 * Anthropic, "Handling stop reasons", "Refusals and fallback" and "Streaming refusals" (billing).
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = (body: unknown, before: Progress, context: Context): Reading => {
  if (!isFields(body) || !Array.isArray(body.content)) return unreadable("The answer is no message")
  const stopReason = textOf(body.stop_reason)
  if (stopReason === "") return unreadable("The message has no stop_reason")
  const progress: Progress = {
    blocks: [...before.blocks, ...body.content],
    passes: [...before.passes, ...withFreeRefusal(passesOf(body, context), stopReason, context)]
  }
  if (stopReason === "pause_turn") return { _tag: "Paused", progress }
  const content = contentOf(progress.blocks)
  const hasCalls = progress.blocks.some((block) => fieldsOf(block).type === "tool_use")
  const isEmpty = content.trim() === "" && !hasCalls
  if (!ends.has(stopReason)) {
    const usage = spent(progress, body, context)
    const outcome = failure(stopReason, body.stop_details, content, usage, context)
    return outcome === undefined
      ? unknownEnd(stopReason, content, isEmpty, usage, context)
      : { _tag: "Ended", outcome }
  }
  if (isEmpty) {
    const message = "The answer holds neither text nor a tool call"
    return {
      _tag: "Ended",
      outcome: Failure.final(new EmptyContent({ ...said(context), message, usage: spent(progress, body, context) }))
    }
  }
  const model = modelOf(body, context)
  const usage = AnthropicUsage.total(progress.passes, model)
  return {
    _tag: "Ended",
    outcome: {
      _tag: "Succeeded",
      answer: new Answer({
        content,
        finishReason: hasCalls ? "tool-calls" : "stop",
        response: before.blocks.length === 0 ? body : { ...body, content: progress.blocks },
        model,
        ...(usage === undefined ? undefined : { usage }),
        ...(typeof body.id === "string" ? { responseId: body.id } : undefined)
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
export const stillPaused = (progress: Progress, context: Context): Outcome =>
  incomplete(
    "pause_turn",
    contentOf(progress.blocks),
    AnthropicUsage.total(progress.passes, progress.passes[0]?.model ?? context.model),
    context
  )

/**
 * Returns what may be kept of a word of the provider's: capped at 200 characters, without keys.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wordOf = (text: string, { keys = [] }: { readonly keys?: Context["keys"] }): string =>
  Scrub.make(keys)(text, 200)

/**
 * Returns the tokens that a message counts so far, with those of the turns
 * before it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const usageOf = (body: unknown, before: Progress, context: Context): Usage | undefined => {
  const message = fieldsOf(body)
  return AnthropicUsage.total([...before.passes, ...passesOf(message, context)], modelOf(message, context))
}

/**
 * No turn yet.
 *
 * @category models
 * @since 0.1.0
 */
export const noProgress: Progress = { blocks: [], passes: [] }

const said = (context: Context) => ({
  provider: context.provider,
  requestId: context.requestId === undefined ? undefined : wordOf(context.requestId, context)
})

const ends: ReadonlySet<string> = new Set(["end_turn", "stop_sequence", "tool_use"])

// A stream begins with the model that was asked for, and only its usage or a block says that another took over.
const modelOf = (body: Fields, context: Context): string => fallbackOf(body) || textOf(body.model) || context.model

const fallbackOf = (body: Fields): string => {
  const block = itemsOf(body.content).map(fieldsOf).findLast(({ type }) => type === "fallback")
  return AnthropicUsage.servedBy(body.usage) || textOf(fieldsOf(block?.to).model)
}

// Failures carry the names of models into logs and journals: a server may echo a key in them.
const passesOf = (body: Fields, context: Context): ReadonlyArray<UsagePass> =>
  AnthropicUsage.passesOf(body.usage, modelOf(body, context)).map((pass) => ({
    ...pass,
    model: wordOf(pass.model, context)
  }))

const withFreeRefusal = (
  passes: ReadonlyArray<UsagePass>,
  stopReason: string,
  { provider }: Context
): ReadonlyArray<UsagePass> => {
  const isFree = stopReason === "refusal" && provider === "anthropic" &&
    passes.every(({ outputTokens, reasoningTokens }) => outputTokens + reasoningTokens === 0)
  return isFree ? passes.map((pass) => ({ reportedNanoUsd: 0, ...pass })) : passes
}

// A failure names no model: its tokens count as those of the model that was asked for, unless another took over.
const spent = (progress: Progress, body: Fields, context: Context): Usage | undefined =>
  AnthropicUsage.total(progress.passes, fallbackOf(body) === "" ? modelOf(body, context) : context.model)

const unreadable = (message: string): Reading => ({ _tag: "Unreadable", message })

const incomplete = (limit: string, content: string, usage: Usage | undefined, context: Context): Outcome =>
  Failure.final(
    new Incomplete({
      ...said(context),
      message: `The answer stopped at ${limit}`,
      content,
      limit,
      usage
    })
  )

const failure = (
  stopReason: string,
  details: unknown,
  content: string,
  usage: Usage | undefined,
  context: Context
): Outcome | undefined => {
  switch (stopReason) {
    case "max_tokens":
    case "model_context_window_exceeded":
    case "compaction":
      return incomplete(stopReason, content, usage, context)
    case "refusal": {
      const { category, explanation } = fieldsOf(details)
      return Failure.final(
        new Refusal({
          ...said(context),
          message: textOf(explanation) === ""
            ? "The model declined to answer"
            : Scrub.make(context.keys ?? [])(textOf(explanation), maxMessageLength),
          code: typeof category === "string" ? wordOf(category, context) : undefined,
          content,
          usage
        })
      )
    }
  }
  return undefined
}

// What was written is paid for: a retry would only pay for it again.
const unknownEnd = (
  stopReason: string,
  content: string,
  isEmpty: boolean,
  usage: Usage | undefined,
  context: Context
): Reading => {
  const unknownStop = wordOf(stopReason, context)
  const message = `The message has an unknown stop_reason, ${JSON.stringify(unknownStop)}`
  const outcome: Outcome = isEmpty
    ? { _tag: "Failed", verdict: { _tag: "Retryable", reason: new InvalidResponse({ ...said(context), message }) } }
    : incomplete(unknownStop, content, usage, context)
  return { _tag: "Ended", outcome, unknownStop }
}

const contentOf = (blocks: ReadonlyArray<unknown>): string => blocks.map((block) => blockText(fieldsOf(block))).join("")
