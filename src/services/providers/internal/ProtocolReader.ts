/**
 * What a wire protocol makes of one streamed body.
 */
import type { ProviderError } from "../../../errors/ProviderError.ts"
import type { StreamEvent } from "../../Provider.ts"
import type * as ErrorClassifier from "../ErrorClassifier.ts"
import type { ServerEvent } from "./EventParser.ts"
import type { Reply } from "./JsonBody.ts"

/**
 * A streamed answer of status 2xx whose body has not been read.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opened<Context extends ErrorClassifier.Context = ErrorClassifier.Context> {
  readonly response: Response
  /** The exchange, as it is now. */
  readonly contextNow: () => Context
}

/**
 * What comes after an event: more of them, the end of the stream, or its failure.
 *
 * @category models
 * @since 0.1.0
 */
export type Step = "More" | "Over" | ProviderError

/**
 * What a wire protocol makes of one body. Each method appends to `out` what is to be emitted.
 *
 * @category models
 * @since 0.1.0
 */
export interface Reader {
  readonly take: (event: ServerEvent, out: Array<StreamEvent>) => Step
  /**
   * The body has ended, or could not be read to its end, without an `Over`. `Over` says that the answer was whole before
   * that, `More` that it was cut.
   */
  readonly finish: (out: Array<StreamEvent>) => Step
  /** The body held no event: perhaps an error, or the whole answer of a server that does not stream. */
  readonly whole: (reply: Reply, out: Array<StreamEvent>) => Step
}
