/**
 * Finds the provider of a request and the means to send it, by strategy.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidRequest } from "../../errors/Reason.ts"
import * as Fingerprint from "../../services/Fingerprint.ts"
import type { JobsApi, ResponsesApi } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import type { ResponseRequest, StrategyName } from "../../services/ResponseRequest.ts"
import type { Route } from "./Run.ts"

/** Longest time that a call waits for a job, unless the request or the provider's `JobsApi` says otherwise. */
export const defaultJobDeadline: Duration.Duration = Duration.minutes(60)

/** Longest time that a held call waits, unless the request says otherwise. */
const defaultHeldDeadline = Duration.minutes(15)

/** A request to one model, and the strategy by which it is asked. */
export interface Call {
  readonly request: ResponseRequest
  readonly strategy: StrategyName
}

/** Finds the provider and the means to send to it; fails before anything is sent. */
export const prepare = Effect.fnUntraced(function*(
  providers: Providers["Service"],
  namespace: string,
  { request, strategy }: Call
): Effect.fn.Return<Route, ProviderError> {
  const provider = yield* providers.resolve(request.model)
  const { completions, jobs, name, responses } = provider
  switch (strategy) {
    case "background": {
      if (jobs === undefined) {
        return yield* refused(name, "has no background jobs; use the strategy \"sync\" or \"completions\"")
      }
      return jobMeans(provider, jobs, request, namespace)
    }
    case "sync":
      if (responses === undefined) return yield* refused(name, "has no Responses API")
      return { _tag: "Held", provider, call: responses.create(request), stream: streamOf(responses, request) }
    case "completions":
      if (completions === undefined) return yield* refused(name, "has no Chat Completions API")
      return { _tag: "Held", provider, call: completions.complete(request), stream: streamOf(completions, request) }
  }
})

/** Fails as sending the request would for what the model's API cannot take. Nothing is sent. */
export const check = (
  { provider: { completions, jobs, responses } }: Route,
  { request, strategy }: Call
): Effect.Effect<void, ProviderError> => {
  const port = { background: jobs, sync: responses, completions }[strategy]
  return port?.check?.(request) ?? Effect.void
}

/** Longest time that a call waits. A provider that cannot be resolved is the run's to report, if the session needs it. */
export const deadlineOf = (
  providers: Providers["Service"],
  { request: { deadline, model }, strategy }: Call
): Effect.Effect<Duration.Duration> => {
  if (deadline !== undefined) return Effect.succeed(deadline)
  if (strategy !== "background") return Effect.succeed(defaultHeldDeadline)
  return Effect.match(providers.resolve(model), {
    onFailure: () => defaultJobDeadline,
    onSuccess: ({ jobs }) => jobs?.defaultDeadline ?? defaultJobDeadline
  })
}

// Most calls are not watched: for them, the request is not translated a second time.
const streamOf = (
  { stream }: Pick<ResponsesApi, "stream">,
  request: ResponseRequest
): Extract<Route, { readonly _tag: "Held" }>["stream"] => stream === undefined ? undefined : () => stream(request)

const jobMeans = (
  provider: Route["provider"],
  jobs: JobsApi,
  request: ResponseRequest,
  namespace: string
): Route => {
  const { session } = request
  const sessionHash = session === undefined ? undefined : Fingerprint.ofSession(namespace, session)
  const { submitStream } = jobs
  return {
    _tag: "Job",
    provider,
    jobs,
    submit: (submissionId) => jobs.submit(request, { submissionId, sessionHash }),
    open: submitStream === undefined
      ? undefined
      : (submissionId) => submitStream(request, { submissionId, sessionHash })
  }
}

const refused = (provider: string, what: string): Effect.Effect<never, ProviderError> =>
  Effect.fail(
    new ProviderError({
      verdict: {
        _tag: "NonRetryable",
        reason: new InvalidRequest({ message: `The provider ${provider} ${what}`, provider })
      },
      evidence: "NotSent"
    })
  )
