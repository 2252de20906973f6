import * as NodeServices from "@effect/platform-node/NodeServices"
import { ConfigProvider, Effect, Exit, FileSystem, Layer, Runtime, Schedule, Sink, Stdio, Stream } from "effect"
import { TestConsole } from "effect/testing"
import { Simulator } from "holdfast/testing"
import * as Cli from "../../src/cli/Cli.ts"
import { PollPolicy, RetryPolicy } from "../../src/strategies/Schedules.ts"
// What a first call loads is loaded before, so that short deadlines are about the wire alone.
import "../../src/cli/Waiting.ts"
import "../../src/services/providers/OpenAi.ts"
import "openai/client"
import "undici"

/** What a command printed, and its exit code. */
export interface Printed {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** How a command is run: its environment, its stdin (a terminal when missing), and what its terminals are. */
export interface Surroundings {
  readonly env?: Readonly<Record<string, string>> | undefined
  readonly stdin?: string | undefined
  readonly terminal?: boolean | undefined
}

/** Runs the command in this process, with schedules that do not wait. */
export const holdfast = (args: ReadonlyArray<string>, surroundings: Surroundings = {}): Effect.Effect<Printed> => {
  const { env = {}, stdin, terminal = false } = surroundings
  const written: Array<string> = []
  const streamed: Array<string> = []
  const stdio = Stdio.layerTest({
    args: Effect.succeed(args),
    stdin: stdin === undefined ? Stream.never : Stream.make(new TextEncoder().encode(stdin)),
    stdinIsTerminal: Effect.succeed(stdin === undefined),
    stdoutIsTerminal: Effect.succeed(terminal),
    stderrIsTerminal: Effect.succeed(terminal),
    stdout: () => Sink.forEach((piece: string | Uint8Array) => Effect.sync(() => streamed.push(String(piece))))
  })
  return Effect.gen(function*() {
    const exit = yield* Effect.exit(Cli.run(args, { version: "1.2.3" }))
    let code = 0
    Runtime.defaultTeardown(exit, (ended) => {
      code = ended
    })
    if (Exit.hasDies(exit)) written.push("DEFECT")
    return {
      code,
      stdout: streamed.join("") + (yield* TestConsole.logLines).map((line) => `${String(line)}\n`).join(""),
      stderr: [...written, ...(yield* TestConsole.errorLines)].map((line) => `${String(line)}\n`).join("")
    }
  }).pipe(
    Effect.provideService(PollPolicy, Schedule.spaced("5 millis")),
    Effect.provideService(RetryPolicy, Schedule.recurs(2)),
    Effect.provide(
      Layer.mergeAll(
        TestConsole.layer,
        Layer.provideMerge(stdio, NodeServices.layer),
        ConfigProvider.layer(ConfigProvider.fromEnvRecord(env))
      )
    )
  )
}

/** A simulator, a folder, and the command with both of them in its environment. */
export const inFolder = Effect.fnUntraced(function*<A, E, R>(
  options: Parameters<typeof Simulator.layer>[0],
  test: (context: {
    readonly folder: string
    readonly simulator: Simulator.Simulator["Service"]
    readonly env: Readonly<Record<string, string>>
    readonly run: (args: ReadonlyArray<string>, surroundings?: Surroundings) => Effect.Effect<Printed>
  }) => Effect.Effect<A, E, R>
) {
  return yield* Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const simulator = yield* Simulator.Simulator
    const folder = yield* fs.makeTempDirectoryScoped({ prefix: "holdfast-cli-" })
    const env = {
      OPENAI_BASE_URL: simulator.openAiBaseUrl,
      OPENAI_API_KEY: "sk-simulated",
      ANTHROPIC_BASE_URL: simulator.anthropicBaseUrl,
      ANTHROPIC_API_KEY: "sk-simulated",
      HOLDFAST_STORE: `${folder}/sessions`,
      HOLDFAST_MODEL: "openai/gpt-5.5-pro"
    }
    const run = (args: ReadonlyArray<string>, surroundings: Surroundings = {}) =>
      holdfast(args, { ...surroundings, env: { ...env, ...surroundings.env } })
    return yield* test({ folder, simulator, env, run })
  }).pipe(
    Effect.scoped,
    Effect.provide(Layer.merge(Simulator.layer({ completeAfterPolls: 2, ...options }), NodeServices.layer))
  )
})
