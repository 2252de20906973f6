/**
 * Has a run look at its job or its journal at once.
 */
import * as Effect from "effect/Effect"

/** Is called at a wake. */
export interface Listener {
  wake(): void
}

/** Level-triggered: a wake that comes while no one listens is delivered to the next listener. */
export class WakeSignal {
  private isRaised = false
  private listener: Listener | undefined

  raise(): void {
    const { listener } = this
    this.listener = undefined
    if (listener === undefined) this.isRaised = true
    else listener.wake()
  }

  /** Calls the listener at the next wake, or now if one is pending. A later listener replaces it. */
  listen(listener: Listener): void {
    if (!this.isRaised) {
      this.listener = listener
      return
    }
    this.isRaised = false
    listener.wake()
  }

  /** Drops the listener. */
  mute(): void {
    this.listener = undefined
  }

  /** Succeeds at the next wake. */
  get next(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      this.listen({ wake: () => resume(Effect.void) })
      return Effect.sync(() => this.mute())
    })
  }
}
