import { assert, describe, it } from "@effect/vitest"
import { BoundedMap } from "../../../src/strategies/internal/BoundedMap.ts"

describe("BoundedMap", () => {
  it("forgets the keys that were first set longest ago", () => {
    const map = new BoundedMap<string, number>(3)
    for (const [index, key] of ["a", "b", "c", "d", "e"].entries()) map.set(key, index)

    assert.deepStrictEqual([...map], [["c", 2], ["d", 3], ["e", 4]])
  })

  it("forgets nothing when a known key is set again, or after one was deleted", () => {
    const map = new BoundedMap<string, number>(2)
    map.set("a", 1).set("b", 1).set("a", 2)
    const before = [...map]
    map.delete("b")
    map.set("c", 3)

    assert.deepStrictEqual(before, [["a", 2], ["b", 1]])
    assert.deepStrictEqual([...map], [["a", 2], ["c", 3]])
  })
})
