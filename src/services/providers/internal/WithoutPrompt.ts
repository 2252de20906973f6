/**
 * Takes out of a body what it repeats of the request.
 *
 * @since 0.1.0
 */
import { type Fields, fieldsOf, isFields, textOf } from "./JsonBody.ts"

/**
 * Returns the body without what it repeats of the prompt, and without the
 * credentials of tools.
 *
 * **Details**
 *
 * Taken out are `instructions`, `input`, `messages`, `prompt`,
 * `input_messages`, `prompt_token_ids` and `prompt_logprobs`, messages of a
 * user or a system among `output`, and `headers` and `authorization` of each
 * of `tools`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const withoutPrompt = (body: Fields): Fields => {
  const {
    input: _input,
    input_messages: _inputMessages,
    instructions: _instructions,
    messages: _messages,
    prompt: _prompt,
    prompt_logprobs: _promptLogprobs,
    prompt_token_ids: _promptTokenIds,
    ...rest
  } = body
  const { output, tools } = rest
  return {
    ...rest,
    ...(Array.isArray(output)
      ? { output: output.filter((item) => !promptRoles.has(textOf(fieldsOf(item).role))) }
      : undefined),
    ...(Array.isArray(tools) ? { tools: tools.map(withoutCredentials) } : undefined)
  }
}

const promptRoles: ReadonlySet<string> = new Set(["user", "system", "developer"])

const withoutCredentials = (tool: unknown): unknown => {
  if (!isFields(tool)) return tool
  const { authorization: _authorization, headers: _headers, ...rest } = tool
  return rest
}
