/**
 * Reads `name=value` pairs from one environment variable.
 *
 * @since 0.1.0
 */
import * as Schema from "effect/Schema"
import * as SchemaTransformation from "effect/SchemaTransformation"

const isPairs = (text: string): boolean => {
  const entries = text.split(",").filter((entry) => entry.trim() !== "").map((entry) => entry.split("="))
  const names = new Set(entries.map(([name = ""]) => name.trim().toLowerCase()))
  return names.size === entries.length &&
    entries.every((sides) => sides.length === 2 && sides.every((side) => side.trim() !== ""))
}

/**
 * Schema for a record written as `a=1, b=2`.
 *
 * **Details**
 *
 * Whitespace around names and values and empty entries are ignored. Invalid is
 * an entry without exactly one `=`, an empty side, and a name that comes twice
 * (letter case is ignored); `Config.Record` would skip or merge such entries.
 *
 * @category schemas
 * @since 0.1.0
 */
export const Pairs = Schema.String.check(
  Schema.makeFilter(isPairs, { expected: "name=value pairs separated by commas, each name once" })
).pipe(
  Schema.decodeTo(Schema.Record(Schema.String, Schema.String), SchemaTransformation.splitKeyValue({ trim: true }))
)
