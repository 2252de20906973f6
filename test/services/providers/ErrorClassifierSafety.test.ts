import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schema } from "effect"
import { ProviderError } from "../../../src/errors/ProviderError.ts"
import * as ErrorClassifier from "../../../src/services/providers/ErrorClassifier.ts"

describe("ErrorClassifier, for hostile input", () => {
  describe("never says a key", () => {
    it.each(keyTexts)("in the words %s", (text, kept) => {
      const message = http(400, { error: { message: text } }).verdict.reason.message

      assert.strictEqual(message, kept)
    })

    it.effect.prop(
      "that it was given, wherever it stands",
      { before: Schema.String, after: Schema.String, place: Schema.Literals(places) },
      ({ after, before, place }) =>
        Effect.sync(() => {
          const text = `${before}${key}${after}`
          for (const error of planted(place, text)) {
            const json = written(error)
            assert.notInclude(json, key)
            assert.notInclude(json, key.slice(0, 12))
            assert.notInclude(json, key.slice(-12))
          }
        }),
      { arbitrary: { runs: 300 } }
    )

    it("that is cut by the cap, or shown in part", () => {
      for (const length of [1995, 8185, 7160, 8192 - key.length + 1]) {
        const message = http(400, { error: { message: "x".repeat(length) + key } }, [key]).verdict.reason.message
        assert.notInclude(message, key.slice(0, 10))
      }
      const shown = http(401, { error: { message: `Wrong key ${key.slice(0, 14)}, ending in ${key.slice(-11)}` } }, [
        key
      ])
      assert.strictEqual(shown.verdict.reason.message, "Wrong key [redacted], ending in [redacted]")
    })

    it("but leaves placeholders alone", () => {
      const error = http(400, { error: { message: "ollama is busy" } }, ["ollama", ""])

      assert.strictEqual(error.verdict.reason.message, "ollama is busy")
    })
  })

  describe("is total", () => {
    it.each(hostile)("for %s", (_name, value) => {
      for (const error of everyWay(value)) assertSound(error)
    })

    it.effect.prop(
      "for any JSON",
      { value: Schema.Json, status: Schema.Int },
      ({ status, value }) =>
        Effect.sync(() => {
          for (const error of [...everyWay(value), http(status, value), http(status, JSON.stringify(value))]) {
            assertSound(error)
          }
        }),
      { arbitrary: { runs: 300 } }
    )

    it.effect.prop(
      "for any text in any field",
      { text: Schema.String, place: Schema.Literals(places) },
      ({ place, text }) =>
        Effect.sync(() => {
          for (const error of planted(place, text)) assertSound(error)
        }),
      { arbitrary: { runs: 300 } }
    )

    it.each(adversarial)("for a million characters of %s", (_name, unit) => {
      const text = unit.repeat(Math.ceil(1_000_000 / unit.length))
      for (const place of places) {
        for (const error of planted(place, text)) assertSound(error)
      }
    })

    it("keeps one line without control characters, capped", () => {
      const error = http(400, {
        error: { message: `one\r\n\ttwo\u0000\u001b[31m\u202e ${"long ".repeat(1000)}`, code: "c".repeat(500) }
      })
      const { code, message } = error.verdict.reason

      assert.isTrue(message.startsWith("one two[31m long"))
      assert.lengthOf(message, 2000)
      assert.lengthOf(code ?? "", 200)
    })

    it("names the page of an HTML answer instead of quoting it", () => {
      const error = http(503, "<!doctype html><html><head><title>Just a moment…</title></head><body>x</body></html>")

      assert.strictEqual(error.verdict.reason.message, "HTML instead of JSON: Just a moment…")
    })
  })
})

const key = "sk-proj-Zq9vT3nLw8Rk2Hc5Yb7Xd1Mf4Jg6Ps0A"

/** Words, and what is left of them. */
const keyTexts: Array<readonly [string, string]> = [
  [`Incorrect API key provided: ${key}.`, "Incorrect API key provided: [redacted]."],
  ["Incorrect API key provided: sk-ab***wxyz. See docs", "Incorrect API key provided: [redacted] See docs"],
  ["no sk-ant-api03-AAAAbbbbCCCC1234-_x here", "no [redacted] here"],
  ["url ?key=AIzaSyA1234567890abcdefghijk&x=1", "url ?key=[redacted]&x=1"],
  ["gsk_abcdefghijklmnop1234 xai-abcdefghijklmnop1234 hf_abcdefghijklmnop1234", "[redacted] [redacted] [redacted]"],
  ["header Authorization: Bearer abcdef123456 sent", "header Authorization: [redacted] [redacted] sent"],
  ["Bearer abcdefgh12345678 sent", "Bearer [redacted] sent"],
  ["{\"api-key\": \"0123456789abcdef\"}", "{\"api-key\": \"[redacted]\"}"],
  ["token eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln", "token [redacted]"],
  ["id AKIAIOSFODNN7EXAMPLE", "id [redacted]"],
  ["secret=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "secret=[redacted]"],
  ["https://user:password@host/v1", "https://[redacted]@host/v1"],
  ["the token 'x' is not a key of the task", "the token 'x' is not a key of the task"]
]

const places = [
  "message",
  "code",
  "type",
  "param",
  "status",
  "detail",
  "text",
  "header",
  "thrown",
  "cause",
  "nested"
] as const

const hostile: Array<readonly [string, unknown]> = [
  ["a proxy that throws on everything", proxyThatThrows()],
  ["a revoked proxy", revoked()],
  ["a proxy that is all proxies", proxyOfProxies()],
  [
    "getters that throw",
    Object.defineProperties({}, {
      status: {
        get: () => {
          throw new Error("no")
        }
      },
      error: {
        get: () => {
          throw new Error("no")
        }
      },
      message: {
        get: () => {
          throw new Error("no")
        }
      },
      cause: {
        get: () => {
          throw new Error("no")
        }
      }
    })
  ],
  ["a cycle", cycle()],
  ["a body that is a cycle", { error: cycle() }],
  [
    "an error that is its own cause",
    Object.assign(new Error("x"), {
      get cause(): unknown {
        return this
      }
    })
  ],
  ["headers that throw", {
    status: 500,
    headers: {
      get: () => {
        throw new Error("no")
      }
    }
  }],
  ["headers of another make", { status: 500, headers: 5 }],
  ["a status of another make", { status: { valueOf: () => 429 }, error: { code: {}, message: [], type: Symbol("x") } }],
  ["a status out of range", { status: Number.MAX_VALUE }],
  ["a status that is no number", { status: Number.NaN }],
  ["toJSON and toString that throw", { toJSON: throws, toString: throws, [Symbol.toPrimitive]: throws }],
  ["no prototype", Object.assign(Object.create(null), { message: "x" })],
  ["a symbol", Symbol("x")],
  ["a function", () => 1],
  ["a class", class A {}],
  ["a BigInt", 10n],
  ["a Date", new Date(Number.NaN)],
  ["a Map", new Map([["error", 1]])],
  ["bytes", new Uint8Array(1000)],
  ["null", null],
  ["zero", 0],
  ["a lone surrogate", { error: { message: "\ud800", code: "\udfff" } }],
  ["deep JSON", "[".repeat(100_000)],
  ["deep objects", deep(10_000)],
  ["many causes", Array.from({ length: 1000 }).reduce<Error>((cause, _) => new Error("x", { cause }), new Error("y"))],
  ["many errors", new AggregateError(Array.from({ length: 10_000 }, () => new Error("x")))]
]

const adversarial: Array<readonly [string, string]> = [
  ["a", "a"],
  ["spaces", " "],
  ["asterisks", "*"],
  ["hyphens", "-"],
  ["key=", "key="],
  ["a-key-", "a-key-"],
  ["sk-", "sk-"],
  ["eyJ", "eyJa."],
  ["Bearer", "Bearer "],
  ["://a:", "://a:"],
  ["limits", "limit 1 requested "],
  ["digits", "1"],
  ["durations", "try again in 1"],
  ["context patterns", "current length is maximum input length is "],
  ["brackets", "{\"error\":"],
  ["HTML", "<title>"],
  ["lone surrogates", "\ud800"],
  ["control characters", "\u0000\n"],
  ["the key", key]
]

const context: ErrorClassifier.Context = { provider: "test", operation: "submit", now: Date.UTC(2026, 10, 22) }

function http(status: number, body: unknown, keys: ReadonlyArray<string> = []): ProviderError {
  return ErrorClassifier.fromBody({ status, headers: {}, body }, {
    ...context,
    keys: keys.map((key) => Redacted.make(key))
  })
}

function thrownBy(f: () => unknown): unknown {
  try {
    return f()
  } catch (error) {
    return error
  }
}

function throws(): never {
  throw new Error("no")
}

function proxyThatThrows(): unknown {
  return new Proxy(() => 1, new Proxy({}, { get: () => throws }))
}

function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  return proxy
}

function proxyOfProxies(): unknown {
  const proxy: unknown = new Proxy(() => proxy, { get: () => proxy, has: () => true })
  return proxy
}

function cycle(): unknown {
  const value: Record<string, unknown> = { message: "x" }
  return Object.assign(value, { error: value, cause: value, detail: value, errors: [value], response: value })
}

function deep(levels: number): unknown {
  let value: unknown = "x"
  for (let i = 0; i < levels; i++) value = { error: value }
  return value
}

const everyWay = (value: unknown): ReadonlyArray<ProviderError> => {
  const job = ErrorClassifier.jobFailure(value, undefined, context)
  return [
    ErrorClassifier.classify(value, context),
    ErrorClassifier.classify(thrownBy(() => new Error("x", { cause: value })), context),
    ErrorClassifier.fromBody({ status: 500, headers: value, body: value }, context),
    ErrorClassifier.fromBody({ body: value }, context),
    ErrorClassifier.classify({ status: 400, headers: value, error: value }, context),
    new ProviderError({ verdict: job, evidence: "Uncertain" })
  ]
}

function planted(place: typeof places[number], text: string): ReadonlyArray<ProviderError> {
  const keyed = { ...context, keys: [Redacted.make(key)] }
  switch (place) {
    case "text":
      return [ErrorClassifier.fromBody({ status: 500, body: text }, keyed)]
    case "detail":
      return [ErrorClassifier.fromBody({ status: 422, body: { detail: [{ loc: [text], msg: text }] } }, keyed)]
    case "header":
      return [
        ErrorClassifier.fromBody(
          { status: 500, headers: { "x-request-id": text, "retry-after": text }, body: "" },
          keyed
        )
      ]
    case "thrown":
      return [
        ErrorClassifier.classify(new TypeError(text), keyed),
        ErrorClassifier.classify(text, keyed),
        ErrorClassifier.classify(Object.assign(new Error(text), { status: 401, requestID: text, code: text }), keyed)
      ]
    case "cause": {
      const cause = Object.assign(new Error(text), { code: text, syscall: text, name: text })
      return [ErrorClassifier.classify(new TypeError("fetch failed", { cause }), keyed)]
    }
    case "nested": {
      const error = { error: { error: { message: text, metadata: { raw: text }, details: [{ reason: text }] } } }
      return [ErrorClassifier.fromBody({ body: error }, keyed)]
    }
    default: {
      const body = { error: { message: "Words", [place]: text } }
      return [
        ErrorClassifier.fromBody({ status: 400, body }, keyed),
        new ProviderError({ verdict: ErrorClassifier.jobFailure(body, undefined, keyed), evidence: "Uncertain" })
      ]
    }
  }
}

const assertSound = (error: ProviderError): void => {
  const { code, message, param, requestId, type } = error.verdict.reason
  assert.isTrue(message.length > 0 && message.length <= 2000)
  for (const word of [code, type, param, requestId]) assert.isTrue((word ?? "").length <= 200)
  for (const text of [message, code, type, param, requestId]) {
    assert.notMatch(text ?? "", /\p{Cc}/u)
    assert.notInclude(text ?? "", key)
  }
  const codec = Schema.toCodecJson(ProviderError)
  assert.deepStrictEqual(
    Schema.decodeSync(codec)(Schema.encodeSync(codec)(error)).verdict._tag,
    error.verdict._tag
  )
}

const written = (error: ProviderError): string =>
  JSON.stringify(Schema.encodeSync(Schema.toCodecJson(ProviderError))(error))
