/**
 * Watches a job by its stream, where that can be opened again.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "./MonotonicTime.ts"
import type { WaitingJob } from "./WaitingJob.ts"
import { type Read, read } from "./StreamReader.ts"
import { jobStreamTimeouts } from "./StreamTimeouts.ts"
import { ofJob, type StreamedEnd } from "./StreamEnd.ts"

/** How a job's stream ended. */
export interface Followed {
  /** `undefined` when the stream was over before the job. */
  readonly end: StreamedEnd | undefined
  /** Whether the job is to be looked at now: the stream came further, or somebody says that the job may have ended. */
  readonly isDue: boolean
}

/**
 * Reads the stream that the job was started with, or opens it again where it was left; a job of an earlier process, at
 * its beginning. `undefined` when there is no stream to read.
 */
export const follow = (watch: WaitingJob): Effect.Effect<Followed> | undefined => {
  const { job, jobs, run } = watch
  const { stream, transcript } = run
  if (transcript === undefined || watch.isStreamRefused || job.sent.stream !== true) return undefined
  if (stream !== undefined && !watch.isStreamTaken && run.streamOf === job.id) {
    return heed(
      watch,
      Effect.tap(stream.over, () =>
        Effect.sync(() => {
          watch.isStreamTaken = true
        })),
      undefined
    )
  }
  if (jobs.stream === undefined || !transcript.turnTo(job.id) || !transcript.canGoOn) return undefined
  const reopened = jobs.stream(job.accepted.jobId, transcript.cursor, job.id)
  transcript.isReplaying ??= transcript.cursor === undefined && !watch.isOwn
  const reading = read(reopened, { run, transcript, timeouts: run.streamTimeouts ?? jobStreamTimeouts })
  return heed(watch, reading, transcript.cursor)
}

const heed = (watch: WaitingJob, reading: Effect.Effect<Read>, from: string | undefined): Effect.Effect<Followed> => {
  const hint = Effect.as(watch.run.wakes.next, { _tag: "Woken" as const })
  return Effect.map(Effect.raceAllFirst([reading, queueLimit(watch), hint]), (over): Followed => {
    const { run } = watch
    if (over?._tag === "Cut" && !over.error.isRetryable) watch.isStreamRefused = true
    if (run.progress.phase !== "queued") watch.pending = { ...watch.pending, phase: "running" }
    return {
      end: over?._tag === "Ended" ? endOf(watch, over) : undefined,
      isDue: over?._tag === "Woken" || (over !== undefined && run.transcript?.cursor !== from)
    }
  })
}

const endOf = (
  { job: { id, sent }, run: { transcript } }: WaitingJob,
  { isDisputed, outcome }: Extract<Read, { readonly _tag: "Ended" }>
): StreamedEnd => {
  const isEmitted = transcript?.source === id
  const emitted = isEmitted ? transcript.emitted(sent.model) : { text: "", hasToolCalls: false, model: sent.model }
  return ofJob(emitted, outcome, isDisputed)
}

/** Comes when the job has been queued for too long: then it is polled, which says so. */
const queueLimit = ({ isLeft, run, startedAt }: WaitingJob): Effect.Effect<undefined> => {
  const { queuedDeadline } = run.spec
  if (queuedDeadline === undefined || isLeft) return Effect.never
  return Effect.flatMap(monotonicMillis, (now) => {
    const left = startedAt + Duration.toMillis(queuedDeadline) - now
    return Effect.flatMap(
      Effect.sleep(Duration.millis(Math.max(0, left))),
      () => run.progress.phase === "queued" ? Effect.undefined : Effect.never
    )
  })
}
