/**
 * The body of one HTTP response: chunks on their way from a socket to whoever
 * reads them, as a whole or as a stream.
 *
 * @since 0.1.0
 */

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
  #state: "Open" | "Ended" | "Failed" = "Open"
  #error: unknown = undefined
  #isWhole = false
  #wake: (() => void) | undefined = undefined

  constructor(flow: Flow) {
    this.#flow = flow
  }

  push(chunk: Uint8Array): void {
    if (this.#state !== "Open") return
    this.#chunks.push(chunk)
    if (this.#isWhole) return
    this.#size += chunk.byteLength
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
    this.fail(error)
  }

  /** All bytes. To be called once, and not after `stream` was read from. */
  whole(): Promise<Buffer> {
    this.#isWhole = true
    this.#flow.resume()
    return new Promise((resolve, reject) => {
      const settle = () => this.#state === "Failed" ? reject(this.#error) : resolve(concat(this.#chunks))
      if (this.#state === "Open") this.#wake = settle
      else settle()
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
