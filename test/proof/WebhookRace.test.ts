import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Redacted, References, type Scope } from "effect"
import { Holdfast, type ResponseRequest, Schedules, SessionStore, Webhooks } from "holdfast"
import { Simulator } from "holdfast/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Postgres from "../fixtures/Postgres.ts"
import { layerProviders, layerStore, requestOf, type StoreAt } from "../fixtures/proof/Job.ts"
import * as Seed from "../fixtures/proof/Seed.ts"
import * as Cuts from "../fixtures/proof/StreamsCuts.ts"

describe("a webhook, polls and a stream that race for one job", () => {
  it.live("settle it once, and say the same, in files", () =>
    Effect.gen(function*() {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-race-"))),
        (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
      )

      yield* race({ _tag: "File", directory })
    }))

  it.live("settle it once, and say the same, in PostgreSQL", () =>
    Effect.gen(function*() {
      const { url } = yield* Postgres.Postgres

      yield* race({ _tag: "Postgres", url })
    }).pipe(Effect.provide(Postgres.layer)))
})

const race = Effect.fnUntraced(function*(store: StoreAt) {
  const { next, seed } = yield* Seed.current
  const inbox = yield* listen
  const simulator = Context.get(
    yield* Layer.build(Simulator.layer({
      jobDuration: "200 millis",
      queuedDuration: "20 millis",
      answer: () => Cuts.text,
      webhooks: { url: inbox.url, secret }
    })),
    Simulator.Simulator
  )
  const [streaming, polling, third] = yield* Effect.forEach([1, 2, 3], () => start(simulator, store))
  inbox.processes = [streaming!, polling!, third!]
  const sessions = Array.from({ length: 12 }, (_, index) => `<race ${index}>`)
  yield* simulator.script(sessions.map((session): Simulator.Rule => ({
    on: "responses.create",
    match: session,
    do: [
      { _tag: "Webhook", how: hows[Math.floor(next() * hows.length)]!, millis: 20 },
      { _tag: "CutStream", after: 2 + Math.floor(next() * 10), how: "reset" }
    ]
  })))
  const told = yield* Effect.forEach(sessions, (session) =>
    Effect.all({
      session: Effect.succeed(session),
      watched: Cuts.collect(streaming!.holdfast.stream(requestTo(session))),
      polled: Effect.delay(
        polling!.holdfast.execute(requestTo(session)),
        Math.floor(next() * 100)
      )
    }, { concurrency: "unbounded" }), { concurrency: "unbounded" })
  yield* inbox.quiet
  const { submissions } = yield* simulator.ledger
  const journals = yield* Effect.forEach(sessions, (session) => Effect.orDie(third!.store.load(session)))

  assert.deepStrictEqual(told.flatMap(({ watched }) => Cuts.judge(watched)), [], `seed ${seed}`)
  assert.deepStrictEqual(told.map(({ polled }) => polled.content), sessions.map(() => Cuts.text), `seed ${seed}`)
  assert.deepStrictEqual(
    journals.map(({ entries }) => entries.filter(({ _tag }) => _tag === "Settled").length),
    sessions.map(() => 1),
    `seed ${seed}`
  )
  assert.strictEqual(submissions.length, sessions.length, `seed ${seed}`)
  assert.include(inbox.replies, 200)
})

const requestTo = (session: string): ResponseRequest.RequestInput => ({
  ...requestOf({ session, submitMillis: 20_000, deadlineMillis: 40_000 }),
  poll: Schedules.pollSchedule({ initial: "50 millis", max: "200 millis" })
})

const hows = ["late", "twice", "early"] as const

const secret = Redacted.make("whsec_c2VjcmV0")

interface Process {
  readonly holdfast: Holdfast.Holdfast["Service"]
  readonly webhooks: Webhooks.Webhooks["Service"]
  readonly store: SessionStore.SessionStore["Service"]
}

/** A process that takes webhooks, on a connection of its own to the store. */
const start = Effect.fnUntraced(function*(simulator: Simulator.Simulator["Service"], at: StoreAt) {
  const context = yield* Layer.build(Layer.fresh(
    Layer.mergeAll(Holdfast.layer, Webhooks.layer({ secrets: secret, deadline: "300 millis" })).pipe(
      Layer.provideMerge(layerStore(at)),
      Layer.provide(layerProviders(simulator.url))
    )
  ))
  const process: Process = {
    holdfast: Context.get(context, Holdfast.Holdfast),
    webhooks: Context.get(context, Webhooks.Webhooks),
    store: Context.get(context, SessionStore.SessionStore)
  }
  return process
})

interface Inbox {
  readonly url: string
  processes: ReadonlyArray<Process>
  readonly replies: Array<number>
  /** Comes when nothing was sent for a while. */
  readonly quiet: Effect.Effect<void>
}

/** A server that hands each webhook to all processes at once, as a load balancer that sends it again would. */
const listen: Effect.Effect<Inbox, never, Scope.Scope> = Effect.gen(function*() {
  const context = yield* Effect.context()
  const replies: Array<number> = []
  let open = 0
  const server = createServer((request, response) => {
    const chunks: Array<Buffer> = []
    open++
    request.on("data", (chunk: Buffer) => chunks.push(chunk)).on("end", () => {
      void Effect.runPromiseWith(context)(
        Effect.forEach(
          inbox.processes,
          ({ webhooks }) => webhooks.respond(Buffer.concat(chunks), request.headers),
          { concurrency: "unbounded" }
          // What came early is to be sent again, as it should.
        ).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
      ).then((all) => {
        const status = Math.max(...all.map(({ status }) => status))
        replies.push(status)
        open--
        response.writeHead(status).end()
        // The test is over.
      }, () => response.destroy())
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () => Effect.sync(() => (server.close(), server.closeAllConnections()))
  )
  const inbox: Inbox = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/webhooks`,
    processes: [],
    replies,
    quiet: Effect.gen(function*() {
      for (let seen = -1; seen !== replies.length || open > 0; yield* Effect.sleep("500 millis")) seen = replies.length
    })
  }
  return inbox
})
