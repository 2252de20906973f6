/**
 * Ten thousand unsettled sessions, taken to their ends against the simulator
 * in this process: one poll each, and one synced append.
 */
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Clock, Effect, Layer, Redacted, Stream } from "effect"
import { Holdfast, Providers, Session, SessionStore } from "holdfast"
import { Simulator } from "holdfast/testing"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import type { Row } from "./Measure.ts"

const sessions = 10_000

export const measure = async (): Promise<ReadonlyArray<Row>> => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"))
  try {
    const { ended, seconds } = await Effect.runPromise(recovery.pipe(Effect.provide(layer(directory)), Effect.scoped))
    return [{
      what: `Recover ${ended} unsettled sessions of the file store`,
      ours: `${seconds.toFixed(1)} s`,
      peer: "",
      ratio: `${Math.round(ended / seconds)} a second`,
      target: ""
    }]
  } finally {
    rmSync(directory, { recursive: true })
  }
}

const recovery = Effect.gen(function*() {
  const simulator = yield* Simulator.Simulator
  yield* Effect.forEach(
    Array.from({ length: sessions }, (_, n) => n),
    (n) => Effect.flatMap(submit(simulator.openAiBaseUrl), (jobId) => journal(`session-${n}`, jobId)),
    { concurrency: 16, discard: true }
  )
  const startedAt = performance.now()
  const ended = yield* Holdfast.recover().pipe(
    Stream.filter(({ result }) => result._tag === "Success"),
    Stream.runCount
  )
  return { ended, seconds: (performance.now() - startedAt) / 1000 }
})

const layer = (directory: string) =>
  Layer.unwrap(Effect.map(Simulator.Simulator, ({ openAiBaseUrl }) =>
    Holdfast.layer.pipe(
      Layer.provideMerge(SessionStore.layerFileSystem({ directory })),
      Layer.provide(NodeServices.layer),
      Layer.provide(Providers.layer({ openai: { apiKey: Redacted.make("any"), baseUrl: openAiBaseUrl } }))
    ))).pipe(Layer.provideMerge(Simulator.layer({ completeAfterPolls: 1, keepBodies: 0 })))

const submit = (baseUrl: string) =>
  Effect.promise(async () => {
    const response = await fetch(`${baseUrl}/responses`, {
      method: "POST",
      headers: { authorization: "Bearer any", "content-type": "application/json" },
      body: JSON.stringify({ model: "gpt-5.5-pro", input: "Hello", background: true })
    })
    return ((await response.json()) as { readonly id: string }).id
  })

const journal = Effect.fnUntraced(function*(session: string, jobId: string) {
  const store = yield* SessionStore.SessionStore
  const at = yield* Clock.currentTimeMillis
  const submissionId = `submission of ${session}`
  const prepared = yield* store.append(session, Session.Prepared.make({ at, fingerprint: "f" }), Session.noVersion)
  const submitting = yield* store.append(
    session,
    Session.Submitting.make({
      at,
      submissionId,
      purpose: "answer",
      provider: "openai",
      model: "openai/gpt-5.5-pro",
      strategy: "background",
      submitTimeout: 60_000,
      store: true
    }),
    prepared
  )
  yield* store.append(session, Session.Accepted.make({ at, submissionId, jobId }), submitting)
})
