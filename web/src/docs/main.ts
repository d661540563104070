// The page of GET /docs: Swagger UI, which shows /openapi.json and tries its calls from here, as whoever looks at it.

import "swagger-ui-dist/swagger-ui.css";
import "./docs.css";
import SwaggerUI from "swagger-ui-dist/swagger-ui-es-bundle.js";
import { asSession } from "./session";

const dark = matchMedia("(prefers-color-scheme: dark)");
const shade = () => document.documentElement.classList.toggle("dark-mode", dark.matches);

dark.addEventListener("change", shade);
shade();

SwaggerUI({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  filter: true,
  tryItOutEnabled: true,
  defaultModelsExpandDepth: 0,
  // The badge would be an image of another server, which gets our address.
  validatorUrl: null,
  requestInterceptor: (request) => asSession(request, fetch),
});
