/**
 * Runs random histories against the specification.
 */
import * as fc from "fast-check"
import { type Action, arbitraryActions, finish, Step } from "./Actions.ts"
import { lookups } from "./SimulatedProvider.ts"
import type { Specification } from "./Specification.ts"
import { type MakeStore, type Setting, World } from "./World.ts"

export interface Options {
  readonly runs: number
  readonly seed?: number | undefined
  readonly path?: string | undefined
  readonly isSlow?: boolean | undefined
  readonly makeStore: MakeStore
  readonly onRun?: (() => void) | undefined
}

/** A history that once broke a rule. */
export interface Example {
  readonly title: string
  readonly setting?: Partial<Setting> | undefined
  readonly actions: ReadonlyArray<Action>
}

type History = fc.AsyncCommand<Specification, World, boolean>

const plain: Setting = { lookup: "none", jitter: 0, interleaving: 0, isBold: false }

/** Plays one history and takes it to its end; rejects when a rule is broken. */
export const play = async (
  setting: Setting,
  steps: Iterable<History>,
  options: Omit<Options, "runs">
): Promise<void> => {
  const world = new World(setting, options.makeStore)
  world.isSlow = options.isSlow ?? false
  await world.open()
  try {
    await fc.asyncModelRun(() => ({ model: world.specification, real: world }), steps)
    await finish(world)
  } finally {
    await world.close()
    options.onRun?.()
  }
}

export const playExample = (example: Example, options: Omit<Options, "runs">): Promise<void> =>
  play({ ...plain, ...example.setting }, example.actions.map((action) => new Step(action)), options)

/** Plays random histories; rejects with the shortest one that breaks a rule. */
export const check = (options: Options): Promise<void> => {
  const setting = fc.record({
    lookup: fc.constantFrom("none" as const, ...lookups),
    jitter: fc.constantFrom(0, 0.5, 0.999),
    interleaving: fc.nat(1000),
    isBold: fc.boolean()
  })
  return fc.assert(
    fc.asyncProperty(
      setting,
      fc.commands(arbitraryActions(), { maxCommands: 30, size: "max" }),
      (setting, steps) => play(setting, steps, options)
    ),
    {
      numRuns: options.runs,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      ...(options.path === undefined ? {} : { path: options.path })
    }
  )
}
