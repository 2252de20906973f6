/**
 * For tests: the provider simulator, and a provider that answers from a script.
 *
 * @since 0.1.0
 */

export * as ScriptedProvider from "./ScriptedProvider.ts"
export * as SessionStoreSuite from "./SessionStoreSuite.ts"
export * as Simulator from "./Simulator.ts"
