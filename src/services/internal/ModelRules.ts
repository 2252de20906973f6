/**
 * What is known about model names and the providers behind their prefixes.
 *
 * Names are compared in lower case. The patterns were compared with OpenAI's
 * model pages and with LiteLLM's model map; `test/services/ModelCatalog.test.ts`
 * holds the agreement.
 *
 * @since 0.1.0
 */

/**
 * Provider prefixes of a `provider/model` string, in LiteLLM's spelling.
 *
 * @category models
 * @since 0.1.0
 */
export const providers: ReadonlySet<string> = new Set([
  "openai",
  "azure",
  "azure_ai",
  "anthropic",
  "gemini",
  "vertex_ai",
  "bedrock",
  "bedrock_mantle",
  "mistral",
  "groq",
  "deepseek",
  "xai",
  "openrouter",
  "together_ai",
  "fireworks_ai",
  "perplexity",
  "cohere",
  "cohere_chat",
  "cerebras",
  "nvidia_nim",
  "sambanova",
  "deepinfra",
  "moonshot",
  "zai",
  "dashscope",
  "volcengine",
  "minimax",
  "github",
  "huggingface",
  "databricks",
  "meta_llama",
  "novita",
  "nebius",
  "hyperbolic",
  "lambda_ai",
  "friendliai",
  "hosted_vllm",
  "ollama",
  "lm_studio",
  "llamafile",
  "litellm_proxy"
])

/**
 * Providers with a documented Responses endpoint, for some models at least.
 * `provider/responses/model` is understood for these only.
 *
 * @category models
 * @since 0.1.0
 */
export const responsesHosts: ReadonlySet<string> = new Set([
  "openai",
  "azure",
  "azure_ai",
  "vertex_ai",
  "bedrock",
  "bedrock_mantle",
  "groq",
  "deepseek",
  "xai",
  "openrouter",
  "fireworks_ai",
  "perplexity",
  "nvidia_nim",
  "moonshot",
  "dashscope",
  "volcengine",
  "minimax",
  "huggingface",
  "databricks",
  "hosted_vllm",
  "ollama",
  "lm_studio",
  "litellm_proxy"
])

/**
 * Providers whose model names decide: OpenAI's own models on OpenAI's own API.
 *
 * @category models
 * @since 0.1.0
 */
export const ruledProviders: ReadonlySet<string> = new Set(["openai", "azure", "azure_ai", "bedrock_mantle"])

/**
 * Providers that run a Responses request as a background job, documented as such.
 *
 * **Source**
 *
 * OpenAI, "Background mode"; Microsoft Foundry, "Responses API"; Amazon Bedrock,
 * "Responses API" (`bedrock-runtime` is always synchronous); Perplexity, "Agent API".
 *
 * @category models
 * @since 0.1.0
 */
export const backgroundProviders: ReadonlySet<string> = new Set(["openai", "azure", "bedrock_mantle", "perplexity"])

/**
 * Providers where a model name is a deployment name that the user has chosen.
 *
 * @category models
 * @since 0.1.0
 */
export const deploymentProviders: ReadonlySet<string> = new Set(["azure", "azure_ai"])

/**
 * Current text models of OpenAI with a Responses endpoint, without snapshots.
 *
 * **Source**
 *
 * OpenAI's model pages and the `ResponsesModel` union of `openai` 7.57.0.
 *
 * @category models
 * @since 0.1.0
 */
export const currentModels: ReadonlyArray<string> = [
  "gpt-6.1-sol",
  "gpt-6.1-terra",
  "gpt-6-astra",
  "gpt-6-sol",
  "gpt-6-luna",
  "gpt-6-cyber",
  "gpt-6-rosalind",
  "gpt-5.6",
  "gpt-5.6-sol",
  "gpt-5.6-terra",
  "gpt-5.6-luna",
  "gpt-5.6-cyber",
  "gpt-5.5",
  "gpt-5.5-pro",
  "gpt-5.4",
  "gpt-5.4-mini",
  "gpt-5.4-nano",
  "gpt-5.4-pro",
  "gpt-5.3-chat-latest",
  "gpt-5.3-codex",
  "gpt-5.3-codex-spark",
  "gpt-5.2",
  "gpt-5.2-chat-latest",
  "gpt-5.2-codex",
  "gpt-5.2-pro",
  "gpt-5.1",
  "gpt-5.1-mini",
  "gpt-5.1-chat-latest",
  "gpt-5.1-codex",
  "gpt-5.1-codex-max",
  "gpt-5.1-codex-mini",
  "gpt-5",
  "gpt-5-mini",
  "gpt-5-nano",
  "gpt-5-chat-latest",
  "gpt-5-codex",
  "gpt-5-pro",
  "gpt-4.1",
  "gpt-4.1-mini",
  "gpt-4.1-nano",
  "gpt-4o",
  "gpt-4o-mini",
  "gpt-4-turbo",
  "gpt-4",
  "o1",
  "o1-pro",
  "o3",
  "o3-mini",
  "o3-pro",
  "o3-deep-research",
  "o4-mini",
  "o4-mini-deep-research",
  "codex-mini-latest",
  "codex-auto-review",
  "computer-use-preview",
  "gpt-astra-latest",
  "gpt-sol-latest",
  "gpt-terra-latest",
  "gpt-luna-latest",
  "gpt-mini-latest",
  "gpt-chat-latest",
  "gpt-daybreak-blue-latest",
  "gpt-daybreak-red-latest",
  "daybreak-blue-latest",
  "daybreak-red-latest",
  "gpt-rosalind-research"
]

/**
 * Returns the provider that a name without a prefix belongs to, by its family.
 * `undefined` for a family that nobody owns, and for a name with a slash.
 *
 * @category guards
 * @since 0.1.0
 */
export const familyOf = (name: string): string | undefined => {
  if (name.includes("/")) return undefined
  const lower = name.toLowerCase()
  if (lower.startsWith("claude-")) return "anthropic"
  if (lower.startsWith("gemini-")) return "gemini"
  return openAiFamily.test(lower) ? "openai" : undefined
}

/**
 * Returns whether a model of a ruled provider has a Responses endpoint.
 *
 * **Details**
 *
 * The last path segment counts, and of a fine-tuned model (`ft:base:…`) the
 * base. Names of other modes (speech, images, embeddings, search, …) are denied
 * first. Then the known families, the o-series, `gpt-N` with N of at least 4
 * (`gpt-35` is 3.5) and the newest or a dated model of any family
 * (`gpt-…-latest`, `gpt-…-2026-12-01`) are allowed. Families of other makers, such as `gpt-oss` and `gpt-neo`, are not.
 *
 * @category guards
 * @since 0.1.0
 */
export const hasResponsesEndpoint = (provider: string, name: string): boolean => {
  const base = baseOf(name)
  if (otherModes.test(base)) return false
  if (namedFamilies.test(base) || unnumbered.test(base) || oSeries.test(base)) return true
  if (provider === "bedrock_mantle" && openWeights.test(base)) return true
  const generation = gptGeneration.exec(base)?.[1]
  return generation !== undefined && generation !== "35" && Number(generation) >= 4
}

/**
 * Returns whether a model of a ruled provider has a Responses endpoint and no
 * Chat Completions endpoint.
 *
 * @category guards
 * @since 0.1.0
 */
export const hasOnlyResponsesEndpoint = (provider: string, name: string): boolean =>
  hasResponsesEndpoint(provider, name) && responsesOnly.test(baseOf(name))

const baseOf = (name: string): string => {
  const lower = name.toLowerCase()
  const base = /^ft:([^:]*)/.exec(lower)?.[1] ?? lower
  return base.slice(base.lastIndexOf("/") + 1)
}

const version = "-(?:latest|20\\d\\d-\\d\\d(?:-\\d\\d)?)(?![a-z0-9])"

/** The newest or a dated model of a family, whatever its name, that no other maker has. */
const familyMember = `gpt(?!-(?:oss|neox?|j|jt|bigcode|sw3)(?![a-z0-9]))(?:-[a-z]+){0,4}${version}`

const openAiFamily = new RegExp(
  "^(?:ft:)?(?:" + [
    "(?:chat)?gpt-?\\d[\\d.]*o?(?![a-z0-9])",
    "(?:chat)?gpt-(?:audio|chat|daybreak|image|realtime|rosalind|transcribe)",
    `(?:chat)?${familyMember}`,
    `daybreak-[a-z]+${version}`,
    "chatgpt-image",
    "chat-latest",
    "o[1-9]\\d*(?![a-z0-9])",
    "codex-",
    "computer-use-",
    "(?:babbage|davinci)-002",
    "text-(?:embedding-(?:3|ada)|moderation)-",
    "omni-moderation",
    "(?:whisper|tts)-1",
    "dall-e-",
    "sora-2"
  ].join("|") + ")"
)

const otherModes = new RegExp(
  [
    "audio|voice|speech|realtime|transcri|tts|whisper|translate|music|video|image|dall-e|sora",
    "embed|moderation|rerank|instruct",
    "(?<![a-z])(?:live|search)(?![a-z])",
    "(?<![a-z0-9])o1-(?:mini|preview)"
  ].join("|")
)

const namedFamilies = new RegExp(
  [
    "(?:^|[.:-])codex(?![a-z])",
    "(?:^|[.:])computer-use(?![a-z])",
    "(?:^|[.:])gpt-(?:daybreak|rosalind)",
    `(?:^|[.:])daybreak-[a-z]+${version}`,
    "(?:^|[.:])(?:gpt-)?chat-latest$"
  ].join("|")
)

const unnumbered = new RegExp(`(?<![a-z])(?:chat)?${familyMember}`)

const oSeries = /(?:^|[.:])o[1-9]\d*(?![a-z0-9])/

// Only Mantle serves these through the Responses API; elsewhere they are anybody's.
const openWeights = /(?:^|[.:])gpt-oss-\d/

const gptGeneration = /(?<![a-z])(?:chat)?gpt-?(\d+)(?:\.\d+)?o?(?![a-z0-9])/

const responsesOnly = new RegExp(
  [
    "codex(?!-auto-review)",
    "computer-use",
    "o[1-9]\\d*-pro(?![a-z])",
    "deep-research",
    "gpt-?\\d+(?:\\.\\d+)?(?:-[a-z]+){0,4}-(?:pro|cyber|rosalind)(?![a-z])",
    `gpt(?:-[a-z]+){0,4}-(?:pro|cyber)${version}`,
    "gpt-rosalind|(?<![a-z])daybreak-"
  ].join("|")
)
