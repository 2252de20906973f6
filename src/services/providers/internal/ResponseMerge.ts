/**
 * Brings together what a stream of the Responses API emitted item by item and the output of its last event.
 */
import { type Fields, textOf } from "./JsonBody.ts"
import { distinct, fuller, keysOf } from "./ResponseItems.ts"

/** An item as a stream emitted it. */
export interface StreamedItem {
  readonly item: Fields
  /** Whether the stream began within the item, so that its beginning is missing here. */
  readonly isTail: boolean
}

/**
 * Returns the output of the whole answer: each item once, and of each the fuller description.
 *
 * What the stream emitted is not taken back: an item that the last event leaves out, shortens or contradicts stays as
 * it was emitted. Items are paired by their ids; those whose ids differ, or that have none, by their order within a type.
 */
export const merge = (emitted: ReadonlyArray<StreamedItem>, last: ReadonlyArray<unknown>): ReadonlyArray<Fields> => {
  // A tail may be the end of any item.
  const streamed: ReadonlyArray<StreamedItem> = emitted.some(({ isTail }) => isTail)
    ? emitted
    : distinct(emitted.map(({ item }) => item)).map((item) => ({ item, isTail: false }))
  const final = distinct(last)
  const partners = pair(streamed.map(({ item }) => item), final)
  const taken = new Map<Fields, Fields>()
  const merged = streamed.map(({ isTail, item }, index) => {
    const partner = partners[index]
    if (partner === undefined) return item
    const whole = isTail ? partner : fuller(item, partner)
    taken.set(partner, whole)
    return whole
  })
  return partners.includes(undefined)
    ? [...merged, ...final.filter((item) => !taken.has(item))]
    : final.map((item) => taken.get(item) ?? item)
}

const pair = (
  streamed: ReadonlyArray<Fields>,
  final: ReadonlyArray<Fields>
): ReadonlyArray<Fields | undefined> => {
  const byKey = new Map<string, Fields>()
  for (const item of final) for (const key of keysOf(item)) if (!byKey.has(key)) byKey.set(key, item)
  const used = new Set<Fields>()
  const partners = streamed.map((item) => {
    const partner = keysOf(item).map((key) => byKey.get(key)).find((found) => found !== undefined && !used.has(found))
    if (partner !== undefined) used.add(partner)
    return partner
  })
  const left = new Map<string, Array<Fields>>()
  for (const item of final) {
    if (used.has(item)) continue
    const type = textOf(item.type)
    const waiting = left.get(type)
    if (waiting === undefined) left.set(type, [item])
    else waiting.push(item)
  }
  const next = new Map<string, number>()
  return partners.map((partner, index) => {
    if (partner !== undefined) return partner
    const type = textOf(streamed[index]?.type)
    const place = next.get(type) ?? 0
    next.set(type, place + 1)
    return left.get(type)?.[place]
  })
}
