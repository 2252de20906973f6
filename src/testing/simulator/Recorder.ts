/**
 * Keeps the ledger while requests come in.
 *
 * @since 0.1.0
 */
import type { Call, Delivery, Ledger, Submission } from "./Ledger.ts"
import type { Endpoint } from "./Script.ts"

/**
 * A record that is still being filled in.
 *
 * @category models
 * @since 0.1.0
 */
export type Open<A> = { -readonly [K in keyof A]: A[K] }

/**
 * Keeps requests and submissions.
 *
 * @category models
 * @since 0.1.0
 */
export interface Recorder {
  /** Opens the record of one request. */
  readonly call: (endpoint: Endpoint, method: string, path: string, at: number) => Open<Call>
  /** Opens the record of one submission; its status, faults and end are those of its call. */
  readonly submission: (
    call: Open<Call>,
    facts: Pick<Submission, "model" | "background" | "stream" | "metadata" | "idempotencyKey" | "body">
  ) => Open<Submission>
  /** Opens the record of one delivery of a webhook. */
  readonly delivery: (facts: Delivery) => Open<Delivery>
  /** Returns all that was seen, without the jobs. */
  readonly read: () => Omit<Ledger, "jobs">
  /** Forgets all; numbers start again at 1. */
  readonly clear: () => void
}

/**
 * Creates an empty `Recorder` that keeps the newest `keepCalls` requests and the first `keepBodies` bodies.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (options: { readonly keepCalls: number; readonly keepBodies: number }): Recorder => {
  const requests = new Map<string, number>()
  let submissions: Array<{ readonly call: Open<Call>; readonly record: Open<Submission> }> = []
  let calls: Array<Open<Call>> = []
  let deliveries: Array<Open<Delivery>> = []
  let callCount = 0
  return {
    call: (endpoint, method, path, at) => {
      const record: Open<Call> = { number: ++callCount, endpoint, method, path, at, faults: [], ended: "open" }
      requests.set(endpoint, (requests.get(endpoint) ?? 0) + 1)
      calls.push(record)
      // Dropping in batches keeps the cost per request constant.
      if (calls.length > options.keepCalls * 2) calls = calls.slice(calls.length - options.keepCalls)
      return record
    },
    submission: (call, facts) => {
      const { body, ...rest } = facts
      const record: Open<Submission> = {
        ...rest,
        number: submissions.length + 1,
        call: call.number,
        endpoint: call.endpoint,
        at: call.at,
        accepted: false,
        faults: [],
        ended: "open",
        ...(submissions.length < options.keepBodies ? { body } : {})
      }
      submissions.push({ call, record })
      return record
    },
    delivery: (facts) => {
      const record = { ...facts }
      deliveries.push(record)
      return record
    },
    read: () => ({
      submissions: submissions.map(({ call, record }) => ({
        ...record,
        status: call.status,
        faults: call.faults,
        ended: call.ended
      })),
      calls: calls.slice(Math.max(0, calls.length - options.keepCalls)).map((call) => ({ ...call })),
      requests: Object.fromEntries(requests),
      webhooks: deliveries.map((delivery) => ({ ...delivery }))
    }),
    clear: () => {
      requests.clear()
      submissions = []
      calls = []
      deliveries = []
      callCount = 0
    }
  }
}
