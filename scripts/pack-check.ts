/**
 * Packs the library, installs the tarball in empty projects, and uses it there:
 * first with `effect` alone, then with `@effect/platform-node` as well.
 */
import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  readonly devDependencies: Record<string, string>
}
const work = mkdtempSync(join(tmpdir(), "holdfast-pack-"))

const run = (cwd: string, command: string, ...args: ReadonlyArray<string>): string =>
  execFileSync(command, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] })

const node = (cwd: string, source: string): string =>
  run(cwd, process.execPath, "--input-type=module", "--eval", source)

const project = (name: string, ...packages: ReadonlyArray<string>): string => {
  const directory = join(work, name)
  mkdirSync(directory)
  writeFileSync(join(directory, "package.json"), JSON.stringify({ name, private: true, type: "module" }))
  run(directory, "npm", "install", "--silent", "--no-audit", "--no-fund", ...packages)
  return directory
}

const versioned = (name: string): string => `${name}@${manifest.devDependencies[name]}`

/** Every module of the package that users can import, but for the command. */
const specifiers = (): ReadonlyArray<string> => {
  const dist = join(root, "dist")
  const modules = readdirSync(dist, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".js"))
    .map((entry) => relative(dist, join(entry.parentPath, entry.name)).replace(/\.js$/, ""))
    .filter((module) => /^(errors|services|strategies|testing)\//.test(module) && !module.endsWith("/index"))
  return ["holdfast", "holdfast/testing", ...modules.map((module) => `holdfast/${module}`)].filter(isExported)
}

const isExported = (specifier: string): boolean => {
  try {
    import.meta.resolve(specifier)
    return true
  } catch {
    return false
  }
}

const program = `
import * as Effect from "effect/Effect"
import { Holdfast } from "holdfast"
const program = Holdfast.execute({ model: "openai/gpt-5.5-pro", prompt: "Hi", session: "s" }).pipe(
  Effect.map((answer) => answer.content),
  Effect.provide(Holdfast.layerTest(() => "it works"))
)
console.log(await Effect.runPromise(program))
`

const check = (what: string, ok: boolean): void => {
  console.log(`${ok ? "ok" : "FAILED"}  ${what}`)
  if (!ok) process.exitCode = 1
}

try {
  run(root, "npm", "pack", "--silent", "--ignore-scripts", "--pack-destination", work)
  const tarball = join(work, readdirSync(work).find((name) => name.endsWith(".tgz")) ?? "")

  const alone = project("alone", tarball, versioned("effect"))
  const imports = specifiers()
  node(alone, imports.map((specifier) => `await import(${JSON.stringify(specifier)})`).join("\n"))
  check(`${imports.length} modules load with effect alone`, true)
  check("a program runs with effect alone", node(alone, program).trim() === "it works")
  const hidden = [
    "holdfast/strategies/internal/Run",
    "holdfast/services/internal/KeyName",
    "holdfast/services/providers/ChatCompletions",
    "holdfast/testing/simulator/World"
  ]
  for (const specifier of hidden) {
    const outcome = node(
      alone,
      `import(${JSON.stringify(specifier)}).then(() => console.log("loads"), (e) => console.log(e.code))`
    )
    check(`${specifier} stays private`, outcome.trim() === "ERR_PACKAGE_PATH_NOT_EXPORTED")
  }

  run(alone, "npm", "install", "--silent", "--no-audit", "--no-fund", versioned("typescript"), versioned("@types/node"))
  writeFileSync(join(alone, "program.ts"), program)
  run(
    alone,
    "node_modules/.bin/tsc",
    "--noEmit",
    "--strict",
    "--module",
    "NodeNext",
    "--target",
    "ES2023",
    "--exactOptionalPropertyTypes",
    "--skipLibCheck",
    "false",
    "--types",
    "node",
    "program.ts"
  )
  check("its types check in a strict project, libraries included", true)

  const withNode = project("with-node", tarball, versioned("effect"), versioned("@effect/platform-node"))
  check("the command runs", run(withNode, "node_modules/.bin/holdfast", "--help").includes("holdfast"))
} finally {
  rmSync(work, { recursive: true, force: true })
}
