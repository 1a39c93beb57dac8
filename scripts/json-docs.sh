#!/usr/bin/env bash
# json-docs.sh - prints docs/json.md from the schemas of tests/schemas/, against
# which tests/test_json.sh holds what every verb says.
#
#     scripts/json-docs.sh >docs/json.md
#
# The head is in tests/schemas/head.md, the verbs are in the order of the help.
set -euo pipefail
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../tests/schemas"
verbs=(place cancel stock fund product ls show trace why log status wait check
    verify fault parked redrive accept acknowledge rebuild backup shutdown
    undone pids signal web flow scenario
    learn bench help version)

# shellcheck disable=SC2016 # jq's variables
program='
def named: "[" + . + "](#" + (gsub("_"; "_")) + ")";
def name:
    if ."$ref" then (."$ref" | sub(".*/"; "") | named)
    elif .anyOf then [.anyOf[] | name] | join(" or ")
    elif .type == "array" then "array of " + (.items | name)
    elif (.additionalProperties | type) == "object" then
        "object of " + (.additionalProperties | name)
    else ([.type] | flatten | join(" or ")) end;
def members:
    . as $schema
    | if .properties then
        "| member | type | |", "|---|---|---|",
        (.properties | to_entries[]
            | "| `\(.key)`\(if (.key as $k | $schema.required | index($k)) then ""
                else " (if there)" end) | \(.value | name) | \(.value.description // "") |"),
        ""
      else empty end;
def shape:
    (if .properties then (.description // empty) + ""
     else [.description // empty, ((name | sub("^a"; "A") | sub("^o"; "O")) + ".")] | join(" ") end),
    "", members;
'

pages() {
    local verb
    cat head.md
    for verb in "${verbs[@]}"; do
        printf '\n## saga %s\n\n' "$verb"
        jq -r "$program"'.anyOf[1:][] | shape' "$verb.json"
    done
    printf '\n# What they consist of\n\n'
    jq -r "$program"'.definitions | del(.error) | to_entries | sort_by(.key)[]
        | "## \(.key)\n", (.value | shape)' common.json
}
pages | cat -s | sed '$ { /^$/d }'
