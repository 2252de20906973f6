import { Ajv2020 } from "ajv/dist/2020.js"
import * as Fs from "node:fs"
import * as Path from "node:path"

/**
 * A validator of one of OpenAI's published schemas, giving the problems that it
 * finds; `undefined` when `HOLDFAST_SPECS` does not name the folder.
 */
export const publishedValidator = (schema: string): ((value: unknown) => ReadonlyArray<string>) | undefined => {
  const folder = process.env.HOLDFAST_SPECS
  if (folder === undefined) return undefined
  const document: unknown = JSON.parse(Fs.readFileSync(Path.join(folder, "openai.json"), "utf8"))
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false })
  ajv.addSchema(lenient(document) as object, "openai")
  const validate = ajv.compile({ $ref: `openai#/components/schemas/${schema}` })
  return (value) =>
    validate(value) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`)
}

// As published, `oneOf` refuses what fits two of its schemas, and `nullable` is not a word of JSON Schema.
const lenient = (schema: unknown): unknown => {
  if (Array.isArray(schema)) return schema.map(lenient)
  if (typeof schema !== "object" || schema === null) return schema
  const { discriminator: _discriminator, nullable, oneOf, ...rest } = schema as Record<string, unknown>
  const mapped = Object.fromEntries(Object.entries(rest).map(([key, value]) => [key, lenient(value)]))
  const plain = oneOf === undefined ? mapped : { ...mapped, anyOf: lenient(oneOf) }
  return nullable === true ? { anyOf: [plain, { type: "null" }] } : plain
}
