import { assert, describe, it } from "@effect/vitest"
import { Effect, Result, Schema } from "effect"
import { ResponseRequest } from "holdfast"
import { randomBytes } from "node:crypto"
import * as Fingerprint from "../../src/services/Fingerprint.ts"
import * as AnthropicMessages from "../../src/services/providers/AnthropicMessages.ts"
import * as ChatCompletions from "../../src/services/providers/ChatCompletions.ts"
import * as GeminiInput from "../../src/services/providers/internal/GeminiInput.ts"
import * as OpenAiResponses from "../../src/services/providers/OpenAiResponses.ts"
import { longestTurn } from "../fixtures/LongestTurn.ts"

/** The most CPU time, in milliseconds, that a turn of the event loop may take. */
const maxTurn = 50

const bytes = randomBytes(20_000_000)
const data = bytes.toString("base64")
const mediaType = "image/png"

describe("The event loop", () => {
  it.live.each<[string, ResponseRequest.RequestInput["prompt"]]>([
    ["base64", [{ type: "image", data, mediaType }]],
    ["base64 in lines", [{ type: "image", data: data.replace(/.{76}/g, "$&\r\n"), mediaType }]],
    ["base64 of the url alphabet", [{ type: "image", data: bytes.toString("base64url"), mediaType }]],
    ["bytes", [{ type: "image", data: new Uint8Array(bytes), mediaType }]],
    ["a data url", [{ type: "image", url: `data:image/png;base64,${data}` }]],
    ["a kept part", [{ type: "image", source: { type: "data", mediaType, data } }]],
    ["a percent-encoded data url", [{ type: "file", url: `data:text/plain,${"%C3%A9 ".repeat(3_000_000)}` }]],
    ["a text", "é\n".repeat(10_000_000)]
  ])(
    "is free every 50 ms while a request with 20 MB is read, identified and translated: %s",
    ([, prompt]) =>
      Effect.gen(function*() {
        const longest = yield* longestTurn(translated(prompt))

        assert.isBelow(longest, maxTurn)
      }),
    60_000
  )
})

/** What is done with a request before it is sent. */
const translated = Effect.fnUntraced(function*(prompt: ResponseRequest.RequestInput["prompt"]) {
  const request = yield* decode({ model: "m", prompt, session: "s" })
  yield* Fingerprint.of("s", request)
  for (const toPayload of payloads) {
    assert.isTrue(toPayload(request))
    yield* Effect.yieldNow
  }
})

const decode = Schema.decodeUnknownEffect(ResponseRequest.ResponseRequest)

const about = { provider: "p", model: "m" }

const payloads = [
  (request: ResponseRequest.ResponseRequest) =>
    Result.isSuccess(OpenAiResponses.toPayload(request, { ...about, alwaysStore: true })),
  (request: ResponseRequest.ResponseRequest) => Result.isSuccess(ChatCompletions.toPayload(request, about)),
  (request: ResponseRequest.ResponseRequest) => Result.isSuccess(AnthropicMessages.toBody(request, about)),
  (request: ResponseRequest.ResponseRequest) => Result.isSuccess(GeminiInput.toPayload(request, about))
]
