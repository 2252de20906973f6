/**
 * Reads what the Responses API answers about a job, as JSON or as an event stream.
 */
import * as Result from "effect/Result"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import type { JobState } from "../../Provider.ts"
import * as OpenAiResponses from "../OpenAiResponses.ts"
import * as OpenAiResponsesStream from "../OpenAiResponsesStream.ts"
import type { ServerEvent } from "./EventParser.ts"
import type * as HttpCall from "./HttpCall.ts"
import { fieldsOf, parse, textOf } from "./JsonBody.ts"
import type { Context } from "./OpenAiOutcome.ts"
import * as Played from "./Played.ts"

/** A job's id, the empty string when there is none, and its state. */
export interface Job {
  readonly jobId: string
  readonly state: JobState
}

/** Returns the job that an answer is about. */
export const of = (answer: HttpCall.Answer<Context>): Result.Result<Job, ProviderError> => {
  if (answer.events === undefined) return plainOf(answer)
  const events = lastWordOf(answer.events)
  const job = Played.jobOf({ ...answer, events }, OpenAiResponsesStream.makeReader({ isJob: true }))
  return answer.context.operation === "submit" ? Result.map(job, withoutHint) : job
}

/** Returns the submission that a job carries in its metadata; `undefined` when it carries none. */
export const submissionOf = ({ events = [], reply }: HttpCall.Answer<Context>): string | undefined =>
  [reply.body, ...events.map(({ data }) => parse(data)).flatMap((event) => [event, fieldsOf(event).response])]
    .map(OpenAiResponses.submissionOf)
    .find((id) => id !== undefined)

// The response that ends a job has the word over an error event before it, which says less.
const lastWordOf = (events: ReadonlyArray<ServerEvent>): ReadonlyArray<ServerEvent> =>
  events.some((event) => ends.test(typeOf(event))) ? events.filter((event) => typeOf(event) !== "error") : events

const ends = /^response\.(completed|incomplete|failed|cancelled|canceled|done)$/

const typeOf = ({ data, name }: ServerEvent): string => textOf(fieldsOf(parse(data)).type) || name

const plainOf = ({ context, reply }: HttpCall.Answer<Context>): Result.Result<Job, ProviderError> =>
  Result.map(OpenAiResponses.stateOf(reply, context), (state) => ({
    jobId: OpenAiResponses.idOf(reply.body),
    state: state._tag === "Ended" && context.operation === "submit"
      ? { ...state, outcome: OpenAiResponses.atOnce(state.outcome, reply.body) }
      : state
  }))

// Gateways that lose their upstream invent a failure, or an end without content: a poll finds out.
const withoutHint = ({ isDisputed, jobId, state }: Job & { readonly isDisputed: boolean }): Job =>
  jobId !== "" && state._tag === "Ended" && state.outcome.ignoredBackground !== true &&
    (isDisputed || state.outcome._tag === "Failed")
    ? { jobId, state: { _tag: "Pending", status: "in_progress", phase: "running" } }
    : { jobId, state }
