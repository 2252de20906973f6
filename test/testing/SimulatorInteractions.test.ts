import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Simulator } from "holdfast/testing"

describe("Simulator Interactions", () => {
  it.live("runs a background interaction to its end", () =>
    withSimulator({ completeAfterPolls: 2 }, (sim) =>
      Effect.gen(function*() {
        const created = yield* send(sim, "POST", "", {
          ...body,
          system_instruction: "Be brief.",
          background: true,
          store: true
        })
        const running = yield* send(sim, "GET", `/${created.body["id"]}`)
        const ended = yield* send(sim, "GET", `/${created.body["id"]}`)

        assert.deepInclude(created.body, {
          object: "interaction",
          status: "queued",
          model: "gemini-3.8-flash",
          steps: []
        })
        assert.strictEqual(running.body["status"], "in_progress")
        assert.deepInclude(ended.body, { status: "completed", system_instruction: "Be brief." })
        assert.deepStrictEqual(typesOf(ended.body), ["user_input", "thought", "model_output"])
        assert.deepInclude(ended.body["usage"], { total_thought_tokens: 0, total_cached_tokens: 0 })
        assert.deepInclude((yield* sim.jobs)[0], {
          endpoint: "interactions.create",
          status: "completed",
          polls: 2,
          background: true
        })
      })))

  it.live("answers at once in the foreground, and keeps nothing with store: false", () =>
    withSimulator({}, (sim) =>
      Effect.gen(function*() {
        const kept = yield* send(sim, "POST", "", body)
        const dropped = yield* send(sim, "POST", "", { ...body, store: false })

        assert.strictEqual(kept.body["status"], "completed")
        assert.strictEqual((yield* send(sim, "GET", `/${kept.body["id"]}`)).status, 200)
        assert.strictEqual(dropped.body["status"], "completed")
        assert.strictEqual((yield* send(sim, "GET", `/${dropped.body["id"]}`)).status, 404)
      })))

  it.live("cancels what runs, and only that", () =>
    withSimulator({ jobDuration: "1 hour" }, (sim) =>
      Effect.gen(function*() {
        const { body: created } = yield* send(sim, "POST", "", { ...body, background: true })
        const cancelled = yield* send(sim, "POST", `/${created["id"]}/cancel`)
        const again = yield* send(sim, "POST", `/${created["id"]}/cancel`)

        assert.strictEqual(cancelled.body["status"], "cancelled")
        assert.strictEqual(again.status, 400)
        assert.nestedPropertyVal(again.body, "error.code", "invalid_request")
        assert.strictEqual((yield* send(sim, "GET", `/${created["id"]}`)).body["status"], "cancelled")
      })))

  it.live("deletes, finishes and fails on command", () =>
    withSimulator({ jobDuration: "1 hour" }, (sim) =>
      Effect.gen(function*() {
        const { body: first } = yield* send(sim, "POST", "", { ...body, background: true })
        const { body: second } = yield* send(sim, "POST", "", { ...body, background: true })
        yield* sim.finish(String(first["id"]))
        yield* sim.fail(String(second["id"]), { code: "unavailable", message: "Busy" })

        assert.strictEqual((yield* send(sim, "GET", `/${first["id"]}`)).body["status"], "completed")
        assert.deepInclude((yield* send(sim, "GET", `/${second["id"]}`)).body, {
          status: "failed",
          errors: [{ code: "unavailable", message: "Busy" }]
        })
        assert.strictEqual((yield* send(sim, "DELETE", `/${first["id"]}`)).status, 200)
        assert.strictEqual((yield* send(sim, "GET", `/${first["id"]}`)).status, 404)
      })))

  it.live.each<[Partial<Extract<Simulator.Action, { readonly _tag: "Job" }>>, string, ReadonlyArray<string>]>([
    [{ outcome: "toolCall" }, "requires_action", ["thought", "function_call"]],
    [{ outcome: "incomplete" }, "incomplete", ["thought", "model_output"]],
    [{ outcome: "incomplete", reason: "requires_continuation" }, "requires_continuation", ["thought", "model_output"]],
    [{ outcome: "empty" }, "completed", ["thought"]],
    [{ outcome: "unknown-status", status: "pondering" }, "pondering", ["thought"]]
  ])(
    "ends %j as %s",
    ([change, status, types]) =>
      withSimulator(
        { script: [{ do: { _tag: "Job", outcome: "completed", ...change } }] },
        (sim) =>
          Effect.gen(function*() {
            const answer = yield* send(sim, "POST", "", body)

            assert.strictEqual(answer.body["status"], status)
            assert.deepStrictEqual(typesOf(answer.body), types)
          })
      )
  )

  it.live("loses an expired interaction", () =>
    withSimulator({ script: [{ do: { _tag: "Job", outcome: "expired", polls: 1 } }] }, (sim) =>
      Effect.gen(function*() {
        const { body: created } = yield* send(sim, "POST", "", { ...body, background: true })

        assert.strictEqual((yield* send(sim, "GET", `/${created["id"]}`)).status, 200)
        assert.strictEqual((yield* send(sim, "GET", `/${created["id"]}`)).status, 404)
      })))

  it.live.each<[string, object, number]>([
    ["no model", { input: "Hi" }, 400],
    ["no input", { model: "m" }, 400],
    ["store: false in the background", { ...body, background: true, store: false }, 400],
    ["a stream", { ...body, stream: true }, 400]
  ])("refuses %s in Gemini's own shape", ([_, sent, status]) =>
    withSimulator({}, (sim) =>
      Effect.gen(function*() {
        const answer = yield* send(sim, "POST", "", sent)

        assert.strictEqual(answer.status, status)
        assert.nestedPropertyVal(answer.body, "error.code", "invalid_request")
        assert.lengthOf(yield* sim.jobs, 0)
      })))

  it.live.each([["rateLimit", 429], ["overloaded", 503], ["notFound", 404], ["quota", 429]] as const)(
    "has the error %s with status %i",
    ([error, status]) =>
      withSimulator(
        { script: [{ on: "interactions.create", do: { _tag: "Error", error } }] },
        (sim) =>
          Effect.gen(function*() {
            const answer = yield* send(sim, "POST", "", body)

            assert.strictEqual(answer.status, status)
            assert.nestedProperty(answer.body, "error.code")
          })
      )
  )

  it.live("wants a key, and knows its paths and methods", () =>
    withSimulator({ apiKeys: ["sim"] }, (sim) =>
      Effect.gen(function*() {
        assert.strictEqual((yield* send(sim, "POST", "", body, "wrong")).status, 401)
        assert.strictEqual((yield* send(sim, "PUT", "", body)).status, 405)
        assert.strictEqual((yield* send(sim, "GET", "/x/unknown")).status, 404)
        assert.strictEqual((yield* send(sim, "POST", "/x/cancel")).status, 404)
      })))

  it.live("matches rules by the text of the last turn", () =>
    withSimulator(
      { script: [{ match: "Name the capital", do: { _tag: "Job", outcome: "completed", text: "Paris" } }] },
      (sim) =>
        Effect.gen(function*() {
          const turns = [
            { type: "user_input", content: [{ type: "text", text: "Hi" }] },
            { type: "model_output", content: [{ type: "text", text: "Hello" }] },
            { type: "user_input", content: [{ type: "text", text: "Name the capital of France." }] }
          ]
          const answer = yield* send(sim, "POST", "", { ...body, input: turns })

          assert.nestedPropertyVal(answer.body, "steps[1].content[0].text", "Paris")
        })
    ))
})

const body = { model: "gemini-3.8-flash", input: "Hi" }

type Json = Readonly<Record<string, unknown>>

const withSimulator = <A, E>(
  options: Simulator.Options,
  use: (sim: Simulator.Simulator["Service"]) => Effect.Effect<A, E>
) => Simulator.Simulator.use(use).pipe(Effect.provide(Simulator.layer(options), { local: true }))

const send = (sim: Simulator.Simulator["Service"], method: string, path: string, body?: object, key = "sim") =>
  Effect.promise(async () => {
    const response = await fetch(`${sim.url}/v1beta/interactions${path}`, {
      method,
      headers: { "x-goog-api-key": key },
      ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const json: Json = JSON.parse(await response.text())
    return { status: response.status, body: json }
  })

const typesOf = (interaction: Json): ReadonlyArray<unknown> =>
  Array.isArray(interaction["steps"]) ? interaction["steps"].map((step: Json) => step["type"]) : []
