import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Redacted, Result, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Holdfast, Providers, SessionStore } from "holdfast"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { inspect } from "node:util"
import type { JobState, Provider } from "../../../src/services/Provider.ts"
import * as Anthropic from "../../../src/services/providers/Anthropic.ts"
import * as AnthropicBatches from "../../../src/services/providers/AnthropicBatches.ts"
import { type RequestInput, ResponseRequest } from "../../../src/services/ResponseRequest.ts"
import { anthropicValidator } from "./AnthropicPublishedSchemas.ts"

describe("AnthropicBatches.toBody", () => {
  it("is a batch of one, with the submission's id and the parameters of a message", () => {
    const body = Result.getOrThrow(toBody({ instructions: "Be brief.", reasoningEffort: "low", maxOutputTokens: 9 }))

    assert.deepStrictEqual<unknown>(body, {
      requests: [{
        custom_id: submissionId,
        params: {
          model: "claude-opus-5-5",
          max_tokens: 9,
          system: "Be brief.",
          messages: [{ role: "user", content: "Hi" }],
          output_config: { effort: "low" }
        }
      }]
    })
  })

  it.each(["", "a b", "a".repeat(65), "é", "a\n"])("refuses the submission id %j, and sends nothing", (id) => {
    const error = Result.getOrThrow(Result.flip(toBody({}, id)))

    assert.strictEqual(error.verdict.reason._tag, "InvalidRequest")
    assert.strictEqual(error.evidence, "NotSent")
  })

  it("refuses what the Messages API refuses, and sends nothing", () => {
    const error = Result.getOrThrow(Result.flip(toBody({ temperature: 1 })))

    assert.deepInclude(error.verdict.reason, { _tag: "InvalidRequest", param: "temperature" })
    assert.strictEqual(error.evidence, "NotSent")
  })

  const validate = anthropicValidator("CreateMessageBatchParams")
  it.skipIf(validate === undefined)("fits the published schema (needs HOLDFAST_SPECS)", () => {
    const requests: ReadonlyArray<Partial<RequestInput>> = [
      {},
      { prompt: [{ type: "text", text: "What?" }, { type: "image", data: "AAEC", mediaType: "image/png" }] },
      { messages: [{ role: "user", content: "Hi" }, { role: "assistant", content: "Hello" }], stop: ["END"] }
    ]

    for (const request of requests) assert.deepStrictEqual(validate?.(Result.getOrThrow(toBody(request))), [])
  })
})

describe("AnthropicBatches.endOf", () => {
  it("takes the line of its submission, whatever else there is", () => {
    const other = line(succeeded(message("end_turn", "Other")), "other")
    const state = endOf(
      `\n${other}\r\n{"nonsense": 1}\nnull\n${line(succeeded(message("end_turn")))}\n{"custom_id": "a`
    )

    assert.deepInclude(answerOf(state), {
      content: "Hi",
      finishReason: "stop",
      model: "claude-opus-5-5",
      responseId: "msg_1"
    })
  })

  it("gives the usage, and keeps the service tier in the response", () => {
    const answer = answerOf(endOf(line(succeeded(message("end_turn")))))

    assert.deepInclude(answer.usage, { inputTokens: 10, outputTokens: 20, totalTokens: 30 })
    assert.deepStrictEqual(answer.response, message("end_turn"))
  })

  it("takes the only line when the submission is not known", () => {
    assert.strictEqual(answerOf(endOf(line(succeeded(message("end_turn")), "other"), undefined)).content, "Hi")
  })

  it.each([
    ["end_turn", "Succeeded"],
    ["tool_use", "Succeeded"],
    ["max_tokens", "Incomplete"],
    ["pause_turn", "Incomplete"],
    ["refusal", "Refusal"]
  ])("reads a message that stopped by %s as %s", (stopReason, expected) => {
    assert.strictEqual(summaryOf(endOf(line(succeeded(message(stopReason))))), expected)
  })

  it.each([
    ["invalid_request_error", "temperature: Extra inputs are not permitted", "NonRetryable", "InvalidRequest"],
    ["invalid_request_error", "prompt is too long: 9 > 8", "NonRetryable", "ContextLengthExceeded"],
    ["overloaded_error", "Overloaded", "Retryable", "Overloaded"],
    ["api_error", "Internal server error", "Retryable", "ServerError"]
  ])("reads the error %s, %s, as a failed job: %s, %s", (type, text, tag, reason) => {
    const state = endOf(line({ type: "errored", error: { type: "error", error: { type, message: text } } }))

    assert.strictEqual(state._tag === "Ended" && state.outcome._tag, "Failed")
    if (state._tag !== "Ended" || state.outcome._tag !== "Failed") return
    const { verdict } = state.outcome
    assert.strictEqual(verdict._tag, tag)
    assert.strictEqual(verdict.reason._tag, "JobFailed")
    assert.strictEqual<unknown>(verdict.reason._tag === "JobFailed" && verdict.reason.reason._tag, reason)
  })

  it.each([["canceled", "JobCancelled"], ["expired", "JobExpired"]])("reads %s as %s", (type, expected) => {
    assert.strictEqual(summaryOf(endOf(line({ type }))), expected)
  })

  it.each<[string, string]>([
    ["a result of an unknown type", line({ type: "postponed" })],
    ["a result without a type", line({})],
    ["an unknown stop_reason", line(succeeded(message("daydream")))],
    ["a message that is none", line(succeeded({ type: "message" }))],
    ["only the results of others", line(succeeded(message("end_turn")), "other")],
    ["two results of the submission", `${line({ type: "expired" })}\n${line({ type: "canceled" })}`]
  ])("is Unknown for %s: no success, and nothing is paid again", (_, text) => {
    assert.strictEqual(endOf(text)._tag, "Unknown")
  })

  it("is Unknown for several results when the submission is not known", () => {
    assert.strictEqual(
      endOf(`${line({ type: "expired" })}\n${line({ type: "expired" }, "b")}`, undefined)._tag,
      "Unknown"
    )
  })

  it.each<[string, string]>([
    ["no line", ""],
    ["a line that was cut", line(succeeded(message("end_turn"))).slice(0, 50)],
    ["HTML", "<html><title>Sign in</title></html>"],
    [
      "another line and one that was cut",
      `${line({ type: "expired" }, "other")}\n{"custom_id": "${submissionId}", "res`
    ]
  ])("is InvalidResponse for %s, so that it is asked for again", (_, text) => {
    const error = Result.getOrThrow(Result.flip(resultOf(text)))

    assert.strictEqual(error.verdict._tag, "Retryable")
    assert.strictEqual(error.verdict.reason._tag, "InvalidResponse")
  })
})

describe("AnthropicBatches", () => {
  it.effect("submits over a fresh connection, and polls over any", () =>
    Effect.gen(function*() {
      const { jobs, requests } = yield* adapter([{ body: batch() }, { body: batch(), retryAfter: "10" }])

      const submitted = yield* jobs.submit(request(), { submissionId })
      const state = yield* jobs.retrieve(submitted.jobId, submissionId)

      assert.deepStrictEqual(submitted, {
        jobId: "msgbatch_1",
        state: { _tag: "Pending", status: "in_progress", phase: "running", pollAfter: undefined }
      })
      assert.deepStrictEqual(state, {
        _tag: "Pending",
        status: "in_progress",
        phase: "running",
        pollAfter: Duration.seconds(10)
      })
      assert.deepStrictEqual(
        requests.map(({ authorization, isFresh, method, url, version }) => ({
          authorization,
          isFresh,
          method,
          url,
          version
        })),
        [
          { method: "POST", url: "/v1/messages/batches", isFresh: true },
          { method: "GET", url: "/v1/messages/batches/msgbatch_1", isFresh: false }
        ].map((expected) => ({ ...expected, authorization: `Bearer ${secret}`, version: "2026-10-21" }))
      )
      assert.strictEqual(JSON.parse(requests[0]?.body ?? "").requests[0].custom_id, submissionId)
    }))

  it.effect("does not read results while it submits, so that the job's id is known first", () =>
    Effect.gen(function*() {
      const { jobs, requests } = yield* adapter([{ body: batch({ processing_status: "ended" }) }])

      const { state } = yield* jobs.submit(request(), { submissionId })

      assert.strictEqual(state._tag, "Pending")
      assert.lengthOf(requests, 1)
    }))

  it.effect.each([
    [
      "https://api.test/v1/messages/batches/msgbatch_1/results?token=1",
      "/v1/messages/batches/msgbatch_1/results?token=1"
    ],
    ["https://evil.test/v1/messages/batches/msgbatch_1/results", "/v1/messages/batches/msgbatch_1/results"],
    ["http://api.test/v1/messages/batches/msgbatch_1/results", "/v1/messages/batches/msgbatch_1/results"],
    ["https://api.test:444/x", "/v1/messages/batches/msgbatch_1/results"],
    ["https://api.test@evil.test/x", "/v1/messages/batches/msgbatch_1/results"],
    ["//evil.test/x", "/v1/messages/batches/msgbatch_1/results"],
    [null, "/v1/messages/batches/msgbatch_1/results"]
  ])("reads the results of %s at %s of its own server", ([resultsUrl, expected]) =>
    Effect.gen(function*() {
      const { jobs, requests } = yield* adapter([
        { body: batch({ processing_status: "ended", results_url: resultsUrl }) },
        { body: line(succeeded(message("end_turn"))) }
      ])

      const state = yield* jobs.retrieve("msgbatch_1", submissionId)

      assert.strictEqual(answerOf(state).content, "Hi")
      assert.strictEqual(requests[1]?.url, expected)
      assert.strictEqual(requests[1]?.origin, "https://api.test")
    }))

  it.effect("waits on for results that are not there yet", () =>
    Effect.gen(function*() {
      const { jobs } = yield* adapter([
        { body: batch({ processing_status: "ended" }) },
        { status: 404, body: error("not_found_error", "Message Batch `msgbatch_1` has no available results.") }
      ])

      assert.deepInclude(yield* jobs.retrieve("msgbatch_1", submissionId), { _tag: "Pending", status: "ended" })
    }))

  it.effect("is JobExpired when the results are deleted, without asking for them", () =>
    Effect.gen(function*() {
      const archived = { processing_status: "ended", archived_at: "2026-08-19T14:47:10Z", results_url: null }
      const { jobs, requests } = yield* adapter([{ body: batch(archived) }])

      assert.strictEqual(summaryOf(yield* jobs.retrieve("msgbatch_1", submissionId)), "JobExpired")
      assert.lengthOf(requests, 1)
    }))

  it.effect("is Unknown for a status that is not the API's", () =>
    Effect.gen(function*() {
      const { jobs } = yield* adapter([{ body: batch({ processing_status: "suspended" }) }])

      assert.deepStrictEqual(yield* jobs.retrieve("msgbatch_1"), { _tag: "Unknown", status: "suspended" })
    }))

  it.effect.each<[number, unknown, string, string]>([
    [404, error("not_found_error", "Message Batch `x` not found."), "NotFound", "Refused"],
    [529, error("overloaded_error", "Overloaded"), "Overloaded", "Refused"],
    [200, "<html></html>", "InvalidResponse", "Uncertain"],
    [200, { id: "msgbatch_1" }, "InvalidResponse", "Uncertain"],
    [200, { processing_status: "in_progress" }, "InvalidResponse", "Uncertain"],
    [200, error("api_error", "Internal"), "ServerError", "Uncertain"]
  ])("fails on %i %j with %s, %s", ([status, body, reason, evidence]) =>
    Effect.gen(function*() {
      const { jobs } = yield* adapter([{ status, body }, { status, body }])

      for (const call of [Effect.asVoid(jobs.submit(request(), { submissionId })), Effect.asVoid(jobs.retrieve("x"))]) {
        const failure = yield* Effect.flip(call)

        assert.strictEqual(failure.verdict.reason._tag, reason)
        assert.strictEqual(failure.evidence, evidence)
      }
    }))

  it.effect("escapes ids, and refuses those that are none", () =>
    Effect.gen(function*() {
      const { jobs, requests } = yield* adapter([{ body: batch() }])
      yield* jobs.retrieve("../a?b#c\ud800")

      assert.strictEqual(requests[0]?.url, "/v1/messages/batches/..%2Fa%3Fb%23c%EF%BF%BD")
      for (const id of ["", ".", ".."]) {
        assert.strictEqual((yield* Effect.flip(jobs.retrieve(id))).verdict.reason._tag, "NotFound")
        assert.strictEqual((yield* Effect.flip(jobs.cancel(id))).verdict.reason._tag, "NotFound")
      }
    }))

  it.effect("gives the state after a cancel, also when the end has won", () =>
    Effect.gen(function*() {
      const ended = { body: batch({ processing_status: "ended" }) }
      const results = { body: line(succeeded(message("end_turn"))) }
      const { jobs, requests } = yield* adapter([
        { body: batch({ processing_status: "canceling" }) },
        ended,
        results,
        { status: 400, body: error("invalid_request_error", "Batch has ended.") },
        ended,
        results
      ])

      assert.deepInclude(yield* jobs.cancel("msgbatch_1", submissionId), { _tag: "Pending", status: "canceling" })
      assert.strictEqual(answerOf(yield* jobs.cancel("msgbatch_1", submissionId)).content, "Hi")
      assert.strictEqual(answerOf(yield* jobs.cancel("msgbatch_1", submissionId)).content, "Hi")
      assert.strictEqual(requests[0]?.method, "POST")
      assert.strictEqual(requests[0]?.url, "/v1/messages/batches/msgbatch_1/cancel")
    }))

  it.effect("says how long a batch takes and is kept", () =>
    Effect.gen(function*() {
      const { jobs } = yield* adapter([])

      assert.deepStrictEqual(jobs.defaultDeadline, Duration.hours(25))
      assert.deepStrictEqual(jobs.retention, { stored: Duration.days(29), unstored: Duration.days(29) })
    }))

  it.effect("keeps the key out of errors", () =>
    Effect.gen(function*() {
      const { jobs } = yield* adapter([{ status: 401, body: error("authentication_error", `wrong key ${secret}`) }])
      const failure = yield* Effect.flip(jobs.retrieve("x"))

      assert.notInclude(inspect(failure, { depth: 9 }) + JSON.stringify(failure), secret)
    }))

  it.effect("offers no jobs unless it is told to", () =>
    Effect.gen(function*() {
      const of = yield* Anthropic.make({ name: "anthropic", fetch: () => Promise.reject(new Error("unused")) })

      assert.isUndefined(of("claude-opus-5-5").jobs)
    }))
})

describe("AnthropicBatches find", () => {
  it.effect("finds the batch whose results have the submission's id, nearest first", () =>
    Effect.gen(function*() {
      const found = yield* find([
        { body: page([listed("far", 500), listed("near", 1), listed("running", 0, "in_progress")]) },
        { body: line({ type: "expired" }, submissionId) }
      ])

      assert.deepStrictEqual(found.lookup, { _tag: "Found", jobId: "near" })
      assert.deepStrictEqual(found.urls, [
        "/v1/messages/batches?limit=100",
        "/v1/messages/batches/near/results"
      ])
    }))

  it.effect("reads page after page, back to two minutes before the submission", () =>
    Effect.gen(function*() {
      const found = yield* find([
        { body: page([listed("a", 60)], "a/1") },
        { body: page([listed("b", -119), listed("old", -121)], "old") },
        { body: line({ type: "expired" }, "other") },
        { body: line({ type: "expired" }, "another") }
      ])

      assert.deepStrictEqual(found.lookup, { _tag: "Absent" })
      assert.deepStrictEqual(found.urls, [
        "/v1/messages/batches?limit=100",
        "/v1/messages/batches?limit=100&after_id=a%2F1",
        "/v1/messages/batches/a/results",
        "/v1/messages/batches/b/results"
      ])
    }))

  it.effect("is Absent when there is no batch, but not before two minutes have passed", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual((yield* find([{ body: page([]) }], 120_001)).lookup, { _tag: "Absent" })
      assert.deepStrictEqual((yield* find([{ body: page([]) }], 120_000)).lookup, undecided)
    }))

  it.effect("passes over batches of several requests", () =>
    Effect.gen(function*() {
      const several = { ...listed("a", 1), request_counts: { processing: 2, succeeded: 0 } }

      assert.deepStrictEqual((yield* find([{ body: page([several]) }])).lookup, { _tag: "Absent" })
    }))

  it.effect.each<[string, ReadonlyArray<Reply>]>([
    ["a batch still runs", [{ body: page([listed("a", 1, "in_progress")]) }]],
    ["a batch is being cancelled", [{ body: page([listed("a", 1, "canceling")]) }]],
    ["results are not there yet", [
      { body: page([listed("a", 1)]) },
      { status: 404, body: error("not_found_error", "Message Batch `a` has no available results.") }
    ]]
  ])("is Undecided while %s", ([_, replies]) =>
    Effect.gen(function*() {
      const { lookup, urls } = yield* find(replies)

      assert.deepStrictEqual(lookup, undecided)
      assert.lengthOf(urls, replies.length)
    }))

  it.effect.each<[string, ReadonlyArray<Reply>]>([
    ["results are deleted", [{ body: page([{ ...listed("a", 1), archived_at: "2026-09-19T14:47:10Z" }]) }]],
    ["a batch still runs, and results are deleted", [
      { body: page([listed("b", 2, "in_progress"), { ...listed("a", 1), archived_at: "2026-09-19T14:47:10Z" }]) }
    ]],
    ["results cannot be read", [{ body: page([listed("a", 1)]) }, { body: "{\"custom" }]],
    ["an item is no batch", [{ body: page([{ id: "a" }]) }]],
    ["there are too many pages", Array.from({ length: 10 }, () => ({ body: page([several()], "next") }))]
  ])("is Unknown when %s", ([_, replies]) =>
    Effect.gen(function*() {
      const { lookup, urls } = yield* find(replies)

      assert.deepStrictEqual(lookup, { _tag: "Unknown" })
      assert.lengthOf(urls, replies.length)
    }))

  it.effect("fails when the list cannot be read", () =>
    Effect.gen(function*() {
      for (const body of ["<html></html>", {}, { data: {} }]) {
        assert.strictEqual((yield* Effect.flip(find([{ body }]))).verdict.reason._tag, "InvalidResponse")
      }
    }))
})

describe("AnthropicBatches' default deadline", () => {
  it.effect.each<[string, ResponseRequest["deadline"] | "none", string]>([
    ["is 25 hours", "none", "1d 1h"],
    ["yields to the request's", Duration.minutes(5), "5m"]
  ])("%s", ([_, deadline, expected]) =>
    Effect.gen(function*() {
      const { jobs } = yield* adapter([
        { body: batch() },
        ...Array.from({ length: 40 }, () => ({ body: batch(), retryAfter: "3600" }))
      ])
      const provider = (model: string): Provider => ({ name: "anthropic", model, jobs })
      const fiber = yield* Holdfast.execute({
        model: "anthropic/claude-opus-5-5",
        prompt: "Hi",
        strategy: "background",
        session: "s",
        ...(deadline === "none" ? {} : { deadline })
      }).pipe(
        Effect.provide(
          Holdfast.layer.pipe(Layer.provide([Providers.layer({ anthropic: provider }), SessionStore.layerMemory]))
        ),
        Effect.flip,
        Effect.forkChild({ startImmediately: true })
      )
      // Each request is a promise, which needs real time.
      for (let hour = 0; hour < 26; hour++) {
        yield* TestClock.withLive(Effect.sleep("5 millis"))
        yield* TestClock.adjust("1 hour")
      }
      const error = yield* Fiber.join(fiber)

      assert.strictEqual(error._tag, "Timeout")
      assert.strictEqual(error._tag === "Timeout" && Duration.format(error.deadline), expected)
      assert.strictEqual(error._tag === "Timeout" && error.jobId, "msgbatch_1")
    }))
})

const recordings = recorded()
describe.skipIf(recordings.length === 0)("AnthropicBatches with recorded exchanges (needs HOLDFAST_RECORDINGS)", () => {
  it.effect.each(recordings.map((exchange) => [exchange.name, exchange] as const))(
    "reads %s",
    ([_, { expected, replies, run }]) =>
      Effect.gen(function*() {
        const { jobs } = yield* adapter(replies)

        assert.deepStrictEqual(yield* run(jobs), expected)
      })
  )

  it("are at least twenty", () => {
    assert.isAtLeast(recordings.length, 20)
  })
})

const secret = "sk-ant-0123456789abcdef"

const submissionId = "6f1d3c1e-8a56-4c9b-9d0e-0a1b2c3d4e5f"

const about = { provider: "anthropic", model: "claude-opus-5-5" }

const request = (change: Partial<RequestInput> = {}): ResponseRequest =>
  Schema.decodeSync(ResponseRequest)({ model: "anthropic/claude-opus-5-5", prompt: "Hi", ...change })

const toBody = (change: Partial<RequestInput>, id = submissionId) =>
  AnthropicBatches.toBody(request({ maxOutputTokens: 100, ...change }), { submissionId: id }, about)

const resultOf = (text: string, id: string | undefined = submissionId) =>
  AnthropicBatches.endOf(
    { status: 200, headers: new Headers(), text },
    { ...about, submissionId: id },
    { provider: "anthropic", operation: "retrieve", now: 0 }
  )

function endOf(...[text, ...id]: [text: string, id?: string | undefined]): JobState {
  return Result.getOrThrow(
    AnthropicBatches.endOf(
      { status: 200, headers: new Headers(), text },
      { ...about, submissionId: id.length === 0 ? submissionId : id[0] },
      { provider: "anthropic", operation: "retrieve", now: 0 }
    )
  )
}

const answerOf = (state: JobState) => {
  if (state._tag === "Ended" && state.outcome._tag === "Succeeded") return state.outcome.answer
  throw new Error(`no answer: ${inspect(state, { depth: 9 })}`)
}

const summaryOf = (state: JobState): string => {
  if (state._tag !== "Ended") return `${state._tag} ${state.status}`
  return state.outcome._tag === "Succeeded" ? "Succeeded" : state.outcome.verdict.reason._tag
}

function line(result: object, customId = submissionId): string {
  return JSON.stringify({ custom_id: customId, result })
}

function succeeded(message: object) {
  return { type: "succeeded", message }
}

function message(stopReason: string, text = "Hi") {
  return {
    id: "msg_1",
    type: "message",
    role: "assistant",
    model: "claude-opus-5-5",
    content: stopReason === "tool_use"
      ? [{ type: "tool_use", id: "t", name: "f", input: {} }]
      : [{ type: "text", text }],
    stop_reason: stopReason,
    usage: { input_tokens: 10, output_tokens: 20, service_tier: "batch" }
  }
}

function error(type: string, text: string) {
  return { type: "error", error: { type, message: text }, request_id: "req_1" }
}

function batch(change: object = {}) {
  return {
    id: "msgbatch_1",
    type: "message_batch",
    processing_status: "in_progress",
    request_counts: { processing: 1, succeeded: 0, errored: 0, canceled: 0, expired: 0 },
    ended_at: null,
    created_at: "2026-08-19T14:47:10.487960+00:00",
    expires_at: "2026-08-20T14:47:10.487960+00:00",
    archived_at: null,
    cancel_initiated_at: null,
    results_url: null,
    ...change
  }
}

const since = Date.UTC(2026, 7, 19, 14, 47, 10)

/** A batch of the list, created `seconds` after the submission. */
function listed(id: string, seconds: number, status = "ended") {
  const created_at = new Date(since + seconds * 1000).toISOString()
  return batch({ id, processing_status: status, created_at, results_url: `https://other.test/${id}` })
}

function several() {
  return { ...listed("a", 1), request_counts: { processing: 0, succeeded: 3 } }
}

function page(data: ReadonlyArray<object>, last: string | null = null) {
  return { data, has_more: last !== null, first_id: null, last_id: last }
}

interface Reply {
  readonly status?: number
  readonly body: unknown
  readonly retryAfter?: string
}

/** Answers the n-th request with the n-th reply, without a network. */
const adapter = Effect.fnUntraced(function*(replies: ReadonlyArray<Reply>) {
  const requests: Array<
    {
      readonly isFresh: boolean
      readonly method: string | undefined
      readonly origin: string
      readonly url: string
      readonly authorization: string | null
      readonly version: string | null
      readonly body: string
    }
  > = []
  const answer = (isFresh: boolean) => (input: string | URL | Request, init: RequestInit = {}) => {
    const url = new URL(input.toString())
    const headers = new Headers(init.headers)
    const { body, retryAfter, status = 200 } = replies[requests.length] ?? { status: 500, body: "too many requests" }
    requests.push({
      isFresh,
      method: init.method?.toUpperCase(),
      origin: url.origin,
      url: url.pathname + url.search,
      authorization: headers.get("authorization"),
      version: headers.get("anthropic-version"),
      body: String(init.body)
    })
    return Promise.resolve(
      new Response(typeof body === "string" ? body : JSON.stringify(body), {
        status,
        headers: {
          "content-type": typeof body === "string" ? "application/x-jsonl" : "application/json",
          ...(retryAfter === undefined ? {} : { "retry-after": retryAfter })
        }
      })
    )
  }
  const of = yield* Anthropic.make({
    name: "anthropic",
    baseUrl: "https://api.test",
    apiKey: Redacted.make(secret),
    background: true,
    fetch: answer(false),
    fetchFresh: answer(true)
  })
  const { jobs } = of("claude-opus-5-5")
  return jobs === undefined ? yield* Effect.die("no jobs") : { jobs, requests }
})

const find = Effect.fnUntraced(function*(replies: ReadonlyArray<Reply>, age = 3_600_000) {
  yield* TestClock.setTime(since + age)
  const { jobs, requests } = yield* adapter(replies)
  const lookup = yield* jobs.find?.(submissionId, since) ?? Effect.die("no find")
  return { lookup, urls: requests.map(({ url }) => url) }
})

const undecided = { _tag: "Undecided" as const, again: Duration.minutes(1) }

type Jobs = Effect.Success<ReturnType<typeof adapter>>["jobs"]

interface Recorded {
  readonly name: string
  readonly replies: ReadonlyArray<Reply>
  readonly run: (jobs: Jobs) => Effect.Effect<unknown, unknown>
  readonly expected: unknown
}

function recorded(): ReadonlyArray<Recorded> {
  const folder = process.env.HOLDFAST_RECORDINGS
  if (folder === undefined) return []
  return Fs.readdirSync(folder).filter((file) => file.startsWith("anthropic-batch--")).flatMap((file) => {
    const { exchanges } = JSON.parse(Fs.readFileSync(Path.join(folder, file), "utf8")) as {
      exchanges: ReadonlyArray<{
        readonly request: { readonly method: string; readonly url: string } | null
        readonly response: {
          readonly status: number
          readonly headers: Record<string, string>
          readonly body: Record<string, unknown>
        }
      }>
    }
    return exchanges.flatMap(
      ({ request: sent, response: { body, headers, status } }, index): ReadonlyArray<Recorded> => {
        if (sent === null) return []
        const { pathname } = new URL(sent.url)
        const name = `${file} ${index}: ${sent.method} ${pathname}`
        const reply = { status, body, ...(headers["retry-after"] ? { retryAfter: headers["retry-after"] } : {}) }
        const pollAfter = headers["retry-after"] ? Duration.seconds(Number(headers["retry-after"])) : undefined
        const pending = { _tag: "Pending", status: body["processing_status"], phase: "running", pollAfter }
        if (pathname.endsWith("/results")) {
          const ended = { body: batch({ processing_status: "ended" }) }
          const results = { ...reply, body: JSON.stringify(body) }
          const run = (jobs: Jobs) => Effect.map(jobs.retrieve("x", String(body["custom_id"])), contentOf)
          return [{ name, replies: [ended, results], run, expected: "6" }]
        }
        if (sent.method === "GET" && pathname.endsWith("/batches")) {
          const run = (jobs: Jobs) => jobs.find?.(submissionId, Date.UTC(2025, 0, 29, 14, 25)) ?? Effect.void
          const pages = [reply, { body: page([]) }]
          return [{ name, replies: pages, run, expected: { _tag: "Undecided", again: Duration.minutes(1) } }]
        }
        if (sent.method === "POST" && !pathname.endsWith("/cancel")) {
          const run = (jobs: Jobs) => jobs.submit(request(), { submissionId })
          return [{ name, replies: [reply], run, expected: { jobId: body["id"], state: pending } }]
        }
        if (body["processing_status"] === "ended") {
          const early = { status: 404, body: error("not_found_error", "Message Batch `x` has no available results.") }
          const expected = { _tag: "Pending", status: "ended", phase: "running" }
          return [{ name, replies: [reply, early], run: (jobs: Jobs) => jobs.retrieve("x"), expected }]
        }
        const run = (jobs: Jobs) => pathname.endsWith("/cancel") ? jobs.cancel("x") : jobs.retrieve("x")
        return [{ name, replies: [reply], run, expected: pending }]
      }
    )
  })
}

function contentOf(state: JobState): string {
  return answerOf(state).content
}
