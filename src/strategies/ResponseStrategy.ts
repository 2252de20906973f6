/**
 * The shape that all strategies share.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import type * as Stream from "effect/Stream"
import { InvalidRequest, maxMessageLength } from "../errors/Reason.ts"
import { NonRetryable, type StrategyError } from "../errors/StrategyError.ts"
import type { LlmResponse } from "../services/LlmResponse.ts"
import type { ResponseEvent } from "../services/ResponseEvent.ts"
import { type RequestInput, ResponseRequest, type StrategyName } from "../services/ResponseRequest.ts"
import * as Nesting from "./internal/Nesting.ts"

/**
 * A request, and the schema of its answer. Without a schema, `Output` is `never`.
 *
 * @category models
 * @since 0.1.0
 */
export type RequestFor<Output extends Schema.Decoder<unknown>> = RequestInput & {
  readonly schema?: Output | undefined
}

/**
 * What an answer has beside an `LlmResponse`: with a schema, the decoded `value`, which is absent when the model only
 * called tools.
 *
 * **Gotchas**
 *
 * Unknown to a function that is generic in its schema: let it take a `Schema.Decoder<A>`, not an `S` that extends it.
 *
 * @category models
 * @since 0.1.0
 */
export type Decoded<Output extends Schema.Decoder<unknown>> = [Output] extends [never] ? unknown
  : { readonly value?: Output["Type"] }

/**
 * An event of a stream whose last one has the decoded `value` in its `response`.
 *
 * @category models
 * @since 0.1.0
 */
export type EventFor<Output extends Schema.Decoder<unknown>> = [Output] extends [never] ? ResponseEvent
  :
    | Exclude<ResponseEvent, { readonly _tag: "Completed" }>
    | (Extract<ResponseEvent, { readonly _tag: "Completed" }> & { readonly response: Decoded<Output> })

/**
 * A way to get a response.
 *
 * @category services
 * @since 0.1.0
 */
export interface ResponseStrategy {
  readonly name: StrategyName
  /** Whether a later call, in any process, can go on with what an earlier one began. */
  readonly canResume: boolean
  /**
   * Gets the response to a request.
   *
   * With a session, the request belongs to its key: the same key gives the
   * same answer again, and another request under it is `SessionMismatch`.
   */
  readonly execute: <Output extends Schema.Decoder<unknown> = never>(
    request: RequestFor<Output>
  ) => Effect.Effect<LlmResponse & Decoded<Output>, StrategyError>
  /**
   * As `execute`, watched as the answer grows. The text of all `TextDelta`s is the answer's `content`, and `Completed`
   * is the last event. Leaving the stream early is leaving the call.
   *
   * Where nothing more can be told of an answer that was told in part, it fails with `Retryable` and
   * `StreamInterrupted`.
   */
  readonly stream: <Output extends Schema.Decoder<unknown> = never>(
    request: RequestFor<Output>
  ) => Stream.Stream<EventFor<Output>, StrategyError>
}

/**
 * Decodes a request.
 *
 * **Errors**
 *
 * `NonRetryable` with `InvalidRequest`, whose message names each wrong field
 * and quotes none of its content. A field that is nested deeper than 500 levels
 * is wrong, too.
 *
 * @category constructors
 * @since 0.1.0
 */
export const decodeRequest = (request: RequestInput): Effect.Effect<ResponseRequest, NonRetryable> =>
  Effect.suspend(() => {
    const deep = Nesting.tooDeep(request)
    return deep.length > 0
      ? invalid(deep.map((field) => `${field}: nested deeper than ${Nesting.maxLevels} levels`).join("; "))
      : Effect.catch(decode(request), ({ issue }) =>
        invalid(
          formatIssue(issue).issues
            .map(({ message, path }) => `${(path ?? []).map(String).join(".") || "request"}: ${message}`)
            .join("; ")
        ))
  })

const invalid = (message: string): Effect.Effect<never, NonRetryable> =>
  Effect.fail(new NonRetryable({ reason: new InvalidRequest({ message: message.slice(0, maxMessageLength) }) }))

const decode = Schema.decodeUnknownEffect(ResponseRequest, { onExcessProperty: "error", errors: "all" })

const formatIssue = SchemaIssue.makeFormatterStandardSchemaV1()
