import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Result, Schema } from "effect"
import { SqlClient } from "effect/sql"
import { Reason, ResponseRequest, Session, SessionStore } from "holdfast"
import { randomBytes } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Fingerprint from "../../src/services/Fingerprint.ts"
import * as JournalFile from "../../src/services/internal/JournalFile.ts"
import * as KeyName from "../../src/services/internal/KeyName.ts"
import * as AnthropicMessages from "../../src/services/providers/AnthropicMessages.ts"
import * as ChatCompletions from "../../src/services/providers/ChatCompletions.ts"
import * as GeminiInput from "../../src/services/providers/internal/GeminiInput.ts"
import * as OpenAiResponses from "../../src/services/providers/OpenAiResponses.ts"
import * as SessionStoreFile from "../../src/services/SessionStoreFile.ts"
import * as SessionStoreSql from "../../src/services/SessionStoreSql.ts"
import * as SqliteClient from "../../src/services/SqliteClient.ts"
import { sampleEntries } from "../../src/testing/internal/SessionSamples.ts"
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
    ["a text", "\u00e9\n".repeat(10_000_000)]
  ])(
    "is free every 50 ms while a request of 20 MB is read, identified and translated: %s",
    ([, prompt]) =>
      Effect.gen(function*() {
        const longest = yield* longestTurn(translated(prompt))

        assert.isBelow(longest, maxTurn)
      }),
    120_000
  )

  it.live.each([
    { medium: "memory", make: Effect.suspend(() => inMemory) },
    { medium: "a file", make: Effect.suspend(() => inFile) },
    { medium: "SQLite", make: Effect.suspend(() => inSqlite) }
  ])(
    "is free every 50 ms while a session of 5,000 refused submissions is loaded from $medium",
    ({ make }) =>
      Effect.gen(function*() {
        const store = yield* make
        const status = Effect.map(store.load("s"), ({ entries }) => Session.statusOf(Session.fold(entries), 0))
        const longest = yield* longestTurn(status)

        assert.strictEqual(yield* status, "retrying")
        assert.strictEqual((yield* store.load("s")).entries.length, refusals.length)
        assert.isBelow(longest, maxTurn)
      }),
    120_000
  )

  it.live(
    "is free every 50 ms while a session of 5,000 jobs that failed is read, and gets one more",
    () =>
      Effect.gen(function*() {
        let status: Session.SessionStatus | undefined
        const longest = yield* longestTurn(Effect.gen(function*() {
          const state = Session.fold(failures.slice(0, -1))
          yield* Effect.yieldNow
          const after = Session.apply(state, failures.at(-1)!)
          yield* Effect.yieldNow
          status = Session.statusOf(after, 0)
        }))

        assert.strictEqual(status, "retrying")
        assert.isBelow(longest, maxTurn)
      }),
    120_000
  )
})

/** What is done with a request before it is sent. */
const translated = Effect.fnUntraced(function*(prompt: ResponseRequest.RequestInput["prompt"]) {
  const request = yield* decode({ model: "m", prompt, session: "s" })
  yield* Fingerprint.of("s", request)
  for (const isTranslated of translations) {
    assert.isTrue(isTranslated(request))
    yield* Effect.yieldNow
  }
})

const decode = Schema.decodeUnknownEffect(ResponseRequest.ResponseRequest)

const about = { provider: "p", model: "m" }

const translations = [
  (request: ResponseRequest.ResponseRequest) =>
    Result.isSuccess(OpenAiResponses.toPayload(request, { ...about, alwaysStore: true })),
  (request: ResponseRequest.ResponseRequest) => Result.isSuccess(ChatCompletions.toPayload(request, about)),
  (request: ResponseRequest.ResponseRequest) => Result.isSuccess(AnthropicMessages.toBody(request, about)),
  (request: ResponseRequest.ResponseRequest) => Result.isSuccess(GeminiInput.toPayload(request, about))
]

const [prepared, submitting, notSubmitted] = sampleEntries("job")

const refusals = [
  prepared,
  ...Array.from({ length: 5_000 }, (_, n) => [
    { ...submitting, submissionId: `${n}` },
    { ...notSubmitted, submissionId: `${n}` }
  ]).flat()
] as ReadonlyArray<Session.Entry>

const failures = [
  prepared,
  ...Array.from({ length: 5_000 }, (_, n) => [
    { ...submitting, submissionId: `${n}` },
    Session.Accepted.make({ at: 1, submissionId: `${n}`, jobId: `job-${n}` }),
    Session.Ended.make({ at: 1, submissionId: `${n}`, reason: new Reason.Overloaded({ message: "Busy" }) })
  ]).flat()
] as ReadonlyArray<Session.Entry>

const encode = Schema.encodeSync(Schema.fromJsonString(Session.EntryJson))

const texts = refusals.map((entry) => encode(entry))

const inMemory = Effect.tap(SessionStore.makeMemory, (store) =>
  Effect.gen(function*() {
    let version = Session.noVersion
    for (const entry of refusals) version = yield* store.append("s", entry, version)
  }))

const inFile = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-loop-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const lines = texts.map((text, n) =>
    JournalFile.encode(
      { incarnation: "0".repeat(32), number: n + 1 },
      `w-${n}`,
      n === 0 ? `{"key":"s","entry":${text}}` : `{"entry":${text}}`
    )
  )
  writeFileSync(join(directory, KeyName.fileNameOf("s")), Buffer.concat(lines))
  return yield* SessionStoreFile.make({ directory })
}).pipe(Effect.provide(NodeServices.layer))

const inSqlite = Effect.gen(function*() {
  const context = yield* Layer.build(SqliteClient.layer({ filename: ":memory:" }))
  const store = yield* Effect.provide(SessionStoreSql.make(), context)
  const sql = Context.get(context, SqlClient.SqlClient)
  yield* store.append("s", Session.Prepared.make({ at: 1, fingerprint: "f" }), Session.noVersion)
  yield* sql`UPDATE holdfast_sessions SET version = ${texts.length}, entries = ${texts.join("\n")}`
  return store
})
