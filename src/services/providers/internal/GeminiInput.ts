/**
 * Translates requests to the wire shapes of Gemini's Interactions API.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import type { ContentPart } from "../../Content.ts"
import type { ResponseRequest } from "../../ResponseRequest.ts"
import * as OutputFormat from "./OutputFormat.ts"
import { type Payload, refuse, withOptions } from "./Payload.ts"

/**
 * Returns the body of `POST /interactions` for a background job.
 *
 * **Details**
 *
 * - A model that is named `deep-research-…` is sent as `agent`. Beside an `agent`
 *   of `providerOptions` no model is sent: one of the two is asked.
 * - `instructions` is `system_instruction`; earlier turns are the steps
 *   `user_input` and `model_output` of `input`.
 * - `maxOutputTokens`, `temperature`, `topP` and `stop` are in `generation_config`.
 * - `reasoningEffort` is `thinking_level`: `"none"` becomes `"minimal"`, the
 *   least there is; `"xhigh"` and `"max"` become `"high"`, the most.
 * - `detail` is `resolution`; `"auto"` is left out, `"original"` is `"ultra_high"`.
 * - A schema is `response_format`.
 * - Files are audio, video, images or documents by their media type; an uploaded
 *   file's id is its URI.
 * - Left out, as dropping them changes no answer: `metadata` and filenames.
 * - `providerOptions` win; objects are merged one level deep, but for a
 *   `response_format`, which replaces that of the schema.
 *
 * **Errors**
 *
 * `InvalidRequest`, not sent, for `store: false`, as a background job is stored,
 * and for a schema that is no JSON Schema.
 *
 * **Source**
 *
 * Google, "Interactions API", "Data storage and retention":
 * https://ai.google.dev/gemini-api/docs/interactions-overview
 * Google, "Deep Research agent": https://ai.google.dev/gemini-api/docs/deep-research
 * The shapes are those of `CreateModelInteraction` of `@google/genai` 3.1.0.
 *
 * @category constructors
 * @since 0.1.0
 */
export const toPayload = (
  request: ResponseRequest,
  about: { readonly provider: string; readonly model: string }
): Result.Result<Payload, ProviderError> => {
  if (request.store === false) {
    return refuse(about.provider, "store", "Gemini's background jobs are always stored; leave out store: false")
  }
  const asked = OutputFormat.forInteractions(request)
  if (Result.isFailure(asked)) return refuse(about.provider, "schema", asked.failure)
  const { instructions } = asked.success.request
  const { providerOptions, stop } = request
  const generation = withOptions({
    max_output_tokens: request.maxOutputTokens,
    temperature: request.temperature,
    top_p: request.topP,
    stop_sequences: stop === undefined || stop.length === 0 ? undefined : typeof stop === "string" ? [stop] : stop,
    thinking_level: request.reasoningEffort === undefined ? undefined : thinkingLevels[request.reasoningEffort]
  })
  return Result.succeed({
    ...withOptions({
      ...(agents.test(about.model)
        ? { agent: about.model }
        : { model: providerOptions?.["agent"] === undefined ? about.model : undefined }),
      input: inputOf(request),
      system_instruction: instructions === "" ? undefined : instructions,
      generation_config: Object.keys(generation).length === 0 ? undefined : generation,
      ...asked.success.fields
    }, providerOptions),
    background: true,
    store: true,
    // Some servers stream what does not say otherwise.
    stream: false
  })
}

const agents = /^deep-research-/

const thinkingLevels: Readonly<Record<NonNullable<ResponseRequest["reasoningEffort"]>, string>> = {
  none: "minimal",
  minimal: "minimal",
  low: "low",
  medium: "medium",
  high: "high",
  xhigh: "high",
  max: "high"
}

const inputOf = ({ messages = [], prompt }: ResponseRequest): unknown => {
  if (messages.length === 0) return typeof prompt === "string" ? prompt : prompt.map(partOf)
  return [...messages, { role: "user" as const, content: prompt }].map(({ content, role }) => ({
    type: role === "user" ? "user_input" : "model_output",
    content: typeof content === "string" ? [{ type: "text", text: content }] : content.map(partOf)
  }))
}

const partOf = (part: ContentPart): Payload => {
  if (part.type === "text") return { type: "text", text: part.text }
  const { source } = part
  const mediaType = source.type === "data" ? source.mediaType : undefined
  const resolution = part.type === "image" && part.detail !== undefined ? resolutions[part.detail] : undefined
  return {
    type: part.type === "image" ? "image" : kindOf(mediaType),
    ...(source.type === "data"
      ? { data: source.data, mime_type: source.mediaType }
      : { uri: source.type === "url" ? source.url : source.id }),
    ...(resolution === undefined ? undefined : { resolution })
  }
}

const kindOf = (mediaType = ""): string => /^(image|audio|video)\//.exec(mediaType)?.[1] ?? "document"

const resolutions = { low: "low", high: "high", auto: undefined, original: "ultra_high" } as const
