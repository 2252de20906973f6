/**
 * `holdfast sessions`: looks after the sessions of a folder.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { StrategyError } from "../errors/StrategyError.ts"
import { SessionStatus } from "../services/Session.ts"
import { directoryOf, jsonFlag, storeFlag } from "./CommonFlags.ts"
import { counted } from "./Counted.ts"
import * as Durations from "./Durations.ts"
import * as NextCommands from "./NextCommands.ts"
import * as Output from "./Output.ts"
import { reported } from "./Reporting.ts"
import type { UsageError } from "./UsageError.ts"

const session = Argument.String("session").pipe(Argument.withDescription("Key of the session"))

const common = { json: jsonFlag, store: storeFlag }

const statusFlag = (byDefault: string) =>
  Flag.Literals("status", SessionStatus.literals).pipe(
    Flag.withDescription(`Only sessions with this status; may be given again (default: ${byDefault})`),
    Flag.atLeast(0)
  )

const list = Command.make(
  "list",
  { statuses: statusFlag("all"), ...common },
  (input) =>
    carriedOut(input, (work, { directory, json, next }) =>
      Effect.gen(function*() {
        const sessions = yield* work.list(directory, input.statuses)
        if (json) yield* Output.json(work.Listing, sessions)
        else if (sessions.length === 0) {
          const such = input.statuses.length === 0 ? "" : `${input.statuses.join(" or ")} `
          yield* Output.note(`There are no ${such}sessions in ${directory}`)
        } else yield* Output.answer(work.table(sessions))
        const note = work.uncertainNote(sessions, next)
        if (note !== undefined) yield* Output.note(note)
      }))
).pipe(
  Command.withAlias("ls"),
  Command.withDescription("List the sessions, the newest first")
)

const show = Command.make(
  "show",
  { session, ...common },
  (input) =>
    carriedOut(input, (work, { directory, json, next }) =>
      Effect.flatMap(
        work.show(directory, input.session),
        (shown) => json ? Output.json(work.Shown, shown) : Output.answer(work.details(shown, shown.cost, next))
      ))
).pipe(Command.withDescription("Show what became of a session, what it has cost, and its answer"))

const cancel = Command.make(
  "cancel",
  { session, ...common },
  (input) =>
    carriedOut(input, (work, { directory, json, next }) =>
      Effect.gen(function*() {
        const info = yield* work.cancel(directory, input.session)
        if (json) yield* Output.json(work.SessionInfo, info)
        yield* Output.note(work.afterCancel(info, next))
      }))
).pipe(
  Command.withDescription("Ask for a session's job to be stopped; if it has finished by then, its answer is kept")
)

const forget = Command.make(
  "forget",
  {
    session,
    force: Flag.Boolean("force").pipe(
      Flag.withDescription("Also while a job may be running; that job is lost to Holdfast, not stopped"),
      Flag.withDefault(false)
    ),
    ...common
  },
  (input) =>
    carriedOut(input, (work, { directory, json }) =>
      Effect.gen(function*() {
        yield* work.forget(directory, input.session, input.force)
        if (json) yield* Output.json(Forgotten, { session: input.session, forgotten: true })
        yield* Output.note(`Forgot ${input.session}; the same key will run, and pay, again.`)
      }))
).pipe(Command.withDescription("Remove a session, so that its key can run, and pay, again"))

const adopt = Command.make(
  "adopt",
  {
    session,
    jobId: Argument.String("job-id").pipe(Argument.withDescription("The provider's id of the job")),
    ...common
  },
  (input) =>
    carriedOut(input, (work, { directory, json, next }) =>
      Effect.gen(function*() {
        const info = yield* work.adopt(directory, input.session, input.jobId)
        if (json) yield* Output.json(work.SessionInfo, info)
        yield* Output.note(
          `The session has the job ${input.jobId} now; get its answer with\n  ${next.resume(input.session)}`
        )
      }))
).pipe(
  Command.withDescription("Give a session, whose submission is uncertain, the id of its job")
)

const resubmit = Command.make(
  "resubmit",
  { session, ...common },
  (input) =>
    carriedOut(input, (work, { directory, json }) =>
      Effect.gen(function*() {
        const info = yield* work.resubmit(directory, input.session)
        if (json) yield* Output.json(work.SessionInfo, info)
        yield* Output.note(
          `The next run of ${input.session} submits again; an earlier job, if there is one, is paid as well.`
        )
      }))
).pipe(
  Command.withDescription("Let a session, whose submission is uncertain, submit again, and perhaps pay twice")
)

const prune = Command.make(
  "prune",
  {
    olderThan: Durations.flag("older-than").pipe(
      Flag.withDescription("Only sessions whose last entry is older: 12h, 90d (default: 30d)"),
      Flag.withDefault(Duration.days(30))
    ),
    statuses: statusFlag("those that are settled"),
    ...common
  },
  (input) =>
    carriedOut(input, (work, { directory, json }) =>
      Effect.gen(function*() {
        const removed = yield* work.prune(directory, input.olderThan, input.statuses)
        if (json) yield* Output.json(Pruned, { removed })
        yield* Output.note(`Removed ${counted(removed, "session")}.`)
      }))
).pipe(Command.withDescription("Remove old sessions, so that their keys can run, and pay, again"))

/**
 * The command `sessions`.
 *
 * @category models
 * @since 0.1.0
 */
export const sessionsCommand = Command.make("sessions").pipe(
  Command.withShortDescription("List, show, cancel, forget, adopt, resubmit and prune sessions"),
  Command.withDescription("Look after the sessions of a folder."),
  Command.withSubcommands([list, show, cancel, forget, adopt, resubmit, prune])
)

const Forgotten = Schema.Struct({ session: Schema.String, forgotten: Schema.Boolean })

const Pruned = Schema.Struct({ removed: Schema.Int })

type Work = typeof import("./SessionWork.ts")

const carriedOut = Effect.fnUntraced(function*<A, R>(
  { json, store }: { readonly json: boolean; readonly store: Option.Option<string> },
  command: (
    work: Work,
    context: { readonly directory: string; readonly json: boolean; readonly next: NextCommands.NextCommands }
  ) => Effect.Effect<A, StrategyError | UsageError, R>
) {
  const next = yield* NextCommands.make(store)
  const directory = yield* directoryOf(store)
  return yield* reported(
    Effect.flatMap(
      Effect.promise(() => import("./SessionWork.ts")),
      (work) => command(work, { directory, json, next })
    ),
    { json, next }
  )
})
