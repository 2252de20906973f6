/**
 * A `Response` that costs little: reading all of its text does not go through a web stream.
 *
 * @since 0.1.0
 */
import { maxBodyBytes, maxErrorBytes, maxErrorMillis } from "./BodyLimits.ts"
import { CutBody, type HttpBody, type Limits, LongBody } from "./HttpBody.ts"

/**
 * What came before the body.
 *
 * @category models
 * @since 0.1.0
 */
export interface Head {
  readonly url: string
  readonly status: number
  readonly statusText: string
  readonly headers: Headers
}

/**
 * The members of the standard `Response`, over an `HttpBody`.
 *
 * **Details**
 *
 * `text` rejects with `LongBody` for more than 64 MiB, and with `CutBody`, which
 * has the text so far, when the body breaks off. Of an error's body it reads 1
 * MiB and 10 seconds at most, and resolves with what has arrived: the status
 * decides. It does not wait for the rest of a body whose JSON is whole, or whose
 * last event has come, when nothing has arrived for a second.
 *
 * `text` and `json` read the body directly while nobody has touched `body`'s
 * contents; everything else goes through a standard `Response` over the stream.
 * The whole standard class costs about a fifth more CPU per call, all of it in
 * reading. Statuses that the standard constructor refuses (600 to 999) are
 * kept.
 *
 * @category models
 * @since 0.1.0
 */
export class HttpResponse implements Response {
  readonly url: string
  readonly status: number
  readonly statusText: string
  readonly headers: Headers
  readonly ok: boolean
  readonly redirected = false
  readonly type = "basic"
  #source: HttpBody | null
  #stream: ReadableStream<Uint8Array> | null | undefined
  #isUsed = false

  /** `null` for a response that cannot have a body (HEAD, 204, 205, 304). */
  constructor(head: Head, source: HttpBody | null, stream?: ReadableStream<Uint8Array>) {
    this.url = head.url
    this.status = head.status
    this.statusText = head.statusText
    this.headers = head.headers
    this.ok = head.status >= 200 && head.status < 300
    this.#source = source
    this.#stream = stream
  }

  get body(): ReadableStream<Uint8Array> | null {
    if (this.#stream === undefined) {
      this.#stream = this.#source?.stream(() => {
        // After `clone`, the two halves read ahead on their own.
        if (this.#source !== null) this.#isUsed = true
      }) ?? null
    }
    return this.#stream
  }

  get bodyUsed(): boolean {
    return this.#isUsed
  }

  async text(): Promise<string> {
    const source = this.#source
    if (source === null || this.#isUsed || this.#stream?.locked === true) return this.#standard().text()
    this.#isUsed = true
    // A second reader is refused, as after the standard `text`.
    this.#stream?.getReader()
    const { bytes, end, error } = await source.whole(this.ok ? answerLimits : errorLimits)
    const read = bytes.toString("utf8")
    const text = read.charCodeAt(0) === 0xfeff ? read.slice(1) : read
    if (this.ok && end === "Full") throw new LongBody(maxBodyBytes)
    if (this.ok && end === "Failed") throw new CutBody(text, error)
    return text
  }

  async json(): Promise<unknown> {
    return JSON.parse(await this.text())
  }

  async arrayBuffer(): Promise<ArrayBuffer> {
    return this.#standard().arrayBuffer()
  }

  async blob(): Promise<Blob> {
    return this.#standard().blob()
  }

  async bytes(): Promise<Uint8Array<ArrayBuffer>> {
    return new Uint8Array(await this.arrayBuffer())
  }

  async formData(): Promise<FormData> {
    return this.#standard().formData()
  }

  clone(): Response {
    const body = this.body
    if (this.#isUsed || body?.locked === true) throw unusable()
    if (body === null) return new HttpResponse(this, null)
    const [mine, theirs] = body.tee()
    this.#source = null
    this.#stream = mine
    return new HttpResponse({ ...this, headers: new Headers(this.headers) }, null, theirs)
  }

  #standard(): Response {
    const body = this.body
    if (this.#isUsed || body?.locked === true) throw unusable()
    this.#isUsed = body !== null
    const type = this.headers.get("content-type")
    return new Response(body, type === null ? {} : { headers: { "content-type": type } })
  }
}

const doneLine = /(?:^|[\r\n}\]])(?:data: ?)?\[DONE\]\s*$/

// The events after which the Responses and the Messages API send nothing more.
const lastEvent =
  /^(?:event: ?|data: ?\{"type": ?")(?:message_stop|response\.(?:completed|incomplete|failed|cancelled))"?\s*[\r\n,}]/m

const blankLine = /\n\r?\n\s*$/

const jsonEnd = /[}\]]\s*$/

// The last bytes first: most pauses are in the middle of a body, which may be long.
const isWhole = (bytes: Buffer): boolean => {
  const tail = bytes.toString("latin1", Math.max(0, bytes.length - 100))
  if (doneLine.test(tail)) return true
  const isEventEnd = blankLine.test(tail)
  const isJsonEnd = jsonEnd.test(tail)
  if (!isEventEnd && !isJsonEnd) return false
  const text = bytes.toString("utf8")
  if (isEventEnd && lastEvent.test(text)) return true
  if (!isJsonEnd) return false
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

const answerLimits: Limits = { maxBytes: maxBodyBytes, maxMillis: Infinity, isEnough: isWhole }

const errorLimits: Limits = { maxBytes: maxErrorBytes, maxMillis: maxErrorMillis, isEnough: isWhole }

const unusable = (): TypeError => new TypeError("Body is unusable: Body has already been read")
