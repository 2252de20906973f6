/**
 * Plays the events of a body through a protocol's reader.
 */
import type { StreamEvent } from "../../Provider.ts"
import * as ErrorClassifier from "../ErrorClassifier.ts"
import { maxBodyBytes } from "./BodyLimits.ts"
import { type Body, isWholeAnswer } from "./BodyParser.ts"
import type { ServerEvent } from "./EventParser.ts"
import * as Failure from "./Failure.ts"
import { parse } from "./JsonBody.ts"
import type { Opened, Reader, Step } from "./ProtocolReader.ts"

/** The state of one body. A body that fails after the protocol's end is whole. */
export class Playback {
  /** Anything but `More`: nothing more is read. */
  step: Step = "More"
  readonly #opened: Opened
  readonly #reader: Reader
  #hasEmitted = false
  /** What the reader may have kept of the events, in characters. */
  #kept = 0

  constructor(opened: Opened, reader: Reader) {
    this.#opened = opened
    this.#reader = reader
  }

  /** Plays events, up to one that ends the stream. */
  play(events: ReadonlyArray<ServerEvent>, out: Array<StreamEvent>): void {
    for (const event of events) {
      if (this.step !== "More") return
      const from = out.length
      this.step = !this.#hasEmitted && isWholeAnswer(parse(event.data))
        ? this.#whole(parse(event.data), event.data.length, out)
        : this.#reader.take(event, out)
      this.#hasEmitted ||= out.length > from
      this.#kept += out.length === from ? event.data.length : lengthOf(out, from)
    }
    if (this.#kept > maxBodyBytes) this.refuse()
  }

  /** Ends the body as too large. */
  refuse(): void {
    if (this.step === "More") this.step = Failure.tooLarge(this.#opened.contextNow())
  }

  /** Plays the end of the body, or what the reading of it failed with. */
  end(body: Body, out: Array<StreamEvent>, failure?: { readonly error: unknown }): void {
    if (this.step !== "More") return
    if (body._tag === "Events") this.step = this.#reader.finish(out)
    else if (body._tag === "Json") this.step = this.#whole(body.value, body.length, out)
    else if (failure === undefined) this.step = this.#whole(body.start, body.length, out)
    if (this.step !== "More") return
    // A stream that is over without its last event was cut.
    if (failure === undefined) this.step = "Over"
    else this.fail(failure.error)
  }

  /** Ends the body with a failure. */
  fail(error: unknown): void {
    this.step = ErrorClassifier.classify(error, this.#opened.contextNow())
  }

  #whole(body: unknown, length: number, out: Array<StreamEvent>): Step {
    const { headers, status } = this.#opened.response
    return this.#reader.whole({ status, headers, body, length }, out)
  }
}

const lengthOf = (out: ReadonlyArray<StreamEvent>, from: number): number => {
  let length = 0
  for (let index = from; index < out.length; index++) {
    const event = out[index]
    if (event !== undefined && "delta" in event) length += event.delta.length
  }
  return length
}
