import Anthropic from "@anthropic-ai/sdk"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Simulator } from "holdfast/testing"
import { connect } from "node:net"
import OpenAI, { AzureOpenAI } from "openai"

describe("Simulator", () => {
  describe("Responses", () => {
    it.live("answers a synchronous call at once and keeps it", () =>
      simulated({}, async ({ openai }) => {
        const response = await openai.responses.create({ model: "gpt-4o", input: "Hello" })
        const again = await openai.responses.retrieve(response.id)

        assert.strictEqual(response.status, "completed")
        assert.strictEqual(response.output_text, "You asked: Hello (5 characters). This is the answer.")
        assert.strictEqual(response.model, "gpt-4o-2024-08-06")
        assert.match(response._request_id ?? "", /^req_/)
        assert.isNull(response.user)
        assert.deepStrictEqual(again.output, response.output)
      }))

    it.live("runs a background job by polls: queued, in_progress, completed", () =>
      simulated({ completeAfterPolls: 2 }, async ({ ledger, openai }) => {
        const queued = await openai.responses.create({
          model: "o3-pro",
          input: "Think",
          background: true,
          store: true,
          metadata: { holdfast_session: "s" }
        })
        const running = await openai.responses.retrieve(queued.id)
        const done = await openai.responses.retrieve(queued.id)

        assert.deepStrictEqual([queued.status, running.status, done.status], ["queued", "in_progress", "completed"])
        assert.deepStrictEqual([queued.background, queued.usage, running.output], [true, null as never, []])
        assert.strictEqual(done.usage?.output_tokens_details.reasoning_tokens, 64)
        const { jobs, requests, submissions } = await ledger()
        assert.strictEqual(submissions.length, 1)
        assert.containSubset(submissions[0], {
          number: 1,
          endpoint: "responses.create",
          accepted: true,
          jobId: queued.id,
          model: "o3-pro",
          background: true,
          metadata: { holdfast_session: "s" },
          ended: "sent",
          body: { input: "Think", store: true }
        })
        assert.containSubset(jobs[0], { id: queued.id, status: "completed", polls: 2 })
        assert.deepStrictEqual(requests, { "responses.create": 1, "responses.retrieve": 2 })
      }))

    it.live.each<[Simulator.Options, ReadonlyArray<string>]>([
      [{ jobDuration: "2 hours", queuedDuration: "1 hour" }, ["queued"]],
      [{ jobDuration: "1 hour", queuedDuration: "100 millis" }, ["queued", "in_progress"]],
      [{ jobDuration: "100 millis", queuedDuration: 0 }, ["in_progress", "completed"]]
    ])(
      "runs a background job by time: %o",
      ([options, [first, next = first]]) =>
        simulated(options, async ({ openai }) => {
          const created = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
          let status = created.status
          do status = (await openai.responses.retrieve(created.id)).status
          while (status === first && status !== next)

          assert.strictEqual(created.status, "queued")
          assert.strictEqual(status, next)
        })
    )

    it.live("hints at the next poll while the job runs", () =>
      simulated({ completeAfterPolls: 2, pollHint: "1500 millis" }, async ({ openai }) => {
        const { id } = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
        const running = await openai.responses.retrieve(id).withResponse()
        const done = await openai.responses.retrieve(id).withResponse()

        assert.strictEqual(running.response.headers.get("openai-poll-after-ms"), "1500")
        assert.isNull(done.response.headers.get("openai-poll-after-ms"))
      }))

    it.live("refuses to open a stream after its window", () =>
      simulated({ completeAfterPolls: 2, streamWindow: 0 }, async ({ openai }) => {
        const { id } = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
        const refused = await openai.responses.retrieve(id, { stream: true }).catch((error: unknown) => error)

        assert.deepInclude(refused, { status: 400, type: "invalid_request_error" })
      }))

    it.live("cancels a background job once and for all, and no other", () =>
      simulated({ completeAfterPolls: 1 }, async ({ ledger, openai }) => {
        const job = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
        const cancelled = await openai.responses.cancel(job.id)
        const again = await openai.responses.cancel(job.id)
        const polled = await openai.responses.retrieve(job.id)
        const sync = await openai.responses.create({ model: "gpt-4o", input: "Hi" })
        const refused = await failure(openai.responses.cancel(sync.id))
        const done = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
        await openai.responses.retrieve(done.id)
        const late = await openai.responses.cancel(done.id)

        assert.deepStrictEqual([cancelled.status, again.status, polled.status], ["cancelled", "cancelled", "cancelled"])
        assert.isNull(cancelled.usage)
        assert.strictEqual(refused.status, 400)
        assert.strictEqual(late.status, "completed")
        assert.strictEqual((await ledger()).jobs[0]?.cancels, 2)
      }))

    it.live("does not find what was deleted, never stored, or never made", () =>
      simulated({}, async ({ openai }) => {
        const kept = await openai.responses.create({ model: "gpt-4o", input: "Hi" })
        const unstored = await openai.responses.create({ model: "gpt-4o", input: "Hi", store: false })
        await openai.responses.delete(kept.id)

        for (const id of [kept.id, unstored.id, "resp_unknown"]) {
          const error = await failure(openai.responses.retrieve(id))
          assert.deepStrictEqual([error.status, error.type, error.code], [404, "invalid_request_error", null])
          assert.include(error.message, `Response with id '${id}' not found.`)
        }
      }))

    it.live("streams, and streams the tail after a cursor", () =>
      simulated({ completeAfterPolls: 9 }, async ({ ledger, openai }) => {
        const stream = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true, stream: true })
        const events: Array<OpenAI.Responses.ResponseStreamEvent> = []
        for await (const event of stream) events.push(event)
        const first = events[0]
        assert.strictEqual(first?.type, "response.created")
        const id = first?.type === "response.created" ? first.response.id : ""
        const tail: Array<OpenAI.Responses.ResponseStreamEvent> = []
        for await (const event of await openai.responses.retrieve(id, { stream: true, starting_after: 4 })) {
          tail.push(event)
        }

        assert.deepStrictEqual(events.map((event) => event.sequence_number), events.map((_, index) => index))
        assert.deepStrictEqual(tail, events.slice(5))
        assert.strictEqual((await openai.responses.retrieve(id)).status, "completed")
        const job = (await ledger()).jobs[0]
        assert.deepStrictEqual(job?.streams.map((one) => one.startingAfter), [4])
      }))

    it.live("spreads the events of a stream over the running time", () =>
      simulated({ jobDuration: "1 second", queuedDuration: "250 millis" }, async ({ openai }) => {
        const stream = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true, stream: true })
        const times: Array<number> = []
        for await (const _ of stream) times.push(performance.now())

        assert.isAbove((times.at(-1) ?? 0) - (times[0] ?? 0), 250)
      }))

    it.live("cuts the answer at max_output_tokens", () =>
      simulated(
        { answer: () => Array.from({ length: 40 }, (_, index) => `w${index}`).join(" ") },
        async ({ openai }) => {
          const response = await openai.responses.create({ model: "gpt-4o", input: "Hi", max_output_tokens: 16 })

          assert.strictEqual(response.status, "incomplete")
          assert.deepStrictEqual(response.incomplete_details, { reason: "max_output_tokens" })
          assert.strictEqual(response.output_text.split(" ").length, 16)
          assert.strictEqual(response.usage?.output_tokens, 16)
        }
      ))

    it.live("refuses what the provider refuses", () =>
      simulated({ apiKeys: ["right"] }, async ({ ledger, sim }) => {
        const right = new OpenAI({ apiKey: "right", baseURL: sim.openAiBaseUrl, maxRetries: 0 })
        const wrong = new OpenAI({ apiKey: "wrong", baseURL: sim.openAiBaseUrl, maxRetries: 0 })
        const post = (body: string) =>
          fetch(`${sim.openAiBaseUrl}/responses`, { method: "POST", body, headers: { authorization: "Bearer right" } })

        assert.containSubset(await failure(wrong.responses.create({ model: "gpt-4o", input: "Hi" })), {
          status: 401,
          code: "invalid_api_key"
        })
        assert.containSubset(await failure(right.responses.create({ model: "gpt-4o" })), {
          status: 400,
          param: "input"
        })
        assert.containSubset(await failure(right.responses.create({ input: "Hi" })), { status: 400, param: "model" })
        assert.strictEqual((await post("{")).status, 400)
        assert.strictEqual(
          (await fetch(`${sim.openAiBaseUrl}/responses`, { headers: { "api-key": "right" } })).status,
          405
        )
        assert.strictEqual((await fetch(`${sim.url}/v2/nothing`, { headers: { "api-key": "right" } })).status, 404)
        assert.isTrue((await ledger()).submissions.every((submission) => !submission.accepted))
      }))
  })

  describe("Azure", () => {
    it.live("speaks the v1 paths and the older ones", () =>
      simulated({ completeAfterPolls: 1 }, async ({ sim }) => {
        const v1 = new OpenAI({ apiKey: "k", baseURL: `${sim.azureEndpoint}/openai/v1`, maxRetries: 0 })
        const old = new AzureOpenAI({
          apiKey: "k",
          endpoint: sim.azureEndpoint,
          apiVersion: "2025-04-01-preview",
          maxRetries: 0
        })
        for (const client of [v1, old]) {
          const job = await client.responses.create({ model: "my-deployment", input: "Hi", background: true })
          assert.strictEqual((await client.responses.retrieve(job.id)).status, "completed")
          const chat = await client.chat.completions.create({
            model: "my-deployment",
            messages: [{ role: "user", content: "Hi" }]
          })
          assert.strictEqual(chat.choices[0]?.finish_reason, "stop")
        }
        await Effect.runPromise(sim.script([{ do: { _tag: "Error", error: "contentFilter" } }]))
        const filtered = await failure(v1.responses.create({ model: "my-deployment", input: "Hi" }))

        assert.deepStrictEqual([filtered.status, filtered.code], [400, "content_filter"])
      }))
  })

  describe("Chat Completions", () => {
    it.live("answers, and streams with usage at the end", () =>
      simulated({}, async ({ openai }) => {
        const messages = [{ role: "user", content: [{ type: "text", text: "Hi there" }] }] as const
        const plain = await openai.chat.completions.create({ model: "gpt-4o", messages: [...messages] as never })
        const stream = await openai.chat.completions.create({
          model: "gpt-4o",
          messages: [...messages] as never,
          stream: true,
          stream_options: { include_usage: true }
        })
        let text = ""
        let usage: unknown
        for await (const chunk of stream) {
          text += chunk.choices[0]?.delta.content ?? ""
          usage = chunk.usage ?? usage
        }

        assert.strictEqual(plain.choices[0]?.message.content, "You asked: Hi there (8 characters). This is the answer.")
        assert.strictEqual(text, plain.choices[0]?.message.content)
        assert.containSubset(usage, { completion_tokens: 10 })
      }))
  })

  describe("Messages", () => {
    it.live("answers, and streams", () =>
      simulated({}, async ({ anthropic }) => {
        const request = {
          model: "claude-haiku-4-5",
          max_tokens: 50,
          messages: [{ role: "user" as const, content: "Hi" }]
        }
        const plain = await anthropic.messages.create(request)
        const streamed = await anthropic.messages.stream(request).finalMessage()
        const cut = await anthropic.messages.create({ ...request, max_tokens: 3 })

        assert.deepStrictEqual(streamed.content, plain.content)
        assert.strictEqual(plain.stop_reason, "end_turn")
        assert.deepStrictEqual([cut.stop_reason, cut.usage.output_tokens], ["max_tokens", 3])
      }))

    it.live("refuses in the shape of Anthropic", () =>
      simulated({}, async ({ sim }) => {
        const post = async (headers: Record<string, string>, body: unknown) => {
          const response = await fetch(`${sim.url}/v1/messages`, {
            method: "POST",
            headers,
            body: JSON.stringify(body)
          })
          return { status: response.status, body: await response.json() }
        }
        const body = { model: "m", max_tokens: 5, temperature: 1, messages: [{ role: "user", content: "Hi" }] }

        assert.containSubset(await post({}, {}), { status: 401, body: { error: { type: "authentication_error" } } })
        assert.containSubset(await post({ "x-api-key": "k" }, {}), { status: 400, body: { type: "error" } })
        assert.strictEqual((await post({ "x-api-key": "k", "anthropic-version": "2023-06-01" }, body)).status, 200)
        assert.strictEqual((await post({ "x-api-key": "k", "anthropic-version": "2026-10-21" }, body)).status, 400)
      }))
  })

  describe("Message Batches", () => {
    it.live("runs a batch to its results, with a hint while it runs", () =>
      simulated({ completeAfterPolls: 2 }, async ({ anthropic, ledger }) => {
        const batch = await anthropic.messages.batches.create({ requests: [batchRequest("a"), batchRequest("b")] })
        const running = await anthropic.messages.batches.retrieve(batch.id).withResponse()
        const ended = await anthropic.messages.batches.retrieve(batch.id)
        const results: Array<string> = []
        for await (const one of await anthropic.messages.batches.results(batch.id)) {
          results.push(`${one.custom_id} ${one.result.type}`)
        }

        assert.strictEqual(running.response.headers.get("retry-after"), "10")
        assert.strictEqual(running.data.request_counts.processing, 2)
        assert.strictEqual(ended.processing_status, "ended")
        assert.strictEqual(ended.request_counts.succeeded, 2)
        assert.deepStrictEqual(results, ["a succeeded", "b succeeded"])
        assert.containSubset((await ledger()).jobs[0], { endpoint: "batches.create", status: "ended", resultReads: 1 })
      }))

    it.live("has no results before the end", () =>
      simulated({ completeAfterPolls: 2 }, async ({ anthropic, sim }) => {
        const batch = await anthropic.messages.batches.create({ requests: [batchRequest("a")] })
        const early = await fetch(`${sim.url}/v1/messages/batches/${batch.id}/results`, {
          headers: { "x-api-key": "k" }
        })

        assert.strictEqual(early.status, 404)
        assert.include(await early.text(), "has no available results")
      }))

    it.live("cancels a batch: canceling, then ended", () =>
      simulated({ completeAfterPolls: 5 }, async ({ anthropic }) => {
        const batch = await anthropic.messages.batches.create({ requests: [batchRequest("a")] })
        const canceling = await anthropic.messages.batches.cancel(batch.id)
        const ended = await anthropic.messages.batches.retrieve(batch.id)

        assert.strictEqual(canceling.processing_status, "canceling")
        assert.isString(canceling.cancel_initiated_at)
        assert.strictEqual(ended.processing_status, "ended")
        assert.strictEqual(ended.request_counts.canceled, 1)
      }))

    it.live("lists batches, newest first, in pages", () =>
      simulated({}, async ({ anthropic }) => {
        const ids: Array<string> = []
        for (const name of ["a", "b", "c"]) {
          ids.unshift((await anthropic.messages.batches.create({ requests: [batchRequest(name)] })).id)
        }
        const page = await anthropic.messages.batches.list({ limit: 1 })
        const all: Array<string> = []
        for await (const batch of anthropic.messages.batches.list({ limit: 2 })) all.push(batch.id)

        assert.isTrue(page.has_more)
        assert.deepStrictEqual(all, ids)
      }))

    it.live("gives each result its type", () =>
      simulated({ completeAfterPolls: 1 }, async ({ anthropic, sim }) => {
        const types: Array<string> = []
        for (const outcome of ["failed", "expired", "cancelled", "refused"] as const) {
          await Effect.runPromise(sim.script([{ on: "batches.create", do: { _tag: "Job", outcome } }]))
          const batch = await anthropic.messages.batches.create({ requests: [batchRequest("a")] })
          await anthropic.messages.batches.retrieve(batch.id)
          for await (const one of await anthropic.messages.batches.results(batch.id)) types.push(one.result.type)
        }

        assert.deepStrictEqual(types, ["errored", "expired", "canceled", "succeeded"])
      }))
  })

  it.live("lists models in the shape that the client knows", () =>
    simulated({}, async ({ anthropic, openai }) => {
      assert.isNotEmpty((await openai.models.list()).data)
      assert.isNotEmpty((await anthropic.models.list()).data)
    }))

  describe("controls", () => {
    it.live("finishes and fails jobs on demand, also while they are streamed", () =>
      simulated({ jobDuration: "1 hour" }, async ({ openai, sim }) => {
        const first = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
        const second = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true, stream: true })
        assert.isTrue(await Effect.runPromise(sim.finish(first.id)))
        assert.isFalse(await Effect.runPromise(sim.finish(first.id)))
        assert.isFalse(await Effect.runPromise(sim.finish("resp_unknown")))
        let last = ""
        for await (const event of second) {
          last = event.type
          if (event.type === "response.queued") await Effect.runPromise(sim.finish(event.response.id))
        }
        const third = await openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
        await Effect.runPromise(sim.fail(third.id, { code: "rate_limit_exceeded", message: "too much" }))

        assert.strictEqual((await openai.responses.retrieve(first.id)).status, "completed")
        assert.strictEqual(last, "response.completed")
        assert.containSubset(await openai.responses.retrieve(third.id), {
          status: "failed",
          error: { code: "rate_limit_exceeded", message: "too much" }
        })
      }))

    it.live("is the same over HTTP", () =>
      simulated({ jobDuration: "1 hour" }, async ({ openai, sim }) => {
        await Effect.runPromise(
          Effect.gen(function*() {
            const remote = yield* Simulator.Simulator
            yield* remote.script([{
              on: "responses.create",
              times: Infinity,
              do: { _tag: "Job", outcome: "completed", text: "scripted" }
            }])
            const { id } = yield* Effect.promise(() =>
              openai.responses.create({ model: "gpt-4o", input: "Hi", background: true })
            )
            assert.isTrue(yield* remote.finish(id))
            assert.strictEqual((yield* Effect.promise(() => openai.responses.retrieve(id))).output_text, "scripted")
            assert.deepStrictEqual(yield* remote.ledger, JSON.parse(JSON.stringify(yield* sim.ledger)))
            assert.strictEqual((yield* remote.jobs)[0]?.status, "completed")
            yield* remote.reset
            assert.deepStrictEqual((yield* sim.ledger).submissions, [])
            assert.strictEqual(remote.openAiBaseUrl, sim.openAiBaseUrl)
          }).pipe(Effect.provide(Simulator.layerRemote(sim.url)))
        )
        const refused = await fetch(`${sim.url}/_simulator/script`, {
          method: "POST",
          body: JSON.stringify({ rules: [{ do: { _tag: "Nonsense" } }] })
        })
        assert.strictEqual(refused.status, 400)
      }))

    it.live("gives the same ids for the same seed", () =>
      Effect.gen(function*() {
        const id = simulated({ seed: 7 }, async ({ openai }) =>
          (await openai.responses.create({ model: "gpt-4o", input: "Hi" })).id)

        assert.strictEqual(yield* id, yield* id)
      }))
  })

  describe("server", () => {
    it.live("survives garbage, half requests and clients that go away", () =>
      simulated({}, async ({ ledger, openai, sim }) => {
        const port = Number(new URL(sim.url).port)
        const throwAt = (text: string) =>
          new Promise<void>((resolve) => {
            const socket = connect(port, "127.0.0.1", () =>
              socket.write(text, () =>
                setTimeout(() => socket.destroy(), 60)))
            socket.on("error", () => {})
            socket.on("close", () =>
              resolve())
          })
        await throwAt("\u0000\u0001garbage\r\n\r\n")
        await throwAt("POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{\"model\"")
        await throwAt("GET /v1/responses/%E0%A4%A HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\n")
        await throwAt("POST /_simulator/script HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nnull")
        const response = await openai.responses.create({ model: "gpt-4o", input: "x".repeat(2_000_000) })

        assert.strictEqual(response.status, "completed")
        const { calls, submissions } = await ledger()
        assert.strictEqual(calls.find((call) => call.endpoint === "responses.create")?.ended, "aborted")
        assert.strictEqual(submissions.length, 1)
      }))

    it.live("stops at once, whatever is open", () =>
      Effect.gen(function*() {
        const open = yield* Effect.forkChild(
          simulated({ jobDuration: "1 hour" }, async ({ openai }) => {
            const stream = await openai.responses.create({
              model: "gpt-4o",
              input: "Hi",
              background: true,
              stream: true
            })
            for await (const _ of stream) break
            void openai.responses.create({ model: "gpt-4o", input: "Hi", background: true, stream: true }).catch(
              () => {}
            )
            await new Promise((resolve) => setTimeout(resolve, 20))
            return performance.now()
          })
        )
        const before = yield* Fiber.join(open)

        // Without waiting until an idle connection is given up, which takes five seconds.
        assert.isBelow(performance.now() - before, 4500)
      }))

    it.live("fails with SimulatorError when the port is taken", () =>
      simulated({}, async ({ sim }) => {
        const error = await Effect.runPromise(
          Effect.flip(Simulator.Simulator.pipe(
            Effect.provide(Simulator.layer({ port: Number(new URL(sim.url).port) }))
          ))
        )

        assert.strictEqual(error._tag, "SimulatorError")
      }))

    it("rejects options out of range", () => {
      assert.throws(() => Simulator.layer({ port: -1 }), /port must be an integer in \[0, 65535\], got -1/)
      assert.throws(() => Simulator.layer({ completeAfterPolls: 0 }), RangeError)
      assert.throws(() => Simulator.layer({ jobDuration: Infinity }), RangeError)
      assert.throws(() => Simulator.layer({ script: [{ do: { _tag: "Nonsense" } as never }] }), RangeError)
      assert.throws(() => Simulator.layer({ script: [{ do: [], tymes: 1 } as never] }), RangeError)
    })
  })
})

interface Simulated {
  readonly sim: Simulator.Simulator["Service"]
  readonly openai: OpenAI
  readonly anthropic: Anthropic
  readonly ledger: () => Promise<Simulator.Ledger>
}

const simulated = <A>(options: Simulator.Options, body: (simulated: Simulated) => Promise<A>) =>
  Simulator.Simulator.use((sim) =>
    Effect.promise(() =>
      body({
        sim,
        openai: new OpenAI({ apiKey: "sim", baseURL: sim.openAiBaseUrl, maxRetries: 0 }),
        anthropic: new Anthropic({ apiKey: "sim", baseURL: sim.anthropicBaseUrl, maxRetries: 0 }),
        ledger: () => Effect.runPromise(sim.ledger)
      })
    )
  ).pipe(Effect.provide(Simulator.layer(options), { local: true }))

const failure = (
  promise: PromiseLike<unknown>
): Promise<{ readonly status: number; readonly message: string; readonly type: unknown; readonly code: unknown }> =>
  Promise.resolve(promise).then(() => assert.fail("expected a failure"), (error) => error)

const batchRequest = (name: string) => ({
  custom_id: name,
  params: { model: "claude-haiku-4-5", max_tokens: 100, messages: [{ role: "user" as const, content: `Hi ${name}` }] }
})
