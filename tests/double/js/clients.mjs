// The official clients against the double: one credential, some steps, a JSON list of what they gave.
import { webcrypto } from "node:crypto";
import { createRequire } from "node:module";

globalThis.crypto ??= webcrypto; // the clients expect node 20, which has it; Debian 12 has node 18, which hides it
const load = createRequire(`${process.env.SCRATCHD_NODE_MODULES}/`);
const identity = load("@azure/identity");
const { SecretClient } = load("@azure/keyvault-secrets");
const { BlobServiceClient } = load("@azure/storage-blob");

const credentials = {
  managed: (o) => new identity.ManagedIdentityCredential(o),
  secret: (o) => new identity.ClientSecretCredential(o.tenant, o.client, o.secret, o.options),
  certificate: (o) => new identity.ClientCertificateCredential(o.tenant, o.client, { certificatePath: o.file }, o.options),
  workload: (o) => new identity.WorkloadIdentityCredential({ tenantId: o.tenant, clientId: o.client, tokenFilePath: o.file }),
  fixed: (o) => ({ getToken: async () => ({ token: o.token, expiresOnTimestamp: Date.now() + 3_600_000 }) }),
  none: () => null,
};

const shown = (secret) => ({
  value: secret.value,
  name: secret.name,
  version: secret.properties.version,
  vault: secret.properties.vaultUrl,
  contentType: secret.properties.contentType,
  enabled: secret.properties.enabled,
  expires: secret.properties.expiresOn?.getTime(),
  notBefore: secret.properties.notBefore?.getTime(),
  managed: secret.properties.managed,
  keyId: secret.properties.certificateKeyId,
  tags: secret.properties.tags,
});

const clients = new Map();
function vault(url, credential) {
  if (!clients.has(url)) clients.set(url, new SecretClient(url, credential));
  return clients.get(url);
}

const steps = {
  token: async (step, credential) => {
    const token = await credential.getToken(step.scope);
    return { length: token.token.length, claims: JSON.parse(Buffer.from(token.token.split(".")[1], "base64url")), seconds: (token.expiresOnTimestamp - Date.now()) / 1000 };
  },
  get: async (step, credential) => shown(await vault(step.vault, credential).getSecret(step.name, { version: step.version })),
  many: async (step, credential) => {
    const all = await Promise.all(Array.from({ length: step.count }, () => vault(step.vault, credential).getSecret(step.name)));
    return { values: [...new Set(all.map((s) => s.value))], count: all.length };
  },
  list: async (step, credential) => {
    const pages = [];
    for await (const page of vault(step.vault, credential).listPropertiesOfSecrets().byPage({ maxPageSize: step.size })) {
      pages.push(page.map((p) => p.name));
    }
    return pages;
  },
  versions: async (step, credential) => {
    const found = [];
    for await (const p of vault(step.vault, credential).listPropertiesOfSecretVersions(step.name)) found.push(p.version);
    return found;
  },
  deleted: async (step, credential) => {
    const secret = await vault(step.vault, credential).getDeletedSecret(step.name);
    return { name: secret.name, recoveryId: secret.recoveryId };
  },
  blobs: async (step) => {
    const service = new BlobServiceClient(step.url);
    const names = [];
    for await (const blob of service.getContainerClient(step.container).listBlobsFlat()) names.push(blob.name);
    return names;
  },
};

const asked = JSON.parse(process.argv[2]);
const results = [];
let credential;
try {
  credential = credentials[asked.credential.kind](asked.credential);
} catch (error) {
  console.error(error.stack);
  process.exit(1);
}
for (const step of asked.steps) {
  const started = performance.now();
  try {
    results.push({ ok: await steps[step.op](step, credential), seconds: (performance.now() - started) / 1000 });
  } catch (error) {
    const { name, code, statusCode, message, errorResponse } = error;
    results.push({ error: { name, code, statusCode, message, errorResponse }, seconds: (performance.now() - started) / 1000 });
  }
}
console.log(JSON.stringify(results));
process.exit(0);
