/**
 * One HTTP request and its response, as undici's dispatchers drive it.
 *
 * @since 0.1.0
 */
import type { Transform } from "node:stream"
import * as Zlib from "node:zlib"
import type { Dispatcher } from "undici"
import { HttpBody } from "./HttpBody.ts"
import { HttpResponse } from "./HttpResponse.ts"

/**
 * The cause of a failure before anything of the request was written to a
 * connection.
 *
 * **Details**
 *
 * `code` is the system's, TLS's or undici's code of the original error, which is
 * the `cause`. Neither name nor message contain "timeout": the Anthropic SDK
 * drops the cause of every error whose text does, and with it the fact that
 * nothing was sent.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotSent extends Error {
  override readonly name = "NotSent"
  readonly code: string | undefined

  constructor(cause: unknown) {
    super("The request was not sent", { cause })
    this.code = codeOf(cause)
  }
}

/**
 * Creates the handler for one request, which settles `fetch`'s promise and feeds the body.
 *
 * **Details**
 *
 * The listener on `signal` is removed when the exchange is over: the last byte
 * arrived, or it failed, was aborted or cancelled.
 *
 * @category models
 * @since 0.1.0
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #url: string
  readonly #method: string
  readonly #signal: AbortSignal | undefined
  readonly #resolve: (response: Response) => void
  readonly #reject: (error: unknown) => void
  readonly #onOver: () => void
  #controller: Dispatcher.DispatchController | undefined = undefined
  #body: HttpBody | undefined = undefined
  #decoder: Transform | undefined = undefined
  /** What broke the body off, while the rest of it is decoded. */
  #failure: TypeError | undefined = undefined
  #isEmpty = true
  #isOver = false

  constructor(options: {
    readonly url: string
    readonly method: string
    readonly signal: AbortSignal | undefined
    readonly resolve: (response: Response) => void
    readonly reject: (error: unknown) => void
    readonly onOver: () => void
  }) {
    this.#url = options.url
    this.#method = options.method
    this.#signal = options.signal
    this.#resolve = options.resolve
    this.#reject = options.reject
    this.#onOver = options.onOver
    this.#signal?.addEventListener("abort", this.#onAbort, { once: true })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Aborted while it waited for a connection: nothing is written.
    if (this.#isOver) controller.abort(new Error("aborted"))
    else this.#controller = controller
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | Array<string> | undefined>,
    statusText = ""
  ): void {
    if (status < 200 || this.#isOver) return
    const head = { url: this.#url, status, statusText, headers: makeHeaders(headers) }
    if (this.#method === "HEAD" || status === 204 || status === 205 || status === 304) {
      return this.#resolve(new HttpResponse(head, null))
    }
    const decoder = makeDecoder(head.headers.get("content-encoding"))
    const body = new HttpBody({
      pause: () => decoder === undefined ? controller.pause() : void decoder.pause(),
      resume: () => decoder === undefined ? controller.resume() : void decoder.resume(),
      cancel: () => this.#stop()
    })
    decoder
      ?.on("data", (chunk: Uint8Array) => body.push(chunk))
      .on("drain", () => controller.resume())
      .on("end", () => {
        this.#finish()
        if (this.#failure === undefined) body.end()
        else body.fail(this.#failure)
      })
      .on("error", (error) => {
        this.#stop()
        body.fail(this.#failure ?? new TypeError("terminated", { cause: error }))
      })
    this.#decoder = decoder
    this.#body = body
    this.#resolve(new HttpResponse(head, body))
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#isEmpty = false
    if (this.#decoder === undefined) this.#body?.push(chunk)
    else if (!this.#decoder.write(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    // No bytes at all are no broken gzip: servers name the coding of an empty body too.
    if (this.#decoder !== undefined && !this.#isEmpty) {
      this.#decoder.end()
      return
    }
    this.#decoder?.destroy()
    this.#finish()
    this.#body?.end()
  }

  onResponseError(_controller: unknown, error: unknown): void {
    if (this.#isOver || this.#failure !== undefined) return
    if (this.#body === undefined) {
      this.#finish()
      return this.#reject(
        new TypeError("fetch failed", { cause: this.#controller === undefined ? new NotSent(error) : error })
      )
    }
    this.#failure = new TypeError("terminated", { cause: error })
    // What has arrived is decoded first: it may be the whole answer.
    if (this.#decoder !== undefined) return void this.#decoder.end()
    this.#finish()
    this.#body.fail(this.#failure)
  }

  readonly #onAbort = (): void => {
    const reason: unknown = this.#signal?.reason
    this.#stop()
    this.#body?.discard(reason)
    this.#reject(reason)
  }

  #stop(): void {
    if (this.#isOver) return
    this.#finish()
    this.#decoder?.destroy()
    this.#controller?.abort(new Error("aborted"))
  }

  #finish(): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#signal?.removeEventListener("abort", this.#onAbort)
    this.#onOver()
  }
}

const makeHeaders = (headers: Record<string, string | Array<string> | undefined>): Headers => {
  const result = new Headers()
  for (const name in headers) {
    const value = headers[name]
    if (typeof value === "string") result.append(name, value)
    else if (value !== undefined) { for (const one of value) result.append(name, one) }
  }
  return result
}

// No request of ours asks for a coding; some gateways compress all the same. A coding that is not known here, or a
// list of several, is handed on as it came.
const makeDecoder = (coding: string | null): Transform | undefined => {
  switch (coding?.trim().toLowerCase()) {
    case "gzip":
    case "x-gzip":
      return Zlib.createGunzip({ flush: Zlib.constants.Z_SYNC_FLUSH })
    case "deflate":
      return Zlib.createInflate({ flush: Zlib.constants.Z_SYNC_FLUSH })
    case "br":
      return Zlib.createBrotliDecompress({ flush: Zlib.constants.BROTLI_OPERATION_FLUSH })
    case "zstd":
      return Zlib.createZstdDecompress({ flush: Zlib.constants.ZSTD_e_flush })
    default:
      return undefined
  }
}

const codeOf = (error: unknown): string | undefined =>
  typeof error === "object" && error !== null && "code" in error && typeof error.code === "string"
    ? error.code
    : undefined
