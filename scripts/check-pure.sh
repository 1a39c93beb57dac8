#!/usr/bin/env bash
# check-pure.sh ALLOWED OBJECT... - proves that the domains are pure.
#
# Each object may need nothing but the symbols listed in the file ALLOWED (one
# a line, # begins a comment), and must export exactly one: its service.
set -eu
allowed=$1
shift
bad=0
for object; do
    needed=$(nm -u "$object")
    mapfile -t impure < <(awk '{ print $NF }' <<<"$needed" |
        grep -vxFf <(sed '/^#/d; /^$/d' "$allowed"))
    if [ ${#impure[@]} -gt 0 ] && [ -n "${impure[0]}" ]; then
        echo "check-pure: $object calls impure functions: ${impure[*]}" >&2
        bad=1
    fi
    mapfile -t exported < <(nm -g --defined-only "$object" |
        awk '{ print $NF }')
    if [ ${#exported[@]} -ne 1 ]; then
        echo "check-pure: $object exports not one symbol" \
            "but ${#exported[@]}: ${exported[*]}" >&2
        bad=1
    fi
done
[ $bad -eq 0 ] && echo "check-pure: $# domains, nothing impure"
exit $bad
