/**
 * Answers every request with one Responses body of about 1 kB of answer and the fields of a recorded one, and does
 * nothing else: the simulator keeps a ledger, validates and logs, and would take the second core.
 */
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"

const text = "The first contract has a notice period of thirty days, the second of ninety, the third has none. ".repeat(
  10
)

const body = JSON.stringify({
  id: "resp_0123456789abcdef0123456789abcdef0123456789abcdef",
  object: "response",
  created_at: 1_764_000_000,
  status: "completed",
  background: false,
  billing: { payer: "developer" },
  completed_at: 1_764_000_001,
  error: null,
  incomplete_details: null,
  instructions: null,
  max_output_tokens: null,
  model: "gpt-5.5-2026-04-23",
  output: [{
    id: "msg_0123456789abcdef0123456789abcdef0123456789abcdef",
    type: "message",
    status: "completed",
    content: [{ type: "output_text", annotations: [], logprobs: [], text }],
    role: "assistant"
  }],
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
  usage: {
    input_tokens: 36,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: 230,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: 266
  },
  user: null,
  metadata: {}
})

const headers = {
  "content-type": "application/json",
  "content-length": Buffer.byteLength(body),
  "openai-processing-ms": "850",
  "openai-version": "2020-10-01",
  "x-ratelimit-limit-requests": "10000",
  "x-ratelimit-remaining-requests": "9999",
  "x-ratelimit-reset-requests": "6ms",
  "x-request-id": "req_0123456789abcdef0123456789abcdef"
}

const server = createServer({ keepAliveTimeout: 0 }, (request, response) => {
  request.resume().on("end", () => response.writeHead(200, headers).end(body))
})

server.listen(0, "127.0.0.1", () => {
  process.send?.(`http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`)
})
