/**
 * Which endpoint a request is for.
 *
 * @since 0.1.0
 */
import type { Api } from "./ProviderErrors.ts"
import type { Endpoint } from "./Script.ts"

/**
 * Where a request goes.
 *
 * @category models
 * @since 0.1.0
 */
export interface Route {
  readonly api: Api
  readonly endpoint: Endpoint
  /** The id of the job in the path, or empty. */
  readonly id: string
  /** The Azure deployment in the path, or empty. */
  readonly deployment: string
  /** The path is known, but not with this method. */
  readonly isWrongMethod: boolean
}

/**
 * Finds the endpoint of a method and a path (without query).
 *
 * **Details**
 *
 * OpenAI is under `/v1`, Azure under `/openai/v1`, `/openai` and `/openai/deployments/NAME`, Anthropic under
 * `/v1/messages`, Gemini's Interactions under `/v1beta/interactions` and its OpenAI-compatible API under
 * `/v1beta/openai`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const find = (method: string, path: string, isStream: boolean): Route => {
  const google = /^\/v1beta(?:\/openai)?(\/.*)$/.exec(path)
  const azure = /^\/openai(?:\/deployments\/([^/]+)|\/v1)?(\/.*)$/.exec(path)
  const rest = azure?.[2] ?? google?.[1] ?? path.replace(/^\/v1(?=\/)/, "")
  const deployment = decode(azure?.[1] ?? "")
  const [first = "", ...more] = rest.split("/").slice(1).filter((part) => part !== "")
  const api: Api = azure !== null ? "azure" : apis.get(first) ?? "openai"
  const route = (endpoint: Endpoint | undefined, id = ""): Route => ({
    api,
    endpoint: endpoint ?? "unknown",
    id: decode(id),
    deployment,
    isWrongMethod: endpoint === undefined
  })
  switch (first) {
    case "responses":
      return responses(method, more, isStream, route)
    case "chat":
      if (more.join("/") !== "completions") break
      return route(method === "POST" ? "chat.create" : undefined)
    case "messages":
      return messages(method, more, route)
    case "interactions":
      return interactions(method, more, route)
    case "models":
      if (more.length > 1) break
      return route(method === "GET" ? "models.list" : undefined, more[0])
  }
  return { api, endpoint: "unknown", id: "", deployment, isWrongMethod: false }
}

type MakeRoute = (endpoint: Endpoint | undefined, id?: string) => Route

const responses = (method: string, more: ReadonlyArray<string>, isStream: boolean, route: MakeRoute): Route => {
  const [id, verb] = more
  if (id === undefined) return route(method === "POST" ? "responses.create" : undefined)
  if (verb === "cancel") return route(method === "POST" ? "responses.cancel" : undefined, id)
  if (verb !== undefined) return { ...route("unknown", id), isWrongMethod: false }
  if (method === "GET") return route(isStream ? "responses.stream" : "responses.retrieve", id)
  return route(method === "DELETE" ? "responses.delete" : undefined, id)
}

const messages = (method: string, more: ReadonlyArray<string>, route: MakeRoute): Route => {
  const [batches, id, verb] = more
  if (batches === undefined) return route(method === "POST" ? "messages.create" : undefined)
  if (batches !== "batches") return { ...route("unknown"), isWrongMethod: false }
  if (id === undefined) {
    return route(method === "POST" ? "batches.create" : method === "GET" ? "batches.list" : undefined)
  }
  if (verb === "cancel") return route(method === "POST" ? "batches.cancel" : undefined, id)
  if (verb === "results") return route(method === "GET" ? "batches.results" : undefined, id)
  if (verb !== undefined) return { ...route("unknown", id), isWrongMethod: false }
  return route(method === "GET" ? "batches.retrieve" : method === "DELETE" ? "batches.delete" : undefined, id)
}

const interactions = (method: string, more: ReadonlyArray<string>, route: MakeRoute): Route => {
  const [id, verb] = more
  if (id === undefined) return route(method === "POST" ? "interactions.create" : undefined)
  if (verb === "cancel") return route(method === "POST" ? "interactions.cancel" : undefined, id)
  if (verb !== undefined) return { ...route("unknown", id), isWrongMethod: false }
  return route(
    method === "GET" ? "interactions.retrieve" : method === "DELETE" ? "interactions.delete" : undefined,
    id
  )
}

const apis: ReadonlyMap<string, Api> = new Map([["messages", "anthropic"], ["interactions", "gemini"]])

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
