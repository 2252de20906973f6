/**
 * What the end of an answer means, the same for Responses and Chat Completions.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import * as Reason from "../../../errors/Reason.ts"
import { Answer } from "../../LlmResponse.ts"
import type { Outcome, ToolCall } from "../../Provider.ts"
import * as ErrorClassifier from "../ErrorClassifier.ts"
import * as Failure from "./Failure.ts"
import { countOf, type Fields, fieldsOf, type Reply, textOf } from "./JsonBody.ts"
import * as OpenAiUsage from "./OpenAiUsage.ts"
import * as Scrub from "./Scrub.ts"
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
  /** The `service_tier` that was asked for; absent in polls, which do not know it. */
  readonly askedTier?: unknown
  /** The most output tokens that the request asked for, if it named a number. */
  readonly outputLimit?: number | undefined
  /** Whether the server reports an answer that was cut at its limit as complete. */
  readonly hidesLimit?: boolean | undefined
}

/**
 * What a body says of an answer that the model has stopped writing.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ending {
  readonly text: string
  /** The model's refusal, when it refused. */
  readonly refusal: string | undefined
  /** Whether a tool was called that the caller must answer. */
  readonly hasToolCalls: boolean
  /** Those calls, where they are listed. */
  readonly toolCalls?: ReadonlyArray<ToolCall> | undefined
  /** Whether the answer holds something else than text that was asked for, such as an image. */
  readonly hasOtherContent?: boolean | undefined
  /** Why the model stopped: it was done, a limit (in the provider's word), or a content filter. */
  readonly stopped: { readonly _tag: "Done" } | { readonly _tag: "Filtered" } | {
    readonly _tag: "Limited"
    /** Empty when the provider gives no reason. */
    readonly limit: string
  }
}

/**
 * Returns the outcome of an answer that has ended.
 *
 * **Details**
 *
 * In this order: filtered, refused, stopped by a limit, a tool call, no content,
 * content. White space alone is no content.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (ending: Ending, body: Fields, reply: Reply, context: Context): Outcome => {
  const { hasOtherContent, hasToolCalls, refusal, stopped, text, toolCalls } = ending
  const usage = OpenAiUsage.ofBody(body, context.askedTier)
  const said = () => ({ ...saidOf(reply, context), usage })
  if (stopped._tag === "Filtered") {
    return Failure.final(
      new Reason.ContentFiltered({ ...said(), content: text, message: "The answer was stopped by a content filter" })
    )
  }
  if (refusal !== undefined) {
    return Failure.final(new Reason.Refusal({ ...said(), content: text, message: scrubbed(refusal, context) }))
  }
  if (stopped._tag === "Limited") {
    const { limit, message } = limitOf(stopped.limit, body, context)
    return Failure.final(new Reason.Incomplete({ ...said(), content: text, limit, message }))
  }
  if (!hasToolCalls && hasOtherContent !== true && text.trim() === "") {
    return Failure.final(
      new Reason.EmptyContent({ ...said(), message: "The answer holds neither text nor a tool call" })
    )
  }
  const responseId = textOf(body.id)
  return {
    _tag: "Succeeded",
    answer: new Answer({
      content: text,
      ...(usage === undefined ? undefined : { usage }),
      finishReason: hasToolCalls ? "tool-calls" : "stop",
      response: withoutPrompt(body),
      model: textOf(body.model) || context.model,
      ...(responseId === "" ? undefined : { responseId })
    }),
    ...(toolCalls === undefined || toolCalls.length === 0 ? undefined : { toolCalls })
  }
}

const limitOf = (
  word: string,
  body: Fields,
  context: Context
): { readonly limit: string; readonly message: string } => {
  const limit = wordOf(word, context)
  if (limit !== "") return { limit, message: `The answer was cut short; the provider gives the reason ${limit}` }
  const { outputLimit } = context
  const written = outputTokensOf(body)
  const isReached = outputLimit !== undefined && (written ?? 0) >= outputLimit
  return isReached
    ? { limit: "max_output_tokens", message: `The answer was cut short at the limit of ${outputLimit} output tokens` }
    : {
      limit: "unknown",
      message: `The answer was cut short${
        written === undefined ? "" : ` after ${written} output tokens`
      }, and the provider gives no reason`
    }
}

/** Returns how many output tokens a body counts, reasoning included, by the name of either API. */
export const outputTokensOf = ({ usage }: Fields): number | undefined =>
  countOf(fieldsOf(usage).output_tokens) ?? countOf(fieldsOf(usage).completion_tokens)

/**
 * Returns the outcome of an answer that was cancelled.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cancelled = (text: string, body: Fields, reply: Reply, context: Context): Outcome =>
  Failure.final(
    new Reason.JobCancelled({
      ...saidOf(reply, context),
      content: text,
      usage: OpenAiUsage.ofBody(body, context.askedTier),
      message: "The response was cancelled"
    })
  )

/**
 * Returns the error for a reply of status 2xx that is not an answer: what its
 * body says where it says something, else `InvalidResponse`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const unreadable = (reply: Reply, context: Context): Result.Result<never, ProviderError> =>
  Result.fail(ErrorClassifier.fromBody(reply, context))

/**
 * Returns the error for a reply of status 2xx whose JSON is not what the API
 * promises: `InvalidResponse`, retryable; the request may have been taken.
 *
 * @category constructors
 * @since 0.1.0
 */
export const invalid = (message: string, reply: Reply, context: Context): Result.Result<never, ProviderError> =>
  Result.fail(
    Failure.uncertain(
      new Reason.InvalidResponse({
        ...saidOf(reply, context),
        status: reply.status,
        message: scrubbed(message, context)
      })
    )
  )

/**
 * Returns what may be kept of a word of the provider's: capped, without keys.
 *
 * @category combinators
 * @since 0.1.0
 */
export const wordOf = (text: string, context: Context): string => scrubbed(text, context, maxWordLength)

/** The longest status, limit or request id that is kept, in characters. */
const maxWordLength = 200

const scrubbed = (text: string, context: Context, max = Reason.maxMessageLength): string =>
  Scrub.make(context.keys ?? [])(text, max)

const saidOf = (reply: Reply, context: Context) => {
  const requestId = wordOf(reply.headers.get("x-request-id") ?? "", context)
  return { provider: context.provider, ...(requestId === "" ? undefined : { requestId }) }
}
