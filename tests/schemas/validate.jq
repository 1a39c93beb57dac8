# validate.jq - the part of JSON Schema (draft 7) that tests/schemas/ uses.
#
#     jq -r -n --slurpfile common common.json --slurpfile schema VERB.json \
#         --slurpfile value VALUE -f validate.jq
#
# Prints each violation, its path first; nothing: the value is as it says.

def is($wanted):
    if $wanted == "integer" then type == "number" and . == floor
    else type == $wanted end;

def violations($schema; $path):
    . as $value
    | if $schema["$ref"] then
        violations($common[0].definitions[$schema["$ref"] | sub(".*/"; "")]
            // error("no definition \($schema["$ref"])"); $path)
      elif $schema.anyOf then
        [$schema.anyOf[] as $one | [$value | violations($one; $path)]] as $all
        | if any($all[]; length == 0) then empty
          else "\($path): none of \($all | length) shapes; nearest:",
            ($all | min_by(length)[]) end
      else
        if $schema.type
            and (any([$schema.type] | flatten | .[]; . as $t | $value | is($t))
                | not) then
          "\($path): \($value | type), not \($schema.type)"
        elif type == "object" then
          ($schema.required // [] | .[] as $name
            | select($value | has($name) | not) | "\($path).\($name): missing"),
          (keys[] as $name
            | ($schema.properties[$name] // $schema.additionalProperties) as $its
            | if $its == false then "\($path).\($name): unexpected"
              elif ($its | type) == "object" then
                $value[$name] | violations($its; "\($path).\($name)")
              else empty end)
        elif type == "array" and $schema.items then
          range(length) as $i
          | .[$i] | violations($schema.items; "\($path)[\($i)]")
        else empty end
      end;

if ($value | length) != 1 then "\($value | length) values, not one"
else $value[0] | violations($schema[0]; "") end
