/**
 * Knows which API a model speaks, by its name alone.
 *
 * The functions of this module are the rule without any configuration. The
 * `ModelCatalog` reference holds the same functions for an application; `layer`
 * and `layerConfig` correct it for models that no rule can know.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import {
  backgroundProviders,
  currentModels,
  deploymentProviders,
  familyOf,
  hasOnlyResponsesEndpoint,
  hasResponsesEndpoint,
  providers,
  responsesHosts,
  ruledProviders
} from "./internal/ModelRules.ts"
import { Pairs } from "./internal/Pairs.ts"

/**
 * The API that a model is asked through.
 *
 * @category models
 * @since 0.1.0
 */
export type ApiType = "responses" | "completions"

/**
 * A model string, taken apart.
 *
 * @category models
 * @since 0.1.0
 */
export interface Parsed {
  /** Lower-case provider prefix, or the owner of a bare name's family; `undefined` when neither is known. */
  readonly provider: string | undefined
  /** Whether the string itself names the provider. */
  readonly explicit: boolean
  /** Whether the string itself asks for the Responses API, as `openai/responses/my-model` does. */
  readonly asksForResponses: boolean
  /** The model as the provider knows it, with its own slashes and letter case; may be empty. */
  readonly name: string
}

/**
 * Options for `make` and `layer`.
 *
 * **Details**
 *
 * Keys are compared without regard to letter case and surrounding whitespace.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The API of single models; wins over every rule. A key is a whole model
   * string (`"xai/grok-4"`), tried first, or a name for any provider (`"grok-4"`).
   *
   * @default {}
   */
  readonly apis?: Readonly<Record<string, ApiType>> | undefined
  /**
   * Azure deployment names, with or without `azure/`, and the model that each
   * holds: `{ "my-deployment": "gpt-5.5-pro" }`. Such a deployment is treated
   * as that model.
   *
   * @default {}
   */
  readonly deployments?: Readonly<Record<string, string>> | undefined
}

/**
 * Reference that holds which API each model speaks.
 *
 * **Details**
 *
 * Nobody has to provide it: the default is the rule without overrides.
 *
 * **Gotchas**
 *
 * It is read when `Holdfast.layer`, or a strategy's layer, is built. Provided
 * beside that layer, or to the program, it changes nothing.
 *
 * @see {@link layer} for overriding single models
 *
 * @category services
 * @since 0.1.0
 */
export class ModelCatalog extends Context.Reference<ModelCatalog.Service>("holdfast/services/ModelCatalog", {
  defaultValue: () => defaults
}) {}

/**
 * Types of the `ModelCatalog` reference.
 *
 * @since 0.1.0
 */
export declare namespace ModelCatalog {
  /**
   * The questions a catalogue answers; none of them throws, whatever the string.
   *
   * @category models
   * @since 0.1.0
   */
  export interface Service {
    /** Takes a model string apart. */
    readonly parse: (model: string) => Parsed
    /** The provider of a model string; `undefined` when it is not known. */
    readonly providerOf: (model: string) => string | undefined
    /** The model string without its provider prefix. */
    readonly bareName: (model: string) => string
    /** The API that the model is asked through. */
    readonly apiType: (model: string) => ApiType
    /** Whether the model is asked through the Responses API. */
    readonly supportsResponsesApi: (model: string) => boolean
    /** Whether the model has no Chat Completions endpoint to fall back to. */
    readonly isResponsesOnly: (model: string) => boolean
    /** Whether the provider can run a Responses request to the model as a background job. */
    readonly supportsBackground: (model: string) => boolean
  }
}

/**
 * Creates a catalogue with overrides.
 *
 * **Details**
 *
 * `apis` wins by the whole model string, then by the bare name, then by the
 * name of the model that a declared deployment holds; then
 * `provider/responses/model`; then the rule of `apiType`.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for a value of `apis` that is no API.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: Options = {}): ModelCatalog.Service => {
  const overrides = overridesOf(options)
  const apiOf = (model: string): ApiType => decideApi(model, overrides)
  return {
    parse,
    providerOf,
    bareName,
    apiType: apiOf,
    supportsResponsesApi: (model) => apiOf(model) === "responses",
    isResponsesOnly: (model) => apiOf(model) === "responses" && isOnlyResponses(parse(model), overrides),
    supportsBackground: (model) => apiOf(model) === "responses" && backgroundProviders.has(providerOf(model) ?? "")
  }
}

/**
 * Provides `ModelCatalog`, built by `make`.
 *
 * **Example** (Where it goes)
 *
 * `Layer.provide(Holdfast.layer, [store, Providers.layerConfig, ModelCatalog.layer({ apis })])`
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options): Layer.Layer<never> => Layer.sync(ModelCatalog, () => make(options))

/**
 * Config that reads `Options` from the environment.
 *
 * **Details**
 *
 * - `HOLDFAST_MODEL_APIS`: `model=responses` or `model=completions`, separated by commas.
 * - `HOLDFAST_AZURE_DEPLOYMENTS`: `deployment=model`, separated by commas.
 *
 * Both are optional, whitespace and empty entries are ignored.
 *
 * **Errors**
 *
 * - `ConfigError` for an entry without exactly one `=` or with an empty side, for
 *   another API, and for a key that is given twice.
 *
 * @category options
 * @since 0.1.0
 */
export const config: Config.Config<Options> = Config.all({
  apis: Config.schema(
    Pairs.pipe(Schema.decodeTo(Schema.Record(Schema.String, Schema.Literals(["responses", "completions"])))),
    "HOLDFAST_MODEL_APIS"
  ).pipe(Config.withDefault({})),
  deployments: Config.schema(Pairs, "HOLDFAST_AZURE_DEPLOYMENTS").pipe(Config.withDefault({}))
})

/**
 * Provides `ModelCatalog`, with overrides from the environment.
 *
 * @see {@link config} for the variables and errors
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<never, Config.ConfigError> = Layer.effect(ModelCatalog, Effect.map(config, make))

/**
 * The known Responses-API models, each bare and with `openai/` and `azure/`
 * before it.
 *
 * **Details**
 *
 * Current models without their dated snapshots. It is for listing and
 * completion: `supportsResponsesApi` also knows snapshots, fine-tuned models
 * and models that are newer than this list.
 *
 * **Source**
 *
 * OpenAI's model pages and the `ResponsesModel` union of `openai` 7.57.0.
 *
 * @category models
 * @since 0.1.0
 */
export const responsesApiModels: ReadonlySet<string> = new Set(
  currentModels.flatMap((name) => [name, `openai/${name}`, `azure/${name}`])
)

/**
 * Returns a model string taken apart.
 *
 * **Details**
 *
 * The text before the first slash is the provider if it is a known prefix
 * (letter case is ignored). Otherwise the whole string is a bare name, so
 * `meta-llama/Llama-3` is a name without a provider. A bare name of a family
 * that one provider owns (`gpt-5…`, `gpt-…-latest`, `o3`, `ft:gpt-…`,
 * `claude-…`, `gemini-…`) belongs to it; open-weight names (`gpt-oss-…`) belong
 * to nobody. A
 * `responses/` after the prefix of a host with a Responses endpoint is not part
 * of the name.
 *
 * **Source**
 *
 * Prefixes: LiteLLM, "Providers", https://docs.litellm.ai/docs/providers
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (model: string): Parsed => {
  const text = model.trim()
  const slash = text.indexOf("/")
  const prefix = slash === -1 ? "" : text.slice(0, slash).trim().toLowerCase()
  if (!providers.has(prefix)) {
    return { provider: familyOf(text), explicit: false, asksForResponses: false, name: text }
  }
  const rest = text.slice(slash + 1).trim()
  const asksForResponses = responsesHosts.has(prefix) && responsesMarker.test(rest)
  return {
    provider: prefix,
    explicit: true,
    asksForResponses,
    name: asksForResponses ? rest.slice(rest.indexOf("/") + 1).trim() : rest
  }
}

/**
 * Returns the provider of a model string; `undefined` when it is not known.
 *
 * @see {@link parse} for how it is found
 *
 * @category guards
 * @since 0.1.0
 */
export const providerOf = (model: string): string | undefined => parse(model).provider

/**
 * Returns the model string without its provider prefix.
 *
 * @see {@link parse} for how it is found
 *
 * @category guards
 * @since 0.1.0
 */
export const bareName = (model: string): string => parse(model).name

/**
 * Returns the API that a model is asked through.
 *
 * **Details**
 *
 * `"responses"` for `provider/responses/model`, and for OpenAI's models from
 * GPT-4 and o1 on, `gpt-…-latest` included, where the provider is `openai`,
 * `azure`, `azure_ai` or `bedrock_mantle`; `"completions"` for everything else,
 * also on hosts that have a Responses endpoint. Models for speech, images,
 * video, search and embeddings are not Responses models, nor are `o1-mini` and
 * `o1-preview`.
 *
 * **Gotchas**
 *
 * An Azure model is a deployment name, freely chosen: declare it with
 * `Options.deployments` unless it contains the model's name.
 *
 * **Source**
 *
 * OpenAI, "Models", the endpoints of each model:
 * https://platform.openai.com/docs/models
 *
 * @category guards
 * @since 0.1.0
 */
export const apiType = (model: string): ApiType => defaults.apiType(model)

/**
 * Returns whether a model is asked through the Responses API.
 *
 * @see {@link apiType} for the rule
 *
 * @category guards
 * @since 0.1.0
 */
export const supportsResponsesApi = (model: string): boolean => defaults.supportsResponsesApi(model)

/**
 * Returns whether a model has a Responses endpoint and no Chat Completions
 * endpoint, so that there is nothing to fall back to.
 *
 * **Details**
 *
 * These are the pro, codex, deep-research, computer-use, cyber, daybreak and
 * rosalind models, where the provider is one that `apiType` knows the models of.
 *
 * **Source**
 *
 * OpenAI, "Models"; the names that `ResponsesModel` of `openai` 7.57.0 has and
 * `ChatModel` has not.
 *
 * @category guards
 * @since 0.1.0
 */
export const isResponsesOnly = (model: string): boolean => defaults.isResponsesOnly(model)

/**
 * Returns whether a model's provider can run a Responses request as a
 * background job that is polled by its id.
 *
 * **Details**
 *
 * A Responses-API model of `openai`, `azure`, `bedrock_mantle` or `perplexity`.
 * A bare name of OpenAI's counts: the question is what the provider can do.
 * Other hosts are `false` even when they accept `background: true`, because
 * several of them ignore it.
 *
 * **Gotchas**
 *
 * Jobs through other APIs are not Responses jobs: `anthropic/…` (message
 * batches) and `gemini/…` (interactions) are `false` here, and take the strategy
 * `"background"` all the same. `Providers.describe(model).offers.jobs` says
 * whether there are jobs of any kind.
 *
 * @category guards
 * @since 0.1.0
 */
export const supportsBackground = (model: string): boolean => defaults.supportsBackground(model)

interface Overrides {
  readonly byModel: ReadonlyMap<string, ApiType>
  readonly byName: ReadonlyMap<string, ApiType>
  readonly deployments: ReadonlyMap<string, string>
}

const responsesMarker = /^responses\s*\//i

const keyOf = (text: string): string => text.trim().toLowerCase()

const overridesOf = (options: Options): Overrides => {
  const apis = Object.entries(options.apis ?? {}).map(([model, api]) => [keyOf(model), api] as const)
  for (const [model, api] of apis) {
    if (api !== "responses" && api !== "completions") {
      throw new RangeError(
        `ModelCatalog.make: apis[${JSON.stringify(model)}] must be "responses" or "completions", got ${String(api)}`
      )
    }
  }
  const deployments = Object.entries(options.deployments ?? {}).map(([deployment, held]) =>
    [keyOf(deploymentName(deployment)), bareName(held)] as const
  )
  return {
    byModel: new Map(apis),
    // `openrouter/openai/gpt-5` has the name `openai/gpt-5`: a key with a provider never counts as a name.
    byName: new Map(apis.filter(([model]) => !parse(model).explicit)),
    deployments: new Map(deployments)
  }
}

const deploymentName = (deployment: string): string => {
  const { name, provider } = parse(deployment)
  return provider !== undefined && deploymentProviders.has(provider) ? name : deployment
}

const heldModel = ({ name, provider }: Parsed, overrides: Overrides): string =>
  provider !== undefined && deploymentProviders.has(provider)
    ? overrides.deployments.get(keyOf(name)) ?? name
    : name

const decideApi = (model: string, overrides: Overrides): ApiType => {
  const parsed = parse(model)
  const held = heldModel(parsed, overrides)
  const override = overrides.byModel.get(keyOf(model)) ??
    overrides.byName.get(keyOf(parsed.name)) ??
    overrides.byName.get(keyOf(held))
  if (override !== undefined) return override
  if (parsed.asksForResponses) return "responses"
  return isRuled(parsed.provider) && hasResponsesEndpoint(parsed.provider, held) ? "responses" : "completions"
}

const isOnlyResponses = (parsed: Parsed, overrides: Overrides): boolean =>
  isRuled(parsed.provider) && hasOnlyResponsesEndpoint(parsed.provider, heldModel(parsed, overrides))

const isRuled = (provider: string | undefined): provider is string =>
  provider !== undefined && ruledProviders.has(provider)

const defaults = make()
