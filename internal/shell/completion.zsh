#compdef tlsratchet
_tlsratchet() {
    local -a found
    local cur=${words[CURRENT]}
    local -a asked=("${(@)words[1,CURRENT-1]}")
    case ${words[CURRENT-1]} in
%s    --config|--history|--postfix|--verdicts) _files; return ;;
    esac
    case $cur in
    --) asked+=(-) ;;
    -*) asked+=("$cur") ;;
    esac
    found=("${(@f)$(env 0=zsh "${asked[@]}" --generate-bash-completion 2>/dev/null)}")
    if [[ -n ${found[1]} ]]; then _describe tlsratchet found; else _files; fi
}
compdef _tlsratchet tlsratchet
