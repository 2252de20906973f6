/**
 * The ports of the providers that are reached by a connection.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import type { Limits } from "../Limits.ts"
import type { Provider } from "../Provider.ts"
import type { Connection } from "../providers/ProviderSettings.ts"
import type { Transport } from "../providers/Transport.ts"
import { getOrMake } from "./Memo.ts"

/**
 * The ports that a provider offers for one model.
 *
 * @category models
 * @since 0.1.0
 */
export type Ports = Pick<Provider, "jobs" | "responses" | "completions" | "ready">

/**
 * Creates the ports of a connection, by model. Nothing is sent; the adapter is
 * loaded when the first model is asked for: few programs talk to all of them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  connection: Connection,
  transport: Transport["Service"],
  limits: Effect.Effect<Limits>
): (model: string) => Effect.Effect<Ports> => {
  const shared = adapterOf(connection, transport)
  const models = new Map<string, Adapter>()
  // What a server says of its limits is said of one model, so each model has a client of its own where somebody listens.
  const adapterFor = (model: string, { observe }: Limits): Adapter => {
    if (observe === undefined) return shared
    const { fetch, fetchFresh } = transport
    const observed = { fetch: observe(model, fetch), fetchFresh: observe(model, fetchFresh) }
    return getOrMake(models, model, () => adapterOf(connection, observed), maxClients)
  }
  return (model) =>
    limits.pipe(
      Effect.flatMap((limits) => adapterFor(model, limits)),
      Effect.map((portsOf) => portsOf(model))
    )
}

/** Clients of one provider that are kept. */
const maxClients = 100

/** Gives the ports of a model, once it is loaded. */
type Adapter = Effect.Effect<(model: string) => Ports>

const adapterOf = (connection: Connection, transport: Transport["Service"]): Adapter => {
  let made: Effect.Success<Adapter> | undefined
  const load = connection.protocol === "anthropic" ? anthropic : openAi
  return Effect.suspend(() =>
    made !== undefined ? Effect.succeed(made) : Effect.map(load(connection, transport), (portsOf) => made ??= portsOf)
  )
}

const anthropic = Effect.fnUntraced(function*(
  connection: Connection,
  { fetch, fetchFresh }: Transport["Service"]
): Effect.fn.Return<Effect.Success<Adapter>> {
  const Anthropic = yield* Effect.promise(() => import("../providers/Anthropic.ts"))
  const portsOf = yield* Anthropic.make({ ...connection, fetch, fetchFresh })
  return (model) => ({
    ...portsOf(model),
    completions: connection.completions ? portsOf(model).completions : undefined
  })
})

// One host may have its Responses API at another address than its Chat Completions.
const openAi = Effect.fnUntraced(function*(
  connection: Connection,
  { fetch, fetchFresh }: Transport["Service"]
): Effect.fn.Return<Effect.Success<Adapter>> {
  const OpenAi = yield* Effect.promise(() => import("../providers/OpenAi.ts"))
  const options = { ...connection, responsesApi: connection.responses, fetch, fetchFresh }
  const { background, interactionsBaseUrl: baseUrl } = connection
  const chat = yield* OpenAi.make(options)
  const responses = connection.responsesBaseUrl === connection.baseUrl
    ? chat
    : yield* OpenAi.make({ ...options, baseUrl: connection.responsesBaseUrl })
  const interactions = baseUrl !== undefined && background
    ? (yield* Effect.promise(() => import("../providers/GeminiInteractions.ts")))
      .make({ ...connection, baseUrl, fetch, fetchFresh })
    : undefined
  return (model) => ({
    ...responses(model),
    ...(interactions === undefined ? undefined : interactions(model)),
    completions: connection.completions ? chat(model).completions : undefined
  })
})
