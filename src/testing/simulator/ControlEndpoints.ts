/**
 * The controls over HTTP, for tests with several processes.
 *
 * @since 0.1.0
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { ServerResponse } from "node:http"
import type { Controls } from "./Controls.ts"
import { isObject, parse, stringAt } from "./Json.ts"
import { Rules } from "./Script.ts"

/**
 * The path under which the controls are.
 *
 * @category models
 * @since 0.1.0
 */
export const prefix = "/_simulator"

/**
 * Answers a request to a control endpoint.
 *
 * **Details**
 *
 * - `GET /ledger`: the ledger.
 * - `POST /script`: `{ rules, replace? }`; 400 with a message for rules that are none.
 * - `POST /jobs/{id}/finish`, `POST /jobs/{id}/fail` with `{ code?, message? }`: `{ changed }`.
 * - `POST /reset`: forgets jobs and ledger, and restores the first script.
 *
 * @category combinators
 * @since 0.1.0
 */
export const answer = (
  controls: Controls,
  request: { readonly method: string; readonly path: string; readonly body: string },
  response: ServerResponse
): void => {
  const { method } = request
  const [verb, id = "", action] = request.path.slice(prefix.length).split("/").slice(1)
  const body = request.body === "" ? {} : parse(request.body)
  if (method === "GET" && verb === "ledger") return reply(response, 200, controls.ledger())
  if (method !== "POST") return reply(response, 404, { message: "Unknown control endpoint" })
  if (verb === "reset") {
    controls.reset()
    return reply(response, 200, {})
  }
  if (verb === "jobs" && action === "finish") {
    return reply(response, 200, { changed: controls.finish(decodeURIComponent(id)) })
  }
  if (verb === "jobs" && action === "fail") {
    const error = isObject(body) ? body : {}
    return reply(response, 200, { changed: controls.fail(decodeURIComponent(id), failure(error)) })
  }
  if (verb === "script") {
    const rules = Option.getOrUndefined(decodeRules(isObject(body) ? body["rules"] : undefined))
    if (rules === undefined) return reply(response, 400, { message: "rules are not valid" })
    controls.script(rules, isObject(body) && body["replace"] === true)
    return reply(response, 200, {})
  }
  return reply(response, 404, { message: "Unknown control endpoint" })
}

/**
 * Returns the error of a job that is made to fail.
 *
 * @category constructors
 * @since 0.1.0
 */
export const failure = (
  error: Readonly<Record<string, unknown>>
): { readonly code: string; readonly message: string } => ({
  code: stringAt(error, "code") ?? "server_error",
  message: stringAt(error, "message") ?? "The job was made to fail."
})

const decodeRules = Schema.decodeUnknownOption(Rules, { onExcessProperty: "error" })

const reply = (response: ServerResponse, status: number, body: unknown): void => {
  const text = JSON.stringify(body)
  response.writeHead(status, { "content-type": "application/json", "content-length": Buffer.byteLength(text) })
  response.end(text)
}
