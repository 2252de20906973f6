/**
 * The controls of a simulator in another process.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { prefix } from "./ControlEndpoints.ts"
import { Ledger } from "./Ledger.ts"
import { portable, type Rule } from "./Script.ts"

/**
 * Creates the controls of the simulator at an origin. They die when it cannot be reached.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function*(origin: string) {
  const context = yield* Layer.build(FetchHttpClient.layer)
  const client = yield* Effect.provideContext(HttpClient.HttpClient, context)
  const base = `${origin.replace(/\/+$/, "")}${prefix}`
  const send = <S extends Schema.Codec<unknown, unknown>>(request: HttpClientRequest.HttpClientRequest, schema: S) =>
    HttpClient.filterStatusOk(client).execute(request).pipe(
      Effect.flatMap(HttpClientResponse.schemaBodyJson(schema)),
      Effect.provideContext(context),
      Effect.orDie
    )
  const post = (path: string, body: unknown) =>
    HttpClientRequest.bodyJsonUnsafe(HttpClientRequest.post(`${base}${path}`), body)
  const change = (jobId: string, verb: string, body: unknown) =>
    send(post(`/jobs/${encodeURIComponent(jobId)}/${verb}`, body), Changed).pipe(Effect.map(({ changed }) => changed))
  const ledger = send(HttpClientRequest.get(`${base}/ledger`), Ledger)
  return {
    script: (rules: ReadonlyArray<Rule>, options?: { readonly replace?: boolean | undefined }) =>
      send(post("/script", { rules: rules.map(portable), replace: options?.replace ?? false }), Schema.Unknown).pipe(
        Effect.asVoid
      ),
    ledger,
    jobs: Effect.map(ledger, ({ jobs }) => jobs),
    finish: (jobId: string) => change(jobId, "finish", {}),
    fail: (jobId: string, error?: { readonly code?: string | undefined; readonly message?: string | undefined }) =>
      change(jobId, "fail", error ?? {}),
    reset: Effect.asVoid(send(post("/reset", {}), Schema.Unknown))
  }
})

const Changed = Schema.Struct({ changed: Schema.Boolean })
