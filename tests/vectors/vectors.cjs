// Writes conformance cases whose answers are those of the SDKs that Burgee's hashes
// reproduce. `make vectors` installs these and runs it.
'use strict';

const launchdarkly = require('./launchdarkly.cjs');
const unleash = require('./unleash.cjs');

async function main() {
  await launchdarkly.vectors();
  await unleash.vectors();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
