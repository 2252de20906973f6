/**
 * The body of one HTTP response: chunks on their way from a socket to whoever
 * reads them, as a whole or as a stream.
 *
 * @since 0.1.0
 */

import { quietMillis } from "./BodyLimits.ts"

/** Bytes kept for a reader who has not come yet, before the socket is paused. */
const highWaterMark = 64 * 1024

/**
 * What a body asks of the socket behind it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Flow {
  readonly pause: () => void
  readonly resume: () => void
  /** Nobody wants the rest: destroys the connection. */
  readonly cancel: () => void
}

/**
 * The error of a body that broke off, with the text that came before.
 *
 * @category errors
 * @since 0.1.0
 */
export class CutBody extends TypeError {
  readonly text: string

  constructor(text: string, error: unknown) {
    super("terminated", { cause: error instanceof TypeError ? error.cause : error })
    this.text = text
  }
}

/**
 * The error of a body that is longer than what is read of it.
 *
 * @category errors
 * @since 0.1.0
 */
export class LongBody extends TypeError {
  constructor(limit: number) {
    super(`The body is longer than ${limit} bytes`)
  }
}

/**
 * How a body ended that was read as a whole, and its bytes up to there.
 *
 * @category models
 * @since 0.1.0
 */
export interface Whole {
  readonly bytes: Buffer
  /** `Full` at the limit, `Quiet` when nothing more was waited for. */
  readonly end: "Ended" | "Failed" | "Full" | "Quiet"
  readonly error: unknown
}

/**
 * How much of a body is read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Limits {
  readonly maxBytes: number
  readonly maxMillis: number
  /** Whether nothing more is waited for, asked when nothing has arrived for `quietMillis`. */
  readonly isEnough: (bytes: Buffer) => boolean
}

/**
 * A body with one writer (`push`, then `end` or `fail`) and one reader (`whole` or `stream`).
 *
 * **Details**
 *
 * `fail` lets a reader have the chunks that came before the failure; `discard`
 * drops them, so that an abort is seen at once.
 *
 * @category models
 * @since 0.1.0
 */
export class HttpBody {
  readonly #flow: Flow
  #chunks: Array<Uint8Array> = []
  #size = 0
  #state: "Open" | Whole["end"] = "Open"
  #error: unknown = undefined
  #isDiscarded = false
  /** Set when the body is read as a whole. */
  #maxBytes: number | undefined = undefined
  #pushedAt = 0
  #wake: (() => void) | undefined = undefined

  constructor(flow: Flow) {
    this.#flow = flow
  }

  push(chunk: Uint8Array): void {
    if (this.#state !== "Open") return
    this.#chunks.push(chunk)
    this.#size += chunk.byteLength
    this.#pushedAt = performance.now()
    if (this.#maxBytes !== undefined) {
      if (this.#size > this.#maxBytes) this.#stop("Full")
      return
    }
    if (this.#size >= highWaterMark) this.#flow.pause()
    this.#notify()
  }

  end(): void {
    if (this.#state !== "Open") return
    this.#state = "Ended"
    this.#notify()
  }

  fail(error: unknown): void {
    if (this.#state !== "Open") return
    this.#state = "Failed"
    this.#error = error
    this.#notify()
  }

  discard(error: unknown): void {
    this.#chunks = []
    this.#isDiscarded = true
    this.fail(error)
  }

  /**
   * All bytes, as far as the limits allow. To be called once, and not after `stream` was read from. Rejects with what an
   * aborted request was aborted with.
   */
  whole({ isEnough, maxBytes, maxMillis }: Limits): Promise<Whole> {
    this.#maxBytes = maxBytes
    this.#flow.resume()
    return new Promise((resolve, reject) => {
      const startedAt = performance.now()
      let lookedAt = 0
      const look = () => {
        const now = performance.now()
        const isNew = this.#pushedAt > lookedAt && now - this.#pushedAt >= quietMillis
        if (isNew) lookedAt = now
        if (now - startedAt >= maxMillis || (isNew && isEnough(concat(this.#chunks)))) this.#stop("Quiet")
        else timer = setTimeout(look, quietMillis)
      }
      let timer = setTimeout(look, quietMillis)
      this.#wake = () => {
        clearTimeout(timer)
        const state = this.#state
        if (this.#isDiscarded || state === "Open") return reject(this.#error)
        resolve({ bytes: concat(this.#chunks), end: state, error: this.#error })
      }
      if (this.#state === "Open" && this.#size > maxBytes) this.#stop("Full")
      else if (this.#state !== "Open") this.#notify()
    })
  }

  /** The bytes as they come; nothing is taken from the body before `onRead` was called. */
  stream(onRead: () => void): ReadableStream<Uint8Array> {
    const deliver = (controller: ReadableStreamDefaultController<Uint8Array>) => {
      const chunks = this.#chunks
      if (chunks.length > 0) {
        this.#chunks = []
        this.#size = 0
        // One read for all that came together: reads cost more than copies.
        controller.enqueue(concat(chunks))
        this.#flow.resume()
      } else if (this.#state === "Failed") {
        controller.error(this.#error)
      } else {
        controller.close()
      }
    }
    return new ReadableStream<Uint8Array>({
      pull: (controller) => {
        onRead()
        if (this.#chunks.length > 0 || this.#state !== "Open") return deliver(controller)
        return new Promise<void>((resolve) => {
          this.#wake = () => {
            deliver(controller)
            resolve()
          }
        })
      },
      cancel: () => {
        onRead()
        // A cancelled stream has no controller left to deliver to.
        this.#wake = undefined
        this.#chunks = []
        this.#flow.cancel()
      }
    }, { highWaterMark: 0 })
  }

  #stop(state: "Full" | "Quiet"): void {
    this.#state = state
    this.#flow.cancel()
    this.#notify()
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = undefined
    wake?.()
  }
}

const concat = (chunks: ReadonlyArray<Uint8Array>): Buffer => {
  const first = chunks[0]
  return chunks.length === 1 && first !== undefined
    ? Buffer.from(first.buffer, first.byteOffset, first.byteLength)
    : Buffer.concat(chunks)
}
