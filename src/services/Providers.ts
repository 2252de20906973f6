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
 * **Example** (Limits for all providers, and others for one)
 *
 * ```ts
 * Providers.layerConfigWith(
 *   { openai: { limits: { requestsPerMinute: 500, tokensPerMinute: 200_000 } } },
 *   { limits: { concurrency: 50, circuitBreaker: true } }
 * )
 * ```
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { createHash } from "node:crypto"
import { ProviderError } from "../errors/ProviderError.ts"
import { InvalidRequest, ProviderNotConfigured } from "../errors/Reason.ts"
import * as ConnectedPorts from "./internal/ConnectedPorts.ts"
import * as Limits from "./Limits.ts"
import * as ModelCatalog from "./ModelCatalog.ts"
import type { Provider } from "./Provider.ts"
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
 * Options for all providers together.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The limits of each account. What a provider's own `limits` say wins, option by option.
   *
   * @default only a retry budget
   */
  readonly limits?: Limits.Options | undefined
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
 * whitespace or a slash, for a provider of your own without `baseUrl`, for
 * `headers` that no request can carry, and for limits or a `retention` out of
 * their range.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  settings: Settings,
  options: Options = {}
): Effect.Effect<Providers["Service"], never, Scope.Scope> => {
  validate("make", settings, options)
  return build(settings, options, [])
}

/**
 * Provides `Providers`, built by `make`: only what is in `settings` can be used.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (settings: Settings, options: Options = {}): Layer.Layer<Providers> => {
  validate("layer", settings, options)
  return Layer.effect(Providers, build(settings, options, []))
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
export const layerConfigWith = (settings: Settings, options: Options = {}): Layer.Layer<Providers> => {
  validate("layerConfigWith", settings, options)
  return Layer.effect(Providers, build(settings, options, providerTable))
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
  Effect.suspend(() => build({}, {}, providerTable))
)

type Entry =
  /** Makes its providers by itself. */
  | { readonly _tag: "Custom"; readonly make: (model: string) => Provider; readonly limits: LimitsOf }
  | {
    readonly _tag: "Connected"
    readonly row: Row | undefined
    readonly connection: Connection
    readonly ports: (model: string) => Effect.Effect<ConnectedPorts.Ports>
    readonly limits: LimitsOf
  }
  | { readonly _tag: "Unusable"; readonly row: Row | undefined; readonly reason: ProviderNotConfigured }

/** Made when the account is first used. */
type LimitsOf = Effect.Effect<Limits.Limits>

interface Found {
  readonly provider: string | undefined
  readonly model: string
  readonly entry: Entry
}

const rows: ReadonlyMap<string, Row> = new Map(providerTable.map((row) => [row.prefix, row]))

const build = Effect.fnUntraced(function*(
  settings: Settings,
  options: Options,
  environment: ReadonlyArray<Row>
) {
  const provided = yield* Effect.serviceOption(Transport.Transport)
  const transport = Option.isSome(provided) ? provided.value : yield* Transport.make()
  const entries = new Map<string, Entry>()
  const scope = yield* Effect.scope
  const stores = yield* Effect.context()
  const limitsOf = (account: Limits.AccountName, own: Limits.Options | undefined): Effect.Effect<LimitsOf> =>
    Limits.make(account, { ...options.limits, ...defined(own) }).pipe(
      Effect.provideService(Scope.Scope, scope),
      Effect.provideContext(stores),
      // Whoever comes first makes it for all, and may leave meanwhile.
      Effect.uninterruptible,
      Effect.cached
    )
  const add = Effect.fnUntraced(function*(
    row: Row | undefined,
    result: ReturnType<typeof connect>,
    own: ProviderSettings
  ): Effect.fn.Return<Entry> {
    if (Result.isFailure(result)) return { _tag: "Unusable", row, reason: result.failure }
    const connection = result.success
    const limits = yield* limitsOf({ provider: connection.name, key: accountKey(connection) }, own.limits)
    return { _tag: "Connected", row, connection, ports: ConnectedPorts.make(connection, transport, limits), limits }
  })
  for (const row of environment) {
    const own = settings[row.prefix] ?? {}
    if (typeof own === "function") continue
    const connection = connect(row.prefix, row, own, yield* fromEnvironment(row))
    entries.set(row.prefix, yield* add(row, connection, own))
  }
  for (const [name, own] of Object.entries(settings)) {
    if (typeof own === "function") {
      const limits = yield* limitsOf({ provider: name, key: `holdfast/${name}` }, undefined)
      entries.set(name, { _tag: "Custom", make: own, limits })
    } else if (!entries.has(name)) {
      entries.set(name, yield* add(rows.get(name), connect(name, rows.get(name), own), own))
    }
  }
  return Providers.of({
    resolve: (model) => Effect.suspend(() => resolve(find(model, entries))),
    describe: (model) => describe(find(model, entries))
  })
})

const validate = (name: string, settings: Settings, { limits = {} }: Options): void => {
  Limits.validate(`Providers.${name}: limits`, limits)
  const refuse = (message: string): never => {
    throw new RangeError(`Providers.${name}: ${message}`)
  }
  for (const [prefix, own] of Object.entries(settings)) {
    if (!/^[^\sA-Z/]+$/.test(prefix)) {
      refuse(`a prefix must be lower case without whitespace and slash, got ${JSON.stringify(prefix)}`)
    }
    if (typeof own === "function") continue
    Limits.validate(`Providers.${name}: ${prefix}.limits`, own.limits ?? {})
    const retention = Duration.fromInput(own.retention ?? Duration.infinity)
    if (Option.isNone(retention) || !Duration.isPositive(retention.value)) {
      refuse(`${prefix}.retention must be a duration of more than zero`)
    }
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
  if (entry._tag === "Custom") return Effect.map(entry.limits, ({ apply }) => apply(entry.make(model)))
  const { baseUrl, name, organization, project } = entry.connection
  return Effect.zipWith(
    entry.limits,
    entry.ports(model),
    ({ apply }, ports) => apply({ name, model, baseUrl, organization, project, ...ports })
  )
}

// The same in every process with the same key; the hash of a key is none.
const accountKey = ({ apiKey, baseUrl, name, organization, project }: Connection): string => {
  const identity = [
    baseUrl,
    organization ?? "",
    project ?? "",
    Redacted.isRedacted(apiKey) ? Redacted.value(apiKey) : ""
  ]
  return `holdfast/${name}/${createHash("sha256").update(JSON.stringify(identity)).digest("hex").slice(0, 16)}`
}

const defined = (limits: Limits.Options = {}): Limits.Options =>
  Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined))

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
