/**
 * What the headers of a response say of its rate limits.
 *
 * @since 0.1.0
 */

/**
 * One limit, as the server sees it.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerLimit {
  /** Per window, 1 or more. */
  readonly limit: number | undefined
  /** Left in the window, 0 or more. */
  readonly remaining: number | undefined
}

/**
 * The limits that a response names.
 *
 * @category models
 * @since 0.1.0
 */
export interface ServerLimits {
  readonly requests: ServerLimit
  readonly tokens: ServerLimit
}

/**
 * Reads the headers of a response: `x-ratelimit-*` of OpenAI and its like,
 * `anthropic-ratelimit-*`.
 *
 * **Details**
 *
 * What a gateway forwards of its upstream (`llm_provider-x-ratelimit-*`) counts where it has no limits of its own.
 * `undefined` when they name no limit. Anything but a natural number is ignored: Azure's Responses API answers
 * `-1`.
 *
 * **Source**
 *
 * OpenAI, "Rate limits", "Rate limits in headers". Anthropic, "Rate limits", "Response headers".
 *
 * @category constructors
 * @since 0.1.0
 */
export const read = (headers: Headers): ServerLimits | undefined => {
  const requests = dimension(headers, "requests")
  const tokens = dimension(headers, "tokens")
  return [requests.limit, requests.remaining, tokens.limit, tokens.remaining].every((value) => value === undefined)
    ? undefined
    : { requests, tokens }
}

const dimension = (headers: Headers, name: string): ServerLimit => {
  const read = (openAi: string, anthropic: string): number | undefined =>
    natural(
      headers.get(openAi) ?? headers.get(anthropic) ?? headers.get(`llm_provider-${openAi}`) ??
        headers.get(`llm_provider-${anthropic}`)
    )
  const limit = read(`x-ratelimit-limit-${name}`, `anthropic-ratelimit-${name}-limit`)
  const remaining = read(`x-ratelimit-remaining-${name}`, `anthropic-ratelimit-${name}-remaining`)
  return { limit: limit === 0 ? undefined : limit, remaining }
}

const natural = (text: string | null): number | undefined =>
  text !== null && /^\d{1,15}$/.test(text.trim()) ? Number(text) : undefined
