/**
 * The adapter for Anthropic's Messages API and servers that speak it.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import type * as Redacted from "effect/Redacted"
import { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidResponse } from "../../errors/Reason.ts"
import type { CompletionsApi, JobsApi, Outcome } from "../Provider.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import * as Answers from "./AnthropicAnswer.ts"
import * as Batches from "./AnthropicBatches.ts"
import * as Messages from "./AnthropicMessages.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
import * as AnthropicClient from "./internal/AnthropicClient.ts"
import { parse } from "./internal/OpenAiBody.ts"
import type { Fetch } from "./Transport.ts"

/**
 * Options for `make`.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The provider's name, its prefix in a model name. */
  readonly name: string
  /**
   * The address before `/v1/messages`.
   *
   * @default "https://api.anthropic.com"
   */
  readonly baseUrl?: string | undefined
  /** Sent as bearer token. An effect is run for each call; without one, no authorization is sent. */
  readonly apiKey?: Effect.Effect<Redacted.Redacted<string>, ProviderError> | Redacted.Redacted<string> | undefined
  /** Further headers of each request; they win over the adapter's. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly fetch: Fetch
  /**
   * For submissions of batches, whose loss would be uncertain.
   *
   * @default fetch
   */
  readonly fetchFresh?: Fetch | undefined
  /**
   * Whether the server runs message batches.
   *
   * @default false
   */
  readonly background?: boolean | undefined
}

/**
 * The ports that a server offers for one model.
 *
 * @category models
 * @since 0.1.0
 */
export interface Ports {
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
export const make = (options: Options): Effect.Effect<(model: string) => Ports> =>
  Effect.sync(() => {
    const send = AnthropicClient.make(options)
    return (model) => {
      const context: Messages.Context = { provider: options.name, model }
      return {
        ...(options.background === true
          ? { jobs: Batches.make({ ...context, baseUrl: options.baseUrl ?? "https://api.anthropic.com", send }) }
          : undefined),
        completions: { complete: (request) => complete(send, context, request) }
      }
    }
  })

const notSent = (reason: Extract<ProviderError["verdict"], { _tag: "NonRetryable" }>["reason"]): ProviderError =>
  new ProviderError({ verdict: { _tag: "NonRetryable", reason }, evidence: "NotSent" })

const complete = Effect.fnUntraced(function*(
  send: AnthropicClient.Send,
  context: Messages.Context,
  request: ResponseRequest
): Effect.fn.Return<Outcome, ProviderError> {
  const body = yield* Effect.mapError(Effect.fromResult(Messages.toBody(request, context)), notSent)
  let reading = yield* call(send, body, Answers.noProgress, context)
  for (let continuations = 0; reading._tag === "Paused"; continuations++) {
    const { progress } = reading
    if (continuations === maxContinuations) return Answers.stillPaused(progress, context)
    reading = yield* Effect.mapError(
      call(send, Messages.toContinuation(body, progress.blocks), progress, context),
      ({ verdict }) => new ProviderError({ verdict, evidence: "Uncertain" })
    )
  }
  return reading.outcome
})

const call = Effect.fnUntraced(function*(
  send: AnthropicClient.Send,
  body: Messages.Body,
  before: Answers.Progress,
  about: Messages.Context
): Effect.fn.Return<Exclude<Answers.Reading, { readonly _tag: "Unreadable" }>, ProviderError> {
  const { context, reply } = yield* send({ operation: "call", method: "post", path: "/v1/messages", body })
  const { headers, status } = reply
  const answer = parse(reply.text)
  const requestId = headers.get("request-id") ?? undefined
  const reading = Answers.read(answer, before, { ...about, requestId })
  if (reading._tag !== "Unreadable") return reading
  if (!Predicate.isObject(answer) || answer["type"] === "error") {
    return yield* ErrorClassifier.fromBody({ status, headers, body: answer }, context)
  }
  return yield* new ProviderError({
    verdict: {
      _tag: "Retryable",
      reason: new InvalidResponse({ message: reading.message, provider: about.provider, requestId, status })
    },
    evidence: "Uncertain"
  })
})
