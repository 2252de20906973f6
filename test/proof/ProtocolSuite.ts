import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Redacted, Schedule, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Holdfast, Providers, type ResponseRequest, Schedules, SessionStore, type StrategyError } from "holdfast"
import { Simulator } from "holdfast/testing"
import * as Transport from "../../src/services/providers/Transport.ts"
import * as ProtocolSchemas from "./ProtocolSchemas.ts"

/** One way to get a response over a wire. */
export interface Protocol {
  readonly name: string
  readonly request: ResponseRequest.RequestInput
  /** A request that uses what the protocol can carry. */
  readonly rich: Partial<ResponseRequest.RequestInput>
  readonly endpoint: Simulator.Endpoint
  /** Of jobs, which go on without a connection. */
  readonly job?: {
    readonly cancel: Simulator.Endpoint
    readonly retrieve: Simulator.Endpoint
    /** Whether a job says that it is queued. */
    readonly isQueued: boolean
  }
  /** What each error of the provider comes to, when it stays. */
  readonly errors: Readonly<Record<Simulator.CannedError, string>>
  /** What each damage of the submission's answer comes to. */
  readonly damages: ReadonlyArray<readonly [Simulator.Action, string]>
  /** What each end of a job or call comes to; `stop` and `tool-calls` are answers. */
  readonly ends: ReadonlyArray<readonly [Omit<Simulator.JobAction, "_tag">, string]>
}

const validate = ProtocolSchemas.makeValidator()

/** Runs the suite for a protocol. */
export const suite = (protocol: Protocol): void => {
  describe(protocol.name, () => {
    const { endpoint, job, request } = protocol

    it.live("gets an answer, and gives it again in another process without a request", () =>
      withSimulator({ completeAfterPolls: 2 }, (world) =>
        Effect.gen(function*() {
          const first = yield* world.start
          const answer = yield* first.execute({ ...request, ...protocol.rich })
          yield* first.close
          const second = yield* world.start
          const again = yield* second.execute({ ...request, ...protocol.rich })

          assert.include(answer.content, "You asked: 2 + 2?")
          assert.deepInclude(answer, {
            finishReason: "stop",
            submissions: 1,
            attempts: 1,
            settled: true,
            resumed: false
          })
          assert.isAbove(answer.usage?.totalTokens ?? 0, 0)
          assert.deepInclude(again, { content: answer.content, submissions: 1, attempts: 0, resumed: true })
          assert.lengthOf((yield* world.sim.ledger).submissions, 1)
        })))

    it.live("tells the same answer as a stream", () =>
      withSimulator({ completeAfterPolls: 1 }, (world) =>
        Effect.gen(function*() {
          const process = yield* world.start
          const events = yield* Stream.runCollect(process.stream({ ...request, ...protocol.rich }))

          const last = events.at(-1)
          const told = events.map((event) => event._tag === "TextDelta" ? event.delta : "").join("")
          assert.include(told, "You asked: 2 + 2?")
          assert.strictEqual(last?._tag === "Completed" ? last.response.content : "", told)
          assert.lengthOf((yield* world.sim.ledger).submissions, 1)
        })))

    for (const [error, expected] of Object.entries(protocol.errors) as Array<[Simulator.CannedError, string]>) {
      testOf(expected)(`names the error ${error}: ${expected}`, () =>
        withSimulator(
          { script: [{ on: endpoint, times: "always", do: { _tag: "Error", error } }] },
          (world) =>
            Effect.gen(function*() {
              assert.strictEqual(endOf(yield* executed(world, request, expected)), expected)
              assert.lengthOf((yield* world.sim.ledger).submissions, 1)
              assert.lengthOf(yield* world.sim.jobs, 0)
            })
        ))
    }

    for (const [action, expected] of protocol.damages) {
      testOf(expected)(`names what comes of ${JSON.stringify(action)}: ${expected}`, () =>
        withSimulator(
          { completeAfterPolls: 1, script: [{ on: endpoint, do: action }] },
          (world) =>
            Effect.gen(function*() {
              assert.strictEqual(endOf(yield* executed(world, request, expected)), expected)
              assert.lengthOf((yield* world.sim.ledger).submissions, 1)
            })
        ))
    }

    it.live.each(protocol.ends)("names the end %j: %s", ([fields, expected]) =>
      withSimulator(
        {
          completeAfterPolls: 1,
          script: [{ on: endpoint, do: { _tag: "Job", ...fields } }],
          isStrange: fields.outcome === "unknown-status"
        },
        (world) =>
          Effect.gen(function*() {
            const process = yield* world.start

            assert.strictEqual(endOf(yield* Effect.exit(process.execute(request))), expected)
            assert.lengthOf((yield* world.sim.ledger).submissions, 1)
          })
      ))

    if (job === undefined) {
      heldSuite(protocol)
    } else jobSuite(protocol, job)
  })
}

/** What must wait for its deadline waits on a clock that the test moves. */
const testOf = (expected: string) => expected.startsWith("Timeout") ? it.effect : it.live

/** Runs a request in a process of its own; if it is to time out, until its deadline passes. */
const executed = Effect.fnUntraced(function*(world: World, request: Protocol["request"], expected: string) {
  const process = yield* world.start
  return yield* expected.startsWith("Timeout")
    ? timedOut(world, process.execute({ ...request, deadline: "1 minute" }))
    : Effect.exit(process.execute(request))
})

/** Lets the deadline pass once the provider has the request, in steps that leave time for what happens on sockets. */
const timedOut = Effect.fnUntraced(function*<A, E>({ sim }: World, execute: Effect.Effect<A, E>) {
  const fiber = yield* Effect.forkChild(execute, { startImmediately: true })
  yield* TestClock.withLive(eventually(sim.ledger, ({ submissions }) => submissions.length > 0))
  while (fiber.pollUnsafe() === undefined) {
    yield* TestClock.withLive(Effect.sleep("2 millis"))
    yield* TestClock.adjust("1 second")
  }
  return yield* Fiber.await(fiber)
})

const heldSuite = ({ endpoint, request }: Protocol): void => {
  const slow: Simulator.Rule = { on: endpoint, do: { _tag: "Delay", millis: 60_000, accepted: true } }

  it.live("closes the connection when it is interrupted", () =>
    withSimulator({ script: [slow] }, (world) =>
      Effect.gen(function*() {
        const process = yield* world.start
        const running = yield* Effect.forkChild(process.execute({ ...request, onInterrupt: "cancel" }), {
          startImmediately: true
        })
        yield* eventually(world.sim.ledger, ({ submissions }) => submissions.length > 0)
        yield* Fiber.interrupt(running)

        yield* eventually(world.sim.ledger, ({ calls }) => calls[0]?.ended === "aborted")
      })))

  it.effect("ends as Timeout, still running, at its deadline, and closes the connection", () =>
    withSimulator({ script: [slow] }, (world) =>
      Effect.gen(function*() {
        assert.strictEqual(endOf(yield* executed(world, request, "Timeout running")), "Timeout running")
        yield* TestClock.withLive(eventually(world.sim.ledger, ({ calls }) => calls[0]?.ended === "aborted"))
        assert.lengthOf((yield* world.sim.ledger).submissions, 1)
      })))
}

const jobSuite = (
  { endpoint, request }: Protocol,
  { cancel, isQueued, retrieve }: NonNullable<Protocol["job"]>
): void => {
  const lasting = { jobDuration: "1 hour" } as const

  it.live("cancels the job at the provider when the last caller leaves", () =>
    withSimulator(lasting, (world) =>
      Effect.gen(function*() {
        const process = yield* world.start
        const running = yield* Effect.forkChild(process.execute({ ...request, onInterrupt: "cancel" }), {
          startImmediately: true
        })
        yield* eventually(world.sim.jobs, (jobs) => (jobs[0]?.polls ?? 0) > 0)
        yield* Fiber.interrupt(running)

        yield* eventually(world.sim.jobs, (jobs) => (jobs[0]?.cancels ?? 0) > 0)
        assert.isAtLeast((yield* world.sim.ledger).requests[cancel] ?? 0, 1)
      })))

  it.effect.each<[string, Simulator.Rule, string]>([
    ["queued", job("stuck-queued"), isQueued ? "Timeout queued" : "Timeout running"],
    ["running", job("stuck-in-progress"), "Timeout running"],
    ["submitted", { do: { _tag: "Hang", accepted: false } }, "Timeout submit"]
  ])(
    "ends as Timeout at its deadline when it is still being %s",
    ([_, rule, expected]) =>
      withSimulator({ queuedDuration: 0, script: [{ ...rule, on: endpoint }] }, (world) =>
        Effect.gen(function*() {
          const process = yield* world.start
          const exit = yield* timedOut(
            world,
            process.execute({ ...request, deadline: "1 minute", submitTimeout: "2 minutes" })
          )
          // The end of the process waits for a submission on its way.
          yield* TestClock.adjust("1 minute")

          assert.strictEqual(endOf(exit), expected)
          assert.lengthOf((yield* world.sim.ledger).submissions, 1)
        }))
  )

  it.live("goes on with the same job in another process, without its request too", () =>
    withSimulator(lasting, (world) =>
      Effect.gen(function*() {
        const first = yield* world.start
        const lost = yield* Effect.forkChild(first.execute(request), { startImmediately: true })
        const [running] = yield* eventually(world.sim.jobs, (jobs) => (jobs[0]?.polls ?? 0) > 0)
        yield* first.close
        yield* Fiber.await(lost)

        const second = yield* world.start
        yield* world.sim.finish(running?.id ?? "")
        const answer = yield* second.resume("s")

        assert.deepInclude(answer, { submissions: 1, attempts: 0, resumed: true, settled: true, finishReason: "stop" })
        assert.lengthOf((yield* world.sim.ledger).submissions, 1)
      })))

  it.live.each<[string, Simulator.Action]>([
    ["is reset", { _tag: "Reset", accepted: true }],
    ["is a proxy's page", { _tag: "Html", status: 502 }],
    ["is cut", { _tag: "Corrupt", how: "short" }],
    ["is garbage", { _tag: "Corrupt", how: "garbage" }],
    ["is a rate limit", { _tag: "Error", error: "rateLimit", headers: { "retry-after-ms": "20" } }],
    ["is an overload", { _tag: "Error", error: "overloaded" }]
  ])(
    "gets its answer although a poll %s",
    ([_, action]) =>
      withSimulator(
        { completeAfterPolls: 2, script: [{ on: retrieve, do: action }] },
        (world) =>
          Effect.gen(function*() {
            const process = yield* world.start

            assert.strictEqual(endOf(yield* Effect.exit(process.execute(request))), "stop")
            assert.lengthOf((yield* world.sim.ledger).submissions, 1)
          })
      )
  )
}

const job = (outcome: Simulator.Outcome): Simulator.Rule => ({ do: { _tag: "Job", outcome } })

const endOf = (exit: Exit.Exit<{ readonly finishReason: string }, StrategyError.StrategyError>): string => {
  const result = Exit.match(exit, {
    onSuccess: ({ finishReason }) => finishReason,
    onFailure: (cause) => {
      const [reason] = cause.reasons
      if (reason?._tag !== "Fail") return `${cause}`
      const { error } = reason
      return error._tag === "Timeout" ? `Timeout ${error.phase}` : `${error._tag} ${error.reason._tag}`
    }
  })
  return result
}

interface World {
  readonly sim: Simulator.Simulator["Service"]
  /** Builds a `Holdfast` of its own on the store of all, which ends with the test or with `close`. */
  readonly start: Effect.Effect<
    Holdfast.Holdfast["Service"] & { readonly close: Effect.Effect<void> },
    never,
    Scope.Scope
  >
}

/** What was exchanged is checked against the published schemas, unless it `isStrange` on purpose. */
const withSimulator = <A, E>(
  { isStrange = false, ...options }: Simulator.Options & { readonly isStrange?: boolean },
  use: (world: World) => Effect.Effect<A, E, Scope.Scope>
) =>
  Effect.gen(function*() {
    const sim = yield* Simulator.Simulator
    const store = yield* SessionStore.makeMemory
    const recorder = ProtocolSchemas.recording(yield* Transport.make())
    const live = Holdfast.layer.pipe(
      Layer.provide([
        Providers.layer({
          openai: { baseUrl: sim.openAiBaseUrl, apiKey: Redacted.make("sim") },
          anthropic: { baseUrl: sim.anthropicBaseUrl, apiKey: Redacted.make("sim") },
          gemini: { baseUrl: sim.geminiBaseUrl, apiKey: Redacted.make("sim") }
        }),
        Layer.succeed(SessionStore.SessionStore, store)
      ]),
      Layer.provide(Layer.succeed(Transport.Transport, Transport.Transport.of(recorder.transport)))
    )
    const start = Effect.gen(function*() {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const context = yield* Layer.buildWithScope(Layer.fresh(live), scope)
      return { ...Context.get(context, Holdfast.Holdfast), close: Scope.close(scope, Exit.void) }
    })
    yield* Effect.scoped(use({ sim, start }))
    if (validate === undefined || isStrange) return
    const exchanges = yield* Effect.promise(recorder.exchanges)

    assert.deepStrictEqual(validate(exchanges), [])
  }).pipe(
    Effect.provide(Simulator.layer({ batchPollHint: 0, ...options }), { local: true }),
    Effect.provideService(Schedules.PollPolicy, Schedule.spaced("20 millis")),
    Effect.provideService(Schedules.RetryPolicy, Schedule.recurs(0))
  )

const eventually = <A, E>(effect: Effect.Effect<A, E>, isDone: (value: A) => boolean): Effect.Effect<A, E> =>
  effect.pipe(Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: isDone }))
