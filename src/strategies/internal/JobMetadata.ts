/**
 * What a job tells of itself: the submission that it came of.
 */
import type { JobState } from "../../services/Provider.ts"

/** The submission that a job's answer carries; `undefined` when it tells none. */
export const submissionInAnswer = (state: JobState): string | undefined => {
  if (state._tag !== "Ended" || state.outcome._tag !== "Succeeded") return undefined
  const metadata = fieldOf(state.outcome.answer.response, "metadata")
  const submissionId = fieldOf(metadata, "holdfast_submission")
  return typeof submissionId === "string" ? submissionId : undefined
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined
