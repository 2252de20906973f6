import { describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { SessionStore } from "holdfast"
import { SessionStoreSuite } from "holdfast/testing"
import { createHash } from "node:crypto"
import * as OwnStore from "./own-store.ts"

describe("OwnStore", () => {
  for (const { name, run } of SessionStoreSuite.cases) {
    it.effect(name, () => Effect.provideService(run, SessionStore.SessionStore, OwnStore.make(bucket())))
  }
})

const bucket = (): OwnStore.Bucket => {
  const objects = new Map<string, string>()
  const etagOf = (body: string | undefined) => body === undefined ? "" : createHash("md5").update(body).digest("hex")
  const isAt = (name: string, etag: string) => etagOf(objects.get(name)) === etag
  return {
    get: async (name) => {
      const body = objects.get(name)
      return body === undefined ? undefined : { body, etag: etagOf(body) }
    },
    put: async (name, body, etag) => {
      if (!isAt(name, etag)) return undefined
      objects.set(name, body)
      return etagOf(body)
    },
    delete: async (name, etag) => {
      const isRemoved = isAt(name, etag)
      if (isRemoved) objects.delete(name)
      return isRemoved
    },
    names: async function*() {
      yield* objects.keys()
    }
  }
}
