/**
 * The providers whose key the environment can hold, as their pages document them. R: has a Responses endpoint; B: runs
 * background jobs. Without the name of a key's variable, none is needed.
 */
export const documented = () => {
  const row = (
    prefix: string,
    baseUrl: string,
    key: string | undefined,
    offers: "" | "R" | "B" | "RB" = "",
    environment: Record<string, string> = {}
  ) => ({ prefix, baseUrl, key, environment, responses: offers.includes("R"), jobs: offers.includes("B") })
  const bedrock = { AWS_REGION: "eu-west-1" }
  return [
    row("openai", "https://api.openai.com/v1", "OPENAI_API_KEY", "RB"),
    row("azure", "https://r.openai.azure.com/openai/v1", "AZURE_API_KEY", "RB", {
      AZURE_API_BASE: "https://r.openai.azure.com"
    }),
    row("azure_ai", "https://r.services.ai.azure.com/openai/v1", "AZURE_AI_API_KEY", "R", {
      AZURE_AI_API_BASE: "https://r.services.ai.azure.com"
    }),
    row("anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", "B"),
    row("gemini", "https://generativelanguage.googleapis.com/v1beta/openai", "GEMINI_API_KEY", "B"),
    row(
      "bedrock",
      "https://bedrock-runtime.eu-west-1.amazonaws.com/openai/v1",
      "AWS_BEARER_TOKEN_BEDROCK",
      "R",
      bedrock
    ),
    row(
      "bedrock_mantle",
      "https://bedrock-mantle.eu-west-1.api.aws/openai/v1",
      "BEDROCK_MANTLE_API_KEY",
      "RB",
      bedrock
    ),
    row("mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    row("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY", "R"),
    row("deepseek", "https://api.deepseek.com", "DEEPSEEK_API_KEY", "R"),
    row("xai", "https://api.x.ai/v1", "XAI_API_KEY", "R"),
    row("openrouter", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY", "R"),
    row("together_ai", "https://api.together.xyz/v1", "TOGETHERAI_API_KEY"),
    row("fireworks_ai", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY", "R"),
    row("perplexity", "https://api.perplexity.ai", "PERPLEXITYAI_API_KEY", "RB"),
    row("cohere", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
    row("cohere_chat", "https://api.cohere.ai/compatibility/v1", "COHERE_API_KEY"),
    row("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    row("nvidia_nim", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY", "R"),
    row("sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    row("deepinfra", "https://api.deepinfra.com/v1/openai", "DEEPINFRA_API_KEY"),
    row("moonshot", "https://api.moonshot.ai/v1", "MOONSHOT_API_KEY", "R"),
    row("zai", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
    row("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY", "R"),
    row("volcengine", "https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY", "R"),
    row("minimax", "https://api.minimax.io/v1", "MINIMAX_API_KEY", "R"),
    row("github", "https://models.github.ai/inference", "GITHUB_API_KEY"),
    row("huggingface", "https://router.huggingface.co/v1", "HF_TOKEN", "R"),
    row("databricks", "https://w.databricks.com/serving-endpoints", "DATABRICKS_API_KEY", "R", {
      DATABRICKS_API_BASE: "https://w.databricks.com/serving-endpoints"
    }),
    row("meta_llama", "https://api.llama.com/compat/v1", "LLAMA_API_KEY"),
    row("novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    row("nebius", "https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    row("hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    row("lambda_ai", "https://api.lambda.ai/v1", "LAMBDA_API_KEY"),
    row("friendliai", "https://api.friendli.ai/serverless/v1", "FRIENDLI_TOKEN"),
    row("hosted_vllm", "http://vllm:8000/v1", undefined, "R", { HOSTED_VLLM_API_BASE: "http://vllm:8000" }),
    row("ollama", "http://localhost:11434/v1", undefined, "R"),
    row("lm_studio", "http://localhost:1234/v1", undefined, "R"),
    row("llamafile", "http://127.0.0.1:8080/v1", undefined),
    row("litellm_proxy", "https://proxy.test/v1", "LITELLM_PROXY_API_KEY", "R", {
      LITELLM_PROXY_API_BASE: "https://proxy.test"
    })
  ]
}
