/**
 * Submits a job, remembers its id, and polls it to its end.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ProviderError } from "../errors/ProviderError.ts"
import { InvalidRequest } from "../errors/Reason.ts"
import * as Fingerprint from "../services/Fingerprint.ts"
import { Providers } from "../services/Providers.ts"
import type { ResponseRequest } from "../services/ResponseRequest.ts"
import { SessionStore } from "../services/SessionStore.ts"
import { decodeRequest, type ResponseStrategy } from "./ResponseStrategy.ts"
import * as SessionRuns from "./SessionRuns.ts"

/**
 * Service that gets responses as background jobs.
 *
 * **Details**
 *
 * A job goes on at the provider when the connection, the process or the
 * machine is lost. With a session, its id is in the journal before anything
 * else happens, and whoever runs the key next polls that job.
 *
 * The default deadline is 60 minutes, or longer where the provider's jobs take
 * longer (25 hours for Anthropic's message batches). One call sends at most as many
 * submissions as its retry schedule has attempts, 5 by default, and all but
 * the last of them were certainly refused, unless `onUncertainSubmit` is
 * `"resubmit"`.
 *
 * @category services
 * @since 0.1.0
 */
export class BackgroundJob extends Context.Service<BackgroundJob, ResponseStrategy>()(
  "holdfast/strategies/BackgroundJob"
) {}

/**
 * Longest time that a call waits for a job, unless the request or the provider's
 * `JobsApi` says otherwise: 60 minutes.
 *
 * @category models
 * @since 0.1.0
 */
export const defaultDeadline: Duration.Duration = Duration.minutes(60)

/**
 * Creates the background strategy.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.gen(function*() {
  const runs = yield* SessionRuns.SessionRuns
  const providers = yield* Providers
  const { namespace = "" } = yield* SessionStore

  const prepare = (request: ResponseRequest): SessionRuns.Order["prepare"] =>
    Effect.flatMap(providers.resolve(request.model), (provider) => {
      const { jobs } = provider
      if (jobs === undefined) return Effect.fail(noJobs(provider.name))
      const { session } = request
      const sessionHash = session === undefined ? undefined : Fingerprint.ofSession(namespace, session)
      return Effect.succeed({
        _tag: "Job",
        provider,
        submit: (submissionId) => jobs.submit(request, { submissionId, sessionHash })
      })
    })

  // A provider that cannot be resolved is the run's to report, and only if the session needs it.
  const deadlineOf = ({ deadline, model }: ResponseRequest): Effect.Effect<Duration.Duration> =>
    deadline !== undefined ? Effect.succeed(deadline) : Effect.match(providers.resolve(model), {
      onFailure: () => defaultDeadline,
      onSuccess: ({ jobs }) => jobs?.defaultDeadline ?? defaultDeadline
    })

  return BackgroundJob.of({
    name: "background",
    canResume: true,
    execute: (input) =>
      Effect.flatMap(decodeRequest(input), (request) =>
        Effect.flatMap(
          deadlineOf(request),
          (deadline) => runs.execute({ request, strategy: "background", prepare: prepare(request) }, deadline)
        ))
  })
})

/**
 * Provides `BackgroundJob`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<BackgroundJob, never, SessionStore | Providers> = Layer.effect(BackgroundJob, make)
  .pipe(
    Layer.provide(SessionRuns.layer)
  )

const noJobs = (provider: string): ProviderError =>
  new ProviderError({
    verdict: {
      _tag: "NonRetryable",
      reason: new InvalidRequest({
        message: `The provider ${provider} has no background jobs; use the strategy "sync" or "completions"`,
        provider
      })
    },
    evidence: "NotSent"
  })
