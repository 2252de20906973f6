import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"

const folder = process.env["HOLDFAST_CASES"]

/** Cases that do not pass yet. A name is removed here with the change that makes its case pass: the test then fails. */
const awaited: ReadonlyArray<string> = ["12-corporate-proxy.mjs"]

const root = fileURLToPath(new URL("../../", import.meta.url))
const node = join(root, "node_modules/.bin/node")
const names = folder === undefined ? [] : readdirSync(folder).filter((name) => name.endsWith(".mjs")).sort()

describe.skipIf(folder === undefined)("cases (HOLDFAST_CASES), with the built package", { concurrent: true }, () => {
  let checkout = ""
  afterAll(() => rmSync(checkout, { recursive: true }))
  beforeAll(async () => {
    checkout = mkdtempSync(join(tmpdir(), "holdfast-built-"))
    symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"))
    symlinkSync(join(root, "package.json"), join(checkout, "package.json"))
    const compiler = join(root, "node_modules/typescript/bin/tsc")
    const built = await run([compiler, "-p", join(root, "tsconfig.json"), "--outDir", join(checkout, "dist")])
    assert.strictEqual(built.code, 0, built.printed)
  })

  const passes = async (name: string): Promise<void> => {
    const { code, printed } = await run([join(folder ?? "", name)], { HOLDFAST_DIR: checkout })
    assert.strictEqual(code, 0, printed)
  }

  it("are found, and those that are awaited are among them", () => {
    assert.isNotEmpty(names)
    assert.includeMembers(names, [...awaited])
  })
  it.each(names.filter((name) => !awaited.includes(name)))("%s", passes)
  it.fails.each(names.filter((name) => awaited.includes(name)))("%s, not yet", passes)
})

const run = (args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) =>
  new Promise<{ readonly code: number | null; readonly printed: string }>((resolve) => {
    const child = execFile(
      node,
      args,
      { env: { ...process.env, ...env } },
      (_, stdout, stderr) => resolve({ code: child.exitCode, printed: stdout + stderr })
    )
  })
