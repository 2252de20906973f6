/**
 * `holdfast models`: says what would become of a request to a model.
 *
 * @since 0.1.0
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { StrategyName } from "../services/ResponseRequest.ts"
import { jsonFlag } from "./CommonFlags.ts"
import * as NextCommands from "./NextCommands.ts"
import * as Output from "./Output.ts"
import { reported } from "./Reporting.ts"
import { UsageError } from "./UsageError.ts"

/**
 * Schema for what is known of a model before anything is sent.
 *
 * @category schemas
 * @since 0.1.0
 */
export const ModelInfo = Schema.Struct({
  /** As it was asked for. */
  model: Schema.String,
  /** The provider's prefix; `null` when the name tells none. */
  provider: Schema.NullOr(Schema.String),
  /** The name that goes to the server. */
  name: Schema.String,
  api: Schema.Literals(["responses", "completions"]),
  strategy: StrategyName,
  baseUrl: Schema.NullOr(Schema.String),
  /** The first one that is set wins. */
  keyVariables: Schema.Array(Schema.String),
  keySet: Schema.Boolean,
  /** Whether a request could be sent. */
  ready: Schema.Boolean,
  /** Why not. */
  problem: Schema.NullOr(Schema.String),
  offers: Schema.Struct({ jobs: Schema.Boolean, responses: Schema.Boolean, completions: Schema.Boolean })
})

/**
 * What is known of a model before anything is sent.
 *
 * @category models
 * @since 0.1.0
 */
export type ModelInfo = typeof ModelInfo.Type

/**
 * The command `models`.
 *
 * @category models
 * @since 0.1.0
 */
export const modelsCommand = Command.make(
  "models",
  {
    model: Argument.String("model").pipe(Argument.withDescription("provider/model, or a bare name")),
    json: jsonFlag
  },
  Effect.fnUntraced(function*({ json, model }) {
    const next = yield* NextCommands.make(Option.none())
    return yield* reported(
      Effect.gen(function*() {
        if (model.trim() === "") return yield* new UsageError({ message: "The model's name is empty" })
        const info = yield* describe(model)
        return yield* json ? Output.json(ModelInfo, info) : Output.answer(textOf(info))
      }),
      { json, next }
    )
  })
).pipe(
  Command.withShortDescription("Show which API, strategy and key a model uses"),
  Command.withDescription("Show which API, strategy, provider and key a model uses. Nothing is sent.")
)

const describe = Effect.fnUntraced(function*(model: string) {
  const [{ withModels }, { ModelCatalog }, { Providers }, { selectWith }] = yield* Effect.promise(() =>
    Promise.all([
      import("./Engine.ts"),
      import("../services/ModelCatalog.ts"),
      import("../services/Providers.ts"),
      import("../strategies/StrategySelector.ts")
    ])
  )
  return yield* Effect.gen(function*() {
    const catalog = yield* ModelCatalog
    const known = (yield* Providers).describe(model)
    const strategy = selectWith(catalog, model)
    const offered = { background: "jobs", sync: "responses", completions: "completions" } as const
    const problem = known.problem ??
      (known.model === "" ? "the model's name has only a prefix" : undefined) ??
      (known.offers[offered[strategy]] ? undefined : `${known.provider} does not offer what the strategy needs`)
    return {
      model,
      provider: known.provider ?? null,
      name: known.model,
      api: catalog.apiType(model),
      strategy,
      baseUrl: known.baseUrl ?? null,
      keyVariables: known.keyVariables,
      keySet: known.hasKey,
      ready: known.configured && problem === undefined,
      problem: problem ?? null,
      offers: known.offers
    } satisfies ModelInfo
  }).pipe(withModels)
})

const strategies: Readonly<Record<StrategyName, string>> = {
  background: "background: a job that is polled, and found again after a crash",
  sync: "sync: a call that is held open (name the provider, as in openai/…, for a background job)",
  completions: "completions: a call that is held open"
}

const textOf = (info: ModelInfo): string =>
  [
    ["Model", info.name],
    ["Provider", info.provider ?? "unknown"],
    ["API", info.api === "responses" ? "Responses" : "Chat Completions, or the provider's like of it"],
    ["Strategy", strategies[info.strategy]],
    ["Base URL", info.baseUrl ?? "none"],
    ["Key", keyOf(info)],
    ["Ready", info.ready ? "yes" : `no: ${info.problem}`]
  ].map(([name = "", value]) => `${name.padEnd(10)}${value}`).join("\n")

const keyOf = ({ keySet, keyVariables }: ModelInfo): string => {
  const variables = keyVariables.join(" or ")
  if (variables === "") return keySet ? "set" : "none"
  return `${variables} (${keySet ? "set" : "not set"})`
}
