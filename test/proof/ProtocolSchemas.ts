import type { Transport } from "../../src/services/providers/Transport.ts"
import { anthropicValidator } from "../services/providers/AnthropicPublishedSchemas.ts"
import { publishedValidator } from "../services/providers/OpenAiPublishedSchemas.ts"
import { anthropicBodies, openAiBodies } from "../testing/PublishedSchemas.ts"

/** One request and its answer. */
export interface Exchanged {
  readonly method: string
  readonly path: string
  readonly sent: unknown
  readonly status: number
  /** `undefined` when it did not arrive. */
  readonly received: string | undefined
}

/** Records what goes through a transport. */
export const recording = (
  inner: Transport["Service"]
): { readonly transport: Transport["Service"]; readonly exchanges: () => Promise<ReadonlyArray<Exchanged>> } => {
  const exchanges: Array<Promise<Exchanged>> = []
  const recorded = (fetch: Transport["Service"]["fetch"]): Transport["Service"]["fetch"] => async (input, init) => {
    const response = await fetch(input, init)
    const { body, method = "GET" } = init ?? {}
    const half = response.clone()
    exchanges.push(
      half.text().catch(() => undefined).then((received) => ({
        method,
        path: new URL(String(input)).pathname,
        sent: typeof body === "string" ? JSON.parse(body) : undefined,
        status: response.status,
        received
      }))
    )
    return response
  }
  return {
    transport: { ...inner, fetch: recorded(inner.fetch), fetchFresh: recorded(inner.fetchFresh) },
    exchanges: () => Promise.all(exchanges)
  }
}

/** Gives what the published schemas have against exchanges; `undefined` when `HOLDFAST_SPECS` does not name the folder. */
export const makeValidator = (): ((exchanges: ReadonlyArray<Exchanged>) => ReadonlyArray<string>) | undefined => {
  const folder = process.env["HOLDFAST_SPECS"]
  if (folder === undefined) return undefined
  const openAi = openAiBodies(folder)
  const anthropic = anthropicBodies(folder)
  const requests: Readonly<Record<string, ReturnType<typeof publishedValidator>>> = {
    CreateResponse: publishedValidator("CreateResponse"),
    CreateChatCompletionRequest: publishedValidator("CreateChatCompletionRequest"),
    CreateMessageParams: anthropicValidator("CreateMessageParams"),
    CreateMessageBatchParams: anthropicValidator("CreateMessageBatchParams")
  }
  return (exchanges) =>
    exchanges.flatMap(({ method, path, received, sent, status }) => {
      const schemas = schemasOf(method, path)
      // Google publishes none for Interactions among these documents.
      if (schemas === undefined) return []
      const lines = received === undefined ? [] : received.split("\n")
      const events = lines.flatMap((line) => line.startsWith("data: ") ? jsonOf(line.slice("data: ".length)) : [])
      const validate = schemas.api === "openai" ? openAi : anthropic
      return [
        ...(schemas.request === undefined ? [] : requests[schemas.request]?.(sent) ?? []),
        ...lines.flatMap(jsonOf).flatMap((body) =>
          status >= 400
            ? unpublished.test(JSON.stringify(body)) ? [] : validate("ErrorResponse", body)
            : schemas.isPage
            ? itemsOf(body).flatMap((item) => validate(schemas.response, item))
            : validate(schemas.response, body)
        ),
        ...events.flatMap((event) => validate(schemas.event ?? "no stream", event))
      ].map((problem) => `${method} ${path}: ${problem}`)
    })
}

// Errors that the provider documents elsewhere, and not in its published document.
const unpublished = /"type":"(conflict_error|request_too_large)"/

interface Schemas {
  readonly api: "openai" | "anthropic"
  readonly request?: string
  readonly response: string
  /** Of a stream. */
  readonly event?: string
  readonly isPage?: boolean
}

const schemasOf = (method: string, path: string): Schemas | undefined => {
  const isPost = method.toUpperCase() === "POST"
  switch (path.replace(/\/(resp|msgbatch)_\w+/, "/id")) {
    case "/v1/responses":
      return { api: "openai", request: "CreateResponse", response: "Response", event: "ResponseStreamEvent" }
    case "/v1/responses/id":
    case "/v1/responses/id/cancel":
      return { api: "openai", response: "Response", event: "ResponseStreamEvent" }
    case "/v1/chat/completions":
      return {
        api: "openai",
        request: "CreateChatCompletionRequest",
        response: "CreateChatCompletionResponse",
        event: "CreateChatCompletionStreamResponse"
      }
    case "/v1/messages":
      return {
        api: "anthropic",
        request: "CreateMessageParams",
        response: "Message",
        event: "MessageStreamEvent"
      }
    case "/v1/messages/batches":
      return isPost
        ? { api: "anthropic", request: "CreateMessageBatchParams", response: "MessageBatch" }
        : { api: "anthropic", response: "MessageBatch", isPage: true }
    case "/v1/messages/batches/id":
    case "/v1/messages/batches/id/cancel":
      return { api: "anthropic", response: "MessageBatch" }
    case "/v1/messages/batches/id/results":
      return { api: "anthropic", response: "MessageBatchIndividualResponse" }
  }
  return undefined
}

// What was damaged on purpose is no JSON.
const jsonOf = (line: string): ReadonlyArray<unknown> => {
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}

const itemsOf = (page: unknown): ReadonlyArray<unknown> =>
  typeof page === "object" && page !== null && "data" in page && Array.isArray(page.data) ? page.data : []
