/**
 * Checks the imports of the sources: arrows one way and `internal` folders only from their own parent, type imports
 * included, and no files that load one another in a circle. Prints what is wrong, and exits with 1.
 */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, normalize, relative } from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../src", import.meta.url))

/** What each part may import beside itself; a file at the top is a part of its own. */
const allowed: Readonly<Record<string, ReadonlyArray<string>>> = {
  errors: [],
  services: ["errors"],
  strategies: ["errors", "services"],
  "Holdfast.ts": ["errors", "services", "strategies"],
  testing: ["errors", "services", "strategies", "Holdfast.ts"],
  cli: ["errors", "services", "strategies", "Holdfast.ts", "testing"],
  "index.ts": ["errors", "services", "strategies", "Holdfast.ts"]
}

const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts"))

const importsOf = (file: string, statement: RegExp): ReadonlyArray<string> => {
  const text = readFileSync(join(root, file), "utf8")
  return [...text.matchAll(statement)].map(([, one, other]) => normalize(join(dirname(file), one ?? other ?? "")))
}

const graph = new Map(files.map((file) => [
  file,
  importsOf(file, /^(?:import|export)\b[^"';]*?from "(\.[^"]+)"|\bimport\("(\.[^"]+)"\)/gm)
]))

/** Types and dynamic imports left out. */
const loads = new Map(
  files.map((file) => [file, importsOf(file, /^(?:import|export)\b(?! type\b)[^"';]*?from "(\.[^"]+)"/gm)])
)

const partOf = (file: string): string => file.split("/")[0] ?? ""

const wrong: Array<string> = []

for (const [file, imports] of graph) {
  for (const imported of imports) {
    const [from, to] = [partOf(file), partOf(imported)]
    if (!graph.has(imported)) wrong.push(`${file} imports ${imported}, which is not there`)
    if (from !== to && !allowed[from]?.includes(to)) {
      wrong.push(`${file} imports ${imported}: ${from} may not import ${to}`)
    }
    const internal = imported.lastIndexOf("internal/")
    if (internal < 0) continue
    const parent = imported.slice(0, internal)
    if (relative(parent, file).startsWith("..")) {
      wrong.push(`${file} imports ${imported}, which is internal to ${parent}`)
    }
  }
}

/** Tarjan's algorithm: each group of files that load one another in a circle. */
const circles = (): ReadonlyArray<ReadonlyArray<string>> => {
  const found: Array<ReadonlyArray<string>> = []
  const order = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: Array<string> = []
  const visit = (file: string): void => {
    order.set(file, order.size)
    low.set(file, order.size - 1)
    stack.push(file)
    for (const next of loads.get(file) ?? []) {
      if (!loads.has(next)) continue
      if (!order.has(next)) visit(next)
      if (stack.includes(next)) low.set(file, Math.min(low.get(file) ?? 0, low.get(next) ?? 0))
    }
    if (low.get(file) !== order.get(file)) return
    const group = stack.splice(stack.indexOf(file))
    if (group.length > 1) found.push(group)
  }
  for (const file of loads.keys()) if (!order.has(file)) visit(file)
  return found
}

for (const circle of circles()) wrong.push(`these load one another in a circle: ${[...circle].sort().join(", ")}`)

console.log(wrong.length === 0 ? `The imports of ${files.length} files are in order` : wrong.join("\n"))
process.exitCode = wrong.length === 0 ? 0 : 1
