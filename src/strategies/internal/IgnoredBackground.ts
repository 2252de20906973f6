/**
 * Providers that take `background` and ignore it.
 */
import * as Effect from "effect/Effect"
import { Accepted, type AcceptedSubmission, type Submission } from "../../services/Session.ts"
import { currentMillis, record, type SessionJournal } from "./Journal.ts"
import type { RunContext } from "./RunContext.ts"

/** Says so in the log, once for each model. */
export const warnOfIgnored = ({ ignoresBackground }: RunContext, { sent }: Submission): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { baseUrl, model } = sent
    if (ignoresBackground.has(model)) return Effect.void
    ignoresBackground.add(model)
    return Effect.logWarning(
      "The provider takes background jobs and does not run them; ask it by another strategy",
      { model, baseUrl }
    )
  })

/** Writes down that a job was never found, from its acceptance on. Nothing is sent again for that. */
export const noteIgnored = (
  journal: SessionJournal,
  { accepted: { jobId }, id: submissionId }: AcceptedSubmission
): Effect.Effect<void> =>
  currentMillis.pipe(
    Effect.flatMap((at) =>
      record(journal, ({ submissions }) =>
        submissions.some(({ accepted, id }) =>
            id === submissionId && accepted?.ignoredBackground === undefined
          )
          ? Accepted.make({ at, submissionId, jobId, ignoredBackground: true })
          : undefined)
    ),
    Effect.ignore({ log: "Debug" })
  )
