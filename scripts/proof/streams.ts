/**
 * Streams that are cut at every pair of events, killed again and again, and 100 MB long; takes some minutes.
 *
 *     node scripts/proof/streams.ts [kills] [megabytes] [seed]
 */
import "../../test/fixtures/holdfast-source.ts"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Layer } from "effect"
import type { StoreAt } from "../../test/fixtures/proof/Job.ts"

const Postgres = await import("../../test/fixtures/Postgres.ts")
const Children = await import("../../test/fixtures/proof/Children.ts")
const Seed = await import("../../test/fixtures/proof/Seed.ts")
const Cuts = await import("../../test/fixtures/proof/StreamsCuts.ts")
const Flood = await import("../../test/fixtures/proof/StreamsFlood.ts")
const Watch = await import("../../test/fixtures/proof/StreamsWatch.ts")

const kills = Number(process.argv[2] ?? 20)
const megabytes = Number(process.argv[3] ?? 100)
const seed = Number(process.argv[4] ?? Math.floor(Math.random() * 2 ** 31))
const next = Seed.from(seed)
const say = (text: string): void => {
  process.stdout.write(`${text}\n`)
}

const cutAll = Effect.gen(function*() {
  let wrong = 0
  for (const model of ["gpt-4o", "gpt-5"]) {
    const result = yield* Cuts.play(yield* Cuts.pairs(model))
    say([...result.wrong, `${model}: ${result.scenes} pairs of cuts, ${result.reopened} streams reopened`].join("\n"))
    wrong += result.wrong.length
  }
  return wrong
}).pipe(Effect.provide(Cuts.layerSimulator))

const killAll = Effect.fnUntraced(function*(store: StoreAt) {
  let wrong = 0
  const count = { kills: 0, resumed: 0, replayed: 0, uncertain: 0 }
  while (count.kills < kills) {
    const result = yield* Watch.play({
      store,
      name: `${store._tag} ${count.kills}`,
      sessions: 12,
      processes: 1 + Math.floor(next() * 2),
      rounds: 1 + Math.floor(next() * 3),
      next
    })
    for (const claim of result.wrong) say(claim)
    wrong += result.wrong.length
    count.kills += result.kills
    count.resumed += result.resumed
    count.replayed += result.replayed
    count.uncertain += result.uncertain
  }
  say(`${store._tag}: ${JSON.stringify(count)}`)
  return wrong
})

const flood = Effect.gen(function*() {
  const { ahead, characters, growth, isWhole } = yield* Flood.readSlowly(megabytes, 5)
  for (const one of growth) {
    say(`${(one.characters / 1e6).toFixed(1)} M characters taken, ${(one.bytes / 1e6).toFixed(1)} MB more in use`)
  }
  const last = growth.at(-1)
  say(`${(characters / 1e6).toFixed(1)} M characters, ${(ahead / 1e6).toFixed(1)} MB ahead at most`)
  const [, ...times] = yield* Flood.timesOf([megabytes / 4, megabytes / 2, megabytes])
  say(`CPU for half of it and for all: ${times.map((millis) => `${Math.round(millis)} ms`).join(", ")}`)
  const isRight = isWhole && last !== undefined && ahead < Flood.mostAhead &&
    growth.every(({ bytes, characters }) => bytes <= Flood.allowed(characters)) && times[1]! / times[0]! <= 2.5
  return isRight ? 0 : 1
})

const all = Effect.gen(function*() {
  say(`seed ${seed}`)
  const { url } = yield* Postgres.Postgres
  const killed = Effect.gen(function*() {
    const program = yield* Children.Program
    return (yield* killAll({ _tag: "File", directory: program.folder("streams") })) +
      (yield* killAll({ _tag: "Postgres", url }))
  }).pipe(Effect.provide(Watch.layer))
  return (yield* cutAll) + (yield* killed) + (yield* flood)
}).pipe(Effect.provide(Layer.mergeAll(Children.layerProgram, Postgres.layer)))

// An interrupt closes the scopes: no child and no folder is left.
NodeRuntime.runMain(Effect.map(all, (wrong) => {
  process.exitCode = wrong === 0 ? 0 : 1
}))
