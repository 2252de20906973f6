/**
 * Reads a provider's key, ahead of a submission where reading it may take time.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { ProviderError } from "../../../errors/ProviderError.ts"

/** A key, or an effect that gives one for each request; without it no key is sent. */
export type KeySource = Effect.Effect<Redacted.Redacted<string>, ProviderError> | Redacted.Redacted<string> | undefined

export interface ApiKey {
  /** The key for a request. */
  readonly read: Effect.Effect<Redacted.Redacted<string> | undefined, ProviderError>
  /** The key for a request that was announced: the one that was read ahead for it, or else as `read`. */
  readonly readForAnnounced: Effect.Effect<Redacted.Redacted<string> | undefined, ProviderError>
  /** Reads the key for the submission that is about to be announced, so that nothing slow comes after the announcement. */
  readonly readAhead: Effect.Effect<void, ProviderError>
}

/** How long a key that was read ahead is used, milliseconds. */
const freshMillis = 5000

/** Creates the reader of a key. */
export const make = (source: KeySource): ApiKey => {
  if (source === undefined || Redacted.isRedacted(source)) {
    const read = Effect.succeed(source)
    return { read, readForAnnounced: read, readAhead: Effect.void }
  }
  let ahead: { readonly key: Redacted.Redacted<string>; readonly until: number } | undefined
  const nowMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)
  return {
    read: source,
    readForAnnounced: Effect.flatMap(
      nowMillis,
      (now) => ahead !== undefined && now < ahead.until ? Effect.succeed(ahead.key) : source
    ),
    readAhead: Effect.flatMap(source, (key) =>
      Effect.map(nowMillis, (now) => {
        ahead = { key, until: now + freshMillis }
      }))
  }
}

/** Whether a request of an operation is announced in the journal before it is sent. */
export const isAnnounced = (operation: "submit" | "retrieve" | "cancel" | "call"): boolean =>
  operation === "submit" || operation === "call"
