// A real OpenID provider (oidc-provider) with a registration page, as a company would have one.
//
// It prints its address as one JSON line when it is ready. Access tokens are JWTs for the audience that the
// `resource` parameter names. POST /test/rotate makes new signing keys, as an operator would;
// POST /test/lifetime?seconds=N lets the next access tokens live that long.
import { createServer } from "node:http";
import { generateKeyPairSync, randomUUID } from "node:crypto";
import Provider from "oidc-provider";

const port = Number(process.env.PORT ?? 0);
const redirectUri = process.env.REDIRECT_URI ?? "http://127.0.0.1:1/callback";
const accounts = new Map(); // e-mail address → {sub, password}
let lifetime = 600;

const newKey = () => {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig", alg: "RS256" };
};

const configuration = (keys) => ({
  clients: [
    {
      client_id: "shop",
      token_endpoint_auth_method: "none",
      redirect_uris: [redirectUri],
      grant_types: ["authorization_code"],
      response_types: ["code"],
    },
  ],
  jwks: { keys },
  cookies: { keys: [randomUUID()] },
  pkce: { required: () => true, methods: ["S256"] },
  scopes: ["openid"],
  findAccount: (_, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  ttl: { AccessToken: () => lifetime, Grant: 3600, Session: 3600, Interaction: 600, IdToken: 600 },
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => "urn:iam-cds",
      useGrantedResource: () => true,
      getResourceServerInfo: (_, resource) => ({
        scope: "internal_cds_profile_view internal_cds_profile_link",
        audience: resource.replace("urn:", ""),
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
});

let keys = [newKey()];
let provider;
let handle;
let issuer;

const begin = () => {
  provider = new Provider(issuer, configuration(keys));
  handle = provider.callback();
};

const form = async (request) => {
  let text = "";
  for await (const chunk of request) text += chunk;
  return new URLSearchParams(text);
};

const page = (response, text, status = 200) => {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8" });
  response.end(`<!doctype html><title>Provider</title>${text}`);
};

const accountOf = (fields) => {
  const email = fields.get("email");
  if (fields.get("register") && !accounts.has(email)) {
    accounts.set(email, { sub: randomUUID(), password: fields.get("password") });
  }
  const account = accounts.get(email);
  return account?.password === fields.get("password") ? account : undefined;
};

const grantEverything = async (details) => {
  const { params, session } = details;
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope("openid");
  const scope = "internal_cds_profile_view internal_cds_profile_link";
  for (const resource of [params.resource ?? "urn:iam-cds"].flat()) grant.addResourceScope(resource, scope);
  return { consent: { grantId: await grant.save() } };
};

const interact = async (request, response) => {
  const details = await provider.interactionDetails(request, response);
  if (details.prompt.name === "consent") {
    const result = await grantEverything(details);
    return provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
  }
  if (request.method === "GET") {
    return page(response, `<form method="post"><input name="email"><input name="password" type="password">
      <button>Sign in</button><button name="register" value="1">Register</button></form>`);
  }
  const account = accountOf(await form(request));
  if (!account) return page(response, "Wrong e-mail address or password.", 400);
  return provider.interactionFinished(request, response, { login: { accountId: account.sub } });
};

const server = createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  try {
    if (url.pathname.startsWith("/interaction/")) return await interact(request, response);
    if (request.method === "POST" && url.pathname === "/test/rotate") {
      keys = [newKey()];
      begin();
      return page(response, "rotated");
    }
    if (request.method === "POST" && url.pathname === "/test/lifetime") {
      lifetime = Number(url.searchParams.get("seconds"));
      return page(response, "set");
    }
    return await handle(request, response);
  } catch (error) {
    page(response, String(error), 500);
  }
});

server.listen(port, "127.0.0.1", () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  begin();
  console.log(JSON.stringify({ issuer }));
});
// The test holds our standard input; when it ends, so do we.
process.stdin.resume().on("end", () => process.exit(0));
