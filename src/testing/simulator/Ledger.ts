/**
 * What the simulator has seen: every request, every submission, every job.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import { Endpoint } from "./Script.ts"

/**
 * Schema for the way in which the answer to a request ended.
 *
 * **Details**
 *
 * `open`: not answered yet, or a stream still running. `sent`: answered to the end (as the script wanted it).
 * `reset`: cut by a scripted reset. `hung`: the script never answers it. `aborted`: the client went away first.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Ended = Schema.Literals(["open", "sent", "reset", "hung", "aborted"])

/**
 * Schema for one HTTP request.
 *
 * **Details**
 *
 * `number` counts all requests from 1. `at` is in milliseconds since the epoch. `faults` are the tags of the actions
 * that were applied to it. `jobId` is the job that it named or made.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Call = Schema.Struct({
  number: Schema.Int,
  endpoint: Endpoint,
  method: Schema.String,
  path: Schema.String,
  at: Schema.Finite,
  jobId: Schema.optional(Schema.String),
  startingAfter: Schema.optional(Schema.Int),
  status: Schema.optional(Schema.Int),
  faults: Schema.Array(Schema.String),
  ended: Ended
})

/**
 * One HTTP request.
 *
 * @category models
 * @since 0.1.0
 */
export type Call = typeof Call.Type

/**
 * Schema for one request that starts work: `responses.create`, `chat.create`, `messages.create`, `batches.create`,
 * `interactions.create`.
 *
 * **Details**
 *
 * `number` counts submissions from 1, `call` is the number of the request. `accepted` says whether the provider has
 * taken the work on, whatever the client was told; `jobId` is there exactly then. `body` is missing when it was not
 * kept.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Submission = Schema.Struct({
  number: Schema.Int,
  call: Schema.Int,
  endpoint: Endpoint,
  at: Schema.Finite,
  accepted: Schema.Boolean,
  jobId: Schema.optional(Schema.String),
  model: Schema.optional(Schema.String),
  background: Schema.Boolean,
  stream: Schema.Boolean,
  metadata: Schema.Record(Schema.String, Schema.String),
  idempotencyKey: Schema.optional(Schema.String),
  status: Schema.optional(Schema.Int),
  faults: Schema.Array(Schema.String),
  ended: Ended,
  body: Schema.optional(Schema.Unknown)
})

/**
 * One request that starts work.
 *
 * @category models
 * @since 0.1.0
 */
export type Submission = typeof Submission.Type

/**
 * Schema for one accepted job or answer, as it is now.
 *
 * **Details**
 *
 * `status` is the provider's own word (`processing_status` for a batch). `polls`, `cancels`, `deletes` and
 * `resultReads` count the requests that reached the job; `streams` are the openings of its stream by GET.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Job = Schema.Struct({
  id: Schema.String,
  endpoint: Endpoint,
  submission: Schema.Int,
  status: Schema.String,
  model: Schema.optional(Schema.String),
  background: Schema.Boolean,
  metadata: Schema.Record(Schema.String, Schema.String),
  createdAt: Schema.Finite,
  polls: Schema.Int,
  cancels: Schema.Int,
  deletes: Schema.Int,
  resultReads: Schema.Int,
  streams: Schema.Array(Schema.Struct({ at: Schema.Finite, startingAfter: Schema.optional(Schema.Int) }))
})

/**
 * One accepted job or answer.
 *
 * @category models
 * @since 0.1.0
 */
export type Job = typeof Job.Type

/**
 * Schema for one delivery of a webhook.
 *
 * **Details**
 *
 * `id` is the `webhook-id`, the same for each `attempt` (from 1). `at` is in milliseconds since the epoch. `status` is
 * missing until the delivery is answered, and when it could not be.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Delivery = Schema.Struct({
  id: Schema.String,
  jobId: Schema.String,
  type: Schema.String,
  attempt: Schema.Int,
  at: Schema.Finite,
  status: Schema.optional(Schema.Int)
})

/**
 * One delivery of a webhook.
 *
 * @category models
 * @since 0.1.0
 */
export type Delivery = typeof Delivery.Type

/**
 * Schema for everything that was seen since the start or the last reset.
 *
 * **Details**
 *
 * `requests` counts HTTP requests per endpoint (a missing endpoint means none), without those to the control
 * endpoints. `calls` are the newest ones only, see `keepCalls`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Ledger = Schema.Struct({
  submissions: Schema.Array(Submission),
  jobs: Schema.Array(Job),
  calls: Schema.Array(Call),
  requests: Schema.Record(Schema.String, Schema.Int),
  webhooks: Schema.Array(Delivery)
})

/**
 * Everything that was seen.
 *
 * @category models
 * @since 0.1.0
 */
export type Ledger = typeof Ledger.Type
