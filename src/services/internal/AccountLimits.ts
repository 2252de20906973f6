/**
 * The limits of one account, put together.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { RateLimiter } from "effect/persistence/RateLimiter"
import type * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { ProviderError } from "../../errors/ProviderError.ts"
import { RateLimited } from "../../errors/Reason.ts"
import type { Usage } from "../../errors/Usage.ts"
import type { AccountName, Limits, Options, RetryBudgetOptions } from "../Limits.ts"
import type { Provider, RetryBudget } from "../Provider.ts"
import type { Fetch } from "../providers/Transport.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import type { Circuits } from "./Circuits.ts"
import * as LimitedPorts from "./LimitedPorts.ts"
import { getOrMake } from "./Memo.ts"
import { enter, make as makeGate, type RateGate, type Report, type Ticket } from "./RateGate.ts"
import * as RateHeaders from "./RateHeaders.ts"
import * as RetryTokens from "./RetryTokens.ts"

/**
 * Creates the limits of an account whose options are valid.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (account: AccountName, options: Options): Effect.Effect<Limits, never, Scope.Scope> => {
  const retryBudget = budgetOf(options.retryBudget ?? true, followsServer(options))
  return isLimited(options)
    ? Effect.map(makeGates(account, options), (gates) => limitsOf(account, options, gates, retryBudget))
    : Effect.succeed({ apply: (provider) => withBudget(provider, retryBudget) })
}

const defaultOpenFor = Duration.seconds(30)

const defaultFailures = 5

const defaultOutputTokens = 1000

/** Models whose state is kept. */
const maxModels = 100

const followsServer = ({ followServer, requestsPerMinute, tokensPerMinute }: Options): boolean =>
  followServer ?? (requestsPerMinute !== undefined || tokensPerMinute !== undefined)

const hasRates = (options: Options): boolean =>
  options.requestsPerMinute !== undefined || options.tokensPerMinute !== undefined || followsServer(options)

const hasBreaker = ({ circuitBreaker = false }: Options): boolean => circuitBreaker !== false

const isLimited = (options: Options): boolean =>
  hasRates(options) || hasBreaker(options) || options.concurrency !== undefined

const budgetOf = (options: boolean | RetryBudgetOptions, isPaced: boolean): RetryBudget | undefined => {
  if (options === false) return undefined
  const { retryCost = 5, size = 500, successReturn = 1, timeoutCost = 10 } = options === true ? {} : options
  return RetryTokens.make({ isPaced, retryCost, size, successReturn, timeoutCost })
}

const withBudget = (provider: Provider, retryBudget: RetryBudget | undefined): Provider =>
  retryBudget === undefined || provider.retryBudget !== undefined ? provider : { ...provider, retryBudget }

/** What Effect's modules keep. Those are loaded here: few programs need them. */
interface Gates {
  readonly limiter: RateLimiter | undefined
  readonly circuits: Circuits | undefined
}

const makeGates = Effect.fnUntraced(function*(
  { key, provider }: AccountName,
  options: Options
): Effect.fn.Return<Gates, never, Scope.Scope> {
  const breaker = typeof options.circuitBreaker === "object" ? options.circuitBreaker : {}
  const openFor = Duration.fromInputUnsafe(breaker.openFor ?? defaultOpenFor)
  return {
    limiter: hasRates(options) ? yield* makeLimiter : undefined,
    circuits: hasBreaker(options)
      ? yield* makeCircuits({
        key,
        provider,
        failures: breaker.failures ?? defaultFailures,
        openFor,
        maxOpenFor: Duration.times(openFor, 10)
      })
      : undefined
  }
})

const makeLimiter = Effect.gen(function*() {
  const { layerStoreMemory, make, RateLimiterStore } = yield* Effect.promise(() =>
    import("effect/persistence/RateLimiter")
  )
  const provided = yield* Effect.serviceOption(RateLimiterStore)
  const store = Option.isSome(provided)
    ? provided.value
    : Context.get(yield* Layer.build(layerStoreMemory), RateLimiterStore)
  return yield* Effect.provideService(make, RateLimiterStore, store)
})

const makeCircuits = Effect.fnUntraced(function*(options: Parameters<typeof import("./Circuits.ts").make>[0]) {
  const { make } = yield* Effect.promise(() => import("./Circuits.ts"))
  const { CircuitBreakerStore, layerStoreMemory } = yield* Effect.promise(() =>
    import("effect/persistence/CircuitBreaker")
  )
  const provided = yield* Effect.serviceOption(CircuitBreakerStore)
  const store = Option.isSome(provided)
    ? provided.value
    : Context.get(yield* Layer.build(layerStoreMemory()), CircuitBreakerStore)
  return yield* Effect.provideService(make(options), CircuitBreakerStore, store)
})

const limitsOf = (
  account: AccountName,
  options: Options,
  { circuits, limiter }: Gates,
  retryBudget: RetryBudget | undefined
): Limits => {
  const slots = options.concurrency === undefined ? undefined : Semaphore.makeUnsafe(options.concurrency)
  const followServer = followsServer(options)
  const gates = new Map<string, RateGate>()
  const gateOf = (model: string): RateGate | undefined => {
    if (limiter === undefined) return undefined
    const make = () =>
      makeGate(limiter, {
        key: `${account.key}/${model}`,
        requestsPerMinute: options.requestsPerMinute,
        tokensPerMinute: options.tokensPerMinute,
        outputTokens: options.expectedOutputTokens ?? defaultOutputTokens,
        followServer
      })
    return getOrMake(gates, model, make, maxModels)
  }
  const refused = (what: string, retryAfter?: Duration.Duration): ProviderError =>
    new ProviderError({
      verdict: {
        _tag: "Retryable",
        reason: new RateLimited({
          message: `Holdfast's own ${what} did not let the request through in time`,
          provider: account.provider
        }),
        ...(retryAfter === undefined ? {} : { retryAfter })
      },
      evidence: "NotSent"
    })

  const apply = (provider: Provider): Provider => {
    const { model } = provider
    const gate = gateOf(model)
    const guard = circuits?.guard(model)
    const check = circuits?.check(model) ?? Effect.void
    // Tickets for requests that have passed, but whose port has not been called yet.
    const admitted = new WeakMap<ResponseRequest, Ticket>()

    const pass = (gate: RateGate, request: ResponseRequest, until: number, restore: Restore) =>
      Effect.suspend(() => {
        const ticket = admitted.get(request)
        admitted.delete(request)
        return ticket === undefined
          ? gate.pass(request, until, restore)
          : Effect.succeed(ticket)
      }).pipe(Effect.mapError(({ wait }) => refused("rate limit", wait)))

    const limited: LimitedPorts.Limited = (request, call, { until, usageOf }) =>
      Effect.uninterruptibleMask((restore) =>
        Effect.scoped(Effect.gen(function*() {
          yield* check
          const ticket = gate === undefined ? undefined : yield* pass(gate, request, until, restore)
          let isSent = false
          const sending = Effect.suspend(() => {
            isSent = true
            return call
          })
          const send = Effect.gen(function*() {
            if (slots !== undefined && !(yield* enter(slots, until, restore))) {
              return yield* refused("limit of requests in flight")
            }
            return yield* restore(guard === undefined ? sending : guard(sending))
          })
          if (gate === undefined || ticket === undefined) return yield* send
          return yield* Effect.onExit(send, (exit) => gate.settle(ticket, reportOf(exit, usageOf, isSent)))
        }))
      )

    const admit = gate === undefined
      ? circuits === undefined ? undefined : () => check
      : (request: ResponseRequest, until = Infinity) =>
        Effect.uninterruptibleMask((restore) =>
          Effect.andThen(
            check,
            Effect.map(pass(gate, request, until, restore), (ticket) => {
              admitted.set(request, ticket)
            })
          )
        )
    return { ...LimitedPorts.make(withBudget(provider, retryBudget), limited), admit }
  }

  // Many jobs of one model wait with the same ports.
  let last: { readonly provider: Provider; readonly limited: Provider } | undefined
  return {
    apply: (provider) => {
      if (last === undefined || !isSame(last.provider, provider)) last = { provider, limited: apply(provider) }
      return last.limited
    },
    observe: followServer
      ? (model, fetch) => {
        const gate = gateOf(model)
        return gate === undefined ? fetch : observed(gate, fetch)
      }
      : undefined
  }
}

type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const isSame = (left: Provider, right: Provider): boolean =>
  left.model === right.model && left.jobs === right.jobs && left.responses === right.responses &&
  left.completions === right.completions

const observed = (gate: RateGate, fetch: Fetch): Fetch => async (input, init) => {
  const response = await fetch(input, init)
  // The limits of polls are other ones.
  const limits = init?.method?.toUpperCase() === "POST" ? RateHeaders.read(response.headers) : undefined
  if (limits !== undefined) gate.learn(limits)
  return response
}

const reportOf = <A>(
  exit: Exit.Exit<A, ProviderError>,
  usageOf: (result: A) => Usage | undefined,
  isSent: boolean
): Report => {
  if (Exit.isSuccess(exit)) return { _tag: "Answered", usage: usageOf(exit.value) }
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  return error === undefined ? { _tag: "Unknown", isSent } : { _tag: "Failed", error }
}
