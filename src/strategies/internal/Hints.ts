/**
 * What tells a run that it should look at its job, or at its journal, before it would by itself.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { isStopped } from "./Decision.ts"
import type { Watch } from "./Polling.ts"
import type { Run } from "./Run.ts"

/** In a process that learns of ends by webhooks, the journal is read this often: another one may know the end. */
const journalPause = Duration.seconds(2)

/** Comes when somebody in this process wakes the run. */
export const woken = (run: Run): Effect.Effect<void> =>
  Effect.callback((resume) => {
    run.wake = () => resume(Effect.void)
    return Effect.sync(() => {
      run.wake = undefined
    })
  })

/** Comes when somebody in this process asks for a stop while the run waits to ask once more. */
export const givenUp = (run: Run): Effect.Effect<void> =>
  woken(run).pipe(
    Effect.andThen(run.spec.journal.load),
    Effect.map(({ state }) => isStopped(state, run)),
    // Its failure is told when the run reads it next.
    Effect.orElseSucceed(() => false),
    Effect.repeat({ until: (isGivenUp) => isGivenUp }),
    Effect.asVoid
  )

/** Comes when somebody says that the job may have ended: in this process, or, where webhooks are taken, in the journal. */
export const told = ({ job, run }: Watch): Effect.Effect<void> =>
  run.isHinted
    ? Effect.raceFirst(
      woken(run),
      run.spec.journal.load.pipe(
        Effect.map(({ state }) =>
          state.settled !== undefined ||
          state.submissions.some(({ closed, id }) => id === job.id && closed !== undefined)
        ),
        // The journal's failure is noted when the end is written.
        Effect.catch(() => Effect.succeed(false)),
        Effect.delay(journalPause),
        Effect.repeat({ until: (isTold) => isTold }),
        Effect.asVoid
      )
    )
    : woken(run)
