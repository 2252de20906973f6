/**
 * Bounds how many submissions of one account are in flight, and so how many a crash can leave uncertain.
 */
import * as Semaphore from "effect/Semaphore"
import type { Provider } from "../../services/Provider.ts"

/** Submissions of one account in flight at the same time, unless the layer says otherwise. */
export const defaultConcurrency = 16

/** The semaphores of a process, one for each account. */
export class SubmitGates {
  private readonly concurrency: number
  private readonly gates = new Map<string, Semaphore.Semaphore>()

  constructor(concurrency: number) {
    this.concurrency = concurrency
  }

  /** The semaphore of a provider's account. Its permit is held from the intent's entry to the entry of the outcome. */
  of({ baseUrl, name, organization, project }: Provider): Semaphore.Semaphore {
    const account = JSON.stringify([name, baseUrl, organization, project])
    let gate = this.gates.get(account)
    if (gate === undefined) this.gates.set(account, gate = Semaphore.makeUnsafe(this.concurrency))
    return gate
  }
}
