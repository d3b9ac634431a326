// What LaunchDarkly's SDK serves, through its public interface.
'use strict';

const launchDarkly = require('@launchdarkly/node-server-sdk');
const { TestData } = require('@launchdarkly/node-server-sdk/integrations');
const keys = require('./keys.cjs');
const { flag, context, expect, write } = require('./suites.cjs');

// The rollouts of one flag each. A seed takes the place of key and salt.
const ROLLOUTS = [
  { salt: 'saltyA', weights: [50000, 50000] },
  { salt: '3f2b8c1e0000400080000000000000ff', weights: [10000, 20000, 70000] },
  { salt: 'a.b', weights: [1, 99999] },
  { salt: '', weights: [33333, 33333, 33334] },
  { salt: 's', weights: [0, 25000, 0, 75000] },
  { salt: 'é', weights: [60000, 40000] },
  { salt: 'unused', seed: 61, weights: [50000, 50000] },
  { salt: 'unused', seed: 2147483647, weights: [12345, 87655] },
  { salt: 'unused', seed: 7, kind: 'experiment', weights: [30000, 30000, 40000] },
  { salt: 'saltyA', bucketBy: 'company', weights: [50000, 50000] },
  { salt: 'unused', seed: 61, bucketBy: 'company', weights: [20000, 80000] },
  { salt: 'saltyA', inRule: true, weights: [40000, 60000] },
];
const RULE = 'pro';

// Whom each is asked about. A context without a usable value is left out: LaunchDarkly
// puts it into bucket 0, Burgee gives it no bucket.
function contexts(rollout) {
  const everybody = [...keys.ascii, ...keys.unicode];
  if (rollout.bucketBy === undefined) {
    return everybody.map((key) => context(key, rollout.inRule ? { plan: 'pro' } : undefined));
  }
  const companies = [...keys.ascii.slice(0, 20), ...keys.unicode.slice(0, 10), 0, 7, -7, 42, 9007199254740991];
  return companies.map((company) => context('alice', { company }));
}

function theirs(key, { salt, seed, kind, bucketBy, weights, inRule }) {
  const variations = weights.map((weight, variation) => ({ variation, weight, untracked: false }));
  const rollout = { variations, kind, seed, bucketBy, contextKind: 'user' };
  const clauses = [{ attribute: 'plan', op: 'in', values: ['pro'], contextKind: 'user', negate: false }];
  return {
    key,
    salt,
    version: 1,
    on: true,
    variations: variants(weights),
    offVariation: 0,
    targets: [],
    prerequisites: [],
    rules: inRule ? [{ id: RULE, clauses, rollout }] : [],
    fallthrough: inRule ? { variation: 0 } : { rollout },
  };
}

function ours(key, { salt, seed, bucketBy, weights, inRule }) {
  const split = {
    salt: seed === undefined ? `${key}.${salt}` : String(seed),
    hash: 'HASH_LAUNCHDARKLY',
    bucketBy: bucketBy === undefined ? [] : [bucketBy],
    parts: weights.map((weight, number) => ({ variant: variants(weights)[number], weight })),
  };
  const clause = { attribute: 'plan', operator: 'OPERATOR_EQUALS', values: ['pro'] };
  return flag(key, variants(weights), {
    rules: inRule ? [{ id: RULE, condition: { clause }, serve: { split } }] : [],
    fallthrough: inRule ? { variant: 'v0' } : { split },
  });
}

function variants(weights) {
  return weights.map((_, number) => `v${number}`);
}

async function ask(client, key, { targetingKey, attributes }) {
  const user = { kind: 'user', key: targetingKey, ...attributes };
  const { value, reason } = await client.variationDetail(key, user, undefined);
  if (reason.kind !== 'FALLTHROUGH' && reason.kind !== 'RULE_MATCH') {
    throw new Error(`LaunchDarkly gives ${JSON.stringify(reason)} for ${key}`);
  }
  return expect(value, 'SPLIT', reason.ruleId);
}

async function vectors() {
  const data = new TestData();
  const named = ROLLOUTS.map((rollout, number) => [`flag-${number}`, rollout]);
  for (const [key, rollout] of named) {
    await data.usePreconfiguredFlag(theirs(key, rollout));
  }
  const client = launchDarkly.init('offline', {
    updateProcessor: data.getFactory(),
    sendEvents: false,
    diagnosticOptOut: true,
    logger: launchDarkly.basicLogger({ level: 'error' }),
  });
  await client.waitForInitialization({ timeout: 10 });
  const suites = [];
  for (const [key, rollout] of named) {
    const cases = [];
    for (const asked of contexts(rollout)) {
      cases.push({ flag: key, context: asked, expect: await ask(client, key, asked) });
    }
    suites.push({ flags: [ours(key, rollout)], cases });
  }
  client.close();
  write('launchdarkly', 'decided by @launchdarkly/node-server-sdk', suites);
}

module.exports = { vectors };
