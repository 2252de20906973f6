/**
 * What a process remembers of submissions whose outcome the journal does not hold.
 */
import type { ProviderError } from "../../errors/ProviderError.ts"
import type { SessionState } from "../../services/Session.ts"
import { BoundedMap } from "./BoundedMap.ts"

/** What a process remembers of submissions without an outcome, whichever process sent them. */
export interface UncertainSubmissions {
  /** When an entry was first seen, and how often its sender had renewed it; monotonic time in milliseconds. */
  readonly seen: Map<string, { readonly renewals: number; readonly since: number }>
  /** Submissions whose sender need not be waited for, with the failure, if it happened in this process. */
  readonly lost: Map<string, ProviderError | undefined>
  /** Submissions that were not sent, because the store did not confirm their entry, which may be there all the same. */
  readonly unsent: Map<string, true>
}

/** Submissions that are remembered of each kind. A submission that was forgotten counts as sent by another process. */
const mostRemembered = 10_000

export const make = (): UncertainSubmissions => ({
  seen: new BoundedMap(mostRemembered),
  lost: new BoundedMap(mostRemembered),
  unsent: new BoundedMap(mostRemembered)
})

/** Forgets the submissions whose outcome is in the journal, or whose session is settled. */
export const forgetResolved = (
  { lost, seen }: UncertainSubmissions,
  { settled, submissions }: SessionState
): void => {
  if (lost.size + seen.size === 0) return
  for (const { accepted, closed, id } of submissions) {
    if (settled === undefined && accepted === undefined && closed === undefined) continue
    lost.delete(id)
    seen.delete(id)
  }
}
