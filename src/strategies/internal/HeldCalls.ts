/**
 * What the two strategies that hold a call open have in common.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidRequest } from "../../errors/Reason.ts"
import type { Outcome, Provider } from "../../services/Provider.ts"
import type { Providers } from "../../services/Providers.ts"
import type { ResponseRequest, StrategyName } from "../../services/ResponseRequest.ts"
import { decodeRequest, type ResponseStrategy } from "../ResponseStrategy.ts"
import type { Order, SessionRuns } from "../SessionRuns.ts"

/** Longest time that a held call waits, unless the request says otherwise: 15 minutes. */
const defaultDeadline = Duration.minutes(15)

/** Creates the `execute` of a strategy that holds a call open. */
export const heldCall = (options: {
  readonly runs: SessionRuns["Service"]
  readonly providers: Providers["Service"]
  readonly strategy: StrategyName
  /** The API's name, for the error of a provider that does not have it. */
  readonly api: string
  readonly call: (provider: Provider, request: ResponseRequest) => Effect.Effect<Outcome, ProviderError> | undefined
}): ResponseStrategy["execute"] => {
  const { api, call, providers, runs, strategy } = options

  const prepare = (request: ResponseRequest): Order["prepare"] =>
    Effect.flatMap(providers.resolve(request.model), (provider) => {
      const held = call(provider, request)
      return held === undefined
        ? Effect.fail(missing(provider.name, api))
        : Effect.succeed({ _tag: "Held", provider, call: held })
    })

  return (input) =>
    Effect.flatMap(
      decodeRequest(input),
      (request) => runs.execute({ request, strategy, prepare: prepare(request) }, request.deadline ?? defaultDeadline)
    )
}

const missing = (provider: string, api: string): ProviderError =>
  new ProviderError({
    verdict: {
      _tag: "NonRetryable",
      reason: new InvalidRequest({ message: `The provider ${provider} has no ${api}`, provider })
    },
    evidence: "NotSent"
  })
