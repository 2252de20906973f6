/**
 * The progress of a run, for those who watch it.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import type { Progress, Run } from "./Run.ts"

/** Emits a run's progress, now and at each change, until it is over. */
export const watch = (run: Run): Stream.Stream<Progress> =>
  Stream.callback<Progress>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const watcher = (progress: Progress | undefined): void => {
          if (progress === undefined) Queue.endUnsafe(queue)
          else Queue.offerUnsafe(queue, progress)
        }
        watcher(run.progress)
        if (run.exit !== undefined) watcher(undefined)
        return run.watch(watcher)
      }),
      (stop) => Effect.sync(stop)
    )
  )
