/**
 * How a command ends: its error is reported, and becomes an exit code.
 *
 * @since 0.1.0
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import type * as Stdio from "effect/Stdio"
import { StrategyError } from "../errors/StrategyError.ts"
import { report } from "./ErrorReport.ts"
import { exitCodeOf, UnexpectedFailure } from "./ExitCodes.ts"
import type { NextCommands } from "./NextCommands.ts"
import * as Output from "./Output.ts"
import { UsageError } from "./UsageError.ts"

/**
 * Schema for the errors that the command reports.
 *
 * @category schemas
 * @since 0.1.0
 */
export const CommandError = Schema.Union([StrategyError, UsageError, UnexpectedFailure])

/**
 * The errors that the command reports.
 *
 * @category errors
 * @since 0.1.0
 */
export type CommandError = typeof CommandError.Type

/**
 * Error for a command that has reported why it failed; only its exit code is
 * left.
 *
 * @category errors
 * @since 0.1.0
 */
export class Reported extends Schema.TaggedError<Reported>("holdfast/cli/Reporting/Reported")("Reported", {
  exitCode: Schema.Int
}) {
  override readonly [Runtime.errorExitCode] = this.exitCode
  override readonly [Runtime.errorReported] = false
}

/**
 * Reports the errors of a command: on stderr what happened and what to do
 * next, and with `json` the error on stdout, with `lines` as one line.
 *
 * **Details**
 *
 * A defect is reported by its message, without a stack.
 *
 * @category combinators
 * @since 0.1.0
 */
export const reported = <A, R>(
  command: Effect.Effect<A, StrategyError | UsageError, R>,
  options: { readonly json: boolean; readonly lines?: boolean; readonly next: NextCommands }
): Effect.Effect<A, Reported, R | Stdio.Stdio> =>
  command.pipe(
    Effect.catchDefect((defect) => Effect.fail(unexpected(defect))),
    Effect.catch((error: CommandError) =>
      Effect.gen(function*() {
        yield* Output.note(textOf(error, options.next))
        if (options.json) yield* (options.lines === true ? Output.jsonLine : Output.json)(CommandError, error)
        return yield* new Reported({ exitCode: exitCodeOf(error) })
      })
    )
  )

/**
 * Reports defects that nothing else has reported.
 *
 * @category combinators
 * @since 0.1.0
 */
export const reportedDefects = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<A, E | Reported, R | Stdio.Stdio> =>
  Effect.catchDefect(self, (defect) => {
    const error = unexpected(defect)
    return Effect.andThen(
      Output.note(unexpectedText(error)),
      Effect.fail(new Reported({ exitCode: exitCodeOf(error) }))
    )
  })

const textOf = (error: CommandError, next: NextCommands): string => {
  switch (error._tag) {
    case "UsageError":
      return `Error: ${error.message}`
    case "UnexpectedFailure":
      return unexpectedText(error)
    default:
      return report(error, next)
  }
}

const unexpectedText = ({ message }: UnexpectedFailure): string =>
  `Unexpected failure: ${message}\n  This is a defect of Holdfast. Sessions are safe: run the same command again.`

const unexpected = (defect: unknown): UnexpectedFailure =>
  new UnexpectedFailure({
    message: (Cause.prettyErrors(Cause.die(defect))[0]?.message ?? "unknown").split("\n")[0] ?? "unknown"
  })
