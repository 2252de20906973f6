/**
 * What an answer took, in a line.
 *
 * @since 0.1.0
 */
import type { Usage } from "../errors/Usage.ts"
import type { LlmResponse } from "../services/LlmResponse.ts"
import { counted } from "./Counted.ts"
import * as Dollars from "./Dollars.ts"
import * as Durations from "./Durations.ts"
import { oneLine } from "./Printable.ts"

/**
 * Returns who answered, what was sent for it, and what it cost, with warnings
 * in lines of their own.
 *
 * @category combinators
 * @since 0.1.0
 */
export const summary = (response: LlmResponse): string =>
  [
    [...origin(response), ...cost(response)].join(", "),
    ...(response.passedOver ?? []).map(({ model, reason }) =>
      `Not by ${model}: ${reason._tag}, ${oneLine(reason.message, 200)}`
    ),
    ...(response.settled || response.session === undefined
      ? []
      : ["Warning: the answer could not be written to the session; the next run asks for it again."]),
    ...(response.content === "" ? ["The model gave no text, only tool calls; --json shows them."] : [])
  ].join("\n")

const origin = ({ attempts, content, elapsed, model, polls, resumed }: LlmResponse): ReadonlyArray<string> => {
  if (attempts === 0 && polls === 0) return [`The stored answer of ${model}`, "nothing was sent"]
  return [
    `${content === "" ? "Ended" : "Answered"} by ${model} in ${Durations.format(elapsed)}`,
    resumed ? "submitted by an earlier run" : counted(attempts, "attempt"),
    ...(polls > 0 ? [counted(polls, "poll")] : [])
  ]
}

const cost = ({ cost, responseId, usage }: LlmResponse): ReadonlyArray<string> => [
  ...(usage === undefined ? [] : [tokens(usage)]),
  ...(cost === undefined ? [] : [Dollars.format(cost.nanoUsd)]),
  ...(responseId === undefined ? [] : [responseId])
]

const tokens = (usage: Usage): string => {
  const input = usage.inputTokens + usage.cacheReadTokens + usage.cacheWriteTokens
  const reasoning = usage.reasoningTokens > 0 ? `, ${usage.reasoningTokens} reasoning` : ""
  return `${usage.totalTokens} tokens (${input} in, ${usage.outputTokens} out${reasoning})`
}
