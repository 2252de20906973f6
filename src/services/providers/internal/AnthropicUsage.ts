/**
 * Token counts of Anthropic's Messages API, in disjoint buckets.
 *
 * @since 0.1.0
 */
import { Usage, type UsagePass } from "../../../errors/Usage.ts"
import { countOf, type Fields, fieldsOf, isFields, itemsOf, textOf } from "./JsonBody.ts"
import * as ReportedCost from "./ReportedCost.ts"
import * as ServedAs from "./ServedAs.ts"

/**
 * Returns the passes of the model that one `usage` bills; none when it counts
 * nothing.
 *
 * **Details**
 *
 * Cached tokens stand beside the input, thinking is part of the output. Numbers
 * that are no counts are taken for 0, and no bucket is negative.
 *
 * | type in `iterations` | in the top-level counts | billed |
 * | --- | --- | --- |
 * | `message`, `fallback_message` of the model that answered | yes | yes |
 * | `message` of a model that declined | no | no |
 * | `compaction` | no | yes, at the model that answered |
 * | `advisor_message` | no | yes, at its own `model` |
 *
 * The iterations of the model that answered are passes of their own where they
 * add up to the top-level counts; otherwise these are one pass, of several runs
 * where the server ran tools.
 *
 * **Source**
 *
 * Anthropic's SDK, `BetaIterationsUsage` and `BetaFallbackMessageIterationUsage`; Anthropic, "Compaction", "Advisor
 * tool" and "Refusals and fallback".
 *
 * @category constructors
 * @since 0.1.0
 */
export const passesOf = (value: unknown, model: string): ReadonlyArray<UsagePass> => {
  if (!isFields(value)) return []
  const served = ServedAs.ofAnthropic(value)
  const toolCalls = fieldsOf(value.server_tool_use)
  const webSearches = countOf(toolCalls.web_search_requests) ?? 0
  const reportedNanoUsd = ReportedCost.nanoUsdOf(value)
  const iterations = itemsOf(value.iterations).map(fieldsOf)
  const inner = iterations.filter(({ type }) => type === "compaction" || type === "advisor_message")
    .map((pass) =>
      pass.type === "advisor_message"
        // An advisor does not run at the speed that was asked for.
        ? passOf(pass, textOf(pass.model) || model, ServedAs.ofAnthropic({ ...value, speed: undefined }))
        : passOf(pass, model, served)
    )
  const calls = Object.values(toolCalls).reduce((sum: number, count) => sum + (countOf(count) ?? 0), 0)
  const whole = { ...passOf(value, model, served), ...(calls === 0 ? undefined : { modelRuns: calls + 1 }) }
  // A stated cost is that of all passes.
  const passes = reportedNanoUsd === undefined
    ? [...split(whole, iterations, served), ...inner]
    : [{ ...whole, ...added([whole, ...inner]), reportedNanoUsd }]
  const [first, ...others] = passes
  const isEmpty = passes.every((pass) => totalOf(pass) === 0) && (reportedNanoUsd ?? 0) === 0
  if (first === undefined || isEmpty) return []
  return [webSearches === 0 ? first : { ...first, webSearches }, ...others]
}

/**
 * Returns the tokens of all passes together; `undefined` without passes. One
 * pass at the `model` that its reader knows needs no name of its own.
 *
 * @category combinators
 * @since 0.1.0
 */
export const total = (passes: ReadonlyArray<UsagePass>, model: string): Usage | undefined => {
  const [only, ...others] = passes
  if (only === undefined) return undefined
  const sums = added(passes)
  const totalTokens = totalOf(sums)
  if (!Number.isSafeInteger(totalTokens)) return undefined
  const { model: served, ...single } = only
  return others.length === 0 && served === model
    ? new Usage({ ...single, totalTokens })
    : new Usage({ ...sums, ...ServedAs.together(passes), totalTokens, passes })
}

/**
 * Returns the model that answered, where a fallback on the server took over
 * from the one that the message names.
 *
 * @category constructors
 * @since 0.1.0
 */
export const servedBy = (usage: unknown): string =>
  textOf(itemsOf(fieldsOf(usage).iterations).map(fieldsOf).findLast(({ type }) => type === "fallback_message")?.model)

const passOf = (value: Fields, model: string, served: ReturnType<typeof ServedAs.ofAnthropic>): UsagePass => {
  const output = countOf(value.output_tokens) ?? 0
  const thinking = Math.min(countOf(fieldsOf(value.output_tokens_details).thinking_tokens) ?? 0, output)
  const creation = fieldsOf(value.cache_creation)
  const longer = countOf(creation.ephemeral_1h_input_tokens) ?? 0
  const cacheWriteTokens = countOf(value.cache_creation_input_tokens) ??
    (countOf(creation.ephemeral_5m_input_tokens) ?? 0) + longer
  const cacheWrite1hTokens = Math.min(longer, cacheWriteTokens)
  return {
    inputTokens: countOf(value.input_tokens) ?? 0,
    cacheReadTokens: countOf(value.cache_read_input_tokens) ?? 0,
    cacheWriteTokens,
    outputTokens: output - thinking,
    reasoningTokens: thinking,
    ...(cacheWrite1hTokens === 0 ? undefined : { cacheWrite1hTokens }),
    ...served,
    model
  }
}

// Thinking is only counted over all: it fills the passes from the first on, which changes no price.
const split = (
  whole: UsagePass,
  iterations: ReadonlyArray<Fields>,
  served: ReturnType<typeof ServedAs.ofAnthropic>
): ReadonlyArray<UsagePass> => {
  const answering = textOf(iterations.findLast(({ type }) => type === "fallback_message")?.model)
  const passes = iterations
    .filter(({ model, type }) =>
      type === "fallback_message" || (type === "message" && (answering === "" || model === answering))
    )
    .map((pass) => passOf(pass, whole.model, served))
  const sums = added(passes)
  const isSplit = passes.length > 1 && (["inputTokens", "cacheReadTokens", "cacheWriteTokens"] as const)
    .every((bucket) => sums[bucket] === whole[bucket]) &&
    sums.outputTokens + sums.reasoningTokens === whole.outputTokens + whole.reasoningTokens &&
    sums.cacheWrite1hTokens === whole.cacheWrite1hTokens
  if (!isSplit) return [whole]
  let thinking = whole.reasoningTokens
  return passes.map((pass) => {
    const output = pass.outputTokens + pass.reasoningTokens
    const reasoningTokens = Math.min(thinking, output)
    thinking -= reasoningTokens
    return { ...pass, outputTokens: output - reasoningTokens, reasoningTokens }
  })
}

const added = (passes: ReadonlyArray<UsagePass>) => {
  const sum = (count: (pass: UsagePass) => number | undefined): number =>
    passes.reduce((sum, pass) => sum + (count(pass) ?? 0), 0)
  const cacheWrite1hTokens = sum((pass) => pass.cacheWrite1hTokens)
  const webSearches = sum((pass) => pass.webSearches)
  const isReported = passes.every((pass) => pass.reportedNanoUsd !== undefined)
  return {
    inputTokens: sum((pass) => pass.inputTokens),
    cacheReadTokens: sum((pass) => pass.cacheReadTokens),
    cacheWriteTokens: sum((pass) => pass.cacheWriteTokens),
    outputTokens: sum((pass) => pass.outputTokens),
    reasoningTokens: sum((pass) => pass.reasoningTokens),
    ...(cacheWrite1hTokens === 0 ? undefined : { cacheWrite1hTokens }),
    ...(webSearches === 0 ? undefined : { webSearches }),
    ...(isReported && passes.length > 0 ? { reportedNanoUsd: sum((pass) => pass.reportedNanoUsd) } : undefined)
  }
}

const totalOf = (pass: Omit<UsagePass, "model">): number =>
  pass.inputTokens + pass.cacheReadTokens + pass.cacheWriteTokens + pass.outputTokens + pass.reasoningTokens
