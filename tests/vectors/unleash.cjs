// What Unleash's SDKs serve, through their public interfaces: the one for Node, and the
// engine that the others share. Both are asked about ASCII, and must agree; the one for
// Node hashes other text in a way of its own, so that only the engine is asked.
'use strict';

const { execFileSync } = require('node:child_process');
const path = require('node:path');
const { once } = require('node:events');
const { Unleash, InMemStorageProvider } = require('unleash-client');
const keys = require('./keys.cjs');
const { flag, context, expect, write } = require('./suites.cjs');

// A gradual rollout each, most of them with variants. Variants of the strategy are hashed
// with its group, those of the feature with its name. Their weights sum to the 1,000 steps
// that Burgee has.
const ROLLOUTS = [
  { group: 'checkout', percent: 50 },
  { group: 'gr1', percent: 1 },
  { group: 'a:b', percent: 99 },
  { group: 'gruppe-é', percent: 33 },
  { group: 'checkout', percent: 25, by: 'company' },
  { group: 'checkout', percent: 0 },
  { group: 'checkout', percent: 100, weights: [500, 500] },
  { group: 'gr1', percent: 100, weights: [1, 333, 666] },
  { group: 'gruppe-日本', percent: 60, weights: [900, 0, 100] },
  { group: 'a:b', percent: 70, weights: [500, 500], by: 'company' },
  { group: 'gr1', percent: 100, weights: [250, 250, 500], ofFeature: true },
];
const RULE = 'rollout';
const PERCENT = 1000;
const STEP = 100;

function contexts({ by }) {
  const everybody = [...keys.ascii, ...keys.unicode];
  return everybody.map((key) => (by === undefined ? context(key) : context('alice', { [by]: key })));
}

function theirs(name, { group, percent, weights, by, ofFeature }) {
  const stickiness = by ?? 'userId';
  const variants = (weights ?? []).map((weight, number) => ({
    name: `v${number}`,
    weight,
    stickiness,
    weightType: 'variable',
  }));
  const parameters = { rollout: String(percent), stickiness, groupId: group };
  const strategy = {
    name: 'flexibleRollout',
    parameters,
    constraints: [],
    variants: ofFeature ? [] : variants,
  };
  return {
    name,
    type: 'release',
    enabled: true,
    project: 'default',
    stale: false,
    impressionData: false,
    strategies: [strategy],
    variants: ofFeature ? variants : [],
  };
}

function ours(name, { group, percent, weights, by, ofFeature }) {
  const bucketBy = by === undefined ? [] : [by];
  const parts = (weights ?? []).map((weight, number) => ({ variant: `v${number}`, weight: weight * STEP }));
  const salt = ofFeature ? name : group;
  const split = { salt, bucketBy, hash: 'HASH_UNLEASH_VARIANT', parts };
  const rule = {
    id: RULE,
    condition: { all: {} },
    traffic: { salt: group, bucketBy, hash: 'HASH_UNLEASH', weight: percent * PERCENT },
    serve: weights === undefined ? { variant: 'on' } : { split },
  };
  const served = weights === undefined ? ['on'] : parts.map(({ variant }) => variant);
  return flag(name, [...served, 'off'], { rules: [rule], fallthrough: { variant: 'off' } });
}

// The same for both SDKs: whether it is on, and the variant's name.
function question(name, { targetingKey, attributes }) {
  return { name, context: { userId: targetingKey, properties: attributes ?? {} } };
}

function askEngine(features, questions) {
  const input = JSON.stringify({ features: { version: 2, features }, questions });
  const script = path.join(__dirname, 'unleash_engine.py');
  return JSON.parse(execFileSync('python3', [script], { input, maxBuffer: 1 << 26 }));
}

// It starts with the features, and never fetches any.
async function askNode(features, questions) {
  const unleash = new Unleash({
    appName: 'vectors',
    url: 'http://127.0.0.1/',
    refreshInterval: 0,
    disableMetrics: true,
    bootstrap: { data: features },
    storageProvider: new InMemStorageProvider(),
  });
  await once(unleash, 'ready');
  const answers = questions.map((asked) => ({
    enabled: unleash.isEnabled(asked.name, asked.context),
    variant: unleash.getVariant(asked.name, asked.context).name,
  }));
  unleash.destroy();
  return answers;
}

function isAscii(value) {
  return /^[\x00-\x7f]*$/.test(JSON.stringify(value));
}

function expected({ enabled, variant }, { weights }) {
  if (!enabled) {
    return expect('off', 'DEFAULT');
  }
  return weights === undefined ? expect('on', 'RULE', RULE) : expect(variant, 'SPLIT', RULE);
}

async function vectors() {
  const named = ROLLOUTS.map((rollout, number) => [`feature-${number}`, rollout]);
  const features = named.map(([name, rollout]) => theirs(name, rollout));
  const asked = named.flatMap(([name, rollout]) =>
    contexts(rollout).map((it) => ({ rollout, it, question: question(name, it) })),
  );
  const questions = asked.map((it) => it.question);
  const answers = askEngine(features, questions);
  const nodes = await askNode(features, questions);
  asked.forEach(({ rollout, question }, number) => {
    const [one, other] = [answers[number], nodes[number]];
    const differ = one.enabled !== other.enabled || one.variant !== other.variant;
    if (isAscii([question, rollout.group]) && differ) {
      throw new Error(`Unleash's SDKs differ: ${JSON.stringify({ question, one, other })}`);
    }
  });
  const suites = named.map(([name, rollout]) => {
    const cases = asked.flatMap(({ rollout: of, it }, number) =>
      of === rollout ? [{ flag: name, context: it, expect: expected(answers[number], rollout) }] : [],
    );
    return { flags: [ours(name, rollout)], cases };
  });
  write('unleash', 'decided by yggdrasil-engine and, where all is ASCII, unleash-client', suites);
}

module.exports = { vectors };
