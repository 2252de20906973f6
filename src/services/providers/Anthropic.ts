/**
 * The adapter for Anthropic's Messages API and servers that speak it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Stream from "effect/Stream"
import { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidResponse } from "../../errors/Reason.ts"
import type { CompletionsApi, JobsApi, Outcome, StreamEvent } from "../Provider.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import * as Answers from "./AnthropicAnswer.ts"
import * as Batches from "./AnthropicBatches.ts"
import * as Messages from "./AnthropicMessages.ts"
import * as MessagesStream from "./AnthropicMessagesStream.ts"
import * as AnthropicClient from "./internal/AnthropicClient.ts"
import * as EventStream from "./internal/EventStream.ts"
import * as Failure from "./internal/Failure.ts"
import * as Played from "./internal/Played.ts"

export type { Options } from "./internal/AnthropicClient.ts"

/**
 * The ports that a server offers for one model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ports {
  readonly ready: Effect.Effect<void, ProviderError>
  /** Message batches of one request each. */
  readonly jobs?: JobsApi
  readonly completions: CompletionsApi
}

/**
 * How often one answer is continued after `pause_turn`, at most. Each
 * continuation is a request of its own, and billed.
 *
 * @category models
 * @since 0.1.0
 */
export const maxContinuations = 5

/**
 * Creates the ports of a server that speaks the Messages API, by model.
 *
 * **Details**
 *
 * `@anthropic-ai/sdk` is loaded by the first call. It does not retry, has no
 * timeout (interrupt the effect: the request is aborted) and takes nothing
 * from the environment; it neither logs nor traces.
 *
 * An answer that pauses (`pause_turn`, a long turn with server tools) is
 * continued by further requests, {@link maxContinuations} at most, then it is
 * `Incomplete`. Usage is the sum. A continuation that fails is `Uncertain`,
 * as the turns before it were taken and billed.
 *
 * A call whose `max_tokens` allows for more than ten minutes is streamed inside,
 * so that no connection is silent for so long; the SDK refuses to hold it.
 *
 * Jobs are message batches; see `AnthropicBatches.make`.
 *
 * **Errors**
 *
 * - Those of `ErrorClassifier`, for HTTP errors and failed connections.
 * - `InvalidResponse`, `Uncertain`, for a 200 that is no message.
 * - `InvalidRequest`, `NotSent`, for what the API cannot take; see `AnthropicMessages.toBody`.
 * - `ProviderNotConfigured`, `NotSent`, when the SDK cannot be loaded.
 *
 * **Source**
 *
 * Anthropic, "Messages": https://platform.claude.com/docs/en/api/messages
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: AnthropicClient.Options): Effect.Effect<(model: string) => Ports> =>
  Effect.sync(() => {
    const client = AnthropicClient.make(options)
    return (model) => {
      const context: Messages.Context = { provider: options.name, model }
      return {
        ready: client.ready,
        ...(options.background === true
          ? {
            jobs: Batches.make({
              ...context,
              baseUrl: options.baseUrl ?? "https://api.anthropic.com",
              send: client.send,
              retention: options.retention
            })
          }
          : undefined),
        completions: {
          check: (request) => Effect.asVoid(bodyOf(request, context)),
          complete: (request) => complete(client, context, request),
          stream: (request) => stream(client, context, request)
        }
      }
    }
  })

const complete = Effect.fnUntraced(function*(
  client: AnthropicClient.Client,
  context: Messages.Context,
  request: ResponseRequest
): Effect.fn.Return<Outcome, ProviderError> {
  const body = yield* bodyOf(request, context)
  if (isLong(body)) return yield* lastOf(turns(client, context, body, Answers.noProgress, 0), context)
  let reading = yield* call(client.send, body, Answers.noProgress, context)
  for (let continuations = 0; reading._tag === "Paused"; continuations++) {
    const { progress } = reading
    if (continuations === maxContinuations) return Answers.stillPaused(progress, context)
    reading = yield* Effect.mapError(
      call(client.send, Messages.toContinuation(body, progress.blocks), progress, context),
      afterTurns
    )
  }
  return reading.outcome
})

const stream = (
  client: AnthropicClient.Client,
  context: Messages.Context,
  request: ResponseRequest
): Stream.Stream<StreamEvent, ProviderError> =>
  Stream.unwrap(Effect.map(bodyOf(request, context), (body) => turns(client, context, body, Answers.noProgress, 0)))

const bodyOf = (request: ResponseRequest, context: Messages.Context): Effect.Effect<Messages.Body, ProviderError> =>
  Effect.mapError(Effect.fromResult(Messages.toBody(request, context)), Failure.notSent)

// The rule by which the SDK refuses calls that may be held open for more than ten minutes.
const isLong = ({ max_tokens }: Messages.Body): boolean =>
  typeof max_tokens === "number" && 3600 * max_tokens / 128_000 > 600

const call = Effect.fnUntraced(function*(
  send: AnthropicClient.Send,
  body: Messages.Body,
  before: Answers.Progress,
  asked: Messages.Context
) {
  const answer = yield* send({ operation: "call", method: "post", path: "/v1/messages", body })
  if (answer.events === undefined) {
    return yield* Effect.fromResult(MessagesStream.readWhole(answer.reply, before, asked, answer.context))
  }
  const turn: MessagesStream.Turn = { asked, before, paused: undefined }
  const outcome = Played.outcomeOf(answer, MessagesStream.makeReader(turn))
  return turn.paused === undefined
    ? { _tag: "Ended" as const, outcome: yield* Effect.fromResult(outcome) }
    : { _tag: "Paused" as const, progress: turn.paused }
})

const turns = (
  client: AnthropicClient.Client,
  asked: Messages.Context,
  body: Messages.Body,
  before: Answers.Progress,
  continuations: number
): Stream.Stream<StreamEvent, ProviderError> =>
  Stream.suspend(() => {
    const turn: MessagesStream.Turn = { asked, before, paused: undefined }
    const sent = { ...(continuations === 0 ? body : Messages.toContinuation(body, before.blocks)), stream: true }
    const events = EventStream.make(
      client.sendStream({ operation: "call", method: "post", path: "/v1/messages", body: sent }),
      MessagesStream.makeReader(turn)
    )
    return Stream.concat(
      continuations === 0 ? events : Stream.mapError(events, afterTurns),
      Stream.suspend(() => {
        const { paused } = turn
        if (paused === undefined) return Stream.empty
        return continuations === maxContinuations
          ? Stream.succeed<StreamEvent>({ _tag: "Ended", outcome: Answers.stillPaused(paused, asked) })
          : turns(client, asked, body, paused, continuations + 1)
      })
    )
  })

// The turns before were taken and billed.
const afterTurns = ({ verdict }: ProviderError): ProviderError => new ProviderError({ verdict, evidence: "Uncertain" })

const lastOf = (
  events: Stream.Stream<StreamEvent, ProviderError>,
  { provider }: Messages.Context
): Effect.Effect<Outcome, ProviderError> =>
  Stream.runFold(
    events,
    (): Outcome | undefined => undefined,
    (found, event) => event._tag === "Ended" ? event.outcome : found
  ).pipe(
    Effect.filterOrFail(
      Predicate.isNotUndefined,
      () => Failure.uncertain(new InvalidResponse({ provider, message: "The answer has no end: it was cut" }))
    )
  )
