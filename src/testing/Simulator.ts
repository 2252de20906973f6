/**
 * A provider on this machine: a real HTTP server that speaks the OpenAI Responses and Chat Completions APIs (under
 * Azure's paths too), Anthropic's Messages and Message Batches and Gemini's Interactions, does wrong what a script
 * tells it to, and keeps a ledger of all it saw.
 *
 * @since 0.1.0
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { failure } from "./simulator/ControlEndpoints.ts"
import * as HttpServer from "./simulator/HttpServer.ts"
import type { Job, Ledger } from "./simulator/Ledger.ts"
import * as Remote from "./simulator/Remote.ts"
import type { Rule } from "./simulator/Script.ts"
import * as Settings from "./simulator/Settings.ts"

/**
 * Options for `layer`.
 *
 * @category options
 * @since 0.1.0
 */
export type Options = Settings.Options

/**
 * Service that stands for one simulated provider, in this process (`layer`) or in another one (`layerRemote`).
 *
 * **Example** (A client of the simulator)
 *
 * `new OpenAI({ apiKey: "sim", baseURL: simulator.openAiBaseUrl, maxRetries: 0 })`
 *
 * @category services
 * @since 0.1.0
 */
export class Simulator extends Context.Service<Simulator, {
  /** The origin, such as `http://127.0.0.1:49152`. */
  readonly url: string
  /** The base URL for OpenAI clients: the origin and `/v1`. */
  readonly openAiBaseUrl: string
  /** The base URL for Anthropic clients: the origin. */
  readonly anthropicBaseUrl: string
  /** The base URL for OpenAI clients of Gemini: the origin and `/v1beta/openai`; its Interactions are under `/v1beta`. */
  readonly geminiBaseUrl: string
  /** The `endpoint` of Azure clients: the origin. */
  readonly azureEndpoint: string
  /**
   * Adds rules behind those in force, or replaces all of them. Dies with a `RangeError` for rules that are none.
   */
  readonly script: (
    rules: ReadonlyArray<Rule>,
    options?: { readonly replace?: boolean | undefined }
  ) => Effect.Effect<void>
  /** All that was seen since the start or the last `reset`. */
  readonly ledger: Effect.Effect<Ledger>
  /** The accepted jobs and answers as they are now, oldest first. */
  readonly jobs: Effect.Effect<ReadonlyArray<Job>>
  /** Ends a job now, with the outcome it would have had. `false` when it has ended already, or there is none. */
  readonly finish: (jobId: string) => Effect.Effect<boolean>
  /** Makes a job fail now. `false` when it has ended already, or there is none. */
  readonly fail: (
    jobId: string,
    error?: { readonly code?: string | undefined; readonly message?: string | undefined }
  ) => Effect.Effect<boolean>
  /** Forgets jobs and ledger, and restores the first script. */
  readonly reset: Effect.Effect<void>
}>()("holdfast/testing/Simulator") {}

/**
 * Provides `Simulator`: starts a server on 127.0.0.1 and stops it with the layer.
 *
 * **Details**
 *
 * Jobs live in the memory of this process and run by the wall clock, also under a `TestClock`; with
 * `completeAfterPolls` they run by polls, so that no test has to wait. A stream of such a job has all its events at
 * once, and ends the job when it was read to its end.
 *
 * **Errors**
 *
 * - `SimulatorError` when the port is taken.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for an option out of range.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Simulator, HttpServer.SimulatorError> => {
  const checked = Settings.check(options)
  return Layer.effect(Simulator, Effect.map(HttpServer.start(checked), local))
}

/**
 * Provides `Simulator` over HTTP, for a simulator that another process runs at `url` (its origin).
 *
 * **Gotchas**
 *
 * Nothing is sent when the layer is built. A simulator that cannot be reached, or that refuses a script, is a defect.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRemote = (url: string): Layer.Layer<Simulator> =>
  Layer.effect(Simulator, Effect.map(Remote.make(url), (remote) => Simulator.of({ ...addresses(url), ...remote })))

export { SimulatorError } from "./simulator/HttpServer.ts"

export { Call, Delivery, Ended, Job, Ledger, Submission } from "./simulator/Ledger.ts"

export { type HostFault } from "./simulator/HostFault.ts"

export {
  Action,
  CannedError,
  Endpoint,
  type JobAction,
  Outcome,
  Rule,
  Rules,
  UsageOverride,
  type WebhookAction
} from "./simulator/Script.ts"

const addresses = (origin: string) => {
  const url = origin.replace(/\/+$/, "")
  return {
    url,
    openAiBaseUrl: `${url}/v1`,
    anthropicBaseUrl: url,
    geminiBaseUrl: `${url}/v1beta/openai`,
    azureEndpoint: url
  }
}

const local = ({ controls, url }: Effect.Success<ReturnType<typeof HttpServer.start>>): Simulator["Service"] =>
  Simulator.of({
    ...addresses(url),
    script: (rules, options) =>
      Effect.sync(() =>
        controls.script(Settings.checkRules("Simulator.script: rules", rules), options?.replace ?? false)
      ),
    ledger: Effect.sync(controls.ledger),
    jobs: Effect.sync(() => controls.ledger().jobs),
    finish: (jobId) => Effect.sync(() => controls.finish(jobId)),
    fail: (jobId, error) => Effect.sync(() => controls.fail(jobId, failure(error ?? {}))),
    reset: Effect.sync(controls.reset)
  })
