import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as Path from "effect/Path"
import { Effect, Layer, Stream } from "effect"
import * as fs from "node:fs"
import * as Session from "../src/services/Session.ts"
import * as SessionStore from "../src/services/SessionStore.ts"
const dir = "/work/main/test/.zz"
fs.rmSync(dir, { recursive: true, force: true })
fs.mkdirSync(dir)
const entry = Session.Prepared.make({ at: 1, fingerprint: "x".repeat(380) })
const N = 2000
const bare = (sync: (fd: number) => void) => {
  const fd = fs.openSync(dir + "/bare" + sync.name, "a")
  const b = Buffer.alloc(500, "x")
  const t = performance.now()
  for (let i = 0; i < N; i++) {
    fs.writeSync(fd, b)
    sync(fd)
  }
  return ((performance.now() - t) / N * 1000).toFixed(0) + "us"
}
const bareAsync = async () => {
  const fh = await fs.promises.open(dir + "/barea", "a")
  const b = Buffer.alloc(500, "x")
  const t = performance.now()
  for (let i = 0; i < N; i++) {
    await fh.write(b)
    await fh.datasync()
  }
  return ((performance.now() - t) / N * 1000).toFixed(0) + "us"
}
const main = Effect.gen(function*() {
  const store = yield* SessionStore.SessionStore
  for (let r = 0; r < 3; r++) {
    console.log(
      "bare fdatasync sync",
      bare(fs.fdatasyncSync),
      "fsync",
      bare(fs.fsyncSync),
      "async fdatasync",
      yield* Effect.promise(bareAsync)
    )
    let v = Session.noVersion
    const t = performance.now()
    for (let i = 0; i < N; i++) v = yield* store.append("k" + r, entry, v)
    console.log(
      "append",
      ((performance.now() - t) / N * 1000).toFixed(0) + "us",
      fs.statSync(dir + "/s/k" + r + ".holdfast").size / N
    )
    const l = performance.now()
    const j = yield* store.load("k" + r)
    console.log("load ms", performance.now() - l, j.entries.length)
  }
  let v = yield* store.append("../K\u00e9", entry, Session.noVersion)
  console.log(fs.readdirSync(dir + "/s"), yield* Stream.runCollect(store.list))
  yield* store.remove("../K\u00e9", v)
  console.log(fs.readdirSync(dir + "/s"), yield* Stream.runCollect(store.list))
})
await Effect.runPromise(
  main.pipe(
    Effect.provide(
      SessionStore.layerFileSystem({ directory: dir + "/s" }).pipe(Layer.provide([NodeFileSystem.layer, Path.layer]))
    )
  )
)
console.log(fs.readFileSync(dir + "/s/k1.holdfast", "utf8").split("\n").slice(0, 2).join("\n").slice(0, 300))
fs.rmSync(dir, { recursive: true, force: true })
