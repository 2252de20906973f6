import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule, Schema } from "effect"
import { LlmResponse } from "holdfast"
import type { Simulator } from "holdfast/testing"
import { spawn } from "node:child_process"
import { existsSync, openSync } from "node:fs"
import { fileURLToPath } from "node:url"
import { inFolder } from "./CommandRunner.ts"

// Most of the time, one of them waits for a poll or for a process to begin.
describe("holdfast, as a process", { concurrent: true }, () => {
  it.live("detaches at SIGINT with exit code 130; the job goes on, and resume gets its answer", () =>
    inFolder({ completeAfterPolls: 1, script: [slowly] }, ({ env, run, simulator }) =>
      Effect.gen(function*() {
        const process = yield* start(["run", "-s", "s", "Hello"], env)
        const job = yield* polledJob(simulator)
        process.signal("SIGINT")
        const stopped = yield* process.ended
        const cancels = (yield* simulator.jobs)[0]?.cancels
        yield* simulator.finish(job.id)
        const resumed = yield* run(["resume", "s", "--json"])
        const response = yield* decodeResponse(resumed.stdout)

        assert.deepStrictEqual([stopped.code, stopped.signal, stopped.stdout], [130, null, ""])
        assert.include(stopped.stderr, `The job ${job.id} goes on`)
        assert.include(stopped.stderr, "holdfast resume s")
        // Less than what a submission on its way would be given.
        assert.isBelow(stopped.millisAfterSignal, 9000)
        assert.strictEqual(cancels, 0)
        assert.strictEqual(response.responseId, job.id)
        assert.isTrue(response.resumed)
      })))

  it.live("goes on with the same job after kill -9 and the same command", () =>
    inFolder({ script: [slowly] }, ({ env, run, simulator }) =>
      Effect.gen(function*() {
        const process = yield* start(["run", "-s", "s", "Hello"], env)
        const job = yield* polledJob(simulator)
        process.signal("SIGKILL")
        const killed = yield* process.ended
        yield* simulator.finish(job.id)
        const again = yield* run(["run", "-s", "s", "--json", "Hello"])
        const response = yield* decodeResponse(again.stdout)

        assert.strictEqual(killed.signal, "SIGKILL")
        assert.strictEqual(response.responseId, job.id)
        assert.strictEqual((yield* simulator.ledger).submissions.length, 1)
      })))

  it.live("finishes a submission on its way before SIGTERM ends it", () =>
    inFolder({
      script: [{ on: "responses.create", do: { _tag: "Delay", millis: 1000, accepted: false } }]
    }, ({ env, run, simulator }) =>
      Effect.gen(function*() {
        const process = yield* start(["run", "-s", "s", "Hello"], env)
        yield* until(Effect.map(simulator.ledger, ({ submissions }) => submissions[0]))
        process.signal("SIGTERM")
        const stopped = yield* process.ended
        const resumed = yield* run(["resume", "s"])

        assert.strictEqual(stopped.code, 130)
        assert.include(stopped.stderr, "holdfast resume s")
        assert.strictEqual(resumed.stdout, "You asked: Hello (5 characters). This is the answer.\n")
        assert.strictEqual((yield* simulator.ledger).submissions.length, 1)
      })))

  it.live("says at SIGINT how to make a held call again", () =>
    inFolder(
      { script: [{ on: "responses.create", do: { _tag: "Hang", accepted: true } }] },
      ({ env, simulator }) =>
        Effect.gen(function*() {
          const process = yield* start(["run", "-s", "two words", "--strategy", "sync", "Hello"], env)
          yield* until(Effect.map(simulator.ledger, ({ submissions }) => submissions[0]))
          process.signal("SIGINT")
          const stopped = yield* process.ended

          assert.strictEqual(stopped.code, 130)
          assert.include(stopped.stderr, "run the same command again with --session 'two words'\n")
        })
    ))

  it.live("reads a pipe, and ends quietly when nobody reads the answer", () =>
    inFolder({ answer: () => "long ".repeat(100_000) }, ({ env }) =>
      Effect.gen(function*() {
        const process = yield* start(["run", "--strategy", "sync"], env, { stdin: "Hello", closeStdout: true })
        const { code, stderr } = yield* process.ended

        assert.strictEqual(code, 0)
        assert.notMatch(stderr, /EPIPE| {4}at /)
      })))

  it.live("leaves a stream at SIGINT with what had arrived; the job goes on, and resume gets its answer", () =>
    inFolder(
      { script: [{ on: "responses.create", do: [slow, { _tag: "StallStream", after: 8 }] }] },
      ({ env, run, simulator }) =>
        Effect.gen(function*() {
          const process = yield* start(["run", "-s", "s", "--stream", "Hello"], env)
          yield* until(Effect.sync(() => process.printed().stdout === "" ? undefined : true))
          process.signal("SIGINT")
          const stopped = yield* process.ended
          const job = (yield* simulator.jobs)[0]
          yield* simulator.finish(job?.id ?? "")
          const resumed = yield* run(["resume", "s"])

          assert.strictEqual(stopped.code, 130)
          assert.strictEqual(stopped.stdout, "You\n")
          assert.include(stopped.stderr, "holdfast resume s")
          assert.strictEqual(job?.cancels, 0)
          assert.strictEqual(resumed.stdout, "You asked: Hello (5 characters). This is the answer.\n")
        })
    ))

  it.live("ends a stream quietly when nobody reads it any more", () =>
    inFolder({ answer: () => "long ".repeat(100_000) }, ({ env }) =>
      Effect.gen(function*() {
        const process = yield* start(["run", "-s", "s", "--stream", "Hello"], env, { closeStdout: true })
        const { code, stderr } = yield* process.ended

        assert.strictEqual(code, 0)
        assert.notMatch(stderr, /EPIPE|Error| {4}at |Answered/)
      })))

  it.live.skipIf(!existsSync("/dev/full"))(
    "fails when the answer cannot be written",
    () =>
      inFolder({}, ({ env }) =>
        Effect.forEach([[], ["--stream"]], (flags) =>
          Effect.gen(function*() {
            const process = yield* start(["run", "--strategy", "sync", ...flags, "Hello"], env, { stdout: "/dev/full" })
            const { code, stderr } = yield* process.ended

            assert.strictEqual(code, 1)
            assert.match(stderr, /^Error: stdout cannot be written: ENOSPC$/m)
          })))
  )

  for (
    const [what, setup, said] of [
      [
        "Node is too old",
        `Object.defineProperty(process.versions, "node", { value: "20.20.2" })`,
        "Error: holdfast needs Node 22.19 or newer, and this is Node 20.20.2\n"
      ],
      [
        "its peer is not installed",
        `import { registerHooks } from "node:module"
        registerHooks({
          resolve(name, context, next) {
            if (!name.startsWith("@effect/platform-node")) return next(name, context)
            throw Object.assign(new Error("Cannot find package '@effect/platform-node'"), { code: "ERR_MODULE_NOT_FOUND" })
          }
        })`,
        "Error: holdfast needs a package that is not installed:  npm install @effect/platform-node\n"
      ]
    ] as const
  ) {
    it.live(`says in words that ${what}`, () =>
      Effect.gen(function*() {
        const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(setup)}`
        const process = yield* start(["--help"], { NODE_OPTIONS })
        const { code, stderr, stdout } = yield* process.ended

        assert.deepStrictEqual([code, stdout, stderr], [1, "", said])
      }).pipe(Effect.scoped))
  }

  it.live("simulates a provider until SIGINT", () =>
    Effect.gen(function*() {
      const process = yield* start(["simulate", "--job-duration", "100ms"], {})
      const url = yield* until(Effect.sync(() => /OPENAI_BASE_URL=(\S+)/.exec(process.printed().stdout)?.[1]))
      const response = yield* Effect.promise(() =>
        fetch(`${url}/responses`, {
          method: "POST",
          headers: { "content-type": "application/json", authorization: "Bearer simulated" },
          body: JSON.stringify({ model: "gpt-5.5", input: "Hello" })
        })
      )
      const body = yield* Effect.promise(() => response.text())
      const variables = process.printed().stdout.match(/(?<=^export )\w+(?==\S)/gm)
      process.signal("SIGINT")
      const { code, stderr } = yield* process.ended

      assert.includeMembers(variables ?? [], [
        "OPENAI_API_KEY",
        "ANTHROPIC_BASE_URL",
        "AZURE_API_KEY",
        "GEMINI_BASE_URL"
      ])
      assert.strictEqual(response.status, 200)
      assert.include(body, "You asked: Hello")
      assert.strictEqual(code, 130)
      assert.match(stderr, /Simulator ended\. Requests: 1, submissions among them: 1\./)
    }).pipe(Effect.scoped))
})

const slow: Simulator.JobAction = { _tag: "Job", outcome: "completed", polls: 1000 }

const slowly: Simulator.Rule = { on: "responses.create", do: slow }

const decodeResponse = Schema.decodeEffect(Schema.fromJsonString(Schema.toCodecJson(LlmResponse.LlmResponse)))

const until = <A, E, R>(probe: Effect.Effect<A | undefined, E, R>) =>
  probe.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (found) => found !== undefined }),
    Effect.filterOrFail((found) => found !== undefined)
  )

const polledJob = (simulator: Simulator.Simulator["Service"]) =>
  until(Effect.map(simulator.jobs, (jobs) => jobs.find(({ polls }) => polls > 0)))

const bin = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))

const start = (
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>>,
  options: { readonly stdin?: string; readonly closeStdout?: boolean; readonly stdout?: string } = {}
) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const child = spawn(process.execPath, [bin, ...args], {
        env: { ...env },
        stdio: ["pipe", options.stdout === undefined ? "pipe" : openSync(options.stdout, "w"), "pipe"]
      })
      let stdout = ""
      let stderr = ""
      let signalledAt = 0
      child.stdin?.end(options.stdin ?? "")
      child.stdout?.setEncoding("utf8").on("data", (text: string) => (stdout += text))
      child.stderr?.setEncoding("utf8").on("data", (text: string) => (stderr += text))
      if (options.closeStdout === true) child.stdout?.destroy()
      const ended = new Promise<{
        readonly code: number | null
        readonly signal: string | null
        readonly stdout: string
        readonly stderr: string
        readonly millisAfterSignal: number
      }>((resolve) =>
        child.once("close", (code, signal) =>
          resolve({ code, signal, stdout, stderr, millisAfterSignal: performance.now() - signalledAt }))
      )
      return {
        child,
        ended: Effect.promise(() =>
          ended
        ),
        printed: () => ({ stdout, stderr }),
        signal: (signal: NodeJS.Signals) => {
          signalledAt = performance.now()
          child.kill(signal)
        }
      }
    }),
    ({ child }) => Effect.sync(() => child.kill("SIGKILL"))
  )
