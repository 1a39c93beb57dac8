# shellcheck shell=bash
# common.sh - what the scripts that people run share.  Sourced, by bash -p,
# which takes no functions, options and start-up files from the environment.
#
# Nothing else in the environment changes what a command means, either.
set +o posix
unset POSIXLY_CORRECT GREP_OPTIONS CDPATH TMOUT BASH_ENV ENV MAKEFLAGS MFLAGS \
    MAKELEVEL
export -n SHELLOPTS BASHOPTS
export PATH=${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}
export LC_ALL=C.UTF-8
if [ ! -d "${TMPDIR:-/tmp}" ] || [ ! -w "${TMPDIR:-/tmp}" ]; then unset TMPDIR; fi

# What is closed would be taken by the next file that is opened, which would
# then get what is said.
{ : <&0; } 2>/dev/null || exec </dev/null
{ : >&1; } 2>/dev/null || exec >/dev/full
{ : >&2; } 2>/dev/null || exec 2>/dev/null

# Milliseconds on a clock that only goes forward; bash's own do not.
now_ms() {
    local up
    read -r up _ </proc/uptime
    echo $((10#${up/./} * 10))
}

# Waits until COMMAND succeeds, for at most SECONDS.
within() { # SECONDS COMMAND...
    local until=$(($(now_ms) + $1 * 1000))
    shift
    until "$@"; do
        [ "$(now_ms)" -lt "$until" ] || return 1
        sleep 0.02
    done
}

# Whether what is said may have colours.
has_colours() {
    [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]
}

# The characters that saga shows as \u202e: libevents/base/text.c, is_formatting.
formatting=(0-1f 7f-9f ad-ad 34f-34f 600-605 61c-61c 6dd-6dd 70f-70f 890-891
    8e2-8e2 115f-1160 17b4-17b5 180b-180f 200b-200f 2028-202e 2060-206f
    3164-3164 fe00-fe0f feff-feff ffa0-ffa0 fff0-fffb fffe-ffff 110bd-110bd
    110cd-110cd 13430-1343f 1bca0-1bca3 1d173-1d17a e0000-10ffff)

is_formatting() { # CODE
    local range
    for range in "${formatting[@]}"; do
        (($1 < 0x${range%-*} || $1 > 0x${range#*-})) || return 0
    done
    return 1
}

# Leaves TEXT in $REPLY as saga shows it: what is no UTF-8, controls the terminal
# or is not seen (a bidi override, a zero width) as \xff or \u202e; see
# libevents/base/text.h.
as_shown() { # TEXT
    local i c code
    REPLY=''
    for ((i = 0; i < ${#1}; i++)); do
        c=${1:i:1}
        if [[ $c != [[:ascii:]] && $(LC_ALL=C; echo ${#c}) == 1 ]]; then
            # Bash takes a byte that is no character for one, and remembers it.
            c=\\x$(LC_ALL=C; printf %02x "'$c")
        elif [[ $c != [\ -~] ]]; then
            printf -v code %d "'$c"
            if is_formatting "$code"; then
                if ((code > 0xffff)); then
                    printf -v c '\\U%08x' "$code"
                else
                    printf -v c '\\u%04x' "$code"
                fi
            fi
        fi
        REPLY+=$c
    done
}

# Leaves TEXT in $REPLY as it is typed in a shell; as_shown's escapes are $'...'s.
quoted() { # TEXT
    as_shown "$1"
    if [ "$REPLY" = "$1" ]; then
        printf -v REPLY %q "$1"
        return
    fi
    REPLY=${1//\\/\\\\}
    as_shown "${REPLY//\'/\\\'}"
    REPLY="\$'$REPLY'"
}

# Says on standard error what is wrong: NAME says LINE, and more LINEs below it.
complain() { # NAME LINE...
    local name=$1
    shift
    for REPLY; do
        as_shown "$REPLY"
        printf '%s%s\n' "$name" "$REPLY"
        name='    '
    done >&2
}
