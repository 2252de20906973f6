import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { Effect, Exit, FileSystem, Scope } from "effect"
import * as fs from "node:fs"
const dir = "/work/main/test/.zz2"
fs.rmSync(dir, { recursive: true, force: true })
fs.mkdirSync(dir)
const N = 1000
const b = Buffer.alloc(500, "x")
const main = Effect.gen(function*() {
  const s = yield* FileSystem.FileSystem
  const time = function*(name: string, e: Effect.Effect<unknown, unknown, any>) {
    const t = performance.now()
    for (let i = 0; i < N; i++) yield* e as Effect.Effect<unknown>
    console.log(name, ((performance.now() - t) / N * 1000).toFixed(0))
  }
  for (let r = 0; r < 2; r++) {
    const scope = yield* Scope.make()
    const f = yield* s.open(dir + "/a", { flag: "a+" }).pipe(Scope.provide(scope))
    yield* time("fstat", f.stat)
    yield* time("stat", s.stat(dir + "/a"))
    yield* time("read", f.readAlloc(600, { position: 0n }))
    yield* time("write", f.write(b))
    yield* time("write+sync", Effect.andThen(f.write(b), f.sync))
    yield* time("open+close", Effect.scoped(s.open(dir + "/a", { flag: "a+" })))
    yield* time(
      "open+write+sync+close",
      Effect.scoped(Effect.flatMap(s.open(dir + "/a", { flag: "a+" }), (f) => Effect.andThen(f.write(b), f.sync)))
    )
    yield* time(
      "open+fstat+write+sync+stat+close",
      Effect.scoped(
        Effect.flatMap(
          s.open(dir + "/a", { flag: "a+" }),
          (f) => Effect.andThen(Effect.andThen(f.stat, Effect.andThen(f.write(b), f.sync)), s.stat(dir + "/a"))
        )
      )
    )
    const fd = fs.openSync(dir + "/b", "a")
    let t = performance.now()
    for (let i = 0; i < N; i++) {
      fs.writeSync(fd, b)
      fs.fdatasyncSync(fd)
    }
    console.log("bare", ((performance.now() - t) / N * 1000).toFixed(0))
    t = performance.now()
    const h = yield* Effect.promise(() => fs.promises.open(dir + "/b", "a"))
    yield* Effect.promise(async () => {
      for (let i = 0; i < N; i++) {
        await h.write(b)
        await h.datasync()
      }
      await h.close()
    })
    console.log("bare async", ((performance.now() - t) / N * 1000).toFixed(0))
    yield* Scope.close(scope, Exit.void)
  }
})
await Effect.runPromise(main.pipe(Effect.provide(NodeFileSystem.layer)) as any)
fs.rmSync(dir, { recursive: true, force: true })
