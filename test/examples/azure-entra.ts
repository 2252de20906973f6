import { Effect, Redacted } from "effect"
import { Providers } from "holdfast"

/** `credential`: say, `new DefaultAzureCredential()` of `@azure/identity`, which keeps its tokens. */
export const layer = (credential: { readonly getToken: (scope: string) => Promise<{ readonly token: string }> }) =>
  Providers.layerConfigWith({
    azure: {
      apiKey: Effect.tryPromise(() => credential.getToken("https://ai.azure.com/.default")).pipe(
        Effect.map(({ token }) => Redacted.make(token))
      ),
      authHeader: "bearer"
    }
  })
