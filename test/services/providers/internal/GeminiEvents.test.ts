import { assert, describe, it } from "@effect/vitest"
import { interactionOf } from "../../../../src/services/providers/internal/GeminiEvents.ts"

const created = { event_type: "interaction.created", interaction: { id: "i", status: "in_progress", model: "m" } }

const completed = {
  event_type: "interaction.completed",
  interaction: { id: "i", status: "completed", usage: { a: 1 } }
}

describe("GeminiEvents", () => {
  it("puts the steps together from their deltas", () => {
    const interaction = read([
      created,
      { event_type: "step.start", index: 0, step: { type: "thought" } },
      { event_type: "step.delta", index: 0, delta: { type: "thought_summary", content: { text: "Hm" } } },
      { event_type: "step.start", index: 1, step: { type: "model_output", content: [{ type: "text", text: "He" }] } },
      { event_type: "step.delta", index: 1, delta: { type: "text", text: "l" } },
      { event_type: "step.delta", index: 1, delta: { type: "text", text: "lo" } },
      { event_type: "step.start", index: 2, step: { type: "function_call", id: "c", name: "f", arguments: {} } },
      { event_type: "step.delta", index: 2, delta: { type: "arguments_delta", arguments: "{\"a\"" } },
      { event_type: "step.delta", index: 2, delta: { type: "arguments_delta", arguments: ":1}" } },
      completed
    ])

    assert.deepStrictEqual(interaction, {
      id: "i",
      status: "completed",
      model: "m",
      usage: { a: 1 },
      steps: [
        { type: "thought" },
        { type: "model_output", content: [{ type: "text", text: "Hello" }] },
        { type: "function_call", id: "c", name: "f", arguments: { a: 1 } }
      ]
    })
  })

  it("prefers the steps of the last event", () => {
    const steps = [{ type: "model_output", content: [{ type: "text", text: "All" }] }]
    const last = { ...completed, interaction: { ...completed.interaction, steps } }
    const interaction = read([
      created,
      { event_type: "step.start", index: 0, step: { type: "model_output" } },
      { event_type: "step.delta", index: 0, delta: { type: "text", text: "Al" } },
      last
    ])

    assert.deepStrictEqual(interaction?.steps, steps)
  })

  it.each([
    ["an interaction that goes on", [created], "in_progress"],
    ["a status", [{ event_type: "interaction.status_update", interaction_id: "i", status: "queued" }], "queued"],
    [
      "a later status",
      [created, { event_type: "interaction.status_update", interaction_id: "i", status: "failed" }],
      "failed"
    ],
    [
      "an error after the beginning",
      [created, { event_type: "error", error: { code: 1, message: "x" } }],
      "in_progress"
    ],
    ["the whole interaction", [{ id: "i", status: "completed" }], "completed"]
  ])("knows the id and the state from %s", (_name, events, status) => {
    const interaction = read(events)

    assert.deepStrictEqual([interaction?.id, interaction?.status], ["i", status])
  })

  it("gives an error that comes alone, and nothing of other events", () => {
    const error = { event_type: "error", error: { code: "quota_exceeded", message: "no" } }

    assert.deepStrictEqual(read([error]), error)
    assert.deepStrictEqual(read([{ error: { message: "no" } }]), { error: { message: "no" } })
    assert.strictEqual(read([{ event_type: "done" }, {}]), undefined)
  })
})

const read = (events: ReadonlyArray<object>) =>
  interactionOf([...events.map((event) => ({ name: "", data: JSON.stringify(event) })), { name: "", data: "[DONE]" }])
