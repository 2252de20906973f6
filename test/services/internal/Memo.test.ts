import { assert, describe, it } from "@effect/vitest"
import { getOrMake } from "../../../src/services/internal/Memo.ts"

describe("Memo", () => {
  it("makes the value of a key once", () => {
    const values = new Map<string, number>()
    let made = 0
    const get = (key: string) => getOrMake(values, key, () => ++made, 2)

    assert.deepStrictEqual(["a", "a", "b", "a"].map(get), [1, 1, 2, 1])
  })

  it("gives up the value that was made first when there are too many", () => {
    const values = new Map<string, string>()
    for (const key of ["a", "b", "a", "c"]) getOrMake(values, key, () => key, 2)

    assert.deepStrictEqual([...values.keys()], ["b", "c"])
  })
})
