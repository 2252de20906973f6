import { Ajv2020 } from "ajv/dist/2020.js"
import * as Fs from "node:fs"
import * as Path from "node:path"

/**
 * A validator of one of Anthropic's published schemas, giving the problems that
 * it finds; `undefined` when `HOLDFAST_SPECS` does not name the folder.
 */
export const anthropicValidator = (schema: string): ((value: unknown) => ReadonlyArray<string>) | undefined => {
  const folder = process.env.HOLDFAST_SPECS
  if (folder === undefined) return undefined
  // As published, `oneOf` refuses what fits two of its schemas.
  const document: unknown = JSON.parse(
    Fs.readFileSync(Path.join(folder, "anthropic.json"), "utf8"),
    (_, value) =>
      value?.oneOf === undefined ? value : { ...value, oneOf: undefined, discriminator: undefined, anyOf: value.oneOf }
  )
  const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false })
  ajv.addSchema(JSON.parse(JSON.stringify(document)), "anthropic")
  const validate = ajv.compile({ $ref: `anthropic#/components/schemas/${schema}` })
  return (value) =>
    validate(value) ? [] : (validate.errors ?? []).map((error) => `${error.instancePath} ${error.message}`)
}
