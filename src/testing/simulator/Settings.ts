/**
 * The options of a simulator.
 *
 * @since 0.1.0
 */
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Answer from "./Answer.ts"
import { portable, Rule } from "./Script.ts"
import type { Settings } from "./World.ts"

/**
 * Options of a simulator.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * TCP port on 127.0.0.1, in [0, 65535]; 0 takes a free one.
   *
   * @default 0
   */
  readonly port?: number | undefined
  /**
   * How long a background job, a batch or a background interaction takes, from its acceptance, by the wall clock.
   *
   * @default "2 seconds"
   */
  readonly jobDuration?: Duration.Input | undefined
  /**
   * How much of `jobDuration` a job is queued; never more than all of it.
   *
   * @default "200 millis"
   */
  readonly queuedDuration?: Duration.Input | undefined
  /**
   * The poll (from 1) that sees the end of a job; time then plays no part. Of n polls the first n - 1 see it running.
   *
   * @default undefined (time decides)
   */
  readonly completeAfterPolls?: number | undefined
  /**
   * How long synchronous calls take, streamed ones too.
   *
   * @default 0
   */
  readonly answerDuration?: Duration.Input | undefined
  /**
   * The keys that are accepted.
   *
   * @default undefined (any key that is not empty)
   */
  readonly apiKeys?: ReadonlyArray<string> | undefined
  /**
   * The answer to a prompt, where the script does not say.
   *
   * @default the first 60 characters of the prompt and its length; the simplest JSON that fits the request's schema
   */
  readonly answer?: ((prompt: string) => string) | undefined
  /**
   * The first script; `reset` restores it.
   *
   * @default []
   */
  readonly script?: ReadonlyArray<Rule> | undefined
  /**
   * Integer seed of ids and probabilities.
   *
   * @default 1
   */
  readonly seed?: number | undefined
  /**
   * Sent as `openai-poll-after-ms` when a response that is not finished is retrieved.
   *
   * @default undefined (not sent)
   */
  readonly pollHint?: Duration.Input | undefined
  /**
   * For how long after its creation a response's stream can be opened; later, with 0 never,
   * it is refused with 400.
   *
   * @default undefined (always)
   */
  readonly streamWindow?: Duration.Input | undefined
  /**
   * Sent as `retry-after`, in whole seconds (rounded up), when a batch that is not finished is retrieved.
   *
   * @default "10 seconds"
   */
  readonly batchPollHint?: Duration.Input | undefined
  /**
   * Where webhooks are sent when background responses and interactions end, and what they are signed with: `whsec_` and
   * base64, or any text. What is not answered with 2xx is sent up to five times.
   *
   * @default undefined (none are sent)
   */
  readonly webhooks?: { readonly url: string; readonly secret: Redacted.Redacted<string> } | undefined
  /**
   * How many requests the ledger lists, the newest; at least 0. Counts and submissions are always complete.
   *
   * @default 10000
   */
  readonly keepCalls?: number | undefined
  /**
   * How many submissions keep their body (of at most 65,536 characters), the first ones; at least 0.
   *
   * @default 1000
   */
  readonly keepBodies?: number | undefined
}

/**
 * Options that were checked, with their defaults filled in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Checked {
  readonly settings: Settings
  readonly port: number
  readonly seed: number
  readonly rules: ReadonlyArray<Rule>
  readonly keepCalls: number
  readonly keepBodies: number
}

/**
 * Checks options.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` that names the option.
 *
 * @category constructors
 * @since 0.1.0
 */
export const check = (options: Options): Checked => ({
  port: integer("port", options.port ?? 0, 0, 65535),
  seed: integer("seed", options.seed ?? 1, Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER),
  rules: checkRules("Simulator.layer: script", options.script ?? []),
  keepCalls: integer("keepCalls", options.keepCalls ?? 10_000, 0, Number.MAX_SAFE_INTEGER),
  keepBodies: integer("keepBodies", options.keepBodies ?? 1000, 0, Number.MAX_SAFE_INTEGER),
  settings: {
    jobMillis: millis("jobDuration", options.jobDuration ?? "2 seconds"),
    queuedMillis: millis("queuedDuration", options.queuedDuration ?? "200 millis"),
    completeAfterPolls: options.completeAfterPolls === undefined
      ? undefined
      : integer("completeAfterPolls", options.completeAfterPolls, 1, Number.MAX_SAFE_INTEGER),
    answerMillis: millis("answerDuration", options.answerDuration ?? 0),
    apiKeys: options.apiKeys === undefined ? undefined : new Set(options.apiKeys),
    answer: options.answer ?? Answer.echo,
    pollHintMillis: options.pollHint === undefined ? undefined : millis("pollHint", options.pollHint),
    streamWindowMillis: options.streamWindow === undefined ? Infinity : millis("streamWindow", options.streamWindow),
    batchPollHintSeconds: Math.ceil(millis("batchPollHint", options.batchPollHint ?? "10 seconds") / 1000),
    webhooks: options.webhooks === undefined ? undefined : checkWebhooks(options.webhooks)
  }
})

/**
 * Checks rules, and returns them as plain JSON values.
 *
 * **Gotchas**
 *
 * Throws a `RangeError` for a rule that is none, or has fields that no rule has.
 *
 * @category constructors
 * @since 0.1.0
 */
export const checkRules = (field: string, rules: ReadonlyArray<Rule>): ReadonlyArray<Rule> => {
  const checked = rules.map(portable)
  const wrong = checked.findIndex((rule) => !isRule(rule))
  if (wrong === -1) return checked
  throw new RangeError(`${field} must hold rules, got another value at ${wrong}`)
}

const checkWebhooks = (webhooks: NonNullable<Options["webhooks"]>): NonNullable<Options["webhooks"]> => {
  if (URL.canParse(webhooks.url) && Redacted.value(webhooks.secret) !== "") return webhooks
  throw new RangeError("Simulator.layer: webhooks must have a url and a secret")
}

const decodeRule = Schema.decodeUnknownOption(Rule, { onExcessProperty: "error" })

const isRule = (rule: unknown): boolean => Option.isSome(decodeRule(rule))

const integer = (field: string, value: number, minimum: number, maximum: number): number => {
  if (Number.isInteger(value) && value >= minimum && value <= maximum) return value
  throw new RangeError(`Simulator.layer: ${field} must be an integer in [${minimum}, ${maximum}], got ${value}`)
}

const millis = (field: string, value: Duration.Input): number => {
  const duration = Option.getOrUndefined(Duration.fromInput(value))
  const result = duration === undefined ? NaN : Duration.toMillis(duration)
  if (Number.isFinite(result) && result >= 0) return result
  throw new RangeError(`Simulator.layer: ${field} must be a finite duration, got ${String(value)}`)
}
