/**
 * `holdfast simulate`: runs the provider simulator.
 *
 * @since 0.1.0
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Rules } from "../testing/Simulator.ts"
import * as Durations from "./Durations.ts"
import * as NextCommands from "./NextCommands.ts"
import * as Output from "./Output.ts"
import { reported } from "./Reporting.ts"
import { UsageError } from "./UsageError.ts"

/**
 * The command `simulate`.
 *
 * @category models
 * @since 0.1.0
 */
export const simulateCommand = Command.make(
  "simulate",
  {
    port: Flag.Int("port").pipe(
      Flag.withDescription("TCP port on 127.0.0.1 (default: a free one)"),
      Flag.filter((port) => port >= 0 && port <= 65535, (port) => `a port from 0 to 65535, not ${port}`),
      Flag.withDefault(0)
    ),
    script: Flag.String("script").pipe(
      Flag.withDescription("JSON file with an array of rules: what shall go wrong"),
      Flag.withMetavar("path"),
      Flag.optional
    ),
    jobDuration: Durations.flag("job-duration").pipe(
      Flag.withDescription("How long a background job takes (default: 2s)"),
      Flag.withDefault(Duration.seconds(2))
    )
  },
  Effect.fnUntraced(function*({ jobDuration, port, script }) {
    const next = yield* NextCommands.make(Option.none())
    return yield* reported(
      Effect.gen(function*() {
        const Simulator = yield* Effect.promise(() => import("../testing/Simulator.ts"))
        const rules = Option.isNone(script) ? [] : yield* rulesOf(script.value, Simulator.Rules)
        return yield* Effect.gen(function*() {
          const simulator = yield* Simulator.Simulator
          yield* Output.answer(environment(simulator))
          yield* Output.note(
            `The simulator runs; Ctrl-C ends it. What it saw:  curl ${simulator.url}/_simulator/ledger`
          )
          return yield* Effect.onInterrupt(
            Effect.never,
            () =>
              Effect.flatMap(simulator.ledger, ({ requests, submissions }) =>
                Output.note(
                  `Simulator ended. Requests: ${sum(requests)}, submissions among them: ${submissions.length}.`
                ))
          )
        }).pipe(
          // @effect-diagnostics-next-line strictEffectProvide:off
          Effect.provide(Simulator.layer({ port, jobDuration, script: rules })),
          Effect.catchTag("SimulatorError", ({ message }) => Effect.fail(new UsageError({ message })))
        )
      }),
      { json: false, next }
    )
  })
).pipe(
  Command.withShortDescription("Run a provider on this machine, to try and test without a key"),
  Command.withDescription(
    "Run a provider on this machine, to try and test without a key: OpenAI Responses and Chat Completions, " +
      "Anthropic Messages and Message Batches, Gemini Interactions. Prints the variables to set."
  ),
  Command.withExamples([
    { command: "holdfast simulate --port 4010 --job-duration 20s" },
    {
      command:
        "echo '[{ \"on\": \"responses.create\", \"do\": { \"_tag\": \"Error\", \"error\": \"rateLimit\" } }]' > rules.json && " +
        "holdfast simulate --script rules.json",
      description: "The first submission meets a rate limit"
    }
  ])
)

const rulesOf = Effect.fnUntraced(function*(path: string, rules: typeof Rules) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.mapError(
    fs.readFileString(path),
    () => new UsageError({ message: `The script ${path} cannot be read` })
  )
  return yield* Schema.decodeEffect(Schema.fromJsonString(rules), { onExcessProperty: "error" })(text).pipe(
    Effect.mapError((error) => new UsageError({ message: `The script ${path} holds no rules: ${error.message}` }))
  )
})

const environment = (simulator: {
  readonly openAiBaseUrl: string
  readonly anthropicBaseUrl: string
  readonly azureEndpoint: string
  readonly geminiBaseUrl: string
}): string =>
  [
    `export OPENAI_BASE_URL=${simulator.openAiBaseUrl}`,
    "export OPENAI_API_KEY=simulated",
    `export ANTHROPIC_BASE_URL=${simulator.anthropicBaseUrl}`,
    "export ANTHROPIC_API_KEY=simulated",
    `export AZURE_OPENAI_ENDPOINT=${simulator.azureEndpoint}`,
    "export AZURE_API_KEY=simulated",
    `export GEMINI_BASE_URL=${simulator.geminiBaseUrl}`,
    "export GEMINI_API_KEY=simulated"
  ].join("\n")

const sum = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((total, count) => total + count, 0)
