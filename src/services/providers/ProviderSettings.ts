/**
 * How a provider is reached: from a row of the table, the environment and
 * explicit settings to one checked connection.
 *
 * @since 0.1.0
 */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { ProviderError } from "../../errors/ProviderError.ts"
import { AuthenticationFailed, ProviderNotConfigured } from "../../errors/Reason.ts"
import type * as Limits from "../Limits.ts"
import * as Failure from "./internal/Failure.ts"
import { providerTable, type Row } from "./ProviderTable.ts"

/**
 * Explicit settings of one provider.
 *
 * @category options
 * @since 0.1.0
 */
export interface ProviderSettings {
  /**
   * The key, or an effect that makes a token, run for each call. Surrounding
   * whitespace is dropped, and an empty key is none. An effect that fails with
   * a `ProviderError` fails the call with it, any other failure is
   * `AuthenticationFailed`.
   */
  readonly apiKey?: Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, Error> | undefined
  /**
   * The address before `/chat/completions` and `/responses` (for Anthropic's
   * protocol: before `/v1/messages`). Gemini's `/interactions` are beside its
   * last segment if that is `openai`, else below it.
   *
   * @default the table's; a provider of your own must have one
   */
  readonly baseUrl?: string | undefined
  /** The region, for Amazon Bedrock. */
  readonly region?: string | undefined
  /** Sent as `OpenAI-Organization`. */
  readonly organization?: string | undefined
  /** Sent as `OpenAI-Project`. */
  readonly project?: string | undefined
  /**
   * The api-version of Azure's older surface.
   *
   * @default none: Azure's v1 surface, which has no versions
   */
  readonly apiVersion?: string | undefined
  /** Further headers of each request. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /**
   * The wire protocol.
   *
   * @default "openai", or the table's
   */
  readonly protocol?: "openai" | "anthropic" | undefined
  /**
   * The header that carries the key.
   *
   * @default "bearer", or the table's
   */
  readonly authHeader?: "bearer" | "api-key" | undefined
  /**
   * Whether the server has a Responses endpoint.
   *
   * @default false, or the table's
   */
  readonly responses?: boolean | undefined
  /**
   * Whether the server really runs background jobs: Responses, Anthropic's
   * message batches, Gemini's interactions. Say so only if a job can be polled
   * after its connection is gone: several servers accept `background` and ignore
   * it. It needs `responses`, but for `gemini` and Anthropic's protocol.
   *
   * @default false, or the table's
   */
  readonly background?: boolean | undefined
  /**
   * Whether the server has a Chat Completions or Messages endpoint.
   *
   * @default true
   */
  readonly completions?: boolean | undefined
  /**
   * How long this account's jobs are kept, where that is not the usual: `"10 minutes"` with zero data retention at
   * OpenAI, `"55 days"` in Gemini's paid tier. `inspect` shows it, `recover` goes by it, and a job that is missing
   * later has expired.
   *
   * @default the provider's: OpenAI and Azure 30 days, Anthropic's batches 29 days, Gemini 1 day
   */
  readonly retention?: Duration.Input | undefined
  /** The limits of this account; what it does not say is as for all providers. */
  readonly limits?: Limits.Options | undefined
}

/**
 * All that an adapter needs to reach a provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  readonly name: string
  readonly protocol: "openai" | "anthropic"
  /** Without credentials, query, fragment and trailing slash. */
  readonly baseUrl: string
  /** Where the Responses API is. */
  readonly responsesBaseUrl: string
  /** Where background jobs are, if they are Gemini's interactions. */
  readonly interactionsBaseUrl: string | undefined
  readonly apiKey: Redacted.Redacted<string> | Effect.Effect<Redacted.Redacted<string>, ProviderError> | undefined
  readonly authHeader: "bearer" | "api-key"
  readonly apiVersion: string | undefined
  readonly organization: string | undefined
  readonly project: string | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly retention: Duration.Duration | undefined
  readonly completions: boolean
  readonly responses: boolean
  readonly background: boolean
  /** Whether its Responses report an answer that was cut at its limit as complete. */
  readonly hidesLimit: boolean
}

/**
 * Settings that the environment holds for one provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface FromEnvironment {
  readonly settings: ProviderSettings
  /** The variable that the base URL is from. */
  readonly baseUrlVariable: string | undefined
  /** The variable that the key is from. */
  readonly keyVariable: string | undefined
  /** A variable whose value could not be read. */
  readonly unreadable: string | undefined
}

/**
 * Reads what the environment holds for one provider.
 *
 * **Details**
 *
 * Values are trimmed; empty ones count as missing. The api-versions `v1`,
 * `preview` and `latest` mean Azure's v1 surface.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromEnvironment = Effect.fnUntraced(function*(row: Row): Effect.fn.Return<FromEnvironment> {
  const baseUrl = yield* firstOf(row.baseUrlVariables)
  const apiKey = yield* firstOf(row.keyVariables)
  const region = yield* firstOf(row.regionVariables)
  const apiVersion = yield* firstOf(row.apiVersionVariables)
  const organization = yield* firstOf(row.organizationVariable === undefined ? [] : [row.organizationVariable])
  const project = yield* firstOf(row.projectVariable === undefined ? [] : [row.projectVariable])
  return {
    settings: {
      baseUrl: plain(baseUrl),
      apiKey: apiKey.value,
      region: plain(region),
      apiVersion: unversioned.has(plain(apiVersion) ?? "") ? undefined : plain(apiVersion),
      organization: plain(organization),
      project: plain(project)
    },
    baseUrlVariable: baseUrl.variable,
    keyVariable: apiKey.variable,
    unreadable: [baseUrl, apiKey, region, apiVersion, organization, project].find(({ isUnreadable }) => isUnreadable)
      ?.variable
  }
})

/**
 * Returns the connection that settings describe.
 *
 * **Details**
 *
 * A key is optional where the table says so, for a provider of the user's own,
 * when the base URL leads to another host than the vendor's, and on this
 * machine.
 *
 * **Errors**
 *
 * `ProviderNotConfigured`, with the variable to set if `environment` is given,
 * for a missing key, base URL or region, and for one that no request could
 * carry. No value is quoted.
 *
 * @category constructors
 * @since 0.1.0
 */
export const connect = (
  name: string,
  row: Row | undefined,
  explicit: ProviderSettings,
  environment?: FromEnvironment | undefined
): Result.Result<Connection, ProviderNotConfigured> =>
  Result.mapError(
    Result.gen(function*() {
      const settings: ProviderSettings = { ...environment?.settings, ...defined(explicit) }
      if (environment?.unreadable !== undefined) {
        yield* Result.fail<Problem>({ variable: environment.unreadable, says: "cannot be read" })
      }
      const keyVariable = explicit.apiKey === undefined ? environment?.keyVariable : undefined
      const baseUrlVariable = explicit.baseUrl === undefined ? environment?.baseUrlVariable : undefined
      const apiKey = yield* toKey(name, settings.apiKey, keyVariable)
      if (apiKey === undefined && row?.key === "token") yield* Result.fail<Problem>({ lacks: "access token" })
      const standard = standardUrl(row, settings.region)
      const url = yield* toUrl(settings, standard, row, baseUrlVariable)
      if (apiKey === undefined && row?.key === "required" && isVendor(url, standard)) {
        yield* Result.fail<Problem>({ lacks: "key", variable: row.keyVariables[0] })
      }
      const baseUrl = withPath(url, row, settings.apiVersion)
      const protocol = settings.protocol ?? row?.protocol ?? "openai"
      const responses = settings.responses ?? row?.responses ?? false
      const interactionsBaseUrl = row?.interactionsBaseUrl === undefined || protocol !== "openai" || responses
        ? undefined
        : isPresent(settings.baseUrl)
        ? baseUrl.replace(/\/openai$/, "")
        : row.interactionsBaseUrl
      return {
        name,
        protocol,
        baseUrl,
        responsesBaseUrl: isPresent(settings.baseUrl) ? baseUrl : row?.responsesBaseUrl ?? baseUrl,
        interactionsBaseUrl,
        apiKey,
        authHeader: settings.authHeader ?? row?.authHeader ?? "bearer",
        apiVersion: baseUrl.endsWith("/v1") ? undefined : settings.apiVersion,
        organization: settings.organization,
        project: settings.project,
        headers: settings.headers,
        retention: settings.retention === undefined ? undefined : Duration.fromInputUnsafe(settings.retention),
        completions: settings.completions ?? true,
        responses,
        background: (responses || protocol === "anthropic" || interactionsBaseUrl !== undefined) &&
          (settings.background ?? row?.background ?? false),
        hidesLimit: row === undefined ? !vendorDomains.has(domainOf(url.hostname)) : row.hidesLimit === true
      }
    }),
    (problem) => toReason(name, row, problem, environment !== undefined)
  )

interface Problem {
  /** What is missing, or else `says`. */
  readonly lacks?: string | undefined
  /** What is wrong with the value. */
  readonly says?: string | undefined
  /** The variable to set. */
  readonly variable?: string | undefined
}

const toReason = (
  name: string,
  row: Row | undefined,
  { lacks, says, variable }: Problem,
  isEnvironment: boolean
): ProviderNotConfigured => {
  const remedy = isEnvironment && variable !== undefined ? `set ${variable}` : "give it in Providers.layer"
  const statement = lacks !== undefined
    ? `${name} has no ${lacks}${row?.key === "token" ? "" : `; ${remedy}`}`
    : `${variable ?? name} ${says}`
  return new ProviderNotConfigured({
    message: row?.hint === undefined ? statement : `${statement}; ${row.hint}`,
    provider: name,
    variable: isEnvironment ? variable : undefined
  })
}

const unversioned: ReadonlySet<string> = new Set(["v1", "preview", "latest"])

interface Variable {
  readonly variable: string | undefined
  readonly value: Redacted.Redacted<string> | undefined
  readonly isUnreadable: boolean
}

const firstOf = Effect.fnUntraced(function*(variables: ReadonlyArray<string>): Effect.fn.Return<Variable> {
  for (const variable of variables) {
    const read = yield* Effect.result(Config.option(Config.Redacted(variable)))
    if (Result.isFailure(read)) return { variable, value: undefined, isUnreadable: true }
    const value = trimmed(Option.getOrUndefined(read.success))
    if (value !== undefined) return { variable, value, isUnreadable: false }
  }
  return { variable: undefined, value: undefined, isUnreadable: false }
})

const plain = ({ value }: Variable): string | undefined => value === undefined ? undefined : Redacted.value(value)

const isPresent = (text: string | undefined): text is string => text !== undefined && text.trim() !== ""

const defined = (settings: ProviderSettings): ProviderSettings =>
  Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined))

const trimmed = (key: Redacted.Redacted<string> | undefined): Redacted.Redacted<string> | undefined => {
  const text = key === undefined ? "" : Redacted.value(key).trim()
  return text === "" ? undefined : Redacted.make(text)
}

const isHeaderValue = (key: Redacted.Redacted<string>): boolean => /^[\x21-\x7e]+$/.test(Redacted.value(key))

const unusable = "holds characters that no header can carry"

const toKey = (
  name: string,
  apiKey: ProviderSettings["apiKey"],
  variable: string | undefined
): Result.Result<Connection["apiKey"], Problem> => {
  if (Effect.isEffect(apiKey)) return Result.succeed(freshToken(name, apiKey))
  const key = trimmed(apiKey)
  return key === undefined || isHeaderValue(key)
    ? Result.succeed(key)
    : Result.fail({ variable, says: variable === undefined ? `has a key that ${unusable}` : unusable })
}

// What a token's effect fails with is kept out of the error: nobody knows what it quotes.
const freshToken = (
  name: string,
  token: Effect.Effect<Redacted.Redacted<string>, Error>
): Effect.Effect<Redacted.Redacted<string>, ProviderError> => {
  const failed = (message: string) => Failure.notSent(new AuthenticationFailed({ message, provider: name }))
  return token.pipe(
    Effect.mapError((error) =>
      error instanceof ProviderError ? error : failed(`${name}'s access token could not be made`)
    ),
    Effect.map(trimmed),
    Effect.filterOrFail(
      (key): key is Redacted.Redacted<string> => key !== undefined && isHeaderValue(key),
      () => failed(`${name}'s access token is empty or ${unusable}`)
    )
  )
}

const standardUrl = (row: Row | undefined, region: string | undefined): string | undefined => {
  if (row?.baseUrl?.includes("{region}") !== true) return row?.baseUrl
  const name = region?.trim() ?? ""
  return /^[a-z0-9-]+$/.test(name) ? row.baseUrl.replace("{region}", name) : undefined
}

const toUrl = (
  { baseUrl }: ProviderSettings,
  standard: string | undefined,
  row: Row | undefined,
  variable: string | undefined
): Result.Result<URL, Problem> => {
  const text = isPresent(baseUrl) ? baseUrl.trim() : standard
  if (text === undefined) {
    return Result.fail(
      row?.baseUrl === undefined
        ? { lacks: "base URL", variable: row?.baseUrlVariables[0] }
        : { lacks: "valid region", variable: row.regionVariables[0] }
    )
  }
  const url = URL.parse(text)
  const isUsable = url !== null && /^https?:$/.test(url.protocol) &&
    url.username + url.password + url.search + url.hash === ""
  const rule = "must be an http or https URL without credentials, query and fragment"
  return isUsable
    ? Result.succeed(url)
    : Result.fail({ variable, says: variable === undefined ? `has a base URL that ${rule}` : rule })
}

const isVendor = (url: URL, standard: string | undefined): boolean =>
  standard === undefined ? !loopback.test(url.hostname) : url.host === new URL(standard).host

const loopback = /^(?:localhost|127(?:\.\d+){3}|\[::1\])$/

/** The last two labels of a host: those of the vendors' hosts, regions and tenants of which come before them. */
const domainOf = (host: string): string => host.split(".").slice(-2).join(".")

/** Domains of vendors that report their limits, also under a prefix of the user's own. */
const vendorDomains: ReadonlySet<string> = new Set([
  "azure.com",
  ...providerTable.flatMap(({ baseUrl, hidesLimit }) =>
    baseUrl === undefined || hidesLimit === true
      ? []
      : [domainOf(new URL(baseUrl.replace("{region}", "region")).hostname)]
  )
])

const withPath = (url: URL, row: Row | undefined, apiVersion: string | undefined): string => {
  const path = url.pathname.replace(/\/+$/, "")
  const isVersioned = row?.prefix === "azure" && apiVersion !== undefined
  const full = isVersioned && path === "" ? "/openai" : path === "" ? row?.path ?? "" : path
  return url.origin + (row?.prefix === "azure" && !isVersioned && full === "/openai" ? "/openai/v1" : full)
}
