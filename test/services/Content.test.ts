import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { randomBytes } from "node:crypto"
import * as Content from "../../src/services/Content.ts"

const bytes = new Uint8Array([137, 80, 78, 71, 255, 0, 1])

const data = Buffer.from(bytes).toString("base64")

const png = { type: "data", mediaType: "image/png", data }

describe("Content", () => {
  it.each<[string, Content.ContentPartInput, unknown]>([
    ["a text", { type: "text", text: "" }, { type: "text", text: "" }],
    [
      "a remote image",
      { type: "image", url: "https://a.test/x.png" },
      { type: "image", source: { type: "url", url: "https://a.test/x.png" } }
    ],
    [
      "an image with detail",
      { type: "image", url: "https://a.test/x.png", detail: "high" },
      { type: "image", source: { type: "url", url: "https://a.test/x.png" }, detail: "high" }
    ],
    ["an image of bytes", { type: "image", data: bytes, mediaType: "image/png" }, { type: "image", source: png }],
    ["an image of base64", { type: "image", data, mediaType: "Image/PNG" }, { type: "image", source: png }],
    ["base64 with line breaks", {
      type: "image",
      data: `${data.slice(0, 4)}\r\n${data.slice(4)}`,
      mediaType: "image/png"
    }, {
      type: "image",
      source: png
    }],
    ["base64 without padding", { type: "image", data: data.replace(/=+$/, ""), mediaType: "image/png" }, {
      type: "image",
      source: png
    }],
    ["base64 of the url alphabet", {
      type: "image",
      data: Buffer.from(bytes).toString("base64url"),
      mediaType: "image/png"
    }, {
      type: "image",
      source: png
    }],
    ["a data url", { type: "image", url: `data:image/png;base64,${data}` }, { type: "image", source: png }],
    ["a data url in capitals", { type: "image", url: `DATA:IMAGE/PNG;BASE64,${data}` }, { type: "image", source: png }],
    ["a data url with parameters", { type: "image", url: `data:image/png;name=a.png;base64,${data}` }, {
      type: "image",
      source: png
    }],
    ["the Chat Completions form", {
      type: "image_url",
      image_url: { url: `data:image/png;base64,${data}`, detail: "low" }
    }, {
      type: "image",
      source: png,
      detail: "low"
    }],
    ["an uploaded image", { type: "image", fileId: "file-1" }, { type: "image", source: { type: "id", id: "file-1" } }],
    ["a percent-encoded data url", { type: "file", url: "data:,Hello%2C%20world" }, {
      type: "file",
      source: { type: "data", mediaType: "text/plain", data: Buffer.from("Hello, world").toString("base64") }
    }],
    ["a file with a name", { type: "file", data: bytes, mediaType: "application/pdf", filename: "a.pdf" }, {
      type: "file",
      source: { type: "data", mediaType: "application/pdf", data },
      filename: "a.pdf"
    }],
    ["an uploaded file", { type: "file", fileId: "file-1" }, { type: "file", source: { type: "id", id: "file-1" } }],
    ["a part as Holdfast keeps it", { type: "image", source: png as never }, { type: "image", source: png }],
    ["a kept part with a data url", { type: "image", source: { type: "url", url: `data:image/png;base64,${data}` } }, {
      type: "image",
      source: png
    }]
  ])("reads %s", (_, input, expected) => {
    assert.deepStrictEqual(JSON.parse(JSON.stringify(decode(input))), expected)
  })

  it("decodes what it decoded to the same part", () => {
    for (
      const input of [
        { type: "image", url: `data:image/png;base64,${data}`, detail: "auto" },
        { type: "file", data: bytes, mediaType: "a/b", filename: "x" },
        { type: "text", text: "x" }
      ]
    ) {
      const once = decode(input)

      assert.deepStrictEqual(decode(once), once)
    }
  })

  it.each<[string, string]>([
    ["no bytes", ""],
    ["padding alone", "===="],
    ["bits that are no byte", "AB=="],
    ["too much padding", "AAE==="]
  ])("rewrites base64 of %s", (_, data) => {
    assert.strictEqual(dataOf({ type: "file", data, mediaType: "a/b" }), Buffer.from(data, "base64").toString("base64"))
  })

  describe.each([262_143, 262_144, 262_145, 786_432, 1_000_003])("with contents of %i bytes", (size) => {
    const large = randomBytes(size)
    const base64 = large.toString("base64")

    it.each<[string, Content.ContentPartInput]>([
      ["bytes", { type: "file", data: new Uint8Array(large), mediaType: "a/b" }],
      ["base64", { type: "file", data: base64, mediaType: "a/b" }],
      ["lines", { type: "file", data: base64.replace(/.{76}/g, "$&\r\n"), mediaType: "a/b" }],
      ["the url alphabet", { type: "file", data: large.toString("base64url"), mediaType: "a/b" }],
      ["a data url", { type: "file", url: `data:a/b;base64,${base64}` }]
    ])("reads them from %s", (_, input) => {
      assert.isTrue(dataOf(input) === base64)
    })

    it.each([0, 1, 131_072, 262_143, 262_144, size])("refuses a wrong sign at %i of their base64", (at) => {
      for (const sign of ["?", "=", "\u0141"]) {
        assert.throws(() =>
          decode({ type: "file", data: base64.slice(0, at) + sign + base64.slice(at + 1), mediaType: "a/b" })
        )
      }
    })
  })

  it.each<[string, string]>([
    ["escapes", "\u00e9"],
    ["escapes of pairs", "a\ud83d\ude80"],
    ["letters", "a"],
    ["letters that are no digits", "xyz"],
    ["pairs that are not escaped", "\ud83d\ude80!"]
  ])("reads a large percent-encoded data url of %s", (_, unit) => {
    const text = unit.repeat(400_000)
    for (const start of ["", "x", "xy", "%"]) {
      const url = `data:,${start === "%" ? "%25" : start}${
        /[!-~]/.test(unit.at(-1) ?? "") ? text : encodeURIComponent(text)
      }`

      assert.isTrue(dataOf({ type: "file", url }) === Buffer.from(start + text).toString("base64"))
    }
  })

  it.each<[string, unknown]>([
    ["an unknown type", { type: "audio", data: "SECRET" }],
    ["an image without a source", { type: "image" }],
    ["an empty url", { type: "image", url: "" }],
    ["broken base64", { type: "image", data: "SECRET?", mediaType: "image/png" }],
    ["base64 of an impossible length", { type: "image", data: "AAAAA", mediaType: "image/png" }],
    ["a data url without a comma", { type: "image", url: "data:image/png;base64" }],
    ["a data url of broken base64", { type: "image", url: "data:image/png;base64,SECRET?" }],
    ["a data url of broken percent signs", { type: "file", url: "data:,%SECRET" }],
    ["an unknown detail", { type: "image", url: "https://a.test/x.png", detail: "SECRET" }],
    ["bytes without a media type", { type: "image", data: bytes }],
    ["a kept part of broken base64", { type: "image", source: { ...png, data: "SECRET?" } }],
    ["base64 with padding in the middle", { type: "image", data: "AA==AAAA", mediaType: "image/png" }],
    ["letters whose low byte is one of base64", { type: "image", data: "\u0141AAA", mediaType: "image/png" }]
  ])("refuses %s", (_, input) => {
    assert.throws(() => decode(input))
  })
})

const decode = Schema.decodeUnknownSync(Content.ContentPartFromInput)

const dataOf = (input: Content.ContentPartInput): string => {
  const part = decode(input)
  assert.isTrue(part.type !== "text" && part.source.type === "data")
  return part.type !== "text" && part.source.type === "data" ? part.source.data : ""
}
