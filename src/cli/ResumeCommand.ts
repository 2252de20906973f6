/**
 * `holdfast resume`: waits for the job of a session, or of all sessions.
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
import { exitCodeOf } from "./ExitCodes.ts"
import * as NextCommands from "./NextCommands.ts"
import { Reported, reported } from "./Reporting.ts"
import { UsageError } from "./UsageError.ts"

/**
 * The command `resume`.
 *
 * @category models
 * @since 0.1.0
 */
export const resumeCommand = Command.make(
  "resume",
  {
    session: Argument.String("session").pipe(Argument.withDescription("Key of the session"), Argument.optional),
    all: Flag.Boolean("all").pipe(
      Flag.withDescription("Wait for the jobs of all sessions that have not ended"),
      Flag.withDefault(false)
    ),
    deadline: Durations.flag("deadline").pipe(
      Flag.withDescription("Longest time to wait, for each session: 90s, 10m, 1h (default: 60m)"),
      Flag.optional
    ),
    json: jsonFlag,
    store: storeFlag
  },
  Effect.fnUntraced(function*({ all, deadline, json, session, store }) {
    const next = yield* NextCommands.make(store)
    const directory = yield* directoryOf(store)
    const options = { directory, next, json }
    const failed = yield* reported(
      Effect.gen(function*() {
        if (all === Option.isSome(session)) {
          return yield* new UsageError({ message: "Name the session to resume, or say --all" })
        }
        const longest = Option.getOrUndefined(deadline)
        if (Option.isNone(session)) {
          const { recoverAll } = yield* Effect.promise(() => import("./RecoverAll.ts"))
          return yield* recoverAll(longest, options)
        }
        const { wait } = yield* Effect.promise(() => import("./Waiting.ts"))
        yield* wait({ _tag: "Resume", deadline: longest }, { ...options, session: session.value })
        return undefined
      }),
      { json, next }
    )
    if (failed !== undefined) return yield* new Reported({ exitCode: exitCodeOf(failed) })
  })
).pipe(
  Command.withShortDescription("Wait for the job of a session, or of all, without their prompts"),
  Command.withDescription(
    "Wait for the job of a session, without its prompt. A session that has its answer gives it again; nothing is sent."
  )
)
