/**
 * Tells whether two requests are the same, without keeping either.
 *
 * @since 0.1.0
 */
import { hash } from "node:crypto"
import * as Result from "effect/Result"
import type { ResponseRequest } from "./ResponseRequest.ts"
import * as StructuredOutput from "./StructuredOutput.ts"

/**
 * Returns the fingerprint of a request under a session key: `v1:` and a
 * SHA-256 in hex.
 *
 * **Details**
 *
 * What decides how a call is made (`session`, `strategy`, deadlines, policies,
 * `journal`, `repair`, `fallback`) makes no difference, nor do defaults and the
 * order of keys. A text prompt equals one text part, a data url equals the same
 * bytes, a remote url equals only itself, and a schema equals any other with
 * the same JSON Schema.
 *
 * @category combinators
 * @since 0.1.0
 */
export const of = (key: string, request: ResponseRequest): string => {
  const content = {
    model: request.model,
    prompt: partsOf(request.prompt),
    messages: (request.messages ?? []).map(({ content, role }) => ({ role, content: partsOf(content) })),
    instructions: request.instructions,
    maxOutputTokens: request.maxOutputTokens,
    temperature: request.temperature,
    topP: request.topP,
    reasoningEffort: request.reasoningEffort,
    stop: typeof request.stop === "string" ? [request.stop] : request.stop,
    metadata: request.metadata ?? {},
    store: request.store ?? true,
    providerOptions: request.providerOptions ?? {},
    schema: request.schema === undefined ? undefined : jsonSchemaOf(request.schema)
  }
  return `v1:${hash("sha256", canonical([key, content]))}`
}

/**
 * Returns the hash of a session key that jobs carry as metadata
 * `holdfast_session`: 32 hex digits.
 *
 * @category combinators
 * @since 0.1.0
 */
export const ofSession = (namespace: string, key: string): string =>
  hash("sha256", canonical([namespace, key])).slice(0, 32)

const partsOf = (content: ResponseRequest["prompt"]) =>
  typeof content === "string" ? [{ type: "text", text: content }] : content

// What is no JSON Schema is refused before it is sent: it only has to be some request of its own.
const jsonSchemaOf = (schema: NonNullable<ResponseRequest["schema"]>): unknown =>
  Result.getOrElse(StructuredOutput.jsonSchema(schema, "plain"), () => "none")

// JSON with sorted keys; `undefined` members are left out, as JSON does.
const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  if (typeof value !== "object" || value === null) return JSON.stringify(value)
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => a < b ? -1 : 1)
    .map(([key, member]) => `${JSON.stringify(key)}:${canonical(member)}`)
  return `{${members.join(",")}}`
}
