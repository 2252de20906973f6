/** Copies the examples and tables that have a source into the documents. */
import { readFileSync, writeFileSync } from "node:fs"
import { documents, render } from "./Readme.ts"

for (const name of documents) {
  const file = new URL(`../${name}`, import.meta.url)
  writeFileSync(file, render(readFileSync(file, "utf8")))
}
