/**
 * Reads and writes the journal of one session, in the words of strategies.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { SessionCorrupt, SessionUnavailable } from "../../errors/Reason.ts"
import { type SessionStoreError, VersionConflict } from "../../errors/SessionStoreError.ts"
import { NonRetryable, Retryable } from "../../errors/StrategyError.ts"
import { apply, emptyState, type Entry, fold, noVersion, type SessionState, Version } from "../../services/Session.ts"
import type { SessionStore } from "../../services/SessionStore.ts"
import { monotonicMillis } from "./MonotonicTime.ts"

/** What a session has come to, at a version. */
export interface Loaded {
  readonly state: SessionState
  readonly version: Version
}

/** The journal of one session. */
export interface SessionJournal {
  /** Whether it outlives the call. */
  readonly durable: boolean
  readonly load: Effect.Effect<Loaded, SessionStoreError>
  readonly append: (entry: Entry, expected: Version) => Effect.Effect<Version, SessionStoreError | VersionConflict>
}

/** The journal of a session in a store. */
export class StoredJournal implements SessionJournal {
  readonly durable = true
  private readonly store: SessionStore["Service"]
  private readonly key: string

  constructor(store: SessionStore["Service"], key: string) {
    this.store = store
    this.key = key
  }

  get load(): Effect.Effect<Loaded, SessionStoreError> {
    return Effect.map(this.store.load(this.key), ({ entries, version }) => ({ state: fold(entries), version }))
  }

  append(entry: Entry, expected: Version): Effect.Effect<Version, SessionStoreError | VersionConflict> {
    return this.store.append(this.key, entry, expected)
  }
}

/** A journal for a call without a session: it is gone with the call. */
export class EphemeralJournal implements SessionJournal {
  readonly durable = false
  private state = emptyState
  private version = noVersion

  get load(): Effect.Effect<Loaded> {
    return Effect.sync(() => ({ state: this.state, version: this.version }))
  }

  append(entry: Entry, expected: Version): Effect.Effect<Version, VersionConflict> {
    return Effect.suspend(() => {
      if (expected !== this.version) {
        return Effect.fail(new VersionConflict({ message: "The call is no longer at the expected version" }))
      }
      this.state = apply(this.state, entry)
      this.version = Version(String(Number(expected) + 1))
      return Effect.succeed(this.version)
    })
  }
}

/** The wall clock in whole milliseconds, as entries have it; a test's clock may stand between two. */
export const currentMillis: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, Math.floor)

/** Whether the session has a submission; it has not, when it was removed, and perhaps made again, meanwhile. */
export const hasSubmission = (state: SessionState, id: string): boolean =>
  state.submissions.some((submission) => submission.id === id)

/** Whether the session has a submission whose fate the journal does not tell. */
export const isOpen = (state: SessionState, id: string): boolean =>
  state.submissions.some(({ accepted, closed, id: each }) =>
    each === id && closed === undefined && accepted === undefined
  )

/** How long an entry that must not be lost is tried to be written after a first failure, milliseconds. */
const persistenceMillis = 30_000

const pauses = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("2 seconds")])

/**
 * Appends what `decide` says of the state, until it is in or `decide` has
 * nothing to say. An unavailable store is tried again for 30 seconds.
 */
export const record = (
  journal: SessionJournal,
  decide: (state: SessionState, at: number) => Entry | undefined,
  onFirstFailure: Effect.Effect<void> = Effect.void
): Effect.Effect<SessionState, SessionStoreError> =>
  Effect.suspend(() => {
    const attempt = Effect.gen(function*() {
      const { state, version } = yield* journal.load
      const entry = decide(state, yield* currentMillis)
      if (entry === undefined) return state
      yield* journal.append(entry, version)
      return apply(state, entry)
    })
    // A schedule would measure it by the wall clock, which may be set meanwhile.
    let failedAt: number | undefined
    const isSoon = Effect.map(monotonicMillis, (now) => now - (failedAt ??= now) < persistenceMillis)
    return attempt.pipe(
      Effect.retry({ until: (error): error is SessionStoreError => error._tag !== "VersionConflict" }),
      Effect.tapError(() => failedAt === undefined ? onFirstFailure : Effect.void),
      Effect.retry({ schedule: pauses, while: (error) => error._tag === "StoreUnavailable" && isSoon })
    )
  })

/** What a store's failure means to the caller of a strategy. */
export const unavailable = (
  error: SessionStoreError,
  session: string | undefined,
  attempts = 0
): Retryable | NonRetryable =>
  error._tag === "StoreUnavailable"
    ? new Retryable({
      reason: new SessionUnavailable({ message: error.message, code: error.code }),
      attempts,
      session
    })
    : new NonRetryable({ reason: new SessionCorrupt({ message: error.message }), session })
