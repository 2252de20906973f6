/**
 * An answer before it is written to a socket.
 *
 * @since 0.1.0
 */
import type { ErrorReply } from "./ProviderErrors.ts"

/**
 * The events of a stream that are due.
 *
 * **Details**
 *
 * `wakeAt` is when the next one is due, in milliseconds since the epoch; `undefined` when only the job's watchers
 * can tell. `isEnded`: nothing comes after these.
 *
 * @category models
 * @since 0.1.0
 */
export interface Due {
  readonly frames: ReadonlyArray<string>
  readonly wakeAt: number | undefined
  readonly isEnded: boolean
}

/**
 * A source of server-sent events in their final form.
 *
 * @category models
 * @since 0.1.0
 */
export interface EventSource {
  /** Returns the events that became due since the last call. */
  readonly pull: (now: number) => Due
  /** Calls back when events may be due earlier than `wakeAt` said. Returns how to stop that. */
  readonly watch: (wake: () => void) => () => void
  /** Called once the last event has been written. */
  readonly drained: (now: number) => void
  /** Writes an error event of this API, `sent` events after the start of this stream. */
  readonly errorFrame: (error: ErrorReply, sent: number) => string
  /** Writes a last event that says that the answer failed, whatever becomes of it. Missing: an error event says so. */
  readonly failureFrame?: ((message: string, sent: number) => string) | undefined
}

/**
 * An answer: a body, a stream of events, or none at all.
 *
 * @category models
 * @since 0.1.0
 */
export type Reply =
  | {
    readonly _tag: "Body"
    readonly status: number
    readonly headers: Readonly<Record<string, string>>
    readonly contentType: string
    readonly body: string
    /** When it may be sent, in milliseconds since the epoch. */
    readonly dueAt: number
  }
  | { readonly _tag: "Events"; readonly headers: Readonly<Record<string, string>>; readonly source: EventSource }
  | { readonly _tag: "Never" }

/**
 * Creates an answer with a JSON body.
 *
 * @category constructors
 * @since 0.1.0
 */
export const json = (
  body: unknown,
  options: {
    readonly status?: number
    readonly headers?: Readonly<Record<string, string>>
    readonly dueAt?: number
  } = {}
): Reply => ({
  _tag: "Body",
  status: options.status ?? 200,
  headers: options.headers ?? {},
  contentType: "application/json",
  body: JSON.stringify(body),
  dueAt: options.dueAt ?? 0
})

/**
 * Creates an answer from a provider's error.
 *
 * @category constructors
 * @since 0.1.0
 */
export const error = (reply: ErrorReply): Reply => json(reply.body, { status: reply.status, headers: reply.headers })

/**
 * Creates a source whose events are all known: evenly spread from `start` to `end`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const spread = (
  frames: ReadonlyArray<string>,
  time: { readonly start: number; readonly end: number },
  errorFrame: EventSource["errorFrame"]
): EventSource => {
  let next = 0
  const dueAt = (index: number) => time.start + (time.end - time.start) * (index + 1) / frames.length
  return {
    pull: (now) => {
      const first = next
      while (next < frames.length && dueAt(next) <= now) next++
      const isEnded = next === frames.length
      return { frames: frames.slice(first, next), wakeAt: isEnded ? undefined : dueAt(next), isEnded }
    },
    watch: () => () => {},
    drained: () => {},
    errorFrame
  }
}
