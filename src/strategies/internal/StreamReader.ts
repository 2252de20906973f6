/**
 * Reads a provider's stream into a run's transcript.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { ProviderError } from "../../errors/ProviderError.ts"
import { Network } from "../../errors/Reason.ts"
import type { Phase } from "../../errors/StrategyError.ts"
import type { Usage } from "../../errors/Usage.ts"
import type { Outcome, StreamEvent } from "../../services/Provider.ts"
import { restOf } from "./MonotonicTime.ts"
import type { StreamTimeouts } from "./StreamTimeouts.ts"
import type { Transcript } from "./Transcript.ts"

/** How a stream was over. */
export type Read =
  | { readonly _tag: "Ended"; readonly outcome: Outcome; readonly isDisputed: boolean }
  /** Without its last event: it was cut, or silent for too long. */
  | { readonly _tag: "Cut"; readonly error: ProviderError; readonly usage: Usage | undefined }

/** What a stream needs of the run that it is read for. */
export interface StreamedRun {
  readonly progress: { readonly phase: Phase }
  readonly update: (change: { readonly phase: Phase; readonly status: string }) => void
  /** Whether no one waits but watchers: then the provider need not be faster than they are. */
  readonly isPaced: boolean
}

/** What is done with a stream's events. */
export interface Reading {
  readonly run: StreamedRun
  readonly transcript: Transcript
  readonly timeouts: StreamTimeouts
  /** Called with the id that the provider gave, before anything else is told. */
  readonly onStarted?: ((responseId: string) => Effect.Effect<void>) | undefined
  /** Whether it is read on only so that it stays open. */
  readonly isClosing?: (() => boolean) | undefined
}

/**
 * Reads a stream to its last event, or to its end. Waits while no watcher has
 * room for more. Interrupting it closes the stream.
 */
export const read = (stream: Stream.Stream<StreamEvent, ProviderError>, reading: Reading): Effect.Effect<Read> =>
  Clock.clockWith((clock) => {
    const reader = new StreamReader(reading, clock)
    return Stream.runForEachArray(stream, (events) => reader.heed(events, 0)).pipe(
      Effect.andThen(Effect.suspend(() => Effect.fail(cutShort(reader.hasBegun)))),
      Effect.raceFirst(reader.watch),
      Effect.catch((end) => Effect.succeed(end._tag === "Ended" ? end : reader.cut(end)))
    )
  })

/** Events of a stream that was opened anew count as replayed until the provider pauses for this long, milliseconds. */
const backlogPause = 250

/** Who wakes later than this was stopped, and needs as long to read on, milliseconds. */
const timeToRead = 1000

/** A class, as it is asked for every event: what it remembers is changed in place. */
class StreamReader {
  private readonly reading: Reading
  private readonly clock: Clock.Clock
  /** When anything was received; before the first event, when the stream was opened. */
  private heardAt: number
  /** When the last event other than `Alive` was received. */
  private eventAt: number
  private isWaiting = false
  private usage: Usage | undefined
  private status: string | undefined
  private cursorBefore: string | undefined
  /** Events up to here were read from an earlier stream of the same job. */
  private readonly seen: number | undefined
  private readonly source: string | undefined
  hasBegun = false

  constructor(reading: Reading, clock: Clock.Clock) {
    this.reading = reading
    this.clock = clock
    this.heardAt = this.eventAt = this.now
    this.seen = numberOf(reading.transcript.cursor)
    this.cursorBefore = reading.transcript.cursor
    this.source = reading.transcript.source
  }

  private get now(): number {
    return Number(this.clock.monotonicTimeNanosUnsafe()) / 1_000_000
  }

  /** Writes events down, and waits for room. Fails with the last one. */
  heed(
    events: ReadonlyArray<StreamEvent>,
    from: number
  ): Effect.Effect<void, Extract<Read, { readonly _tag: "Ended" }>> {
    const { onStarted, run, transcript } = this.reading
    const { now } = this
    if (events.every(isAlive)) {
      if (this.hasBegun) this.heardAt = now
      return Effect.void
    }
    if (transcript.isReplaying === true && this.hasBegun && now - this.eventAt >= backlogPause) {
      transcript.isReplaying = false
    }
    const isReplay = transcript.isReplaying ?? false
    this.heardAt = this.eventAt = now
    this.hasBegun = true
    for (let index = from; index < events.length; index++) {
      const event = events[index]
      if (event === undefined || this.isOld(event)) continue
      const { isMuted } = this
      if (event.cursor !== undefined && !isMuted) this.moveTo(event)
      switch (event._tag) {
        case "Alive":
          continue
        case "Ended":
          transcript.tell()
          return Effect.fail({ _tag: "Ended", outcome: event.outcome, isDisputed: event.isDisputed === true })
        case "Started":
          if (onStarted === undefined) break
          // Nothing is read meanwhile: that is no silence of the provider.
          this.isWaiting = true
          return Effect.flatMap(onStarted(event.responseId), () => {
            this.isWaiting = false
            this.heardAt = this.eventAt = this.now
            if (!this.isMuted) transcript.write(event, isReplay)
            return this.heed(events, index + 1)
          })
        case "Status":
          // Some say again and again that the stream is alive.
          if (this.status === event.status) continue
          this.status = event.status
          if (isMuted) continue
          run.update({ phase: event.phase, status: event.status })
          break
        case "Usage":
          this.usage = event.usage
          break
        case "Text":
        case "Reasoning":
          if (run.progress.phase !== "stream" && !isMuted) run.update({ phase: "stream", status: "streaming" })
      }
      if (!isMuted) transcript.write(event, isReplay)
    }
    transcript.tell()
    return this.isAhead ? this.waitForRoom : Effect.void
  }

  /**
   * Moves the transcript's cursor to an event. The job may go on although its stream says that it has ended: then the
   * stream is opened again before that event of the wire, which may have become several here.
   */
  private moveTo({ _tag, cursor }: StreamEvent): void {
    const { transcript } = this.reading
    if (_tag === "Ended") transcript.cursor = transcript.cursor === cursor ? this.cursorBefore : transcript.cursor
    else if (transcript.cursor !== cursor) {
      this.cursorBefore = transcript.cursor
      transcript.cursor = cursor
    }
  }

  /** Whether all that wait for it are too far behind. */
  private get isAhead(): boolean {
    const { run, transcript } = this.reading
    return !this.isMuted && run.isPaced && !transcript.hasRoom
  }

  private readonly waitForRoom: Effect.Effect<void> = Effect.callback<void>((resume) => {
    // A fiber may stand still before it comes here, and nobody tells again that there is room.
    if (!this.isAhead) return resume(Effect.void)
    this.isWaiting = true
    return Effect.sync(this.reading.transcript.whenRoom(() => {
      this.isWaiting = false
      this.heardAt = this.eventAt = this.now
      resume(Effect.void)
    }))
  })

  /** Fails when the stream has been silent for too long. */
  readonly watch: Effect.Effect<never, ProviderError> = Effect.suspend(() => {
    const { firstEvent, idle } = this.reading.timeouts
    const limit = this.hasBegun ? idle : firstEvent
    const left = this.isWaiting ? limit : this.heardAt + limit - this.now
    if (left <= 0) return Effect.fail(silent(limit, this.hasBegun))
    // Another limit holds as soon as it has begun.
    const wait = Math.min(left, idle)
    const due = this.now + wait
    return Effect.andThen(Effect.sleep(restOf(wait)), () => {
      // A process that was stopped wakes to its timers first: it is given the time to read what has arrived.
      if (this.now - due > timeToRead) this.heardAt = Math.max(this.heardAt, this.now + timeToRead - limit)
      return this.watch
    })
  })

  cut(error: ProviderError): Read {
    this.reading.transcript.tell()
    return { _tag: "Cut", error, usage: this.usage }
  }

  /** Whether the watchers are told of another submission by now, or nothing of this one any more. */
  private get isMuted(): boolean {
    return this.reading.transcript.source !== this.source || this.reading.isClosing?.() === true
  }

  // Some servers pass over the cursor, and begin at the beginning.
  private isOld({ cursor }: StreamEvent): boolean {
    const { seen } = this
    if (seen === undefined) return false
    const number = numberOf(cursor)
    return number !== undefined && number <= seen
  }
}

const isAlive = ({ _tag }: StreamEvent): boolean => _tag === "Alive"

const numberOf = (cursor: string | undefined): number | undefined => {
  const number = cursor === undefined ? undefined : /^\d+(?= |$)/.exec(cursor)?.[0]
  return number === undefined ? undefined : Number(number)
}

const cutShort = (hasBegun: boolean): ProviderError =>
  interrupted(hasBegun ? "The stream ended without its last event" : "The stream ended before its first event")

const silent = (limit: number, hasBegun: boolean): ProviderError =>
  interrupted(
    `The stream was silent for ${Duration.format(Duration.millis(limit))}${hasBegun ? "" : ", from its beginning"}`
  )

const interrupted = (message: string): ProviderError =>
  new ProviderError({
    verdict: { _tag: "Retryable", reason: new Network({ message }) },
    evidence: "Uncertain"
  })
