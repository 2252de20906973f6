/**
 * One request of an adapter: sends it, and reads its answer to the end or opens it as a stream.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import * as ErrorClassifier from "../ErrorClassifier.ts"
import { BodyParser } from "./BodyParser.ts"
import type { ServerEvent } from "./EventParser.ts"
import * as EventStream from "./EventStream.ts"
import type * as ProtocolReader from "./ProtocolReader.ts"
import * as Failure from "./Failure.ts"
import { CutBody, LongBody } from "./HttpBody.ts"
import { isFields, parse, type Reply } from "./JsonBody.ts"
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
 * The text of an answer.
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
 * An answer, read to its end.
 *
 * @category models
 * @since 0.1.0
 */
export interface Answer<Context extends ErrorClassifier.Context = ErrorClassifier.Context> {
  readonly opened: ProtocolReader.Opened<Context>
  readonly context: Context
  /** `body` is the JSON; of an event stream, and of what is not JSON, the text. */
  readonly reply: Reply & TextReply
  /** The events of an answer that is an event stream. */
  readonly events: ReadonlyArray<ServerEvent> | undefined
  /** What the reading of an event stream failed with. The events before that may be the whole answer. */
  readonly failure: { readonly error: unknown } | undefined
}

/**
 * Sends a request and reads its answer to the end. Interrupting it aborts the
 * request.
 *
 * **Details**
 *
 * A body that breaks off is no failure when its JSON is whole.
 *
 * @category combinators
 * @since 0.1.0
 */
export const read = <Context extends ErrorClassifier.Context>(
  { contextNow, request }: HttpCall<Context>
): Effect.Effect<Answer<Context>, ProviderError> =>
  Effect.tryPromise({
    try: async (signal) => answerOf(await request(signal), contextNow),
    catch: (error) =>
      error instanceof LongBody ? Failure.tooLarge(contextNow()) : ErrorClassifier.classify(error, contextNow())
  })

const answerOf = async <Context extends ErrorClassifier.Context>(
  response: Response,
  contextNow: () => Context
): Promise<Answer<Context>> => {
  const { failure, text } = await textOf(response)
  const { body, events } = BodyParser.of(text)
  if (failure !== undefined && body._tag === "Unreadable") throw failure.error
  const { headers, status } = response
  return {
    opened: { response, contextNow },
    context: byServer(contextNow, headers)(),
    reply: { status, headers, text, body: body._tag === "Json" ? body.value : text, length: text.length },
    events: body._tag === "Events" ? events : undefined,
    failure
  }
}

const textOf = async (
  response: Response
): Promise<{ readonly text: string; readonly failure: Answer["failure"] }> => {
  try {
    return { text: await response.text(), failure: undefined }
  } catch (error) {
    if (error instanceof CutBody) return { text: error.text, failure: { error } }
    throw error
  }
}

/**
 * Returns the JSON of an answer; of an event stream, that of its last event which carries an object.
 *
 * @category combinators
 * @since 0.1.0
 */
export const jsonOf = ({ events, reply }: Answer): unknown =>
  events === undefined ? reply.body : events.map(({ data }) => parse(data)).findLast(isFields)

/**
 * Sends a request whose answer is read as it comes.
 *
 * @category combinators
 * @since 0.1.0
 */
export const open = <Context extends ErrorClassifier.Context>(
  { contextNow, request }: HttpCall<Context>
): Effect.Effect<ProtocolReader.Opened<Context>, ProviderError, Scope.Scope> =>
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
