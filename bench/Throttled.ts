/**
 * Four hundred calls at once against a server that lets twenty a second pass
 * and sixty at once, with limits and without.
 */
import { Effect, Exit, Layer, Redacted } from "effect"
import { Holdfast, Providers, SessionStore } from "holdfast"
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"
import { performance } from "node:perf_hooks"
import type { Row } from "./Measure.ts"

const calls = 400
const perSecond = 20
const burst = 60

export const measure = async (): Promise<ReadonlyArray<Row>> => {
  const bare = await run({})
  const limited = await run({ requestsPerMinute: perSecond * 60, concurrency: 100 })
  const ideal = (calls - burst) / perSecond
  const row = (what: string, ours: string, peer: string, ratio: string, target = "", isMet?: boolean): Row => ({
    what,
    ours,
    peer,
    ratio,
    target,
    ...(isMet === undefined ? {} : { isMet })
  })
  return [
    row(
      `Answers of ${calls} calls at a throttling server, limits / none`,
      `${limited.answers}`,
      `${bare.answers}`,
      (limited.answers / bare.answers).toFixed(2),
      `${calls}`,
      limited.answers === calls
    ),
    row(
      `Answers a second, of at most ${(calls / ideal).toFixed(1)}`,
      `${(limited.answers / limited.seconds).toFixed(1)}`,
      `${(bare.answers / bare.seconds).toFixed(1)}`,
      (limited.answers / limited.seconds / (bare.answers / bare.seconds)).toFixed(2)
    ),
    row(
      "Requests for each answer",
      (limited.requests / limited.answers).toFixed(2),
      (bare.requests / bare.answers).toFixed(2),
      (limited.requests / limited.answers / (bare.requests / bare.answers)).toFixed(2)
    )
  ]
}

interface Result {
  readonly answers: number
  readonly requests: number
  readonly seconds: number
}

const run = async (limits: { readonly requestsPerMinute?: number; readonly concurrency?: number }): Promise<Result> => {
  const server = await listen()
  const layer = Holdfast.layer.pipe(
    Layer.provide([
      SessionStore.layerMemory,
      Providers.layer({ acme: { apiKey: Redacted.make("any"), baseUrl: server.url, limits } })
    ])
  )
  const startedAt = performance.now()
  const exits = await Effect.runPromise(
    Effect.forEach(
      Array.from({ length: calls }, (_, n) => n),
      (n) => Effect.exit(Holdfast.execute({ model: "acme/m", prompt: `Call ${n}`, strategy: "completions" })),
      { concurrency: "unbounded" }
    ).pipe(Effect.provide(layer))
  )
  const seconds = (performance.now() - startedAt) / 1000
  server.close()
  return { answers: exits.filter(Exit.isSuccess).length, requests: server.requests(), seconds }
}

/** A server with a token bucket, and the headers of OpenAI's. */
const listen = async () => {
  let tokens = burst
  let at = performance.now()
  let requests = 0
  const answer = (response: ServerResponse): void => {
    const now = performance.now()
    tokens = Math.min(burst, tokens + (now - at) / 1000 * perSecond)
    at = now
    requests++
    const isOver = tokens < 1
    if (!isOver) tokens--
    const wait = Math.ceil((1 - tokens) / perSecond * 1000)
    response.writeHead(isOver ? 429 : 200, {
      "content-type": "application/json",
      "x-ratelimit-limit-requests": `${perSecond * 60}`,
      "x-ratelimit-remaining-requests": `${Math.floor(tokens)}`,
      ...(isOver ? { "retry-after-ms": `${wait}` } : {})
    })
    response.end(JSON.stringify(isOver ? tooMany : chat))
  }
  const server = createServer((request, response) => {
    request.resume().on("end", () => answer(response))
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests: () => requests,
    close: () => {
      server.close()
      server.closeAllConnections()
    }
  }
}

const tooMany = {
  error: { message: "Rate limit reached for requests", type: "requests", param: null, code: "rate_limit_exceeded" }
}

const chat = {
  id: "chatcmpl-1",
  object: "chat.completion",
  created: 1,
  model: "m",
  choices: [{ index: 0, finish_reason: "stop", message: { role: "assistant", content: "Hi", refusal: null } }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 }
}
