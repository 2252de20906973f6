/**
 * Takes HTTP requests: reads, routes, checks keys, applies the script, dispatches.
 *
 * @since 0.1.0
 */
import type { IncomingMessage, ServerResponse } from "node:http"
import * as AsHosts from "./AsHosts.ts"
import * as ChatCompletions from "./ChatCompletions.ts"
import * as ControlEndpoints from "./ControlEndpoints.ts"
import type { Controls } from "./Controls.ts"
import * as Interactions from "./Interactions.ts"
import { firstAt, isObject, type JsonObject, objectAt, parse, promptOf, stringAt } from "./Json.ts"
import * as MessageBatches from "./MessageBatches.ts"
import * as Messages from "./Messages.ts"
import * as Models from "./Models.ts"
import * as ProviderErrors from "./ProviderErrors.ts"
import * as Reply from "./Reply.ts"
import * as Responses from "./Responses.ts"
import * as Routes from "./Routes.ts"
import type { Action } from "./Script.ts"
import * as Webhooks from "./Webhooks.ts"
import * as Wire from "./Wire.ts"
import type { Exchange, World } from "./World.ts"

/** The largest request body, in bytes. */
const maxBodyBytes = 64 * 1024 * 1024

/** The largest request body that is kept for the ledger, in characters. */
const maxKeptLength = 64 * 1024

/**
 * Creates the listener of a server.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeListener =
  (world: World, controls: Controls) => (request: IncomingMessage, response: ServerResponse): void => {
    const ignore = () => {}
    request.on("error", ignore)
    response.on("error", ignore)
    guard(response, () => {
      const [path = "/", query = ""] = splitOnce(request.url ?? "/", "?")
      if (path === ControlEndpoints.prefix || path.startsWith(`${ControlEndpoints.prefix}/`)) {
        read(request, (body) => {
          guard(
            response,
            () => ControlEndpoints.answer(controls, { method: request.method ?? "", path, body }, response)
          )
        }, () => tooLarge(request, response))
        return
      }
      receive(world, request, response, path, new URLSearchParams(query))
    })
  }

const receive = (
  world: World,
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  query: URLSearchParams
): void => {
  const method = request.method ?? "GET"
  const route = Routes.find(method, path, query.get("stream") === "true")
  const call = world.recorder.call(route.endpoint, method, path, world.now())
  if (route.id !== "") call.jobId = route.id
  const after = Number(query.get("starting_after") ?? NaN)
  if (Number.isInteger(after)) call.startingAfter = after
  response.once("close", () => {
    if (call.ended === "open") call.ended = response.writableFinished ? "sent" : "aborted"
  })
  const whenRead = (text: string): void => {
    const parsed = text === "" ? {} : parse(text)
    const body = isObject(parsed) ? parsed : {}
    const exchange: Exchange = {
      api: route.api,
      requestId: world.random.id(route.api === "anthropic" ? "req_01" : "req_", 24),
      call,
      submission: isSubmission(route)
        ? world.recorder.submission(call, factsOf(request, route, body, text.length))
        : undefined,
      query,
      headers: request.headers,
      id: route.id,
      deployment: route.deployment,
      body,
      length: text.length,
      actions: []
    }
    const refusal = authError(world, exchange) ?? requestError(route, method, path, exchange, isObject(parsed))
    if (refusal !== undefined) return Wire.send(world, response, exchange, refusal)
    const actions = world.rules.take(route.endpoint, (needle) => {
      const job = world.jobs.get(route.id)
      return text.includes(needle) || path.includes(needle) || (job?.prompt.includes(needle) ?? false) ||
        promptOf(body["input"] ?? body["messages"]).includes(needle)
    })
    call.faults = actions.map((action) => action._tag)
    act(world, response, { ...exchange, actions }, route)
  }
  read(request, (text) => guard(response, () => whenRead(text)), () => tooLarge(request, response))
}

/** Applies the actions that come before acceptance, accepts, then applies those that come after. */
const act = (world: World, response: ServerResponse, exchange: Exchange, route: Routes.Route): void => {
  const { actions } = exchange
  const step = (index: number, reply: Reply.Reply | undefined): void => {
    const isAccepted = reply !== undefined
    const action = actions[index]
    if (action === undefined) {
      if (reply !== undefined) return Wire.send(world, response, exchange, reply)
      const accepted = AsHosts.altered(exchange, dispatch(world, AsHosts.asked(exchange), route))
      const job = exchange.submission?.accepted === true ? world.jobs.get(exchange.call.jobId ?? "") : undefined
      if (job !== undefined) Webhooks.follow(world, job, actions)
      return step(0, accepted)
    }
    const applies = "accepted" in action ? (action.accepted ?? false) === isAccepted : !isAccepted
    if (!applies) return step(index + 1, reply)
    switch (action._tag) {
      case "Delay":
        world.later(action.millis, () => guard(response, () => step(index + 1, reply)))
        return
      case "Reset":
        return Wire.reset(response, exchange)
      case "Hang":
        return Wire.hang(exchange)
      case "Error":
      case "Status":
      case "Html":
        return Wire.send(world, response, exchange, replacement(exchange, action))
      default:
        return step(index + 1, reply)
    }
  }
  step(0, undefined)
}

const replacement = (
  exchange: Exchange,
  action: Extract<Action, { readonly _tag: "Error" | "Status" | "Html" }>
): Reply.Reply => {
  const headers = action.headers ?? {}
  switch (action._tag) {
    case "Error": {
      const error = ProviderErrors.canned(exchange.api, action.error, {
        requestId: exchange.requestId,
        model: exchange.submission?.model,
        message: action.message
      })
      return Reply.error({ ...error, headers: { ...error.headers, ...headers } })
    }
    case "Status": {
      const { body } = action
      if (typeof body !== "string") return Reply.json(body ?? null, { status: action.status, headers })
      return { _tag: "Body", status: action.status, headers, contentType: "text/plain", body, dueAt: 0 }
    }
    case "Html":
      return {
        _tag: "Body",
        status: action.status,
        headers,
        contentType: "text/html",
        body: `<html><head><title>${action.status}</title></head><body><h1>${action.status}</h1></body></html>`,
        dueAt: 0
      }
  }
}

const dispatch = (world: World, exchange: Exchange, route: Routes.Route): Reply.Reply => {
  switch (route.endpoint) {
    case "responses.create":
      return Responses.create(world, exchange)
    case "responses.retrieve":
    case "responses.stream":
      return Responses.retrieve(world, exchange)
    case "responses.cancel":
      return Responses.cancel(world, exchange)
    case "responses.delete":
      return Responses.remove(world, exchange)
    case "chat.create":
      return ChatCompletions.create(world, exchange)
    case "messages.create":
      return Messages.create(world, exchange)
    case "batches.create":
      return MessageBatches.create(world, exchange)
    case "batches.retrieve":
      return MessageBatches.retrieve(world, exchange)
    case "batches.results":
      return MessageBatches.results(world, exchange)
    case "batches.cancel":
      return MessageBatches.cancel(world, exchange)
    case "batches.delete":
      return MessageBatches.remove(world, exchange)
    case "batches.list":
      return MessageBatches.list(world, exchange)
    case "interactions.create":
      return Interactions.create(world, exchange)
    case "interactions.retrieve":
      return Interactions.retrieve(world, exchange)
    case "interactions.cancel":
      return Interactions.cancel(world, exchange)
    case "interactions.delete":
      return Interactions.remove(world, exchange)
    case "models.list":
      return Models.list(exchange)
    case "unknown":
      return Reply.error(ProviderErrors.openAi(404, { message: "Invalid URL", type: "invalid_request_error" }))
  }
}

const isSubmission = (route: Routes.Route): boolean =>
  route.endpoint === "responses.create" || route.endpoint === "chat.create" || route.endpoint === "messages.create" ||
  route.endpoint === "batches.create" || route.endpoint === "interactions.create"

const factsOf = (request: IncomingMessage, route: Routes.Route, body: JsonObject, length: number) => {
  const key = request.headers["idempotency-key"]
  return {
    model: stringAt(body, "model") ?? stringAt(objectAt(firstAt(body, "requests"), "params"), "model") ??
      (route.deployment === "" ? undefined : route.deployment),
    background: body["background"] === true || route.endpoint === "batches.create",
    stream: body["stream"] === true,
    metadata: Object.fromEntries(
      Object.entries(objectAt(body, "metadata")).flatMap(([name, value]) =>
        typeof value === "string" ? [[name, value]] : []
      )
    ),
    idempotencyKey: typeof key === "string" ? key : undefined,
    body: length <= maxKeptLength ? body : undefined
  }
}

const authError = (world: World, exchange: Exchange): Reply.Reply | undefined => {
  const { authorization } = exchange.headers
  const named = exchange.headers["x-api-key"] ?? exchange.headers["api-key"] ?? exchange.headers["x-goog-api-key"]
  const bearer = typeof authorization === "string" ? /^bearer\s+(.+)$/i.exec(authorization)?.[1] : undefined
  const key = typeof named === "string" ? named : bearer?.trim() ?? ""
  const accepted = world.settings.apiKeys
  if (key !== "" && (accepted === undefined || accepted.has(key))) return undefined
  const message = key === ""
    ? exchange.api === "anthropic" ? "x-api-key header is required" : "You didn't provide an API key."
    : undefined
  const error = ProviderErrors.canned(exchange.api, "authentication", { requestId: exchange.requestId, message })
  return Reply.error(error)
}

const requestError = (
  route: Routes.Route,
  method: string,
  path: string,
  exchange: Exchange,
  isJsonObject: boolean
): Reply.Reply | undefined => {
  const refuse = (status: number, message: string) =>
    Reply.error(
      exchange.api === "anthropic"
        ? ProviderErrors.anthropic(
          status,
          status === 404 ? "not_found_error" : "invalid_request_error",
          message,
          exchange.requestId
        )
        : exchange.api === "gemini"
        ? ProviderErrors.gemini(status, message, status === 404 ? "not_found" : undefined)
        : ProviderErrors.openAi(status, { message, type: "invalid_request_error" })
    )
  if (route.isWrongMethod) return refuse(405, `Not allowed to ${method} on ${path}.`)
  if (route.endpoint === "unknown") return refuse(404, `Invalid URL (${method} ${path})`)
  return isJsonObject ? undefined : refuse(400, "The body of your request is not a JSON object.")
}

const read = (request: IncomingMessage, done: (text: string) => void, tooMuch: () => void): void => {
  const chunks: Array<Buffer> = []
  let size = 0
  request.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size <= maxBodyBytes) chunks.push(chunk)
    else if (chunks.length > 0) {
      chunks.length = 0
      tooMuch()
    }
  })
  request.on("end", () => {
    if (size <= maxBodyBytes) done(chunks.length === 1 ? String(chunks[0]) : Buffer.concat(chunks).toString())
  })
}

const tooLarge = (request: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(413, { "content-type": "application/json", connection: "close" })
  response.end(
    "{\"error\":{\"message\":\"The request body is too large.\",\"type\":\"invalid_request_error\"}}",
    () => {
      request.destroy()
    }
  )
}

/** Nothing that a client sends may end the process: what is thrown becomes a 500. */
const guard = (response: ServerResponse, run: () => void): void => {
  try {
    run()
  } catch (cause) {
    if (response.headersSent) response.destroy()
    else {
      response.writeHead(500, { "content-type": "application/json" })
      response.end(
        JSON.stringify({ error: { message: `The simulator failed: ${String(cause)}`, type: "server_error" } })
      )
    }
  }
}

const splitOnce = (text: string, separator: string): ReadonlyArray<string> => {
  const index = text.indexOf(separator)
  return index === -1 ? [text] : [text.slice(0, index), text.slice(index + 1)]
}
