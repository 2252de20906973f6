/**
 * The circuits of an account: one for each model, and one for all of them.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import { ProviderError } from "../../errors/ProviderError.ts"
import { CircuitOpen } from "../../errors/Reason.ts"
import type { LimitStore } from "./LimitStore.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** Names the account in the breakers' store. */
  readonly key: string
  /** The provider's name, for errors. */
  readonly provider: string
  /** Failures in a row that open a model's circuit. */
  readonly failures: number
  /** How long a circuit stays open at first; doubled each time that it opens again. */
  readonly openFor: Duration.Duration
  /** Longest time that a circuit stays open. */
  readonly maxOpenFor: Duration.Duration
  /** How the breakers' store is asked; while it does not answer, all circuits are closed. */
  readonly limitStore: LimitStore
}

/**
 * The circuits of an account.
 *
 * @category models
 * @since 0.1.0
 */
export interface Circuits {
  /** Fails with `CircuitOpen` while the circuit of the model, or of the account, is open. */
  readonly check: (model: string) => Effect.Effect<void, ProviderError>
  /** Makes a call if both circuits let it through, and starts to tell their store how it ended. */
  readonly guard: (
    model: string
  ) => <A, R>(call: Effect.Effect<A, ProviderError, R>) => Effect.Effect<A, ProviderError, R>
}

/**
 * Creates the circuits of an account.
 *
 * **Details**
 *
 * `ServerError`, `Overloaded`, `Network`, `InvalidResponse` and
 * `StreamInterrupted` count against the model. `QuotaExceeded` and
 * `AuthenticationFailed` open the account's circuit at once. Rate limits,
 * interruptions and what Holdfast itself refused change nothing; every other
 * answer shows that the server is well.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(
  { failures, key, limitStore, maxOpenFor, openFor, provider }: Options
): Effect.fn.Return<Circuits, never, Scope.Scope | CircuitBreaker.CircuitBreakerStore> {
  const openDuration = Schedule.min([Schedule.exponential(openFor), Schedule.spaced(maxOpenFor)])
  const store = withoutWaiting(yield* CircuitBreaker.CircuitBreakerStore, limitStore)
  const makeBreaker = (failures: number) =>
    Effect.provideService(
      CircuitBreaker.make({
        openDuration,
        maxOpenDuration: maxOpenFor,
        tripPolicy: CircuitBreaker.consecutive(failures)
      }),
      CircuitBreaker.CircuitBreakerStore,
      store
    )
  const models = yield* makeBreaker(failures)
  const account = yield* makeBreaker(1)
  const accountKey = `${key}/account`
  const keyOf = (model: string): string => `${key}/model/${model}`

  const open = (what: string, retryAfter: Duration.Duration): ProviderError =>
    new ProviderError({
      verdict: {
        _tag: "Retryable",
        reason: new CircuitOpen({ message: `The circuit to ${what} is open`, provider }),
        retryAfter
      },
      evidence: "NotSent"
    })
  const nameOf = (circuit: string): string =>
    circuit === accountKey ? `the account of ${provider}` : `${provider}/${circuit.slice(keyOf("").length)}`

  const rejected = ({ reason }: CircuitBreaker.CircuitBreakerError): Effect.Effect<never, ProviderError> =>
    reason._tag === "CircuitBreakerStoreError"
      ? Effect.die(reason)
      : Effect.fail(
        open(nameOf(reason.key), reason._tag === "CircuitOpen" ? reason.retryAfter : probeTime)
      )

  const checkOne = (breaker: CircuitBreaker.CircuitBreaker, circuit: string): Effect.Effect<void, ProviderError> =>
    Effect.matchEffect(breaker.state(circuit), {
      // The call itself tells what is wrong with the store.
      onFailure: () => Effect.void,
      onSuccess: (state) =>
        state._tag === "Open" && Duration.isPositive(state.retryAfter)
          ? Effect.fail(open(nameOf(circuit), state.retryAfter))
          : Effect.void
    })

  return {
    check: (model) => Effect.andThen(checkOne(account, accountKey), checkOne(models, keyOf(model))),
    guard: (model) => (call) =>
      Effect.catchTag(
        account.execute(models.execute(call, { key: keyOf(model), classify: outcomeForModel }), {
          key: accountKey,
          classify: outcomeForAccount
        }),
        "CircuitBreakerError",
        rejected
      )
  }
})

type Store = Context.Service.Shape<typeof CircuitBreaker.CircuitBreakerStore>

/** Lets calls through without an answer, and their results before it knows how they ended. */
const withoutWaiting = (store: Store, { ask, tell }: LimitStore): Store => {
  const recorded = (outcome: Parameters<Store["record"]>[0]) =>
    tell(Effect.ignore(ask(store.record(outcome), { isAnswer: () => false })))
  return {
    admit: Effect.fnUntraced(function*(key) {
      // The store may keep a lease in it, which a late answer must not leave in a scope that is closed.
      const scope = yield* Scope.make()
      yield* Effect.addFinalizer((exit) => tell(Scope.close(scope, exit)))
      const admission = yield* ask(Scope.provide(store.admit(key), scope), {
        isAnswer: isRejection,
        // The call was made without it, so the next one may try.
        onLate: ({ generation, probe }) => probe ? recorded({ ...freed, key, generation }) : Effect.void
      })
      return Option.getOrElse(admission, () => unrecorded)
    }),
    record: (outcome) => Effect.as(Number.isNaN(outcome.generation) ? Effect.void : recorded(outcome), undefined),
    state: (key) =>
      Effect.map(
        ask(store.state(key), { isAnswer: isRejection }),
        Option.getOrElse((): CircuitBreaker.State => ({ _tag: "Closed", key }))
      )
  }
}

/** For a call that the store knows nothing of. */
const unrecorded: CircuitBreaker.Admission = {
  generation: NaN,
  probe: false,
  consecutiveOpenings: 0,
  transition: undefined
}

const freed = { outcome: "Ignored", openFor: Duration.zero, tripPolicy: CircuitBreaker.consecutive(1) } as const

const isRejection = ({ reason }: CircuitBreaker.CircuitBreakerError): boolean =>
  reason._tag !== "CircuitBreakerStoreError"

/** How long a call that comes during the probe should wait. */
const probeTime = Duration.seconds(1)

type AnyExit = Exit.Exit<unknown, ProviderError | CircuitBreaker.CircuitBreakerError>

const errorOf = (exit: AnyExit): ProviderError | undefined =>
  Exit.isFailure(exit)
    ? Option.getOrUndefined(Option.filter(Cause.findErrorOption(exit.cause), (error) => error instanceof ProviderError))
    : undefined

const unhealthy: ReadonlySet<string> = new Set([
  "ServerError",
  "Overloaded",
  "Network",
  "InvalidResponse",
  "StreamInterrupted"
])

const accountWide: ReadonlySet<string> = new Set(["QuotaExceeded", "AuthenticationFailed"])

const outcomeForModel = (exit: AnyExit): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return CircuitBreaker.success
  const error = errorOf(exit)
  if (error === undefined) return CircuitBreaker.ignored
  const { reason } = error.verdict
  if (unhealthy.has(reason._tag)) return failureOf(error)
  return reason._tag === "RateLimited" || accountWide.has(reason._tag) || error.evidence === "NotSent"
    ? CircuitBreaker.ignored
    : CircuitBreaker.success
}

const outcomeForAccount = (exit: AnyExit): CircuitBreaker.Outcome => {
  if (Exit.isSuccess(exit)) return CircuitBreaker.success
  const error = errorOf(exit)
  return error !== undefined && accountWide.has(error.verdict.reason._tag) ? failureOf(error) : CircuitBreaker.ignored
}

const failureOf = ({ verdict }: ProviderError): CircuitBreaker.Outcome =>
  CircuitBreaker.failure(
    verdict._tag === "Retryable" && verdict.retryAfter !== undefined ? { retryAfter: verdict.retryAfter } : {}
  )
