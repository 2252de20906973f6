/**
 * Until when a provider keeps a job.
 */
import * as Duration from "effect/Duration"
import type { Retention } from "../../services/Provider.ts"
import type { AcceptedSubmission } from "../../services/Session.ts"

/** Until when a job is kept at least, Unix time in milliseconds; `Infinity` when it is kept for ever. */
export const retainedUntil = ({ stored, unstored }: Retention, { accepted, sent }: AcceptedSubmission): number =>
  // One that was adopted or found is older than what the journal tells of it.
  Math.min(accepted.at, sent.at + sent.submitTimeout) + Duration.toMillis(sent.store ? stored : unstored)
