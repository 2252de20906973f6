/** The providers' published schemas, as lenient as real traffic needs them. */
import { Ajv2020 } from "ajv/dist/2020.js"
import { readFileSync } from "node:fs"
import { join } from "node:path"

/** Gives the problems of a body under a schema of a published document. */
export type Validate = (name: string, body: unknown) => ReadonlyArray<string>

/** Validates the bodies that OpenAI sends, in the folder of the published documents. */
export const openAiBodies = (folder: string): Validate =>
  validatorOf(join(folder, "openai.json"), openAiNullable, openAiOptional)

/** Validates the bodies that Anthropic sends, in the folder of the published documents. */
export const anthropicBodies = (folder: string): Validate =>
  validatorOf(join(folder, "anthropic.json"), new Set(["stop_details"]), undefined)

type Json = { [key: string]: unknown }

/** What real traffic leaves out or sets to null, although the published document does not allow it. */
const openAiNullable = new Set(["user", "system_fingerprint", "usage", "description", "tool_calls", "prompt_cache_key"])

const openAiOptional = new Set([
  "logprobs",
  "refusal",
  "strict",
  "cache_write_tokens",
  "sequence_number",
  "tools",
  "name"
])

const validatorOf = (
  path: string,
  nullable: ReadonlySet<string>,
  optional: ReadonlySet<string> | undefined
): Validate => {
  const document = JSON.parse(readFileSync(path, "utf8"))
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false, logger: false })
  ajv.addSchema({ $id: "spec", components: lenient(document.components, nullable, optional) as object })
  return (name, body) => {
    const validate = ajv.getSchema(`spec#/components/schemas/${name}`)
    if (validate === undefined) return [`no schema ${name}`]
    if (validate(body) === true) return []
    return [`${name} ${JSON.stringify(body).slice(0, 300)}: ${ajv.errorsText(validate.errors?.slice(-6))}`]
  }
}

const lenient = (value: unknown, nullable: ReadonlySet<string>, optional: ReadonlySet<string> | undefined): unknown => {
  if (Array.isArray(value)) return value.map((item) => lenient(item, nullable, optional))
  if (typeof value !== "object" || value === null) return value
  const result: Json = {}
  for (const [key, item] of Object.entries(value)) {
    if (key === "discriminator" || (key === "nullable" && typeof item === "boolean")) continue
    if (key === "required" && Array.isArray(item)) {
      if (optional !== undefined) result["required"] = item.filter((name) => !optional.has(name))
      continue
    }
    const inner = lenient(item, nullable, optional)
    if (key === "properties") {
      const properties = inner as Json
      for (const name of Object.keys(properties)) {
        if (nullable.has(name)) properties[name] = { anyOf: [properties[name], { type: "null" }] }
      }
    }
    result[key === "oneOf" ? "anyOf" : key] = inner
  }
  return "nullable" in value && value.nullable === true ? { anyOf: [result, { type: "null" }] } : result
}
