/**
 * Translates requests to the wire shapes of Anthropic's Messages API, version
 * 2026-10-21.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import { InvalidRequest } from "../../errors/Reason.ts"
import type { ContentPart, Source } from "../Content.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import * as OutputFormat from "./internal/OutputFormat.ts"
import { withOptions } from "./internal/Payload.ts"

/**
 * A turn of the conversation, as the API takes it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Turn {
  readonly role: "user" | "assistant"
  readonly content: string | ReadonlyArray<unknown>
}

/**
 * The body of a `POST /v1/messages`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Body {
  readonly model: string
  readonly messages: ReadonlyArray<Turn>
  readonly [key: string]: unknown
}

/**
 * Who is asked.
 *
 * @category models
 * @since 0.1.0
 */
export interface Context {
  /** The provider's name, its prefix in a model name. */
  readonly provider: string
  /** The model as the provider knows it. */
  readonly model: string
}

/**
 * Output limits by model, first match wins; the last one is for unknown models.
 *
 * **Details**
 *
 * The API wants a `max_tokens` and refuses one above the model's limit. Only
 * tokens that were generated are billed, so the default is the published limit.
 * Models newer than the table get 128,000, as all since Claude 5.
 *
 * **Source**
 *
 * Anthropic, "Models overview", "Max output":
 * https://platform.claude.com/docs/en/about-claude/models/overview
 *
 * @category models
 * @since 0.1.0
 */
export const maxOutputTokens: ReadonlyArray<readonly [model: RegExp, limit: number]> = [
  [/claude-3-7/, 64_000],
  [/claude-3-5/, 8192],
  [/claude-3-/, 4096],
  [/claude-opus-4(?:[-@](?:0|1|\d{8})(?!\d)|$)/, 32_000],
  [/claude-(?:opus|sonnet)-4-[678](?!\d)/, 128_000],
  [/claude-[a-z]+-4(?!\d)/, 64_000],
  [/claude-[a-z]+-(?:[5-9]|[1-9]\d)(?!\d)/, 128_000],
  [/(?:)/, 8192]
]

/**
 * Creates the body of a request.
 *
 * **Details**
 *
 * - `maxOutputTokens` is `max_tokens`; without it the limit of {@link maxOutputTokens}.
 * - `instructions` is `system`, `stop` is `stop_sequences`.
 * - `reasoningEffort` is `output_config.effort`; `"minimal"` becomes `"low"`, the
 *   least there is, and `"none"` becomes `thinking: { type: "disabled" }`.
 * - A schema is `output_config.format`; models before Claude 4.5, recursive
 *   schemas and models of others get it in `system`, in words.
 * - Files are documents: PDF, plain text, a url or an uploaded file's id. Text
 *   of any `text/…` type is sent as plain text.
 * - Left out, as dropping them changes no answer: `store` (nothing is stored),
 *   the `detail` of images, and `metadata` other than `user_id`.
 * - `providerOptions` win; an object is merged one level deep, so that
 *   `{ output_config: { format } }` keeps the effort.
 *
 * **Errors**
 *
 * `InvalidRequest` for `temperature` and `topP`, which this API version
 * refuses, for media types that it does not take, for images or files in an
 * assistant's turn, and for a schema that is no JSON Schema.
 *
 * **Source**
 *
 * Anthropic, "Messages" and "Migrating to 2026-10-21":
 * https://platform.claude.com/docs/en/api/messages
 * https://platform.claude.com/docs/en/api/migration-2026-10-21
 *
 * @category constructors
 * @since 0.1.0
 */
export const toBody = (request: ResponseRequest, context: Context): Result.Result<Body, InvalidRequest> =>
  Result.gen(function*() {
    for (const field of ["temperature", "topP"] as const) {
      if (request[field] !== undefined) {
        yield* invalid(context, field, `Anthropic's API has no ${field} since its version 2026-10-21`)
      }
    }
    const messages: Array<Turn> = []
    for (const { content, role } of request.messages ?? []) {
      messages.push({ role, content: yield* toContent(content, role, "messages", context) })
    }
    messages.push({ role: "user", content: yield* toContent(request.prompt, "user", "prompt", context) })
    const asked = yield* Result.mapError(
      OutputFormat.forMessages(request, context),
      (message) => new InvalidRequest({ provider: context.provider, param: "schema", message })
    )
    const { instructions } = asked.request
    const { metadata, reasoningEffort, stop } = request
    const outputConfig = { ...effortOf(reasoningEffort), ...asked.fields }
    const userId = metadata?.["user_id"]
    return {
      ...withOptions({
        max_tokens: request.maxOutputTokens ?? limitOf(context.model),
        system: instructions === "" ? undefined : instructions,
        stop_sequences: typeof stop === "string" ? [stop] : stop,
        thinking: reasoningEffort === "none" ? { type: "disabled" } : undefined,
        output_config: Object.keys(outputConfig).length === 0 ? undefined : outputConfig,
        metadata: userId === undefined ? undefined : { user_id: userId }
      }, request.providerOptions),
      model: context.model,
      messages
    }
  })

/**
 * Creates the body that asks for the rest of a paused turn, from the content
 * blocks that it has so far.
 *
 * **Source**
 *
 * Anthropic, "Handling stop reasons", "pause_turn":
 * https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons
 *
 * @category constructors
 * @since 0.1.0
 */
export const toContinuation = (body: Body, blocks: ReadonlyArray<unknown>): Body => ({
  ...body,
  messages: [...body.messages, { role: "assistant", content: blocks }]
})

const invalid = ({ provider }: Context, param: string, message: string): Result.Result<never, InvalidRequest> =>
  Result.fail(new InvalidRequest({ provider, param, message }))

const limitOf = (model: string): number => maxOutputTokens.find(([pattern]) => pattern.test(model))?.[1] ?? 8192

const effortOf = (effort: ResponseRequest["reasoningEffort"]) =>
  effort === undefined || effort === "none" ? undefined : { effort: effort === "minimal" ? "low" : effort }

type Blocks = Result.Result<Turn["content"], InvalidRequest>

const toContent = (
  content: ResponseRequest["prompt"],
  role: Turn["role"],
  param: string,
  context: Context
): Blocks => {
  if (typeof content === "string") return Result.succeed(content)
  if (role === "assistant" && content.some((part) => part.type !== "text")) {
    return invalid(context, param, "Anthropic's API takes only text in an assistant's turn")
  }
  return Result.all(content.map((part) => toBlock(part, param, context)))
}

const toBlock = (part: ContentPart, param: string, context: Context): Result.Result<unknown, InvalidRequest> => {
  if (part.type === "text") return Result.succeed({ type: "text", text: part.text })
  const { source, type } = part
  if (type === "image" || (source.type === "data" && source.mediaType.startsWith("image/"))) {
    return source.type === "data" && !imageTypes.has(source.mediaType)
      ? invalid(context, param, `Anthropic's API takes no image of the type ${source.mediaType}`)
      : Result.succeed({ type: "image", source: toSource(source) })
  }
  const title = part.filename === undefined ? undefined : { title: part.filename }
  if (source.type !== "data" || source.mediaType === "application/pdf") {
    return Result.succeed({ type: "document", source: toSource(source), ...title })
  }
  return source.mediaType.startsWith("text/")
    ? Result.succeed({
      type: "document",
      source: { type: "text", media_type: "text/plain", data: decoder.decode(Buffer.from(source.data, "base64")) },
      ...title
    })
    : invalid(context, param, `Anthropic's API takes PDF and text files, not ${source.mediaType}`)
}

// Drops a byte order mark.
const decoder = new TextDecoder()

const imageTypes: ReadonlySet<string> = new Set(["image/jpeg", "image/png", "image/gif", "image/webp"])

const toSource = (source: Source) => {
  switch (source.type) {
    case "url":
      return { type: "url", url: source.url }
    case "data":
      return { type: "base64", media_type: source.mediaType, data: source.data }
    case "id":
      return { type: "file", file_id: source.id }
  }
}
