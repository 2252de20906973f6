/**
 * What the end of an answer means, the same for Responses and Chat Completions.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import * as Reason from "../../../errors/Reason.ts"
import type { Usage } from "../../../errors/Usage.ts"
import { Answer } from "../../LlmResponse.ts"
import type { Outcome } from "../../Provider.ts"
import * as ErrorClassifier from "../ErrorClassifier.ts"
import * as Failure from "./Failure.ts"
import { type Fields, type Reply, textOf } from "./JsonBody.ts"
import { usageOf } from "./OpenAiUsage.ts"
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
  /** Why the model stopped: it was done, a limit (in the provider's word), or a content filter. */
  readonly stopped: { readonly _tag: "Done" } | { readonly _tag: "Filtered" } | {
    readonly _tag: "Limited"
    readonly limit: string
  }
}

/**
 * Returns the outcome of an answer that has ended.
 *
 * **Details**
 *
 * In this order: filtered, refused, stopped by a limit, a tool call, no text,
 * text. White space alone is no text.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (ending: Ending, body: Fields, reply: Reply, context: Context): Outcome => {
  const { hasToolCalls, refusal, stopped, text } = ending
  const usage = usageOf(body.usage, body.service_tier)
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
    const limit = wordOf(stopped.limit, context)
    return Failure.final(
      new Reason.Incomplete({ ...said(), content: text, limit, message: cutBy(limit, usage) })
    )
  }
  if (!hasToolCalls && text.trim() === "") {
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
    })
  }
}

const cutBy = (limit: string, usage: Usage | undefined): string => {
  if (limit !== "unknown") return `The answer was cut by ${limit}`
  const after = usage === undefined ? "" : `, after ${usage.outputTokens + usage.reasoningTokens} output tokens`
  return `The provider calls the answer incomplete and does not say why${after}`
}

/**
 * Returns the outcome of an answer that somebody cancelled.
 *
 * @category constructors
 * @since 0.1.0
 */
export const cancelled = (text: string, body: Fields, reply: Reply, context: Context): Outcome =>
  Failure.final(
    new Reason.JobCancelled({
      ...saidOf(reply, context),
      content: text,
      usage: usageOf(body.usage, body.service_tier),
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

const scrubbed = (text: string, context: Context, max = Reason.maxMessageLength): string =>
  Scrub.make(context.keys ?? [])(text, max)

const saidOf = (reply: Reply, context: Context) => {
  const requestId = wordOf(reply.headers.get("x-request-id") ?? "", context)
  return { provider: context.provider, ...(requestId === "" ? undefined : { requestId }) }
}

/** The longest status, limit or request id that is kept, in characters. */
const maxWordLength = 200
