/**
 * What an event stream says that answers a request for a plain body.
 */
import * as Result from "effect/Result"
import { ProviderError } from "../../../errors/ProviderError.ts"
import type { JobState, Outcome, StreamEvent } from "../../Provider.ts"
import * as ErrorClassifier from "../ErrorClassifier.ts"
import type { Opened, Reader } from "./ProtocolReader.ts"
import type { Answer } from "./HttpCall.ts"
import { Playback } from "./Playback.ts"

/** Returns the outcome of a held call. `whole` reads an answer that is not an event stream. */
export const outcomeOf = <Context extends ErrorClassifier.Context>(
  answer: Answer<Context>,
  makeReader: (opened: Opened<Context>) => Reader,
  whole?: () => Result.Result<Outcome, ProviderError>
): Result.Result<Outcome, ProviderError> => {
  if (answer.events === undefined && whole !== undefined) return whole()
  const { error, out } = play(answer, makeReader)
  const last = out.at(-1)
  return last?._tag === "Ended" ? Result.succeed(last.outcome) : Result.fail(error)
}

/**
 * Returns the job that an event stream describes: its id, the empty string when there is none, and its latest state.
 * Fails when there is no state. `isDisputed`: the last event says less than the others, or something else.
 */
export const jobOf = <Context extends ErrorClassifier.Context>(
  answer: Answer<Context>,
  makeReader: (opened: Opened<Context>) => Reader
): Result.Result<
  { readonly jobId: string; readonly state: JobState; readonly isDisputed: boolean },
  ProviderError
> => {
  const { error, out } = play(answer, makeReader)
  let jobId = ""
  let state: JobState | undefined
  let isDisputed = false
  for (const event of out) {
    if (event._tag === "Started") {
      jobId = event.responseId
      state ??= { _tag: "Pending", status: "in_progress", phase: "running" }
    } else if (event._tag === "Status") state = { _tag: "Pending", status: event.status, phase: event.phase }
    else if (event._tag === "Ended") {
      state = { _tag: "Ended", outcome: event.outcome }
      isDisputed = event.isDisputed === true
    }
  }
  return state === undefined ? Result.fail(error) : Result.succeed({ jobId, state, isDisputed })
}

/** Plays the events of an answer. `error` is what they failed with; of events without an end, that they were cut. */
const play = <Context extends ErrorClassifier.Context>(
  { context, events = [], failure, opened, reply }: Answer<Context>,
  makeReader: (opened: Opened<Context>) => Reader
): { readonly out: ReadonlyArray<StreamEvent>; readonly error: ProviderError } => {
  const out: Array<StreamEvent> = []
  const playback = new Playback(opened, makeReader(opened))
  try {
    playback.play(events, out)
    playback.end({ _tag: "Events" }, out, failure)
  } catch (error) {
    playback.fail(error)
  }
  const { step } = playback
  return { out, error: step instanceof ProviderError ? step : ErrorClassifier.fromBody(reply, context) }
}
