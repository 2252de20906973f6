/**
 * Shows how a waiting session gets on.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import type * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import * as Terminal from "effect/Terminal"
import type { StrategyError } from "../errors/StrategyError.ts"
import type { SessionProgress } from "../strategies/SessionProgress.ts"
import { counted } from "./Counted.ts"
import * as Durations from "./Durations.ts"
import * as Output from "./Output.ts"
import { oneLine } from "./Printable.ts"

/**
 * What was seen last of a session.
 *
 * @category models
 * @since 0.1.0
 */
export interface Seen {
  progress: Pick<SessionProgress, "status" | "jobId" | "polls"> | undefined
  /** Whether there is something better to look at. */
  isHidden: boolean
}

/**
 * Runs an effect that waits for a session, and shows its progress on stderr:
 * one line that is rewritten each second on a terminal, else a line at each
 * change.
 *
 * **Details**
 *
 * `wait` is given what was seen last, to tell it when it is interrupted, and
 * what hides the progress for good. Answers that are there within 0.1 seconds
 * show no progress.
 *
 * @category combinators
 * @since 0.1.0
 */
export const withProgress = Effect.fnUntraced(function*<A, E, R, R2>(
  changes: Stream.Stream<SessionProgress, StrategyError, R2>,
  wait: (seen: Seen, hide: Effect.Effect<void, never, Stdio.Stdio>) => Effect.Effect<A, E, R>
): Effect.fn.Return<A, E, R | R2 | Stdio.Stdio | Terminal.Terminal> {
  const seen: Seen = { progress: undefined, isHidden: false }
  const startedAt = yield* Clock.currentTimeMillis
  const rewrites = yield* Output.canRewrite
  let shown: SessionProgress | undefined
  const show = rewrites ? ticking(seen, startedAt) : Effect.never
  const follow = changes.pipe(
    Stream.tap((progress) =>
      Effect.sync(() => {
        seen.progress = progress
      })
    ),
    // What lasts but a moment is no news.
    Stream.debounce("100 millis"),
    Stream.runForEach((progress) => {
      const isNews = shown?.status !== progress.status || shown.jobId !== progress.jobId
      shown = progress
      return isNews && !rewrites && !seen.isHidden ? Effect.flatMap(lineOf(seen, startedAt), Output.note) : Effect.void
    }),
    // The run may not have begun yet, or may be over in a moment.
    Effect.ignore,
    Effect.repeat(Schedule.spaced("200 millis")),
    Effect.delay("100 millis")
  )
  const clear = Effect.suspend(() =>
    rewrites && seen.progress !== undefined && !seen.isHidden ? Output.rewrite("") : Effect.void
  )
  const hide = Effect.tap(clear, () =>
    Effect.sync(() => {
      seen.isHidden = true
    }))
  return yield* Effect.raceFirst(
    Effect.onExit(wait(seen, hide), () => clear),
    Effect.andThen(Effect.all([follow, show], { concurrency: 2, discard: true }), Effect.never)
  )
})

const ticking = (seen: Seen, startedAt: number): Effect.Effect<void, never, Stdio.Stdio | Terminal.Terminal> =>
  Effect.gen(function*() {
    if (seen.progress === undefined || seen.isHidden) return
    const columns = yield* (yield* Terminal.Terminal).columns
    const line = yield* lineOf(seen, startedAt)
    if (!seen.isHidden) yield* Output.rewrite(oneLine(line, (columns > 0 ? columns : 80) - 1))
  }).pipe(
    Effect.repeat(Schedule.spaced("250 millis"))
  )

const lineOf = ({ progress }: Seen, startedAt: number): Effect.Effect<string> =>
  Effect.map(Clock.currentTimeMillis, (now) =>
    [
      oneLine(progress?.status ?? "", 60),
      Durations.format(Duration.seconds(Math.floor((now - startedAt) / 1000))).replace(".0", ""),
      progress === undefined || progress.polls === 0 ? undefined : counted(progress.polls, "poll"),
      progress?.jobId
    ].filter((part) => part !== undefined).join(", "))
