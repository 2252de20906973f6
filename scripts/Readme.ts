/** The parts of the documents that have a source: the programs in `test/examples`, the table of providers. */
import { readFileSync } from "node:fs"
import { providerTable } from "../src/services/providers/ProviderTable.ts"

/** The documents that have such parts. */
export const documents = ["README.md", "ERRORS.md", "PROVIDERS.md"] as const

/** Returns a document with its examples and tables as their sources have them now. */
export const render = (document: string): string =>
  document
    .replaceAll(
      /(<!-- example: (\S+) -->\n)```ts\n[\s\S]*?```\n/g,
      (_, marker: string, name: string) => `${marker}\`\`\`ts\n${example(name)}\`\`\`\n`
    )
    .replace(/(<!-- table: providers -->\n)(\|.*\n)*/, (_, marker: string) => marker + providers())

const example = (name: string): string => readFileSync(new URL(`../test/examples/${name}`, import.meta.url), "utf8")

const providers = (): string =>
  [
    "| prefix | key | address | Responses API | background | schema |",
    "| --- | --- | --- | --- | --- | --- |",
    ...providerTable.map((row) =>
      `| \`${row.prefix}\` | ${keys(row)} | ${row.baseUrl ?? row.baseUrlVariables.map(code).join(", ")} | ${
        row.responses ? "yes" : ""
      } | ${background(row)} | ${schema(row)} |`
    )
  ].join("\n") + "\n"

type Row = (typeof providerTable)[number]

const background = ({ background, interactionsBaseUrl, protocol }: Row): string => {
  if (!background) return ""
  if (protocol === "anthropic") return "batches"
  return interactionsBaseUrl === undefined ? "yes, streamed" : "interactions"
}

const schema = ({ protocol, responses, responsesStructuredOutput, structuredOutput }: Row): string => {
  if (protocol === "anthropic") return "native since Claude 4.5"
  const chat = { json_schema: "native", json_object: "JSON mode", none: "in words" }[structuredOutput]
  const other = responsesStructuredOutput === "none" ? "in words" : "native"
  return !responses || chat === other ? chat : `${chat}; Responses: ${other}`
}

const code = (text: string): string => `\`${text}\``

const keys = (row: Row): string =>
  row.key === "token"
    ? "a token effect, in `Providers.layer`"
    : row.keyVariables.map(code).join(", ") + (row.key === "optional" ? " (optional)" : "")
