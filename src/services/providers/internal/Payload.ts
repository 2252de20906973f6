/**
 * The bodies of requests, of every wire protocol.
 *
 * @since 0.1.0
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import { InvalidRequest } from "../../../errors/Reason.ts"
import * as Failure from "./Failure.ts"
import { isFields } from "./JsonBody.ts"

/**
 * A request body.
 *
 * @category models
 * @since 0.1.0
 */
export type Payload = Readonly<Record<string, unknown>>

/**
 * Returns the error for a request that an API has no form for; it was not sent.
 *
 * @category constructors
 * @since 0.1.0
 */
export const refuse = (provider: string, param: string, message: string): Result.Result<never, ProviderError> =>
  Result.fail(Failure.notSent(new InvalidRequest({ message, param, provider })))

/**
 * Returns the payload with the provider's own options merged in.
 *
 * **Details**
 *
 * An option replaces the key of the same name. Where both are objects, such as
 * `reasoning` or `metadata`, their keys are merged, one level deep, and the
 * option's keys win. Keys without a value are dropped.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withOptions = (payload: Payload, options: Payload = {}): Payload => {
  const merged: Record<string, unknown> = { ...payload }
  for (const [key, value] of Object.entries(options)) {
    const mine = merged[key]
    merged[key] = isFields(mine) && isFields(value) ? { ...mine, ...value } : value
  }
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined))
}
