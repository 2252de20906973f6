/**
 * What a job has come to after a cancel, where the reply to it does not say.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import type { JobState } from "../../Provider.ts"

/**
 * Looks a job up when its cancel is refused, as one that has ended cannot be cancelled. Servers say so with 400 or 409,
 * or without a body.
 *
 * @category combinators
 * @since 0.1.0
 */
export const orLookUp = (
  cancel: Effect.Effect<JobState, ProviderError>,
  retrieve: Effect.Effect<JobState, ProviderError>
): Effect.Effect<JobState, ProviderError> => Effect.catchIf(cancel, isPerhapsOver, () => retrieve)

/**
 * As `orLookUp`; looks a cancelled job up once more, for 2 seconds at most, when the reply does not count yet what it
 * used.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withUsage = (
  cancel: Effect.Effect<JobState, ProviderError>,
  retrieve: Effect.Effect<JobState, ProviderError>
): Effect.Effect<JobState, ProviderError> =>
  orLookUp(
    Effect.filterOrElse(cancel, (state) => !isWithoutUsage(state), (state) => lookAgain(retrieve, state)),
    retrieve
  )

const isPerhapsOver = ({ verdict: { reason } }: ProviderError): boolean =>
  reason._tag === "InvalidResponse" || reason.status === 400 || reason.status === 409

const isWithoutUsage = (state: JobState): boolean =>
  state._tag === "Ended" && state.outcome._tag === "Failed" &&
  state.outcome.verdict.reason._tag === "JobCancelled" && state.outcome.verdict.reason.usage === undefined

const lookAgain = (retrieve: Effect.Effect<JobState, ProviderError>, state: JobState): Effect.Effect<JobState> =>
  retrieve.pipe(
    Effect.map((later) => later._tag === "Ended" ? later : state),
    Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.succeed(state) }),
    Effect.catchTag("ProviderError", () => Effect.succeed(state))
  )
