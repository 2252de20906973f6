/**
 * Answers as hosts and gateways were seen to change them: pure rewriting of bodies and events.
 *
 * @since 0.1.0
 */
import * as ChatHosts from "./ChatHosts.ts"
import * as HostFault from "./HostFault.ts"
import { isObject, type JsonObject, parse, stringAt } from "./Json.ts"
import type { Due, EventSource, Reply } from "./Reply.ts"
import type { Exchange } from "./World.ts"

/**
 * Returns an exchange that asks for a stream, or for JSON, as its script has it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const asked = (exchange: Exchange): Exchange => {
  const { actions, body } = exchange
  if (HostFault.find(actions, "AsJson") !== undefined) return { ...exchange, body: { ...body, stream: false } }
  if (HostFault.find(actions, "AsEvents") === undefined || !canStream.has(exchange.call.endpoint)) return exchange
  return { ...exchange, body: { ...body, stream: true, stream_options: { include_usage: true } } }
}

/**
 * Returns whether the job of a poll is to be streamed.
 *
 * @category guards
 * @since 0.1.0
 */
export const isStreamed = ({ actions, call }: Exchange): boolean =>
  HostFault.find(actions, "AsJson") === undefined &&
  (call.endpoint === "responses.stream" || HostFault.find(actions, "AsEvents") !== undefined)

/**
 * Returns an answer as the host of the script gives it.
 *
 * @category combinators
 * @since 0.1.0
 */
export const altered = (exchange: Exchange, reply: Reply): Reply => {
  const { actions } = exchange
  const asEvents = HostFault.find(actions, "AsEvents")
  switch (reply._tag) {
    case "Never":
      return reply
    case "Events": {
      const { contentType } = asEvents ?? {}
      return {
        ...reply,
        headers: { ...reply.headers, ...(contentType === undefined ? {} : { "content-type": contentType }) },
        source: rewritten(reply.source, framesOf(actions))
      }
    }
    case "Body": {
      const parsed = parse(reply.body)
      if (reply.status >= 400 || !isObject(parsed)) return reply
      const body = JSON.stringify(bodyOf(actions, parsed))
      if (asEvents !== undefined) {
        const type = asEvents.contentType ?? "text/event-stream"
        return { ...reply, contentType: type, body: eventOf(parse(body)) }
      }
      const isDone = HostFault.find(actions, "AsJson")?.done === true
      return { ...reply, body: isDone ? `${body}\ndata: [DONE]\n\n` : body }
    }
  }
}

/**
 * Returns whether an event only closes an answer that is whole without it.
 *
 * @category guards
 * @since 0.1.0
 */
export const isFormal = (frame: string): boolean =>
  frame.startsWith("data: [DONE]") || frame.startsWith("event: message_stop")

const canStream: ReadonlySet<string> = new Set(["responses.create", "chat.create", "messages.create"])

/** What cannot be streamed is one event. */
const eventOf = (body: unknown): string => {
  const status = isObject(body) && body["object"] === "response" ? stringAt(body, "status") : undefined
  if (status === undefined) return `data: ${JSON.stringify(body)}\n\n`
  const type = `response.${status}`
  return `event: ${type}\ndata: ${JSON.stringify({ type, response: body })}\n\n`
}

const bodyOf = (actions: Exchange["actions"], body: JsonObject): JsonObject => {
  if (body["object"] === "response") return responseOf(actions, body)
  return body["object"] === "chat.completion" ? ChatHosts.completion(actions, body) : body
}

const responseOf = (actions: Exchange["actions"], response: JsonObject): JsonObject => {
  const { output, usage } = response
  const isEmpty = HostFault.find(actions, "EmptyEnd") !== undefined
  const isRepeated = HostFault.find(actions, "RepeatItems") !== undefined
  const items = Array.isArray(output) && isRepeated ? output.flatMap((item: unknown) => [item, item]) : output
  const usageAs = HostFault.find(actions, "UsageAs")
  return {
    ...response,
    output: isEmpty ? [] : items,
    ...(usageAs?.host === "xai" && isObject(usage)
      ? { usage: { ...usage, cost_in_usd_ticks: ChatHosts.ticksOf(usageAs) } }
      : {})
  }
}

type Frames = (frame: string) => ReadonlyArray<string>

const framesOf = (actions: Exchange["actions"]): Frames => {
  const chat = ChatHosts.chunks(actions)
  const isRepeated = HostFault.find(actions, "RepeatItems") !== undefined
  return (frame) => {
    const start = frame.indexOf("data: ")
    const data = parse(frame.slice(start + "data: ".length))
    if (!isObject(data)) return [frame]
    const write = (event: JsonObject): string => `${frame.slice(0, start)}data: ${JSON.stringify(event)}\n\n`
    if (data["object"] === "chat.completion.chunk") return chat(data).map(write)
    const { response } = data
    const type = stringAt(data, "type") ?? ""
    if (isObject(response)) return [write({ ...data, response: responseOf(actions, response) })]
    const { sequence_number: _, ...again } = data
    const repeats = isRepeated && (type.startsWith("response.output_item.") || type === "message_start")
    // A repeated event has no place of its own in the sequence.
    return repeats ? [frame, write(again)] : [frame]
  }
}

const rewritten = (source: EventSource, frames: Frames): EventSource => ({
  ...source,
  pull: (now): Due => {
    const due = source.pull(now)
    return { ...due, frames: due.frames.flatMap(frames) }
  }
})
