/**
 * Streams one answer of many small pieces to every request, in the events of recorded ones, and does nothing else. With
 * the path `/paced`, each piece is written by itself, when the one before has left; without it all are written as fast as the
 * reader takes them.
 */
import { createServer, type ServerResponse } from "node:http"
import type { AddressInfo } from "node:net"

/** Pieces of text in one answer. */
export const deltas = 2000

const words = ["The", " first", " contract", " has", " a", " notice", " period", " of", " thirty", " days."]

const word = (index: number): string => words[index % words.length]!

const responseId = "resp_0123456789abcdef0123456789abcdef0123456789abcdef"
const itemId = "msg_0123456789abcdef0123456789abcdef0123456789abcdef"
const text = Array.from({ length: deltas }, (_, index) => word(index)).join("")

const response = (status: string, background: boolean, output: ReadonlyArray<unknown>) => ({
  id: responseId,
  object: "response",
  created_at: 1_764_000_000,
  status,
  background,
  completed_at: null,
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: null,
  model: "gpt-5.5-2026-04-23",
  output,
  parallel_tool_calls: true,
  previous_response_id: null,
  reasoning: { effort: null, summary: null },
  service_tier: "default",
  store: true,
  temperature: 1,
  text: { format: { type: "text" }, verbosity: "medium" },
  tool_choice: "auto",
  tools: [],
  top_p: 1,
  truncation: "disabled",
  usage: status === "completed" ? { input_tokens: 36, output_tokens: deltas, total_tokens: 36 + deltas } : null,
  user: null,
  metadata: {}
})

const place = { item_id: itemId, output_index: 0, content_index: 0 }

const content = [{ type: "output_text", annotations: [], logprobs: [], text }]

const responseFrames = (background: boolean): ReadonlyArray<string> => {
  const events: ReadonlyArray<Record<string, unknown>> = [
    { type: "response.created", response: response("in_progress", background, []) },
    { type: "response.in_progress", response: response("in_progress", background, []) },
    {
      type: "response.output_item.added",
      output_index: 0,
      item: { id: itemId, type: "message", status: "in_progress", content: [], role: "assistant" }
    },
    ...Array.from({ length: deltas }, (_, index) => ({
      type: "response.output_text.delta",
      ...place,
      delta: word(index),
      logprobs: [],
      obfuscation: "aBcDeFgHiJ"
    })),
    { type: "response.output_text.done", ...place, text, logprobs: [] },
    {
      type: "response.completed",
      response: response("completed", background, [
        { id: itemId, type: "message", status: "completed", content, role: "assistant" }
      ])
    }
  ]
  return events.map((event, index) =>
    `event: ${event["type"]}\ndata: ${JSON.stringify({ ...event, sequence_number: index })}\n\n`
  )
}

const heldFrames = responseFrames(false)
const jobFrames = responseFrames(true)

const chatFrame = (delta: object, finish: string | null, usage: object | null): string =>
  `data: ${
    JSON.stringify({
      id: "chatcmpl-0123456789abcdef01234567890",
      object: "chat.completion.chunk",
      created: 1_764_000_000,
      model: "gpt-5.5-2026-04-23",
      service_tier: "default",
      system_fingerprint: "fp_0123456789",
      choices: usage === null ? [{ index: 0, delta, logprobs: null, finish_reason: finish }] : [],
      usage,
      obfuscation: "aBcDeFgHiJ"
    })
  }\n\n`

const chatFrames = [
  chatFrame({ role: "assistant", content: "", refusal: null }, null, null),
  ...Array.from({ length: deltas }, (_, index) => chatFrame({ content: word(index) }, null, null)),
  chatFrame({}, "stop", null),
  chatFrame({}, null, { prompt_tokens: 36, completion_tokens: deltas, total_tokens: 36 + deltas }),
  "data: [DONE]\n\n"
]

const write = (target: ServerResponse, frames: ReadonlyArray<string>, isPaced: boolean): void => {
  let next = 0
  const pump = (): void => {
    while (next < frames.length && !target.destroyed) {
      const isTaken = target.write(frames[next++])
      if (isPaced) {
        setImmediate(pump)
        return
      }
      if (!isTaken) {
        target.once("drain", pump)
        return
      }
    }
    target.end()
  }
  pump()
}

const server = createServer({ keepAliveTimeout: 0 }, (request, target) => {
  let body = ""
  request.setEncoding("utf8").on("data", (piece: string) => body += piece).on("end", () => {
    target.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" })
    const isChat = request.url?.includes("/chat/completions") === true
    const frames = isChat ? chatFrames : body.includes("\"background\":true") ? jobFrames : heldFrames
    write(target, frames, request.url?.startsWith("/paced") === true)
  })
})

if (process.send !== undefined) {
  server.listen(0, "127.0.0.1", () => {
    process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
  })
}
