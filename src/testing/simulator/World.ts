/**
 * The state of one simulator: its settings, its clock, its jobs.
 *
 * @since 0.1.0
 */
import type * as Redacted from "effect/Redacted"
import type { Answer } from "./Answer.ts"
import type { Call, Job as JobRecord, Submission } from "./Ledger.ts"
import type { JsonObject } from "./Json.ts"
import type { Progress } from "./Progress.ts"
import type { Api } from "./ProviderErrors.ts"
import type { Random } from "./Random.ts"
import type { Open, Recorder } from "./Recorder.ts"
import type { RuleBook } from "./RuleBook.ts"
import type { Action, JobAction } from "./Script.ts"

/**
 * The options of a simulator, with their defaults filled in.
 *
 * @category models
 * @since 0.1.0
 */
export interface Settings {
  readonly jobMillis: number
  readonly queuedMillis: number
  readonly completeAfterPolls: number | undefined
  readonly answerMillis: number
  readonly apiKeys: ReadonlySet<string> | undefined
  readonly answer: (prompt: string) => string
  readonly pollHintMillis: number | undefined
  readonly streamWindowMillis: number
  readonly batchPollHintSeconds: number
  readonly webhooks: { readonly url: string; readonly secret: Redacted.Redacted<string> } | undefined
}

/**
 * One simulated provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface World {
  readonly settings: Settings
  readonly random: Random
  readonly rules: RuleBook
  readonly recorder: Recorder
  readonly jobs: Map<string, Job>
  /** Milliseconds since the epoch, by the wall clock. */
  readonly now: () => number
  /** Runs a function after some milliseconds. Returns how to call it off. */
  readonly later: (millis: number, run: () => void) => () => void
  /** The origin under which the simulator is reached, without a slash at the end. */
  readonly url: string
}

/**
 * A request that was read and routed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Exchange {
  readonly api: Api
  readonly requestId: string
  readonly call: Open<Call>
  readonly submission: Open<Submission> | undefined
  readonly query: URLSearchParams
  readonly headers: Readonly<Record<string, string | Array<string> | undefined>>
  /** The id in the path, or empty. */
  readonly id: string
  /** The Azure deployment in the path, or empty. */
  readonly deployment: string
  readonly body: JsonObject
  /** The length of the body, in characters. */
  readonly length: number
  readonly actions: ReadonlyArray<Action>
}

/**
 * A job or an answer that was accepted.
 *
 * @category models
 * @since 0.1.0
 */
export type Job = ResponseJob | BatchJob | InteractionJob | PlainJob

interface JobFacts {
  readonly id: string
  readonly record: Open<JobRecord>
  readonly progress: Progress
  /** At most 2000 characters; rules match on it. */
  readonly prompt: string
  readonly action: JobAction | undefined
}

/**
 * A response of the Responses API.
 *
 * @category models
 * @since 0.1.0
 */
export interface ResponseJob extends JobFacts {
  readonly _tag: "Response"
  /** The request without its input. */
  readonly request: JsonObject
  readonly model: string
  readonly itemId: string
  readonly reasoningId: string
  readonly callId: string
  answer: Answer
  readonly isBackground: boolean
  readonly isStored: boolean
}

/**
 * A message batch.
 *
 * @category models
 * @since 0.1.0
 */
export interface BatchJob extends JobFacts {
  readonly _tag: "Batch"
  readonly items: ReadonlyArray<{
    readonly customId: string
    readonly messageId: string
    readonly model: string
    answer: Answer
  }>
}

/**
 * An interaction of Gemini's own API.
 *
 * @category models
 * @since 0.1.0
 */
export interface InteractionJob extends JobFacts {
  readonly _tag: "Interaction"
  readonly request: JsonObject
  readonly model: string
  readonly callId: string
  answer: Answer
}

/**
 * An answer of an API that keeps nothing: Chat Completions, Messages.
 *
 * @category models
 * @since 0.1.0
 */
export interface PlainJob extends JobFacts {
  readonly _tag: "Plain"
}

/**
 * Records a job as accepted, and returns it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const accept = <A extends Job>(world: World, exchange: Exchange, job: A): A => {
  world.jobs.set(job.id, job)
  exchange.call.jobId = job.id
  if (exchange.submission !== undefined) {
    exchange.submission.accepted = true
    exchange.submission.jobId = job.id
  }
  return job
}

/**
 * Creates the ledger's record of a job that an exchange is about to start.
 *
 * @category constructors
 * @since 0.1.0
 */
export const recordOf = (exchange: Exchange, id: string, now: number, status: string): Open<JobRecord> => ({
  id,
  endpoint: exchange.call.endpoint,
  submission: exchange.submission?.number ?? 0,
  status,
  model: exchange.submission?.model,
  background: exchange.submission?.background ?? false,
  metadata: exchange.submission?.metadata ?? {},
  createdAt: now,
  polls: 0,
  cancels: 0,
  deletes: 0,
  resultReads: 0,
  streams: []
})

/**
 * Returns whether the provider has dropped a job, as its script says.
 *
 * @category guards
 * @since 0.1.0
 */
export const isExpired = (world: World, { action, progress }: Job): boolean => {
  if (action?.outcome !== "expired") return false
  return action.polls === undefined
    ? world.now() - progress.createdAt >= (action.durationMillis ?? 0)
    : progress.polled >= action.polls
}

/**
 * Returns the `Job` action of an exchange.
 *
 * @category combinators
 * @since 0.1.0
 */
export const jobAction = (exchange: Exchange): JobAction | undefined =>
  exchange.actions.find((action) => action._tag === "Job")
