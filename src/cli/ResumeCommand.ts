/**
 * `holdfast resume`: waits for the job of a session.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { directoryOf, jsonFlag, storeFlag } from "./CommonFlags.ts"
import * as Durations from "./Durations.ts"
import * as NextCommands from "./NextCommands.ts"
import { reported } from "./Reporting.ts"

/**
 * The command `resume`.
 *
 * @category models
 * @since 0.1.0
 */
export const resumeCommand = Command.make(
  "resume",
  {
    session: Argument.String("session").pipe(Argument.withDescription("Key of the session")),
    deadline: Durations.flag("deadline").pipe(
      Flag.withDescription("Longest time to wait: 90s, 10m, 1h (default: 60m)"),
      Flag.optional
    ),
    json: jsonFlag,
    store: storeFlag
  },
  Effect.fnUntraced(function*({ deadline, json, session, store }) {
    const next = yield* NextCommands.make(store)
    const directory = yield* directoryOf(store)
    return yield* reported(
      Effect.gen(function*() {
        const { wait } = yield* Effect.promise(() => import("./Waiting.ts"))
        yield* wait({ _tag: "Resume", deadline: Option.getOrUndefined(deadline) }, { session, directory, next, json })
      }),
      { json, next }
    )
  })
).pipe(
  Command.withShortDescription("Wait for the job of a session, without its prompt"),
  Command.withDescription(
    "Wait for the job of a session, without its prompt. A session that has its answer gives it again; nothing is sent."
  )
)
