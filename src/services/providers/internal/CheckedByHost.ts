/**
 * Answers that the host itself has found not to fit: the request was right and the model failed, so that they are
 * outcomes and not errors of the exchange.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Stream from "effect/Stream"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import { InvalidOutput } from "../../../errors/Reason.ts"
import { Answer } from "../../LlmResponse.ts"
import type { Outcome, StreamEvent } from "../../Provider.ts"
import type { ResponseRequest } from "../../ResponseRequest.ts"
import * as StructuredOutput from "../../StructuredOutput.ts"
import * as Failure from "./Failure.ts"

/** Whose answer it is. */
export interface About {
  readonly request: ResponseRequest
  readonly model: string
}

/** Returns the outcome of a call, also where the host refused its answer. */
export const ofCall = (
  call: Effect.Effect<Outcome, ProviderError>,
  about: About
): Effect.Effect<Outcome, ProviderError> =>
  Effect.catch(call, (error) => {
    const outcome = outcomeOf(error, about)
    return outcome === undefined ? Effect.fail(error) : Effect.succeed(outcome)
  })

/** Returns the events of an answer, which end with its outcome also where the host refused it. */
export const ofStream = (
  events: Stream.Stream<StreamEvent, ProviderError>,
  about: About
): Stream.Stream<StreamEvent, ProviderError> =>
  Stream.suspend(() => {
    let isStarted = false
    let text = ""
    const watched = about.request.schema === undefined ? events : Stream.map(events, (event) => {
      isStarted ||= event._tag === "Started"
      if (event._tag === "Text") text += event.delta
      return event
    })
    return Stream.catch(watched, (error) => {
      const outcome = outcomeOf(error, about, text)
      if (outcome === undefined) return Stream.fail(error)
      const rest = outcome._tag === "Succeeded" ? outcome.answer.content.slice(text.length) : ""
      const last: Array<StreamEvent> = [
        ...(isStarted ? [] : [{ _tag: "Started", responseId: "" } as const]),
        ...(rest === "" ? [] : [{ _tag: "Text", delta: rest } as const]),
        { _tag: "Ended", outcome }
      ]
      return Stream.fromIterable(last)
    })
  })

/**
 * Hosts refuse answers that are good, such as those in a Markdown fence: what fits the schema by our own rule is an
 * answer, unless other text was emitted already. Where the host does not quote the answer, it is what was emitted.
 */
const outcomeOf = ({ verdict: { reason } }: ProviderError, about: About, emitted = ""): Outcome | undefined => {
  if (reason._tag === "Incomplete") return Failure.final(reason)
  if (reason._tag !== "InvalidOutput") return undefined
  const { code, content: quoted, message } = reason
  const { schema } = about.request
  const invalid = (issues?: string) =>
    Failure.final(new InvalidOutput({ ...reason, message, content: quoted || emitted, issues }))
  if (schema === undefined) return invalid()
  const value = StructuredOutput.decode(schema, quoted)
  if (Result.isFailure(value)) return invalid(value.failure)
  if (!quoted.startsWith(emitted)) return invalid()
  return {
    _tag: "Succeeded",
    answer: new Answer({
      content: quoted,
      finishReason: "stop",
      response: { error: { code, message, failed_generation: quoted } },
      model: about.model
    })
  }
}
