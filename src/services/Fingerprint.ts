/**
 * Tells whether two requests are the same, without keeping either.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { createHash, hash } from "node:crypto"
import * as CanonicalJson from "./internal/CanonicalJson.ts"
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
 * the same JSON Schema. A large request is hashed in pieces: other work of the
 * process goes on between them.
 *
 * @category combinators
 * @since 0.1.0
 */
export const of = (key: string, request: ResponseRequest): Effect.Effect<string> => {
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
  return Effect.map(hashOf([key, content]), (hash) => `v1:${hash}`)
}

/**
 * Returns the hash of a session key that jobs carry as metadata
 * `holdfast_session`: 32 hex digits.
 *
 * @category combinators
 * @since 0.1.0
 */
export const ofSession = (namespace: string, key: string): string =>
  hash("sha256", JSON.stringify([namespace, key])).slice(0, 32)

const partsOf = (content: ResponseRequest["prompt"]) =>
  typeof content === "string" ? [{ type: "text", text: content }] : content

// What is no JSON Schema is refused before it is sent: it only has to be some request of its own.
const jsonSchemaOf = (schema: NonNullable<ResponseRequest["schema"]>): unknown =>
  Result.getOrElse(StructuredOutput.jsonSchema(schema, "plain"), () => "none")

/** Characters that are hashed without a pause: a few milliseconds of work. */
const maxHashed = 1 << 18

const hashOf = Effect.fnUntraced(function*(value: unknown) {
  const hash = createHash("sha256")
  let text = ""
  for (const piece of CanonicalJson.piecesOf(value)) {
    text += piece
    if (text.length < maxHashed) continue
    hash.update(text)
    text = ""
    yield* Effect.yieldNow
  }
  return hash.update(text).digest("hex")
})
