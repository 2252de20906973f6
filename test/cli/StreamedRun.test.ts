import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Schema } from "effect"
import { ResponseEvent, StrategyError } from "holdfast"
import { inFolder } from "./CommandRunner.ts"

describe("holdfast run --stream", () => {
  it.live("prints the text alone on stdout, and what it took on stderr", () =>
    inFolder({}, ({ run, simulator }) =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* run(["run", "-s", "s", "--stream", "Hello"])

        assert.strictEqual(code, 0)
        assert.strictEqual(stdout, "You asked: Hello (5 characters). This is the answer.\n")
        assert.match(stderr, /Answered by gpt-5\.5-pro in .*, 1 attempt, \d+ tokens .*, resp_/)
        assert.containSubset((yield* simulator.ledger).submissions[0]?.body, { background: true, stream: true })
      })))

  it.live("prints the stored answer without a request", () =>
    inFolder({}, ({ run, simulator }) =>
      Effect.gen(function*() {
        const first = yield* run(["run", "-s", "s", "--stream", "Hello"])
        const { calls } = yield* simulator.ledger
        const again = yield* run(["run", "-s", "s", "--stream", "Hello"])

        assert.strictEqual(again.stdout, first.stdout)
        assert.match(again.stderr, /The stored answer of gpt-5\.5-pro, nothing was sent/)
        assert.strictEqual((yield* simulator.ledger).calls.length, calls.length)
      })))

  it.live("goes on where a stream was cut, and repeats nothing", () =>
    inFolder(
      { script: [{ on: "responses.create", do: { _tag: "CutStream", after: 6, how: "reset" } }] },
      ({ run }) =>
        Effect.gen(function*() {
          const { code, stdout } = yield* run(["run", "--stream", "Hello"])

          assert.strictEqual(code, 0)
          assert.strictEqual(stdout, "You asked: Hello (5 characters). This is the answer.\n")
        })
    ))

  it.live("prints one event per line with --json, the whole answer in the last", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const { stdout } = yield* run(["run", "-s", "s", "--stream", "--json", "Hello"])
        const events = yield* Effect.forEach(stdout.trimEnd().split("\n"), (line) => decodeEvent(line))
        const last = events.at(-1)

        assert.strictEqual(events[0]?._tag, "Started")
        assert.strictEqual(last?._tag, "Completed")
        if (last?._tag === "Completed") {
          assert.strictEqual(
            events.map((event) => event._tag === "TextDelta" ? event.delta : "").join(""),
            last.response.content
          )
        }
      })))

  it.live("keeps the text that had arrived when a held call is cut, and says what to run again", () =>
    inFolder(
      { script: [{ on: "chat.create", do: { _tag: "CutStream", after: 4, how: "end" } }] },
      ({ run }) =>
        Effect.gen(function*() {
          const { code, stderr, stdout } = yield* run(["run", "-s", "s", "--strategy=completions", "--stream", "Hello"])

          assert.strictEqual(code, 3)
          assert.match(stdout, /^You[^\n]*\n$/)
          assert.match(stderr, /^Retryable StreamInterrupted: /m)
          assert.match(stderr, /--session s/)
        })
    ))

  it.live("ends with the error as the last line with --json", () =>
    inFolder(
      { script: [{ times: "always", do: { _tag: "Error", error: "quota" } }] },
      ({ run }) =>
        Effect.gen(function*() {
          const { code, stdout } = yield* run(["run", "--stream", "--json", "Hello"])
          const lines = stdout.trimEnd().split("\n")
          const error = yield* decodeError(lines.at(-1) ?? "")

          assert.strictEqual(code, 2)
          assert.containSubset(error, { _tag: "NonRetryable", reason: { _tag: "QuotaExceeded" } })
        })
    ))

  it.live("strips escape sequences on a terminal, wherever the pieces are cut", () =>
    inFolder(
      { answer: () => "\u001b[31m red \u001b[0m \u001b]0; a title \u0007 end" },
      ({ run }) =>
        Effect.gen(function*() {
          const piped = yield* run(["run", "-s", "s", "--stream", "Hello"])
          const shown = yield* run(["run", "-s", "t", "--stream", "Hello"], { terminal: true })

          assert.strictEqual(piped.stdout, "\u001b[31m red \u001b[0m \u001b]0; a title \u0007 end\n")
          assert.include(shown.stdout, " red   end\n")
        })
    ))
})

describe("holdfast run --fallback", () => {
  it.live("asks the next model, and says why the first one did not answer", () =>
    inFolder(
      { script: [{ on: "responses.create", times: "always", do: { _tag: "Error", error: "quota" } }] },
      ({ run }) =>
        Effect.gen(function*() {
          const { code, stderr, stdout } = yield* run([
            "run",
            "--fallback",
            "groq/llama-3",
            "--fallback=anthropic/claude-sonnet-4-5",
            "Hello"
          ])

          assert.strictEqual(code, 0)
          assert.strictEqual(stdout, "You asked: Hello (5 characters). This is the answer.\n")
          assert.match(stderr, /^Answered by claude-sonnet-4-5/m)
          assert.match(stderr, /^Not by openai\/gpt-5\.5-pro: QuotaExceeded, /m)
          assert.match(stderr, /^Not by groq\/llama-3: ProviderNotConfigured, /m)
        })
    ))
})

describe("holdfast run --schema", () => {
  it.live("prints the value as JSON, alone or in the answer", () =>
    inFolder(
      { answer: () => "Here you are:\n```json\n{ \"city\": \"Paris\", \"people\": 2100000 }\n```" },
      ({ folder, run }) =>
        Effect.gen(function*() {
          yield* withSchema(folder)
          const args = ["run", "-s", "s", "--schema", `${folder}/city.json`, "Where?"]
          const plain = yield* run(args)
          const json = yield* run(["run", "--json", ...args.slice(1)])

          assert.deepStrictEqual(JSON.parse(plain.stdout), { city: "Paris", people: 2_100_000 })
          assert.deepInclude(JSON.parse(json.stdout), { session: "s", value: { city: "Paris", people: 2_100_000 } })
        })
    ))

  it.live("ends with exit code 2 for an answer that does not fit", () =>
    inFolder({}, ({ folder, run }) =>
      Effect.gen(function*() {
        yield* withSchema(folder)
        const { code, stderr, stdout } = yield* run(["run", "--schema", `${folder}/city.json`, "Where?"])

        assert.strictEqual(code, 2)
        assert.strictEqual(stdout, "")
        assert.match(stderr, /^NonRetryable InvalidOutput: /m)
      })))

  for (
    const [title, args, expected] of [
      ["a schema that is not there", ["--schema", "nowhere.json"], /The schema nowhere\.json cannot be read/],
      ["a schema that is none", ["--schema", "README.md"], /The schema README\.md is no JSON object/],
      ["a schema and a stream", ["--schema", "package.json", "--stream"], /give --schema or --stream/]
    ] as const
  ) {
    it.live(`refuses ${title}`, () =>
      inFolder({}, ({ run, simulator }) =>
        Effect.gen(function*() {
          const { code, stderr } = yield* run(["run", ...args, "Hello"])

          assert.strictEqual(code, 1)
          assert.match(stderr, expected)
          assert.strictEqual((yield* simulator.ledger).calls.length, 0)
        })))
  }
})

const decodeEvent = Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(ResponseEvent.ResponseEvent)))

const decodeError = Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(StrategyError.StrategyError)))

const withSchema = (folder: string) =>
  FileSystem.FileSystem.use((fs) =>
    fs.writeFileString(
      `${folder}/city.json`,
      JSON.stringify({
        type: "object",
        properties: { city: { type: "string" }, people: { type: "integer" } },
        required: ["city", "people"]
      })
    )
  )
