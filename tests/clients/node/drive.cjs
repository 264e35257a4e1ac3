// Calls one of the official Node clients as its users do. Each line of stdin is a call, each line of stdout its outcome.
//
// In:  {"operation", "method", "path", "segments", "query", "body"}
// Out: {"body"} or {"error": {"code", "status", "message", "requestId"}}
'use strict';

const readline = require('readline');

const [kind, host, keyId, secret] = process.argv.slice(2);

// @alicloud/cs20151215: a method and a request model for each operation.
function current() {
  const sdk = require('@alicloud/cs20151215');
  const { Config } = require('@alicloud/openapi-core').$OpenApiUtil;
  const { cast } = require('@darabonba/typescript');
  const config = new Config({ endpoint: host, protocol: 'http', accessKeyId: keyId, accessKeySecret: secret });
  const client = new sdk.default(config);
  return async ({ operation, segments, query, body }) => {
    const method = client[operation[0].toLowerCase() + operation.slice(1)].bind(client);
    const Request = sdk[`${operation}Request`];
    if (!Request) {
      return (await method(...segments)).body;
    }
    // An array body is the one member of its request, whatever that is called.
    const names = Object.values(Request.names());
    const given = Array.isArray(body) ? { [names[0]]: body } : body;
    const answer = await method(...segments, cast({ ...query, ...given }, new Request({})));
    return answer.body;
  };
}

// @alicloud/pop-core: any method and path, with the legacy signature.
function older() {
  const { ROAClient } = require('@alicloud/pop-core');
  const client = new ROAClient({
    endpoint: `http://${host}`,
    accessKeyId: keyId,
    accessKeySecret: secret,
    apiVersion: '2015-12-15',
  });
  return async ({ method, path, query, body }) => {
    const text = body === null ? null : JSON.stringify(body);
    const headers = text === null ? {} : { 'content-type': 'application/json' };
    return client.request(method, path, query, text === null ? '' : text, headers, { timeout: 10000 });
  };
}

function plain(value) {
  if (Array.isArray(value)) {
    return value.map(plain);
  }
  if (value !== null && typeof value === 'object') {
    const names = value.constructor && typeof value.constructor.names === 'function' ? value.constructor.names() : {};
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [names[key] || key, plain(member)]));
  }
  return value;
}

function told(error) {
  const found = error.data || {};
  const status = error.statusCode || found.statusCode || error.status || (error.entry && error.entry.response.statusCode);
  const requestId = error.requestId || found.requestId || found.RequestId || (error.result && error.result.RequestId);
  return { code: error.code || error.name, status: Number(status), message: String(error.message), requestId: requestId || '' };
}

const call = kind === 'current' ? current() : older();

(async () => {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let outcome;
    try {
      outcome = { body: plain(await call(JSON.parse(line))) };
    } catch (error) {
      outcome = { error: told(error) };
    }
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
  }
})();
