/**
 * `holdfast run`: asks a model.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { StrategyName } from "../services/ResponseRequest.ts"
import { directoryOf, jsonFlag, storeFlag, variable } from "./CommonFlags.ts"
import * as Durations from "./Durations.ts"
import { exitCodesHelp } from "./ExitCodes.ts"
import * as NextCommands from "./NextCommands.ts"
import * as Prompt from "./Prompt.ts"
import { reported } from "./Reporting.ts"
import * as SessionKey from "./SessionKey.ts"
import { UsageError } from "./UsageError.ts"

/**
 * The command `run`.
 *
 * @category models
 * @since 0.1.0
 */
export const runCommand = Command.make(
  "run",
  {
    model: Flag.String("model").pipe(
      Flag.withAlias("m"),
      Flag.withDescription("provider/model, or a bare name (default: HOLDFAST_MODEL)"),
      Flag.optional
    ),
    session: Flag.String("session").pipe(
      Flag.withAlias("s"),
      Flag.withDescription("Key of the session; the same key goes on with the same job (default: a fresh key)"),
      Flag.optional
    ),
    image: Flag.String("image").pipe(
      Flag.withDescription("Image to send along: a path or a url; may be given again"),
      Flag.withMetavar("path|url"),
      Flag.atLeast(0)
    ),
    file: Flag.String("file").pipe(
      Flag.withDescription("File to send along: a path or a url; may be given again"),
      Flag.withMetavar("path|url"),
      Flag.atLeast(0)
    ),
    fallback: Flag.String("fallback").pipe(
      Flag.withDescription("Model to ask when the one before it cannot answer; may be given again"),
      Flag.withMetavar("model"),
      Flag.atLeast(0)
    ),
    strategy: Flag.Literals("strategy", StrategyName.literals).pipe(
      Flag.withDescription("How to get the answer (default: by the model; see holdfast models)"),
      Flag.optional
    ),
    instructions: Flag.String("instructions").pipe(
      Flag.withDescription("System prompt"),
      Flag.withMetavar("text"),
      Flag.optional
    ),
    schema: Flag.String("schema").pipe(
      Flag.withDescription("JSON Schema that the answer shall fit; the answer is then one JSON value"),
      Flag.withMetavar("path"),
      Flag.optional
    ),
    stream: Flag.Boolean("stream").pipe(
      Flag.withDescription("Print the answer while it grows; with --json one event per line, the answer in the last"),
      Flag.withDefault(false)
    ),
    deadline: Durations.flag("deadline").pipe(
      Flag.withDescription("Longest time to wait: 90s, 10m, 1h (default: 60m for a background job, else 15m)"),
      Flag.optional
    ),
    json: jsonFlag,
    store: storeFlag,
    prompt: Argument.String("prompt").pipe(
      Argument.withDescription("The prompt; - reads it from stdin, and so does no prompt when stdin is a pipe"),
      Argument.optional
    )
  },
  Effect.fnUntraced(function*(input) {
    const next = yield* NextCommands.make(input.store)
    const directory = yield* directoryOf(input.store)
    return yield* reported(
      Effect.gen(function*() {
        const model = yield* modelOf(input.model)
        const session = yield* sessionOf(input.session)
        if (input.stream && Option.isSome(input.schema)) {
          return yield* new UsageError({ message: "A value is there at the end only: give --schema or --stream" })
        }
        const schema = Option.isNone(input.schema) ? undefined : yield* schemaOf(input.schema.value)
        const prompt = yield* Prompt.make({ text: input.prompt, images: input.image, files: input.file })
        const { wait } = yield* Effect.promise(() => import("./Waiting.ts"))
        yield* wait(
          {
            _tag: "Run",
            isFreshKey: Option.isNone(input.session),
            stream: input.stream,
            request: {
              model,
              prompt,
              session,
              ...(input.fallback.length === 0 ? {} : { fallback: input.fallback }),
              ...(schema === undefined ? {} : { schema }),
              ...Option.match(input.strategy, { onNone: () => ({}), onSome: (strategy) => ({ strategy }) }),
              ...Option.match(input.instructions, { onNone: () => ({}), onSome: (instructions) => ({ instructions }) }),
              ...Option.match(input.deadline, { onNone: () => ({}), onSome: (deadline) => ({ deadline }) })
            }
          },
          { session, directory, next, json: input.json }
        )
      }),
      { json: input.json, lines: input.stream, next }
    )
  })
).pipe(
  Command.withShortDescription("Ask a model"),
  Command.withDescription(
    [
      "Ask a model. The answer goes to stdout, all the rest to stderr.",
      "Ctrl-C stops only the waiting: a background job goes on, and 'holdfast resume' gets its answer.",
      "",
      "Exit codes:",
      ...exitCodesHelp.map((line) => `  ${line}`)
    ].join("\n  ")
  ),
  Command.withExamples([
    { command: "holdfast run --model openai/gpt-5.5-pro \"Compare the three contracts.\"" },
    { command: "holdfast run -m openai/gpt-5.5-pro -s contract-42 --file contract.pdf \"Which risks are there?\"" },
    { command: "holdfast run -m openai/gpt-5.5-pro --fallback anthropic/claude-sonnet-4-5 --stream \"Tell a story.\"" },
    { command: "git diff | holdfast run -m anthropic/claude-sonnet-4-5 --instructions \"Review this diff.\"" }
  ])
)

const modelOf = Effect.fnUntraced(function*(flag: Option.Option<string>) {
  const model = Option.isSome(flag) ? flag.value.trim() : yield* variable("HOLDFAST_MODEL", "")
  return model === ""
    ? yield* new UsageError({
      message: "No model: give --model provider/model (such as openai/gpt-5.5-pro), or set HOLDFAST_MODEL"
    })
    : model
})

const schemaOf = Effect.fnUntraced(function*(path: string) {
  const { read } = yield* Effect.promise(() => import("./OutputSchema.ts"))
  return yield* read(path)
})

const sessionOf = (flag: Option.Option<string>): Effect.Effect<string, UsageError> =>
  Option.match(flag, {
    onNone: () => SessionKey.fresh,
    onSome: (key) => key === "" ? Effect.fail(new UsageError({ message: "--session is empty" })) : Effect.succeed(key)
  })
