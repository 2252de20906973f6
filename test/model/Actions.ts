/**
 * What can happen to sessions, as data: so that a counterexample can be read, kept and run again.
 */
import * as fc from "fast-check"
import type { Job, Variant } from "./Facts.ts"
import {
  type CancelMode,
  cancelModes,
  type Cut,
  cuts,
  type PollMode,
  pollModes,
  type StreamMode,
  streamModes,
  type SubmitMode,
  submitModes
} from "./SimulatedProvider.ts"
import { keys, type Point, processes } from "./World.ts"

export type Action =
  | {
    readonly do: "execute" | "stream"
    readonly process: number
    readonly key: string
    readonly variant: Variant
    /** Seconds. */
    readonly deadline?: number | undefined
    readonly onUncertainSubmit?: "fail" | "resubmit" | undefined
    readonly onInterrupt?: "cancel" | undefined
    readonly journal?: "ids-only" | undefined
    /** Seconds. */
    readonly submitTimeout?: number | undefined
  }
  | { readonly do: "resume"; readonly process: number; readonly key: string; readonly deadline: number }
  | { readonly do: "recover"; readonly process: number }
  | { readonly do: "interrupt"; readonly call: number }
  | { readonly do: "cancel"; readonly process: number; readonly key: string }
  | {
    readonly do: "adopt"
    readonly process: number
    readonly key: string
    /** `other` tells nobody whose it is; `foreign` says that it is another submission's. */
    readonly job: "right" | "other" | "foreign" | "unknown"
  }
  | { readonly do: "forget"; readonly process: number; readonly key: string; readonly force: boolean }
  | { readonly do: "prune"; readonly process: number; readonly minutes: number; readonly all: boolean }
  /** A job's webhook comes, perhaps before its end, or once more with the same id. */
  | { readonly do: "webhook"; readonly process: number; readonly job: number | "unknown"; readonly isRepeated: boolean }
  | { readonly do: "pass"; readonly seconds: number }
  | { readonly do: "crash" | "stop" | "start"; readonly process: number }
  | ({ readonly do: "meet"; readonly process: number } & Point)
  | { readonly do: "jump"; readonly process: number; readonly minutes: number }
  | { readonly do: "submits"; readonly mode: SubmitMode }
  | { readonly do: "polls"; readonly mode: PollMode }
  | { readonly do: "cancels"; readonly mode: CancelMode }
  | { readonly do: "streams"; readonly mode: StreamMode }
  | { readonly do: "cut"; readonly cut: Cut }
  | { readonly do: "write"; readonly job: number; readonly pieces: number }
  | { readonly do: "release"; readonly mode: "accept" | "refuse" | "lose" }
  | { readonly do: "job"; readonly job: number; readonly to: Job["status"] }
  | { readonly do: "vanish"; readonly job: number }

/** Actions, the common ones more often. */
export const arbitraryActions = (): Array<fc.Arbitrary<Action>> => {
  const process = fc.nat(processes - 1)
  const key = fc.constantFrom(...keys, keys[0], keys[0])
  const variant = fc.constantFrom<Variant>("A", "A", "A", "A", "B")
  const rarely = <A>(value: fc.Arbitrary<A>) => fc.option(value, { nil: undefined, freq: 3 })
  const execute = fc.record({
    do: fc.constantFrom("execute" as const, "execute" as const, "stream" as const),
    process,
    key,
    variant,
    deadline: fc.constantFrom(undefined, undefined, 300, 30),
    onUncertainSubmit: fc.constantFrom(undefined, undefined, undefined, "fail" as const, "resubmit" as const),
    onInterrupt: rarely(fc.constant("cancel" as const)),
    journal: rarely(fc.constant("ids-only" as const)),
    submitTimeout: rarely(fc.constant(10))
  })
  const pass = fc.record({ do: fc.constant("pass" as const), seconds: fc.constantFrom(1, 3, 10, 70, 400, 2000) })
  const job = fc.record({
    do: fc.constant("job" as const),
    job: fc.nat(3),
    to: fc.constantFrom<Job["status"]>(
      "running",
      "completed",
      "completed",
      "completed",
      "failed",
      "failed",
      "broken",
      "incomplete",
      "cancelled",
      "odd"
    )
  })
  const meet = fc.record({
    do: fc.constant("meet" as const),
    process,
    at: fc.constantFrom(
      "append Prepared",
      "append Submitting",
      "append NotSubmitted",
      "append Accepted",
      "append Ended",
      "append CancelRequested",
      "append Settled",
      "load",
      "submit",
      "poll",
      "cancel",
      "find",
      "stream",
      "event",
      "whose"
    ),
    when: fc.constantFrom("before" as const, "after" as const),
    effect: fc.constantFrom<Point["effect"]>("crash", "crash", "crash", "fail", 2, 90)
  })
  const rare = [
    fc.record({
      do: fc.constant("resume" as const),
      process,
      key,
      deadline: fc.constantFrom(30, 3600)
    }),
    fc.record({ do: fc.constant("recover" as const), process }),
    fc.record({ do: fc.constant("interrupt" as const), call: fc.nat(3) }),
    fc.record({ do: fc.constant("cancel" as const), process, key }),
    fc.record({
      do: fc.constant("adopt" as const),
      process,
      key,
      job: fc.constantFrom("right" as const, "right" as const, "other" as const, "foreign" as const, "unknown" as const)
    }),
    fc.record({ do: fc.constant("forget" as const), process, key, force: fc.boolean() }),
    fc.record({
      do: fc.constant("prune" as const),
      process,
      minutes: fc.constantFrom(0, 5),
      all: fc.boolean()
    }),
    fc.record({ do: fc.constant("streams" as const), mode: fc.constantFrom("fine" as const, ...streamModes) }),
    fc.record({ do: fc.constant("jump" as const), process, minutes: fc.constantFrom(-60, -1, 1, 60) }),
    fc.record({ do: fc.constant("vanish" as const), job: fc.nat(3) })
  ]
  const webhook = fc.record({
    do: fc.constant("webhook" as const),
    process,
    job: fc.oneof({ weight: 8, arbitrary: fc.nat(3) }, { weight: 1, arbitrary: fc.constant("unknown" as const) }),
    isRepeated: fc.boolean()
  })
  // A process that is slow where it counts: others come before it.
  const late = fc.record({
    do: fc.constant("meet" as const),
    process,
    at: fc.constantFrom("append Submitting", "append Accepted", "append Settled"),
    when: fc.constantFrom("before" as const, "after" as const),
    effect: fc.constantFrom<Point["effect"]>(2, 20, 90)
  })
  return [
    late,
    fc.constant<Action>({ do: "pass", seconds: 20 }),
    execute,
    execute,
    execute,
    pass,
    pass,
    pass,
    job,
    job,
    meet,
    meet,
    fc.record({ do: fc.constant("write" as const), job: fc.nat(3), pieces: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ do: fc.constant("cut" as const), cut: fc.constantFrom(...cuts) }),
    webhook,
    webhook,
    fc.record({ do: fc.constantFrom("crash" as const, "crash" as const, "stop" as const), process }),
    fc.record({ do: fc.constant("start" as const), process }),
    fc.record({ do: fc.constant("submits" as const), mode: fc.constantFrom(...submitModes) }),
    fc.record({ do: fc.constant("submits" as const), mode: fc.constantFrom(...submitModes) }),
    fc.record({ do: fc.constant("polls" as const), mode: fc.constantFrom("fine" as const, ...pollModes) }),
    fc.record({ do: fc.constant("cancels" as const), mode: fc.constantFrom(...cancelModes) }),
    fc.record({
      do: fc.constant("release" as const),
      mode: fc.constantFrom("accept" as const, "refuse" as const, "lose" as const)
    }),
    ...rare
  ]
}
