/**
 * The adapter for Anthropic's Messages API and servers that speak it.
 *
 * @since 0.1.0
 */
import type { Anthropic } from "@anthropic-ai/sdk/client"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Predicate from "effect/Predicate"
import * as Redacted from "effect/Redacted"
import { ProviderError } from "../../errors/ProviderError.ts"
import { InvalidResponse, ProviderNotConfigured } from "../../errors/Reason.ts"
import type { CompletionsApi, Outcome } from "../Provider.ts"
import type { ResponseRequest } from "../ResponseRequest.ts"
import * as Answers from "./AnthropicAnswer.ts"
import * as Messages from "./AnthropicMessages.ts"
import * as ErrorClassifier from "./ErrorClassifier.ts"
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
export const make = (
  options: Options
): Effect.Effect<(model: string) => { readonly completions: CompletionsApi }> =>
  Effect.sync(() => {
    const client = loadOnce(options)
    return (model) => ({
      completions: {
        complete: (request) => Effect.flatMap(client, (client) => complete(options, client, model, request))
      }
    })
  })

// Node's longest timer: the SDK wants a timeout, and the deadline is the caller's.
const noTimeout = 2 ** 31 - 1

const loadOnce = (options: Options): Effect.Effect<Anthropic, ProviderError> => {
  let loaded: Anthropic | undefined
  return Effect.suspend(() =>
    loaded !== undefined ? Effect.succeed(loaded) : Effect.tryPromise({
      try: async () => {
        const { Anthropic } = await import("@anthropic-ai/sdk/client")
        return loaded ??= new Anthropic({
          // A placeholder that no request carries: without one, the SDK looks for credentials on this machine.
          apiKey: "unused",
          baseURL: options.baseUrl ?? "https://api.anthropic.com",
          webhookKey: null,
          maxRetries: 0,
          timeout: noTimeout,
          logLevel: "off",
          openTelemetry: false,
          fetch: withOwnHeadersOnly(options)
        })
      },
      catch: () =>
        notSent(
          new ProviderNotConfigured({
            message: "The package @anthropic-ai/sdk cannot be loaded; install it",
            provider: options.name
          })
        )
    })
  )
}

// The SDK adds what ANTHROPIC_CUSTOM_HEADERS holds, often a gateway's secret, whatever server this is.
const withOwnHeadersOnly = ({ fetch, headers: further = {} }: Options): Fetch => {
  const allowed = new Set(Object.keys(further).map((name) => name.toLowerCase()))
  return (input, init) => {
    const headers = new Headers(init?.headers)
    for (const name of [...headers.keys()]) {
      if (!sdkHeader.test(name) && !allowed.has(name)) headers.delete(name)
    }
    return fetch(input, { ...init, headers })
  }
}

const sdkHeader = /^(?:accept|user-agent|content-type|authorization|anthropic-version|x-stainless-.+)$/

const notSent = (reason: Extract<ProviderError["verdict"], { _tag: "NonRetryable" }>["reason"]): ProviderError =>
  new ProviderError({ verdict: { _tag: "NonRetryable", reason }, evidence: "NotSent" })

const complete = Effect.fnUntraced(function*(
  options: Options,
  client: Anthropic,
  model: string,
  request: ResponseRequest
): Effect.fn.Return<Outcome, ProviderError> {
  const context: Messages.Context = { provider: options.name, model }
  const body = yield* Effect.mapError(Effect.fromResult(Messages.toBody(request, context)), notSent)
  let reading = yield* call(options, client, body, Answers.noProgress, context)
  for (let continuations = 0; reading._tag === "Paused"; continuations++) {
    const { progress } = reading
    if (continuations === maxContinuations) return Answers.stillPaused(progress, context)
    reading = yield* Effect.mapError(
      call(options, client, Messages.toContinuation(body, progress.blocks), progress, context),
      ({ verdict }) => new ProviderError({ verdict, evidence: "Uncertain" })
    )
  }
  return reading.outcome
})

// No spans here: a span keeps the message of a failure, which may quote the prompt.
const call = Effect.fnUntraced(function*(
  options: Options,
  client: Anthropic,
  body: Messages.Body,
  before: Answers.Progress,
  context: Messages.Context
): Effect.fn.Return<Exclude<Answers.Reading, { readonly _tag: "Unreadable" }>, ProviderError> {
  const key = Effect.isEffect(options.apiKey) ? yield* options.apiKey : options.apiKey
  const clock = yield* Clock.Clock
  const failureContext = (): ErrorClassifier.Context => ({
    provider: options.name,
    operation: "call",
    now: clock.currentTimeMillisUnsafe(),
    keys: key === undefined ? [] : [key]
  })
  const { answer, response } = yield* Effect.tryPromise({
    try: async (signal) => {
      // Not `messages.create`: it refuses a large `max_tokens`, warns on the console and trusts the answer's type.
      const response = await client.post("/v1/messages", {
        body,
        signal,
        headers: { authorization: key === undefined ? null : `Bearer ${Redacted.value(key)}`, ...options.headers }
      }).asResponse()
      return { response, answer: parse(await response.text()) }
    },
    catch: (error) => ErrorClassifier.classify(error, failureContext())
  })
  const { headers, status } = response
  const requestId = headers.get("request-id") ?? undefined
  const reading = Answers.read(answer, before, { ...context, requestId })
  if (reading._tag !== "Unreadable") return reading
  if (!Predicate.isObject(answer) || answer["type"] === "error") {
    return yield* ErrorClassifier.fromBody({ status, headers, body: answer }, failureContext())
  }
  return yield* new ProviderError({
    verdict: {
      _tag: "Retryable",
      reason: new InvalidResponse({ message: reading.message, provider: options.name, requestId, status })
    },
    evidence: "Uncertain"
  })
})
