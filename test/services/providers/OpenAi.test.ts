import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Redacted, Schedule, Schema } from "effect"
import { Simulator } from "holdfast/testing"
import { vi } from "vitest"
import { ProviderError } from "../../../src/errors/ProviderError.ts"
import { AuthenticationFailed } from "../../../src/errors/Reason.ts"
import type { JobsApi, JobState, Outcome, ResponsesApi } from "../../../src/services/Provider.ts"
import { type RequestInput, ResponseRequest } from "../../../src/services/ResponseRequest.ts"
import * as OpenAi from "../../../src/services/providers/OpenAi.ts"
import * as Transport from "../../../src/services/providers/Transport.ts"

describe("OpenAi against the simulator", () => {
  it.layer(layer, { excludeTestServices: true })((it) => {
    it.effect("submits a job, polls it and reads its answer", () =>
      Effect.gen(function*() {
        const { jobs, simulator } = yield* fresh([job({ outcome: "completed", text: "4", polls: 2 })])
        const { jobId, state } = yield* jobs.submit(request({ metadata: { team: "a" } }), {
          submissionId: "sub-1",
          sessionHash: "hash-1"
        })
        assert.strictEqual(state._tag, "Pending")
        const first = yield* jobs.retrieve(jobId)
        const second = yield* jobs.retrieve(jobId)

        assert.strictEqual(first._tag, "Pending")
        assert.strictEqual(answerOf(second).content, "4")
        assert.strictEqual(answerOf(second).responseId, jobId)
        assert.isAbove(answerOf(second).usage?.totalTokens ?? 0, 0)
        const { submissions } = yield* simulator.ledger
        assert.strictEqual(submissions.length, 1)
        assert.deepInclude(submissions[0]?.body as object, {
          model: "gpt-5",
          background: true,
          store: true,
          metadata: { team: "a", holdfast_submission: "sub-1", holdfast_session: "hash-1" }
        })
      }))

    it.effect.each<[Simulator.JobAction["outcome"], string]>([
      ["failed", "JobFailed"],
      ["incomplete", "Incomplete"],
      ["cancelled", "JobCancelled"],
      ["refused", "Refusal"],
      ["empty", "EmptyContent"]
    ])("ends a job that is %s", ([outcome, tag]) =>
      Effect.gen(function*() {
        const { jobs } = yield* fresh([job({ outcome, polls: 1 })])
        const { jobId } = yield* jobs.submit(request(), { submissionId: "sub-1" })
        const state = yield* jobs.retrieve(jobId)

        assert.strictEqual(failureOf(state), tag)
      }))

    it.effect("takes a job's tool call for an answer, and its unknown status for neither waiting nor an end", () =>
      Effect.gen(function*() {
        const { jobs } = yield* fresh([
          job({ outcome: "toolCall", polls: 1 }),
          job({ outcome: "unknown-status", status: "dreaming", polls: 1 })
        ])
        const first = yield* jobs.submit(request(), { submissionId: "sub-1" })
        const second = yield* jobs.submit(request(), { submissionId: "sub-2" })

        assert.strictEqual(answerOf(yield* jobs.retrieve(first.jobId)).finishReason, "tool-calls")
        assert.deepStrictEqual(yield* jobs.retrieve(second.jobId), { _tag: "Unknown", status: "dreaming" })
      }))

    it.effect("hands on how long the server asks to wait", () =>
      Effect.gen(function*() {
        const { jobs } = yield* fresh([
          { on: "responses.retrieve", do: { _tag: "Headers", headers: { "openai-poll-after-ms": "700" } } },
          job({ outcome: "stuck-queued" })
        ])
        const { jobId } = yield* jobs.submit(request(), { submissionId: "sub-1" })
        const state = yield* jobs.retrieve(jobId)

        assert.strictEqual(state._tag, "Pending")
        if (state._tag !== "Pending") return
        assert.strictEqual(state.phase, "queued")
        assert.deepStrictEqual(state.pollAfter, Duration.millis(700))
      }))

    it.effect("uses the answer of a host that ignores background, whose job cannot be found later", () =>
      Effect.gen(function*() {
        const { jobs } = yield* fresh([
          {
            on: "responses.create",
            do: [{ _tag: "IgnoreBackground" }, { _tag: "Job", outcome: "completed", text: "4" }]
          }
        ])
        const { jobId, state } = yield* jobs.submit(request(), { submissionId: "sub-1" })
        assert.strictEqual(answerOf(state).content, "4")
        const error = yield* Effect.flip(jobs.retrieve(jobId))

        assert.strictEqual(error.verdict.reason._tag, "NotFound")
      }))

    it.effect("gives the state after a cancellation, also of a job that is over", () =>
      Effect.gen(function*() {
        const { jobs } = yield* fresh([
          job({ outcome: "stuck-in-progress" }),
          job({ outcome: "completed", text: "4", polls: 1 })
        ])
        const running = yield* jobs.submit(request(), { submissionId: "sub-1" })
        const over = yield* jobs.submit(request(), { submissionId: "sub-2" })
        yield* jobs.retrieve(over.jobId)

        assert.strictEqual(failureOf(yield* jobs.cancel(running.jobId)), "JobCancelled")
        assert.strictEqual(failureOf(yield* jobs.cancel(running.jobId)), "JobCancelled")
        assert.strictEqual(answerOf(yield* jobs.cancel(over.jobId)).content, "4")
      }))

    it.effect.each<Extract<Simulator.Action, { readonly _tag: "Status" }>>([
      { _tag: "Status", status: 400, body: { error: { message: "Cannot cancel a synchronous response.", code: 400 } } },
      { _tag: "Status", status: 409, body: { error: { message: "Already completed" } } },
      { _tag: "Status", status: 200, body: "" },
      { _tag: "Status", status: 200, body: {} }
    ])(
      "looks a job up again when its cancellation is answered with $status $body",
      (refusal) =>
        Effect.gen(function*() {
          const { jobs } = yield* fresh([
            { on: "responses.cancel", do: refusal },
            job({ outcome: "completed", text: "4", polls: 1 })
          ])
          const { jobId } = yield* jobs.submit(request(), { submissionId: "sub-1" })

          assert.strictEqual(answerOf(yield* jobs.cancel(jobId)).content, "4")
        })
    )

    it.effect("fails with NotFound for ids that the provider does not know", () =>
      Effect.gen(function*() {
        const { jobs } = yield* fresh([])
        for (const id of ["resp_unknown", "../models", "..", "", "resp_\uD800"]) {
          const poll = yield* Effect.flip(jobs.retrieve(id))
          const cancel = yield* Effect.flip(jobs.cancel(id))
          assert.strictEqual(poll.verdict.reason._tag, "NotFound")
          assert.strictEqual(cancel.verdict.reason._tag, "NotFound")
        }
      }))

    it.effect("takes a job that was accepted without an id for uncertain", () =>
      Effect.gen(function*() {
        const { jobs } = yield* fresh([
          {
            on: "responses.create",
            do: { _tag: "Status", status: 200, body: { object: "response", status: "queued" } }
          },
          {
            on: "responses.create",
            do: { _tag: "Status", status: 200, body: { status: "completed", output: [message("4")] } }
          }
        ])
        const error = yield* Effect.flip(jobs.submit(request(), { submissionId: "sub-1" }))
        const ended = yield* jobs.submit(request(), { submissionId: "sub-2" })

        assert.strictEqual(error.verdict.reason._tag, "InvalidResponse")
        assert.strictEqual(error.evidence, "Uncertain")
        assert.strictEqual(ended.jobId, "")
        assert.strictEqual(answerOf(ended.state).content, "4")
      }))

    it.effect.each<["responses.create" | "chat.create", Simulator.JobAction["outcome"], string]>([
      ["responses.create", "completed", "stop"],
      ["responses.create", "toolCall", "tool-calls"],
      ["responses.create", "failed", "JobFailed"],
      ["responses.create", "incomplete", "Incomplete"],
      ["responses.create", "refused", "Refusal"],
      ["responses.create", "empty", "EmptyContent"],
      ["chat.create", "completed", "stop"],
      ["chat.create", "toolCall", "tool-calls"],
      ["chat.create", "incomplete", "Incomplete"],
      ["chat.create", "refused", "Refusal"],
      ["chat.create", "empty", "EmptyContent"]
    ])("ends a call to %s that is %s as %s", ([on, outcome, expected]) =>
      Effect.gen(function*() {
        const { call, simulator } = yield* fresh([{ on, do: { _tag: "Job", outcome, text: "4" } }])
        const ended = yield* call(on)

        assert.strictEqual(
          ended._tag === "Succeeded" ? ended.answer.finishReason : ended.verdict.reason._tag,
          expected
        )
        const { submissions } = yield* simulator.ledger
        assert.strictEqual(submissions.length, 1)
      }))

    it.effect.each<[Simulator.Action, string, ProviderError["evidence"]]>([
      [{ _tag: "Error", error: "rateLimit", headers: { "retry-after": "7" } }, "RateLimited", "Refused"],
      [{ _tag: "Error", error: "quota" }, "QuotaExceeded", "Refused"],
      [{ _tag: "Error", error: "authentication" }, "AuthenticationFailed", "Refused"],
      [{ _tag: "Error", error: "contextLength" }, "ContextLengthExceeded", "Refused"],
      [{ _tag: "Error", error: "serverError", headers: { "x-should-retry": "true" } }, "ServerError", "Refused"],
      [{ _tag: "Html", status: 200 }, "InvalidResponse", "Uncertain"],
      [{ _tag: "Html", status: 502 }, "ServerError", "Uncertain"],
      [{ _tag: "Corrupt", how: "half" }, "InvalidResponse", "Uncertain"],
      [{ _tag: "Corrupt", how: "garbage" }, "InvalidResponse", "Uncertain"],
      [{ _tag: "Corrupt", how: "empty" }, "InvalidResponse", "Uncertain"],
      [{ _tag: "Reset", accepted: true }, "Network", "Uncertain"]
    ])("sends one request into %o", ([action, tag, evidence]) =>
      Effect.gen(function*() {
        for (const on of ["responses.create", "chat.create", "submit"] as const) {
          const { call, jobs, simulator } = yield* fresh([{ do: action }])
          const sent: Effect.Effect<unknown, ProviderError> = on === "submit"
            ? jobs.submit(request(), { submissionId: "sub-1" })
            : call(on)
          const error = yield* Effect.flip(sent)

          assert.strictEqual(error.verdict.reason._tag, tag)
          assert.strictEqual(error.evidence, evidence)
          const { requests } = yield* simulator.ledger
          assert.strictEqual(Object.values(requests).reduce((sum, count) => sum + count, 0), 1)
          if (tag === "RateLimited") {
            assert.deepStrictEqual(
              error.verdict._tag === "Retryable" ? error.verdict.retryAfter : undefined,
              Duration.seconds(7)
            )
          }
        }
      }))

    it.effect("takes an answer that stops early for uncertain", () =>
      Effect.gen(function*() {
        const { jobs } = yield* fresh([{ do: { _tag: "Corrupt", how: "short" } }])
        const error = yield* Effect.flip(jobs.submit(request(), { submissionId: "sub-1" }))

        assert.isTrue(error.isRetryable)
        assert.strictEqual(error.evidence, "Uncertain")
      }))

    it.effect("aborts the request when it is interrupted, before and in the middle of the body", () =>
      Effect.gen(function*() {
        for (
          const action of [{ _tag: "Delay", millis: 60_000 }, { _tag: "SlowBody", chunks: 50, millis: 200 }] as const
        ) {
          const { call, simulator } = yield* fresh([{ do: action }])
          const fiber = yield* Effect.forkChild(call("responses.create"))
          yield* waitFor(Effect.map(simulator.ledger, ({ calls }) => calls.length === 1))
          yield* Effect.sleep("50 millis")
          yield* Fiber.interrupt(fiber)

          yield* waitFor(Effect.map(simulator.ledger, ({ calls }) => calls[0]?.ended === "aborted"))
        }
      }))
  })
})

describe("OpenAi", () => {
  it.effect("offers the ports that the host has, and keeps jobs for 30 days or 10 minutes", () =>
    Effect.gen(function*() {
      const { fetch } = recorder()
      const base = { name: "openai", fetch, fetchFresh: fetch }
      const all = (yield* OpenAi.make({ ...base, responsesApi: true, background: true }))("m")
      const sync = (yield* OpenAi.make({ ...base, responsesApi: true, background: false }))("m")
      const chat = (yield* OpenAi.make({ ...base, responsesApi: false, background: true }))("m")

      assert.deepStrictEqual([all, sync, chat].map((ports) => Object.keys(ports)), [
        ["ready", "jobs", "responses", "completions"],
        ["ready", "responses", "completions"],
        ["ready", "completions"]
      ])
      assert.deepStrictEqual(all.jobs?.retention, { stored: Duration.days(30), unstored: Duration.minutes(10) })
    }))

  it.effect("submits jobs through the fresh fetch and does everything else through the other", () =>
    Effect.gen(function*() {
      const shared = recorder(() => Response.json({ id: "resp_1", object: "response", status: "queued" }))
      const alone = recorder(() => Response.json({ id: "resp_1", object: "response", status: "queued" }))
      const portsOf = yield* OpenAi.make({
        name: "openai",
        responsesApi: true,
        background: true,
        fetch: shared.fetch,
        fetchFresh: alone.fetch
      })
      const jobs = portsOf("gpt-5").jobs as JobsApi
      yield* jobs.submit(request(), { submissionId: "sub-1" })
      yield* jobs.retrieve("resp_1")
      yield* jobs.cancel("resp_1")

      assert.deepStrictEqual(alone.calls.map((call) => `${call.method} ${call.url}`), [
        "POST https://api.openai.com/v1/responses"
      ])
      assert.deepStrictEqual(shared.calls.map((call) => `${call.method} ${call.url}`), [
        "GET https://api.openai.com/v1/responses/resp_1",
        "POST https://api.openai.com/v1/responses/resp_1/cancel"
      ])
    }))

  it.effect("has no timer and no signal beside the caller's for a request", () =>
    Effect.gen(function*() {
      const { signals, timers } = yield* watched
      const { calls, create } = yield* recorded({}, () => Response.json({ status: "in_progress" }))
      yield* Effect.flip(create())

      assert.strictEqual(calls.length, 1)
      assert.deepStrictEqual(timers.mock.calls.filter(([, millis]) => Number(millis) > 60_000), [])
      assert.deepStrictEqual(signals.mock.calls, [])
    }))

  it.effect("looks a cancelled job up once more when its usage is not told yet", () =>
    Effect.gen(function*() {
      const usage = { input_tokens: 3, output_tokens: 5, total_tokens: 8 }
      const body = { id: "resp_1", object: "response", status: "cancelled", output: [] }
      let requests = 0
      const { fetch } = recorder(() => Response.json({ ...body, usage: requests++ === 0 ? null : usage }))
      const portsOf = yield* OpenAi.make({
        name: "openai",
        responsesApi: true,
        background: true,
        fetch,
        fetchFresh: fetch
      })
      const state = yield* (portsOf("gpt-5").jobs as JobsApi).cancel("resp_1")
      const reason = state._tag === "Ended" && state.outcome._tag === "Failed"
        ? state.outcome.verdict.reason
        : undefined

      assert.strictEqual(requests, 2)
      assert.strictEqual(reason?._tag === "JobCancelled" ? reason.usage?.totalTokens : undefined, 8)
    }))

  it.effect.each<[string, Partial<OpenAi.Options>, Record<string, string | null>]>([
    ["a bearer key", { apiKey: Redacted.make("key-1\n") }, { authorization: "Bearer key-1", "api-key": null }],
    ["an api-key", { apiKey: Redacted.make("key-1"), authHeader: "api-key" }, {
      authorization: null,
      "api-key": "key-1"
    }],
    ["no key", {}, { authorization: null, "api-key": null, "openai-organization": null, "openai-project": null }],
    ["a header instead of a key", { headers: { authorization: "Custom x", "x-team": "a" } }, {
      authorization: "Custom x",
      "x-team": "a"
    }],
    ["organization and project", { organization: "org-1", project: "proj-1" }, {
      "openai-organization": "org-1",
      "openai-project": "proj-1"
    }]
  ])("sends %s and nothing of the environment", ([_title, options, expected]) =>
    Effect.gen(function*() {
      const { calls, complete } = yield* recorded(options)
      yield* complete()

      const { headers, url } = calls[0] as RecordedCall
      assert.strictEqual(url, "https://api.openai.com/v1/chat/completions")
      for (const [name, value] of Object.entries(expected)) assert.strictEqual(headers.get(name), value)
      assert.isNull(headers.get("x-from-environment"))
      assert.isNull(headers.get("x-stainless-timeout"))
    }).pipe(withEnvironment({
      OPENAI_API_KEY: "sk-from-environment",
      OPENAI_BASE_URL: "https://environment.example.com",
      OPENAI_ORG_ID: "org-environment",
      OPENAI_PROJECT_ID: "proj-environment",
      OPENAI_CUSTOM_HEADERS: "x-from-environment: yes",
      OPENAI_LOG: "debug"
    })))

  it.effect("asks a token provider for each request, and sends nothing when it fails", () =>
    Effect.gen(function*() {
      let count = 0
      const { calls, complete } = yield* recorded({
        apiKey: Effect.suspend(() => {
          count += 1
          return count < 3 ? Effect.succeed(Redacted.make(`token-${count}`)) : Effect.fail(noToken)
        })
      })
      yield* complete()
      yield* complete()
      const error = yield* Effect.flip(complete())

      assert.strictEqual(error, noToken)
      assert.deepStrictEqual(calls.map(({ headers }) => headers.get("authorization")), [
        "Bearer token-1",
        "Bearer token-2"
      ])
    }))

  it.effect.each(["", " \n", "sk-a\nb", "sk-ключ"])(
    "refuses the key %j without sending or quoting it",
    (key) =>
      Effect.gen(function*() {
        const { calls, complete } = yield* recorded({ apiKey: Redacted.make(key) })
        const error = yield* Effect.flip(complete())

        assert.strictEqual(error.verdict.reason._tag, "AuthenticationFailed")
        assert.strictEqual(error.evidence, "NotSent")
        assert.notInclude(JSON.stringify(error), "sk-")
        assert.strictEqual(calls.length, 0)
      })
  )

  it.effect.each<[string, Partial<OpenAi.Options>, string, string]>([
    [
      "Azure's v1 surface",
      { name: "azure", baseUrl: "https://r.openai.azure.com/openai/v1/" },
      "https://r.openai.azure.com/openai/v1/chat/completions",
      "https://r.openai.azure.com/openai/v1/responses"
    ],
    [
      "Azure's older surface",
      { name: "azure", baseUrl: "https://r.openai.azure.com/openai", apiVersion: "2025-04-01-preview" },
      "https://r.openai.azure.com/openai/deployments/my%20model/chat/completions?api-version=2025-04-01-preview",
      "https://r.openai.azure.com/openai/responses?api-version=2025-04-01-preview"
    ],
    [
      "an address that names the deployment",
      { name: "azure", baseUrl: "https://r.openai.azure.com/openai/deployments/d", apiVersion: "2025-04-01-preview" },
      "https://r.openai.azure.com/openai/deployments/d/chat/completions?api-version=2025-04-01-preview",
      "https://r.openai.azure.com/openai/deployments/d/responses?api-version=2025-04-01-preview"
    ],
    [
      "a compatible host",
      { name: "ollama", baseUrl: "http://localhost:11434/v1" },
      "http://localhost:11434/v1/chat/completions",
      "http://localhost:11434/v1/responses"
    ]
  ])("finds the endpoints of %s", ([_title, options, chat, responses]) =>
    Effect.gen(function*() {
      const { calls, complete, create } = yield* recorded(options)
      yield* complete()
      yield* Effect.flip(create())

      assert.deepStrictEqual(calls.map(({ url }) => url), [chat, responses])
      assert.strictEqual((calls[0]?.body as { readonly model: string }).model, "my model")
    }))

  it.effect("sends store to stateless hosts only when the request names it", () =>
    Effect.gen(function*() {
      const groq = yield* recorded({ name: "groq", background: false })
      yield* Effect.flip(groq.create())
      yield* Effect.flip(groq.create({ store: false }))
      const openai = yield* recorded({ name: "openai", background: false })
      yield* Effect.flip(openai.create())

      const stores = [...groq.calls, ...openai.calls].map(({ body }) => (body as { readonly store?: boolean }).store)
      assert.deepStrictEqual(stores, [undefined, false, true])
    }))

  it.effect.each<[number, unknown, string]>([
    [429, [{ error: { code: 429, message: "Slow down", status: "RESOURCE_EXHAUSTED" } }], "RateLimited"],
    [400, [{ error: { code: 400, message: "No", status: "INVALID_ARGUMENT" } }], "InvalidRequest"],
    [404, { detail: "No such model" }, "NotFound"],
    [401, "nope", "AuthenticationFailed"]
  ])("reads the error of a %d with body %j", ([status, body, tag]) =>
    Effect.gen(function*() {
      const { complete } = yield* recorded({}, () => Response.json(body, { status }))
      const error = yield* Effect.flip(complete())

      assert.strictEqual(error.verdict.reason._tag, tag)
      assert.strictEqual(error.verdict.reason.status, status)
    }))

  it.effect("reads the words of an error that stands in an array", () =>
    Effect.gen(function*() {
      const body = [{ error: { code: 400, message: "Bad thing", status: "INVALID_ARGUMENT" } }]
      const { complete } = yield* recorded({}, () => Response.json(body, { status: 400 }))
      const error = yield* Effect.flip(complete())

      assert.strictEqual(error.verdict.reason.message, "Bad thing")
    }))

  it.effect("reads the code that stands beside an error's words", () =>
    Effect.gen(function*() {
      const body = { code: "insufficient_balance", error: "Words" }
      const { complete } = yield* recorded({}, () => Response.json(body, { status: 429 }))
      const { verdict: { reason } } = yield* Effect.flip(complete())

      assert.deepInclude(reason, { _tag: "QuotaExceeded", code: "insufficient_balance", message: "Words" })
    }))

  it.effect("refuses what an API has no form for before it asks for a key", () =>
    Effect.gen(function*() {
      const { calls, create } = yield* recorded({ apiKey: Effect.fail(noToken) })
      const error = yield* Effect.flip(create({ stop: "END" }))

      assert.strictEqual(error.verdict.reason._tag, "InvalidRequest")
      assert.strictEqual(calls.length, 0)
    }))

  it.effect("imports the SDK again after an import that failed", () =>
    Effect.gen(function*() {
      const { complete } = yield* recorded({})
      const missing = Effect.acquireRelease(
        Effect.sync(() =>
          vi.doMock("openai/client", () => {
            throw new Error("no such package")
          })
        ),
        () => Effect.sync(() => vi.doUnmock("openai/client"))
      )
      const error = yield* Effect.scoped(Effect.andThen(missing, Effect.flip(complete())))
      const outcome = yield* complete()

      assert.strictEqual(error.verdict.reason._tag, "ProviderNotConfigured")
      assert.strictEqual(error.evidence, "NotSent")
      assert.strictEqual(outcome._tag, "Succeeded")
    }))

  it.live("says that nothing was sent when there is no connection", () =>
    Effect.gen(function*() {
      const transport = yield* Transport.make()
      const portsOf = yield* OpenAi.make({
        name: "openai",
        baseUrl: "http://127.0.0.1:1/v1",
        apiKey: Redacted.make("sim"),
        responsesApi: true,
        background: true,
        ...transport
      })
      const error = yield* Effect.flip(portsOf("m").completions.complete(request()))

      assert.strictEqual(error.verdict.reason._tag, "Network")
      assert.strictEqual(error.evidence, "NotSent")
    }))
})

class Ports extends Context.Service<Ports, OpenAi.Ports>()("test/services/providers/OpenAi/Ports") {}

const portsLayer = Layer.effect(
  Ports,
  Effect.gen(function*() {
    const simulator = yield* Simulator.Simulator
    const transport = yield* Transport.Transport
    const portsOf = yield* OpenAi.make({
      name: "openai",
      baseUrl: simulator.openAiBaseUrl,
      apiKey: Redacted.make("sim"),
      responsesApi: true,
      background: true,
      ...transport
    })
    return portsOf("gpt-5")
  })
)

const layer = portsLayer.pipe(Layer.provideMerge([Simulator.layer({ completeAfterPolls: 1 }), Transport.layer()]))

const fresh = Effect.fnUntraced(function*(rules: ReadonlyArray<Simulator.Rule>) {
  const simulator = yield* Simulator.Simulator
  const ports = yield* Ports
  yield* simulator.reset
  yield* simulator.script(rules, { replace: true })
  return {
    simulator,
    jobs: ports.jobs as JobsApi,
    call: (endpoint: "responses.create" | "chat.create") =>
      endpoint === "chat.create"
        ? ports.completions.complete(request())
        : (ports.responses as ResponsesApi).create(request())
  }
})

const job = (fields: Omit<Simulator.JobAction, "_tag">): Simulator.Rule => ({
  on: "responses.create",
  do: { _tag: "Job", ...fields }
})

const request = (input: Partial<RequestInput> = {}): ResponseRequest =>
  Schema.decodeSync(ResponseRequest)({ model: "openai/gpt-5", prompt: "2 + 2?", ...input })

const message = (text: string) => ({ type: "message", role: "assistant", content: [{ type: "output_text", text }] })

const outcomeOf = (state: JobState): Outcome => {
  assert.strictEqual(state._tag, "Ended")
  return (state as Extract<JobState, { readonly _tag: "Ended" }>).outcome
}

const answerOf = (state: JobState) => {
  const outcome = outcomeOf(state)
  assert.strictEqual(outcome._tag, "Succeeded")
  return (outcome as Extract<Outcome, { readonly _tag: "Succeeded" }>).answer
}

const failureOf = (state: JobState): string => {
  const outcome = outcomeOf(state)
  return outcome._tag === "Failed" ? outcome.verdict.reason._tag : "no failure"
}

const waitFor = (condition: Effect.Effect<boolean>) =>
  condition.pipe(
    Effect.repeat({ until: (isMet: boolean) => isMet, schedule: Schedule.spaced("20 millis") })
  )

interface RecordedCall {
  readonly url: string
  readonly method: string | undefined
  readonly headers: Headers
  readonly body: unknown
}

const recorder = (answer: () => Response = () => Response.json(chatAnswer)) => {
  const calls: Array<RecordedCall> = []
  const fetch: Transport.Fetch = async (input, init) => {
    calls.push({
      url: String(input),
      method: init?.method,
      headers: new Headers(init?.headers),
      body: typeof init?.body === "string" ? JSON.parse(init.body) : undefined
    })
    return answer()
  }
  return { calls, fetch }
}

const chatAnswer = { choices: [{ index: 0, message: { role: "assistant", content: "4" }, finish_reason: "stop" }] }

const recorded = Effect.fnUntraced(function*(options: Partial<OpenAi.Options>, answer?: () => Response) {
  const { calls, fetch } = recorder(answer)
  const portsOf = yield* OpenAi.make({
    name: "openai",
    responsesApi: true,
    background: true,
    fetch,
    fetchFresh: fetch,
    ...options
  })
  const ports = portsOf("my model")
  return {
    calls,
    complete: (input?: Partial<RequestInput>) => ports.completions.complete(request(input)),
    create: (input?: Partial<RequestInput>) => (ports.responses as ResponsesApi).create(request(input))
  }
})

const noToken = new ProviderError({
  verdict: { _tag: "NonRetryable", reason: new AuthenticationFailed({ message: "No token" }) },
  evidence: "NotSent"
})

/** The timers and the signals made of others, as long as the scope is open. */
const watched = Effect.acquireRelease(
  Effect.sync(() => ({ timers: vi.spyOn(globalThis, "setTimeout"), signals: vi.spyOn(AbortSignal, "any") })),
  ({ signals, timers }) =>
    Effect.sync(() => {
      timers.mockRestore()
      signals.mockRestore()
    })
)

const withEnvironment = (variables: Record<string, string>) => <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value)
    }),
    () => self,
    () => Effect.sync(() => vi.unstubAllEnvs())
  )
