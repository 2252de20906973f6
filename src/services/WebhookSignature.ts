/**
 * Signs and verifies webhooks by the Standard Webhooks scheme: OpenAI's, and those that Gemini sends to a project's
 * own endpoints.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { createHmac, timingSafeEqual } from "node:crypto"
import { WebhookRejected } from "../errors/WebhookRejected.ts"

/**
 * The headers of a request: those of Node, of `fetch`, or of Effect's server. Names may be in any case.
 *
 * @category models
 * @since 0.1.0
 */
export type WebhookHeaders = Headers | Readonly<Record<string, string | ReadonlyArray<string> | undefined>>

/**
 * Options for `verify`.
 *
 * @category options
 * @since 0.1.0
 */
export interface VerifyOptions {
  /** One secret, or several while one replaces another: `whsec_` and base64, or any text, of which the bytes count. */
  readonly secrets: Redacted.Redacted<string> | ReadonlyArray<Redacted.Redacted<string>>
  /**
   * How far the time of signing may be from now, in the past and in the
   * future, inclusive.
   *
   * @default "5 minutes"
   */
  readonly tolerance?: Duration.Input | undefined
}

/**
 * Verifies a webhook, and returns its `webhook-id`.
 *
 * **Details**
 *
 * `rawBody` is the body as it came, not parsed and written again. Of the
 * signatures in `webhook-signature` the first 32 count, and each `v1` one is
 * compared with that of each secret in constant time. It takes what `verifySignature` of OpenAI's SDK takes, which knows
 * one secret only, and which would have to be loaded.
 *
 * **Errors**
 *
 * `WebhookRejected` for `headers`, `timestamp` and `signature`.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for no secret, an empty one, or a tolerance that is
 * not positive. Gemini's webhooks that one request asks for are
 * signed with a key pair instead, and are refused.
 *
 * **Source**
 *
 * Standard Webhooks, "Webhook Headers (Sender Metadata)" and "Signature scheme":
 * https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
 *
 * @category combinators
 * @since 0.1.0
 */
export const verify = (
  options: VerifyOptions
): (rawBody: string | Uint8Array, headers: WebhookHeaders) => Effect.Effect<string, WebhookRejected> => {
  const keys = keysOf(options.secrets)
  const tolerance = Duration.toMillis(Duration.fromInputUnsafe(options.tolerance ?? "5 minutes"))
  if (!(tolerance > 0)) throw new RangeError("WebhookSignature.verify: tolerance must be positive")
  return Effect.fnUntraced(function*(rawBody, headers): Effect.fn.Return<string, WebhookRejected> {
    const id = headerOf(headers, "webhook-id")
    const timestamp = headerOf(headers, "webhook-timestamp")
    const signatures = headerOf(headers, "webhook-signature")
    if (id === undefined || id.length > 256 || signatures === undefined || !/^\d{1,12}$/.test(timestamp ?? "")) {
      return yield* rejected("headers", "The webhook has no webhook-id, webhook-timestamp and webhook-signature")
    }
    const distance = (yield* Clock.currentTimeMillis) - Number(timestamp) * 1000
    if (Math.abs(distance) > tolerance) {
      return yield* rejected("timestamp", `The webhook was signed too ${distance > 0 ? "long ago" : "far ahead"}`)
    }
    const expected = keys.map((key) => macOf(key, id, timestamp ?? "", rawBody))
    return isAnyOf(expected, signatures)
      ? id
      : yield* rejected("signature", "The webhook's signature is of no known secret")
  })
}

/**
 * Returns the `webhook-signature` of a webhook, for tests and senders; `timestamp` is in seconds.
 *
 * @category constructors
 * @since 0.1.0
 */
export const sign = (
  secret: Redacted.Redacted<string>,
  id: string,
  timestamp: number,
  rawBody: string | Uint8Array
): string => keysOf(secret).map((key) => `v1,${macOf(key, id, `${timestamp}`, rawBody).toString("base64")}`).join(" ")

const maxSignatures = 32

const rejected = (reason: WebhookRejected["reason"], message: string): WebhookRejected =>
  new WebhookRejected({ reason, message })

const keysOf = (secrets: VerifyOptions["secrets"]): ReadonlyArray<Buffer> => {
  const list = Redacted.isRedacted(secrets) ? [secrets] : secrets
  const keys = list.map((secret) => {
    const text = Redacted.value(secret).trim()
    return text.startsWith("whsec_") ? Buffer.from(text.slice("whsec_".length), "base64") : Buffer.from(text, "utf8")
  })
  if (keys.length === 0 || keys.some((key) => key.length === 0)) {
    throw new RangeError("WebhookSignature: secrets must hold at least one secret, and none that is empty")
  }
  return keys
}

const macOf = (key: Buffer, id: string, timestamp: string, rawBody: string | Uint8Array): Buffer =>
  createHmac("sha256", key).update(`${id}.${timestamp}.`).update(rawBody).digest()

// Every candidate is compared with every signature, so that the time tells nothing of where they differ.
const isAnyOf = (expected: ReadonlyArray<Buffer>, signatures: string): boolean => {
  let isEqual = false
  for (const candidate of signatures.split(" ", maxSignatures)) {
    if (!candidate.startsWith("v1,")) continue
    const mac = Buffer.from(candidate.slice(3), "base64")
    for (const one of expected) {
      if (mac.length === one.length && timingSafeEqual(mac, one)) isEqual = true
    }
  }
  return isEqual
}

/** A header that is there once. */
const headerOf = (headers: WebhookHeaders, name: string): string | undefined => {
  const value = headers instanceof Headers ? headers.get(name) ?? undefined : valueOf(headers, name)
  const text = (typeof value === "string" ? value : value?.length === 1 ? value[0] : undefined)?.trim()
  return text === "" ? undefined : text
}

const valueOf = (headers: Exclude<WebhookHeaders, Headers>, name: string): string | ReadonlyArray<string> | undefined =>
  Object.hasOwn(headers, name)
    ? headers[name]
    : Object.entries(headers).find(([key]) => key.toLowerCase() === name)?.[1]
