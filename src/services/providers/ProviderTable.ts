/**
 * The providers that Holdfast knows, as data: address, keys and what each offers.
 *
 * @since 0.1.0
 */

/**
 * What is known about one provider.
 *
 * @category models
 * @since 0.1.0
 */
export interface Row {
  /** The prefix of its models, in LiteLLM's spelling. */
  readonly prefix: string
  /** The wire protocol: Chat Completions and Responses, or Messages. */
  readonly protocol: "openai" | "anthropic"
  /** The default base URL, `{region}` being a region; `undefined` when each user has their own. */
  readonly baseUrl: string | undefined
  /** Where the Responses API is, if that is elsewhere. */
  readonly responsesBaseUrl?: string | undefined
  /** Variables that hold another base URL; the first one that is set wins. */
  readonly baseUrlVariables: ReadonlyArray<string>
  /** What is appended to such a base URL when it has no path. */
  readonly path?: string | undefined
  /** Variables that hold the key; the first one that is set wins. */
  readonly keyVariables: ReadonlyArray<string>
  /** Whether a call needs a key; `token`: one that expires, so that no variable can hold it. */
  readonly key: "required" | "optional" | "token"
  /** The header that carries the key. */
  readonly authHeader: "bearer" | "api-key"
  /** Variables that hold the `{region}` of the base URL. */
  readonly regionVariables: ReadonlyArray<string>
  /** Variables that hold the api-version of Azure's older surface. */
  readonly apiVersionVariables: ReadonlyArray<string>
  readonly organizationVariable?: string | undefined
  readonly projectVariable?: string | undefined
  /** Whether it has a documented Responses endpoint, for some of its models at least. */
  readonly responses: boolean
  /** Whether a background job there is documented to go on without a connection. */
  readonly background: boolean
  /** How Chat Completions there takes a JSON Schema for the answer, as documented for all of its current models. */
  readonly structuredOutput: "json_schema" | "json_object" | "none"
  /** The same of Responses; `response_format`: in the field of Chat Completions. */
  readonly responsesStructuredOutput: "json_schema" | "response_format" | "none"
  /**
   * Whether Responses there report an answer that was cut at its limit as complete. A server of the user's own, which has
   * no row, is taken to do so.
   */
  readonly hidesLimit?: boolean | undefined
  /** Where background jobs are, if they are interactions of Gemini's own API. */
  readonly interactionsBaseUrl?: string | undefined
  /** What to do when it cannot be used from the environment alone. */
  readonly hint?: string | undefined
}

const row = (
  prefix: string,
  baseUrl: string | undefined,
  keyVariables: ReadonlyArray<string>,
  rest: Partial<Row> = {}
): Row => ({
  prefix,
  baseUrl,
  keyVariables,
  protocol: "openai",
  key: "required",
  authHeader: "bearer",
  regionVariables: [],
  apiVersionVariables: [],
  responses: false,
  background: false,
  structuredOutput: "none",
  responsesStructuredOutput: "none",
  ...rest,
  baseUrlVariables: [
    ...(baseUrl === undefined ? ["API_BASE", "BASE_URL"] : ["BASE_URL", "API_BASE"]).map((name) =>
      `${prefix.toUpperCase()}_${name}`
    ),
    ...(rest.baseUrlVariables ?? [])
  ]
})

const awsRegion = ["AWS_REGION", "AWS_REGION_NAME", "AWS_DEFAULT_REGION"]

const bearerOnly = "only bearer tokens are supported here, no AWS access keys"

const native = { structuredOutput: "json_schema" } as const

const nativeInBoth = { ...native, responsesStructuredOutput: "json_schema" } as const

const jsonMode = { structuredOutput: "json_object" } as const

const local = { key: "optional", path: "/v1" } as const

const hidesLimit = { hidesLimit: true } as const

/**
 * One row per provider.
 *
 * **Details**
 *
 * Every row has `<PREFIX>_BASE_URL` and `<PREFIX>_API_BASE` as base URL
 * variables. Servers that accept `background` and ignore it, or keep jobs in
 * memory only, have `background: false`. Background jobs are Responses, or else
 * message batches (`anthropic`) and interactions (`gemini`). Structured output
 * that a host has for some of its models only counts as none, or as its JSON
 * mode: without it a schema is asked for in words, which every model takes.
 *
 * **Source**
 *
 * LiteLLM, "Providers" (prefixes, base URLs, key variables):
 * https://docs.litellm.ai/docs/providers. The providers' own pages on their
 * OpenAI-compatible and Responses endpoints and on structured output.
 * DeepSeek, "Responses API": https://api-docs.deepseek.com/guides/responses_api
 * `openai` 7.57.0, `bedrock.ts`, for the address of `bedrock_mantle`.
 *
 * @category models
 * @since 0.1.0
 */
export const providerTable: ReadonlyArray<Row> = [
  row("openai", "https://api.openai.com/v1", ["OPENAI_API_KEY"], {
    organizationVariable: "OPENAI_ORG_ID",
    projectVariable: "OPENAI_PROJECT_ID",
    responses: true,
    background: true,
    ...nativeInBoth
  }),
  row("azure", undefined, ["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"], {
    baseUrlVariables: ["AZURE_OPENAI_ENDPOINT"],
    path: "/openai/v1",
    authHeader: "api-key",
    apiVersionVariables: ["AZURE_API_VERSION", "OPENAI_API_VERSION"],
    responses: true,
    background: true,
    ...nativeInBoth
  }),
  row("azure_ai", undefined, ["AZURE_AI_API_KEY"], { path: "/openai/v1", authHeader: "api-key", responses: true }),
  row("anthropic", "https://api.anthropic.com", ["ANTHROPIC_API_KEY"], { protocol: "anthropic", background: true }),
  row("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", ["GEMINI_API_KEY", "GOOGLE_API_KEY"], {
    interactionsBaseUrl: "https://generativelanguage.googleapis.com/v1beta",
    background: true,
    ...native
  }),
  row("vertex_ai", undefined, [], {
    key: "token",
    responses: true,
    hint:
      "Vertex AI takes access tokens, which expire: use Providers.layer({ vertex_ai: { baseUrl, apiKey } }) with an " +
      "effect that makes one",
    ...native
  }),
  row("bedrock", "https://bedrock-runtime.{region}.amazonaws.com/openai/v1", ["AWS_BEARER_TOKEN_BEDROCK"], {
    regionVariables: awsRegion,
    responses: true,
    hint: bearerOnly,
    ...nativeInBoth
  }),
  row(
    "bedrock_mantle",
    "https://bedrock-mantle.{region}.api.aws/openai/v1",
    ["BEDROCK_MANTLE_API_KEY", "AWS_BEARER_TOKEN_BEDROCK"],
    {
      regionVariables: ["BEDROCK_MANTLE_REGION", ...awsRegion],
      responses: true,
      background: true,
      hint: bearerOnly,
      ...nativeInBoth
    }
  ),
  row("mistral", "https://api.mistral.ai/v1", ["MISTRAL_API_KEY"], native),
  row("groq", "https://api.groq.com/openai/v1", ["GROQ_API_KEY"], { responses: true, ...jsonMode }),
  row("deepseek", "https://api.deepseek.com", ["DEEPSEEK_API_KEY"], { responses: true, ...jsonMode }),
  row("xai", "https://api.x.ai/v1", ["XAI_API_KEY"], { responses: true, ...nativeInBoth }),
  row("openrouter", "https://openrouter.ai/api/v1", ["OPENROUTER_API_KEY"], { responses: true }),
  row("together_ai", "https://api.together.xyz/v1", ["TOGETHERAI_API_KEY", "TOGETHER_API_KEY"], jsonMode),
  row(
    "fireworks_ai",
    "https://api.fireworks.ai/inference/v1",
    ["FIREWORKS_API_KEY", "FIREWORKS_AI_API_KEY"],
    { responses: true, ...native }
  ),
  row("perplexity", "https://api.perplexity.ai", ["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"], {
    responsesBaseUrl: "https://api.perplexity.ai/v1",
    responses: true,
    background: true,
    ...native,
    responsesStructuredOutput: "response_format"
  }),
  row("cohere", "https://api.cohere.ai/compatibility/v1", ["COHERE_API_KEY"], native),
  row("cohere_chat", "https://api.cohere.ai/compatibility/v1", ["COHERE_API_KEY"], {
    baseUrlVariables: ["COHERE_BASE_URL", "COHERE_API_BASE"],
    ...native
  }),
  row("cerebras", "https://api.cerebras.ai/v1", ["CEREBRAS_API_KEY"], native),
  row("nvidia_nim", "https://integrate.api.nvidia.com/v1", ["NVIDIA_NIM_API_KEY"], { responses: true }),
  row("sambanova", "https://api.sambanova.ai/v1", ["SAMBANOVA_API_KEY"]),
  row("deepinfra", "https://api.deepinfra.com/v1/openai", ["DEEPINFRA_API_KEY"], jsonMode),
  row("moonshot", "https://api.moonshot.ai/v1", ["MOONSHOT_API_KEY"], { responses: true, ...jsonMode }),
  row("zai", "https://api.z.ai/api/paas/v4", ["ZAI_API_KEY"], jsonMode),
  row("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", ["DASHSCOPE_API_KEY"], {
    responses: true,
    ...jsonMode
  }),
  row("volcengine", "https://ark.cn-beijing.volces.com/api/v3", ["VOLCENGINE_API_KEY", "ARK_API_KEY"], {
    responses: true
  }),
  row("minimax", "https://api.minimax.io/v1", ["MINIMAX_API_KEY"], { responses: true }),
  row("github", "https://models.github.ai/inference", ["GITHUB_API_KEY"]),
  row("huggingface", "https://router.huggingface.co/v1", ["HF_TOKEN", "HUGGINGFACE_API_KEY"], { responses: true }),
  row("databricks", undefined, ["DATABRICKS_API_KEY"], { path: "/serving-endpoints", responses: true, ...native }),
  row("meta_llama", "https://api.llama.com/compat/v1", ["LLAMA_API_KEY"], native),
  row("novita", "https://api.novita.ai/v3/openai", ["NOVITA_API_KEY"]),
  row("nebius", "https://api.studio.nebius.ai/v1", ["NEBIUS_API_KEY"]),
  row("hyperbolic", "https://api.hyperbolic.xyz/v1", ["HYPERBOLIC_API_KEY"]),
  row("lambda_ai", "https://api.lambda.ai/v1", ["LAMBDA_API_KEY"]),
  row("friendliai", "https://api.friendli.ai/serverless/v1", ["FRIENDLI_TOKEN"], native),
  row("hosted_vllm", undefined, ["HOSTED_VLLM_API_KEY"], { ...local, responses: true, ...nativeInBoth }),
  row("ollama", "http://localhost:11434/v1", ["OLLAMA_API_KEY"], {
    ...local,
    responses: true,
    ...nativeInBoth,
    ...hidesLimit
  }),
  row("lm_studio", "http://localhost:1234/v1", ["LM_STUDIO_API_KEY"], {
    ...local,
    responses: true,
    ...native,
    ...hidesLimit
  }),
  row("llamafile", "http://127.0.0.1:8080/v1", ["LLAMAFILE_API_KEY"], { ...local, ...hidesLimit }),
  row("litellm_proxy", undefined, ["LITELLM_PROXY_API_KEY"], { path: "/v1", responses: true, ...nativeInBoth })
]
