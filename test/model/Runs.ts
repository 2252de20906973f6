/**
 * Runs random histories against the specification.
 */
import * as fc from "fast-check"
import { type Action, arbitraryActions } from "./Actions.ts"
import { compare, finish } from "./Finishing.ts"
import { perform } from "./Performing.ts"
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
  /** Looks at the world after each action. */
  readonly onStep?: ((world: World) => Promise<void>) | undefined
}

/** A history that once broke a rule. */
export interface Example {
  readonly title: string
  readonly setting?: Partial<Setting> | undefined
  readonly actions: ReadonlyArray<Action>
}

/** One step of a run: an action, and the comparison after it. */
class Step implements fc.AsyncCommand<Specification, World, boolean> {
  readonly action: Action
  private readonly onStep: Options["onStep"]

  constructor(action: Action, onStep?: Options["onStep"]) {
    this.action = action
    this.onStep = onStep
  }

  check(): boolean {
    return true
  }

  async run(_: Specification, world: World): Promise<void> {
    world.specification.event(`> ${this.toString()}`)
    await perform(world, this.action)
    await world.settleSlowly()
    await compare(world)
    await this.onStep?.(world)
  }

  toString(): string {
    return JSON.stringify(this.action)
  }
}

type History = fc.AsyncCommand<Specification, World, boolean>

const plain: Setting = { lookup: "none", jitter: 0, interleaving: 0, isBold: false, hooked: 0, isNumbered: true }

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
    isBold: fc.boolean(),
    hooked: fc.constantFrom(0, 0, 0, 1, 3),
    isNumbered: fc.constantFrom(true, true, false)
  })
  return fc.assert(
    fc.asyncProperty(
      setting,
      fc.commands(arbitraryActions().map((action) => action.map((each) => new Step(each, options.onStep))), {
        maxCommands: 30,
        size: "max"
      }),
      (setting, steps) => play(setting, steps, options)
    ),
    {
      numRuns: options.runs,
      ...(options.seed === undefined ? {} : { seed: options.seed }),
      ...(options.path === undefined ? {} : { path: options.path })
    }
  )
}
