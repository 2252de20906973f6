/**
 * How many tokens a request will take, before anybody knows.
 *
 * @since 0.1.0
 */
import type { ContentPart } from "../Content.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"

/**
 * Returns an estimate of a request's tokens, 1 or more: a quarter of the
 * characters of its texts, 1000 for each image and file, and
 * `maxOutputTokens`, or else `outputTokens`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const of = (request: ResponseRequest, outputTokens: number): number => {
  const characters = (request.instructions?.length ?? 0) + charactersOf(request.prompt) +
    (request.messages ?? []).reduce((sum, { content }) => sum + charactersOf(content), 0)
  return Math.max(1, Math.ceil(characters / charactersPerToken) + (request.maxOutputTokens ?? outputTokens))
}

const charactersPerToken = 4
const tokensPerAttachment = 1000

const charactersOf = (content: string | ReadonlyArray<ContentPart>): number =>
  typeof content === "string"
    ? content.length
    : content.reduce(
      (sum, part) => sum + (part.type === "text" ? part.text.length : tokensPerAttachment * charactersPerToken),
      0
    )
