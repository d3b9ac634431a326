// Whom the SDKs are asked about.
'use strict';

// A small linear congruential generator (Knuth's MMIX), so that the keys stay the same.
function* numbers(seed) {
  let state = BigInt(seed);
  for (;;) {
    state = BigInt.asUintN(64, state * 6364136223846793005n + 1442695040888963407n);
    yield Number(state >> 33n);
  }
}

function uuids(seed, count) {
  const next = numbers(seed);
  const hex = () => next.next().value.toString(16).padStart(8, '0');
  return Array.from({ length: count }, () => {
    const digits = hex() + hex() + hex() + hex();
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12}).*$/, '$1-$2-$3-$4-$5');
  });
}

// Every length that a hash treats apart, and what keys are like.
const ascii = [
  'a', 'ab', 'abc', 'abcd', 'abcde', '0', '-7', '123', '9007199254740991', 'user:1', 'user.1', 'a b',
  'alice@example.com', '~!@#$%^&*()', 'x'.repeat(63), 'y'.repeat(64), 'z'.repeat(300),
  ...Array.from({ length: 12 }, (_, number) => `user-${number}`),
  ...uuids(1, 12),
];

// Two, three and four bytes a character; composed and combining.
const unicode = [
  'é', 'e\u0301', 'Straße', 'ñandú', '日本', '日本語の利用者', 'Ελλάδα', 'пользователь', 'مستخدم', '😀',
  '👩\u200d👩\u200d👧', '𝒳', 'a😀b', 'user-é', '\u212a',
  ...Array.from({ length: 10 }, (_, number) => `utilisatrice-${number}-ô`),
];

module.exports = { ascii, unicode };
