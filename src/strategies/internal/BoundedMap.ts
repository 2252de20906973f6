/**
 * A map that forgets its oldest keys, for what a process remembers of other processes' work.
 */

/** Keeps the last `limit` keys, in the order in which they were first set. */
export class BoundedMap<Key, Value> extends Map<Key, Value> {
  private readonly limit: number

  constructor(limit: number) {
    super()
    this.limit = limit
  }

  override set(key: Key, value: Value): this {
    if (this.size >= this.limit && !this.has(key)) {
      const [oldest] = this.keys()
      if (oldest !== undefined) this.delete(oldest)
    }
    return super.set(key, value)
  }
}
