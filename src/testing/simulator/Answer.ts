/**
 * What a simulated model answers: text, usage, and the way in which it ends. The same for every API.
 *
 * @since 0.1.0
 */
import * as Sample from "./Sample.ts"
import type { JobAction, Outcome } from "./Script.ts"

/**
 * Token counts. `input` includes `cached`, `output` includes `reasoning`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Tokens {
  readonly input: number
  readonly cached: number
  readonly output: number
  readonly reasoning: number
}

/**
 * An answer that was decided when the request was accepted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer {
  readonly outcome: Exclude<Outcome, "stuck-queued" | "stuck-in-progress" | "expired">
  /** The text (of a refusal: the refusal) in the pieces in which it is streamed. */
  readonly chunks: ReadonlyArray<string>
  /** Why it is incomplete. */
  readonly reason: string
  readonly error: { readonly code: string; readonly message: string }
  readonly tool: { readonly name: string; readonly arguments: string }
  /** The status of the outcome `unknown-status`. */
  readonly status: string
  /** `null`: the provider does not say. */
  readonly tokens: Tokens | null
}

/**
 * What an answer is decided from.
 *
 * @category models
 * @since 0.1.0
 */
export interface Question {
  readonly prompt: string
  /** The length of the whole request, in characters. */
  readonly length: number
  readonly model: string
  readonly maxTokens: number | undefined
  readonly toolName: string | undefined
  readonly action: JobAction | undefined
  readonly answer: (prompt: string) => string
  /** The JSON Schema that the answer must fit, if the request has one. */
  readonly schema: unknown
}

/**
 * Decides the answer to a question.
 *
 * **Details**
 *
 * One word is one token. The text is cut, and the answer incomplete, when it and the reasoning tokens (64 for a
 * reasoning model) need more than `maxTokens`. Inputs from 1024 tokens count as cached, in steps of 128.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (question: Question): Answer => {
  const { action } = question
  const reasoning = isReasoningModel(question.model) ? 64 : 0
  const asked = outcomeOf(action)
  const whole = chunksOf(textOf(asked, action, question))
  const room = Math.max(0, (question.maxTokens ?? Infinity) - reasoning)
  const isCut = asked === "completed" && whole.length > room
  const outcome = isCut ? "incomplete" : asked
  const chunks = isCut ? whole.slice(0, room) : whole
  const input = Math.ceil(question.length / 4)
  return {
    outcome,
    chunks,
    reason: action?.reason ?? "max_output_tokens",
    error: {
      code: action?.code ?? "server_error",
      message: action?.message ?? "An error occurred while processing your request. You can retry your request."
    },
    tool: { name: question.toolName ?? "get_weather", arguments: action?.text ?? "{\"city\":\"Paris\"}" },
    status: action?.status ?? "suspended",
    tokens: tokensOf(outcome, action, {
      input,
      cached: input >= 1024 ? input - input % 128 : 0,
      output: Math.min(reasoning + (outcome === "toolCall" ? 15 : chunks.length), question.maxTokens ?? Infinity),
      reasoning: Math.min(reasoning, question.maxTokens ?? Infinity)
    })
  }
}

/**
 * Returns the default answer to a prompt: its first 60 characters and its length.
 *
 * @category constructors
 * @since 0.1.0
 */
export const echo = (prompt: string): string =>
  `You asked: ${prompt.slice(0, 60).replace(/\s+/g, " ").trim()} (${prompt.length} characters). This is the answer.`

/**
 * Returns whether a model reasons before it answers: the o series and gpt-5 or newer.
 *
 * @category guards
 * @since 0.1.0
 */
export const isReasoningModel = (model: string): boolean => /(^|[/.])(o[1-9]|gpt-([5-9]|[12]\d))(?!\d)/.test(model)

/**
 * Returns the name that a server gives a model: a dated snapshot for a few well-known ones, else the same.
 *
 * @category combinators
 * @since 0.1.0
 */
export const servedModel = (model: string): string => snapshots.get(model) ?? model

const snapshots = new Map([
  ["gpt-4o", "gpt-4o-2024-08-06"],
  ["gpt-4o-mini", "gpt-4o-mini-2024-07-18"],
  ["gpt-4.1-mini", "gpt-4.1-mini-2025-04-14"],
  ["gpt-5-nano", "gpt-5-nano-2025-08-07"],
  ["claude-haiku-4-5", "claude-haiku-4-5-20251001"]
])

const outcomeOf = (action: JobAction | undefined): Answer["outcome"] => {
  const outcome = action?.outcome ?? "completed"
  switch (outcome) {
    case "stuck-queued":
    case "stuck-in-progress":
    case "expired":
      return "completed"
    default:
      return outcome
  }
}

const textOf = (outcome: Answer["outcome"], action: JobAction | undefined, question: Question): string => {
  switch (outcome) {
    case "completed":
      return action?.text ?? usualText(question)
    case "refused":
      return action?.text ?? "I'm sorry, but I can't help with that."
    case "incomplete":
      return action?.text ?? "This is the part of the answer before the"
    case "failed":
    case "cancelled":
      return action?.text ?? ""
    case "empty":
    case "toolCall":
    case "unknown-status":
      return ""
  }
}

/** An answer of the user's own is given as it is: whether it fits the schema may be what is tested. */
const usualText = ({ answer, prompt, schema }: Question): string =>
  (answer === echo ? Sample.fitting(schema) : undefined) ?? answer(prompt)

const chunksOf = (text: string): ReadonlyArray<string> => text.match(/\s*\S+\s*$|\s*\S+|\s+/g) ?? []

const tokensOf = (outcome: Answer["outcome"], action: JobAction | undefined, counted: Tokens): Tokens | null => {
  if (action?.usage === null) return null
  const usage = action?.usage
  if (usage === undefined) {
    return outcome === "failed" || outcome === "cancelled" || outcome === "unknown-status" ? null : counted
  }
  return {
    input: usage.inputTokens ?? counted.input,
    cached: usage.cachedTokens ?? counted.cached,
    output: usage.outputTokens ?? counted.output,
    reasoning: usage.reasoningTokens ?? counted.reasoning
  }
}
