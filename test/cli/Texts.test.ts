import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"
import * as fc from "fast-check"
import * as Durations from "../../src/cli/Durations.ts"
import * as NextCommands from "../../src/cli/NextCommands.ts"
import * as Pieces from "../../src/cli/Pieces.ts"
import { oneLine, printable } from "../../src/cli/Printable.ts"
import * as SessionKey from "../../src/cli/SessionKey.ts"

describe("Durations", () => {
  for (
    const [text, millis] of [
      ["500ms", 500],
      ["90s", 90_000],
      ["10m", 600_000],
      ["1h30m", 5_400_000],
      ["1.5 hours", 5_400_000],
      ["10 minutes", 600_000],
      ["2d", 172_800_000]
    ] as const
  ) {
    it(`reads ${text}`, () => assert.deepStrictEqual(Durations.parse(text), Option.some(Duration.millis(millis))))
  }

  for (const text of ["", "10", "m", "-5s", "0s", "5 fortnights", "1e3s", "10m!"]) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.deepStrictEqual(Durations.parse(text), Option.none()))
  }

  it("writes durations as people read them", () =>
    assert.deepStrictEqual(
      [80, 9_949, 9_951, 59_400, 60_000, 185_000, 3_720_000].map((millis) => Durations.format(Duration.millis(millis))),
      ["0.1 s", "9.9 s", "10 s", "59 s", "1 min 00 s", "3 min 05 s", "1 h 02 min"]
    ))
})

describe("Printable", () => {
  for (
    const [title, text, expected] of [
      ["colours", "\x1b[1;31mred\x1b[0m", "red"],
      ["titles", "a\x1b]0;title\x07b\x1b]2;title\x1b\\c", "abc"],
      ["clipboard writes", "\x1b]52;c;AAAA\x07x", "x"],
      ["device strings", "\x1bPq#0\x1b\\x", "x"],
      ["eight-bit sequences", "\x9b31mred\x9d0;t\x9cx", "redx"],
      ["unfinished sequences", "x\x1b[31", "x"],
      ["unfinished strings", "x\x1b]0;title", "x"],
      ["single escapes", "a\x1bcb\x1b(Bc", "abc"],
      ["carriage returns and bells", "good\rbad\x07\b", "goodbad"],
      ["line breaks and tabs, which stay", "a\r\nb\tc\n", "a\nb\tc\n"]
    ] as const
  ) {
    it(`strips ${title}`, () => assert.strictEqual(printable(text), expected))
  }

  it("cuts a line", () => assert.strictEqual(oneLine("one\n two  three", 9), "one two …"))
})

describe("Pieces", () => {
  it("are the whole text, without escapes on a terminal, wherever it is cut", () => {
    const marks = [
      "\x1b",
      "[",
      "3",
      "m",
      "]",
      "0",
      ";",
      "\x07",
      "\\",
      "\x9b",
      "\x9d",
      "\x9c",
      "\r",
      "\n",
      "P",
      " ",
      "a"
    ]
    const parts = fc.array(fc.array(fc.constantFrom(...marks, "\ud83d\ude00")).map((some) => some.join("")))
    fc.assert(
      fc.property(parts, fc.boolean(), (parts, forTerminal) => {
        const pieces = Pieces.make(forTerminal)
        const shown = parts.map(pieces.next).join("") + pieces.rest()
        assert.strictEqual(shown, forTerminal ? printable(parts.join("")) : parts.join(""))
      }),
      { numRuns: 2000 }
    )
  })

  it("keeps the halves of a character together", () => {
    const pieces = Pieces.make(false)
    assert.deepStrictEqual([pieces.next("a\ud83d"), pieces.next("\ude00b"), pieces.rest()], ["a", "\ud83d\ude00b", ""])
  })
})

describe("SessionKey", () => {
  it.effect("makes keys that need no quotes and differ", () =>
    Effect.gen(function*() {
      const keys = yield* Effect.forEach(Array.from({ length: 500 }), () => SessionKey.fresh)

      assert.strictEqual(new Set(keys).size, 500)
      for (const key of keys) assert.match(key, /^[a-z]+-[a-z]+-[a-z2-9]{5}$/)
    }))
})

describe("NextCommands", () => {
  it.effect("quotes what a shell would take apart", () =>
    Effect.gen(function*() {
      const next = yield* NextCommands.make(Option.some("/tmp/it's mine"))

      assert.strictEqual(next.resume("a b"), "holdfast resume --store '/tmp/it'\\''s mine' 'a b'")
      assert.strictEqual(next.forget("-x", true), "holdfast sessions forget --force --store '/tmp/it'\\''s mine' -- -x")
      assert.strictEqual(
        (yield* NextCommands.make(Option.none())).adopt("s", "resp_1"),
        "holdfast sessions adopt s resp_1"
      )
      assert.deepStrictEqual(["s", "a b", "-x"].map(NextCommands.sessionFlag), [
        "--session s",
        "--session 'a b'",
        "--session=-x"
      ])
    }))
})
