import { Effect, Stream } from "effect"
import { Holdfast } from "holdfast"

/** At the start of a service: takes the jobs that an earlier process has left to their ends. */
export const recovered = Holdfast.recover({ concurrency: 16 }).pipe(
  Stream.runForEach(({ result, session }) =>
    result._tag === "Success"
      ? Effect.logInfo("recovered", session)
      : Effect.logWarning("not recovered", session, result.failure.message)
  )
)
