/**
 * Resumable LLM responses for Effect.
 *
 * @since 0.1.0
 */
export * as ProviderError from "./errors/ProviderError.ts"
export * as Reason from "./errors/Reason.ts"
export * as SessionStoreError from "./errors/SessionStoreError.ts"
export * as StrategyError from "./errors/StrategyError.ts"
export * as Provider from "./services/Provider.ts"
export * as ResponseRequest from "./services/ResponseRequest.ts"
export * as Session from "./services/Session.ts"
export * as SessionStore from "./services/SessionStore.ts"
