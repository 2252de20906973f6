/**
 * One request of an adapter: it is sent, and its answer read or watched.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import * as ErrorClassifier from "../ErrorClassifier.ts"
import * as EventStream from "./EventStream.ts"
import * as RetryAfter from "./RetryAfter.ts"

/**
 * A request that is ready to be sent.
 *
 * @category models
 * @since 0.1.0
 */
export interface HttpCall<Context extends ErrorClassifier.Context = ErrorClassifier.Context> {
  /** Sends it. Of an SDK, the promise rejects for an answer of another status than 2xx. */
  readonly request: (signal: AbortSignal) => Promise<Response>
  /** The exchange, as it is now. */
  readonly contextNow: () => Context
}

/**
 * An answer, read to its end.
 *
 * @category models
 * @since 0.1.0
 */
export interface TextReply {
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

/**
 * Sends a request and reads its answer to the end. Interrupting it aborts the
 * request.
 *
 * @category combinators
 * @since 0.1.0
 */
export const read = <Context extends ErrorClassifier.Context>(
  { contextNow, request }: HttpCall<Context>
): Effect.Effect<{ readonly reply: TextReply; readonly context: Context }, ProviderError> =>
  Effect.map(
    Effect.tryPromise({
      try: async (signal): Promise<TextReply> => {
        const response = await request(signal)
        return { status: response.status, headers: response.headers, text: await response.text() }
      },
      catch: (error) => ErrorClassifier.classify(error, contextNow())
    }),
    (reply) => ({ reply, context: byServer(contextNow, reply.headers)() })
  )

/**
 * Sends a request whose answer is read as it comes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const open = <Context extends ErrorClassifier.Context>(
  { contextNow, request }: HttpCall<Context>
): Effect.Effect<EventStream.Opened<Context>, ProviderError, Scope.Scope> =>
  Effect.map(
    EventStream.acquire(
      Effect.tryPromise({ try: request, catch: (error) => ErrorClassifier.classify(error, contextNow()) })
    ),
    (response) => ({ response, contextNow: byServer(contextNow, response.headers) })
  )

// A moment that the server names later in its answer counts by the server's clock.
const byServer = <Context extends ErrorClassifier.Context>(
  contextNow: () => Context,
  headers: Headers
): () => Context => {
  const { now } = contextNow()
  const ahead = RetryAfter.serverTime((name) => headers.get(name) ?? undefined, now) - now
  return () => {
    const context = contextNow()
    return { ...context, now: context.now + ahead }
  }
}
