/**
 * Puts the events of a streamed interaction together.
 */
import type { ServerEvent } from "./EventParser.ts"
import { type Fields, fieldsOf, isErrorSet, isFields, itemsOf, parse, textOf } from "./JsonBody.ts"

/**
 * Returns the interaction that events describe, as a plain answer would have had it, or the error that they end with.
 * `undefined` when they describe neither. Its `steps` are those of the last event, or what the deltas come to.
 *
 * Google, "Streaming interactions": https://ai.google.dev/gemini-api/docs/interactions/streaming
 */
export const interactionOf = (events: ReadonlyArray<ServerEvent>): Fields | undefined => {
  let interaction: Record<string, unknown> | undefined
  let error: Fields | undefined
  const steps = new Map<unknown, Record<string, unknown>>()
  for (const { data } of events) {
    const event = fieldsOf(parse(data))
    const told = isFields(event.interaction) ? event.interaction : event.event_type === undefined ? event : {}
    if (told === event && isErrorSet(event.error) || event.event_type === "error") error = event
    else if (textOf(told.id) !== "" || textOf(told.status) !== "") interaction = { ...interaction, ...told }
    else if (event.event_type === "interaction.status_update") {
      interaction = { id: event.interaction_id, ...interaction, status: event.status }
    }
    if (event.event_type === "step.start") steps.set(event.index, { ...fieldsOf(event.step) })
    if (event.event_type === "step.delta") addDelta(steps.get(event.index), fieldsOf(event.delta))
  }
  if (interaction === undefined) return error
  return itemsOf(interaction.steps).length > 0 || steps.size === 0
    ? interaction
    : { ...interaction, steps: [...steps.values()].map(withArguments) }
}

const addDelta = (step: Record<string, unknown> | undefined, delta: Fields): void => {
  if (step === undefined) return
  if (delta.type === "arguments_delta") {
    step.arguments = (typeof step.arguments === "string" ? step.arguments : "") + textOf(delta.arguments)
    return
  }
  if (delta.type !== "text") return
  const content = [...itemsOf(step.content)]
  const last = fieldsOf(content.at(-1))
  if (last.type === "text") content.pop()
  step.content = [...content, {
    type: "text",
    text: (last.type === "text" ? textOf(last.text) : "") + textOf(delta.text)
  }]
}

const withArguments = (step: Fields): Fields =>
  typeof step.arguments === "string" ? { ...step, arguments: parse(step.arguments) } : step
