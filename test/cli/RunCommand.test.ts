import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Schema } from "effect"
import { LlmResponse, StrategyError } from "holdfast"
import { inFolder } from "./CommandRunner.ts"

describe("holdfast run", () => {
  it.live("prints the answer alone on stdout, and what it took on stderr", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* run(["run", "--session", "s", "Hello"])

        assert.strictEqual(code, 0)
        assert.strictEqual(stdout, "You asked: Hello (5 characters). This is the answer.\n")
        assert.match(stderr, /Answered by gpt-5\.5-pro in .*, 1 attempt, 2 polls, \d+ tokens .*, resp_/)
      })))

  it.live("prints one JSON document that decodes as a response", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const { code, stdout } = yield* run(["run", "-s", "s", "-m", "openai/gpt-5.5-pro", "--json", "Hello"])
        const response = yield* decodeResponse(stdout)

        assert.strictEqual(code, 0)
        assert.strictEqual(response.content, "You asked: Hello (5 characters). This is the answer.")
        assert.strictEqual(response.session, "s")
        assert.isTrue(response.settled)
      })))

  it.live("gives a session without a name a key that resume takes", () =>
    inFolder({}, ({ run, simulator }) =>
      Effect.gen(function*() {
        const first = yield* run(["run", "Hello"])
        const key = /^Session ([a-z]+-[a-z]+-[a-z2-9]{5})$/m.exec(first.stderr)?.[1] ?? ""
        const again = yield* run(["resume", key])

        assert.strictEqual(again.stdout, first.stdout)
        assert.match(again.stderr, /The stored answer of gpt-5\.5-pro, nothing was sent/)
        assert.strictEqual((yield* simulator.ledger).submissions.length, 1)
      })))

  it.live("reads the prompt from stdin when it is - or absent", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const absent = yield* run(["run"], { stdin: "From a pipe" })
        const dash = yield* run(["run", "-"], { stdin: "From a pipe" })

        assert.strictEqual(absent.stdout, "You asked: From a pipe (11 characters). This is the answer.\n")
        assert.strictEqual(dash.stdout, absent.stdout)
      })))

  it.live("sends instructions, images and files along", () =>
    inFolder({}, ({ folder, run, simulator }) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const png = new Uint8Array([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 0])
        yield* fs.writeFile(`${folder}/dot.png`, png)
        yield* fs.writeFileString(`${folder}/notes.pdf`, "%PDF-1.4")
        const { code } = yield* run([
          "run",
          "--instructions",
          "Be brief",
          "--image",
          `${folder}/dot.png`,
          "--image=https://example.test/a.png",
          "--file",
          `${folder}/notes.pdf`,
          "Look"
        ])
        const body = JSON.stringify((yield* simulator.ledger).submissions[0]?.body)

        assert.strictEqual(code, 0)
        assert.include(body, "Be brief")
        assert.include(body, "data:image/png;base64,iVBORw0KGgoAAAAA")
        assert.include(body, "https://example.test/a.png")
        assert.include(body, "data:application/pdf;base64,")
        assert.include(body, "notes.pdf")
      })))

  it.live("takes the strategy of --strategy", () =>
    inFolder({}, ({ run, simulator }) =>
      Effect.gen(function*() {
        yield* run(["run", "--strategy", "sync", "Hello"])

        assert.isFalse((yield* simulator.ledger).submissions[0]?.background)
      })))

  it.live("strips escape sequences on a terminal alone", () =>
    inFolder({ answer: () => "\u001b[31mred\u001b[0m\u001b]0;title\u0007" }, ({ run }) =>
      Effect.gen(function*() {
        const piped = yield* run(["run", "-s", "s", "Hello"])
        const shown = yield* run(["run", "-s", "s", "Hello"], { terminal: true })

        assert.strictEqual(piped.stdout, "\u001b[31mred\u001b[0m\u001b]0;title\u0007\n")
        assert.strictEqual(shown.stdout, "red\n")
      })))

  for (
    const [title, args, expected] of [
      ["no prompt", ["run"], /Give a prompt: as an argument, or piped into stdin/],
      ["an empty prompt", ["run", " "], /The prompt is empty/],
      ["an unknown flag", ["run", "--modle", "x", "Hello"], /Unrecognized flag: --modle[^]*--model/],
      ["an unquoted prompt", ["run", "Hello", "world"], /Unexpected positional argument: "world"/],
      ["a deadline without a unit", ["run", "--deadline", "10", "Hello"], /a duration such as 90s, 10m or 1h30m/],
      ["a deadline of nothing", ["run", "--deadline", "0s", "Hello"], /longer than zero, not "0s"/],
      ["a missing image", ["run", "--image", "/nowhere/a.png", "Hello"], /There is no file \/nowhere\/a\.png/],
      ["an image that is none", ["run", "--image", "package.json", "Hello"], /package\.json is no image/],
      ["an empty key", ["run", "--session=", "Hello"], /--session is empty/],
      ["an empty folder", ["run", "--store=", "Hello"], /--store[^]*a folder, not an empty text/],
      ["a port that is none", ["simulate", "--port", "65536"], /--port: "65536"\. Expected: a port from 0 to 65535/],
      ["an unknown command", ["rnu"], /Unknown subcommand "rnu"/]
    ] as const
  ) {
    it.live(`refuses ${title} with exit code 1, and sends nothing`, () =>
      inFolder({}, ({ run, simulator }) =>
        Effect.gen(function*() {
          const { code, stderr, stdout } = yield* run(args)

          assert.strictEqual(code, 1)
          assert.strictEqual(stdout, "")
          assert.match(stderr, expected)
          assert.notInclude(stderr, "    at ")
          assert.strictEqual((yield* simulator.ledger).calls.length, 0)
        })))
  }

  it.live("says how to name a model when nobody has", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const { code, stderr } = yield* run(["run", "Hello"], { env: { HOLDFAST_MODEL: "" } })

        assert.strictEqual(code, 1)
        assert.match(stderr, /--model provider\/model .*HOLDFAST_MODEL/)
      })))

  it.live("reports wrong usage as JSON, too", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const { stdout } = yield* run(["run", "--json", "--modle", "x", "Hello"])

        assert.containSubset(JSON.parse(stdout), { _tag: "UsageError" })
      })))

  it.live("names the variable of a missing key, with exit code 2", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const { code, stderr } = yield* run(["run", "-m", "groq/llama-3", "Hello"])

        assert.strictEqual(code, 2)
        assert.match(stderr, /NonRetryable ProviderNotConfigured/)
        assert.match(stderr, /export GROQ_API_KEY=/)
      })))

  it.live("ends with exit code 2 for an error that will not go away, as JSON that decodes", () =>
    inFolder(
      { script: [{ times: "always", do: { _tag: "Error", error: "quota" } }] },
      ({ run, simulator }) =>
        Effect.gen(function*() {
          const { code, stderr, stdout } = yield* run(["run", "-s", "s", "--json", "Hello"])
          const error = yield* decodeError(stdout)

          assert.strictEqual(code, 2)
          assert.match(stderr, /^NonRetryable QuotaExceeded: /m)
          assert.containSubset(error, {
            _tag: "NonRetryable",
            session: "s",
            reason: { _tag: "QuotaExceeded", status: 429 }
          })
          assert.strictEqual((yield* simulator.ledger).submissions.length, 1)
        })
    ))

  for (
    const [title, rule, said, unsaid] of [
      [
        "a refused request",
        { on: "responses.create", do: { _tag: "Error", error: "contentFilter" } },
        "The request was refused.",
        "final outcome"
      ],
      [
        "an answer that a filter stopped",
        { do: { _tag: "Job", outcome: "incomplete", reason: "content_filter" } },
        "This is the session's final outcome",
        "was refused"
      ]
    ] as const
  ) {
    it.live(`tells ${title} from what is settled`, () =>
      inFolder({ script: [rule] }, ({ run }) =>
        Effect.gen(function*() {
          const { stderr } = yield* run(["run", "-s", "s", "Hello"])

          assert.match(stderr, /^NonRetryable ContentFiltered: /m)
          assert.include(stderr, said)
          assert.notInclude(stderr, unsaid)
        })))
  }

  it.live("ends with exit code 3 for an error that may go away, and says what to run again", () =>
    inFolder(
      { script: [{ times: "always", do: { _tag: "Error", error: "overloaded" } }] },
      ({ run }) =>
        Effect.gen(function*() {
          const { code, stderr } = yield* run(["run", "-s", "s", "Hello"])

          assert.strictEqual(code, 3)
          assert.match(stderr, /^Retryable Overloaded: /m)
          assert.match(stderr, /Run the same command again later, with --session s/)
        })
    ))

  it.live("ends with exit code 4 at the deadline, and says how to resume", () =>
    inFolder(
      { script: [{ do: { _tag: "Job", outcome: "stuck-queued" } }] },
      ({ folder, run }) =>
        Effect.gen(function*() {
          const { code, stderr } = yield* run([
            "run",
            "-s",
            "my key",
            "--store",
            `${folder}/other sessions`,
            "--deadline=1s",
            "Hello"
          ])

          assert.strictEqual(code, 4)
          assert.match(stderr, /^Timeout: no answer within 1\.0 s, still in phase queued$/m)
          assert.include(stderr, `holdfast resume --store '${folder}/other sessions' 'my key'`)
        })
    ))

  it.live("refuses another prompt under the same key", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        yield* run(["run", "-s", "s", "Hello"])
        const { code, stderr } = yield* run(["run", "-s", "s", "Other"])

        assert.strictEqual(code, 2)
        assert.match(stderr, /NonRetryable SessionMismatch/)
        assert.include(stderr, "holdfast sessions show s")
      })))

  it.live("reports a folder that cannot be used", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const { code, stderr } = yield* run(["run", "--store", "package.json", "Hello"])

        assert.strictEqual(code, 3)
        assert.match(stderr, /Retryable SessionUnavailable: .* file already exists \(EEXIST\) in makeDirectory/)
        assert.include(stderr, "--store")
      })))

  it.live("reports a variable that cannot be understood", () =>
    inFolder({}, ({ run }) =>
      Effect.gen(function*() {
        const { code, stderr } = yield* run(["run", "Hello"], { env: { HOLDFAST_MODEL_APIS: "nonsense" } })

        assert.strictEqual(code, 1)
        assert.match(stderr, /In the environment: .*HOLDFAST_MODEL_APIS/)
      })))

  it.live("never prints a key", () =>
    inFolder({ apiKeys: ["another"] }, ({ run }) =>
      Effect.gen(function*() {
        const { code, stderr, stdout } = yield* run(["run", "--json", "Hello"])

        assert.strictEqual(code, 2)
        assert.match(stderr, /AuthenticationFailed/)
        assert.notInclude(stderr + stdout, "sk-simulated")
      })))
})

const decodeResponse = Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(LlmResponse.LlmResponse)))

const decodeError = Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(StrategyError.StrategyError)))
