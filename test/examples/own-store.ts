import { Effect, Schema, Stream } from "effect"
import { Session, SessionStore, SessionStoreError } from "holdfast"
import { randomUUID } from "node:crypto"

/** Objects that can be written and deleted on condition of their ETag, as in S3 and its like. */
export interface Bucket {
  readonly get: (name: string) => Promise<{ readonly body: string; readonly etag: string } | undefined>
  /** The new ETag; `undefined` when the object is not at `etag`, the empty one standing for no object. */
  readonly put: (name: string, body: string, etag: string) => Promise<string | undefined>
  readonly delete: (name: string, etag: string) => Promise<boolean>
  readonly names: () => AsyncIterable<string>
}

// The incarnation keeps the ETags of a session that was removed and made again apart.
const Body = Schema.fromJsonString(Schema.Struct({
  incarnation: Schema.String,
  entries: Schema.Array(Session.EntryJson)
}))

const nameOf = (key: string): string => Buffer.from(JSON.stringify(key)).toString("base64url")
const keyOf = (name: string): string => JSON.parse(Buffer.from(name, "base64url").toString())

export const make = (bucket: Bucket): SessionStore.SessionStore["Service"] => {
  const unavailable = (operation: string) => (cause: unknown) =>
    new SessionStoreError.StoreUnavailable({ operation, message: "The bucket cannot be reached", cause })
  const lost = new SessionStoreError.VersionConflict({ message: "The session has changed" })

  const read = Effect.fnUntraced(function*(key: string) {
    const object = yield* Effect.tryPromise({ try: () => bucket.get(nameOf(key)), catch: unavailable("load") })
    if (object === undefined) return { version: Session.noVersion, incarnation: randomUUID(), entries: [] }
    const body = yield* Effect.mapError(
      Schema.decodeEffect(Body)(object.body),
      () => new SessionStoreError.StoreCorrupt({ message: "The session's object cannot be read" })
    )
    return { version: Session.Version(object.etag), ...body }
  })

  return SessionStore.SessionStore.of({
    load: read,
    append: Effect.fnUntraced(function*(key, entry, expected) {
      const { entries, incarnation, version } = yield* read(key)
      if (version !== expected) return yield* lost
      const body = yield* Effect.orDie(Schema.encodeEffect(Body)({ incarnation, entries: [...entries, entry] }))
      const etag = yield* Effect.tryPromise({
        try: () => bucket.put(nameOf(key), body, expected),
        catch: unavailable("append")
      })
      return etag === undefined ? yield* lost : Session.Version(etag)
    }),
    remove: Effect.fnUntraced(function*(key, expected) {
      const isRemoved = yield* Effect.tryPromise({
        try: () => bucket.delete(nameOf(key), expected),
        catch: unavailable("remove")
      })
      if (!isRemoved) return yield* lost
    }),
    list: Stream.map(Stream.fromAsyncIterable(bucket.names(), unavailable("list")), keyOf)
  })
}
