/**
 * What a process remembers of submissions whose fate no journal tells.
 */
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { SessionState } from "../../services/Session.ts"

/** What a process knows of submissions without an outcome, whoever sent them. */
export interface Doubts {
  /** When an entry was first seen, and how often its sender had renewed it; monotonic time in milliseconds. */
  readonly seen: Map<string, { readonly renewals: number; readonly since: number }>
  /** Submissions that nobody needs to wait for, with what happened, if it happened here. */
  readonly lost: Map<string, ProviderError | undefined>
  /** Submissions that were not sent, because the store did not say that their entry was written; it may be there. */
  readonly unsent: Set<string>
}

/** Forgets what was unknown of the submissions that the journal tells of by now, or whose session is settled. */
export const forgetDoubts = ({ lost, seen }: Doubts, { settled, submissions }: SessionState): void => {
  if (lost.size + seen.size === 0) return
  for (const { accepted, closed, id } of submissions) {
    if (settled === undefined && accepted === undefined && closed === undefined) continue
    lost.delete(id)
    seen.delete(id)
  }
}
