/**
 * The list of models, in the shape of OpenAI or of Anthropic.
 *
 * @since 0.1.0
 */
import * as Reply from "./Reply.ts"
import type { Exchange } from "./World.ts"

/**
 * Answers `GET /v1/models` and `GET /v1/models/{id}`; any id is a model.
 *
 * @category combinators
 * @since 0.1.0
 */
export const list = (exchange: Exchange): Reply.Reply => {
  const isAnthropic = exchange.headers["anthropic-version"] !== undefined
  const shape = isAnthropic ? anthropic : openAi
  if (exchange.id !== "") return Reply.json(shape(exchange.id))
  const data = (isAnthropic ? ["claude-haiku-4-5"] : ["gpt-4o", "gpt-5.5-pro"]).map(shape)
  return Reply.json(
    isAnthropic
      ? { data, has_more: false, first_id: data[0]?.["id"] ?? null, last_id: data.at(-1)?.["id"] ?? null }
      : { object: "list", data }
  )
}

const openAi = (id: string): Record<string, unknown> => ({
  id,
  object: "model",
  created: 1_715_367_049,
  owned_by: "system"
})

const anthropic = (id: string): Record<string, unknown> => ({
  type: "model",
  id,
  display_name: id,
  created_at: "2025-10-01T00:00:00Z"
})
