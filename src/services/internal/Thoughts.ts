/**
 * Finds the thoughts that a model wrote into its text, by the tags around them.
 */
import type { Span } from "./JsonSpans.ts"

/** A tag that begins or ends thoughts. */
export interface Tag extends Span {
  readonly isEnd: boolean
}

/**
 * Returns the tags of a text, in order.
 *
 * **Details**
 *
 * `<think>`, `<thinking>`, `<thought>`, `<reasoning>`, `<reflection>`, and the
 * same with a name before or after a colon (`<seed:think>`); Mistral's
 * `[THINK]`; Kimi's `◁think▷` and `<|open|>think<|sep|>`; Cohere's
 * `<|START_THINKING|>`; `<|begin_of_thought|>`; Gemma's `<|channel>thought`;
 * the channels of gpt-oss, also as the bare text `assistantfinal`; Apriel's
 * `[BEGIN FINAL RESPONSE]`.
 *
 * **Source**
 *
 * The reasoning parsers of vLLM, SGLang and llama.cpp.
 */
export const tagsOf = (text: string): ReadonlyArray<Tag> =>
  Array.from(text.matchAll(tags), (match) => ({
    start: match.index,
    end: match.index + match[0].length,
    isEnd: match.groups?.["end"] !== undefined
  }))

const names = "(?:\\w{1,20}:)?(?:think(?:ing)?|thoughts?|reasoning|reflection)(?::\\w{1,20})?"

const tags = new RegExp(
  [
    "(?<end>" + [
      `</${names}>`,
      "\\[/think\\]",
      "◁/think▷",
      "<\\|close\\|>think<\\|sep\\|>",
      "<\\|end_thinking\\|>",
      "<\\|end_of_thought\\|>",
      "<channel\\|>",
      "<\\|channel\\|>final(?:<\\|message\\|>)?",
      "assistantfinal",
      "\\[begin final response\\]"
    ].join("|") + ")",
    `<${names}>`,
    "\\[think\\]",
    "◁think▷",
    "<\\|open\\|>think<\\|sep\\|>",
    "<\\|start_thinking\\|>",
    "<\\|begin_of_thought\\|>",
    "<\\|channel>thought",
    "<\\|channel\\|>(?:analysis|commentary)"
  ].join("|"),
  "gi"
)

/**
 * Where a part of a text stands: after the end of the last thoughts, before it
 * but in no thoughts, or in thoughts.
 */
export type Place = "answer" | "outside" | "thoughts"

/** A part of a text between two tags. */
export interface Section extends Span {
  readonly place: Place
}

/**
 * Returns the parts of a text between its tags, in order.
 *
 * **Details**
 *
 * Some hosts write the first tag themselves: up to an end without a beginning,
 * all is thoughts. So is all after a beginning without an end.
 */
export const sectionsOf = (text: string, tags: ReadonlyArray<Tag>): ReadonlyArray<Section> => {
  const lastEnd = tags.findLastIndex(({ isEnd }) => isEnd)
  const isThoughts = (index: number): boolean => tags[index - 1]?.isEnd === false || tags[index]?.isEnd === true
  const sections: Array<Section> = []
  let start = 0
  for (let index = 0; index <= tags.length; index++) {
    const next = tags[index]
    const inThoughts = isThoughts(index)
    if (inThoughts && next !== undefined && isThoughts(index + 1)) continue
    const place = inThoughts ? "thoughts" : index > lastEnd ? "answer" : "outside"
    sections.push({ start, end: next?.start ?? text.length, place })
    start = next?.end ?? text.length
  }
  return sections
}
