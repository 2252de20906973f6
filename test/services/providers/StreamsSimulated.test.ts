import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Redacted, Schedule, Schema, Stream } from "effect"
import { Simulator } from "holdfast/testing"
import { getEventListeners } from "node:events"
import * as Http from "node:http"
import type { ProviderError } from "../../../src/errors/ProviderError.ts"
import type { JobsApi, StreamEvent } from "../../../src/services/Provider.ts"
import { type RequestInput, ResponseRequest } from "../../../src/services/ResponseRequest.ts"
import * as Anthropic from "../../../src/services/providers/Anthropic.ts"
import * as OpenAi from "../../../src/services/providers/OpenAi.ts"
import * as Transport from "../../../src/services/providers/Transport.ts"
import { publishedValidator } from "./OpenAiPublishedSchemas.ts"
import { collect, endOf, outcomeOf, textOf } from "./StreamReading.ts"

describe("Streams against the simulator", () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect.each(protocols)("end as %s's plain answers do, with the same text", (protocol) =>
      Effect.gen(function*() {
        for (const outcome of ["completed", "incomplete", "refused", "empty", "toolCall"] as const) {
          const { open, simulator } = yield* fresh([{ on: endpoints[protocol], do: { _tag: "Job", outcome } }])
          const result = yield* collect(open(protocol))

          assert.strictEqual(endOf(result), expected[outcome], outcome)
          assert.strictEqual(result.events[0]?._tag, "Started")
          const ended = outcomeOf(result.events)
          if (ended?._tag === "Succeeded") assert.strictEqual(textOf(result.events), ended.answer.content)
          if (outcome === "incomplete") {
            assert.strictEqual(textOf(result.events), "This is the part of the answer before the")
          }
          if (outcome === "toolCall") {
            assert.isTrue(result.events.some((event) => event._tag === "ToolCall"))
          }
          if (outcome !== "empty") assert.isTrue(result.events.some((event) => event._tag === "Usage"))
          const { calls, submissions } = yield* simulator.ledger
          assert.strictEqual(calls.length, 1)
          assert.isTrue(submissions[0]?.stream)
        }
      }))

    it.effect.each(["Responses", "Jobs"] as const)(
      "of %s tell that an answer failed as the error event says",
      (protocol) =>
        Effect.gen(function*() {
          const { open } = yield* fresh([{ do: { _tag: "Job", outcome: "failed", text: "So far" } }])
          const result = yield* collect(open(protocol))

          assert.strictEqual(endOf(result), "!ServerError")
          assert.strictEqual(textOf(result.events), "So far")
        })
    )

    it.effect.each(protocols)(
      "of %s never end in success when they are cut, broken off or stopped by an error",
      (protocol) =>
        Effect.gen(function*() {
          const { open } = yield* fresh([])
          const whole = yield* collect(open(protocol, "cut"))
          const text = textOf(whole.events)
          assert.strictEqual(endOf(whole), "stop")
          for (let after = 0; after < text.split(" ").length + 2; after += 3) {
            const ends: Array<string> = []
            for (
              const action of [
                { _tag: "CutStream", after, how: "end" },
                { _tag: "CutStream", after, how: "reset" },
                { _tag: "StreamError", after, error: "overloaded" }
              ] as const
            ) {
              const { open } = yield* fresh([{ on: endpoints[protocol], do: action }])
              const result = yield* collect(open(protocol, "cut"))
              ends.push(endOf(result))
              assert.isTrue(text.startsWith(textOf(result.events)))
              if (result.error !== undefined) assert.strictEqual(result.error.evidence, "Uncertain")
            }
            // A body without any event is no stream; a reset before the first one may win over the status line.
            assert.deepStrictEqual(ends, [after === 0 ? "!InvalidResponse" : "cut", "!Network", "!Overloaded"])
          }
        })
    )

    it.effect.each(protocols)(
      "of %s say what a refusal before the stream says, and what is no stream",
      (protocol) =>
        Effect.gen(function*() {
          const rows: ReadonlyArray<readonly [Simulator.Action, string, ProviderError["evidence"]]> = [
            [{ _tag: "Error", error: "rateLimit", headers: { "retry-after": "7" } }, "!RateLimited", "Refused"],
            [{ _tag: "Error", error: "authentication" }, "!AuthenticationFailed", "Refused"],
            [{ _tag: "Html", status: 200 }, "!InvalidResponse", "Uncertain"],
            [{ _tag: "Html", status: 502 }, "!ServerError", "Uncertain"],
            [{ _tag: "Corrupt", how: "garbage" }, "!InvalidResponse", "Uncertain"],
            [{ _tag: "Corrupt", how: "empty" }, "!InvalidResponse", "Uncertain"],
            [{ _tag: "Reset", accepted: true }, "!Network", "Uncertain"]
          ]
          for (const [action, end, evidence] of rows) {
            const { open, simulator } = yield* fresh([{ on: endpoints[protocol], do: action }])
            const result = yield* collect(open(protocol))

            assert.strictEqual(endOf(result), end)
            assert.strictEqual(result.error?.evidence, evidence)
            assert.lengthOf((yield* simulator.ledger).calls, 1)
            if (end !== "!RateLimited") continue
            const verdict = result.error?.verdict
            assert.deepStrictEqual(verdict?._tag === "Retryable" ? verdict.retryAfter : undefined, Duration.seconds(7))
          }
        })
    )

    it.effect.each(protocols)(
      "of %s free their socket when they are left or interrupted",
      (protocol) =>
        Effect.gen(function*() {
          const text = "word ".repeat(2000)
          const { open, simulator } = yield* fresh([
            { times: "always", do: { _tag: "Job", outcome: "completed", text, durationMillis: 100_000 } }
          ])
          yield* Stream.runDrain(Stream.take(open(protocol), 1))
          const fiber = yield* Effect.forkChild(Stream.runDrain(open(protocol)), { startImmediately: true })
          yield* waitFor(Effect.map(simulator.ledger, ({ calls }) => calls.length === 2))
          yield* Effect.sleep("20 millis")
          yield* Fiber.interrupt(fiber)

          yield* waitFor(Effect.map(simulator.ledger, ({ calls }) => calls.every(({ ended }) => ended === "aborted")))
        })
    )

    it.effect("of a job go on after each of their events, exactly with the rest", () =>
      Effect.gen(function*() {
        const { jobs, open, simulator } = yield* fresh([])
        const { events } = yield* collect(open("Jobs"))
        const [started] = events
        assert.strictEqual(started?._tag, "Started")
        const jobId = started?._tag === "Started" ? started.responseId : ""
        const again = yield* collect(jobs.stream?.(jobId, undefined) ?? Stream.empty)
        // The simulator writes the last event's time anew.
        assert.deepStrictEqual(again.events.map(plain), events.map(plain))
        for (const [index, { cursor }] of events.entries()) {
          const tail = yield* collect(jobs.stream?.(jobId, cursor) ?? Stream.empty)
          const next = events.findIndex((event, at) => at > index && event.cursor !== cursor)
          assert.deepStrictEqual(tail.events.map(plain), next < 0 ? [] : events.slice(next).map(plain))
          assert.isUndefined(tail.error)
        }
        const { jobs: known } = yield* simulator.ledger
        assert.strictEqual(known.length, 1)
      }))

    it.effect("of a job say NotFound for an id that is not known, and nothing new of one that was cancelled", () =>
      Effect.gen(function*() {
        const { jobs, open } = yield* fresh([
          {
            on: "responses.create",
            do: [{ _tag: "Job", outcome: "stuck-in-progress" }, { _tag: "CutStream", after: 2, how: "end" }]
          }
        ])
        const unknown = yield* collect(jobs.stream?.("resp_unknown", undefined) ?? Stream.empty)
        const impossible = yield* collect(jobs.stream?.("..", "3") ?? Stream.empty)
        const { events } = yield* collect(open("Jobs"))
        const jobId = events[0]?._tag === "Started" ? events[0].responseId : ""
        yield* jobs.cancel(jobId)
        const cancelled = yield* collect(jobs.stream?.(jobId, events.at(-1)?.cursor) ?? Stream.empty)

        assert.deepStrictEqual([endOf(unknown), endOf(impossible), endOf(cancelled)], ["!NotFound", "!NotFound", "cut"])
      }))

    it.effect("of Messages continue a paused turn, and give up on one that pauses for ever", () =>
      Effect.gen(function*() {
        const pause: Simulator.Rule = {
          times: 1,
          do: { _tag: "Job", outcome: "incomplete", reason: "pause_turn", text: "One " }
        }
        const { open, simulator } = yield* fresh([pause, pause, {
          do: { _tag: "Job", outcome: "completed", text: "two" }
        }])
        const result = yield* collect(open("Messages"))
        const { submissions } = yield* simulator.ledger
        const endless = yield* fresh([{ ...pause, times: "always" }])
        const given = yield* collect(endless.open("Messages"))

        assert.strictEqual(endOf(result), "stop")
        assert.strictEqual(textOf(result.events), "One One two")
        const outcome = outcomeOf(result.events)
        assert.strictEqual(outcome?._tag === "Succeeded" ? outcome.answer.content : "", "One One two")
        assert.lengthOf(result.events.filter((event) => event._tag === "Started"), 1)
        assert.deepStrictEqual(
          submissions.map(({ body }) => (body as { messages: ReadonlyArray<unknown> }).messages.length),
          [1, 2, 2]
        )
        assert.strictEqual(endOf(given), "[Incomplete]")
        assert.strictEqual(textOf(given.events), "One ".repeat(1 + Anthropic.maxContinuations))
      }))

    it.effect("of Messages are Uncertain when a continuation is refused, as the turn before it was taken", () =>
      Effect.gen(function*() {
        const { open } = yield* fresh([
          { do: { _tag: "Job", outcome: "incomplete", reason: "pause_turn", text: "One " } },
          { do: { _tag: "Error", error: "overloaded" } }
        ])
        const { error } = yield* collect(open("Messages"))

        assert.strictEqual(error?.verdict.reason._tag, "Overloaded")
        assert.strictEqual(error?.evidence, "Uncertain")
      }))

    it.effect("are used inside for long plain calls of Messages only", () =>
      Effect.gen(function*() {
        const { complete, simulator } = yield* fresh([])
        const long = yield* complete({ maxOutputTokens: 21_334 })
        const short = yield* complete({ maxOutputTokens: 21_333 })
        const ledger = yield* simulator.ledger
        yield* fresh([{ do: { _tag: "CutStream", after: 4, how: "end" } }])
        const cut = yield* Effect.flip(complete({ maxOutputTokens: 30_000 }))

        assert.deepStrictEqual([long._tag, short._tag], ["Succeeded", "Succeeded"])
        assert.deepStrictEqual(ledger.submissions.map(({ stream }) => stream), [true, false])
        assert.strictEqual(cut.verdict.reason._tag, "InvalidResponse")
        assert.strictEqual(cut.evidence, "Uncertain")
      }))
  })
})

describe("Streams", () => {
  it.effect("ask for a stream, and start jobs on a fresh connection", () =>
    Effect.gen(function*() {
      const shared = recorder()
      const alone = recorder()
      const portsOf = yield* OpenAi.make({
        name: "azure",
        baseUrl: "https://a.test/openai",
        apiVersion: "preview",
        responsesApi: true,
        background: true,
        fetch: shared.fetch,
        fetchFresh: alone.fetch
      })
      const { completions, jobs, responses } = portsOf("gpt-5")
      const options = { submissionId: "sub-1", sessionHash: "hash-1" }
      for (
        const stream of [
          jobs?.submitStream?.(request(), options),
          jobs?.stream?.("resp_1", "7"),
          jobs?.stream?.("resp_1", "9 0"),
          responses?.stream?.(request()),
          completions.stream?.(request())
        ]
      ) {
        yield* collect(stream ?? Stream.empty)
      }

      for (const { body, url } of [...alone.calls, ...shared.calls.slice(2)]) {
        const isValid = published[url.includes("/chat/") ? "chat" : "responses"]
        assert.deepStrictEqual(isValid?.(body) ?? [], [])
      }
      assert.deepStrictEqual(alone.calls, [{
        method: "POST",
        url: "https://a.test/openai/responses?api-version=preview",
        body: {
          model: "gpt-5",
          input: "2 + 2?",
          store: true,
          background: true,
          stream: true,
          metadata: { holdfast_submission: "sub-1", holdfast_session: "hash-1" }
        }
      }])
      assert.deepStrictEqual(shared.calls.slice(0, 2).map(({ url }) => Object.fromEntries(new URL(url).searchParams)), [
        { "api-version": "preview", stream: "true", starting_after: "7" },
        { "api-version": "preview", stream: "true", starting_after: "9" }
      ])
      assert.deepStrictEqual(shared.calls.slice(2).map(({ body }) => body), [
        { model: "gpt-5", input: "2 + 2?", store: true, stream: true },
        {
          model: "gpt-5",
          messages: [{ role: "user", content: "2 + 2?" }],
          stream: true,
          stream_options: { include_usage: true }
        }
      ])
    }))

  it.live("use one connection after the other, leave no listener behind, and slow the socket of a slow reader", () =>
    Effect.gen(function*() {
      const server = yield* serve()
      const transport = yield* Transport.make()
      const signals: Array<AbortSignal> = []
      const fetch: Transport.Fetch = (input, init) => {
        signals.push(init?.signal as AbortSignal)
        return transport.fetch(input, init)
      }
      const portsOf = yield* OpenAi.make({
        name: "openai",
        baseUrl: server.url,
        responsesApi: true,
        background: true,
        fetch,
        fetchFresh: transport.fetchFresh
      })
      const { completions } = portsOf("short")
      for (let count = 0; count < 3; count++) {
        const result = yield* collect(completions.stream?.(request()) ?? Stream.empty)
        assert.strictEqual(endOf(result), "stop")
        // The connection is free one turn after the end of the body, which comes later than the end of the stream.
        yield* waitFor(Effect.sync(() => server.ended() === count + 1))
        yield* Effect.sleep("20 millis")
      }
      assert.strictEqual(server.connections(), 1)

      const before = server.written()
      let seen = 0
      const fiber = yield* Effect.forkChild(
        Stream.runForEachArray(portsOf("endless").completions.stream?.(request()) ?? Stream.empty, (events) => {
          seen += textOf(events).length
          return Effect.sleep("10 millis")
        }),
        { startImmediately: true }
      )
      yield* waitFor(Effect.sync(() => seen > 0))
      yield* Effect.sleep("400 millis")
      const written = server.written() - before
      yield* Fiber.interrupt(fiber)

      assert.lengthOf(signals, 4)
      assert.deepStrictEqual(signals.flatMap((signal) => getEventListeners(signal, "abort")), [])
      assert.isAbove(seen, 0)
      // The kernel's buffers on both sides, and 64 KiB of ours for each time the reader came.
      assert.isBelow(written, 16_000_000)
    }))
})

const published = {
  chat: publishedValidator("CreateChatCompletionRequest"),
  responses: publishedValidator("CreateResponse")
}

const protocols = ["Responses", "Jobs", "Chat", "Messages"] as const

type Protocol = typeof protocols[number]

const endpoints: Readonly<Record<Protocol, Simulator.Endpoint>> = {
  Responses: "responses.create",
  Jobs: "responses.create",
  Chat: "chat.create",
  Messages: "messages.create"
}

const expected = {
  completed: "stop",
  incomplete: "[Incomplete]",
  refused: "[Refusal]",
  empty: "[EmptyContent]",
  toolCall: "tool-calls"
}

class Ports extends Context.Service<Ports, {
  readonly openAi: OpenAi.Ports
  readonly anthropic: Anthropic.Ports
}>()("test/services/providers/StreamsSimulated/Ports") {}

const portsLayer = Layer.effect(
  Ports,
  Effect.gen(function*() {
    const simulator = yield* Simulator.Simulator
    const transport = yield* Transport.Transport
    const apiKey = Redacted.make("sim")
    const openAiOf = yield* OpenAi.make({
      name: "openai",
      baseUrl: simulator.openAiBaseUrl,
      apiKey,
      responsesApi: true,
      background: true,
      ...transport
    })
    const anthropicOf = yield* Anthropic.make({
      name: "anthropic",
      baseUrl: simulator.anthropicBaseUrl,
      apiKey,
      ...transport
    })
    return { openAi: openAiOf("gpt-4o"), anthropic: anthropicOf("claude-opus-5-5") }
  })
)

const layer = portsLayer.pipe(Layer.provideMerge([Simulator.layer({ completeAfterPolls: 1 }), Transport.layer()]))

const fresh = Effect.fnUntraced(function*(rules: ReadonlyArray<Simulator.Rule>) {
  const simulator = yield* Simulator.Simulator
  const { anthropic, openAi } = yield* Ports
  yield* simulator.reset
  yield* simulator.script(rules, { replace: true })
  const jobs = openAi.jobs as JobsApi
  const open = (protocol: Protocol, prompt = "2 + 2?"): Stream.Stream<StreamEvent, ProviderError> => {
    const asked = request({ prompt })
    const stream = {
      Responses: () => openAi.responses?.stream?.(asked),
      Jobs: () => jobs.submitStream?.(asked, { submissionId: "sub-1" }),
      Chat: () => openAi.completions.stream?.(asked),
      Messages: () => anthropic.completions.stream?.(asked)
    }[protocol]()
    assert.isDefined(stream)
    return stream ?? Stream.empty
  }
  return {
    simulator,
    jobs,
    open,
    complete: (input: Partial<RequestInput>) => anthropic.completions.complete(request(input))
  }
})

const request = (input: Partial<RequestInput> = {}): ResponseRequest =>
  Schema.decodeSync(ResponseRequest)({ model: "openai/gpt-5", prompt: "2 + 2?", ...input })

/** An event without the body that ended it, which tells the time. */
const plain = (event: StreamEvent) => event._tag === "Ended" ? [event._tag, event.cursor] : event

const waitFor = (condition: Effect.Effect<boolean>) =>
  condition.pipe(
    Effect.repeat({ until: (isMet: boolean) => isMet, schedule: Schedule.spaced("20 millis") })
  )

const recorder = () => {
  const calls: Array<{ readonly method: string | undefined; readonly url: string; readonly body: unknown }> = []
  const fetch: Transport.Fetch = async (input, init) => {
    const body: unknown = typeof init?.body === "string" ? JSON.parse(init.body) : undefined
    calls.push({ method: init?.method, url: String(input), body })
    return new Response("", { headers: { "content-type": "text/event-stream" } })
  }
  return { calls, fetch }
}

// Streams a short answer, or one without an end for the model `endless`.
const serve = Effect.fnUntraced(function*() {
  let connections = 0
  let ended = 0
  let written = 0
  const frame = (content: string, finish: string | null) =>
    `data: ${JSON.stringify({ id: "c", choices: [{ index: 0, delta: { content }, finish_reason: finish }] })}\n\n`
  // Connections stay open however long the process is kept from running.
  const server = Http.createServer({ keepAliveTimeout: 0 }, (incoming, response) => {
    let body = ""
    incoming.on("data", (chunk: Buffer) => body += chunk.toString())
    incoming.on("end", () => {
      response.writeHead(200, { "content-type": "text/event-stream" })
      const write = (text: string): boolean => {
        written += text.length
        return response.write(text)
      }
      if (!body.includes("endless")) {
        write(frame("4", null))
        write(frame("", "stop"))
        write("data: [DONE]\n\n")
        setTimeout(() => response.end(() => ended++), 5)
        return
      }
      const piece = frame("x".repeat(16_000), null)
      const pump = () => {
        while (!response.destroyed && write(piece)) { /* until the socket is full */ }
        response.once("drain", pump)
      }
      pump()
    })
  })
  server.on("connection", () => connections++)
  yield* Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve())))
  yield* Effect.addFinalizer(() =>
    Effect.promise(() => {
      server.closeAllConnections()
      return new Promise<void>((resolve) => server.close(() => resolve()))
    })
  )
  const { port } = server.address() as { readonly port: number }
  return {
    url: `http://127.0.0.1:${port}/v1`,
    connections: () => connections,
    ended: () => ended,
    written: () => written
  }
})
