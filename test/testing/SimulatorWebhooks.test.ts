import { assert, describe, it } from "@effect/vitest"
import { Context, type Duration, Effect, Fiber, Layer, Redacted, Schedule } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import * as Holdfast from "../../src/Holdfast.ts"
import * as Providers from "../../src/services/Providers.ts"
import * as SessionStore from "../../src/services/SessionStore.ts"
import * as Webhooks from "../../src/strategies/Webhooks.ts"
import { Simulator } from "../../src/testing/index.ts"

describe("Simulator webhooks", () => {
  it.live("settle a session that nobody waits for", () =>
    Effect.gen(function*() {
      const { replies, start } = yield* world([])
      const jobId = yield* start("s")
      const { ledger } = yield* Simulator.Simulator
      yield* until(Effect.map(ledger, ({ webhooks }) => webhooks[0]?.status !== undefined))
      const { jobs, webhooks } = yield* ledger

      assert.deepInclude(webhooks[0], { jobId, type: "response.completed", attempt: 1, status: 200 })
      assert.deepStrictEqual(replies, [200])
      assert.strictEqual(yield* status("s"), "answered")
      assert.strictEqual(jobs[0]?.polls, 1)
    }).pipe(Effect.provide(simulated)))

  it.live.each<[string, Simulator.WebhookAction, ReadonlyArray<number>]>([
    ["late", { _tag: "Webhook", how: "late", millis: 200 }, [200]],
    ["twice", { _tag: "Webhook", how: "twice" }, [200, 200]]
  ])("that come %s settle it once", ([, action, expected]) =>
    Effect.gen(function*() {
      const { replies, start } = yield* world([{ on: "responses.create", do: action }])
      yield* start("s")
      yield* until(Effect.sync(() => replies.length === expected.length))

      assert.deepStrictEqual(replies, expected)
      assert.strictEqual(yield* status("s"), "answered")
    }).pipe(Effect.provide(simulated)))

  it.live("that come early are sent again until the job has ended", () =>
    Effect.gen(function*() {
      const { replies, submit } = yield* world([{
        on: "responses.create",
        do: [{ _tag: "Webhook", how: "early" }, { _tag: "Job", outcome: "completed", durationMillis: 3_600_000 }]
      }])
      const waiting = yield* submit("s")
      yield* until(Effect.sync(() => replies.length > 0))
      const simulator = yield* Simulator.Simulator
      yield* Effect.forEach(yield* simulator.jobs, ({ id }) => simulator.finish(id))
      const { content } = yield* Fiber.join(waiting)
      yield* until(Effect.sync(() => replies.includes(200)))

      assert.isNotEmpty(content)
      assert.strictEqual(replies[0], 503)
    }).pipe(Effect.provide(simulatedWith("100 millis"))))

  it.live("of two jobs may come out of order", () =>
    Effect.gen(function*() {
      const long: Simulator.Action = { _tag: "Job", outcome: "completed", durationMillis: 3_600_000 }
      const { start } = yield* world([
        { on: "responses.create", match: "first", do: [long, { _tag: "Webhook", how: "late", millis: 300 }] },
        { on: "responses.create", match: "second", do: long }
      ])
      const first = yield* start("first")
      const second = yield* start("second")
      const { finish, ledger } = yield* Simulator.Simulator
      yield* Effect.andThen(finish(first), finish(second))
      yield* until(Effect.map(status("first"), (status) => status === "answered"))
      yield* until(Effect.map(status("second"), (status) => status === "answered"))

      assert.deepStrictEqual((yield* ledger).webhooks.map(({ jobId }) => jobId), [second, first])
      assert.strictEqual(yield* status("second"), "answered")
    }).pipe(Effect.provide(simulated)))

  it.live.each<Simulator.WebhookAction["how"]>(["forged", "stale"])(
    "that are %s are rejected",
    (how) =>
      Effect.gen(function*() {
        const { replies, start } = yield* world([{ on: "responses.create", do: { _tag: "Webhook", how } }])
        yield* start("s")
        yield* until(Effect.sync(() => replies.length === 2))

        assert.deepStrictEqual(replies.slice(0, 2), [400, 400])
        assert.strictEqual(yield* status("s"), "running")
      }).pipe(Effect.provide(simulated))
  )

  it.live("tell of a job that was cancelled, and of none that is to be silent", () =>
    Effect.gen(function*() {
      const { replies, start } = yield* world([
        { on: "responses.create", match: "silent", do: { _tag: "Webhook", how: "never" } },
        { on: "responses.create", do: { _tag: "Job", outcome: "stuck-in-progress" } }
      ])
      yield* start("silent")
      yield* start("stopped")
      yield* Holdfast.cancel("stopped")
      yield* until(Effect.sync(() => replies.length === 1))
      const { ledger } = yield* Simulator.Simulator

      assert.deepStrictEqual((yield* ledger).webhooks.map(({ type }) => type), ["response.cancelled"])
      assert.strictEqual(yield* status("silent"), "running")
    }).pipe(Effect.provide(simulated)))

  it.live("resolve an uncertain submission, whose answer was lost", () =>
    Effect.gen(function*() {
      const { start } = yield* world([{ on: "responses.create", do: { _tag: "Reset", accepted: true } }])
      yield* start("s")
      yield* until(Effect.map(status("s"), (status) => status === "answered"))
      const { ledger } = yield* Simulator.Simulator
      const { content } = yield* Holdfast.execute(requestOf("s"))

      assert.isNotEmpty(content)
      assert.strictEqual((yield* ledger).requests["responses.create"], 1)
    }).pipe(Effect.provide(simulated)))

  it("need a url and a secret", () => {
    assert.throws(() => Simulator.layer({ webhooks: { url: "no url", secret } }), RangeError)
    assert.throws(() => Simulator.layer({ webhooks: { url: "http://a.test", secret: Redacted.make("") } }), RangeError)
  })
})

const secret = Redacted.make("whsec_c2VjcmV0")

/** A server whose listener comes later: the simulator must know where it is, and the listener where the simulator is. */
class Inbox extends Context.Service<Inbox, {
  readonly url: string
  readonly replies: Array<number>
  readonly listen: (respond: Webhooks.Webhooks["Service"]["respond"]) => void
}>()("test/Inbox") {}

const inbox = Layer.effect(
  Inbox,
  Effect.gen(function*() {
    const context = yield* Effect.context()
    const replies: Array<number> = []
    let respond: Webhooks.Webhooks["Service"]["respond"] | undefined
    const server = createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
        void Effect.runPromiseWith(context)(
          respond?.(Buffer.concat(chunks), request.headers) ?? Effect.die("nobody listens")
        )
          .then(({ body, status }) => {
            replies.push(status)
            response.writeHead(status).end(body)
          })
      })
    })
    yield* Effect.acquireRelease(
      Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
      () => Effect.sync(() => (server.close(), server.closeAllConnections()))
    )
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`,
      replies,
      listen: (next) => {
        respond = next
      }
    }
  })
)

const holdfast = (deadline: Duration.Input) =>
  Layer.unwrap(
    Effect.map(
      Simulator.Simulator,
      ({ openAiBaseUrl }) =>
        Layer.mergeAll(Holdfast.layer, Webhooks.layer({ secrets: secret, deadline })).pipe(
          Layer.provide([
            SessionStore.layerMemory,
            Providers.layer({ openai: { apiKey: Redacted.make("any"), baseUrl: openAiBaseUrl } })
          ])
        )
    )
  )

/** The deadline is what a webhook waits for a job that has not ended. */
const simulatedWith = (deadline: Duration.Input) =>
  holdfast(deadline).pipe(
    Layer.provideMerge(
      Layer.unwrap(
        Effect.map(
          Inbox,
          ({ url }) => Simulator.layer({ jobDuration: "100 millis", queuedDuration: 0, webhooks: { url, secret } })
        )
      )
    ),
    Layer.provideMerge(inbox)
  )

const simulated = simulatedWith("10 seconds")

const requestOf = (session: string) => ({ model: "openai/gpt-5.5-pro", prompt: session, session } as const)

/** Submits a job, and leaves it alone. */
const world = Effect.fnUntraced(function*(rules: ReadonlyArray<Simulator.Rule>) {
  const simulator = yield* Simulator.Simulator
  const { listen, replies } = yield* Inbox
  listen((yield* Webhooks.Webhooks).respond)
  yield* simulator.script(rules)
  const submit = (session: string) =>
    Effect.forkChild(Holdfast.execute({ ...requestOf(session), poll: Schedule.spaced("1 minute") }), {
      startImmediately: true
    })
  return {
    replies,
    submit,
    start: Effect.fnUntraced(function*(session: string) {
      const before = (yield* simulator.ledger).jobs.length
      const fiber = yield* submit(session)
      yield* until(Effect.map(status(session), (status) => status === "running" || status === "submitting"))
      yield* until(Effect.map(simulator.ledger, ({ jobs }) => jobs.length > before))
      yield* Effect.sleep("30 millis")
      yield* Fiber.interrupt(fiber)
      return (yield* simulator.ledger).jobs.at(-1)?.id ?? ""
    })
  }
})

const status = (session: string) =>
  Effect.match(Holdfast.inspect(session), { onFailure: () => "none", onSuccess: ({ status }) => status })

const until = <R>(condition: Effect.Effect<boolean, never, R>) =>
  Effect.repeat(condition, { schedule: Schedule.spaced("10 millis"), until: (isMet) => isMet })
