/**
 * A provider's ports, with every request to a model behind a gate.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { ProviderError } from "../../errors/ProviderError.ts"
import { Network } from "../../errors/Reason.ts"
import type { Usage } from "../../errors/Usage.ts"
import type { JobState, Outcome, Provider, StreamEvent } from "../Provider.ts"
import { defaultSubmitTimeout, type ResponseRequest } from "../ResponseRequest.ts"

/**
 * Makes one call within the limits.
 *
 * **Details**
 *
 * `until` is the last moment at which it may still be waiting to be sent (Unix time in milliseconds); `usageOf`
 * reads what the call took from what it succeeds with.
 *
 * @category models
 * @since 0.1.0
 */
export type Limited = <A>(
  request: ResponseRequest,
  call: Effect.Effect<A, ProviderError>,
  options: { readonly until: number; readonly usageOf: (result: A) => Usage | undefined }
) => Effect.Effect<A, ProviderError>

/**
 * Puts a provider's submissions, held calls and their streams behind a gate.
 *
 * **Details**
 *
 * Polls, cancels, lookups and streams that only watch a job pass freely: the
 * job is paid for, and must be seen to its end.
 *
 * A submission waits for half of its `submitTimeout` (60 seconds, unless the
 * request says otherwise) at most: what is still waiting then was not sent,
 * while the caller would have to take it for lost after the whole.
 *
 * @category combinators
 * @since 0.1.0
 */
export const make = (provider: Provider, limited: Limited): Provider => {
  const { completions, jobs, responses } = provider
  const held = <A>(usageOf: (result: A) => Usage | undefined) => ({ until: Infinity, usageOf })
  const submission = <A>(request: ResponseRequest, usageOf: (result: A) => Usage | undefined) =>
    Effect.map(Clock.currentTimeMillis, (now) => ({
      until: now + Duration.toMillis(request.submitTimeout ?? defaultSubmitTimeout) / 2,
      usageOf
    }))
  return {
    ...provider,
    ...(jobs === undefined ? undefined : {
      jobs: {
        ...jobs,
        submit: (request, options) =>
          Effect.flatMap(
            submission(request, usageOfJob),
            (terms) => limited(request, jobs.submit(request, options), terms)
          ),
        ...(jobs.submitStream === undefined ? undefined : {
          submitStream: watched(
            jobs.submitStream,
            (request, call) =>
              Effect.flatMap(submission(request, usageOfStream), (terms) => limited(request, call, terms))
          )
        })
      }
    }),
    ...(responses === undefined ? undefined : {
      responses: {
        ...(responses.check === undefined ? undefined : { check: responses.check }),
        create: (request) => limited(request, responses.create(request), held(usageOfOutcome)),
        ...(responses.stream === undefined ? undefined : {
          stream: watched(responses.stream, (request, call) => limited(request, call, held(usageOfStream)))
        })
      }
    }),
    ...(completions === undefined ? undefined : {
      completions: {
        ...(completions.check === undefined ? undefined : { check: completions.check }),
        complete: (request) => limited(request, completions.complete(request), held(usageOfOutcome)),
        ...(completions.stream === undefined ? undefined : {
          stream: watched(completions.stream, (request, call) => limited(request, call, held(usageOfStream)))
        })
      }
    })
  }
}

type StreamPort<Rest extends ReadonlyArray<unknown>> = (
  request: ResponseRequest,
  ...rest: Rest
) => Stream.Stream<StreamEvent, ProviderError>

/** What the gate is told of a stream: its outcome, and whether it was read to its end. */
interface Seen {
  outcome: Outcome | undefined
  isAtEnd: boolean
}

/**
 * A call that lasts as long as the stream stands for it at the gate, so that no event takes a way around. When the
 * stream is left early, the call is interrupted.
 */
const watched = <Rest extends ReadonlyArray<unknown>>(
  open: StreamPort<Rest>,
  limited: (
    request: ResponseRequest,
    call: Effect.Effect<Seen, ProviderError>
  ) => Effect.Effect<Seen, ProviderError>
): StreamPort<Rest> =>
(request, ...rest) =>
  Stream.unwrap(Effect.gen(function*(): Effect.fn.Return<
    Stream.Stream<StreamEvent, ProviderError>,
    ProviderError,
    Scope.Scope
  > {
    const seen: Seen = { outcome: undefined, isAtEnd: false }
    const passed = yield* Deferred.make<void, ProviderError>()
    const over = yield* Deferred.make<Seen, ProviderError>()
    const stand = yield* limited(request, Effect.andThen(Deferred.succeed(passed, undefined), Deferred.await(over)))
      .pipe(
        Effect.onExit((exit) => Deferred.done(passed, Exit.asVoid(exit))),
        Effect.forkScoped({ startImmediately: true })
      )
    yield* Deferred.await(passed)
    return open(request, ...rest).pipe(
      Stream.mapArray((events) => {
        for (const event of events) {
          if (event._tag === "Ended") seen.outcome = event.outcome
        }
        return events
      }),
      Stream.onEnd(Effect.sync(() => {
        seen.isAtEnd = true
      })),
      Stream.onExit((exit) => {
        const told = endOf(exit, seen)
        return told === undefined ? Effect.void : Effect.andThen(Deferred.done(over, told), Fiber.await(stand))
      })
    )
  }))

/** `undefined` when the stream was left before its end, which tells nothing. */
const endOf = (
  exit: Exit.Exit<unknown, ProviderError>,
  seen: Seen
): Exit.Exit<Seen, ProviderError> | undefined => {
  if (Exit.isFailure(exit)) return Exit.hasInterrupts(exit) ? undefined : Exit.failCause(exit.cause)
  if (seen.outcome !== undefined) return Exit.succeed(seen)
  return seen.isAtEnd ? cut : undefined
}

const cut = Exit.fail(
  new ProviderError({
    verdict: { _tag: "Retryable", reason: new Network({ message: "The stream ended before its last event" }) },
    evidence: "Uncertain"
  })
)

const usageOfOutcome = (outcome: Outcome): Usage | undefined =>
  outcome._tag === "Succeeded"
    ? outcome.answer.usage
    : "usage" in outcome.verdict.reason
    ? outcome.verdict.reason.usage
    : undefined

const usageOfJob = ({ state }: { readonly state: JobState }): Usage | undefined =>
  state._tag === "Ended" ? usageOfOutcome(state.outcome) : undefined

const usageOfStream = ({ outcome }: Seen): Usage | undefined =>
  outcome === undefined ? undefined : usageOfOutcome(outcome)
