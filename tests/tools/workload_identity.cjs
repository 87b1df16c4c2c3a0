// The OpenAI library for Node as it comes exchanges a client certificate for a token, and calls with it. It goes
// nowhere but to its own host names, so a proxy takes it from there: PROXY, or a tunnel to GATEWAY.
//
// Each line of standard input is one thing to do, and gets one line of output: `call`, or `fresh`, after which
// another client calls.
const { readFileSync } = require("node:fs");
const http = require("node:http");
const net = require("node:net");
const readline = require("node:readline");
const { OpenAI } = require("openai");
const { workloadIdentity } = require("openai/auth/x509-transport");

const { env } = process;
// They would be a second credential.
delete env.OPENAI_API_KEY;
delete env.OPENAI_ADMIN_KEY;
delete env.OPENAI_BASE_URL;

/** A proxy that answers each CONNECT with a tunnel to the gateway; its URL. */
async function tunnels(gateway) {
  const [host, port] = gateway.split(":");
  const server = http.createServer();
  server.on("connect", (request, client) => {
    const upstream = net.connect(Number(port), host, () => {
      client.write("HTTP/1.1 200 OK\r\n\r\n");
      upstream.pipe(client).pipe(upstream);
    });
    for (const end of [client, upstream]) {
      end.on("error", () => { client.destroy(); upstream.destroy(); });
    }
  });
  await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
  return `http://127.0.0.1:${server.address().port}`;
}

function client(proxy) {
  const credential = workloadIdentity.fromX509({
    certificateChain: readFileSync(env.OPENAI_MTLS_CLIENT_CERT_FILE, "utf8"),
    privateKey: readFileSync(env.OPENAI_MTLS_CLIENT_KEY_FILE, "utf8"),
    identityProviderId: env.PROVIDER,
    serviceAccountId: env.SERVICE_ACCOUNT,
    ca: readFileSync(env.SERVER_CA, "utf8"),
    proxy: { url: proxy, mode: "http-connect" },
  });
  return new OpenAI({ credential, organization: null, project: null });
}

/** Whose token it was, as the upstream was told: `dev` has one that echoes. Or what was refused. */
async function call(openai) {
  try {
    const echo = await openai.get("/echo");
    return `ok ${echo.headers["x-countersign-service-account"]}`;
  } catch (error) {
    return `refused ${error.status} ${error.error_code ?? error.code} ${error.message}`.replace(/\s+/g, " ");
  }
}

async function main() {
  const proxy = env.PROXY ?? (await tunnels(env.GATEWAY));
  let openai = client(proxy);
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line === "fresh") openai = client(proxy);
    console.log(await call(openai));
  }
  process.exit(0);
}

main();
