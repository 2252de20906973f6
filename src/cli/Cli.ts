/**
 * The `holdfast` command.
 *
 * @since 0.1.0
 */
import * as CliConfig from "effect/cli/CliConfig"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as References from "effect/References"
import * as Log from "./Log.ts"
import { modelsCommand } from "./ModelsCommand.ts"
import * as Output from "./Output.ts"
import { CommandError, type Reported, reportedDefects } from "./Reporting.ts"
import { resumeCommand } from "./ResumeCommand.ts"
import { runCommand } from "./RunCommand.ts"
import { sessionsCommand } from "./SessionsCommand.ts"
import { simulateCommand } from "./SimulateCommand.ts"
import { UsageError } from "./UsageError.ts"

/**
 * The command tree.
 *
 * @category models
 * @since 0.1.0
 */
export const holdfast = Command.make("holdfast").pipe(
  Command.withDescription(
    "LLM responses that survive rate limits, crashes and thirty-minute jobs, and are not paid for twice."
  ),
  Command.withSubcommands([runCommand, resumeCommand, sessionsCommand, modelsCommand, simulateCommand]),
  Command.withExamples([
    { command: "holdfast run --model openai/gpt-5.5-pro --session contract-42 \"Compare the three contracts.\"" },
    { command: "holdfast resume contract-42" }
  ])
)

/**
 * Runs the command with its arguments.
 *
 * **Details**
 *
 * All errors are reported before it fails; what it fails with carries the exit
 * code, under `Runtime.errorExitCode`.
 *
 * @category combinators
 * @since 0.1.0
 */
export const run = (
  args: ReadonlyArray<string>,
  options: { readonly version: string }
): Effect.Effect<void, Reported | CliError.CliError, Command.Environment> =>
  Command.runWith(holdfast, options)(args).pipe(
    reportedDefects,
    // @effect-diagnostics-next-line strictEffectProvide:off
    Effect.provide(Layer.mergeAll(
      CliConfig.layer({
        builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel]
      }),
      CliOutput.layer(CliOutput.defaultFormatter({ globalFlags: "summary" })),
      CliOutput.layerPresenter(presenter(args)),
      Logger.layer([Log.logger]),
      Layer.succeed(References.MinimumLogLevel, "Warn")
    ))
  )

// Wrong usage gets a short answer on stderr; the help is for who asks for it.
const presenter = (args: ReadonlyArray<string>): CliOutput.Presenter => ({
  present: Effect.fnUntraced(function*(event) {
    if (event._tag !== "InvalidInvocation") return yield* CliOutput.defaultPresenter.present(event)
    const message = event.errors.map((error) => error.message).join("\n")
    yield* Console.error(`Error: ${message}\nSee ${event.commandPath.join(" ")} --help`)
    if (!args.includes("--json")) return
    yield* (args.includes("--stream") ? Output.jsonLine : Output.json)(CommandError, new UsageError({ message }))
  })
})
