/**
 * Resumable LLM responses for Effect.
 *
 * @since 0.1.0
 */
export * as ProviderError from "./errors/ProviderError.ts"
export * as Reason from "./errors/Reason.ts"
export * as SessionStoreError from "./errors/SessionStoreError.ts"
export * as StrategyError from "./errors/StrategyError.ts"
export * as Usage from "./errors/Usage.ts"
export * as Holdfast from "./Holdfast.ts"
export * as LlmResponse from "./services/LlmResponse.ts"
export * as ModelCatalog from "./services/ModelCatalog.ts"
export * as Provider from "./services/Provider.ts"
export * as Providers from "./services/Providers.ts"
export * as ResponseRequest from "./services/ResponseRequest.ts"
export * as Session from "./services/Session.ts"
export * as SessionStore from "./services/SessionStore.ts"
export * as BackgroundJob from "./strategies/BackgroundJob.ts"
export * as Completions from "./strategies/Completions.ts"
export * as Recovery from "./strategies/Recovery.ts"
export * as ResponseStrategy from "./strategies/ResponseStrategy.ts"
export * as Schedules from "./strategies/Schedules.ts"
export * as SessionProgress from "./strategies/SessionProgress.ts"
export * as SessionRuns from "./strategies/SessionRuns.ts"
export * as Sessions from "./strategies/Sessions.ts"
export * as StrategySelector from "./strategies/StrategySelector.ts"
export * as SyncRetry from "./strategies/SyncRetry.ts"
