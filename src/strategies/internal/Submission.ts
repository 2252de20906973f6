/**
 * Sends one submission, as a job or as a held call.
 */
import * as Effect from "effect/Effect"
import type { StrategyError } from "../../errors/StrategyError.ts"
import type { Submission } from "../../services/Session.ts"
import { type HeldCall, holdCall } from "./HeldCall.ts"
import type { ToSend } from "./Intent.ts"
import type { Loaded } from "./Journal.ts"
import { type JobSubmitted, sendJob } from "./JobSubmission.ts"
import type { Run } from "./Run.ts"
import type { RunContext } from "./RunContext.ts"

/** A submission that was sent, and what became of it. */
export interface Sent {
  readonly submission: Submission
  readonly result: JobSubmitted | HeldCall
}

/**
 * Sends one submission. `undefined` when it was not sent: somebody else wrote
 * to the journal first, it took too long, or nobody waits any more.
 */
export const send = Effect.fnUntraced(function*(
  run: Run,
  shared: RunContext,
  loaded: Loaded,
  toSend: ToSend
): Effect.fn.Return<Sent | undefined, StrategyError> {
  const { means } = toSend
  if (means._tag === "Job") return yield* sendJob(run, shared, loaded, toSend, means)
  // What was claimed is either waited for, or said to be over, whenever the run is interrupted.
  return yield* Effect.uninterruptibleMask((restore) => holdCall(run, shared, loaded, toSend, means, restore))
})
