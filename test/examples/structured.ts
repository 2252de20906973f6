import { Effect, Schema } from "effect"
import { Holdfast } from "holdfast"

const Invoice = Schema.Struct({
  due: Schema.DateTimeUtcFromString,
  items: Schema.Array(Schema.Struct({ name: Schema.String, cents: Schema.Int }))
})

export const totalOf = (letter: string) =>
  Effect.map(
    Holdfast.execute({ model: "openai/gpt-5.5", prompt: `Read this:\n${letter}`, schema: Invoice, repair: 1 }),
    ({ value }) => value?.items.reduce((total, { cents }) => total + cents, 0) ?? 0
  )
