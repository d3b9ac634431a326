// Conformance cases, and how they are written.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const FOLDER = path.join(__dirname, '..', 'conformance', 'vectors');

// A flag of texts, each variant's value its key.
function flag(key, variants, fields) {
  return {
    key,
    type: 'FLAG_TYPE_STRING',
    variants: variants.map((variant) => ({ key: variant, value: variant })),
    enabled: true,
    ...fields,
  };
}

// Who is asked about, and an attribute of theirs.
function context(key, attributes) {
  return attributes === undefined ? { targetingKey: key } : { targetingKey: key, attributes };
}

// What is served: by a split (of the rule, if one is named), or as it is.
function expect(variant, reason, ruleId) {
  return { value: variant, variant, reason, ...(ruleId === undefined ? {} : { ruleId }) };
}

// A case a line.
function write(name, description, suites) {
  const line = (value) => JSON.stringify(value);
  const text = suites.map(({ flags, cases }) => {
    const lines = cases.map((it, number) => line({ name: String(number), ...it }));
    const start = `{"description":${line(description)},"ruleset":${line({ flags })},"cases":[`;
    return `${start}\n${lines.join(',\n')}]}`;
  });
  fs.mkdirSync(FOLDER, { recursive: true });
  fs.writeFileSync(path.join(FOLDER, `${name}.json`), `[\n${text.join(',\n')}\n]\n`);
  const count = suites.reduce((sum, { cases }) => sum + cases.length, 0);
  console.log(`${name}.json: ${count} cases`);
}

module.exports = { flag, context, expect, write };
