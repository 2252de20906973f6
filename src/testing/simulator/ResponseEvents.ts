/**
 * The event stream of the OpenAI Responses API.
 *
 * @since 0.1.0
 */
import { isReasoningModel } from "./Answer.ts"
import { isObject } from "./Json.ts"
import * as Progress from "./Progress.ts"
import type { EventSource } from "./Reply.ts"
import * as ResponseBody from "./ResponseBody.ts"
import type { ResponseJob } from "./World.ts"

/**
 * Creates the stream of a job from the event after `startingAfter` (-1: from the first one).
 *
 * **Details**
 *
 * A job that runs by time has its events spread over its running time; one that runs by polls has all of them at
 * once, and ends when the last one was written. A stuck job stops after the events that say where it is; a cancelled
 * one ends without a final event, because the API has none for it.
 *
 * @category constructors
 * @since 0.1.0
 */
export const source = (job: ResponseJob, startingAfter: number): EventSource => {
  const { progress } = job
  const events = eventsOf(job)
  let next = startingAfter + 1
  const start = Math.max(progress.queuedUntil, progress.createdAt)
  const dueAt = (index: number): number => {
    if (index < events.queued) return progress.createdAt
    if (index <= events.queued) return start
    return start + (progress.endsAt - start) * (index - events.queued) / (events.all.length - 1 - events.queued)
  }
  const dueCount = (now: number): number => {
    const phase = Progress.phase(progress, now)
    if (phase === "ended") return events.all.length
    if (progress.stuck !== undefined) return phase === "queued" ? events.queued : events.queued + 1
    if (progress.polls !== undefined && phase !== "cancelled") return events.all.length
    const until = phase === "cancelled" ? progress.cancelledAt ?? now : now
    let count = Math.min(next, events.all.length)
    while (count < events.all.length && dueAt(count) <= until) count++
    return count
  }
  return {
    pull: (now) => {
      const limit = dueCount(now)
      const frames: Array<string> = []
      for (; next < limit; next++) frames.push(frame(next, events.all[next]?.(now) ?? {}))
      const isEnded = next >= events.all.length || Progress.phase(progress, now) === "cancelled"
      const isTimed = !isEnded && progress.stuck === undefined && progress.polls === undefined
      return { frames, isEnded, wakeAt: isTimed ? dueAt(next) : undefined }
    },
    watch: (wake) => {
      progress.watchers.add(wake)
      return () => progress.watchers.delete(wake)
    },
    drained: (now) => {
      if (progress.polls !== undefined) Progress.end(progress, now)
    },
    errorFrame: (error, sent) =>
      frame(startingAfter + 1 + sent, {
        type: "error",
        error: isObject(error.body) ? error.body["error"] : null
      }),
    failureFrame: (message, sent) =>
      frame(startingAfter + 1 + sent, {
        type: "response.failed",
        response: {
          ...ResponseBody.make(job, "failed", undefined),
          error: { code: "server_error", message },
          output: [],
          usage: null
        }
      })
  }
}

type Event = (now: number) => Record<string, unknown> & { readonly type: string }

const frame = (sequence: number, event: { readonly type?: string; readonly [key: string]: unknown }): string =>
  `event: ${event.type}\ndata: ${JSON.stringify({ ...event, sequence_number: sequence })}\n\n`

/** `queued` events come before the job runs. */
const eventsOf = (job: ResponseJob): { readonly queued: number; readonly all: ReadonlyArray<Event> } => {
  const { answer } = job
  const first = job.isBackground ? "queued" : "in_progress"
  const all: Array<Event> = [() => ({ type: "response.created", response: ResponseBody.make(job, first, undefined) })]
  if (job.isBackground) {
    all.push(() => ({ type: "response.queued", response: ResponseBody.make(job, "queued", undefined) }))
  }
  const queued = all.length
  all.push(() => ({ type: "response.in_progress", response: ResponseBody.make(job, "in_progress", undefined) }))
  if (answer.outcome !== "failed" && isReasoningModel(job.model)) {
    const item = ResponseBody.reasoningItem(job)
    all.push(() => ({ type: "response.output_item.added", item, output_index: 0 }))
    all.push(() => ({ type: "response.output_item.done", item, output_index: 0 }))
  }
  const outputIndex = all.length > queued + 1 ? 1 : 0
  if (answer.outcome === "toolCall") all.push(...toolEvents(job, outputIndex))
  else if (answer.chunks.length > 0 || answer.outcome === "completed") all.push(...messageEvents(job, outputIndex))
  all.push(...finalEvents(job))
  return { queued, all }
}

const messageEvents = (job: ResponseJob, outputIndex: number): ReadonlyArray<Event> => {
  const { answer } = job
  const isRefusal = answer.outcome === "refused"
  const kind = isRefusal ? "response.refusal" : "response.output_text"
  const place = { item_id: job.itemId, output_index: outputIndex, content_index: 0 }
  const logprobs = isRefusal ? {} : { logprobs: [] }
  const text = answer.chunks.join("")
  const status = ResponseBody.finalStatus(job) === "completed" ? "completed" : "incomplete"
  const opening: ReadonlyArray<Event> = [
    () => ({
      type: "response.output_item.added",
      item: ResponseBody.messageItem(job, "in_progress", []),
      output_index: outputIndex
    }),
    () => ({ type: "response.content_part.added", ...place, part: ResponseBody.contentPart(job, "") }),
    ...answer.chunks.map((delta): Event => () => ({ type: `${kind}.delta`, ...place, delta, ...logprobs }))
  ]
  // What fails or is cancelled breaks off: nothing is done.
  if (answer.outcome === "failed" || answer.outcome === "cancelled") return opening
  return [
    ...opening,
    () => ({ type: `${kind}.done`, ...place, ...(isRefusal ? { refusal: text } : { text }), ...logprobs }),
    () => ({ type: "response.content_part.done", ...place, part: ResponseBody.contentPart(job, text) }),
    () => ({
      type: "response.output_item.done",
      item: ResponseBody.messageItem(job, status, [ResponseBody.contentPart(job, text)]),
      output_index: outputIndex
    })
  ]
}

const toolEvents = (job: ResponseJob, outputIndex: number): ReadonlyArray<Event> => {
  const args = job.answer.tool.arguments
  const place = { item_id: job.itemId, output_index: outputIndex }
  return [
    () => ({
      type: "response.output_item.added",
      item: ResponseBody.toolItem(job, "in_progress", ""),
      output_index: outputIndex
    }),
    () => ({ type: "response.function_call_arguments.delta", ...place, delta: args }),
    () => ({ type: "response.function_call_arguments.done", ...place, arguments: args }),
    () => ({
      type: "response.output_item.done",
      item: ResponseBody.toolItem(job, "completed", args),
      output_index: outputIndex
    })
  ]
}

const finalEvents = (job: ResponseJob): ReadonlyArray<Event> => {
  const status = ResponseBody.finalStatus(job)
  if (status === "cancelled") return []
  // A job that runs by polls ends when this event is written.
  const final: Event = (now) => ({
    type: `response.${status}`,
    response: ResponseBody.make(job, status, job.progress.endedAt ?? now)
  })
  if (status !== "failed") return [final]
  const { code, message } = job.answer.error
  return [() => ({ type: "error", error: { type: code, code, message, param: null } }), final]
}
