import { Effect, Exit, Option, Ref, Stream } from "effect"
import { ProviderError } from "../../../src/errors/ProviderError.ts"
import type { Outcome, StreamEvent } from "../../../src/services/Provider.ts"
import * as EventStream from "../../../src/services/providers/internal/EventStream.ts"
import type * as ProtocolReader from "../../../src/services/providers/internal/ProtocolReader.ts"
import type { Context } from "../../../src/services/providers/internal/OpenAiOutcome.ts"

/** What a stream gave until it was over or failed. */
export interface Read {
  readonly events: ReadonlyArray<StreamEvent>
  readonly error: ProviderError | undefined
}

/** Collects a stream without its `Alive` events, also one that fails after some events; a defect stays one. */
export const collect = Effect.fnUntraced(function*(
  stream: Stream.Stream<StreamEvent, ProviderError>
): Effect.fn.Return<Read> {
  const events = yield* Ref.make<ReadonlyArray<StreamEvent>>([])
  const exit = yield* stream.pipe(
    Stream.runForEachArray((chunk) => Ref.update(events, (all) => [...all, ...chunk])),
    Effect.exit
  )
  const error = Option.getOrUndefined(Exit.findErrorOption(exit))
  if (Exit.isFailure(exit) && error === undefined) return yield* Effect.orDie(Effect.failCause(exit.cause))
  return { events: (yield* Ref.get(events)).filter(({ _tag }) => _tag !== "Alive"), error }
})

const context: Context = { provider: "recorded", operation: "call", model: "m", now: 0 }

/** Reads a body with a protocol's reader, in chunks of `size` bytes. */
export const read = (
  makeReader: (opened: ProtocolReader.Opened<Context>) => ProtocolReader.Reader,
  body: string,
  options: { readonly size?: number; readonly contentType?: string } = {}
): Effect.Effect<Read> =>
  collect(
    EventStream.make(
      Effect.succeed({
        response: new Response(chunked(Buffer.from(body), options.size ?? 1400), {
          headers: { "content-type": options.contentType ?? "text/event-stream", "x-request-id": "req_1" }
        }),
        contextNow: () => context
      }),
      makeReader
    )
  )

/** A body that comes in chunks of `size` bytes. */
export const chunked = (bytes: Uint8Array, size: number): ReadableStream<Uint8Array<ArrayBuffer>> => {
  let at = 0
  return new ReadableStream({
    pull: (controller) => {
      if (at >= bytes.length) controller.close()
      else controller.enqueue(new Uint8Array(bytes.subarray(at, at += size)))
    }
  }, { highWaterMark: 0 })
}

/** The text of a stream's deltas. */
export const textOf = (events: ReadonlyArray<StreamEvent>, tag: "Text" | "Reasoning" | "Refusal" = "Text"): string =>
  events.map((event) => event._tag === tag ? event.delta : "").join("")

/** The outcome that a stream ended with. */
export const outcomeOf = (events: ReadonlyArray<StreamEvent>): Outcome | undefined => {
  const last = events.at(-1)
  return last?._tag === "Ended" ? last.outcome : undefined
}

/** The end of a stream in one word: `stop`, a reason's tag in brackets for an outcome, `!` before one of a failure, or `cut`. */
export const endOf = ({ error, events }: Read): string => {
  if (error !== undefined) return `!${error.verdict.reason._tag}`
  const outcome = outcomeOf(events)
  if (outcome === undefined) return "cut"
  return outcome._tag === "Succeeded" ? outcome.answer.finishReason : `[${outcome.verdict.reason._tag}]`
}

/** The text of a stream's events on the wire. */
export const wire = (events: ReadonlyArray<object>): string =>
  events.map((event) => {
    const type = "type" in event && typeof event.type === "string" ? `event: ${event.type}\n` : ""
    return `${type}data: ${JSON.stringify(event)}\n\n`
  }).join("")
