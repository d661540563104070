// What we use of it; the package itself has no types.
declare module "swagger-ui-dist/swagger-ui-es-bundle.js" {
  import type { Request } from "./session";

  export default function SwaggerUI(options: {
    url: string;
    dom_id: string;
    deepLinking: boolean;
    displayRequestDuration: boolean;
    filter: boolean;
    tryItOutEnabled: boolean;
    defaultModelsExpandDepth: number;
    validatorUrl: string | null;
    requestInterceptor: (request: Request) => Request | Promise<Request>;
  }): unknown;
}
