/**
 * A synced append of the file store, against writes of the same bytes to an
 * open file in the same folder, each with an fdatasync.
 */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Layer, ManagedRuntime } from "effect"
import { Session, SessionStore } from "holdfast"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { open, readFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { performance } from "node:perf_hooks"
import { ratios, type Row, show, summarize } from "./Measure.ts"

const blocks = 20
const appendsPerBlock = 50

export const measure = async (): Promise<ReadonlyArray<Row>> => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"))
  const store = SessionStore.layerFileSystem({ directory }).pipe(Layer.provide([NodeFileSystem.layer, NodePath.layer]))
  const runtime = ManagedRuntime.make(store)
  const append = (key: string, version: Session.Version) =>
    runtime.runPromise(SessionStore.SessionStore.use((store) => store.append(key, entry, version)))

  /** Milliseconds of the first append and of one of those after it. */
  const ours = async (key: string) => {
    const startedAt = performance.now()
    let version = await append(key, Session.noVersion)
    const first = performance.now()
    for (let n = 1; n < appendsPerBlock; n++) version = await append(key, version)
    return { first: first - startedAt, later: (performance.now() - first) / (appendsPerBlock - 1) }
  }

  /** The same lines, in a file that is there and open. */
  const bare = async (name: string, lines: ReadonlyArray<string>) => {
    const file = await open(join(directory, name), "a")
    await file.write(lines[0] ?? "")
    await file.datasync()
    const startedAt = performance.now()
    for (const line of lines.slice(1)) {
      await file.write(line)
      await file.datasync()
    }
    const millis = (performance.now() - startedAt) / (lines.length - 1)
    await file.close()
    return millis
  }

  const samples = { first: Array<number>(), later: Array<number>(), bare: Array<number>() }
  try {
    for (let block = -2; block < blocks; block++) {
      const key = `block-${100 + block}`
      const { first, later } = await ours(key)
      const name = readdirSync(directory).find((name) => name.includes(key)) ?? ""
      const lines = (await readFile(join(directory, name), "utf8")).split(/(?<=\n)/)
      const millis = await bare(`bare-${100 + block}`, lines)
      if (block < 0) continue
      samples.first.push(first)
      samples.later.push(later)
      samples.bare.push(millis)
    }
  } finally {
    await runtime.dispose()
    rmSync(directory, { recursive: true })
  }
  const ratio = ratios(samples.later, samples.bare)
  return [
    {
      what: "Synced append of the file store / write and fdatasync",
      ours: show(summarize(samples.later), 2, " ms"),
      peer: show(summarize(samples.bare), 2, " ms"),
      ratio: show(ratio, 2),
      target: "at most 2",
      isMet: ratio.median <= 2
    },
    {
      what: "First append of a session (makes its file) / write and fdatasync",
      ours: show(summarize(samples.first), 2, " ms"),
      peer: show(summarize(samples.bare), 2, " ms"),
      ratio: show(ratios(samples.first, samples.bare), 2),
      target: ""
    }
  ]
}

const entry = Session.Submitting.make({
  at: 1_764_000_000_000,
  submissionId: "00000000-0000-4000-8000-000000000000",
  purpose: "answer",
  provider: "openai",
  model: "openai/gpt-5.5-pro",
  strategy: "background",
  submitTimeout: 60_000,
  store: true,
  baseUrl: "https://api.openai.com/v1"
})
