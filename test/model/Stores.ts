/**
 * The stores that histories are played on.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Context, Effect, Layer } from "effect"
import { SessionStore } from "holdfast"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { MakeStore } from "./World.ts"

const makeFile: MakeStore = Effect.gen(function*() {
  const directory = yield* Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "holdfast-model-"))),
    (directory) => Effect.sync(() => rmSync(directory, { recursive: true, force: true }))
  )
  const context = yield* Layer.build(
    SessionStore.layerFileSystem({ directory }).pipe(Layer.provide([NodeFileSystem.layer, NodePath.layer]))
  )
  return Context.get(context, SessionStore.SessionStore)
})

export const layers: {
  readonly [Name in "memory" | "file"]: { readonly makeStore: MakeStore; readonly isSlow: boolean }
} = {
  memory: { makeStore: SessionStore.makeMemory, isSlow: false },
  file: { makeStore: makeFile, isSlow: true }
}
