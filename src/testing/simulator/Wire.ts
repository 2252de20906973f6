/**
 * Writes answers to sockets, damaged where the script wants it.
 *
 * @since 0.1.0
 */
import type { ServerResponse } from "node:http"
import * as AsHosts from "./AsHosts.ts"
import * as HostFault from "./HostFault.ts"
import type { Call } from "./Ledger.ts"
import * as ProviderErrors from "./ProviderErrors.ts"
import type { EventSource, Reply } from "./Reply.ts"
import type { Action } from "./Script.ts"
import type { Exchange, World } from "./World.ts"

/**
 * Sends an answer, and records in the call of the exchange how that ended.
 *
 * @category combinators
 * @since 0.1.0
 */
export const send = (world: World, response: ServerResponse, exchange: Exchange, reply: Reply): void => {
  if (response.destroyed) return
  switch (reply._tag) {
    case "Never":
      return hang(exchange)
    case "Events":
      return sendEvents(world, response, exchange, reply.headers, reply.source)
    case "Body": {
      const wait = reply.dueAt - world.now()
      if (wait > 0) {
        world.later(wait, () => sendBody(world, response, exchange, reply))
        return
      }
      sendBody(world, response, exchange, reply)
    }
  }
}

/**
 * Never answers.
 *
 * @category combinators
 * @since 0.1.0
 */
export const hang = (exchange: Exchange): void => {
  exchange.call.ended = "hung"
}

/**
 * Ends the connection with a TCP reset.
 *
 * @category combinators
 * @since 0.1.0
 */
export const reset = (response: ServerResponse, exchange: Exchange): void => {
  exchange.call.ended = "reset"
  const { socket } = response
  if (socket === null || socket.destroyed) response.destroy()
  else socket.resetAndDestroy()
}

/** Long enough for the client to read what came before a reset; a reset may discard unread bytes. */
const resetDelayMillis = 20

/** How far comments are apart. */
const beatMillis = 20

const sendBody = (
  world: World,
  response: ServerResponse,
  exchange: Exchange,
  reply: Extract<Reply, { readonly _tag: "Body" }>
): void => {
  if (response.destroyed) return
  const corrupt = exchange.actions.find((action) => action._tag === "Corrupt")
  const slow = exchange.actions.find((action) => action._tag === "SlowBody")
  const content = corrupt?.how === "garbage" ? garbage : corrupt?.how === "empty" ? "" : reply.body
  const bytes = Buffer.from(content)
  const head = headersOf(exchange, { "content-type": reply.contentType, ...reply.headers })
  exchange.call.status = reply.status
  finishWith(response, exchange.call)
  if (corrupt?.how === "half") {
    response.writeHead(reply.status, head)
    response.end(bytes.subarray(0, bytes.length >> 1))
    return
  }
  const cut = HostFault.find(exchange.actions, "CutAfterEnd")
  if (cut !== undefined) {
    response.writeHead(reply.status, cut.how === "length" ? { ...head, "content-length": bytes.length + 10 } : head)
    response.write(bytes)
    world.later(resetDelayMillis, () => reset(response, exchange))
    return
  }
  response.writeHead(reply.status, { ...head, "content-length": bytes.length })
  if (corrupt?.how === "short") {
    response.write(bytes.subarray(0, bytes.length >> 1))
    world.later(resetDelayMillis, () => reset(response, exchange))
    return
  }
  if (slow === undefined) {
    response.end(bytes)
    return
  }
  const size = Math.max(1, Math.ceil(bytes.length / slow.chunks))
  const writeFrom = (offset: number): void => {
    if (response.destroyed) return
    const rest = offset + size
    if (rest >= bytes.length) {
      response.end(bytes.subarray(offset))
      return
    }
    response.write(bytes.subarray(offset, rest))
    world.later(slow.millis, () => writeFrom(rest))
  }
  writeFrom(0)
}

const garbage = "\u0000\u0001{\"id\": \ufffd\ufffd not json at all"

const sendEvents = (
  world: World,
  response: ServerResponse,
  exchange: Exchange,
  headers: Readonly<Record<string, string>>,
  source: EventSource
): void => {
  const { call } = exchange
  call.status = 200
  finishWith(response, call)
  response.writeHead(
    200,
    headersOf(exchange, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-cache",
      ...headers
    })
  )
  let fault = streamFault(exchange.actions)
  const isCut = HostFault.find(exchange.actions, "CutAfterEnd") !== undefined
  let sent = 0
  let held: ReadonlyArray<string> = []
  let stopTimer = () => {}
  let stopWatching = () => {}
  const stop = (): void => {
    stopTimer()
    stopWatching()
  }
  const strike = (): void => {
    stop()
    switch (fault?.action._tag) {
      case "StallStream":
        return hang(exchange)
      case "InventedFailure": {
        const { message = "Response payload is not completed" } = fault.action
        const { failureFrame } = source
        const error = ProviderErrors.canned(exchange.api, "serverError", { requestId: exchange.requestId, message })
        response.end(failureFrame === undefined ? source.errorFrame(error, sent) : failureFrame(message, sent))
        return
      }
      case "Comments":
        beat(fault.action.millis)
        return
      case "StreamError": {
        const { error, message } = fault.action
        response.end(source.errorFrame(
          ProviderErrors.canned(exchange.api, error ?? "serverError", { requestId: exchange.requestId, message }),
          sent
        ))
        return
      }
      case "CutStream":
        if (fault.action.how === "reset") {
          world.later(resetDelayMillis, () => reset(response, exchange))
          return
        }
        response.end()
        return
      case "Corrupt":
        response.end(fault.action.how === "garbage" ? garbage : "")
    }
  }
  /** Sends comments for a while, then goes on. */
  const beat = (left: number): void => {
    if (response.destroyed) return
    if (left <= 0) {
      fault = undefined
      stopWatching = source.watch(pump)
      return pump()
    }
    response.write(": keep-alive\n\n")
    stopTimer = world.later(beatMillis, () => beat(left - beatMillis))
  }
  const pump = (): void => {
    if (response.destroyed || response.writableEnded) return stop()
    stopTimer()
    const now = world.now()
    const pulled = source.pull(now)
    const due = { ...pulled, frames: [...held, ...pulled.frames] }
    const room = fault === undefined ? Infinity : fault.after - sent
    const frames = (due.frames.length > room ? due.frames.slice(0, room) : due.frames)
      .filter((frame) => !isCut || !AsHosts.isFormal(frame))
    // What comments hold up comes behind them.
    held = due.frames.slice(room)
    sent += frames.length
    if (frames.length > 0) response.write(frames.join(""))
    if (fault !== undefined && sent >= fault.after) return strike()
    if (due.isEnded) {
      stop()
      source.drained(now)
      if (isCut) world.later(resetDelayMillis, () => reset(response, exchange))
      else response.end()
      return
    }
    // Ten milliseconds at least: many small events of one stream share a write.
    if (due.wakeAt !== undefined) stopTimer = world.later(Math.max(10, due.wakeAt - now), pump)
  }
  response.once("close", stop)
  stopWatching = source.watch(pump)
  response.flushHeaders()
  pump()
}

interface StreamFault {
  readonly after: number
  readonly action: Extract<
    Action,
    { readonly _tag: "CutStream" | "StallStream" | "StreamError" | "Corrupt" | "InventedFailure" | "Comments" }
  >
}

const streamFault = (actions: ReadonlyArray<Action>): StreamFault | undefined => {
  for (const action of actions) {
    switch (action._tag) {
      case "CutStream":
      case "StallStream":
      case "StreamError":
      case "InventedFailure":
      case "Comments":
        return { after: action.after, action }
      case "Corrupt": {
        if (action.how === "garbage" || action.how === "empty") return { after: 0, action }
        return { after: 3, action: { _tag: "CutStream", after: 3, how: action.how === "half" ? "end" : "reset" } }
      }
    }
  }
  return undefined
}

const headersOf = (
  exchange: Exchange,
  headers: Readonly<Record<string, string>>
): Record<string, string> => {
  const all: Record<string, string> = exchange.api === "anthropic"
    ? { "request-id": exchange.requestId }
    : exchange.api === "gemini"
    ? { vary: "X-Origin, Referer" }
    : { "x-request-id": exchange.requestId, "openai-version": "2020-10-01", "openai-processing-ms": "12" }
  Object.assign(all, headers)
  for (const action of exchange.actions) {
    if (action._tag === "Headers") Object.assign(all, lowerCased(action.headers))
  }
  return all
}

const lowerCased = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]))

const finishWith = (response: ServerResponse, call: { ended: Call["ended"] }): void => {
  response.once("finish", () => {
    call.ended = "sent"
  })
}
