/**
 * How long a stream may be silent.
 */
import * as Duration from "effect/Duration"
import type { ResponseRequest } from "../../services/ResponseRequest.ts"

/** Longest silences, in milliseconds. */
export interface StreamTimeouts {
  readonly firstEvent: number
  readonly idle: number
}

/** Longest silences of a job's stream: it is only opened anew. */
export const jobStreamTimeouts: StreamTimeouts = { firstEvent: 60_000, idle: 60_000 }

/** Longest silences of a held stream, unless the request says otherwise. */
const heldStreamTimeouts: StreamTimeouts = { firstEvent: 300_000, idle: 300_000 }

/** How long a stream of a request may be silent. */
export const streamTimeoutsOf = (
  { streamTimeouts }: Pick<ResponseRequest, "streamTimeouts">,
  usual: "held" | "job"
): StreamTimeouts => {
  const { firstEvent, idle } = usual === "held" ? heldStreamTimeouts : jobStreamTimeouts
  return {
    firstEvent: streamTimeouts?.firstEvent === undefined ? firstEvent : Duration.toMillis(streamTimeouts.firstEvent),
    idle: streamTimeouts?.idle === undefined ? idle : Duration.toMillis(streamTimeouts.idle)
  }
}
