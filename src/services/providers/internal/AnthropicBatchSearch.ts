/**
 * Looks for the batch of a submission whose id was lost.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { ProviderError } from "../../../errors/ProviderError.ts"
import type { Lookup } from "../../Provider.ts"
import * as ErrorClassifier from "../ErrorClassifier.ts"
import * as Batch from "./AnthropicBatch.ts"
import type { Send } from "./AnthropicClient.ts"
import { jsonOf, type TextReply } from "./HttpCall.ts"
import * as JobPath from "./JobPath.ts"

/**
 * How far the server's clock may be behind ours, and how long after a
 * submission its batch may still be missing from the list, milliseconds.
 */
const graceMillis = 120_000

/** How long until a lookup is worth another one. */
const pause = Duration.minutes(1)

/** Pages of 100 batches that are read, at most. */
const maxPages = 10

/** Batches whose results are read, at most: those created nearest to the submission. */
const maxReads = 100

/** The whole search takes no longer. */
const timeLimit = Duration.seconds(60)

/**
 * Creates the lookup. `resultsOf` gives `undefined` for results that are not
 * there yet.
 *
 * **Details**
 *
 * `Found` when the results of a batch have the submission's id. `Absent` when
 * none of the batches since can be the submission's and its time of grace is
 * over. `Undecided`, for a minute, within that time and while a batch that may
 * be the submission's still runs: only its results tell whose it is.
 * `Unknown` in all other cases: results are deleted or cannot be read, there
 * are too many, or 60 seconds have passed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  send: Send,
  resultsOf: (batch: Batch.Batch) => Effect.Effect<{ readonly reply: TextReply } | undefined, ProviderError>
) => {
  /** Gives the batches that may be the submission's, and whether these are all. */
  const candidates = Effect.fnUntraced(function*(from: number) {
    const found: Array<Batch.Batch> = []
    let isComplete = true
    let after: string | undefined
    for (let pages = 0; pages < maxPages; pages++) {
      const query = after === undefined ? "" : `&after_id=${JobPath.encode(after)}`
      const path = `/v1/messages/batches?limit=100${query}`
      const answer = yield* send({ operation: "retrieve", method: "get", path })
      const page = Batch.readPage(jsonOf(answer))
      if (page === undefined) return yield* ErrorClassifier.fromBody(answer.reply, answer.context)
      isComplete &&= !page.batches.includes(undefined)
      const batches = page.batches.filter((batch) => batch !== undefined)
      const recent = batches.filter(({ createdAt = from }) => createdAt >= from)
      // Every submission is a batch of its own.
      found.push(...recent.filter(({ requests = 1 }) => requests <= 1))
      after = page.next
      if (after === undefined || recent.length < batches.length) return { found, isComplete }
    }
    return { found, isComplete: false }
  })

  const search = Effect.fnUntraced(function*(
    submissionId: string,
    since: number
  ): Effect.fn.Return<Lookup, ProviderError> {
    const { found, isComplete } = yield* candidates(since - graceMillis)
    const distance = ({ createdAt = since }: Batch.Batch) => Math.abs(createdAt - since)
    const readable = found.filter((batch) => batch.status === "ended" && !batch.isArchived)
      .sort((a, b) => distance(a) - distance(b))
    let running = found.filter(({ status }) => status !== "ended").length
    let unreadable = found.length - running - Math.min(readable.length, maxReads)
    for (const batch of readable.slice(0, maxReads)) {
      const results = yield* resultsOf(batch)
      if (results === undefined) {
        running++
        continue
      }
      const { hasOthers, lines } = Batch.readLines(results.reply.text)
      if (lines.some(({ customId }) => customId === submissionId)) return { _tag: "Found", jobId: batch.id }
      if (hasOthers || lines.length === 0) unreadable++
    }
    const now = yield* Clock.currentTimeMillis
    if (!isComplete || unreadable > 0) return { _tag: "Unknown" }
    return running > 0 || now - since <= graceMillis ? { _tag: "Undecided", again: pause } : { _tag: "Absent" }
  })

  return (submissionId: string, since: number): Effect.Effect<Lookup, ProviderError> =>
    Effect.timeoutOrElse(search(submissionId, since), {
      duration: timeLimit,
      orElse: () => Effect.succeed<Lookup>({ _tag: "Unknown" })
    })
}
