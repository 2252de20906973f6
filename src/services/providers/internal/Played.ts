/**
 * What an event stream says that answers a request for a plain body.
 */
import * as Result from "effect/Result"
import { ProviderError } from "../../../errors/ProviderError.ts"
import { Network } from "../../../errors/Reason.ts"
import type { JobState, Outcome, StreamEvent } from "../../Provider.ts"
import type * as ErrorClassifier from "../ErrorClassifier.ts"
import type { Opened, Reader } from "./EventStream.ts"
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
 * Returns the job that an event stream says something of: its id, the empty string when there is none, and its state. An
 * error without either is the failure.
 */
export const jobOf = <Context extends ErrorClassifier.Context>(
  answer: Answer<Context>,
  makeReader: (opened: Opened<Context>) => Reader
): Result.Result<{ readonly jobId: string; readonly state: JobState }, ProviderError> => {
  const { error, out } = play(answer, makeReader)
  let jobId = ""
  let state: JobState | undefined
  for (const event of out) {
    if (event._tag === "Started") {
      jobId = event.responseId
      state ??= { _tag: "Pending", status: "in_progress", phase: "running" }
    } else if (event._tag === "Status") state = { _tag: "Pending", status: event.status, phase: event.phase }
    else if (event._tag === "Ended") state = { _tag: "Ended", outcome: event.outcome }
  }
  return state === undefined ? Result.fail(error) : Result.succeed({ jobId, state })
}

/** Plays the events of an answer; `error` is the failure of one without an end. */
const play = <Context extends ErrorClassifier.Context>(
  { events = [], failure, opened }: Answer<Context>,
  makeReader: (opened: Opened<Context>) => Reader
): { readonly out: ReadonlyArray<StreamEvent>; readonly error: ProviderError } => {
  const out: Array<StreamEvent> = []
  const playback = new Playback(opened, makeReader(opened))
  playback.play(events, out)
  playback.end({ _tag: "Events" }, out, failure)
  return { out, error: playback.step instanceof ProviderError ? playback.step : cut(opened.contextNow().provider) }
}

const cut = (provider: string): ProviderError =>
  new ProviderError({
    verdict: {
      _tag: "Retryable",
      reason: new Network({ provider, message: "The stream ended without its last event" })
    },
    evidence: "Uncertain"
  })
