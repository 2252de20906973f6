/**
 * Finds the provider of a model, by the prefix in its name.
 *
 * **Example** (A provider of your own)
 *
 * ```ts
 * Providers.layerConfigWith({
 *   acme: { baseUrl: "https://llm.acme.test/v1", apiKey: Redacted.make("…") }
 * })
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { ProviderError } from "../errors/ProviderError.ts"
import { InvalidRequest, ProviderNotConfigured } from "../errors/Reason.ts"
import * as ModelCatalog from "./ModelCatalog.ts"
import type { Provider } from "./Provider.ts"
import * as Anthropic from "./providers/Anthropic.ts"
import * as GeminiInteractions from "./providers/GeminiInteractions.ts"
import * as OpenAi from "./providers/OpenAi.ts"
import { connect, type Connection, fromEnvironment, type ProviderSettings } from "./providers/ProviderSettings.ts"
import { providerTable, type Row } from "./providers/ProviderTable.ts"
import * as Transport from "./providers/Transport.ts"

export type { ProviderSettings } from "./providers/ProviderSettings.ts"

/**
 * Settings by prefix.
 *
 * **Details**
 *
 * A known prefix (`openai`, `azure`, `anthropic`, `groq`, …) starts from its row
 * of the table; any other name is a provider of your own, which needs a
 * `baseUrl`. A function makes the provider of a model by itself, for a wire
 * protocol of your own, and for tests; its `model` has no prefix any more.
 *
 * @category options
 * @since 0.1.0
 */
export interface Settings {
  readonly [prefix: string]: ProviderSettings | ((model: string) => Provider)
}

/**
 * What is known of a model's provider before anything is sent. It holds no
 * secrets.
 *
 * @category models
 * @since 0.1.0
 */
export interface Description {
  /** The prefix; `undefined` when the model's name tells none. */
  readonly provider: string | undefined
  /** The model name that goes to the server. */
  readonly model: string
  readonly baseUrl: string | undefined
  /** The environment variables that can hold the key; the first one that is set wins. */
  readonly keyVariables: ReadonlyArray<string>
  /** Whether a key, or an effect that makes one, is set; `false` while the provider is not configured. */
  readonly hasKey: boolean
  /** Whether `resolve` will succeed, given a model's name. */
  readonly configured: boolean
  /** Why not. */
  readonly problem: string | undefined
  /** The ports that the provider offers; none while it is not configured. */
  readonly offers: { readonly jobs: boolean; readonly responses: boolean; readonly completions: boolean }
}

/**
 * Service that finds the provider of a model.
 *
 * @category services
 * @since 0.1.0
 */
export class Providers extends Context.Service<Providers, {
  /**
   * Returns the provider of a model, `provider/model` or the bare name of a
   * well-known family (`gpt-…`, `claude-…`, `gemini-…`). Nothing is sent.
   *
   * Fails with `ProviderNotConfigured` for an unknown provider and for one
   * without key or address, with the `variable` to set; with `InvalidRequest`
   * for a prefix without a model. The evidence is always `NotSent`.
   */
  readonly resolve: (model: string) => Effect.Effect<Provider, ProviderError>
  /** Returns what is known of a model's provider. */
  readonly describe: (model: string) => Description
}>()("holdfast/services/Providers") {}

/**
 * Creates a `Providers` from explicit settings alone; the environment is not read.
 *
 * **Details**
 *
 * Each provider has one client, made when it is first used; only then its SDK
 * is loaded. All clients share one `Transport`: the one in the context if there
 * is one (say, for a proxy), else one of their own that lives as long as the
 * scope.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for a prefix that is empty, has upper-case letters,
 * whitespace or a slash, for a provider of your own without `baseUrl`, and for
 * `headers` that no request can carry.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (settings: Settings): Effect.Effect<Providers["Service"], never, Scope.Scope> => {
  validate("make", settings)
  return build(settings, [])
}

/**
 * Provides `Providers`, built by `make`: only what is in `settings` can be used.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (settings: Settings): Layer.Layer<Providers> => {
  validate("layer", settings)
  return Layer.effect(Providers, build(settings, []))
}

/**
 * Provides `Providers` with all providers of the table, as the environment
 * configures them, and with settings of your own, which win.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` like {@link make}.
 *
 * @see {@link layerConfig} for the variables
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfigWith = (settings: Settings): Layer.Layer<Providers> => {
  validate("layerConfigWith", settings)
  return Layer.effect(Providers, build(settings, providerTable))
}

/**
 * Provides `Providers` with all providers of the table, as the environment
 * configures them.
 *
 * **Details**
 *
 * The `ConfigProvider` is read once, when the layer is built; a key that is set
 * later is not seen. A provider that is not configured fails when it is
 * resolved, not before.
 *
 * - Keys: the variables of {@link providerTable}, such as `OPENAI_API_KEY`,
 *   `AZURE_API_KEY`, `ANTHROPIC_API_KEY`, `GROQ_API_KEY`.
 * - Addresses: `<PREFIX>_BASE_URL` or `<PREFIX>_API_BASE` for every provider, and
 *   `AZURE_OPENAI_ENDPOINT`. At another address than the vendor's, and on this
 *   machine, the key is optional.
 * - `OPENAI_ORG_ID`, `OPENAI_PROJECT_ID`; `AWS_REGION` for Amazon Bedrock.
 * - Azure: the v1 surface, `{endpoint}/openai/v1`; with `AZURE_API_VERSION` or
 *   `OPENAI_API_VERSION` the older one, unless the address ends with `/v1`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig: Layer.Layer<Providers> = Layer.effect(
  Providers,
  Effect.suspend(() => build({}, providerTable))
)

type Entry =
  /** Makes its providers by itself. */
  | { readonly _tag: "Custom"; readonly make: (model: string) => Provider }
  | {
    readonly _tag: "Connected"
    readonly row: Row | undefined
    readonly connection: Connection
    readonly ports: Ports
  }
  | { readonly _tag: "Unusable"; readonly row: Row | undefined; readonly reason: ProviderNotConfigured }

type Ports = Effect.Effect<(model: string) => Pick<Provider, "jobs" | "responses" | "completions">>

interface Found {
  readonly provider: string | undefined
  readonly model: string
  readonly entry: Entry
}

const rows: ReadonlyMap<string, Row> = new Map(providerTable.map((row) => [row.prefix, row]))

const build = Effect.fnUntraced(function*(settings: Settings, environment: ReadonlyArray<Row>) {
  const provided = yield* Effect.serviceOption(Transport.Transport)
  const transport = Option.isSome(provided) ? provided.value : yield* Transport.make()
  const entries = new Map<string, Entry>()
  const add = (row: Row | undefined, connection: ReturnType<typeof connect>): Entry =>
    Result.match(connection, {
      onFailure: (reason): Entry => ({ _tag: "Unusable", row, reason }),
      onSuccess: (connection): Entry => ({ _tag: "Connected", row, connection, ports: toPorts(connection, transport) })
    })
  for (const row of environment) {
    const own = settings[row.prefix] ?? {}
    if (typeof own === "function") continue
    entries.set(row.prefix, add(row, connect(row.prefix, row, own, yield* fromEnvironment(row))))
  }
  for (const [name, own] of Object.entries(settings)) {
    if (typeof own === "function") entries.set(name, { _tag: "Custom", make: own })
    else if (!entries.has(name)) entries.set(name, add(rows.get(name), connect(name, rows.get(name), own)))
  }
  return Providers.of({
    resolve: (model) => Effect.suspend(() => resolve(find(model, entries))),
    describe: (model) => describe(find(model, entries))
  })
})

const validate = (name: string, settings: Settings): void => {
  const refuse = (message: string): never => {
    throw new RangeError(`Providers.${name}: ${message}`)
  }
  for (const [prefix, own] of Object.entries(settings)) {
    if (!/^[^\sA-Z/]+$/.test(prefix)) {
      refuse(`a prefix must be lower case without whitespace and slash, got ${JSON.stringify(prefix)}`)
    }
    if (typeof own === "function") continue
    if (!rows.has(prefix) && (own.baseUrl ?? "").trim() === "") {
      refuse(`${prefix}.baseUrl must be given, as ${prefix} is no known provider`)
    }
    // The error of `Headers` would quote the value, which may be a secret.
    if (Result.isFailure(Result.try(() => new Headers(own.headers)))) {
      refuse(`${prefix}.headers must be valid header names and values`)
    }
  }
}

const find = (text: string, entries: ReadonlyMap<string, Entry>): Found => {
  const slash = text.indexOf("/")
  const prefix = text.slice(0, Math.max(slash, 0)).trim().toLowerCase()
  const own = rows.has(prefix) ? undefined : entries.get(prefix)
  if (own !== undefined) return { provider: prefix, model: text.slice(slash + 1).trim(), entry: own }
  const { name, provider } = ModelCatalog.parse(text)
  const entry = provider === undefined ? undefined : entries.get(provider)
  return { provider, model: name, entry: entry ?? unusable(unknownMessage(provider, name, prefix), provider) }
}

const unusable = (message: string, provider: string | undefined): Entry => ({
  _tag: "Unusable",
  row: rows.get(provider ?? ""),
  reason: new ProviderNotConfigured({ message, provider })
})

const unknownMessage = (provider: string | undefined, name: string, prefix: string): string => {
  if (provider !== undefined) return `${provider} is not configured; add it to the settings of Providers.layer`
  const model = JSON.stringify(name.slice(0, 200))
  return prefix === ""
    ? `No provider is known for the model ${model}; write provider/model, such as openai/${name.slice(0, 200)}`
    : `No provider is known for the model ${model}; write a known prefix before it, such as openrouter/` +
      `${name.slice(0, 200)}, or add ${prefix.slice(0, 200)} to the settings of Providers.layer`
}

const resolve = ({ entry, model, provider }: Found): Effect.Effect<Provider, ProviderError> => {
  if (entry._tag === "Unusable") return refused(entry.reason)
  if (model === "") {
    return refused(new InvalidRequest({ message: "The model's name has only a prefix", param: "model", provider }))
  }
  if (entry._tag === "Custom") return Effect.sync(() => entry.make(model))
  const { baseUrl, name, organization, project } = entry.connection
  return Effect.map(entry.ports, (ports) => ({ name, model, baseUrl, organization, project, ...ports(model) }))
}

const refused = (reason: InvalidRequest | ProviderNotConfigured): Effect.Effect<never, ProviderError> =>
  Effect.fail(new ProviderError({ verdict: { _tag: "NonRetryable", reason }, evidence: "NotSent" }))

const describe = ({ entry, model, provider }: Found): Description => {
  const custom = entry._tag === "Custom" ? entry.make(model) : undefined
  const row = entry._tag === "Custom" ? undefined : entry.row
  const { background = false, completions = false, responses = false } = entry._tag === "Connected"
    ? entry.connection
    : {}
  return {
    provider,
    model,
    baseUrl: custom?.baseUrl ?? (entry._tag === "Connected" ? entry.connection.baseUrl : undefined),
    keyVariables: row?.keyVariables ?? [],
    hasKey: entry._tag === "Connected" && entry.connection.apiKey !== undefined,
    configured: entry._tag !== "Unusable",
    problem: entry._tag === "Unusable" ? entry.reason.message : undefined,
    offers: {
      jobs: custom?.jobs !== undefined || background,
      responses: custom?.responses !== undefined || responses,
      completions: custom?.completions !== undefined || completions
    }
  }
}

const toPorts = (connection: Connection, transport: Transport.Transport["Service"]): Ports => {
  let made: Effect.Success<Ports> | undefined
  const make = connection.protocol === "anthropic" ? anthropicPorts : openAiPorts
  return Effect.suspend(() =>
    made !== undefined ? Effect.succeed(made) : Effect.map(make(connection, transport), (ports) => made ??= ports)
  )
}

const anthropicPorts = (connection: Connection, { fetch, fetchFresh }: Transport.Transport["Service"]): Ports =>
  Effect.map(Anthropic.make({ ...connection, fetch, fetchFresh }), (portsOf) => (model) => ({
    ...portsOf(model),
    completions: connection.completions ? portsOf(model).completions : undefined
  }))

// One host may have its Responses API at another address than its Chat Completions.
const openAiPorts = (connection: Connection, { fetch, fetchFresh }: Transport.Transport["Service"]): Ports => {
  const options = { ...connection, responsesApi: connection.responses, fetch, fetchFresh }
  const { background, interactionsBaseUrl: baseUrl } = connection
  const interactions = baseUrl !== undefined && background
    ? GeminiInteractions.make({ ...connection, baseUrl, fetch, fetchFresh })
    : undefined
  return Effect.gen(function*() {
    const chat = yield* OpenAi.make(options)
    const responses = connection.responsesBaseUrl === connection.baseUrl
      ? chat
      : yield* OpenAi.make({ ...options, baseUrl: connection.responsesBaseUrl })
    return (model) => ({
      ...responses(model),
      ...(interactions === undefined ? undefined : { jobs: interactions(model) }),
      completions: connection.completions ? chat(model).completions : undefined
    })
  })
}
