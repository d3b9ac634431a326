"""Asks Unleash's engine: features and questions on standard input, answers on standard output."""

import json
import sys

from yggdrasil_engine.engine import UnleashEngine


def main() -> None:
    asked = json.load(sys.stdin)
    engine = UnleashEngine()
    engine.take_state(json.dumps(asked["features"]))
    answers = []
    for question in asked["questions"]:
        name, context = question["name"], question["context"]
        enabled = engine.is_enabled(name, context)
        variant = engine.get_variant(name, context)
        if not (enabled.is_found and variant.is_found):
            raise SystemExit(f"the engine does not know {name}")
        answers.append({"enabled": enabled.is_enabled, "variant": variant.variant.name})
    json.dump(answers, sys.stdout)


main()
