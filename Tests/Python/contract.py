#!/usr/bin/env python3
"""Checks that openapi.yaml is OpenAPI 3.1, that every body that it tells of has an example, and that each is what its schema says.

Needs openapi-spec-validator.
"""
import pathlib

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate



class Strict(yaml.SafeLoader):
    """PyYAML overlooks that a key is there twice, which browsers' parsers refuse."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        assert len(keys) == len(set(keys)), f"a key is there twice: {node.start_mark} {sorted(keys)}"
        return super().construct_mapping(node, deep)


CONTRACT = yaml.load((pathlib.Path(__file__).parents[2] / "openapi.yaml").read_text(), Strict)


def resolved(node):
    """The node, or what it refers to."""
    while "$ref" in node:
        target = CONTRACT
        for step in node["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        node = target
    return node


def media(bodies):
    """Each media type of a request body or an answer, with the place that it is at."""
    for place, body in bodies:
        for kind, content in resolved(body).get("content", {}).items():
            yield f"{place} {kind}", content


def main():
    validate(CONTRACT)
    bodies = []
    for path, item in CONTRACT["paths"].items():
        for method, operation in item.items():
            if method == "parameters":
                continue
            place = f"{method.upper()} {path}"
            if "requestBody" in operation:
                bodies.append((place, operation["requestBody"]))
            bodies += [(f"{place} {status}", answer) for status, answer in operation["responses"].items()]
    count = 0
    for place, content in media(bodies):
        examples = [example["value"] for example in content.get("examples", {}).values()]
        examples += [content["example"]] if "example" in content else []
        isJSON = "json" in place.rsplit(" ", 1)[-1] and "ndjson" not in place
        assert examples or not isJSON, f"{place} has no example"
        for example in examples if isJSON else []:
            # References in the schema are to the components of the contract.
            schema = {"components": CONTRACT["components"], **content["schema"]}
            for error in Draft202012Validator(schema, format_checker=FormatChecker()).iter_errors(example):
                raise AssertionError(f"{place}: {error.message}: {example}")
            count += 1
    print(f"openapi.yaml: {len(bodies)} bodies, {count} examples")


if __name__ == "__main__":
    main()
