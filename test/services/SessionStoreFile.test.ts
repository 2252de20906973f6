import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, FileSystem, Layer, PlatformError, Result, Schema, Stream } from "effect"
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { inspect } from "node:util"
import * as SessionStoreError from "../../src/errors/SessionStoreError.ts"
import * as JournalFile from "../../src/services/internal/JournalFile.ts"
import * as Session from "../../src/services/Session.ts"
import * as SessionStore from "../../src/services/SessionStore.ts"

describe("SessionStoreFile", () => {
  describe("the folder", () => {
    it.effect("is made for its owner only, and so are its files", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const nested = path.join(directory, "a", "b")
        const store = yield* open(nested)
        yield* appendAll(store, "key", [prepared("1")])

        assert.strictEqual(fs.statSync(nested).mode & 0o777, 0o700)
        assert.strictEqual(fs.statSync(path.dirname(nested)).mode & 0o777, 0o700)
        assert.strictEqual(fs.statSync(path.join(nested, "key.holdfast")).mode & 0o777, 0o600)
      })))

    it.effect("holds names that are short, in lower case, and the same for the same key", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        const keys = ["contract-42", "../x", "a/b", "..", "A", "\u00e9", "e\u0301", "\ud800", "con", "k".repeat(10_240)]
        for (const key of keys) yield* appendAll(store, key, [prepared(key)])
        const names = fs.readdirSync(directory)

        assert.strictEqual(new Set(names.map((name) => name.normalize("NFD").toLowerCase())).size, keys.length)
        for (const name of names) assert.match(name, /^[a-z0-9_%-]{1,128}(?:~[0-9a-f]{64})?\.holdfast$/)
        assert.isAtMost(Math.max(...names.map((name) => Buffer.byteLength(name))), 143)
        assert.includeMembers(names, [
          "contract-42.holdfast",
          "%2e%2e%2fx.holdfast",
          "%41.holdfast",
          "%e9.holdfast",
          "e%u0301.holdfast",
          "%63on.holdfast"
        ])
        assert.sameMembers(yield* Stream.runCollect(store.list), keys)
      })))

    it.effect("may hold other files, which are neither listed nor touched", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const foreign = [
          "README.md",
          "UPPER.holdfast",
          ".holdfast-removed",
          "x.holdfast.bak",
          "%zz.holdfast",
          "%61.holdfast"
        ]
        for (const name of foreign) fs.writeFileSync(path.join(directory, name), name)
        fs.mkdirSync(path.join(directory, "folder.holdfast"))
        const store = yield* open(directory)
        yield* appendAll(store, "key", [prepared("1")])

        assert.deepStrictEqual(yield* Stream.runCollect(store.list), ["key"])
        for (const name of foreign) assert.strictEqual(fs.readFileSync(path.join(directory, name), "utf8"), name)
      })))

    it.effect("that may only be read is read, and fails an append as unavailable", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        yield* appendAll(yield* open(directory), "key", [settled])
        fs.chmodSync(fileOf(directory), 0o444)
        fs.chmodSync(directory, 0o555)
        const [{ entries }, ...errors] = yield* withoutRights(Effect.gen(function*() {
          const store = yield* open(directory)
          const { entries, version } = yield* store.load("key")
          return [
            { entries },
            yield* Effect.flip(store.append("key", prepared("2"), version)),
            yield* Effect.flip(store.append("other", prepared("1"), Session.noVersion)),
            yield* Effect.flip(open(path.join(directory, "folder")))
          ] as const
        }))

        assert.deepStrictEqual(entries, [settled])
        for (const error of errors) assert.deepInclude(error, { _tag: "StoreUnavailable", code: "EACCES" })
        assert.deepStrictEqual(fs.readdirSync(directory), ["key.holdfast"])
      })))

    it.effect("that may not be read fails as unavailable", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        yield* appendAll(store, "key", [settled])
        fs.chmodSync(fileOf(directory), 0)
        const load = yield* withoutRights(Effect.flip(store.load("key")))
        fs.chmodSync(directory, 0)
        const errors = [
          load,
          yield* withoutRights(Effect.flip(store.load("key"))),
          yield* withoutRights(Effect.flip(Stream.runCollect(store.list))),
          yield* withoutRights(Effect.flip(open(directory)))
        ]
        fs.chmodSync(directory, 0o700)

        for (const error of errors) assert.deepInclude(error, { _tag: "StoreUnavailable", code: "EACCES" })
      })))

    it.effect("that cannot be made fails as unavailable", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        fs.writeFileSync(path.join(directory, "file"), "")
        const error = yield* Effect.flip(open(path.join(directory, "file", "folder")))

        assert.instanceOf(error, SessionStoreError.StoreUnavailable)
        assert.strictEqual(error.operation, "open")
        assert.strictEqual(error.code, "ENOTDIR")
      })))

    it.effect.skipIf(process.platform !== "linux")(
      "in a file system that makes no folders fails as unavailable",
      () =>
        inDirectory(Effect.fnUntraced(function*() {
          const error = yield* Effect.flip(open("/proc/holdfast/sessions"))

          assert.strictEqual(error._tag, "StoreUnavailable")
        }))
    )

    it.effect("that is gone fails an append and lists nothing as unavailable", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const folder = path.join(directory, "folder")
        const store = yield* open(folder)
        fs.rmdirSync(folder)
        const append = yield* Effect.flip(store.append("key", prepared("1"), Session.noVersion))
        const list = yield* Effect.flip(Stream.runCollect(store.list))

        assert.deepInclude(append, { _tag: "StoreUnavailable", operation: "append", code: "ENOENT" })
        assert.include(append.message, "no such file or directory (ENOENT) in open")
        assert.deepInclude(list, { _tag: "StoreUnavailable", operation: "list", code: "ENOENT" })
      })))
  })

  describe("a session's file", () => {
    it.effect("has one line per entry", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        yield* appendAll(store, "key", [prepared("1"), prepared("line\nbreak")])
        const lines = read(directory).toString().split("\n")

        assert.strictEqual(lines.length, 3)
        assert.match(
          lines[0]!,
          /^\x1e1 [0-9a-f]{32}\.1 [0-9a-z-]+ [0-9a-f]{16} \{"key":"key","entry":\{"_tag":"Prepared","v":1,"at":1,"fingerprint":"1"\}\}$/
        )
        assert.match(lines[1]!, /^\x1e1 [0-9a-f]{32}\.2 [0-9a-z-]+ [0-9a-f]{16} \{"entry":\{.*"line\\nbreak"\}\}$/)
        assert.strictEqual(lines[2], "")
      })))

    it.effect("of format version 1 stays readable", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        fs.copyFileSync(fixture, path.join(directory, "contract-42.holdfast"))
        const store = yield* open(directory)
        const { entries, version } = yield* store.load("contract-42")
        const { settled, submissions } = Session.fold(entries)
        yield* store.append("contract-42", prepared("more"), version)

        assert.deepStrictEqual(entries.map((entry) => entry._tag), [
          "Prepared",
          "Submitting",
          "NotSubmitted",
          "Submitting",
          "Accepted",
          "CancelRequested",
          "Settled"
        ])
        assert.strictEqual(version, "00112233445566778899aabbccddeeff.7")
        assert.deepStrictEqual(submissions.map((submission) => submission.accepted?.jobId), [undefined, "resp_1"])
        assert(settled?.settlement._tag === "Answered")
        assert.strictEqual(settled.settlement.answer.content, "Forty-two \u2013 \ud83d\ude80\nas ever")
        assert.strictEqual((yield* store.load("contract-42")).entries.length, 8)
      })))

    it.effect("keeps what was settled when its last line is torn at any byte", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        yield* appendAll(store, "key", [prepared("1"), settled, prepared("3")])
        const bytes = read(directory)
        const lastLine = bytes.lastIndexOf(0x1e)
        for (let length = lastLine; length < bytes.length; length++) {
          write(directory, bytes.subarray(0, length))
          const reopened = yield* open(directory)
          const { entries, version } = yield* reopened.load("key")
          // All but the line feed is there: the entry is whole.
          const whole = length === bytes.length - 1 ? [prepared("3")] : []
          assert.deepStrictEqual(entries, [prepared("1"), settled, ...whole], `torn at ${length}`)

          yield* reopened.append("key", prepared("4"), version)
          const after = yield* (yield* open(directory)).load("key")
          assert.deepStrictEqual(after.entries, [...entries, prepared("4")], `appended after ${length}`)
        }
      })))

    it.effect("is made anew when its first line is torn at any byte", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        yield* appendAll(yield* open(directory), "key", [settled])
        const bytes = read(directory)
        for (let length = 0; length < bytes.length - 1; length++) {
          write(directory, bytes.subarray(0, length))
          const store = yield* open(directory)
          assert.deepStrictEqual(yield* store.load("key"), { version: Session.noVersion, entries: [] })
          assert.deepStrictEqual(yield* Stream.runCollect(store.list), [])
          yield* store.append("key", prepared("again"), Session.noVersion)
          assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("again")])
        }
      })))

    it.effect("keeps what was settled when zeros or garbage follow", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        yield* appendAll(yield* open(directory), "key", [prepared("1"), settled])
        const bytes = read(directory)
        for (
          const tail of [Buffer.alloc(4096), Buffer.from("garbage"), Buffer.from("\x1e1 00"), Buffer.from("\x1e\x1e")]
        ) {
          write(directory, Buffer.concat([bytes, tail]))
          const store = yield* open(directory)
          const { version } = yield* store.load("key")
          yield* store.append("key", prepared("3"), version)
          assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("1"), settled, prepared("3")])
        }
      })))

    it.effect(
      "never loses or changes an entry when any bit of it flips",
      () =>
        inDirectory(Effect.fnUntraced(function*(directory) {
          const store = yield* open(directory)
          const version = yield* appendAll(store, "key", [prepared("1"), reference("won")])
          // The loser of a race: it must not take the place of the winner when that is damaged.
          const [incarnation = ""] = version.split(".")
          fs.appendFileSync(fileOf(directory), JournalFile.encode({ incarnation, number: 2 }, "other-1", lost))
          const original = yield* store.load("key")
          assert.deepStrictEqual(original.entries, [prepared("1"), reference("won")])

          const bytes = read(directory)
          let corrupt = 0
          for (let bit = 0; bit < bytes.length * 8; bit++) {
            const flipped = Buffer.from(bytes)
            flipped[bit >> 3]! ^= 1 << (bit & 7)
            write(directory, flipped)
            const loaded = yield* Effect.result(store.load("key"))
            if (Result.isFailure(loaded)) {
              assert.strictEqual(loaded.failure._tag, "StoreCorrupt", `bit ${bit}`)
              corrupt++
            } else {
              assert.deepStrictEqual(loaded.success, original, `bit ${bit}`)
            }
          }
          assert.isAbove(corrupt, bytes.length * 7)
        }))
    )

    it.effect("does not accept an append when it is damaged", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const version = yield* appendAll(yield* open(directory), "key", [prepared("1"), settled])
        const bytes = read(directory)
        bytes[bytes.length - 10]! ^= 1
        write(directory, bytes)
        const store = yield* open(directory)
        const append = yield* Effect.flip(store.append("key", prepared("2"), version))
        const remove = yield* Effect.flip(store.remove("key", version))

        const message = `The session's file is damaged: ${path.join(directory, "key.holdfast")}`
        assert.deepInclude(append, { _tag: "StoreCorrupt", message })
        assert.deepInclude(remove, { _tag: "StoreCorrupt", message })
        assert.deepStrictEqual(read(directory), bytes)
        assert.deepStrictEqual(yield* Stream.runCollect(store.list), ["key"])
      })))

    it.effect("that misses a line in the middle is corrupt", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        yield* appendAll(store, "key", [prepared("1"), settled, prepared("3")])
        const lines = read(directory).toString().split(/(?<=\n)/)
        for (const rest of [[0, 2], [1, 2]]) {
          write(directory, rest.map((index) => lines[index]).join(""))
          assert.strictEqual((yield* Effect.flip(store.load("key")))._tag, "StoreCorrupt")
        }
      })))

    it.effect("belongs to whoever wrote its first line, and lines of others do not count", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const payload = (mark: string) =>
          JSON.stringify({ key: "key", entry: { _tag: "Prepared", v: 1, at: 1, fingerprint: mark } })
        const line = (digit: string, number: number, mark: string) =>
          JournalFile.encode({ incarnation: digit.repeat(32), number }, "w-1", payload(mark))
        write(
          directory,
          Buffer.concat([line("a", 1, "1"), line("b", 1, "lost"), line("b", 2, "lost"), line("b", 7, "lost")])
        )
        const store = yield* open(directory)
        const { entries, version } = yield* store.load("key")
        yield* store.append("key", prepared("2"), version)

        assert.strictEqual(version, `${"a".repeat(32)}.1`)
        assert.deepStrictEqual(entries, [prepared("1")])
        assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("1"), prepared("2")])
      })))

    it.effect("of a newer format or with a newer entry says so", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        const version = yield* appendAll(store, "key", [prepared("1")])
        const bytes = read(directory)
        const [incarnation = ""] = version.split(".")
        const newer = [
          "\x1e2 something else\n",
          "12 something else\n",
          JournalFile.encode({ incarnation, number: 2 }, "w-1", "{\"entry\":{\"_tag\":\"Prepared\",\"v\":2}}")
        ]
        for (const line of newer) {
          write(directory, Buffer.concat([bytes, Buffer.from(line)]))
          const error = yield* Effect.flip(store.load("key"))
          assert.instanceOf(error, SessionStoreError.StoreCorrupt)
          assert.match(error.message, /written by a newer version/)
        }
      })))

    it.effect("with an entry that is none is corrupt, and its content stays out of the error", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        const version = yield* appendAll(store, "key", [prepared("1")])
        const [incarnation = ""] = version.split(".")
        const payload = "{\"entry\":{\"_tag\":\"Prepared\",\"v\":1,\"at\":\"secret\"}}"
        fs.appendFileSync(fileOf(directory), JournalFile.encode({ incarnation, number: 2 }, "w-1", payload))
        const error = yield* Effect.flip(store.load("key"))

        assert.strictEqual(error._tag, "StoreCorrupt")
        assert.notInclude(inspect(error, { depth: 9 }), "secret")
      })))

    it.effect("under the name of another key is corrupt", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        const version = yield* appendAll(store, "key", [prepared("1")])
        fs.copyFileSync(fileOf(directory), path.join(directory, "other.holdfast"))

        assert.strictEqual((yield* Effect.flip(store.load("other")))._tag, "StoreCorrupt")
        assert.strictEqual((yield* Effect.flip(store.append("other", prepared("2"), version)))._tag, "StoreCorrupt")
      })))

    it.effect("of no length is no session", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        write(directory, "")
        const store = yield* open(directory)

        assert.deepStrictEqual(yield* store.load("key"), { version: Session.noVersion, entries: [] })
        assert.deepStrictEqual(yield* Stream.runCollect(store.list), [])
        yield* store.remove("key", Session.noVersion)
        yield* appendAll(store, "key", [prepared("1")])
        assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("1")])
      })))

    it.effect("that somebody deleted or replaced by hand is a conflict", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        const version = yield* appendAll(store, "key", [prepared("1")])
        fs.rmSync(fileOf(directory))
        assert.strictEqual((yield* Effect.flip(store.append("key", prepared("2"), version)))._tag, "VersionConflict")

        const again = yield* appendAll(store, "key", [prepared("1")])
        const bytes = read(directory)
        fs.rmSync(fileOf(directory))
        write(directory, bytes)
        assert.strictEqual((yield* Effect.flip(store.append("key", prepared("2"), again)))._tag, "VersionConflict")
        yield* store.append("key", prepared("2"), again)
        assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("1"), prepared("2")])
      })))
  })

  describe("a failing disk", () => {
    it.effect.each([
      { method: "open", code: "EACCES" },
      { method: "open", code: "EROFS" },
      { method: "open", code: "EMFILE" },
      { method: "write", code: "ENOSPC" },
      { method: "write", code: "EIO" },
      { method: "sync", code: "EIO" },
      { method: "stat", code: "EIO" },
      { method: "readAlloc", code: "EIO" }
    ])(
      "is StoreUnavailable with $code of $method, and the next append works",
      ({ code, method }) =>
        inDirectory(Effect.fnUntraced(function*(directory) {
          yield* appendAll(yield* open(directory), "key", [prepared("1")])
          const fault = { method, code, on: false }
          const store = yield* open(directory, faulty(fault))
          const { version } = yield* store.load("key")
          fault.on = true
          const error = yield* Effect.flip(store.append("key", prepared("2"), version))
          fault.on = false

          assert.instanceOf(error, SessionStoreError.StoreUnavailable)
          assert.deepInclude(error, { operation: "append", code })
          assert.include(error.message, code)
          const { entries, version: next } = yield* store.load("key")
          assert.deepStrictEqual(entries.slice(0, 1), [prepared("1")])
          yield* store.append("key", prepared("3"), next)
          assert.deepStrictEqual((yield* store.load("key")).entries, [...entries, prepared("3")])
        }))
    )

    it.effect("that has become read-only still tells what is on it", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const fault = { method: "write", code: "EROFS", on: false }
        const store = yield* open(directory, faulty(fault, [], ["open"]))
        const version = yield* appendAll(store, "key", [prepared("1")])
        fault.on = true
        const append = yield* Effect.flip(store.append("key", prepared("2"), version))

        assert.deepInclude(append, { operation: "append", code: "EROFS" })
        assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("1")])
      })))

    it.effect("that fails to sync a line has it written and synced again before it is read", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const fault = { method: "sync", code: "EIO", on: true }
        const calls: Array<string> = []
        const store = yield* open(directory, faulty(fault, calls))
        const append = yield* Effect.flip(store.append("key", settled, Session.noVersion))
        const load = yield* Effect.flip(store.load("key"))
        fault.on = false
        calls.length = 0
        const { entries, version } = yield* store.load("key")
        const confirmed = calls.splice(0)
        yield* store.load("key")

        assert.deepInclude(append, { _tag: "StoreUnavailable", code: "EIO" })
        assert.deepInclude(load, { _tag: "StoreUnavailable", operation: "load", code: "EIO" })
        assert.deepStrictEqual(entries, [settled])
        assert.deepStrictEqual(confirmed.filter((call) => /write|sync/.test(call)), ["write", "sync", "syncFolder"])
        assert.notIncludeMembers(calls, ["write"])
        // The first copy is what a power loss would take away.
        const bytes = read(directory)
        write(directory, Buffer.from(bytes).fill(0, 0, bytes.lastIndexOf(0x1e)))
        const reopened = yield* open(directory)
        assert.deepStrictEqual(yield* reopened.load("key"), { entries, version })
        yield* reopened.append("key", prepared("2"), version)
        assert.deepStrictEqual((yield* reopened.load("key")).entries, [settled, prepared("2")])
      })))

    it.effect("that fails to sync the line of a session that is removed then does no harm", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const fault = { method: "sync", code: "EIO", on: false }
        const store = yield* open(directory, faulty(fault))
        const other = yield* open(directory)
        const first = yield* store.append("key", prepared("1"), Session.noVersion)
        fault.on = true
        yield* Effect.flip(store.append("key", prepared("2"), first))
        fault.on = false
        yield* other.remove("key", (yield* other.load("key")).version)
        const gone = yield* store.load("key")
        yield* appendAll(other, "key", [prepared("3")])

        assert.deepStrictEqual(gone.entries, [])
        assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("3")])
      })))

    it.effect("that writes half a line leaves the session as it was", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const fault = { method: "write", code: "half", on: false }
        const store = yield* open(directory, faulty(fault))
        const version = yield* appendAll(store, "key", [settled])
        fault.on = true
        const error = yield* Effect.flip(store.append("key", prepared("2"), version))
        fault.on = false

        assert.strictEqual(error._tag, "StoreUnavailable")
        assert.deepStrictEqual((yield* store.load("key")).entries, [settled])
        yield* store.append("key", prepared("3"), version)
        assert.deepStrictEqual((yield* store.load("key")).entries, [settled, prepared("3")])
      })))

    it.effect("that writes half a line once is written to again", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const fault = { method: "write", code: "half", on: true, once: true }
        const store = yield* open(directory, faulty(fault))
        yield* appendAll(store, "key", [prepared("1"), prepared("2")])

        assert.isFalse(fault.on)
        assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("1"), prepared("2")])
      })))

    it.effect("that cannot close a file, or sync a folder, does no harm", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory, faulty({ method: "close", code: "EIO", on: true }))
        const version = yield* appendAll(store, "key", [prepared("1"), prepared("2")])
        yield* store.remove("key", version)
        assert.deepStrictEqual((yield* store.load("key")).entries, [])

        const other = yield* open(directory, faulty({ method: "syncFolder", code: "EINVAL", on: true }))
        yield* appendAll(other, "key", [prepared("1")])
        assert.deepStrictEqual((yield* other.load("key")).entries, [prepared("1")])
      })))

    it.effect("syncs the line, and the folder of a new file, before it succeeds", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const calls: Array<string> = []
        const store = yield* open(directory, faulty({ method: "", code: "", on: false }, calls))
        const version = yield* store.append("key", prepared("1"), Session.noVersion)
        const first = calls.splice(0)
        yield* store.append("key", prepared("2"), version)

        assert.deepStrictEqual(first.filter((call) => /write|sync/.test(call)), ["write", "sync", "syncFolder"])
        assert.deepStrictEqual(calls, ["write", "sync", "stat"])
      })))

    it.effect("does not make an entry that is no JSON a defect", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        const error = yield* Effect.flip(store.append("key", unwritable, Session.noVersion))

        assert.strictEqual(error._tag, "StoreUnavailable")
        assert.deepStrictEqual(fs.readdirSync(directory), [])
      })))
  })

  describe("a removal", () => {
    it.effect("leaves no file behind", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        const version = yield* appendAll(store, "key", [prepared("1"), settled])
        yield* store.remove("key", version)

        assert.deepStrictEqual(fs.readdirSync(directory), [])
      })))

    it.effect.each([{ method: "link" }, { method: "rename" }, { method: "remove" }])(
      "that is cut off at $method leaves a session that is gone, and its key can be used again",
      ({ method }) =>
        inDirectory(Effect.fnUntraced(function*(directory) {
          const fault = { method, code: "EIO", on: true }
          // A link that fails is done without; so that the folder stays as it is there, the rename fails, too.
          const store = yield* open(directory, faulty(fault, undefined, method === "link" ? ["rename"] : []))
          const version = yield* appendAll(store, "key", [prepared("1"), settled])
          yield* store.remove("key", version)
          assert.isNotEmpty(fs.readdirSync(directory))
          yield* isGone(store, version)

          age(directory)
          const reopened = yield* open(directory)
          yield* isGone(reopened, version)
          yield* reopened.remove("key", Session.noVersion)
          assert.deepStrictEqual(fs.readdirSync(directory), [])
          yield* appendAll(reopened, "key", [prepared("2")])
          assert.deepStrictEqual((yield* reopened.load("key")).entries, [prepared("2")])
          assert.deepStrictEqual(fs.readdirSync(directory), ["key.holdfast"])
        }))
    )

    it.effect("that is cut off is finished by the next append", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const version = yield* appendAll(yield* open(directory), "key", [prepared("1"), settled])
        const [incarnation = ""] = version.split(".")
        fs.appendFileSync(
          fileOf(directory),
          JournalFile.encode({ incarnation, number: 3 }, "w-1", JournalFile.tombstone)
        )
        const store = yield* open(directory)
        yield* isGone(store, version)
        yield* appendAll(store, "key", [prepared("2")])

        assert.deepStrictEqual((yield* store.load("key")).entries, [prepared("2")])
        assert.notInclude(read(directory).toString(), incarnation)
        assert.deepStrictEqual(fs.readdirSync(directory), ["key.holdfast"])
      })))

    it.effect("that another process is at makes an append wait, and then unavailable", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const version = yield* appendAll(yield* open(directory), "key", [prepared("1")])
        const [incarnation = ""] = version.split(".")
        fs.appendFileSync(
          fileOf(directory),
          JournalFile.encode({ incarnation, number: 2 }, "w-1", JournalFile.tombstone)
        )
        fs.linkSync(fileOf(directory), path.join(directory, `${incarnation}.holdfast-removed`))
        const store = yield* open(directory)
        const error = yield* Effect.flip(store.append("key", prepared("2"), Session.noVersion))

        assert.deepInclude(error, { _tag: "StoreUnavailable", code: "EBUSY" })
      })))

    it.live("leaves what is older than a minute to the next start, and that restores what is alive", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        const version = yield* appendAll(store, "key", [prepared("1")])
        const [incarnation = ""] = version.split(".")
        const tombstone = JournalFile.encode({ incarnation, number: 2 }, "w-1", JournalFile.tombstone)
        const grave = (digit: string) => path.join(directory, `${digit.repeat(32)}.holdfast-removed`)
        fs.writeFileSync(grave("a"), Buffer.concat([read(directory), tombstone]))
        fs.renameSync(fileOf(directory), grave("b"))
        fs.writeFileSync(grave("c"), "not ours")
        age(directory)
        fs.writeFileSync(grave("d"), tombstone)
        const reopened = yield* open(directory)

        assert.deepStrictEqual((yield* reopened.load("key")).entries, [prepared("1")])
        assert.deepStrictEqual(
          fs.readdirSync(directory).sort(),
          [grave("c"), grave("d"), fileOf(directory)].map((file) => path.basename(file))
        )
      })))
  })

  describe("many writers", () => {
    it.effect("of which some are interrupted keep the session whole", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        for (let round = 0; round < 30; round++) {
          const { entries, version } = yield* store.load("key")
          const fiber = yield* Effect.forkChild(store.append("key", prepared(`${round}`), version), {
            startImmediately: true
          })
          for (let turn = 0; turn < round % 6; turn++) yield* Effect.promise(() => new Promise(setImmediate))
          yield* Fiber.interrupt(fiber)
          const after = yield* store.load("key")
          assert.deepStrictEqual(after.entries.slice(0, entries.length), entries)
          assert.isAtMost(after.entries.length, entries.length + 1)
        }
        yield* store.append("key", settled, (yield* store.load("key")).version)
      })))

    it.effect("may use more sessions at once than files stay open", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const store = yield* open(directory)
        const keys = Array.from({ length: 150 }, (_, index) => `key-${index}`)
        yield* Effect.forEach(keys, (key) => appendAll(store, key, [prepared("1"), prepared("2")]), {
          concurrency: "unbounded"
        })
        yield* Effect.forEach(
          keys,
          (key) => Effect.flatMap(store.load(key), ({ version }) => store.append(key, prepared("3"), version)),
          {
            concurrency: 16
          }
        )

        for (const key of keys) assert.strictEqual((yield* store.load(key)).entries.length, 3)
      })))

    it.live("in several processes win each version once", () =>
      inDirectory(Effect.fnUntraced(function*(directory) {
        const outputs = yield* Effect.forEach(
          ["a", "b", "c"],
          (name) => Effect.promise(() => worker(directory, name, 30, 100)),
          { concurrency: "unbounded" }
        )
        const { entries } = yield* (yield* open(directory)).load("key")
        const told = outputs.flatMap((output) => output.trim().split("\n"))

        assert.strictEqual(entries.length, 90)
        assert.sameMembers(entries.map((entry, index) => `${markOf(entry)} ${index + 1}`), told.map(withNumber))
      })))

    it.live(
      "in processes that are killed lose nothing that was promised",
      () =>
        inDirectory(Effect.fnUntraced(function*(directory) {
          const outputs = yield* Effect.forEach(
            ["a", "b", "c"],
            (name, index) => Effect.promise(() => worker(directory, name, 10_000, 50_000, 10 + 5 * index)),
            { concurrency: "unbounded" }
          )
          const store = yield* open(directory)
          const { entries, version } = yield* store.load("key")
          const told = outputs.flatMap((output) => output.split("\n").slice(0, -1))

          assert.isAbove(told.length, 30)
          assert.includeMembers(entries.map((entry, index) => `${markOf(entry)} ${index + 1}`), told.map(withNumber))
          assert.isAtMost(entries.length, told.length + 3)
          yield* store.append("key", settled, version)
        }))
    )
  })
})

const fixture = fileURLToPath(new URL("fixtures/session-format-1.holdfast", import.meta.url))

const prepared = (mark: string): Session.Entry => Session.Prepared.make({ at: 1, fingerprint: mark })

const reference = (jobId: string): Session.Entry =>
  Session.Settled.make({ at: 2, submissionId: "s", settlement: { _tag: "Reference", jobId } })

const settled = reference("resp_1")

const lost = JSON.stringify({ entry: Schema.encodeSync(Session.EntryJson)(reference("lost")) })

const unwritable = {
  ...Session.Prepared.make({ at: 1, fingerprint: "" }),
  _tag: "Settled",
  submissionId: "s",
  settlement: { _tag: "Answered", answer: { response: 1n } }
} as unknown as Session.Entry

const inDirectory = Effect.fnUntraced(
  function*<A, E, R>(use: (directory: string) => Effect.Effect<A, E, R>) {
    const files = yield* FileSystem.FileSystem
    return yield* use(yield* files.makeTempDirectoryScoped({ prefix: "holdfast-file-" }))
  },
  Effect.scoped,
  Effect.provide(NodeServices.layer)
)

/** Another instance of the store. */
const open = Effect.fnUntraced(function*(directory: string, layer?: Layer.Layer<FileSystem.FileSystem>) {
  const store = SessionStore.layerFileSystem({ directory })
  const context = yield* Layer.build(layer === undefined ? store : Layer.provide(store, layer))
  return Context.get(context, SessionStore.SessionStore)
})

/** Runs as somebody who has only the rights that a file's mode gives: root may read and write everything. */
const withoutRights = <A, E, R>(effect: Effect.Effect<A, E, R>) => {
  const isRoot = process.geteuid?.() === 0
  return Effect.acquireUseRelease(
    Effect.sync(() => isRoot && process.seteuid?.("nobody")),
    () => effect,
    () => Effect.sync(() => isRoot && process.seteuid?.(0))
  )
}

type Store = SessionStore.SessionStore["Service"]

const appendAll = Effect.fnUntraced(function*(store: Store, key: string, entries: ReadonlyArray<Session.Entry>) {
  let version = Session.noVersion
  for (const entry of entries) version = yield* store.append(key, entry, version)
  return version
})

const isGone = Effect.fnUntraced(function*(store: Store, version: Session.Version) {
  assert.deepStrictEqual(yield* store.load("key"), { version: Session.noVersion, entries: [] })
  assert.deepStrictEqual(yield* Stream.runCollect(store.list), [])
  assert.strictEqual((yield* Effect.flip(store.append("key", prepared("x"), version)))._tag, "VersionConflict")
  assert.strictEqual((yield* Effect.flip(store.remove("key", version)))._tag, "VersionConflict")
})

const fileOf = (directory: string): string => path.join(directory, "key.holdfast")

const read = (directory: string): Buffer => fs.readFileSync(fileOf(directory))

const write = (directory: string, content: string | Uint8Array): void => fs.writeFileSync(fileOf(directory), content)

/** Makes all files older than any clock of a test. */
const age = (directory: string): void => {
  const old = new Date(-1_000_000)
  for (const name of fs.readdirSync(directory)) fs.utimesSync(path.join(directory, name), old, old)
}

/** The file system of Node, but one method fails while `on`. */
const faulty = (
  fault: { readonly method: string; readonly code: string; on: boolean; readonly once?: boolean },
  calls: Array<string> = [],
  alsoFailing: ReadonlyArray<string> = []
): Layer.Layer<FileSystem.FileSystem> => {
  const failing = <A, R>(method: string, effect: Effect.Effect<A, PlatformError.PlatformError, R>) =>
    Effect.suspend(() => {
      calls.push(method)
      if (!fault.on || (method !== fault.method && !alsoFailing.includes(method))) return effect
      if (fault.once === true) fault.on = false
      return Effect.fail(PlatformError.systemError({
        _tag: "Unknown",
        module: "FileSystem",
        method,
        cause: Object.assign(new Error(fault.code), { code: fault.code })
      }))
    })
  const faultyFile = (file: FileSystem.File, sync: string): FileSystem.File => ({
    ...file,
    stat: failing("stat", file.stat),
    sync: failing(sync, file.sync),
    readAlloc: (size, options) => failing("readAlloc", file.readAlloc(size, options)),
    write: (buffer) =>
      Effect.suspend(() => {
        if (!fault.on || fault.code !== "half") return failing("write", file.write(buffer))
        if (fault.once === true) fault.on = false
        return file.write(buffer.subarray(0, buffer.length >> 1))
      })
  })
  return Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (files) => ({
      ...files,
      link: (from: string, to: string) => failing("link", files.link(from, to)),
      rename: (from: string, to: string) => failing("rename", files.rename(from, to)),
      remove: (path: string, options?: { readonly force?: boolean | undefined }) =>
        failing("remove", files.remove(path, options)),
      stat: (path: string) => failing("stat", files.stat(path)),
      open: (path: string, options?: { readonly flag?: FileSystem.OpenFlag | undefined }) =>
        failing(options?.flag === "a+" ? "open" : "openToRead", files.open(path, options)).pipe(
          Effect.map((file) => faultyFile(file, options?.flag === "a+" ? "sync" : "syncFolder")),
          Effect.tap(() =>
            fault.method === "close" && fault.on
              ? Effect.addFinalizer(() => Effect.die(new Error("EIO: close")))
              : Effect.void
          )
        )
    }))
  ).pipe(Layer.provide(NodeServices.layer))
}

/** What a process prints that appends; with `killAfter`, it is killed after so many successes. */
const worker = (directory: string, name: string, count: number, padding: number, killAfter = Infinity) => {
  const script = fileURLToPath(new URL("../fixtures/append-worker.ts", import.meta.url))
  const child = spawn(process.execPath, [script, directory, "key", name, `${count}`, `${padding}`], {
    stdio: ["ignore", "pipe", "inherit"]
  })
  let output = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text
    if (output.split("\n").length > killAfter) child.kill("SIGKILL")
  })
  return new Promise<string>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", () => resolve(output))
  })
}

const markOf = (entry: Session.Entry): string =>
  entry._tag === "Prepared" ? entry.fingerprint.split(".").slice(0, 2).join(".") : entry._tag

/** The mark and the number of a version. */
const withNumber = (line: string): string => line.replace(/ [0-9a-f]{32}\./, " ")
