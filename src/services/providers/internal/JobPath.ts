/**
 * Ids of jobs in the paths of requests.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import { NotFound } from "../../../errors/Reason.ts"
import * as Failure from "./Failure.ts"

/**
 * Returns a job's id as one segment of a path.
 *
 * **Errors**
 *
 * `NotFound`, `NotSent`, for an id that no path can hold: an empty one, `.` and
 * `..`, which the SDKs refuse by throwing.
 *
 * @category constructors
 * @since 0.1.0
 */
export const segment = (jobId: string, provider: string): Effect.Effect<string, ProviderError> =>
  /^\.{0,2}$/.test(jobId)
    ? Effect.fail(Failure.notSent(new NotFound({ provider, message: "The job's id is not one of the provider's" })))
    : Effect.succeed(encode(jobId))

/**
 * Returns a text encoded for one segment of a path; half of a surrogate pair,
 * which has no encoding, becomes U+FFFD.
 *
 * @category combinators
 * @since 0.1.0
 */
export const encode = (text: string): string => encodeURIComponent(text.replace(/\p{Surrogate}/gu, "\uFFFD"))
