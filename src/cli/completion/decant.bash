# bash completion for decant. Commands, verbs, options and formats are asked of decant itself, by its --help: so this can't be behind it.

# Lines of usage are "decant COMMAND [OPTIONS] VERB …": the words that can follow those that are there.
_decant_verbs() {
    decant "$1" --help 2>/dev/null | awk -v command="$1" -v before="${*:2}" '
        /^usage: / || (usage && /^       decant /) {
            usage = 1
            sub(/^.*decant [a-z-]+ (\[OPTIONS\] )?/, "")
            if (before == "" || index($0, before " ") == 1) {
                rest = substr($0, before == "" ? 1 : length(before) + 2)
                sub(/[^a-z|-].*/, "", rest)
                if (rest !~ /^-/)
                    gsub(/\|/, "\n", rest)
                if (rest ~ /^[a-z]/)
                    print rest
            }
        }' | sort -u
}

_decant_servers() {
    sed -n 's/^ *"https\{0,1\}:\/\/\([^"]*\)": {.*/\1/p' "${XDG_CONFIG_HOME:-$HOME/.config}/decant/servers.json" 2>/dev/null
}

_decant_values() {
    case $1 in
    -t | --to | --from) decant formats 2>/dev/null | sed -n 's/.*→ //p' | tr ' ' '\n' | sort -u ;;
    --server) _decant_servers ;;
    --plan) printf '%s\n' free premium ;;
    --scope) printf '%s\n' convert,read convert read ;;
    *) return 1 ;;
    esac
}

_decant() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]-} words before=() i
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words=$(decant --help 2>/dev/null | sed -n 's/^  \([a-z-]*\) .*/\1/p')
    elif words=$(_decant_values "$prev"); then
        :
    elif [[ $cur == -* ]]; then
        words=$(decant "$command" --help 2>/dev/null | grep -oE -e '--[a-z][a-z-]+')
    else
        for ((i = 2; i < COMP_CWORD; i++)); do
            [[ ${COMP_WORDS[i]} == -* ]] || before+=("${COMP_WORDS[i]}")
        done
        words=$(_decant_verbs "$command" "${before[@]}")
    fi
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur" | sort -u)
}

# Where there is nothing of decant's, it is the name of a file.
complete -o default -F _decant decant
