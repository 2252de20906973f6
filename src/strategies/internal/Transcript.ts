/**
 * What a run's stream has told so far: written once, read by every watcher at its own pace.
 *
 * A watcher that lags reads the text itself later, in bigger pieces, so that nothing is queued for it.
 */
import type { StreamEvent, ToolCall } from "../../services/Provider.ts"
import type { ResponseEvent } from "../../services/ResponseEvent.ts"
import type { Emitted } from "./StreamEnd.ts"

/** The kinds of text that grow, and what each piece of it is called. */
const deltas = { Text: "TextDelta", Reasoning: "ReasoningDelta", Refusal: "RefusalDelta" } as const
type Kind = keyof typeof deltas

/** Small pieces are joined to blocks of this many characters, so that a text of many pieces takes no more than itself. */
const blockLength = 65_536

/** A watcher that is further behind than this many characters slows the provider down, if none is faster. */
const mostBehind = 262_144

/** Text of one kind without anything between. */
class Passage {
  readonly kind: Kind
  readonly replayed: boolean
  /** Where it begins in the text of its kind. */
  readonly start: number
  readonly blocks: Array<string> = []
  /** The length of all blocks. */
  settled = 0
  tail: Array<string> = []
  length = 0

  constructor(kind: Kind, replayed: boolean, start: number) {
    this.kind = kind
    this.replayed = replayed
    this.start = start
  }

  append(delta: string): void {
    this.tail.push(delta)
    this.length += delta.length
    if (this.length - this.settled < blockLength) return
    this.blocks.push(this.tail.join(""))
    this.settled = this.length
    this.tail = []
  }

  /** The pieces from a position on; a position that is no piece's beginning gives the rest of that piece first. */
  from(position: number): Array<string> {
    const pieces: Array<string> = []
    let at = position < this.settled ? 0 : this.settled
    for (const piece of position < this.settled ? [...this.blocks, ...this.tail] : this.tail) {
      const end = at + piece.length
      if (end > position) pieces.push(position > at ? piece.slice(position - at) : piece)
      at = end
    }
    return pieces
  }

  get text(): string {
    return this.blocks.join("") + this.tail.join("")
  }
}

/** An event that is not text. */
type Mark = Exclude<ResponseEvent, { readonly _tag: "Completed" | `${Kind}Delta` }>

export class Transcript {
  private readonly items: Array<Passage | Mark> = []
  private readonly readers = new Set<Reader>()
  private readonly lengths: Record<Kind, number> = { Text: 0, Reasoning: 0, Refusal: 0 }
  /** All characters of all kinds. */
  private written = 0
  private roomy: (() => void) | undefined
  /** The submission whose stream it tells. */
  source: string | undefined
  /** Where that stream can go on. */
  cursor: string | undefined
  /** Whether that stream has told anything. */
  private hasBegun = false
  /** The response whose start was written last. */
  private startedAs: string | undefined
  /** The status that was written last. */
  private status: string | undefined
  /** Whether what comes was perhaps told to another process before; decided once, and over at the first pause. */
  isReplaying: boolean | undefined
  /** Whether anything was told that a second answer would contradict. */
  get hasContent(): boolean {
    return this.written > 0 || this.hasToolCalls
  }

  /** The calls of the answer that the run has come to; those that no stream emitted come at its end. */
  answerCalls: ReadonlyArray<ToolCall> = []
  private calls: Set<string> | undefined

  get hasToolCalls(): boolean {
    return this.calls !== undefined
  }

  hasCall(call: ToolCall): boolean {
    return call.id !== "" && this.calls?.has(keyOf(call)) === true
  }

  /** What was told of the answer's text. */
  get text(): string {
    let text = ""
    for (const item of this.items) if (item instanceof Passage && item.kind === "Text") text += item.text
    return text
  }

  /** What it has of the answer of a model. */
  emitted(model: string): Emitted {
    return { text: this.text, hasToolCalls: this.hasToolCalls, model }
  }

  /** Turns to another submission's stream. `false`: what it has told of an answer cannot be taken back. */
  turnTo(source: string | undefined): boolean {
    if (this.source === source) return true
    if (this.hasContent) return false
    this.source = source
    this.cursor = undefined
    this.hasBegun = false
    this.isReplaying = undefined
    return true
  }

  /** Whether its stream can be opened again: without a cursor it would tell everything twice. */
  get canGoOn(): boolean {
    return this.cursor !== undefined || !this.hasBegun
  }

  /** Writes an event; `Ended` is not for the watchers. */
  write(event: StreamEvent, replayed: boolean): void {
    this.hasBegun = true
    switch (event._tag) {
      case "Text":
      case "Reasoning":
      case "Refusal":
        return this.append(event._tag, event.delta, replayed)
      case "Alive":
      case "Ended":
        return
      case "Started":
        if (this.startedAs === event.responseId) return
        this.startedAs = event.responseId
        return void this.items.push({ _tag: "Started", responseId: event.responseId, replayed })
      case "ToolCall": {
        // The end of a resumed stream lists all calls again.
        if (this.hasCall(event)) return
        this.calls = (this.calls ?? new Set()).add(keyOf(event))
        return void this.items.push({
          _tag: "ToolCall",
          id: event.id,
          name: event.name,
          arguments: event.arguments,
          replayed
        })
      }
      case "Status":
        this.status = event.status
        return void this.items.push({ _tag: "Status", status: event.status, phase: event.phase, replayed })
      case "Usage":
        return void this.items.push({ _tag: "Usage", usage: event.usage, replayed })
    }
  }

  /** Writes what polls have found of a job, where no stream of it says as much. `isNew`: this run submitted the job. */
  notePolled(responseId: string, event: Extract<StreamEvent, { readonly _tag: "Status" }>, isNew: boolean): void {
    if (this.source !== undefined) return
    this.write({ _tag: "Started", responseId }, !isNew)
    if (this.status !== event.status) this.write(event, false)
    this.tell()
  }

  append(kind: Kind, delta: string, replayed: boolean): void {
    if (delta === "") return
    const last = this.items.at(-1)
    let passage = last instanceof Passage && last.kind === kind && last.replayed === replayed ? last : undefined
    if (passage === undefined) {
      passage = new Passage(kind, replayed, this.lengths[kind])
      this.items.push(passage)
    }
    passage.append(delta)
    this.lengths[kind] += delta.length
    this.written += delta.length
  }

  /** Tells the watchers that there is more. */
  tell(): void {
    for (const reader of this.readers) reader.wake?.()
  }

  /** Whether the provider may go on: no watcher is there, or one of them has kept up. */
  get hasRoom(): boolean {
    if (this.readers.size === 0) return true
    for (const reader of this.readers) if (this.written - reader.read < mostBehind) return true
    return false
  }

  /** Calls `then` once there is room; returns what takes that back. */
  whenRoom(then: () => void): () => void {
    this.roomy = then
    return () => {
      this.roomy = undefined
    }
  }

  /** Lets the provider go on, whoever lags. */
  release(): void {
    const { roomy } = this
    this.roomy = undefined
    roomy?.()
  }

  /** Begins to read, at the beginning. What is there already counts as replayed. */
  attach(reader: Reader): void {
    this.readers.add(reader)
  }

  detach(reader: Reader): void {
    this.readers.delete(reader)
    if (this.hasRoom) this.release()
  }

  /** Reads on from where a reader is. */
  readOn(reader: Reader): Array<ResponseEvent> {
    const events: Array<ResponseEvent> = []
    while (true) {
      const item = this.items[reader.item]
      if (item === undefined) break
      if (item instanceof Passage) {
        this.readPassage(item, reader, events)
        // More may come to the last one.
        if (reader.item === this.items.length - 1) break
      } else {
        events.push(reader.item < reader.known && !item.replayed ? { ...item, replayed: true } : item)
      }
      reader.item++
      reader.position = 0
    }
    if (this.roomy !== undefined && this.hasRoom) this.release()
    return events
  }

  /** Whether there is something that a reader has not read. */
  isAhead(reader: Reader): boolean {
    const item = this.items[reader.item]
    if (item === undefined) return false
    return !(item instanceof Passage) || reader.position < item.length || reader.item < this.items.length - 1
  }

  private readPassage(passage: Passage, reader: Reader, events: Array<ResponseEvent>): void {
    if (reader.position === passage.length) return
    const _tag = deltas[passage.kind]
    for (const delta of passage.from(reader.position)) {
      const replayed = passage.replayed || reader.read < reader.knownLength
      events.push({ _tag, delta, offset: passage.start + reader.position, replayed })
      reader.position += delta.length
      reader.read += delta.length
    }
  }

  /** How much there is: events, and characters. */
  get extent(): { readonly items: number; readonly characters: number } {
    return { items: this.items.length, characters: this.written }
  }
}

const keyOf = (call: ToolCall): string => JSON.stringify([call.id, call.name, call.arguments])

/** Where one watcher is in a transcript. */
export class Reader {
  private transcript: Transcript | undefined
  /** What was told out of transcripts that were left, as text of the answer. */
  private told = ""
  /** The item that it reads, and where in it. */
  item = 0
  position = 0
  /** Characters read, of all kinds. */
  read = 0
  /** What was there when it came. */
  known = 0
  knownLength = 0
  /** Called when there is more. */
  wake: (() => void) | undefined

  /** Goes over to a transcript; what it tells again is passed over by `take`. */
  attach(transcript: Transcript): void {
    if (this.transcript === transcript) return
    if (this.transcript !== undefined) {
      const text = this.transcript.text
      if (text.length > this.told.length) this.told = text
    }
    this.detach()
    this.transcript = transcript
    this.item = 0
    this.position = 0
    this.read = 0
    const { characters, items } = transcript.extent
    this.known = items
    this.knownLength = characters
    transcript.attach(this)
  }

  detach(): void {
    this.transcript?.detach(this)
  }

  /** What there is to tell. */
  take(): Array<ResponseEvent> {
    const events = this.transcript?.readOn(this) ?? []
    return this.told === "" ? events : events.flatMap((event) => this.unheard(event))
  }

  /** What is left to tell of an answer, or what was told when it is another one. */
  rest(
    content: string
  ):
    | { readonly _tag: "Delta"; readonly delta: string; readonly offset: number }
    | { readonly _tag: "Contradicted"; readonly told: string }
    | undefined
  {
    const last = this.transcript?.text ?? ""
    const told = last.length >= this.told.length ? last : this.told
    if (!content.startsWith(told)) return { _tag: "Contradicted", told }
    return content.length === told.length
      ? undefined
      : { _tag: "Delta", delta: content.slice(told.length), offset: told.length }
  }

  /** The calls of the answer that no stream emitted. */
  get missingCalls(): ReadonlyArray<ToolCall> {
    const { transcript } = this
    return transcript?.answerCalls.filter((call) => !transcript.hasCall(call)) ?? []
  }

  get hasMore(): boolean {
    return this.transcript?.isAhead(this) ?? false
  }

  private unheard(event: ResponseEvent): Array<ResponseEvent> {
    if (event._tag !== "TextDelta" || event.offset >= this.told.length) return [event]
    const skipped = this.told.length - event.offset
    return skipped >= event.delta.length
      ? []
      : [{ ...event, delta: event.delta.slice(skipped), offset: event.offset + skipped }]
  }
}
