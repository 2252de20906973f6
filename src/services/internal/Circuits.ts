/**
 * The circuits of an account: one for each model, and one for all of them.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as Schedule from "effect/Schedule"
import type * as Scope from "effect/Scope"
import { ProviderError } from "../../errors/ProviderError.ts"
import { CircuitOpen } from "../../errors/Reason.ts"

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
  /** Makes a call if both circuits let it through, and tells them how it ended. */
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
  { failures, key, maxOpenFor, openFor, provider }: Options
): Effect.fn.Return<Circuits, never, Scope.Scope | CircuitBreaker.CircuitBreakerStore> {
  const openDuration = Schedule.min([Schedule.exponential(openFor), Schedule.spaced(maxOpenFor)])
  const shared = { openDuration, maxOpenDuration: maxOpenFor }
  const models = yield* CircuitBreaker.make({ ...shared, tripPolicy: CircuitBreaker.consecutive(failures) })
  const account = yield* CircuitBreaker.make({ ...shared, tripPolicy: CircuitBreaker.consecutive(1) })
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
