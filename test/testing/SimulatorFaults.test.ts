import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Simulator } from "holdfast/testing"
import OpenAI from "openai"

describe("Simulator faults", () => {
  describe("script", () => {
    it.live("uses a rule up, after skipping, and takes the first that fits", () =>
      simulated({
        script: [
          { on: "responses.create", skip: 1, times: 2, do: { _tag: "Status", status: 500, body: {} } },
          { on: "responses.create", match: "special", do: { _tag: "Status", status: 418, body: {} } }
        ]
      }, async ({ openai }) => {
        const statuses: Array<number> = []
        for (const input of ["special", "a", "special", "special"]) {
          statuses.push(await statusOf(openai.responses.create({ model: "gpt-4o", input })))
        }

        assert.deepStrictEqual(statuses, [418, 500, 500, 200])
      }))

    it.live("matches a poll by the prompt and by the id of its job", () =>
      simulated({ completeAfterPolls: 1 }, async ({ openai, script }) => {
        const one = await openai.responses.create({ model: "gpt-4o", input: "the \"quoted\" one", background: true })
        const two = await openai.responses.create({ model: "gpt-4o", input: "the other", background: true })
        await script([
          { on: "responses.retrieve", match: "\"quoted\"", do: { _tag: "Status", status: 500, body: {} } },
          { on: "responses.retrieve", match: two.id, do: { _tag: "Status", status: 503, body: {} } }
        ])

        assert.strictEqual(await statusOf(openai.responses.retrieve(two.id)), 503)
        assert.strictEqual(await statusOf(openai.responses.retrieve(one.id)), 500)
        assert.strictEqual(await statusOf(openai.responses.retrieve(two.id)), 200)
      }))

    it.live("draws probabilities from the seed", () =>
      Effect.gen(function*() {
        const draw = (seed: number) =>
          simulated({
            seed,
            script: [{ times: "always", probability: 0.5, do: { _tag: "Status", status: 500, body: {} } }]
          }, async ({ openai }) => {
            const statuses: Array<number> = []
            for (let index = 0; index < 20; index++) statuses.push(await statusOf(openai.models.list()))
            return statuses.join()
          })
        const first = yield* draw(1)

        assert.strictEqual(yield* draw(1), first)
        assert.notStrictEqual(yield* draw(2), first)
        assert.include(first, "500")
        assert.include(first, "200")
      }))

    it.live("applies all actions of a rule, in order", () =>
      simulated({
        script: [{ do: [{ _tag: "Delay", millis: 50 }, { _tag: "Job", outcome: "completed", text: "late" }] }]
      }, async ({ ledger, openai }) => {
        const start = performance.now()
        const response = await openai.responses.create({ model: "gpt-4o", input: "Hi" })

        assert.isAtLeast(performance.now() - start, 45)
        assert.strictEqual(response.output_text, "late")
        assert.deepStrictEqual((await ledger()).submissions[0]?.faults, ["Delay", "Job"])
      }))
  })

  describe("known errors", () => {
    it.live.each(
      [
        ["rateLimit", 429, "rate_limit_exceeded", 429, "rate_limit_error"],
        ["tokensPerMinute", 429, "rate_limit_exceeded", 429, "rate_limit_error"],
        ["quota", 429, "insufficient_quota", 429, "rate_limit_error"],
        ["overloaded", 503, "server_is_overloaded", 529, "overloaded_error"],
        ["serverError", 500, null, 500, "api_error"],
        ["gatewayTimeout", 504, null, 504, "timeout_error"],
        ["requestTimeout", 408, null, 408, "timeout_error"],
        ["conflict", 409, null, 409, "conflict_error"],
        ["contextLength", 400, "context_length_exceeded", 400, "invalid_request_error"],
        ["contentFilter", 400, "content_policy_violation", 400, "invalid_request_error"],
        ["authentication", 401, "invalid_api_key", 401, "authentication_error"],
        ["permission", 403, "model_not_found", 403, "permission_error"],
        ["notFound", 404, "model_not_found", 404, "not_found_error"],
        ["requestTooLarge", 413, null, 413, "request_too_large"],
        ["invalidRequest", 400, "unsupported_parameter", 400, "invalid_request_error"]
      ] as const
    )("has the shape of each API: %s", ([error, openAiStatus, code, anthropicStatus, type]) =>
      simulated({
        script: [{ times: 2, do: { _tag: "Error", error, headers: { "Retry-After": "7" } } }]
      }, async ({ anthropic, ledger, openai }) => {
        const first = await failure(openai.responses.create({ model: "gpt-4o", input: "Hi", background: true }))
        const second = await failure(anthropic.messages.create(message))

        assert.deepStrictEqual([first.status, first.code], [openAiStatus, code])
        assert.strictEqual(first.headers?.get("retry-after"), "7")
        assert.match(first.requestID ?? "", /^req_/)
        assert.deepStrictEqual([second.status, second.type], [anthropicStatus, type])
        assert.match(second.requestID ?? "", /^req_01/)
        const { jobs, submissions } = await ledger()
        assert.deepStrictEqual(jobs, [])
        assert.deepStrictEqual(submissions.map((one) => [one.accepted, one.status]), [
          [false, openAiStatus],
          [false, anthropicStatus]
        ])
      }))
  })

  describe("transport", () => {
    it.live("resets before and after acceptance", () =>
      simulated({
        script: [{ do: { _tag: "Reset", accepted: false } }, { do: { _tag: "Reset", accepted: true } }]
      }, async ({ ledger, openai }) => {
        for (let index = 0; index < 2; index++) {
          const error = await failure(openai.responses.create({ model: "gpt-4o", input: "Hi", background: true }))
          assert.instanceOf(error, OpenAI.APIConnectionError)
          assert.include(["ECONNRESET", "UND_ERR_SOCKET"], causeCode(error))
        }

        const { jobs, submissions } = await ledger()
        assert.deepStrictEqual(submissions.map((one) => [one.accepted, one.ended]), [[false, "reset"], [true, "reset"]])
        assert.deepStrictEqual(jobs.map((job) => job.id), [submissions[1]?.jobId ?? ""])
      }))

    it.live("hangs before and after acceptance", () =>
      simulated({
        script: [{ do: { _tag: "Hang", accepted: false } }, { do: { _tag: "Hang", accepted: true } }]
      }, async ({ ledger, openai }) => {
        for (let index = 0; index < 2; index++) {
          const controller = new AbortController()
          const { signal } = controller
          const call = failure(
            openai.responses.create({ model: "gpt-4o", input: "Hi", background: true }, { signal })
          )
          await until(async () => (await ledger()).submissions.length === index + 1)
          setTimeout(() => controller.abort(), 100)
          assert.instanceOf(await call, OpenAI.APIUserAbortError)
        }

        const { submissions } = await ledger()
        assert.deepStrictEqual(submissions.map((one) => [one.accepted, one.ended]), [[false, "hung"], [true, "hung"]])
      }))

    it.live("loses the answer of an accepted job behind a gateway error", () =>
      simulated({ script: [{ do: { _tag: "Html", status: 502, accepted: true } }] }, async ({ ledger, openai }) => {
        const error = await failure(openai.responses.create({ model: "gpt-4o", input: "Hi", background: true }))

        assert.strictEqual(error.status, 502)
        assert.include(error.message, "<html>")
        assert.strictEqual((await ledger()).jobs.length, 1)
      }))

    it.live("answers 200 with a page, a foreign body, garbage, nothing, or half", () =>
      simulated({
        script: [
          { do: { _tag: "Html", status: 200 } },
          { do: { _tag: "Status", status: 200, body: { error: { message: "upstream", code: 500 } } } },
          { do: { _tag: "Corrupt", how: "garbage" } },
          { do: { _tag: "Corrupt", how: "half" } },
          { do: { _tag: "Corrupt", how: "short" } },
          { do: { _tag: "Corrupt", how: "empty" } }
        ]
      }, async ({ openai }) => {
        const create = () => openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })

        assert.instanceOf(await failure(create()), TypeError)
        assert.containSubset(await create(), { error: { message: "upstream" } })
        assert.instanceOf(await failure(create()), SyntaxError)
        assert.instanceOf(await failure(create()), SyntaxError)
        assert.include(["terminated", "Connection error."], (await failure(create())).message)
        assert.isUndefined((await create().then((response) => response, () => undefined))?.id)
      }))

    it.live("sends a body slowly", () =>
      simulated({ script: [{ do: { _tag: "SlowBody", chunks: 5, millis: 20 } }] }, async ({ openai }) => {
        const start = performance.now()
        const response = await openai.responses.create({ model: "gpt-4o", input: "Hi" })

        assert.strictEqual(response.status, "completed")
        assert.isAtLeast(performance.now() - start, 75)
      }))

    it.live("delays an accepted answer, and flags the client that did not wait", () =>
      simulated({ script: [{ do: { _tag: "Delay", millis: 5000, accepted: true } }] }, async ({ ledger, openai }) => {
        const controller = new AbortController()
        const { signal } = controller
        const call = failure(openai.responses.create({ model: "gpt-4o", input: "Hi", background: true }, { signal }))
        await until(async () => (await ledger()).submissions[0]?.accepted === true)
        controller.abort()
        await call

        await until(async () => (await ledger()).submissions[0]?.ended === "aborted")
      }))

    it.live("adds headers to the normal answer", () =>
      simulated(
        { script: [{ do: { _tag: "Headers", headers: { "OpenAI-Poll-After-Ms": "5" } } }] },
        async ({ openai }) => {
          const { response } = await openai.models.list().withResponse()

          assert.strictEqual(response.headers.get("openai-poll-after-ms"), "5")
        }
      ))
  })

  describe("jobs", () => {
    it.live.each(
      [
        [{ outcome: "failed", code: "server_error", message: "oops" }, {
          status: "failed",
          error: { code: "server_error", message: "oops" },
          usage: null
        }],
        [{ outcome: "incomplete", reason: "content_filter", text: "a b" }, {
          status: "incomplete",
          incomplete_details: { reason: "content_filter" },
          output_text: "a b"
        }],
        [{ outcome: "cancelled" }, { status: "cancelled", output: [] }],
        [{ outcome: "refused", text: "no" }, {
          status: "completed",
          output: [{ content: [{ type: "refusal", refusal: "no" }] }]
        }],
        [{ outcome: "empty" }, { status: "completed", output: [], output_text: "" }],
        [{ outcome: "toolCall", text: "{}" }, {
          status: "completed",
          output: [{ type: "function_call", arguments: "{}" }]
        }],
        [{ outcome: "stuck-queued" }, { status: "queued" }],
        [{ outcome: "stuck-in-progress" }, { status: "in_progress" }],
        [{ outcome: "unknown-status", status: "paused" }, { status: "paused" }],
        [{ outcome: "completed", usage: { inputTokens: 9, cachedTokens: 4 } }, {
          usage: { input_tokens: 9, input_tokens_details: { cached_tokens: 4 } }
        }],
        [{ outcome: "completed", usage: null }, { status: "completed", usage: null }]
      ] as ReadonlyArray<readonly [Omit<Simulator.JobAction, "_tag">, object]>
    )(
      "ends as scripted: %o",
      ([job, expected]) =>
        simulated({ completeAfterPolls: 1, script: [{ do: { _tag: "Job", ...job } }] }, async ({ openai }) => {
          const { id } = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
          const polled = await openai.responses.retrieve(id)

          assert.containSubset(polled, expected)
        })
    )

    it.live("loses an expired job at once, or after some polls", () =>
      simulated({
        completeAfterPolls: 9,
        script: [{ do: { _tag: "Job", outcome: "expired" } }, { do: { _tag: "Job", outcome: "expired", polls: 2 } }]
      }, async ({ openai }) => {
        const now = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
        const later = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
        const statuses: Array<string | number | undefined> = []
        for (let index = 0; index < 2; index++) statuses.push((await openai.responses.retrieve(later.id)).status)
        statuses.push(await statusOf(openai.responses.retrieve(later.id)))

        assert.strictEqual(await statusOf(openai.responses.retrieve(now.id)), 404)
        assert.deepStrictEqual(statuses, ["in_progress", "in_progress", 404])
      }))

    it.live("ignores background: completed at once, and not found later", () =>
      simulated({ script: [{ do: { _tag: "IgnoreBackground" } }] }, async ({ openai }) => {
        const response = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })

        assert.deepStrictEqual([response.status, response.background], ["completed", false])
        assert.strictEqual(await statusOf(openai.responses.retrieve(response.id)), 404)
      }))

    it.live.each(
      [
        ["incomplete", "length", "max_tokens"],
        ["refused", "stop", "refusal"],
        ["empty", "stop", "end_turn"],
        ["toolCall", "tool_calls", "tool_use"]
      ] as const
    )(
      "ends Chat Completions and Messages too: %s",
      ([outcome, finish, stop]) =>
        simulated({ script: [{ times: 4, do: { _tag: "Job", outcome } }] }, async ({ anthropic, openai }) => {
          const chat = await openai.chat.completions.create(conversation)
          const streamed = await openai.chat.completions.stream({ ...conversation }).finalChatCompletion()
          const plain = await anthropic.messages.create(message)
          const final = await anthropic.messages.stream(message).finalMessage()

          assert.deepStrictEqual([chat.choices[0]?.finish_reason, streamed.choices[0]?.finish_reason], [finish, finish])
          assert.strictEqual(chat.choices[0]?.message.refusal === null, outcome !== "refused")
          assert.deepStrictEqual([plain.stop_reason, final.stop_reason], [stop, stop])
          assert.deepStrictEqual(final.content.map((part) => part.type), plain.content.map((part) => part.type))
        })
    )

    it.live("fails Chat Completions and Messages with a status", () =>
      simulated({ script: [{ times: 2, do: { _tag: "Job", outcome: "failed" } }] }, async ({ anthropic, openai }) => {
        assert.strictEqual(await statusOf(openai.chat.completions.create(conversation)), 500)
        assert.strictEqual(await statusOf(anthropic.messages.create(message)), 500)
      }))
  })

  describe("streams", () => {
    it.live("sends error, then response.failed, when the job fails", () =>
      simulated({
        completeAfterPolls: 9,
        script: [{ do: { _tag: "Job", outcome: "failed", code: "insufficient_quota" } }]
      }, async ({ openai }) => {
        const stream = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true, stream: true })
        const seen = await collect(stream)

        assert.deepStrictEqual(seen.types, ["response.created", "response.queued", "response.in_progress"])
        assert.containSubset(seen.error, { code: "insufficient_quota", status: undefined })
      }))

    it.live("ends cleanly, resets, or errs after some events", () =>
      simulated({
        completeAfterPolls: 9,
        script: [
          { do: { _tag: "CutStream", after: 5, how: "end" } },
          { do: { _tag: "CutStream", after: 5, how: "reset" } },
          { do: { _tag: "StreamError", after: 5, error: "rateLimit" } },
          { do: { _tag: "Corrupt", how: "garbage" } }
        ]
      }, async ({ ledger, openai }) => {
        const run = async () =>
          collect(await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true, stream: true }))
        const ended = await run()
        const reset = await run()
        const failed = await run()
        const garbage = await run()

        assert.deepStrictEqual([ended.types.length, ended.error], [5, undefined])
        assert.deepStrictEqual([reset.types.length, (reset.error as Error).message], [5, "terminated"])
        assert.deepStrictEqual([failed.types.length, (failed.error as { code: string }).code], [
          5,
          "rate_limit_exceeded"
        ])
        assert.deepStrictEqual(garbage.types, [])
        const { jobs, submissions } = await ledger()
        assert.deepStrictEqual(submissions.map((one) => one.ended), ["sent", "reset", "sent", "sent"])
        assert.strictEqual(jobs[0]?.status, "queued")
        const tail = await collect(
          await openai.responses.retrieve(jobs[0]?.id ?? "", { stream: true, starting_after: 4 })
        )
        assert.strictEqual(tail.types.at(-1), "response.completed")
      }))

    it.live("stalls after some events", () =>
      simulated({ script: [{ do: { _tag: "StallStream", after: 3 } }] }, async ({ openai }) => {
        const stream = await openai.responses.create({ model: "gpt-4o", input: "Hi", stream: true })
        const seen = await collect(stream, (count) => leaveLater(stream, count, 3))

        assert.deepStrictEqual([seen.types.length, seen.error], [3, undefined])
      }))

    it.live("sends only the first events of a stuck job, and no final one of a cancelled job", () =>
      simulated({
        jobDuration: "1 hour",
        queuedDuration: 0,
        script: [{ do: { _tag: "Job", outcome: "stuck-queued" } }]
      }, async ({ openai }) => {
        const stuck = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true, stream: true })
        const seen = await collect(stuck, (count) => leaveLater(stuck, count, 2))
        const stream = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true, stream: true })
        const types: Array<string> = []
        for await (const event of stream) {
          types.push(event.type)
          if (event.type === "response.in_progress") await openai.responses.cancel(event.response.id)
        }

        assert.deepStrictEqual(seen.types, ["response.created", "response.queued"])
        assert.deepStrictEqual(types, ["response.created", "response.queued", "response.in_progress"])
      }))

    it.live("breaks the streams of the other APIs too", () =>
      simulated({
        script: [
          { on: "chat.create", do: { _tag: "CutStream", after: 2, how: "end" } },
          { on: "chat.create", do: { _tag: "StreamError", after: 2 } },
          { on: "messages.create", do: { _tag: "CutStream", after: 4, how: "end" } },
          { on: "messages.create", do: { _tag: "StreamError", after: 4, error: "overloaded" } }
        ]
      }, async ({ anthropic, openai }) => {
        const chat = async () => collect(await openai.chat.completions.create({ ...conversation, stream: true }))
        const messages = async () => collect(await anthropic.messages.create({ ...message, stream: true }))

        assert.deepStrictEqual((await chat()).types.length, 2)
        assert.instanceOf((await chat()).error, OpenAI.APIError)
        assert.deepStrictEqual((await messages()).types, [
          "message_start",
          "content_block_start",
          "content_block_delta"
        ])
        assert.containSubset((await messages()).error, { type: "overloaded_error" })
      }))
  })
})

const conversation = { model: "gpt-4o", messages: [{ role: "user" as const, content: "Hi" }] }

const message = { model: "claude-haiku-4-5", max_tokens: 100, messages: [{ role: "user" as const, content: "Hi" }] }

interface Simulated {
  readonly openai: OpenAI
  readonly anthropic: Anthropic
  readonly ledger: () => Promise<Simulator.Ledger>
  readonly script: (rules: ReadonlyArray<Simulator.Rule>) => Promise<void>
}

const simulated = <A>(options: Simulator.Options, body: (simulated: Simulated) => Promise<A>) =>
  Simulator.Simulator.use((sim) =>
    Effect.promise(() =>
      body({
        openai: new OpenAI({ apiKey: "sim", baseURL: sim.openAiBaseUrl, maxRetries: 0 }),
        anthropic: new Anthropic({ apiKey: "sim", baseURL: sim.anthropicBaseUrl, maxRetries: 0 }),
        ledger: () => Effect.runPromise(sim.ledger),
        script: (rules) => Effect.runPromise(sim.script(rules))
      })
    )
  ).pipe(Effect.provide(Simulator.layer(options), { local: true }))

interface Failure {
  readonly status: number | undefined
  readonly message: string
  readonly code: unknown
  readonly type: unknown
  readonly headers: Headers | undefined
  readonly requestID: string | undefined
}

const failure = (promise: PromiseLike<unknown>): Promise<Failure> =>
  Promise.resolve(promise).then(() => assert.fail("expected a failure"), (error) => error)

const statusOf = (promise: PromiseLike<unknown>): Promise<number> =>
  Promise.resolve(promise).then(() => 200, (error: { readonly status: number }) => error.status)

const causeCode = (error: unknown): string => {
  let current = error as { readonly code?: string; readonly cause?: unknown } | undefined
  while (current?.cause !== undefined) current = current.cause as typeof current
  return current?.code ?? ""
}

const until = async (condition: () => Promise<boolean>): Promise<void> => {
  while (!await condition()) await new Promise((resolve) => setTimeout(resolve, 5))
}

/** Gives a stream a while to say more than it should, and aborts it. */
const leaveLater = (stream: { readonly controller: AbortController }, count: number, last: number): void => {
  if (count === last) setTimeout(() => stream.controller.abort(), 100)
}

const collect = async (stream: AsyncIterable<object>, onEvent: (count: number) => void = () => {}) => {
  const types: Array<string> = []
  try {
    for await (const event of stream) {
      types.push("type" in event ? String(event.type) : "chunk")
      onEvent(types.length)
    }
    return { types, error: undefined }
  } catch (error) {
    return { types, error }
  }
}
