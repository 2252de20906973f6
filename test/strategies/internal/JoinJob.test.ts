import { assert, describe, it } from "@effect/vitest"
import { Session } from "holdfast"
import * as Decision from "../../../src/strategies/internal/Decision.ts"
import {
  busy,
  endedJob,
  factsOf,
  filtered,
  final,
  job,
  notSubmitted,
  planOf,
  received,
  refusal,
  submitting,
  unusable
} from "./Decisions.ts"

interface Row {
  readonly when: string
  readonly entries: ReadonlyArray<Session.Entry>
  readonly models: string
  readonly from?: number
  readonly joined: { readonly models: string; readonly position: number; readonly passedOver?: ReadonlyArray<string> }
}

const join = ({ entries, from = 0, models }: Pick<Row, "entries" | "from" | "models">) => {
  const state = Session.fold(entries)
  const job = Session.jobsOf(state)[0]
  assert.isDefined(job)
  const { plan, position } = Decision.joinJob(state, planOf(models), factsOf({ position: from }), job)
  return { plan, position, passedOver: Decision.passedOverBefore(state, job.id) }
}

const namesOf = ({ candidates }: Decision.Plan): string =>
  candidates.map(({ model }) => model.replace("test/", "")).join(" ")

const rows: ReadonlyArray<Row> = [
  { when: "of the first model", entries: job("s1"), models: "a b", joined: { models: "a b", position: 0 } },
  { when: "of the last model", entries: job("s1", "test/b"), models: "a b", joined: { models: "a b", position: 1 } },
  {
    when: "of the next model after one that has ended for good",
    entries: [...endedJob("s1", filtered), ...job("s2", "test/b")],
    models: "a b",
    joined: { models: "a b", position: 1, passedOver: ["test/a ContentFiltered"] }
  },
  {
    when: "of a model that stands twice in the plan",
    entries: [...endedJob("s1", filtered), ...endedJob("s2", filtered, "test/b"), ...job("s3")],
    models: "a b a",
    joined: { models: "a b a", position: 2, passedOver: ["test/b ContentFiltered"] }
  },
  {
    when: "of a model that the plan does not name",
    entries: job("s1", "test/x"),
    models: "a b",
    joined: { models: "x a b", position: 0 }
  },
  {
    when: "of a model that the plan does not name, after one that has ended for good",
    entries: [...endedJob("s1", filtered), ...job("s2", "test/x")],
    models: "a b",
    joined: { models: "a x b", position: 1, passedOver: ["test/a ContentFiltered"] }
  },
  {
    when: "of a model that the plan does not name, after all have ended for good",
    entries: [...endedJob("s1", filtered), ...endedJob("s2", filtered, "test/b"), ...job("s3", "test/x")],
    models: "a b",
    joined: { models: "a b x", position: 2, passedOver: ["test/a ContentFiltered", "test/b ContentFiltered"] }
  },
  {
    when: "of a model that the plan does not name, when the run has passed over the first",
    entries: [submitting("s1"), notSubmitted("s1", busy), ...job("s2", "test/x")],
    models: "a b",
    from: 1,
    joined: { models: "a x b", position: 1, passedOver: ["test/a Overloaded"] }
  },
  {
    when: "of a model that the run has passed over",
    entries: job("s1"),
    models: "a b",
    from: 1,
    joined: { models: "a a b", position: 1 }
  },
  {
    when: "of a model that was asked again after it had ended for good",
    entries: [...endedJob("s1", filtered), ...job("s2")],
    models: "a b",
    joined: { models: "a a b", position: 1 }
  }
]

describe("joinJob", () => {
  describe("takes the place of the run that sent a job", () => {
    for (const { joined, when, ...row } of rows) {
      it(when, () => {
        const { passedOver, plan, position } = join(row)

        assert.deepStrictEqual(
          {
            models: namesOf(plan),
            position,
            passedOver: passedOver.map(({ model, reason }) => `${model} ${reason._tag}`)
          },
          { passedOver: [], ...joined }
        )
      })
    }
  })

  it.each([
    { what: "that it has passed over", entries: job("s1"), from: 1 },
    { what: "that had ended for good", entries: [...endedJob("s1", filtered), ...job("s2")], from: 0 }
  ])("asks the model that comes next when the job of a model $what fails", ({ entries, from }) => {
    const { plan, position } = join({ entries, models: "a b", from })
    const job = Session.jobsOf(Session.fold(entries))[0]
    const { facts } = received(entries, job?.id ?? "", final(filtered), { position })
    const step = Decision.next(Session.fold(entries), plan, factsOf(facts))

    assert.deepInclude(step, { _tag: "NextModel", position: position + 1 })
    assert.strictEqual(plan.candidates[position + 1]?.model, "test/b")
  })
})

describe("leavesQueue", () => {
  it.each([
    { what: "there is another model", plan: planOf("a b"), position: 0, leaves: true },
    { what: "there is none", plan: planOf("a b"), position: 1, leaves: false },
    { what: "the other one cannot be asked", plan: planOf("a b"), position: 0, without: ["test/b"], leaves: false },
    { what: "`fallbackOn` does not name it", plan: planOf("a b", { fallbackOn: [] }), position: 0, leaves: false },
    { what: "there is no request", plan: undefined, position: 0, leaves: false }
  ])("is $leaves when $what", ({ leaves, plan, position, without }) => {
    assert.strictEqual(
      Decision.leavesQueue(plan, factsOf({ position, unusable: unusable(...(without ?? [])) })),
      leaves
    )
  })
})

describe("fallbackReasons", () => {
  it("are those of the plan, but for the last model and without a request", () => {
    const plan = planOf("a b", { fallbackOn: ["Queued"] })

    assert.deepStrictEqual(
      [
        Decision.fallbackReasons(plan, factsOf()),
        Decision.fallbackReasons(plan, factsOf({ position: 1 })),
        Decision.fallbackReasons(undefined, factsOf())
      ],
      [["Queued"], undefined, undefined]
    )
  })
})

describe("passedOverBefore", () => {
  it("names each model once, with its last reason, and not the model of the submission", () => {
    const state = Session.fold([
      ...endedJob("s1", filtered),
      ...endedJob("s2", refusal),
      ...endedJob("s3", filtered, "test/b"),
      ...job("s4", "test/b"),
      ...endedJob("s5", filtered, "test/c")
    ])

    assert.deepStrictEqual(Decision.passedOverBefore(state, "s4").map(({ model, reason }) => [model, reason._tag]), [
      ["test/a", "Refusal"]
    ])
    assert.deepStrictEqual(Decision.passedOverBefore(state, "unknown"), [])
  })
})
