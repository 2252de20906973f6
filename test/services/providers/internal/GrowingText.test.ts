import { assert, describe, it } from "@effect/vitest"
import { grow, GrowingText, grown, grownFields } from "../../../../src/services/providers/internal/GrowingText.ts"

describe("GrowingText", () => {
  it("is all of its pieces, in order, however many there are", () => {
    const pieces = Array.from({ length: 30_000 }, (_, index) => `${index} ü😀\n`)
    const text = new GrowingText("")
    for (const piece of pieces) text.append(piece)

    assert.strictEqual(text.text, pieces.join(""))
    assert.strictEqual(text.append("").append("x".repeat(100_000)).text, `${pieces.join("")}${"x".repeat(100_000)}`)
  })

  it("grows out of a string, and is the same one from then on", () => {
    const text = grow("One", ", two")

    assert.strictEqual(grow(text, ", three"), text)
    assert.strictEqual(text.text, "One, two, three")
  })

  it("becomes a string wherever it is", () => {
    const text = () => grow("a", "b")
    const fields = { text: text(), calls: [{ arguments: text(), index: 0 }, null, "c"], usage: null, count: 1 }

    assert.deepStrictEqual(grownFields(fields), {
      text: "ab",
      calls: [{ arguments: "ab", index: 0 }, null, "c"],
      usage: null,
      count: 1
    })
    assert.deepStrictEqual([grown(text()), grown("c"), grown(undefined)], ["ab", "c", undefined])
  })
})
