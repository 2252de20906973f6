/**
 * Checks the models of a request with `fallback` before anything is sent.
 */
import * as Effect from "effect/Effect"
import { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidRequest, ProviderNotConfigured } from "../../errors/Reason.ts"
import { type Call, check, prepare } from "./ResolveRequest.ts"
import type { Work } from "./Run.ts"
import type { RunContext } from "./RunContext.ts"

/** The models that cannot be asked, and why. */
export type Unusable = ReadonlyMap<string, ProviderError>

interface Checked {
  readonly model: string
  /** Why it cannot be asked. */
  readonly error: ProviderError | undefined
}

/**
 * Finds the models that cannot be asked: without a key or an address, or with a request that Holdfast itself refuses. They
 * are passed over when their turn comes, and logged once for each model. Fails when a model's provider is unknown, which
 * is a misspelt name, and when no model of `fallback` can be asked.
 */
export const unusableModels = Effect.fnUntraced(function*(
  shared: RunContext,
  { plan: { candidates }, request }: Work
): Effect.fn.Return<Unusable, ProviderError> {
  if (candidates.length === 1) return new Map()
  const [first, ...others] = yield* Effect.forEach(
    candidates,
    ({ model, strategy }) => checked(shared, { request: { ...request, model }, strategy })
  )
  const unusable = [first, ...others].flatMap((found) =>
    found?.error === undefined ? [] : [[found.model, found.error] as const]
  )
  const misspelt = unusable.find(([, error]) => isUnknown(error))
  if (misspelt !== undefined) return yield* misspelt[1]
  if (others.every(({ error }) => error !== undefined)) return yield* first?.error ?? noneOf(others)
  for (const [model, { verdict: { reason } }] of unusable) {
    if (shared.unusable.has(model)) continue
    shared.unusable.add(model)
    yield* Effect.logWarning("A model of the request cannot be asked, and is passed over", {
      model,
      reason: reason._tag,
      message: reason.message
    })
  }
  return new Map(unusable)
})

const checked = ({ namespace, providers }: RunContext, call: Call): Effect.Effect<Checked> =>
  prepare(providers, namespace, call).pipe(
    Effect.flatMap((means) => check(means, call)),
    Effect.match({
      onFailure: (error) => ({ model: call.request.model, error }),
      onSuccess: () => ({ model: call.request.model, error: undefined })
    })
  )

const isUnknown = ({ verdict: { reason } }: ProviderError): boolean =>
  reason._tag === "ProviderNotConfigured" && reason.provider === undefined

/** The error of a `fallback` that would be of no help. */
const noneOf = (others: ReadonlyArray<Checked>): ProviderError => {
  const reasons = others.flatMap(({ error }) => error === undefined ? [] : [error.verdict.reason])
  const message = `No model of fallback can be asked: ${
    others.map(({ error, model }) => `${model}: ${error?.verdict.reason.message}`).join("; ")
  }`.slice(0, 2000)
  const missing = reasons.find((reason) => reason._tag === "ProviderNotConfigured")
  const [refused] = reasons
  return new ProviderError({
    verdict: {
      _tag: "NonRetryable",
      reason: missing === undefined
        ? new InvalidRequest({ message, param: refused?.param, provider: refused?.provider })
        : new ProviderNotConfigured({ message, provider: missing.provider, variable: missing.variable })
    },
    evidence: "NotSent"
  })
}
